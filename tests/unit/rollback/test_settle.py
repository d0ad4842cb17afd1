import pytest
from botocore.exceptions import ClientError

from greenlane.deployments.phases import Phase
from greenlane.deployments.stepping.shifting import shift_traffic
from greenlane.errors import FenceLost, NotDrained, NotSettled
from greenlane.rollback.settle import empty_slot, hold_traffic, stop_forward
from greenlane.rollback.take_back import take_traffic_back
from tests.builders import SERVICE
from tests.fakes import FORWARD, timeout


def taken_back(world, kind="alarm", **more):
    """A rollback whose traffic is back."""
    return take_traffic_back(world.back(kind, **more), world.runtime)


def unsettled(world, rollback, match=None):
    with pytest.raises(NotSettled, match=match):
        hold_traffic(rollback, world.runtime)


@pytest.mark.parametrize("kind", ["alarm", "person", "reconciler"])
def test_the_forward_machine_is_stopped(world, kind):
    world.shifted()
    stop_forward(taken_back(world, kind), world.runtime)
    assert world.machines.stopped == [FORWARD]


@pytest.mark.parametrize("kind", ["failure", "execution"])
def test_a_forward_machine_that_ends_by_itself_is_left_alone(world, kind):
    world.shifted()
    stop_forward(taken_back(world, kind), world.runtime)
    assert world.machines.stopped == []


def test_a_forward_machine_that_is_gone_is_no_trouble(world):
    world.shifted()
    rollback = taken_back(world)
    world.machines.statuses.clear()
    assert stop_forward(rollback, world.runtime) == rollback


def test_weights_are_watched_until_no_late_write_can_land(world):
    world.shifted()
    rollback = taken_back(world)
    unsettled(world, rollback, "late forward write")
    world.clock.advance(seconds=44)
    unsettled(world, rollback)
    world.clock.advance(seconds=1)
    assert hold_traffic(rollback, world.runtime).fenced is True


def test_a_late_forward_write_is_reverted_at_the_next_look(world):
    state = world.stable()

    def alarm():
        world.rollback = taken_back(world)

    world.just_before("elbv2", "modify_rule", alarm)
    with pytest.raises(FenceLost):
        shift_traffic(state, world.runtime)
    assert world.weights() == (90, 10), "the write that was on its way has landed"
    unsettled(world, world.rollback)
    assert world.weights() == (100, 0)
    assert "weights reasserted" in world.kinds()


def test_nothing_is_written_while_the_weights_are_right(world):
    world.shifted()
    rollback = taken_back(world)
    world.calls.clear()
    unsettled(world, rollback)
    assert ("elbv2", "modify_rule") not in world.calls


def test_an_abandoned_deployment_is_emptied_once_no_late_start_of_its_tasks_can_land(world):
    world.stable()
    rollback = taken_back(world)
    world.calls.clear()
    world.clock.advance(seconds=59)
    with pytest.raises(NotSettled, match="might still be started"):
        hold_traffic(rollback, world.runtime)
    world.clock.advance(seconds=1)
    held = hold_traffic(rollback, world.runtime)
    assert held == rollback.marked("settled", world.clock.now())
    assert ("elbv2", "modify_rule") not in world.calls


@pytest.mark.parametrize("change", [{"epoch": 9}, {"phase": Phase.ROLLED_BACK}])
def test_a_rollback_that_was_taken_over_writes_nothing_more(world, change):
    world.shifted()
    rollback = taken_back(world)
    world.change(**change)
    world.set_weights(90, 10)
    world.calls.clear()
    for step in (hold_traffic, empty_slot):
        with pytest.raises(FenceLost):
            step(rollback, world.runtime)
    assert world.writes() == []


def without_table(world):
    world.shifted()
    world.fail("dynamodb", "*", timeout(), times=99)
    return taken_back(world)


def test_the_fence_is_written_as_soon_as_the_table_answers(world):
    rollback = without_table(world)
    unsettled(world, rollback, "not everything answers")
    world.heal()
    unsettled(world, rollback, "late forward write")
    record = world.record
    assert (record.phase, record.epoch) == (Phase.ROLLING_BACK, 2)
    world.clock.advance(seconds=45)
    found = hold_traffic(rollback, world.runtime)
    assert (found.fenced, found.epoch, found.deployment_id) == (True, 2, "d-1")
    assert found.forward_execution == FORWARD


@pytest.mark.parametrize("answer", ["AccessDeniedException", timeout()])
def test_a_forward_machine_that_cannot_be_stopped_holds_up_no_rollback(world, answer):
    rollback = without_table(world)
    world.heal()
    unsettled(world, rollback, "late forward write")
    world.clock.advance(seconds=45)
    world.fail("stepfunctions", "stop_execution", answer, times=99)
    assert hold_traffic(rollback, world.runtime).fenced


def test_without_the_table_the_weights_are_still_reasserted(world):
    rollback = without_table(world)
    world.set_weights(50, 50)
    unsettled(world, rollback)
    assert world.weights() == (100, 0)


@pytest.mark.parametrize("operation", ["describe_rules", "modify_rule"])
def test_a_balancer_that_does_not_answer_is_asked_again_and_not_given_up_on(world, operation):
    world.shifted()
    rollback = taken_back(world)
    world.set_weights(50, 50)
    world.fail("elbv2", operation, times=99)
    unsettled(world, rollback, "not everything answers")
    world.heal()
    unsettled(world, rollback, "late forward write")
    assert world.weights() == (100, 0)


def test_the_wait_for_late_writes_begins_when_the_fence_is_written(world):
    rollback = without_table(world)
    world.clock.advance(minutes=10)
    world.heal()
    unsettled(world, rollback, "late forward write")
    world.clock.advance(seconds=45)
    assert hold_traffic(rollback, world.runtime).fenced


def test_a_rollback_that_was_elected_meanwhile_goes_on_alone(world):
    rollback = without_table(world)
    world.heal()
    taken_back(world, execution="second")
    with pytest.raises(FenceLost):
        hold_traffic(rollback, world.runtime)


def test_a_shrunk_slot_grows_and_gets_what_it_carries_on_the_way(world):
    world.promoted()
    world.change(full_capacity=4)
    world.ecs.services[f"{SERVICE}-blue"]["desiredCount"] = 1
    world.serve("blue", 1)
    rollback = taken_back(world)
    assert world.weights() == (25, 75)
    unsettled(world, rollback, "growing")
    assert world.desired("blue") == 4
    world.serve("blue", 3)
    unsettled(world, rollback, "growing")
    assert world.weights() == (75, 25)
    world.serve("blue", 4)
    unsettled(world, rollback, "late forward write")
    assert world.weights() == (100, 0)


def test_a_slot_that_was_let_go_grows_from_nothing_with_its_own_revision(world):
    world.promoted()
    world.change(phase=Phase.RETIRED)
    blue = world.ecs.services[f"{SERVICE}-blue"]
    blue["desiredCount"] = 0
    world.serve("blue", 0)
    rollback = taken_back(world)
    unsettled(world, rollback, "growing")
    assert world.weights() == (0, 100)
    assert (blue["desiredCount"], blue["taskDefinition"]) == (2, world.plan().live_task_definition)
    world.serve("blue", 2)
    unsettled(world, rollback, "late forward write")
    assert world.weights() == (100, 0)


def test_a_scale_down_that_was_on_its_way_is_undone(world):
    world.promoted()
    rollback = taken_back(world)
    world.ecs.services[f"{SERVICE}-blue"]["desiredCount"] = 1
    unsettled(world, rollback)
    assert world.desired("blue") == 2
    assert world.weights() == (100, 0)


@pytest.mark.parametrize("changed", [False, True])
def test_a_slot_that_grows_names_its_revision_only_if_somebody_changed_it(
    world, monkeypatch, changed
):
    """Naming a task definition asks for the right to pass its roles."""
    world.promoted()
    world.change(full_capacity=4)
    good = world.plan().live_task_definition
    blue = world.ecs.services[f"{SERVICE}-blue"]
    if changed:
        blue["taskDefinition"] = world.record.task_definition
    asked = []
    update = world.ecs.update_service

    def spy(**given):
        asked.append(given)
        return update(**given)

    monkeypatch.setattr(world.ecs, "update_service", spy)
    unsettled(world, taken_back(world))
    assert (blue["desiredCount"], blue["taskDefinition"]) == (4, good)
    assert [given.get("taskDefinition") for given in asked] == [good if changed else None]


def test_the_drain_begins_when_the_last_share_went_back_not_when_the_first_did(world):
    world.promoted()
    world.change(full_capacity=4)
    world.serve("blue", 1)
    rollback = taken_back(world)
    assert (rollback.action, world.weights()) == ("raise", (25, 75))
    world.clock.advance(minutes=20)
    world.serve("blue", 4)
    rollback = hold_traffic(rollback, world.runtime)
    assert world.weights() == (100, 0)
    still_there(world, rollback, "old weights")
    world.clock.advance(minutes=5)
    empty_slot(rollback, world.runtime)
    assert world.desired("green") == 0


def settled(world, kind="alarm", step=0):
    world.shifted(step=step)
    rollback = taken_back(world, kind)
    world.clock.advance(minutes=3)
    return hold_traffic(rollback, world.runtime)


def busy(world, slot, requests=100):
    world.traffic(slot, requests=requests, minutes=2)


def still_there(world, rollback, match):
    with pytest.raises(NotDrained, match=match):
        empty_slot(rollback, world.runtime)
    assert world.desired("green") == 2


def test_the_bad_slot_goes_when_it_serves_nothing(world):
    rollback = settled(world)
    busy(world, "blue")
    empty_slot(rollback, world.runtime)
    assert (world.desired("green"), world.desired("blue")) == (0, 2)
    assert world.record.scaling_rests is False
    assert world.scaling.of("green")["MinCapacity"] == 0
    assert world.scaling.of("blue")["MinCapacity"] == 2
    assert world.scaling.of("blue")["SuspendedState"]["DynamicScalingInSuspended"] is False


def test_the_bad_slot_stays_while_it_serves_or_has_weight(world):
    rollback = settled(world)
    busy(world, "blue")
    busy(world, "green", 3)
    still_there(world, rollback, "green served")
    world.set_weights(99, 1)
    still_there(world, rollback, "has weight")


def test_traffic_that_somebody_gives_the_bad_slot_meanwhile_is_put_back(world):
    rollback = settled(world)
    world.set_weights(50, 50)
    still_there(world, rollback, "has weight")
    assert world.weights() == (100, 0)
    busy(world, "blue")
    still_there(world, rollback, "old weights")  # it drains anew
    world.clock.advance(minutes=3)
    busy(world, "blue")
    empty_slot(rollback, world.runtime)
    assert world.desired("green") == 0


def test_an_abandoned_slot_that_somebody_gave_traffic_is_drained_like_any_other(world):
    world.prepared()
    rollback = taken_back(world, "person")
    assert rollback.action == "abandon"
    world.set_weights(0, 100)
    still_there(world, rollback, "has weight")
    assert world.weights() == (100, 0)
    still_there(world, rollback, "old weights")


def test_traffic_is_not_put_back_on_a_sick_slot(world):
    rollback = settled(world)
    world.set_weights(50, 50)
    world.serve("blue", 0)
    still_there(world, rollback, "has weight")
    assert world.weights() == (50, 50)


def test_a_silent_slot_counts_as_empty_only_while_the_other_one_is_heard(world):
    rollback = settled(world)
    still_there(world, rollback, "no metrics of blue")
    world.clock.advance(minutes=2)
    empty_slot(rollback, world.runtime)
    assert world.desired("green") == 0


def test_the_balancers_propagation_is_waited_for(world):
    world.shifted()
    rollback = taken_back(world)
    busy(world, "blue")
    world.clock.advance(seconds=29)
    still_there(world, rollback, "old weights")


def test_what_cannot_be_read_stops_nothing(world):
    rollback = settled(world)
    busy(world, "blue")
    world.fail("cloudwatch", "get_metric_data")
    with pytest.raises(ClientError):
        empty_slot(rollback, world.runtime)
    assert world.desired("green") == 2


def test_an_abandoned_slot_goes_at_once(world):
    world.stable()
    rollback = taken_back(world)
    empty_slot(rollback, world.runtime)
    assert (world.desired("green"), world.weights()) == (0, (100, 0))
    assert world.scaling.of("green")["MinCapacity"] == 0


def test_an_emptying_that_died_is_repeated(world):
    rollback = settled(world)
    busy(world, "blue")
    world.fail("ecs", "update_service", "ServerException")
    with pytest.raises(ClientError):
        empty_slot(rollback, world.runtime)
    empty_slot(rollback, world.runtime)
    assert world.desired("green") == 0


def test_after_the_extended_watch_the_good_slot_gets_the_live_slots_limits_back(world):
    """Otherwise its idle limits would let auto scaling shrink the only slot that serves."""
    world.promoted()
    world.scaling.of("blue")["MinCapacity"] = 1
    world.scaling.of("green")["MinCapacity"] = 2
    world.change(phase=Phase.WATCHING, scaling_rests=False)
    rollback = taken_back(world)
    world.clock.advance(minutes=6)
    rollback = hold_traffic(rollback, world.runtime)
    world.clock.advance(minutes=6)
    empty_slot(rollback, world.runtime)
    assert world.scaling.of("blue")["MinCapacity"] == 2
    assert world.scaling.of("green")["MinCapacity"] == 0


def test_a_slot_that_must_grow_again_is_not_shrunk_by_auto_scaling_meanwhile(world):
    world.promoted()
    world.change(phase=Phase.WATCHING, scaling_rests=False)
    for slot in ("blue", "green"):
        world.scaling.of(slot)["SuspendedState"] = {
            "DynamicScalingInSuspended": False,
            "DynamicScalingOutSuspended": False,
            "ScheduledScalingSuspended": False,
        }
    world.serve("blue", 1)
    rollback = taken_back(world)
    unsettled(world, rollback, "growing")
    assert world.scaling.of("blue")["SuspendedState"]["DynamicScalingInSuspended"] is True
    world.serve("blue", 2)
    world.clock.advance(minutes=6)
    rollback = hold_traffic(rollback, world.runtime)
    world.clock.advance(minutes=6)
    empty_slot(rollback, world.runtime)
    assert world.scaling.of("blue")["SuspendedState"]["DynamicScalingInSuspended"] is False
