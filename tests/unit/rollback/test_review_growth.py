"""What a slot must carry on the way back, and how long that may take."""

import pytest

from greenlane.deployments.stepping.finishing import finish_deployment
from greenlane.errors import Held, NotSettled
from greenlane.rollback.settle import hold_traffic
from greenlane.rollback.take_back import take_traffic_back
from tests.builders import SERVICE
from tests.fakes import timeout


def watching(world):
    state = world.promoted()
    world.clock.advance(minutes=31)
    world.traffic("green", requests=100)
    return finish_deployment(state, world.runtime)


def taken_back(world, kind="alarm", **more):
    return take_traffic_back(world.back(kind, **more), world.runtime)


def grown_since(world, tasks):
    """The new version has been serving for hours, with more tasks than there were before."""
    watching(world)
    world.clock.advance(hours=5)
    world.serve("blue", 1)
    world.ecs.services[f"{SERVICE}-green"]["desiredCount"] = tasks
    world.serve("green", tasks)


def test_a_slot_that_was_let_go_grows_to_what_the_traffic_needs_now(world):
    grown_since(world, 10)
    rollback = taken_back(world)
    assert (rollback.action, world.weights()) == ("raise", (10, 90))
    with pytest.raises(NotSettled, match="growing"):
        hold_traffic(rollback, world.runtime)
    assert world.desired("blue") == 10
    world.serve("blue", 5)
    with pytest.raises(NotSettled, match="growing"):
        hold_traffic(rollback, world.runtime)
    assert world.weights() == (50, 50)
    world.serve("blue", 10)
    with pytest.raises(NotSettled, match="late"):
        hold_traffic(rollback, world.runtime)
    assert world.weights() == (100, 0)


def test_a_floor_of_the_old_size_is_not_taken_for_the_size_that_is_needed(world):
    grown_since(world, 10)
    world.serve("blue", 2)
    rollback = taken_back(world)
    assert (rollback.action, world.weights()) == ("raise", (20, 80))


def test_a_scale_down_that_was_on_its_way_is_waited_for(world):
    watching(world)
    world.serve("blue", 2)
    rollback = taken_back(world)
    world.clock.advance(seconds=89)
    with pytest.raises(NotSettled, match="growing"):
        hold_traffic(rollback, world.runtime)
    assert world.weights() == (50, 50)
    world.clock.advance(seconds=1)
    assert hold_traffic(rollback, world.runtime).fenced
    assert world.weights() == (100, 0)


def test_a_slot_that_does_not_grow_is_held_after_an_hour(world):
    grown_since(world, 4)
    rollback = taken_back(world)
    world.clock.advance(minutes=59)
    with pytest.raises(NotSettled):
        hold_traffic(rollback, world.runtime)
    world.clock.advance(minutes=1)
    with pytest.raises(Held, match="did not grow"):
        hold_traffic(rollback, world.runtime)


def test_what_keeps_failing_beside_the_table_is_held_after_an_hour(world):
    world.shifted()
    rollback = taken_back(world)
    world.clock.advance(hours=1)
    world.fail("ecs", "describe_services", "ServerException", times=9)
    with pytest.raises(Held, match="ServerException"):
        hold_traffic(rollback, world.runtime)


def test_without_the_table_the_weights_are_watched_for_longer_than_an_hour(world):
    world.shifted()
    rollback = taken_back(world)
    world.clock.advance(hours=3)
    world.fail("dynamodb", "*", timeout(), times=99)
    with pytest.raises(NotSettled):
        hold_traffic(rollback, world.runtime)
