"""The task before traffic of a deployment that goes back."""

from greenlane.rollback.settle import empty_slot
from greenlane.rollback.take_back import take_traffic_back
from tests.builders import SERVICE


def taken_back(world):
    """A rollback whose traffic is back."""
    return take_traffic_back(world.back("alarm"), world.runtime)


def test_the_task_before_traffic_is_stopped_with_the_slot_it_ran_for(world):
    world.stable()
    task = f"arn:aws:ecs:eu-west-1:123456789012:task/{SERVICE}/1"
    world.change(pre_task=task)
    rollback = taken_back(world)
    empty_slot(rollback, world.runtime)
    assert world.ecs.stopped == [task]


def test_a_task_that_has_ended_is_left_alone(world):
    world.stable()
    world.change(pre_task="task-1", pre_task_done=True)
    empty_slot(taken_back(world), world.runtime)
    assert world.ecs.stopped == []
