"""Whatever is wrong with a version, it is taken back, and few clients ever meet it."""

import time
from collections import Counter

import pytest

from greenlane.deployments.model import Record, Slot
from greenlane.local.balancer import RoutingTable
from tests.scenarios import acts
from tests.scenarios.conftest import Scenario
from tests.scenarios.waiting import eventually

# At this traffic a step of 10 percent gives the alarm too few requests to speak.
STEPS = {"steps": [50, 100]}
Shares = list[tuple[RoutingTable, Counter[str]]]


def weight_in(table: RoutingTable, scenario: Scenario, slot: Slot) -> float:
    rule = table.weights[scenario.stage.workload.listener_rule_arn]
    return rule[f"claude-manager-{slot}"]


def shares_since(scenario: Scenario, since: float) -> Shares:
    """Each routing table in force since then, with the requests that it sent to each slot."""
    rule = scenario.stage.workload.listener_rule_arn
    found: Shares = scenario.cloud.parts["elb"].journal.shares(rule)
    return [(table, requests) for table, requests in found if table.active_at >= since]


def taken_back(scenario: Scenario, behaviour: str) -> Record:
    """Deploy a version that behaves so: it goes back, and had never more than its steps allow."""
    since, version = time.time(), acts.live_version(scenario)
    live, idle = acts.slots(scenario)
    deployment_id = scenario.deploy(behaviour)
    assert scenario.outcome(deployment_id) == "rolled_back"
    record = scenario.record()

    assert acts.slots(scenario) == (live, idle)
    acts.clients_see(scenario, version)
    eventually(lambda: acts.tasks(scenario, idle) == (0, 0), "no task of the bad version")
    _stayed_within_its_steps(scenario, deployment_id, idle, since)
    return record


def _stayed_within_its_steps(
    scenario: Scenario, deployment_id: str, bad: Slot, since: float
) -> None:
    """At the balancer: the weights rise as the steps say, then fall to 0 once and for all."""
    name = f"claude-manager-{bad}"
    shares = shares_since(scenario, since)
    weights = [weight_in(table, scenario, bad) for table, _ in shares]
    intended = [
        e.detail["weight"] for e in scenario.history(deployment_id) if e.kind == "shift intended"
    ]
    seen = [w for i, w in enumerate(weights) if w and (i == 0 or weights[i - 1] != w)]
    assert seen == intended[: len(seen)]
    assert bool(seen) == bool(intended)
    assert weights[-1:] in ([], [0]), "no table at all where no weight moved"
    for table, requests in shares:
        share, sent = weight_in(table, scenario, bad) / 100, sum(requests.values())
        # Four standard errors, and nothing at all where the weight is 0.
        most = share * sent + 4 * (sent * share * (1 - share)) ** 0.5
        assert requests[name] <= most, f"{requests} by {table}"


@pytest.mark.parametrize("behaviour", ["errors:0.08", "hang:0.2", "reset:0.2", "leak:60"])
def test_a_version_that_fails_its_clients_is_taken_back(scenario: Scenario, behaviour: str) -> None:
    # A warm-up would wait long for answers that never come.
    scenario.configure(deployment=STEPS, warm_up={"requests": 0})
    record = taken_back(scenario, behaviour)
    assert record.trigger is not None
    # Whichever is elected: the alarm, the judge, or the end of the execution that the judge failed.
    assert record.trigger.kind in ("alarm", "failure", "execution")


def test_a_version_that_answers_slowly_is_taken_back_by_its_p95(scenario: Scenario) -> None:
    scenario.configure(
        deployment=STEPS,
        judge={"min_requests": 5, "response_time_p95": 1000},
        warm_up={"requests": 0},
    )
    record = taken_back(scenario, "slow:1.4")
    assert record.trigger is not None
    # The judge's own call for the way back, or the end of the execution, if its event is faster.
    assert record.trigger.kind in ("failure", "execution")
    cause = acts.report(scenario, record.deployment_id)["cause"]
    assert cause["name"] == "JudgedBad", "the report names the judge, whoever was elected"
    assert "response time p95" in cause["words"]


def test_a_version_that_crashes_at_start_never_gets_traffic(scenario: Scenario) -> None:
    since = time.time()
    _, idle = acts.slots(scenario)
    record = taken_back(scenario, "crash")
    assert record.trigger is not None
    # Whichever is elected: ECS's event, the deployment's own look at the slot, or its end.
    assert record.trigger.kind in ("ecs", "failure", "execution")
    assert scenario.lost(f"t{scenario.versions}") == 0
    assert all(
        not requests[f"claude-manager-{idle}"] for _, requests in shares_since(scenario, since)
    )
    assert set(scenario.modify_rule_calls(since)) == {"greenlane-plan-deployment"}
