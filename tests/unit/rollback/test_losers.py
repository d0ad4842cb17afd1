"""A rollback that was not elected, and cannot ask whether the one that was still lives."""

import pytest

from greenlane.deployments.phases import Phase
from greenlane.deployments.stepping.judging import Tick
from greenlane.errors import FenceLost, Held, OwnerUnknown
from greenlane.rollback.model import RollbackEvent, RollbackRequest
from greenlane.rollback.reconcile import reconcile
from greenlane.rollback.settle import hold_traffic
from greenlane.rollback.take_back import take_traffic_back
from tests.fakes import timeout


def go_back(world, execution, kind="alarm", **more):
    return take_traffic_back(world.back(kind, execution=execution, **more), world.runtime)


@pytest.mark.parametrize("problem", ["AccessDeniedException", timeout()])
@pytest.mark.parametrize("kind", ["alarm", "person", "execution", "failure"])
def test_a_loser_that_cannot_ask_for_the_owner_comes_back_later(world, kind, problem):
    world.shifted()
    go_back(world, "first")
    before = world.record
    world.fail("stepfunctions", "describe_execution", problem)
    with pytest.raises(OwnerUnknown, match="first"):
        go_back(world, "second", kind)
    assert world.record == before
    assert go_back(world, "second", kind).action == "none"


def test_an_owner_so_young_that_step_functions_does_not_know_it_is_not_dead(world):
    world.shifted()
    go_back(world, "first")
    del world.machines.statuses["first"]
    with pytest.raises(OwnerUnknown):
        go_back(world, "second")
    world.clock.advance(seconds=60)
    assert go_back(world, "second").action == "settle"
    assert world.record.rollback_execution == "second"


def test_when_the_owner_has_ended_meanwhile_nobody_asks_for_it(world):
    world.shifted()
    go_back(world, "first")
    world.fail("stepfunctions", "describe_execution", times=9)
    with pytest.raises(OwnerUnknown):
        go_back(world, "second")
    world.change(phase=Phase.ROLLED_BACK)
    assert go_back(world, "second").action == "none"


def test_an_owner_that_the_reconciler_saw_dead_is_dead(world):
    """It looked twice, a minute apart, and by a role of its own."""
    world.shifted()
    go_back(world, "first")
    world.machines.statuses["first"] = "FAILED"
    for minutes in (0, 2):
        world.clock.advance(minutes=minutes)
        reconcile(Tick(), world.runtime)
    (started,) = world.machines.started
    world.fail("stepfunctions", "describe_execution", "AccessDeniedException")
    request = RollbackRequest.model_validate(started["input"])
    found = take_traffic_back(RollbackEvent(request=request, execution="second"), world.runtime)
    assert (found.action, world.record.rollback_execution) == ("settle", "second")


@pytest.mark.parametrize("name", ["died", "overdue", "claude-manager-green-error-rate"])
def test_what_the_reconciler_says_of_the_deployment_says_nothing_of_the_owner(world, name):
    world.shifted()
    go_back(world, "first")
    world.fail("stepfunctions", "describe_execution", "AccessDeniedException")
    with pytest.raises(OwnerUnknown):
        go_back(world, "second", "reconciler", trigger={"name": name})


def without_the_table(world):
    world.shifted()
    world.fail("dynamodb", "update_item")
    return go_back(world, "late")


def test_one_that_went_back_without_the_table_finds_another_has_ended_it(world):
    """The weights it wrote are those that the record asks for: nothing to look at."""
    rollback = without_the_table(world)
    go_back(world, "elected")
    world.change(phase=Phase.ROLLED_BACK)
    with pytest.raises(FenceLost, match="another rollback"):
        hold_traffic(rollback, world.runtime)


def test_one_that_went_back_without_the_table_and_wrongly_is_for_a_person(world):
    rollback = without_the_table(world)
    world.change(phase=Phase.WATCHING, watch_until=world.clock.now())
    with pytest.raises(Held, match="look at them"):
        hold_traffic(rollback, world.runtime)
