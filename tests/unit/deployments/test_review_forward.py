"""What a forward step may meet: a late start of its own, a live slot that is ill."""

import pytest

from greenlane.deployments.stepping.baking import BakeEvent, start_bake
from greenlane.deployments.stepping.shifting import shift_traffic
from greenlane.errors import CapacityShort, FenceLost


def test_a_bake_that_starts_after_the_machine_went_on_leaves_the_next_step_alone(world):
    state = world.shifted(step=0)
    shift_traffic(state.model_copy(update={"step": 1}), world.runtime)
    before = world.record
    with pytest.raises(FenceLost):
        start_bake(BakeEvent(token="late", deployment=state), world.runtime)
    assert world.record == before


def test_a_cure_gets_its_weight_whatever_the_ill_slot_can_carry(world):
    world.alarm(world.alarm_of("blue"), "ALARM")
    world.serve("blue", 0, sick=2)
    state = world.stable(despite_alarms="the cure")
    shift_traffic(state, world.runtime)
    assert world.weights() == (90, 10)


def test_a_live_slot_that_shrank_keeps_a_deployment_that_is_no_cure_from_shifting(world):
    state = world.stable()
    world.serve("blue", 1)
    with pytest.raises(CapacityShort):
        shift_traffic(state, world.runtime)
