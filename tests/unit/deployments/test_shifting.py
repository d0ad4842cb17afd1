from datetime import timedelta

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from greenlane.deployments.model import Signal
from greenlane.deployments.phases import Phase
from greenlane.deployments.stepping.shifting import shift_traffic
from greenlane.errors import (
    Aborted,
    CapacityShort,
    DeadlineExceeded,
    FenceLost,
    NotStable,
    ValidationFailed,
    WeightsDrifted,
)
from tests.builders import NOW
from tests.fakes import timeout


def rollback_begins(world):
    world.change(epoch=world.record.epoch + 1, phase=Phase.ROLLING_BACK)


def modified(world):
    return world.calls.count(("elbv2", "modify_rule"))


def stays(world, state, error, match):
    """The shift is refused and no weight is written."""
    world.calls.clear()
    before = world.weights()
    with pytest.raises(error, match=match):
        shift_traffic(state, world.runtime)
    assert world.weights() == before
    assert modified(world) == 0


def test_the_first_weight_moves_the_phase_and_begins_the_steps_clock(world):
    state = world.stable()
    world.clock.advance(minutes=3)
    found = shift_traffic(state, world.runtime)
    assert world.weights() == (90, 10)
    assert (found.next, found.bake_seconds) == ("bake", 300)
    record = world.record
    assert (record.phase, record.weight, record.step) == (Phase.SHIFTING, 10, 0)
    assert (record.intended_weight, record.shifted_at) == (None, NOW + timedelta(minutes=3))


def test_the_phase_has_moved_before_the_weight_is_written(world):
    state = world.stable()
    seen = []
    world.just_before("elbv2", "modify_rule", lambda: seen.append(world.record))
    shift_traffic(state, world.runtime)
    assert (seen[0].phase, seen[0].intended_weight, seen[0].weight) == (Phase.SHIFTING, 10, 0)


def test_each_weight_is_one_write_of_both_slots_and_keeps_the_users_stickiness(world):
    sticky = {"Enabled": True, "DurationSeconds": 600}
    world.set_weights(100, 0, TargetGroupStickinessConfig=sticky)
    state = world.stable()
    world.calls.clear()
    shift_traffic(state, world.runtime)
    assert modified(world) == 1
    (action,) = world.actions()
    assert action["ForwardConfig"]["TargetGroupStickinessConfig"] == sticky


def test_a_step_that_begins_forgets_the_bake_of_the_one_before(world):
    state = world.shifted()
    world.change(bake_step=0, bake_until=NOW, hold_until=NOW, paused=True)
    shift_traffic(state.model_copy(update={"step": 1}), world.runtime)
    record = world.record
    assert (record.bake_step, record.bake_until, record.hold_until) == (None, None, None)
    assert record.paused is False


def test_intent_comes_before_and_outcome_after(world):
    world.shifted()
    history = {event.kind: event.detail for event in world.store.history("d-1")}
    assert history["shift intended"] == {"step": 0, "before": 0, "weight": 10}
    assert history["shifted"] == {"step": 0, "weight": 10, "part": "step"}


@pytest.mark.parametrize(
    ("service", "operation", "skip"),
    [
        ("dynamodb", "get_item", 0),
        ("dynamodb", "put_item", 0),
        ("dynamodb", "update_item", 0),
        ("elbv2", "describe_rules", 0),
        ("elbv2", "describe_target_health", 0),
        ("cloudwatch", "describe_alarms", 0),
    ],
)
def test_without_an_answer_before_the_write_nothing_is_written(world, service, operation, skip):
    state = world.stable()
    world.calls.clear()
    world.fail(service, operation, skip=skip)
    with pytest.raises(ClientError):
        shift_traffic(state, world.runtime)
    assert (world.weights(), modified(world)) == ((100, 0), 0)
    world.heal()
    shift_traffic(state, world.runtime)
    assert world.weights() == (90, 10)


@pytest.mark.parametrize("after", [False, True])
def test_a_write_of_unknown_outcome_is_finished_by_the_retry(world, after):
    state = world.stable()
    world.fail("elbv2", "modify_rule", timeout(), after=after)
    with pytest.raises(ReadTimeoutError):
        shift_traffic(state, world.runtime)
    assert world.record.intended_weight == 10
    shift_traffic(state, world.runtime)
    assert world.weights() == (90, 10)
    assert (world.record.weight, world.record.intended_weight) == (10, None)


def test_a_repeated_shift_writes_nothing_again(world):
    state = world.shifted()
    world.calls.clear()
    shift_traffic(state, world.runtime)
    assert modified(world) == 0
    assert world.record.weight == 10


def test_a_rollback_that_began_before_the_write_is_seen(world):
    state = world.stable()
    rollback_begins(world)
    stays(world, state, FenceLost, "no longer owns")


def test_a_rollback_that_begins_between_check_and_write_keeps_the_intent_from_being_recorded(world):
    state = world.stable()
    world.just_before("elbv2", "describe_target_health", lambda: rollback_begins(world))
    stays(world, state, FenceLost, "no longer owns")


def test_a_rollback_that_begins_during_the_write_is_seen_after_it(world):
    state = world.stable()
    world.just_before("elbv2", "modify_rule", lambda: rollback_begins(world))
    with pytest.raises(FenceLost):
        shift_traffic(state, world.runtime)
    assert world.record.phase is Phase.ROLLING_BACK
    assert world.record.weight == 0


def test_another_deployments_service_is_not_shifted(world):
    state = world.stable()
    world.change(deployment_id="d-2")
    stays(world, state, FenceLost, "d-2")


def test_a_record_two_schemas_ahead_is_not_touched(world):
    state = world.stable()
    world.change(schema_version=3)
    stays(world, state, FenceLost, "schema 3")


@pytest.mark.parametrize("weights", [(80, 20), (0, 100), (3, 1), (2, 1)])
def test_weights_that_nobody_here_wrote_stop_the_deployment(world, weights):
    state = world.stable()
    world.set_weights(*weights)
    stays(world, state, WeightsDrifted, "somebody changed the live weights")


def test_the_candidate_gets_no_more_than_its_healthy_targets_carry(world):
    state = world.shifted()
    world.serve("green", 1, sick=1)
    stays(world, state.model_copy(update={"step": 2}), CapacityShort, "green has 1 healthy.* 2$")
    shift_traffic(state.model_copy(update={"step": 1}), world.runtime)


def test_the_live_slot_keeps_no_more_than_its_healthy_targets_carry(world):
    state = world.stable()
    world.serve("blue", 1, sick=1)
    stays(world, state, CapacityShort, "blue has 1 healthy targets, 90 percent")


def test_a_slot_that_gets_nothing_needs_no_targets(world):
    state = world.shifted(step=1)
    world.serve("blue", 0)
    shift_traffic(state.model_copy(update={"step": 2}), world.runtime)
    assert world.weights() == (0, 100)


def test_red_alarms_of_the_idle_slot_are_waited_for_but_not_for_ever(world):
    state = world.stable()
    world.alarm(world.alarm_of("green"), "ALARM")
    stays(world, state, NotStable, world.alarm_of("green"))
    world.clock.advance(minutes=5)
    stays(world, state, ValidationFailed, "stay red")
    world.alarm(world.alarm_of("green"), "OK")
    shift_traffic(state, world.runtime)


def test_an_abort_and_the_deadline_stop_the_next_weight(world):
    state = world.shifted().model_copy(update={"step": 1})
    world.clock.advance(hours=6)
    stays(world, state, DeadlineExceeded, "max_duration")
    world.change(signal=Signal(name="abort", step=0, by="ada", at=NOW))
    stays(world, state, Aborted, "ada")


def test_what_validation_has_to_tell_goes_into_the_history_once(world):
    state = world.stable().model_copy(update={"note": "3 tests passed"})
    found = shift_traffic(state, world.runtime)
    assert found.note is None
    assert world.kinds().count("validated") == 1


def test_each_change_of_weight_is_on_record_once(world):
    state = world.stable()
    shift_traffic(state, world.runtime)
    world.clock.advance(minutes=1)
    again = shift_traffic(state, world.runtime)
    world.clock.advance(minutes=5)
    shift_traffic(again.model_copy(update={"step": 1}), world.runtime)
    shifts = world.record.shifts
    assert [shift.weight for shift in shifts] == [10, 50]
    assert shifts[1].at - shifts[0].at == timedelta(minutes=6)
