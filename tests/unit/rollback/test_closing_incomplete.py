"""A rollback whose bad slot could not be emptied ends by what the weights say then."""

import pytest

from greenlane.deployments.phases import Phase
from greenlane.rollback.closing import close_rollback
from greenlane.rollback.model import CloseEvent
from greenlane.rollback.settle import hold_traffic
from greenlane.rollback.take_back import take_traffic_back
from tests.builders import SERVICE
from tests.fakes import BACK

FAILED = {"Error": "NotDrained", "Cause": '{"errorMessage": "green has weight"}'}


@pytest.fixture
def settled(world):
    """Its traffic is back; then its bad slot does not drain."""
    world.shifted()
    rollback = take_traffic_back(world.back(), world.runtime)
    world.clock.advance(minutes=6)
    return hold_traffic(rollback, world.runtime)


def close(world, rollback):
    event = CloseEvent(rollback=rollback, execution=BACK, failure=FAILED)
    return close_rollback(event, world.runtime)


def test_with_traffic_on_the_bad_slot_it_is_held_and_paged(world, settled):
    world.set_weights(90, 10)
    close(world, settled)
    assert world.record.phase is Phase.HELD
    assert world.topic.told[-1] == f"PAGE: Greenlane holds {SERVICE}, a person is needed"
    assert "green has traffic" in (world.record.reason or "")
    assert "NotDrained" in (world.record.reason or "")
    assert f"Greenlane took {SERVICE} back" not in world.topic.told


def test_a_hold_whose_answer_got_lost_is_told_by_the_next_try(world, settled):
    world.set_weights(0, 100)
    close(world, settled)
    world.topic.told.clear()
    close(world, settled)
    assert world.record.phase is Phase.HELD
    assert f"Greenlane took {SERVICE} back" not in world.topic.told


def test_without_traffic_on_the_bad_slot_it_is_rolled_back(world, settled):
    close(world, settled)
    assert world.record.phase is Phase.ROLLED_BACK
    assert "not known" not in str(world.topic.messages[-1])


def test_a_look_that_fails_is_said_and_ends_it_as_before(world, settled):
    world.fail("elbv2", "describe_rules", "AccessDeniedException")
    close(world, settled)
    assert world.record.phase is Phase.ROLLED_BACK
    assert "not known whether green has traffic" in str(world.topic.messages[-1])


def test_an_end_without_a_failure_does_not_look(world, settled):
    world.calls.clear()
    close_rollback(CloseEvent(rollback=settled, execution=BACK), world.runtime)
    assert ("elbv2", "describe_rules") not in world.calls
