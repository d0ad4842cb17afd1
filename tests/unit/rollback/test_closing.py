import json
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from greenlane.deployments.phases import Phase
from greenlane.deployments.stepping.judging import Tick
from greenlane.errors import FenceLost
from greenlane.rollback.closing import close_rollback
from greenlane.rollback.model import CloseEvent, RollbackRequest
from greenlane.rollback.reconcile import reconcile
from greenlane.rollback.settle import empty_slot, hold_traffic
from greenlane.rollback.take_back import take_traffic_back
from tests.builders import NOW, SERVICE
from tests.fakes import BACK, timeout

STICKY = {"Enabled": True, "DurationSeconds": 600}


def emptied(world, kind="alarm"):
    """A rollback that has only its end left."""
    rollback = take_traffic_back(world.back(kind), world.runtime)
    world.clock.advance(minutes=6)
    rollback = hold_traffic(rollback, world.runtime)
    return empty_slot(rollback, world.runtime)


def close(world, rollback, **more):
    event = CloseEvent(rollback=rollback, execution=BACK, **more)
    return close_rollback(event, world.runtime)


def test_the_end_frees_the_lease_and_says_why(world):
    world.shifted()
    world.runtime.actor = "close_rollback"
    close(world, emptied(world))
    record = world.record
    assert (record.phase, record.weight, record.bake_token) == (Phase.ROLLED_BACK, 0, None)
    assert record.reason.startswith(f"alarm {world.alarm_of('green')}")
    (line,) = world.store.deployments(SERVICE)
    assert (line.phase, line.reason, line.ended_at) == (
        Phase.ROLLED_BACK,
        record.reason,
        world.clock.now(),
    )
    assert "rolled back" in world.kinds()
    assert world.topic.told[-1] == f"Greenlane took {SERVICE} back"
    assert world.ecs.tags == {
        "blue": {"Deployment": "active"},
        "green": {"Deployment": "standby"},
    }


def test_the_next_deployment_can_begin(world):
    world.shifted()
    close(world, emptied(world))
    assert world.planned(deployment_id="d-2").epoch == 3


def test_the_users_stickiness_comes_back_when_no_old_cookie_can_pin_anybody(world):
    world.set_weights(100, 0, TargetGroupStickinessConfig=STICKY)
    world.shifted()
    rollback = emptied(world)
    close(world, rollback)
    due = rollback.took_back_at + timedelta(seconds=STICKY["DurationSeconds"])
    assert world.record.stickiness_due == due
    world.clock.at = due - timedelta(seconds=1)
    reconcile(Tick(), world.runtime)
    assert stickiness(world)["Enabled"] is False
    world.clock.at = due
    reconcile(Tick(), world.runtime)
    assert stickiness(world) == STICKY
    assert world.weights() == (100, 0)
    assert world.record.stickiness is None


def test_a_deployment_in_between_carries_the_users_stickiness_along(world):
    world.set_weights(100, 0, TargetGroupStickinessConfig=STICKY)
    world.shifted()
    close(world, emptied(world))
    world.planned(deployment_id="d-2")
    world.clock.advance(seconds=STICKY["DurationSeconds"])
    reconcile(Tick(), world.runtime)
    assert stickiness(world)["Enabled"] is False, "not while a deployment is in flight"
    assert world.record.stickiness == STICKY


def stickiness(world):
    (action,) = world.actions()
    return action["ForwardConfig"]["TargetGroupStickinessConfig"]


def test_an_abandoned_deployment_never_writes_the_rule(world):
    world.set_weights(100, 0, TargetGroupStickinessConfig=STICKY)
    world.stable()
    world.calls.clear()
    close(world, emptied(world))
    assert ("elbv2", "modify_rule") not in world.calls
    assert world.record.phase is Phase.ROLLED_BACK


def test_an_end_that_died_is_repeated(world):
    world.shifted()
    rollback = emptied(world)
    world.fail("dynamodb", "get_item", skip=1)
    with pytest.raises(ClientError):
        close(world, rollback)
    close(world, rollback)
    close(world, rollback)
    assert world.record.phase is Phase.ROLLED_BACK


@pytest.mark.parametrize(
    ("service", "operation"),
    [("sns", "publish"), ("dynamodb", "put_item"), ("ecs", "tag_resource")],
)
@pytest.mark.parametrize("problem", ["ThrottlingException", timeout()])
def test_telling_people_never_changes_the_outcome(world, service, operation, problem):
    world.shifted()
    rollback = emptied(world)
    world.fail(service, operation, problem, times=9)
    close(world, rollback)
    assert world.record.phase is Phase.ROLLED_BACK


@pytest.mark.parametrize("change", [{"epoch": 9}, {"deployment_id": "d-2"}])
def test_only_the_owner_writes_the_end(world, change):
    world.set_weights(100, 0, TargetGroupStickinessConfig=STICKY)
    world.shifted()
    rollback = emptied(world)
    world.change(**change)
    with world.untouched(), pytest.raises(FenceLost):
        close(world, rollback)
    assert world.topic.told == []


def test_a_slot_that_still_runs_is_told(world):
    world.shifted()
    close(world, emptied(world), failure={"Error": "AccessDeniedException"})
    line = next(e for e in world.store.history("d-1") if e.kind == "rolled back")
    assert line.detail["failure"] == {"Error": "AccessDeniedException"}


def test_a_hold_pages_and_lets_a_person_or_the_next_deployment_act(world):
    world.shifted()
    world.serve("blue", 0, sick=2)
    rollback = take_traffic_back(world.back(), world.runtime)
    close(world, rollback, held=True)
    assert (world.record.phase, world.weights()) == (Phase.HELD, (90, 10))
    assert world.topic.told == [f"PAGE: Greenlane holds {SERVICE}, a person is needed"]
    assert "held" in world.kinds()
    world.serve("blue", 2)
    again = take_traffic_back(world.back("person", execution="second"), world.runtime)
    assert (again.action, world.weights()) == ("settle", (100, 0))


def test_a_page_goes_out_although_the_table_is_down(world):
    world.shifted()
    request = world.back().request
    world.fail("dynamodb", "*", timeout(), times=99)
    event = CloseEvent(request=request, execution=BACK, held=True, failure={"Error": "Denied"})
    assert close_rollback(event, world.runtime) is None
    assert world.topic.told == [f"PAGE: Greenlane holds {SERVICE}, a person is needed"]


def test_a_rollback_that_could_not_write_holds_its_own_record_only(world):
    world.shifted()
    world.fail("elbv2", "modify_rule", "AccessDeniedException")
    with pytest.raises(ClientError):
        take_traffic_back(world.back(), world.runtime)
    failed = {"request": world.back().request, "held": True, "failure": {"Error": "Denied"}}
    close_rollback(CloseEvent(execution="somebody else's", **failed), world.runtime)
    assert world.record.phase is Phase.ROLLING_BACK
    close_rollback(CloseEvent(execution=BACK, **failed), world.runtime)
    assert (world.record.phase, world.record.updated_at) == (Phase.HELD, NOW)
    assert "Denied" in world.record.reason


def test_an_execution_event_that_could_not_act_holds_the_service_it_is_about(world):
    world.shifted()
    world.fail("elbv2", "modify_rule", "AccessDeniedException")
    with pytest.raises(ClientError):
        take_traffic_back(world.back("execution"), world.runtime)
    request = world.back("execution").request
    assert request.service is None
    close_rollback(CloseEvent(request=request, execution=BACK, held=True), world.runtime)
    assert world.record.phase is Phase.HELD
    assert world.topic.told == [f"PAGE: Greenlane holds {SERVICE}, a person is needed"]


def failed(message, error="Held"):
    cause = json.dumps({"errorMessage": message, "errorType": error, "stackTrace": []})
    return {"Error": error, "Cause": cause}


def test_a_page_says_why_in_the_record_and_in_the_message(world):
    world.shifted()
    world.serve("blue", 0, sick=2)
    rollback = take_traffic_back(world.back(), world.runtime)
    close(world, rollback)
    assert world.record.phase is Phase.HELD
    assert world.record.reason == "the good slot blue has targets, and none is healthy"
    assert "none is healthy" in world.topic.messages[-1]


def test_a_page_after_the_traffic_went_back_says_what_failed_then(world):
    world.shifted()
    rollback = take_traffic_back(world.back(), world.runtime)
    close(world, rollback, held=True, failure=failed("the good slot did not grow back"))
    assert world.record.reason == "Held: the good slot did not grow back"


def test_a_page_while_trying_leaves_the_record_to_the_rollback(world):
    world.shifted()
    world.fail("elbv2", "modify_rule", "ServiceUnavailable", times=9)
    with pytest.raises(ClientError):
        take_traffic_back(world.back(), world.runtime)
    before = world.record
    event = CloseEvent(
        request=world.back().request,
        execution=BACK,
        trying=True,
        failure=failed("the balancer says no", "ClientError"),
    )
    close_rollback(event, world.runtime)
    assert world.record == before
    assert world.topic.told[-1].startswith("PAGE: ")
    assert "ClientError: the balancer says no" in world.topic.messages[-1]
    world.heal()
    assert take_traffic_back(world.back(), world.runtime).action == "settle"


def test_a_plan_that_died_without_an_answer_is_not_said_to_have_moved_traffic(world):
    event = CloseEvent(
        request=world.back("failure", trigger={"name": "ClientError"}).request,
        execution=BACK,
        trying=True,
        failure=failed("the table does not answer", "ReadTimeoutError"),
    )
    close_rollback(event, world.runtime)
    assert "no traffic had moved" in world.topic.messages[-1]


def test_a_time_out_without_a_cause_is_a_failure_like_any_other():
    request = RollbackRequest.model_validate(
        {"trigger": {"kind": "failure", "failure": {"Error": "States.Timeout"}}}
    )
    assert (request.trigger.name, request.trigger.reason) == ("States.Timeout", "")


def test_the_input_of_the_version_before_is_still_read():
    cause = failed("32 of 400 requests failed", "JudgedBad")["Cause"]
    request = RollbackRequest.model_validate(
        {"trigger": {"kind": "failure", "name": "JudgedBad", "reason": cause}}
    )
    assert (request.trigger.name, request.trigger.reason) == (
        "JudgedBad",
        "32 of 400 requests failed",
    )


def test_an_end_that_cannot_be_recorded_is_told_and_the_traffic_said_to_be_back(world):
    world.shifted()
    rollback = emptied(world)
    close(world, rollback, trying=True, failure=failed("no permission", "AccessDeniedException"))
    assert world.record.phase is Phase.ROLLING_BACK
    assert world.topic.told[-1].startswith("PAGE: Greenlane took claude-manager back")
    assert "AccessDeniedException: no permission" in world.topic.messages[-1]


@pytest.mark.parametrize("unclosed", [True, False])
def test_a_rollback_that_is_begun_again_and_fails_as_before_is_told_once(world, unclosed):
    world.shifted()
    known = {"rollback": emptied(world)} if unclosed else {"request": world.back().request}
    event = CloseEvent(execution=BACK, trying=True, failure=failed("no permission"), **known)
    told = len(world.topic.told)
    if unclosed:  # the record cannot be read, which may be why it is not closed
        world.fail("dynamodb", "get_item", "AccessDeniedException", times=99)
    for _ in range(5):
        close_rollback(event, world.runtime)
        world.clock.advance(minutes=5)
    assert len(world.topic.told) == told + 1
    world.fail("dynamodb", "*", timeout(), times=99)
    close_rollback(event, world.runtime)
    assert len(world.topic.told) == told + 2, "without the table better twice than never"


@pytest.mark.parametrize(
    ("deployment_id", "service"),
    [("claude-manager-20261124-175320-cdb2", "claude-manager"), ("release-42", "release-42")],
)
def test_without_the_table_a_page_knows_the_service_by_the_deployments_id(
    world, deployment_id, service
):
    world.fail("dynamodb", "*", timeout(), times=99)
    request = RollbackRequest.model_validate(
        {"trigger": {"kind": "execution", "name": "FAILED"}, "deployment_id": deployment_id}
    )
    event = CloseEvent(request=request, execution=BACK, trying=True, failure=failed("no table"))
    close_rollback(event, world.runtime)
    assert world.topic.told == [f"PAGE: Greenlane cannot take {service} back yet and keeps trying"]
