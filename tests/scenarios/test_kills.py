"""Whoever stops the forward execution, and wherever: traffic ends on one healthy version."""

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from greenlane.deployments.model import HistoryEvent
from greenlane.deployments.phases import Phase
from tests.scenarios import acts
from tests.scenarios.conftest import Scenario
from tests.scenarios.waiting import eventually

STATUS_RULE = "greenlane-deployment-ended-badly"


def event(scenario: Scenario, deployment_id: str, kind: str) -> HistoryEvent:
    return next(e for e in scenario.history(deployment_id) if e.kind == kind)


def goes_back(scenario: Scenario, deployment_id: str, version: str) -> None:
    """Nobody helps; all traffic ends on the version that was live, and no request is lost."""
    assert scenario.outcome(deployment_id) == "rolled_back"
    assert acts.live_version(scenario) == version
    acts.clients_see(scenario, version)
    assert scenario.lost(f"t{scenario.versions}") == 0
    _, idle = acts.slots(scenario)
    eventually(lambda: acts.tasks(scenario, idle) == (0, 0), "the candidate's tasks end")


def test_killed_while_preparing_it_is_abandoned(scenario: Scenario) -> None:
    since, version = time.time(), acts.live_version(scenario)
    deployment_id = scenario.deploy()
    scenario.until_phase(deployment_id, Phase.PREPARING)
    acts.kill(scenario, deployment_id)

    goes_back(scenario, deployment_id, version)
    assert set(scenario.modify_rule_calls(since)) == {"greenlane-plan-deployment"}
    assert event(scenario, deployment_id, "rollback began").detail["action"] == "abandon"


@pytest.mark.parametrize("weight", [10, 50])
def test_killed_in_a_bake_the_traffic_goes_back(scenario: Scenario, weight: int) -> None:
    version = acts.live_version(scenario)
    deployment_id = scenario.deploy()
    acts.in_bake(scenario, deployment_id, weight)
    acts.kill(scenario, deployment_id)

    goes_back(scenario, deployment_id, version)
    trigger = event(scenario, deployment_id, "rollback began").detail["trigger"]
    assert trigger["kind"] == "execution"


@pytest.fixture
def without_status_events(scenario: Scenario) -> Iterator[None]:
    """Execution status events are best effort: here none arrives."""
    events = scenario.cloud.client("events")
    events.disable_rule(Name=STATUS_RULE)
    yield
    events.enable_rule(Name=STATUS_RULE)


@pytest.mark.usefixtures("without_status_events")
def test_the_reconciler_alone_takes_a_dead_deployment_back_after_two_looks(
    scenario: Scenario,
) -> None:
    version = acts.live_version(scenario)
    deployment_id = scenario.deploy()
    acts.in_bake(scenario, deployment_id, 10)
    killed_at = scenario.cloud.clock.now()
    acts.kill(scenario, deployment_id)

    seen = scenario.until(lambda r: r.observed_dead_at is not None, "the first look")
    assert seen.phase is Phase.SHIFTING, "one look proves nothing"
    goes_back(scenario, deployment_id, version)
    began = event(scenario, deployment_id, "rollback began")
    assert began.detail["trigger"]["kind"] == "reconciler"
    assert began.at - killed_at >= timedelta(seconds=60)
    assert began.at - killed_at < timedelta(minutes=6)


def test_killed_in_the_watch_it_is_completed_forward(scenario: Scenario) -> None:
    scenario.configure(deployment={"steps": [100], "strategy": "canary"})
    live, idle = acts.slots(scenario)
    deployment_id = scenario.deploy()
    version = f"t{scenario.versions}"
    scenario.until(
        lambda r: (
            r.deployment_id == deployment_id and r.phase is Phase.PROMOTED and bool(r.bake_token)
        ),
        "it is watched",
    )
    acts.kill(scenario, deployment_id)

    assert scenario.outcome(deployment_id) == "succeeded"
    assert acts.slots(scenario) == (idle, live)
    assert scenario.record().rollback_execution is None
    assert "reconciler completes" in scenario.kinds(deployment_id)
    acts.clients_see(scenario, version)
    assert scenario.lost(version) == 0


def test_a_killed_rollback_is_taken_over(scenario: Scenario) -> None:
    scenario.configure(deployment={"steps": [50, 100]})
    version = acts.live_version(scenario)
    deployment_id = scenario.deploy()
    acts.in_bake(scenario, deployment_id, 50)
    acts.kill(scenario, deployment_id)
    first = scenario.until_phase(deployment_id, Phase.ROLLING_BACK).rollback_execution
    scenario.cloud.client("stepfunctions").stop_execution(executionArn=first)

    goes_back(scenario, deployment_id, version)
    assert scenario.record().rollback_execution != first
    assert "reconciler rolls back" in scenario.kinds(deployment_id)
