"""Going back to a slot while ECS may still stop its tasks: what it leaves counts, no more."""

import pytest

from greenlane.deployments.model import ScaleIn
from greenlane.deployments.phases import Phase
from greenlane.errors import NotSettled
from greenlane.rollback.settle import empty_slot, hold_traffic
from greenlane.rollback.take_back import take_traffic_back


def let_go(world, tasks, *, ago=0):
    """The old slot has just been asked to shrink, and still looks whole."""
    world.promoted()
    phase = Phase.WATCHING if tasks else Phase.RETIRED
    asked = ScaleIn(slot="blue", tasks=tasks, at=world.clock.now())
    world.change(phase=phase, scaled_in=asked)
    world.clock.advance(seconds=ago)
    world.serve("blue", 2)


def go_back(world):
    world.calls.clear()
    return take_traffic_back(world.back(), world.runtime)


def test_tasks_that_may_be_stopped_any_moment_get_no_traffic(world):
    let_go(world, 0)
    found = go_back(world)
    assert (found.action, world.weights()) == ("raise", (0, 100))
    assert ("elbv2", "modify_rule") not in world.calls


def test_the_tasks_that_stay_get_their_share_at_once(world):
    let_go(world, 1)
    found = go_back(world)
    assert (found.action, world.weights()) == ("raise", (50, 50))


@pytest.mark.parametrize("tasks", [0, 1])
def test_the_history_says_why_a_slot_that_looks_whole_has_to_wait(world, tasks):
    let_go(world, tasks)
    go_back(world)
    (event,) = [one for one in world.store.history("d-1") if one.kind == "rollback began"]
    assert f"blue was being scaled in to {tasks} tasks; until " in event.detail["waits"]


@pytest.mark.parametrize("tasks", [0, 1])
def test_when_nothing_can_land_any_more_the_slot_counts_as_it_looks(world, tasks):
    let_go(world, tasks, ago=90)
    found = go_back(world)
    assert (found.action, world.weights()) == ("raise", (100, 0))
    (event,) = [one for one in world.store.history("d-1") if one.kind == "rollback began"]
    assert "waits" not in event.detail


def test_a_scale_in_of_the_other_slot_says_nothing_of_this_one(world):
    let_go(world, 0)
    world.change(scaled_in=ScaleIn(slot="green", tasks=0, at=world.clock.now()))
    go_back(world)
    assert world.weights() == (100, 0)


def test_tasks_that_may_be_stopped_are_better_than_none(world):
    let_go(world, 0)
    world.serve("green", 0, sick=2)
    assert go_back(world).action == "raise"
    assert world.weights() == (100, 0)


@pytest.mark.parametrize(("tasks", "share"), [(0, (0, 100)), (1, (50, 50))])
def test_the_rest_follows_as_soon_as_nothing_can_land_any_more(world, tasks, share):
    let_go(world, tasks, ago=30)
    rollback = go_back(world)
    world.clock.advance(seconds=59)
    with pytest.raises(NotSettled, match="growing"):
        hold_traffic(rollback, world.runtime)
    assert world.weights() == share
    world.clock.advance(seconds=1)
    with pytest.raises(NotSettled, match="late"):
        hold_traffic(rollback, world.runtime)
    assert world.weights() == (100, 0)


def test_a_slot_that_is_asked_to_shrink_late_grows_again_before_it_gets_traffic(world):
    let_go(world, 0)
    rollback = go_back(world)
    world.ecs.services["claude-manager-blue"]["desiredCount"] = 0
    world.serve("blue", 0)
    world.clock.advance(seconds=91)
    with pytest.raises(NotSettled, match="growing"):
        hold_traffic(rollback, world.runtime)
    assert (world.desired("blue"), world.weights()) == (2, (0, 100))
    world.serve("blue", 2)
    hold_traffic(rollback, world.runtime)
    assert world.weights() == (100, 0)


def test_a_rollback_that_is_taken_over_counts_the_same(world):
    let_go(world, 0)
    go_back(world)
    world.machines.statuses[world.record.rollback_execution] = "ABORTED"
    found = take_traffic_back(world.back(execution="arn:aws:states:another"), world.runtime)
    assert (found.action, world.weights()) == ("raise", (0, 100))


def test_what_a_rollback_asks_for_the_bad_slot_is_announced_too(world):
    world.stable()
    rollback = take_traffic_back(world.back("person"), world.runtime)
    world.clock.advance(minutes=1)
    seen = []
    world.just_before("ecs", "update_service", lambda: seen.append(world.record.scaled_in))
    empty_slot(rollback, world.runtime)
    assert seen == [ScaleIn(slot="green", tasks=0, at=world.clock.now())]
