"""What was asked of ECS and may still land: said beforehand, and counted with by who comes next."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.deployments.model import ScaleIn
from greenlane.deployments.phases import Phase
from greenlane.deployments.stepping.finishing import finish_deployment
from greenlane.deployments.stepping.preparing import check_stability, prepare_slot
from greenlane.deployments.stepping.scale_in import (
    LANDS_WITHIN,
    announce_scale_in,
    staying,
    under_way,
)
from greenlane.errors import FenceLost, NotStable, UnstableCandidate
from infra.catalog import FUNCTIONS
from tests.builders import NOW, SERVICE, record
from tests.world import World

ASKERS = ("finish_deployment", "reconcile", "empty_slot")
seconds = st.floats(0, 300).map(lambda value: timedelta(seconds=value))
slots = st.sampled_from(["blue", "green"])


def scaled_in(slot="blue", tasks=1, at=NOW):
    return record(scaled_in=ScaleIn(slot=slot, tasks=tasks, at=at))


@given(slot=slots, asked=slots, tasks=st.integers(0, 9), healthy=st.integers(0, 9), later=seconds)
def test_no_more_tasks_are_counted_on_than_a_scale_in_leaves_until_it_cannot_land(
    slot, asked, tasks, healthy, later
):
    found = staying(scaled_in(asked, tasks), slot, healthy, NOW + later)
    if slot == asked and later < LANDS_WITHIN:
        assert found == min(healthy, tasks)
    else:
        assert found == healthy


def test_without_one_all_healthy_tasks_count():
    assert under_way(record(), "blue", NOW) is None
    assert staying(record(), "blue", 7, NOW) == 7


def test_it_covers_the_whole_life_of_each_function_that_asks_and_half_a_minute_more():
    limits = {spec.module: spec.timeout_seconds for spec in FUNCTIONS}
    for module in ASKERS:
        assert timedelta(seconds=limits[module] + 30) <= LANDS_WITHIN, module


def letting_go(world: World):
    """A deployment whose 30 minutes are over, with traffic on the candidate only."""
    state = world.promoted()
    world.clock.advance(minutes=31)
    world.traffic("green", requests=100)
    return state


def test_the_record_says_what_is_asked_before_ecs_is(world):
    state, seen = letting_go(world), []
    world.just_before("ecs", "update_service", lambda: seen.append(world.record.scaled_in))
    finish_deployment(state, world.runtime)
    assert seen == [ScaleIn(slot="blue", tasks=1, at=world.clock.now())]
    assert world.record.scaled_in == seen[0], "it stays: the call may have been sent twice"


def test_a_slot_that_is_small_enough_already_has_nothing_that_could_land(world):
    state = letting_go(world)
    world.ecs.services[f"{SERVICE}-blue"]["desiredCount"] = 1
    finish_deployment(state, world.runtime)
    assert world.record.scaled_in is None


def test_once_a_rollback_began_nothing_is_announced(world):
    world.promoted()
    record = world.record
    world.change(epoch=record.epoch + 1, phase=Phase.ROLLING_BACK)
    with pytest.raises(FenceLost):
        announce_scale_in(world.runtime, record, slot="blue", tasks=0)
    assert world.record.scaled_in is None


def next_one(world):
    """The next deployment, whose candidate is the slot that was let go, on two healthy tasks."""
    state = prepare_slot(
        world.planned(deployment_id="d-2", image=None, task_definition=f"{SERVICE}:1"),
        world.runtime,
    )
    world.serve("blue", 2)
    return state


def test_a_next_deployment_waits_until_nothing_can_take_its_tasks(world):
    finish_deployment(letting_go(world), world.runtime)
    world.clock.advance(seconds=10)
    state = next_one(world)
    world.clock.advance(seconds=79)
    with pytest.raises(NotStable, match=r"asked for 1 tasks, which may land until \d"):
        check_stability(state, world.runtime)
    world.clock.advance(seconds=1)
    assert check_stability(state, world.runtime).probe is not None


def test_what_is_under_way_in_the_slot_with_the_traffic_is_not_waited_for(world):
    finish_deployment(letting_go(world), world.runtime)
    world.change(scaled_in=ScaleIn(slot="green", tasks=0, at=world.clock.now()))
    assert check_stability(next_one(world), world.runtime).probe is not None


def test_the_wait_does_not_count_against_the_time_to_become_stable(world):
    quick = {"strategy": "canary", "steps": [10, 50, 100], "stability_timeout": "1m"}
    world.configure(deployment=quick)
    finish_deployment(letting_go(world), world.runtime)
    state = next_one(world)
    world.serve("blue", 1)
    world.clock.advance(seconds=149)
    with pytest.raises(NotStable):
        check_stability(state, world.runtime)
    world.clock.advance(seconds=1)
    with pytest.raises(UnstableCandidate):
        check_stability(state, world.runtime)


def test_what_is_announced_while_the_next_deployment_plans_is_carried_along(world):
    state = letting_go(world)
    asked = ScaleIn(slot="blue", tasks=1, at=datetime(2026, 11, 23, 13, tzinfo=UTC))
    finish_deployment(state, world.runtime)

    def announce():
        world.change(scaled_in=asked, updated_at=asked.at)

    # The plan is kept first, then the lease is taken.
    world.just_before("dynamodb", "put_item", announce, skip=1)
    world.planned(deployment_id="d-2", image=None, task_definition=f"{SERVICE}:1")
    record = world.record
    assert (record.deployment_id, record.phase) == ("d-2", Phase.PLANNING)
    assert record.scaled_in == asked
