from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from greenlane.deployments.client import Greenlane
from greenlane.deployments.phases import Phase
from greenlane.deployments.stepping.finishing import drain_slot, finish_deployment, promote
from greenlane.errors import FenceLost, NotDrained, WeightsDrifted
from greenlane.rollback.take_back import take_traffic_back
from tests.builders import NOW, SERVICE
from tests.fakes import timeout


def promotable(world):
    return world.shifted(step=2).model_copy(update={"step": 3, "next": "promote"})


def watched(world):
    """A deployment whose 30 minutes are over, with traffic on the candidate only."""
    state = world.promoted()
    world.clock.advance(minutes=31)
    world.traffic("green", requests=100)
    return state


def test_promotion_begins_the_watch_and_keeps_the_old_slot_at_full_size(world):
    found = promote(promotable(world), world.runtime)
    assert (found.next, found.bake_seconds) == ("bake", 1800)
    record = world.record
    assert (record.phase, record.step, record.promoted_at) == (Phase.PROMOTED, 3, NOW)
    assert record.watch_until == NOW + timedelta(hours=24)
    assert (world.desired("blue"), world.weights()) == (2, (0, 100))
    assert world.topic.told[-1] == f"Greenlane promoted {SERVICE}"


@pytest.mark.parametrize("weights", [(50, 50), (100, 0), (2, 1)])
def test_without_all_of_the_traffic_nothing_is_promoted(world, weights):
    state = promotable(world)
    world.set_weights(*weights)
    with world.untouched(), pytest.raises(WeightsDrifted):
        promote(state, world.runtime)


def test_a_promotion_that_is_repeated_does_not_begin_the_watch_again(world):
    state = promotable(world)
    promote(state, world.runtime)
    world.clock.advance(minutes=2)
    promote(state, world.runtime)
    assert world.record.promoted_at == NOW


def test_a_rollback_that_began_is_not_promoted_over(world):
    state = promotable(world)
    take_traffic_back(world.back(), world.runtime)
    with world.untouched(), pytest.raises(FenceLost):
        promote(state, world.runtime)


def test_telling_people_never_stops_a_promotion(world):
    state = promotable(world)
    world.fail("sns", "publish", timeout())
    promote(state, world.runtime)
    assert world.record.phase is Phase.PROMOTED


def test_the_old_slot_is_drained_when_it_serves_nothing(world):
    state = world.promoted()
    world.clock.advance(minutes=4)
    world.traffic("green", requests=100)
    assert drain_slot(state, world.runtime) == state
    world.traffic("blue", requests=1, minutes=2)
    with pytest.raises(NotDrained, match="blue served 1 requests"):
        drain_slot(state, world.runtime)


def test_draining_has_an_end(world):
    state = world.promoted()
    world.clock.advance(minutes=4)
    world.traffic("blue", requests=1)
    with pytest.raises(NotDrained):
        drain_slot(state, world.runtime)
    world.clock.advance(minutes=1)
    assert drain_slot(state, world.runtime) == state


def test_weight_speaks_against_draining_even_after_the_deadline(world):
    state = watched(world)
    world.set_weights(1, 99)
    with pytest.raises(NotDrained, match="has weight"):
        drain_slot(state, world.runtime)


def test_the_end_of_the_watch_frees_the_lease_and_keeps_a_floor(world):
    finish_deployment(watched(world), world.runtime)
    record = world.record
    assert (record.phase, record.scaling_rests) == (Phase.WATCHING, False)
    assert (world.desired("blue"), world.desired("green")) == (1, 2)
    assert world.scaling.of("blue")["MinCapacity"] == 1
    assert world.scaling.of("green")["MinCapacity"] == 2
    for slot in ("blue", "green"):
        assert set(world.scaling.of(slot)["SuspendedState"].values()) == {False}
    assert world.ecs.tags == {
        "green": {"Deployment": "active"},
        "blue": {"Deployment": "standby"},
    }
    assert world.topic.told[-1] == f"Greenlane deployed {SERVICE}"
    (line,) = world.store.deployments(SERVICE)
    assert (line.phase, line.ended_at) == (Phase.WATCHING, world.clock.now())


@pytest.mark.parametrize("changes", [{"warm_floor": 0}, {"watch": "30m", "extended_watch": "30m"}])
def test_without_floor_or_extended_watch_the_old_slot_goes_at_once(world, changes):
    deployment = {"strategy": "canary", "steps": [10, 50, 100]} | changes
    world.configure(deployment=deployment)
    finish_deployment(watched(world), world.runtime)
    assert (world.record.phase, world.desired("blue")) == (Phase.RETIRED, 0)
    assert world.scaling.of("blue")["MinCapacity"] == 0


def test_the_phase_moves_before_anything_is_let_go(world):
    state = watched(world)
    seen = []
    for service, operation in (
        ("ecs", "update_service"),
        ("application-autoscaling", "register_scalable_target"),
    ):
        world.just_before(service, operation, lambda: seen.append(world.record.phase))
    finish_deployment(state, world.runtime)
    assert seen == [Phase.WATCHING, Phase.WATCHING]


@pytest.mark.parametrize("writes", [1, 2])
def test_an_alarm_in_the_second_of_the_scale_down_still_finds_a_slot_to_go_back_to(world, writes):
    state = watched(world)
    world.just_before(
        "dynamodb",
        "update_item",
        lambda: take_traffic_back(world.back(), world.runtime),
        skip=writes,
    )
    with pytest.raises(FenceLost):
        finish_deployment(state, world.runtime)
    assert (world.weights(), world.desired("blue")) == ((100, 0), 2)


@pytest.mark.parametrize("given_back", [0, 1])
def test_an_alarm_while_auto_scaling_is_given_back_keeps_the_slot(world, given_back):
    state = watched(world)
    world.just_before(
        "application-autoscaling",
        "register_scalable_target",
        lambda: take_traffic_back(world.back(), world.runtime),
        skip=given_back,
    )
    with pytest.raises(FenceLost):
        finish_deployment(state, world.runtime)
    assert (world.weights(), world.desired("blue")) == ((100, 0), 2)


def test_an_alarm_just_before_the_end_wins(world):
    state = watched(world)
    world.just_before(
        "dynamodb", "update_item", lambda: take_traffic_back(world.back(), world.runtime)
    )
    with pytest.raises(FenceLost):
        finish_deployment(state, world.runtime)
    assert (world.weights(), world.desired("blue")) == ((100, 0), 2)


def next_one(world):
    world.planned(deployment_id="d-2", image=None, task_definition=f"{SERVICE}:1")


def outcome(world):
    """What the one who waits for the deployment is told."""
    connection: Any = SimpleNamespace(store=world.store, outcome_of_execution=None)
    return Greenlane(connection).outcome(SERVICE, "d-1")


@pytest.mark.parametrize(
    ("service", "operation", "skip"),
    [
        ("ecs", "describe_services", 0),
        ("sns", "publish", 0),
        ("dynamodb", "update_item", 1),
        ("dynamodb", "update_item", 2),
    ],
)
def test_a_new_deployment_in_that_second_keeps_its_slot(world, service, operation, skip):
    state = watched(world)
    world.just_before(service, operation, lambda: next_one(world), skip=skip)
    assert finish_deployment(state, world.runtime) == state
    assert world.record.deployment_id == "d-2"
    assert world.desired("blue") == 2
    assert outcome(world).name == "succeeded"
    kinds = world.kinds()
    assert (kinds.count("succeeded"), kinds.count("next deployment took over")) == (1, 1)


def test_a_rollback_that_was_over_before_the_next_deployment_began_still_wins(world):
    state = watched(world)

    def back_and_on():
        take_traffic_back(world.back(), world.runtime)
        ended = world.change(phase=Phase.ROLLED_BACK)
        begun = {"deployment_id": "d-2", "epoch": ended.epoch + 1, "phase": Phase.PLANNING}
        world.store.acquire(ended.model_copy(update=begun))

    world.just_before("dynamodb", "update_item", back_and_on, skip=2)
    with pytest.raises(FenceLost):
        finish_deployment(state, world.runtime)


def test_the_success_is_known_before_the_old_slot_is_let_go(world):
    state = watched(world)
    seen = []
    world.just_before(
        "ecs", "update_service", lambda: seen.append((outcome(world).name, world.topic.told[-1]))
    )
    finish_deployment(state, world.runtime)
    assert seen == [("succeeded", f"Greenlane deployed {SERVICE}")]


def test_a_phase_write_whose_answer_was_lost_and_that_boto3_repeated_is_ours(world):
    state = watched(world)

    def first_attempt():
        world.change(phase=Phase.WATCHING, bake_token=None)

    world.just_before("dynamodb", "update_item", first_attempt)
    finish_deployment(state, world.runtime)
    assert (world.record.phase, world.desired("blue")) == (Phase.WATCHING, 1)
    assert world.topic.told.count(f"Greenlane deployed {SERVICE}") == 1


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("ecs", "update_service"),
        ("ecs", "describe_services"),
        ("application-autoscaling", "register_scalable_target"),
        ("dynamodb", "update_item"),
    ],
)
@pytest.mark.parametrize("after", [False, True])
def test_an_end_that_died_anywhere_is_finished_by_the_next_run(world, service, operation, after):
    state = watched(world)
    world.fail(service, operation, "ServiceUnavailable", after=after)
    with pytest.raises(ClientError):
        finish_deployment(state, world.runtime)
    finish_deployment(state, world.runtime)
    assert (world.record.phase, world.desired("blue")) == (Phase.WATCHING, 1)
    assert world.record.scaling_rests is False
    assert world.topic.told.count(f"Greenlane deployed {SERVICE}") == 1
    assert world.kinds().count("succeeded") == 1


def test_an_end_that_died_before_it_was_told_tells_the_next_time(world):
    state = watched(world)
    world.fail("dynamodb", "put_item")
    with pytest.raises(ClientError):
        finish_deployment(state, world.runtime)
    assert f"Greenlane deployed {SERVICE}" not in world.topic.told
    finish_deployment(state, world.runtime)
    assert world.topic.told.count(f"Greenlane deployed {SERVICE}") == 1


def test_tidying_up_decides_nothing(world):
    state = watched(world)
    world.fail("ecs", "tag_resource", "AccessDeniedException")
    finish_deployment(state, world.runtime)
    assert world.record.phase is Phase.WATCHING


def test_old_revisions_go_but_for_those_kept_and_those_in_use(world):
    deployment = {"strategy": "canary", "steps": [10, 50, 100], "keep_revisions": 1}
    world.configure(deployment=deployment)
    ours = [{"key": "greenlane:deployment", "value": "d-0"}]
    body = {"family": SERVICE, "containerDefinitions": [{"name": SERVICE, "image": "x"}]}
    old = world.ecs.register_task_definition(tags=ours, **body)
    theirs = world.ecs.register_task_definition(**body)
    finish_deployment(watched(world), world.runtime)
    assert world.ecs.gone == [old["taskDefinition"]["taskDefinitionArn"]]
    assert theirs["taskDefinition"]["taskDefinitionArn"] not in world.ecs.gone


def test_the_rules_tags_end_with_the_deployment(world):
    """They would send a later alarm back to a slot that is no longer there."""
    finish_deployment(watched(world), world.runtime)
    assert world.tags() == {}


@pytest.mark.parametrize("phase", [Phase.SHIFTING, Phase.ROLLING_BACK])
def test_only_a_promoted_deployment_ends_well(world, phase):
    state = watched(world)
    world.change(phase=phase)
    with world.untouched():
        for step in (drain_slot, finish_deployment):
            with pytest.raises(FenceLost):
                step(state, world.runtime)
