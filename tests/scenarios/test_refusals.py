"""What planning refuses changes nothing, says why, and is in nobody's way."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from greenlane.deployments.model import Slot
from greenlane.deployments.phases import Phase
from greenlane.deployments.reaching import traffic
from greenlane.errors import DeploymentInFlight
from greenlane.local.stage import SERVICE
from tests.scenarios import acts
from tests.scenarios.acts import SHORT
from tests.scenarios.conftest import Scenario
from tests.scenarios.waiting import eventually


class Untouched:
    """Everything that a refused deployment must leave as it is."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.since = time.time()
        self.record = self._record()
        self.rule = self._rule()

    def _record(self) -> dict[str, Any]:
        # Without what the reconciler writes each minute while an extended watch lasts.
        ticks = {"updated_at", "observed_dead_at", "drift"}
        return self.scenario.record().model_dump(exclude=ticks)

    def _rule(self) -> traffic.LiveRule:
        elbv2 = self.scenario.cloud.client("elbv2")
        return traffic.read_rule(elbv2, self.scenario.stage.workload.listener_rule_arn)

    def refused(self, deployment_id: str, reason: str) -> None:
        """Refused for this reason; record and rule stand as before, no rollback did anything."""
        scenario = self.scenario
        assert scenario.outcome(deployment_id) == "refused"
        found = scenario.stage.greenlane.outcome(SERVICE, deployment_id)
        assert found is not None
        assert reason in found.reason
        assert scenario.kinds(deployment_id) == ["refused"]
        no_rollback(scenario, deployment_id)
        assert self._record() == self.record
        assert self._rule() == self.rule
        assert scenario.modify_rule_calls(self.since) == []


def no_rollback(scenario: Scenario, deployment_id: str) -> None:
    """The end of its execution was noticed, and there was nothing to do."""

    def ended() -> bool:
        found = acts.rollbacks(scenario, deployment_id)
        return bool(found) and all(one["status"] != "RUNNING" for one in found)

    eventually(ended, f"a look at the end of {deployment_id}")
    for execution in acts.rollbacks(scenario, deployment_id):
        assert execution["status"] == "SUCCEEDED"
        assert json.loads(execution["output"])["action"] == "none"


def deployed_before(scenario: Scenario) -> None:
    """What is live was deployed by Greenlane, and so is pinned to a digest."""
    if scenario.stage.greenlane.store.record(SERVICE) is None or "t" not in acts.live_version(
        scenario
    ):
        scenario.configure(deployment=SHORT)
        assert scenario.outcome(scenario.deploy()) == "succeeded"
        scenario.configure()
        scenario.rest()


def watch_is_over(scenario: Scenario) -> None:
    """End the extended watch of the deployment before: a red alarm would take it back."""
    record = scenario.record()
    if record.watch_until is None:
        return
    scenario.stage.greenlane.store.update(record, {"watch_until": scenario.cloud.clock.now()})
    scenario.until(lambda r: r.phase is not Phase.WATCHING, "the extended watch has ended")


def test_a_red_live_alarm_refuses_unless_a_person_gives_a_reason(scenario: Scenario) -> None:
    deployed_before(scenario)
    watch_is_over(scenario)
    live, idle = acts.slots(scenario)
    with acts.red(scenario, live) as alarm:
        before = Untouched(scenario)
        before.refused(scenario.deploy(), f"alarms: {alarm} of the live slot {live} are red")

        scenario.configure(deployment=SHORT)
        cure = scenario.deploy(despite_alarms="this version is the cure")
        scenario.until_phase(cure, Phase.SHIFTING)
    assert scenario.outcome(cure) == "succeeded"
    assert acts.slots(scenario) == (idle, live)
    planned = next(e for e in scenario.history(cure) if e.kind == "planned")
    assert planned.detail["despite_alarms"] == "this version is the cure"
    assert planned.detail["red_alarms"] == [alarm]


@contextmanager
def split_by_hand(scenario: Scenario, live: Slot) -> Iterator[None]:
    elbv2 = scenario.cloud.client("elbv2")
    rule = traffic.read_rule(elbv2, scenario.stage.workload.listener_rule_arn)
    groups = {s: r.target_group_arn for s, r in scenario.stage.workload.slots.items()}
    weights = {arn: 70 if slot == live else 30 for slot, arn in groups.items()}
    actions = traffic.actions_with(rule, weights, keep_stickiness=True)
    traffic.write_actions(elbv2, rule.arn, actions)
    try:
        yield
    finally:
        traffic.write_actions(elbv2, rule.arn, rule.actions)


def test_weights_split_by_hand_are_refused_and_left_alone(scenario: Scenario) -> None:
    deployed_before(scenario)
    live, _ = acts.slots(scenario)
    with split_by_hand(scenario, live):
        Untouched(scenario).refused(scenario.deploy(), "weights: the rule's live weights are")
        percent = scenario.percent()
        assert percent is not None
        assert percent[live] == 70


def test_target_stickiness_is_refused(scenario: Scenario) -> None:
    deployed_before(scenario)
    _, idle = acts.slots(scenario)
    elbv2 = scenario.cloud.client("elbv2")
    group = scenario.stage.workload.slots[idle].target_group_arn

    def stick(value: str) -> None:
        attribute = {"Key": "stickiness.enabled", "Value": value}
        elbv2.modify_target_group_attributes(TargetGroupArn=group, Attributes=[attribute])

    stick("true")
    try:
        Untouched(scenario).refused(scenario.deploy(), f"stickiness: the target group of {idle}")
    finally:
        stick("false")


def test_a_missing_alarm_is_refused_since_nothing_would_trigger(scenario: Scenario) -> None:
    deployed_before(scenario)
    _, idle = acts.slots(scenario)
    name = f"{SERVICE}-{idle}-p99"
    cloudwatch = scenario.cloud.client("cloudwatch")
    settings = acts.alarm_settings(scenario, name)
    cloudwatch.delete_alarms(AlarmNames=[name])
    try:
        Untouched(scenario).refused(scenario.deploy(), f"alarms: {name} do not exist")
    finally:
        cloudwatch.put_metric_alarm(**settings)


def test_an_unknown_version_is_refused(scenario: Scenario) -> None:
    deployed_before(scenario)
    before = Untouched(scenario)
    before.refused(acts.ask(scenario, version="never-pushed"), "never-pushed")


def test_the_image_that_runs_already_is_refused(scenario: Scenario) -> None:
    deployed_before(scenario)
    before = Untouched(scenario)
    before.refused(acts.ask(scenario, version=acts.live_version(scenario)), "runs already")


def test_an_unknown_container_is_refused(scenario: Scenario) -> None:
    deployed_before(scenario)
    before = Untouched(scenario)
    before.refused(scenario.deploy(container="nobody"), "container: there is no 'nobody'")


def test_of_deployments_started_at_once_one_goes_on_untouched_by_the_others(
    scenario: Scenario,
) -> None:
    scenario.configure(deployment={"steps": [100], "watch": "0s"})
    live, idle = acts.slots(scenario)
    versions = [acts.push(scenario) for _ in range(3)]
    scenario.load.phase(versions[0])
    first, second, third = (f"at-once-{version}" for version in versions)
    acts.start_directly(scenario, first, versions[0])
    acts.start_directly(scenario, second, versions[1])
    owner = scenario.until(lambda r: r.deployment_id in (first, second), "one has the lease")
    loser = second if owner.deployment_id == first else first
    winner = owner.deployment_id
    assert scenario.outcome(loser) == "refused"
    no_rollback(scenario, loser)

    scenario.until_phase(winner, Phase.SHIFTING)
    with pytest.raises(DeploymentInFlight, match=winner):
        acts.ask(scenario, version=versions[2])
    acts.start_directly(scenario, third, versions[2])
    assert scenario.outcome(third) == "refused"
    no_rollback(scenario, third)

    assert scenario.outcome(winner) == "succeeded"
    record = scenario.record()
    assert (record.deployment_id, record.epoch) == (winner, owner.epoch)
    assert acts.slots(scenario) == (idle, live)
    assert acts.live_version(scenario) == winner.removeprefix("at-once-")
    assert scenario.lost(versions[0]) == 0
