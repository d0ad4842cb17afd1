"""A slot that serves is never stopped, whoever gave it its traffic."""

import pytest

from greenlane.deployments.phases import Phase
from greenlane.deployments.stepping.finishing import finish_deployment
from greenlane.deployments.stepping.judging import Tick
from greenlane.errors import NotDrained
from greenlane.rollback.reconcile import reconcile
from greenlane.rollback.settle import empty_slot, hold_traffic
from greenlane.rollback.take_back import take_traffic_back
from tests.fakes import FORWARD


def tick(world, **later):
    world.clock.advance(**later)
    reconcile(Tick(), world.runtime)


def watching(world):
    state = world.promoted()
    world.clock.advance(minutes=31)
    world.traffic("green", requests=100)
    return finish_deployment(state, world.runtime)


def taken_back(world, kind="alarm", **more):
    return take_traffic_back(world.back(kind, **more), world.runtime)


@pytest.mark.parametrize("weights", [(100, 0), (1, 99)])
def test_a_slot_that_somebody_gave_traffic_by_hand_is_not_let_go_when_the_watch_ends(
    world, weights
):
    watching(world)
    world.machines.statuses[FORWARD] = "SUCCEEDED"
    world.set_weights(*weights)
    tick(world, hours=24)
    for _ in range(3):
        tick(world, minutes=1)
    assert world.desired("blue") == 1
    world.set_weights(0, 100)
    tick(world, minutes=1)
    assert (world.record.phase, world.desired("blue")) == (Phase.RETIRED, 0)


def test_an_end_does_not_let_go_of_a_slot_that_serves(world):
    state = world.promoted()
    world.set_weights(50, 50)
    with pytest.raises(NotDrained, match="has weight"):
        finish_deployment(state, world.runtime)
    assert world.desired("blue") == 2


def test_an_abandoned_slot_that_somebody_gave_traffic_is_not_emptied(world):
    world.stable()
    rollback = taken_back(world)
    world.set_weights(50, 50)
    world.clock.advance(minutes=2)
    with pytest.raises(NotDrained, match="has weight"):
        empty_slot(hold_traffic(rollback, world.runtime), world.runtime)
    assert world.desired("green") == 2
