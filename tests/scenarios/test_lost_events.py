"""What is lost, late, doubled, foreign or dead: the traffic ends where it belongs all the same."""

import json
from datetime import timedelta

from greenlane.deployments.phases import Phase
from greenlane.local.stage import SERVICE
from tests.scenarios.conftest import Scenario
from tests.scenarios.driving import (
    ALARM_RULE,
    BRISK,
    LONG,
    ROLLBACK,
    baking,
    held,
    promoted_at_once,
    refusing,
    rollbacks,
    send_alarm_event,
    staying_red,
)
from tests.scenarios.waiting import eventually

HALF = BRISK | {"steps": [50, 100], "bake": LONG}


def test_the_reconciler_goes_back_for_an_alarm_whose_event_was_lost(scenario: Scenario) -> None:
    scenario.configure(deployment=BRISK | {"steps": [100], "extended_watch": "2h"})
    deployment_id = scenario.deploy()
    promoted_at_once(scenario, deployment_id)
    record = scenario.until_phase(deployment_id, Phase.WATCHING)
    events = scenario.cloud.client("events")
    events.disable_rule(Name=ALARM_RULE)
    try:
        with staying_red(scenario, record.candidate) as alarm:
            assert scenario.until_phase(deployment_id, Phase.ROLLED_BACK)
    finally:
        events.enable_rule(Name=ALARM_RULE)
    assert scenario.percent() == {record.live: 100, record.candidate: 0}
    trigger = scenario.record().trigger
    assert trigger is not None
    assert (trigger.kind, trigger.name) == ("reconciler", alarm)


def test_an_alarm_takes_the_traffic_back_without_the_table_and_the_record_catches_up(
    scenario: Scenario,
) -> None:
    scenario.configure(deployment=HALF)
    deployment_id = scenario.deploy()
    record = baking(scenario, deployment_id, 50)
    back = {record.live: 100, record.candidate: 0}
    clock = scenario.cloud.clock
    known = set(rollbacks(scenario))
    with refusing(scenario, "dynamodb"):
        scenario.raise_alarm(record.candidate)
        eventually(lambda: scenario.percent() == back, "the traffic is back by the rule's tags")
        since = clock.now()
        eventually(lambda: clock.now() > since + timedelta(minutes=2), "the table stays down")
        assert scenario.percent() == back
    assert scenario.outcome(deployment_id) == "rolled_back"
    ended = scenario.record()
    assert scenario.percent() == back
    # The alarm's own rollback waited for the table: nobody was paged.
    _all_end(scenario, known, 1)
    assert ended.execution is not None
    stepfunctions = scenario.cloud.client("stepfunctions")
    forward = stepfunctions.describe_execution(executionArn=ended.execution)
    assert forward["status"] != "RUNNING"
    assert scenario.lost(f"t{scenario.versions}") == 0


def test_a_rollback_whose_own_execution_is_killed_is_taken_over_and_finished(
    scenario: Scenario,
) -> None:
    scenario.configure(deployment=HALF)
    deployment_id = scenario.deploy()
    record = baking(scenario, deployment_id, 50)
    stepfunctions = scenario.cloud.client("stepfunctions")
    with held(scenario, "greenlane-stop-forward", "StopExecution") as stopping:
        scenario.raise_alarm(record.candidate)
        stopping.wait()
        first = scenario.record()
        assert first.rollback_execution is not None
        stepfunctions.stop_execution(executionArn=first.rollback_execution)

    assert scenario.outcome(deployment_id) == "rolled_back"
    ended = scenario.record()
    assert ended.rollback_execution != first.rollback_execution
    assert ended.epoch > first.epoch
    assert scenario.percent() == {record.live: 100, record.candidate: 0}


def test_foreign_stale_and_live_alarms_do_not_roll_back_and_doubled_ones_do_it_once(
    scenario: Scenario,
) -> None:
    scenario.configure(deployment=BRISK | {"steps": [50, 100], "bake": "3m"})
    deployment_id = scenario.deploy()
    record = baking(scenario, deployment_id, 50)
    ours = f"{SERVICE}-{record.candidate}-error-rate"
    theirs = f"{SERVICE}-{record.live}-error-rate"
    known = set(rollbacks(scenario))
    before = record.started_at - timedelta(minutes=1)

    send_alarm_event(scenario, ours, at=f"{before:%Y-%m-%dT%H:%M:%S}.000+0000")
    foreign = {"service": SERVICE, "trigger": {"kind": "alarm", "name": "somebody-elses"}}
    scenario.cloud.client("stepfunctions").start_execution(
        stateMachineArn=scenario.stage.greenlane.connection.arn("stateMachine", ROLLBACK),
        input=json.dumps(foreign),
    )
    with staying_red(scenario, record.live) as live_alarm:
        assert live_alarm == theirs
        _all_end(scenario, known, 3)
        until = record.bake_until
        assert until is not None
        clock = scenario.cloud.clock
        eventually(lambda: clock.now() > until + timedelta(minutes=1), "the bake is over")
        waiting = scenario.until(lambda r: r.hold_until is not None, "a hold")
        assert (waiting.phase, waiting.weight, waiting.epoch) == (
            Phase.SHIFTING,
            50,
            record.epoch,
        )
    assert baking(scenario, deployment_id, 100).epoch == record.epoch

    known = set(rollbacks(scenario))
    send_alarm_event(scenario, ours)
    send_alarm_event(scenario, ours)
    assert scenario.outcome(deployment_id) == "rolled_back"
    _all_end(scenario, known, 2)
    assert scenario.kinds(deployment_id).count("rollback began") == 1
    assert scenario.record().epoch == record.epoch + 1
    assert scenario.percent() == {record.live: 100, record.candidate: 0}


def _all_end(scenario: Scenario, known: set[str], number: int) -> None:
    """Wait until at least so many more rollback executions have ended, none of them badly."""

    def statuses() -> list[str]:
        return [status for arn, status in rollbacks(scenario).items() if arn not in known]

    eventually(
        lambda: len(statuses()) >= number and "RUNNING" not in statuses(),
        f"{number} rollbacks end",
    )
    assert set(statuses()) == {"SUCCEEDED"}
