import pytest

from greenlane.deployments.phases import Phase
from greenlane.deployments.stepping.baking import BakeEvent, start_bake
from greenlane.deployments.stepping.judging import Tick, judge_tick
from greenlane.deployments.stepping.shifting import shift_traffic
from greenlane.errors import CapacityShort
from greenlane.rollback.take_back import take_traffic_back
from tests.builders import SERVICE

LOTS = 100


def baking(world, state):
    """A bake with good numbers, some minutes in."""
    start_bake(BakeEvent(token="token-1", deployment=state), world.runtime)
    world.clock.advance(minutes=3)
    world.traffic("green", requests=LOTS, minutes=2)


def scaled_out(world, slot, tasks):
    """Auto scaling answered the traffic."""
    world.ecs.services[f"{SERVICE}-{slot}"]["desiredCount"] = tasks
    world.serve(slot, tasks)


def tick(world):
    judge_tick(Tick(), world.runtime)


@pytest.mark.parametrize("reach", ["shifted", "promoted"])
def test_the_slot_to_go_back_to_grows_with_the_traffic(world, reach):
    baking(world, getattr(world, reach)())
    scaled_out(world, "green", 5)
    tick(world)
    assert world.desired("blue") == 5
    assert world.record.full_capacity == 5
    assert "slot raised" in world.kinds()


def test_it_is_left_alone_while_it_is_large_enough(world):
    baking(world, world.shifted())
    world.calls.clear()
    tick(world)
    assert "update_service" not in world.writes()


def test_tasks_that_ecs_is_just_replacing_are_not_counted_twice(world):
    baking(world, world.promoted())
    world.serve("green", 4)
    tick(world)
    assert (world.desired("blue"), world.record.full_capacity) == (2, 2)


def test_a_raise_that_failed_is_tried_again_at_the_next_look(world):
    baking(world, world.promoted())
    scaled_out(world, "green", 5)
    world.fail("ecs", "update_service")
    tick(world)
    assert world.desired("blue") == 2
    tick(world)
    assert world.desired("blue") == 5


def test_going_back_measures_the_good_slot_by_what_the_traffic_needs_now(world):
    baking(world, world.promoted())
    scaled_out(world, "green", 5)
    tick(world)
    found = take_traffic_back(world.back(), world.runtime)
    assert (found.action, found.capacity) == ("raise", 5)
    assert world.weights() == (40, 60), "two of five tasks carry two fifths"


@pytest.mark.parametrize("phase", [Phase.ROLLING_BACK, Phase.WATCHING])
def test_nothing_grows_once_the_record_has_moved_on(world, phase):
    baking(world, world.promoted())
    scaled_out(world, "green", 5)
    # Between the look's own reading of the record and its write.
    world.just_before(
        "ecs", "describe_services", lambda: world.change(phase=phase, watch_until=None)
    )
    tick(world)
    assert world.desired("blue") == 2


def test_a_failing_candidate_is_taken_back_before_anything_grows(world):
    state = world.shifted()
    start_bake(BakeEvent(token="token-1", deployment=state), world.runtime)
    world.clock.advance(minutes=3)
    world.traffic("green", requests=LOTS, errors=50, minutes=2)
    scaled_out(world, "green", 5)
    tick(world)
    assert world.machines.answers == [("token-1", "failure", "JudgedBad")]
    assert world.desired("blue") == 2


def test_a_step_measures_by_the_most_that_was_ever_needed(world):
    state = world.shifted()
    world.change(full_capacity=8)
    with pytest.raises(CapacityShort, match="green has 2 healthy targets, 50 percent .* needs 4"):
        shift_traffic(state.model_copy(update={"step": 1}), world.runtime)
    assert world.desired("green") == 4


def test_a_live_slot_that_is_short_is_raised_and_the_shift_tried_again(world):
    state = world.shifted()
    state = state.model_copy(update={"step": 1})
    world.change(full_capacity=6)
    scaled_out(world, "green", 6)
    with pytest.raises(CapacityShort, match="blue has 2 healthy targets, 50 percent .* needs 3"):
        shift_traffic(state, world.runtime)
    assert world.desired("blue") == 3
    world.serve("blue", 3)
    assert shift_traffic(state, world.runtime).next == "bake"
