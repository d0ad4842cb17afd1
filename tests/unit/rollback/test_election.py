from datetime import timedelta

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from greenlane.deployments.phases import Phase
from greenlane.rollback.election import NotElected, begin, take_over
from tests.builders import NOW, SERVICE, record
from tests.fakes import BACK, timeout

REACH = {
    "alarm": set(Phase) - {Phase.HELD, Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.REFUSED},
    "person": set(Phase) - {Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.REFUSED},
    "reconciler": set(Phase) - {Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.REFUSED},
    "execution": {Phase.PLANNING, Phase.PREPARING, Phase.SHIFTING},
    "failure": {Phase.PLANNING, Phase.PREPARING, Phase.SHIFTING, Phase.PROMOTED},
    "alertmanager": {Phase.SHIFTING, Phase.PROMOTED, Phase.WATCHING},
    "ecs": {Phase.PREPARING, Phase.SHIFTING},
}
PRIMARY = "green-1"


def kept(world, **changes):
    alarms = world.workload.slots["green"].alarms
    given = {"trigger_alarms": alarms, "epoch": 3, "primary_deployment": PRIMARY}
    return world.store.acquire(record(**given | changes))


def named(kind):
    """What `World.back` needs besides to be of the candidate's own."""
    return {"trigger": {"name": PRIMARY}} if kind == "ecs" else {}


def elect(world, event):
    return begin(world.store, SERVICE, event.request, event.execution, world.clock.now())


@pytest.mark.parametrize("kind", sorted(REACH))
def test_a_trigger_reaches_exactly_its_phases(world, kind):
    for phase in Phase:
        world.store.client.delete_item(
            TableName="greenlane-deployments",
            Key={"pk": {"S": f"SERVICE#{SERVICE}"}, "sk": {"S": "RECORD"}},
        )
        before = kept(world, phase=phase, settled_by=NOW)
        if phase in REACH[kind]:
            found = elect(world, world.back(kind, **named(kind)))
            assert (found.phase, found.epoch) == (Phase.ROLLING_BACK, 4)
            assert (found.previous_phase, found.rollback_execution) == (phase, BACK)
            assert found.trigger.kind == kind
        else:
            with pytest.raises(NotElected) as lost:
                elect(world, world.back(kind, **named(kind)))
            assert lost.value.record == before == world.record


@pytest.mark.parametrize("name", ["ClientError", "States.Timeout", "Lambda.Unknown", "Refused"])
def test_dying_of_an_accident_after_promotion_is_not_a_reason_to_go_back(world, name):
    before = kept(world, phase=Phase.PROMOTED)
    with pytest.raises(NotElected):
        elect(world, world.back("failure", trigger={"name": name}))
    assert world.record == before
    shifting = world.change(phase=Phase.SHIFTING)
    found = elect(world, world.back("failure", trigger={"name": name}))
    assert found.previous_phase is shifting.phase


def test_everything_else_of_the_record_stays(world):
    before = kept(world, weight=50, step=1, bake_token="token", reason="why")
    found = elect(world, world.back())
    changed = {
        *("phase", "previous_phase", "epoch", "rollback_execution"),
        *("trigger", "observed_dead_at", "updated_at"),
    }
    assert {
        name for name in type(found).model_fields if getattr(found, name) != getattr(before, name)
    } <= changed


def test_only_the_deployments_own_alarms_count(world):
    before = kept(world)
    for name in (world.alarm_of("blue"), "claude-manager-green", "other-green-error-rate"):
        with pytest.raises(NotElected) as lost:
            elect(world, world.back(trigger={"name": name}))
        assert lost.value.record == before


OUTSIDE = ["alarm", "alertmanager", "ecs"]


def seen(world, kind, **trigger):
    return world.back(kind, trigger=named(kind).get("trigger", {}) | trigger)


@pytest.mark.parametrize("kind", OUTSIDE)
def test_what_was_seen_before_the_deployment_began_is_stale(world, kind):
    kept(world)
    with pytest.raises(NotElected):
        elect(world, seen(world, kind, at=NOW - timedelta(milliseconds=1)))
    assert elect(world, seen(world, kind, at=NOW)).phase is Phase.ROLLING_BACK


@pytest.mark.parametrize("kind", OUTSIDE)
def test_what_tells_of_the_other_slot_is_none_of_the_candidates(world, kind):
    before = kept(world)
    with pytest.raises(NotElected) as lost:
        elect(world, seen(world, kind, slot="blue"))
    assert lost.value.record == before
    assert elect(world, seen(world, kind, slot="green")).phase is Phase.ROLLING_BACK


@pytest.mark.parametrize("primary", ["green-2", None])
def test_another_deployment_of_the_same_ecs_service_is_not_ours(world, primary):
    kept(world, primary_deployment=primary)
    with pytest.raises(NotElected):
        elect(world, seen(world, "ecs"))


def test_an_alert_counts_until_the_watch_ends(world):
    kept(world, phase=Phase.WATCHING, watch_until=NOW + timedelta(hours=1))
    world.clock.advance(hours=1)
    with pytest.raises(NotElected):
        elect(world, seen(world, "alertmanager"))
    world.clock.advance(seconds=-1)
    assert elect(world, seen(world, "alertmanager")).previous_phase is Phase.WATCHING


def test_an_alarm_of_a_slot_that_still_starts_waits_for_it_to_be_stable(world):
    before = kept(world, phase=Phase.PREPARING)
    with pytest.raises(NotElected):
        elect(world, world.back("alarm"))
    assert world.record == before
    world.change(settled_by=NOW)
    assert elect(world, world.back("alarm")).previous_phase is Phase.PREPARING


def test_an_alarm_counts_until_the_watch_ends(world):
    kept(world, phase=Phase.WATCHING, watch_until=NOW + timedelta(hours=1))
    world.clock.advance(hours=1)
    with pytest.raises(NotElected):
        elect(world, world.back())
    world.clock.advance(seconds=-1)
    assert elect(world, world.back()).previous_phase is Phase.WATCHING


def test_a_person_may_go_back_after_the_watch(world):
    kept(world, phase=Phase.RETIRED, watch_until=NOW - timedelta(hours=1))
    assert elect(world, world.back("person")).previous_phase is Phase.RETIRED


@pytest.mark.parametrize("kind", ["execution", "failure", "person", "reconciler"])
def test_a_trigger_acts_only_for_the_deployment_that_owns_the_lease(world, kind):
    before = kept(world, deployment_id="d-2")
    with pytest.raises(NotElected) as lost:
        elect(world, world.back(kind))
    assert lost.value.record == before


def test_of_two_triggers_one_is_elected_and_the_other_learns_by_whom(world):
    kept(world)
    first = elect(world, world.back("alarm", execution="first"))
    for kind in REACH:
        with pytest.raises(NotElected) as lost:
            elect(world, world.back(kind, execution="second"))
        assert lost.value.record == first
    assert world.record.rollback_execution == "first"


def test_a_service_without_a_record_has_nothing_to_go_back_from(world):
    with pytest.raises(NotElected) as lost:
        elect(world, world.back())
    assert lost.value.record is None


@pytest.mark.parametrize("problem", ["ThrottlingException", timeout()])
def test_a_table_that_does_not_answer_elects_nobody(world, problem):
    before = kept(world)
    world.fail("dynamodb", "update_item", problem)
    with pytest.raises((ClientError, ReadTimeoutError)):
        elect(world, world.back())
    assert world.record == before


def test_an_election_whose_answer_was_lost_is_recognised_by_its_execution(world):
    kept(world)
    world.fail("dynamodb", "update_item", timeout(), after=True)
    with pytest.raises(ReadTimeoutError):
        elect(world, world.back())
    with pytest.raises(NotElected) as lost:
        elect(world, world.back())
    assert lost.value.record.rollback_execution == BACK


def test_a_new_rollback_is_not_taken_for_dead_by_an_old_look(world):
    kept(world, observed_dead_at=NOW)
    assert elect(world, world.back("reconciler")).observed_dead_at is None


def test_a_dead_rollback_is_taken_over_once_with_the_next_epoch(world):
    kept(world)
    dead = elect(world, world.back(execution="dead"))
    taken = take_over(world.store, dead, "second", world.clock.now())
    assert (taken.epoch, taken.rollback_execution) == (dead.epoch + 1, "second")
    assert taken.previous_phase is Phase.SHIFTING
    assert taken.trigger == dead.trigger
    with pytest.raises(NotElected) as lost:
        take_over(world.store, dead, "third", world.clock.now())
    assert lost.value.record == taken


def test_an_ended_rollback_is_not_taken_over(world):
    kept(world)
    begun = elect(world, world.back(execution="dead"))
    world.store.update(begun, {"phase": Phase.ROLLED_BACK})
    with pytest.raises(NotElected):
        take_over(world.store, begun, "second", world.clock.now())
