"""What turns red before the new version has traffic ends the deployment and moves nothing."""

import time

import pytest

from greenlane.deployments.phases import Phase
from tests.scenarios import acts
from tests.scenarios.acts import SHORT
from tests.scenarios.conftest import Scenario
from tests.scenarios.waiting import eventually


class Rest:
    """How things stood before a deployment that is to be abandoned."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.since = time.time()
        self.live, self.idle = acts.slots(scenario)
        self.version = acts.live_version(scenario)
        self.tasks = acts.tasks(scenario, self.live)
        self.scaling = acts.scaling(scenario, self.live)

    def abandoned(self, deployment_id: str) -> None:
        """The deployment ended without ever touching traffic, and left nothing behind."""
        scenario = self.scenario
        assert scenario.outcome(deployment_id) == "rolled_back"
        assert set(scenario.modify_rule_calls(self.since)) <= {"greenlane-plan-deployment"}
        began = next(e for e in scenario.history(deployment_id) if e.kind == "rollback began")
        assert began.detail["action"] == "abandon"
        assert began.detail["trigger"]["kind"] == "alarm"
        assert "shifted" not in scenario.kinds(deployment_id)
        assert acts.slots(scenario) == (self.live, self.idle)
        eventually(lambda: acts.tasks(scenario, self.idle) == (0, 0), "no candidate task")
        assert acts.tasks(scenario, self.live) == self.tasks
        self._scaling_is_given_back()
        assert scenario.lost(f"t{scenario.versions}") == 0
        acts.clients_see(scenario, self.version)

    def _scaling_is_given_back(self) -> None:
        live, idle = (acts.scaling(self.scenario, slot) for slot in (self.live, self.idle))
        assert live["suspended"] == idle["suspended"] == []
        capacity = self.scenario.stage.workload.capacity
        assert capacity is not None
        # As it was, or as the workload declares it.
        assert live["min"] in (self.scaling["min"], capacity.min_tasks)
        assert live["max"] == capacity.max_tasks
        assert idle["min"] == 0


# Alone: what is abandoned so early leaves the idle slot's minimum as an earlier deployment set it.
@pytest.mark.own_cloud
def test_an_alarm_during_planning_moves_no_traffic(scenario: Scenario) -> None:
    rest = Rest(scenario)

    def alarm() -> None:
        scenario.raise_alarm(rest.idle)
        scenario.until(lambda r: r.phase is not Phase.PLANNING, "the rollback has begun")

    # The lease is taken; the next thing that planning does is to write on the rule.
    with acts.before_call(scenario, "greenlane-plan-deployment", "AddTags", alarm) as raised:
        deployment_id = scenario.deploy()
        rest.abandoned(deployment_id)
    assert raised.is_set()
    assert "slot starting" not in scenario.kinds(deployment_id)


def test_an_alarm_while_tasks_start_neither_moves_traffic_nor_ends_the_deployment(
    scenario: Scenario,
) -> None:
    scenario.configure(deployment=SHORT)
    rest = Rest(scenario)
    deployment_id = scenario.deploy()
    scenario.until(
        lambda r: r.deployment_id == deployment_id and r.primary_deployment is not None,
        "tasks are starting",
    )
    scenario.raise_alarm(rest.idle, "unhealthy-hosts")
    assert scenario.outcome(deployment_id) == "succeeded"
    assert "rollback began" not in scenario.kinds(deployment_id)
    assert acts.slots(scenario) == (rest.idle, rest.live)
    assert scenario.lost(f"t{scenario.versions}") == 0


def test_after_an_alarm_during_validation_the_next_deployment_works(scenario: Scenario) -> None:
    # One second for each answer keeps validation going until the alarm is here.
    scenario.configure(warm_up={"paths": ["/"], "requests": 3, "concurrency": 1})
    rest = Rest(scenario)
    deployment_id = scenario.deploy("slow:1")
    acts.entered(scenario, deployment_id, "Validate")
    scenario.raise_alarm(rest.idle)
    rest.abandoned(deployment_id)

    scenario.configure(deployment=SHORT)
    following = scenario.deploy()
    scenario.until_phase(following, Phase.PREPARING)
    scenario.raise_alarm(rest.live)  # no fault of the new version's
    assert scenario.outcome(following) == "succeeded"
    assert acts.slots(scenario) == (rest.idle, rest.live)
    assert scenario.lost(f"t{scenario.versions}") == 0
