import json
from datetime import timedelta

import pytest

from greenlane.deployments.connection import ROLLBACK_MACHINE
from greenlane.deployments.model import (
    DeploymentSummary,
    HistoryEvent,
    Plan,
    PlannedStep,
)
from greenlane.deployments.phases import Phase
from greenlane.errors import (
    Refused,
    SignalRefused,
    UnknownDeployment,
    UnknownService,
)
from tests.aws_account import (
    NOW,
    executions,
    make_services,
    record_in,
    request,
)


@pytest.mark.parametrize("phase", [Phase.SHIFTING, Phase.WATCHING, Phase.RETIRED, Phase.HELD])
def test_a_rollback_by_hand_names_the_person_and_the_reason(applied, machines, phase):
    applied.store.acquire(record_in(phase))
    started = applied.rollback("claude-manager", reason="angry users", by="jo")
    (execution,) = executions(applied, ROLLBACK_MACHINE)
    body = json.loads(execution["input"])
    assert started.execution_arn == execution["executionArn"]
    assert (body["service"], body["deployment_id"]) == ("claude-manager", "d-1")
    assert body["trigger"]["kind"] == "person"
    assert (body["trigger"]["name"], body["trigger"]["reason"]) == ("jo", "angry users")


@pytest.mark.parametrize("phase", [Phase.ROLLED_BACK, Phase.REFUSED])
def test_there_is_nothing_to_take_back_after_the_end(applied, machines, phase):
    applied.store.acquire(record_in(phase))
    with pytest.raises(Refused, match="nothing to take back"):
        applied.rollback("claude-manager", reason="x", by="jo")


def test_a_rollback_that_runs_is_not_started_again(applied, machines):
    applied.store.acquire(record_in(Phase.ROLLING_BACK, rollback_execution="arn:running"))
    started = applied.rollback("claude-manager", reason="x", by="jo")
    assert started.already
    assert executions(applied, ROLLBACK_MACHINE) == []


def test_a_rollback_of_what_was_never_deployed_is_refused(applied, machines):
    with pytest.raises(Refused, match="never deployed"):
        applied.rollback("claude-manager", reason="x", by="jo")


def test_a_rollback_of_another_deployment_is_refused(applied, machines):
    applied.store.acquire(record_in(Phase.SHIFTING))
    with pytest.raises(UnknownDeployment):
        applied.rollback("claude-manager", reason="x", by="jo", deployment_id="d-0")


def test_signals_to_unknown_services_and_finished_deployments_do_nothing(applied):
    with pytest.raises(UnknownService):
        applied.signal("shop", "pause", by="jo")
    applied.store.acquire(record_in(Phase.WATCHING))
    with pytest.raises(SignalRefused):
        applied.signal("claude-manager", "pause", by="jo")


def test_a_pause_is_written_for_the_step_under_way(applied):
    applied.store.acquire(record_in(Phase.SHIFTING, step=2))
    sent = applied.signal("claude-manager", "pause", by="jo")
    assert sent.step == 2
    assert applied.store.record("claude-manager").signal.by == "jo"


def test_the_status_of_a_service_that_was_never_deployed(live_workload, applied):
    make_services(applied.connection.client("ecs"))
    status = applied.status("claude-manager")
    assert status.record is None
    blue, green = status.slots
    assert (blue.slot, blue.role, blue.weight, blue.healthy) == ("blue", "live", 100, 2)
    assert (green.slot, green.role, green.weight, green.total) == ("green", "standby", 0, 0)
    assert blue.version == "1.4.1"


def test_the_status_of_a_deployment_under_way(live_workload, applied):
    definition = make_services(applied.connection.client("ecs"))
    stored = applied.store.get_config("claude-manager")
    applied.store.put_plan(
        Plan(
            deployment_id="d-1",
            request=request(),
            config=stored.config,
            config_version=1,
            workload=live_workload,
            strategy="canary",
            steps=tuple(
                PlannedStep(weight=weight, bake_seconds=300, kind=kind)
                for weight, kind in ((10, "step"), (100, "step"), (100, "watch"))
            ),
            live="blue",
            candidate="green",
            live_task_definition=definition,
            full_capacity=2,
            started_at=NOW,
            deadline=NOW + timedelta(hours=2),
        )
    )
    applied.store.acquire(
        record_in(Phase.SHIFTING, step=1, bake_until=NOW + timedelta(seconds=130))
    )
    checks = [{"name": "error_rate", "verdict": "pass", "value": "0.002", "limit": "0.01"}]
    detail = {"step": 0, "weight": 10, "verdict": "pass", "requests": 500, "checks": checks}
    applied.store.append(
        "d-1", HistoryEvent(at=NOW, kind="judged", actor="judge-step", detail=detail)
    )
    status = applied.status("claude-manager")
    assert (status.step, status.steps, status.bake_left_seconds) == (2, 2, 130)
    assert [slot.role for slot in status.slots] == ["live", "candidate"]
    assert status.judgement.step == 0
    assert status.judgement.verdict.requests == 500
    assert "pause" in status.signals
    assert status.outcome is None


@pytest.mark.parametrize(
    ("phase", "name"),
    [
        (Phase.WATCHING, "succeeded"),
        (Phase.RETIRED, "succeeded"),
        (Phase.ROLLED_BACK, "rolled_back"),
        (Phase.HELD, "held"),
        (Phase.REFUSED, "refused"),
    ],
)
def test_a_phase_that_ends_a_deployment_is_its_outcome(applied, phase, name):
    applied.store.acquire(record_in(phase, reason="because"))
    outcome = applied.outcome("claude-manager", "d-1")
    assert (outcome.name, outcome.reason) == (name, "because")


def test_an_execution_that_waits_for_its_plan_has_no_outcome(applied, machines):
    started = applied.deploy(request())
    assert applied.outcome("claude-manager", started.deployment_id) is None


def test_an_execution_stopped_before_its_plan_failed(applied, machines):
    started = applied.deploy(request())
    applied.connection.client("stepfunctions").stop_execution(executionArn=started.execution_arn)
    assert applied.outcome("claude-manager", started.deployment_id).name == "failed"


@pytest.mark.parametrize(
    ("error", "name", "reason"),
    [
        ("Refused", "refused", "red alarms"),
        ("DeploymentInFlight", "refused", "red alarms"),
        ("Lambda.Unknown", "failed", "Lambda.Unknown: red alarms"),
    ],
)
def test_an_execution_that_failed_in_planning_tells_why(applied, monkeypatch, error, name, reason):
    failed = {
        "status": "FAILED",
        "error": error,
        "cause": json.dumps({"errorType": error, "errorMessage": "red alarms"}),
    }
    stepfunctions = applied.connection.client("stepfunctions")
    monkeypatch.setattr(stepfunctions, "describe_execution", lambda executionArn: failed)
    outcome = applied.outcome("claude-manager", "d-5")
    assert (outcome.name, outcome.reason) == (name, reason)


def test_the_outcome_of_a_deployment_that_never_was_is_bad_input(applied, machines):
    with pytest.raises(UnknownDeployment):
        applied.outcome("claude-manager", "d-9")
    with pytest.raises(UnknownDeployment):
        applied.history("d-9")


def test_waiting_looks_until_the_deployment_has_ended(applied):
    record = applied.store.acquire(record_in(Phase.SHIFTING))
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 2:
            applied.store.update(record, {"phase": Phase.ROLLED_BACK, "reason": "errors"})

    outcome = applied.wait("claude-manager", "d-1", poll_seconds=3, sleep=sleep)
    assert outcome.name == "rolled_back"
    assert slept == [3, 3]


def took_over(applied, execution, phase):
    """The record as an execution of the rollback machine leaves it."""
    changes = {"phase": phase, "rollback_execution": execution}
    applied.store.update(applied.store.record("claude-manager"), changes)


def end(applied, started):
    applied.connection.client("stepfunctions").stop_execution(executionArn=started.execution_arn)


def test_a_success_is_not_the_outcome_of_a_rollback_that_began_after_it(applied, machines):
    applied.store.acquire(record_in(Phase.WATCHING))
    started = applied.rollback("claude-manager", reason="x", by="jo")
    assert applied.rollback_outcome(started) is None
    end(applied, started)
    outcome = applied.rollback_outcome(started)
    assert (outcome.deployment_id, outcome.name) == ("d-1", "failed")
    assert "none is on record" in outcome.reason


@pytest.mark.parametrize(
    ("phase", "name"), [(Phase.ROLLED_BACK, "rolled_back"), (Phase.HELD, "held")]
)
def test_a_rollback_that_ended_has_its_own_outcome(applied, machines, phase, name):
    applied.store.acquire(record_in(Phase.WATCHING))
    started = applied.rollback("claude-manager", reason="x", by="jo")
    took_over(applied, started.execution_arn, Phase.ROLLING_BACK)
    assert applied.rollback_outcome(started) is None
    took_over(applied, started.execution_arn, phase)
    assert applied.rollback_outcome(started).name == name


def test_what_was_held_before_is_not_the_outcome_of_a_rollback_that_runs(applied, machines):
    applied.store.acquire(record_in(Phase.HELD, rollback_execution="arn:before"))
    started = applied.rollback("claude-manager", reason="x", by="jo")
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        phase = (Phase.HELD, Phase.ROLLING_BACK, Phase.ROLLED_BACK)[len(slept) - 1]
        if phase is not Phase.HELD:
            took_over(applied, started.execution_arn, phase)

    assert applied.wait_for_rollback(started, sleep=sleep).name == "rolled_back"
    assert len(slept) == 3


def test_a_service_stays_held_when_the_rollback_ended_without_taking_it_over(applied, machines):
    applied.store.acquire(record_in(Phase.HELD, rollback_execution="arn:before", reason="sick"))
    started = applied.rollback("claude-manager", reason="x", by="jo")
    end(applied, started)
    outcome = applied.rollback_outcome(started)
    assert (outcome.name, outcome.reason) == ("held", "sick")


def test_a_rollback_that_another_one_was_elected_for_is_waited_for(applied, machines):
    applied.store.acquire(record_in(Phase.SHIFTING))
    started = applied.rollback("claude-manager", reason="x", by="jo")
    took_over(applied, "arn:of-the-alarm", Phase.ROLLING_BACK)
    end(applied, started)
    assert applied.rollback_outcome(started) is None
    took_over(applied, "arn:of-the-alarm", Phase.ROLLED_BACK)
    assert applied.rollback_outcome(started).name == "rolled_back"


def test_a_rollback_that_ended_while_it_was_asked_about_is_read_again(applied, machines):
    applied.store.acquire(record_in(Phase.HELD, rollback_execution="arn:before"))
    started = applied.rollback("claude-manager", reason="x", by="jo")
    end(applied, started)
    asked = applied.connection.execution

    def ask(arn):
        took_over(applied, started.execution_arn, Phase.ROLLED_BACK)
        return asked(arn)

    applied.connection.execution = ask
    assert applied.rollback_outcome(started).name == "rolled_back"


def test_the_next_deployment_hides_no_rollback_that_ended(applied, machines):
    applied.store.acquire(record_in(Phase.HELD))
    started = applied.rollback("claude-manager", reason="x", by="jo")
    end(applied, started)
    applied.store.put_summary(
        DeploymentSummary(
            deployment_id="d-1",
            service="claude-manager",
            phase=Phase.ROLLED_BACK,
            strategy="canary",
            started_at=NOW,
        )
    )
    applied.store.acquire(record_in(Phase.HELD, deployment_id="d-2", epoch=2))
    outcome = applied.rollback_outcome(started)
    assert (outcome.deployment_id, outcome.name) == ("d-1", "rolled_back")
