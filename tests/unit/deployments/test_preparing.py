from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from greenlane.deployments.model import Signal
from greenlane.deployments.phases import Phase
from greenlane.deployments.stepping.preparing import check_stability, prepare_slot
from greenlane.errors import (
    Aborted,
    DeadlineExceeded,
    FenceLost,
    NotStable,
    UnstableCandidate,
)
from tests.builders import NEW_IMAGE, NOW, SERVICE
from tests.fakes import Containers

HOOK = "arn:aws:lambda:eu-west-1:123456789012:function:greenlane-hook-smoke"


def abort(world):
    world.change(signal=Signal(name="abort", step=0, by="ada", at=NOW))


def rollback_begins(world):
    record = world.record
    world.change(epoch=record.epoch + 1, phase=Phase.ROLLING_BACK)


def test_the_idle_slot_gets_the_new_revision_and_the_live_slots_capacity(world):
    world.prepared()
    service = world.ecs.services[f"{SERVICE}-green"]
    assert service["desiredCount"] == 2
    body = world.ecs.definitions[service["taskDefinition"]]["taskDefinition"]
    assert [entry["image"] for entry in body["containerDefinitions"]] == [
        NEW_IMAGE,
        "sidecar@sha256:1",
    ]
    found = world.record
    assert (found.phase, found.task_definition) == (Phase.PREPARING, service["taskDefinition"])
    assert found.primary_deployment == "green-1"
    assert found.stable_by == NOW + timedelta(minutes=15)
    assert world.desired("blue") == 2


def test_a_live_slot_that_grew_since_planning_is_matched(world):
    state = world.planned()
    world.ecs.services[f"{SERVICE}-blue"]["desiredCount"] = 5
    prepare_slot(state, world.runtime)
    assert world.desired("green") == 5


def test_a_live_slot_that_shrank_since_planning_is_not(world):
    state = world.planned()
    world.ecs.services[f"{SERVICE}-blue"]["desiredCount"] = 1
    prepare_slot(state, world.runtime)
    assert world.desired("green") == 2


def test_size_and_environment_come_from_the_workloads_shape(world):
    shape = {"cpu": 512, "memory": 1024, "environment": {"B": "2"}}
    changed = world.workload.model_dump() | {"shape": shape}
    world.configure(workload=changed)
    world.prepared()
    body = world.ecs.definitions[world.record.task_definition]["taskDefinition"]
    assert (body["cpu"], body["memory"]) == ("512", "1024")
    assert body["containerDefinitions"][0]["environment"] == [{"name": "B", "value": "2"}]


def test_a_revision_is_registered_once_whatever_is_retried(world):
    state = world.planned()
    world.fail("ecs", "register_task_definition", "ServerException", after=True)
    with pytest.raises(ClientError):
        prepare_slot(state, world.runtime)
    prepare_slot(state, world.runtime)
    prepare_slot(state, world.runtime)
    assert len(world.ecs.definitions) == 2
    assert world.ecs.services[f"{SERVICE}-green"]["taskDefinition"].endswith(":2")


def test_a_task_definition_of_the_users_own_is_used_as_it_is(world):
    other = world.ecs.register_task_definition(
        family=SERVICE, containerDefinitions=[{"name": SERVICE, "image": NEW_IMAGE}]
    )["taskDefinition"]["taskDefinitionArn"]
    world.prepared(image=None, task_definition=other)
    assert world.record.task_definition == other
    assert world.plan().image == NEW_IMAGE
    assert len(world.ecs.definitions) == 2


def failed_before(world, state="FAILED"):
    """A revision of the user's own, on which ECS has given up in the idle slot already."""
    arn = world.ecs.register_task_definition(
        family=SERVICE, containerDefinitions=[{"name": SERVICE, "image": NEW_IMAGE}]
    )["taskDefinition"]["taskDefinitionArn"]
    service = world.ecs.services[f"{SERVICE}-green"]
    service["taskDefinition"] = arn
    service["deployments"][0] |= {"taskDefinition": arn, "rolloutState": state}
    return str(arn)


@pytest.mark.parametrize("state", ["FAILED", "IN_PROGRESS"])
def test_a_task_definition_that_failed_in_the_slot_before_is_tried_anew(world, state):
    again = failed_before(world, state)
    deployment = world.prepared(image=None, task_definition=again)
    assert world.record.primary_deployment == "green-1"
    unstable(world, deployment, "0 of 2 tasks run")
    world.serve("green", 2)
    check_stability(deployment, world.runtime)


def test_a_retry_does_not_try_anew_what_this_deployment_began(world):
    again = failed_before(world)
    deployment = world.prepared(image=None, task_definition=again)
    world.ecs.services[f"{SERVICE}-green"]["deployments"][0]["rolloutState"] = "FAILED"
    prepare_slot(deployment, world.runtime)
    assert world.record.primary_deployment == "green-1"
    with pytest.raises(UnstableCandidate, match="gave up"):
        check_stability(deployment, world.runtime)


def test_a_retry_after_a_lost_answer_does_not_begin_our_own_revision_anew(world):
    state = world.planned()
    world.fail("ecs", "update_service", "ServerException", after=True)
    with pytest.raises(ClientError):
        prepare_slot(state, world.runtime)
    world.ecs.services[f"{SERVICE}-green"]["deployments"][0]["rolloutState"] = "IN_PROGRESS"
    prepare_slot(state, world.runtime)
    assert world.record.primary_deployment == "green-1"


def test_a_task_definition_that_runs_well_in_the_slot_is_not_replaced_by_itself(world):
    again = failed_before(world, "COMPLETED")
    world.prepared(image=None, task_definition=again)
    assert world.record.primary_deployment == "green-0"


def test_scaling_is_recorded_before_it_rests(world):
    state = world.planned()
    seen = []
    world.just_before(
        "application-autoscaling",
        "register_scalable_target",
        lambda: seen.append(world.record.scaling),
    )
    prepare_slot(state, world.runtime)
    assert [target.min_capacity for target in seen[0]] == [2, 0]
    for slot in ("blue", "green"):
        assert world.scaling.of(slot)["SuspendedState"] == {
            "DynamicScalingInSuspended": True,
            "DynamicScalingOutSuspended": False,
            "ScheduledScalingSuspended": True,
        }
    assert world.scaling.of("blue")["MinCapacity"] == 2


def test_a_retry_does_not_record_the_rest_as_the_way_it_was(world):
    state = world.planned()
    world.fail("ecs", "update_service", "ServerException")
    with pytest.raises(ClientError):
        prepare_slot(state, world.runtime)
    prepare_slot(state, world.runtime)
    assert [target.dynamic_in for target in world.record.scaling] == [False, False]
    assert [target.scheduled for target in world.record.scaling] == [False, False]


def test_two_runs_at_once_record_the_scaling_as_it_was_before_either(world):
    state = world.planned()
    describe = world.scaling.describe_scalable_targets

    def after_another_run(**arguments):
        world.scaling.describe_scalable_targets = describe
        prepare_slot(state, world.runtime)
        return describe(**arguments)

    world.scaling.describe_scalable_targets = after_another_run
    prepare_slot(state, world.runtime)
    assert [target.dynamic_in for target in world.record.scaling] == [False, False]
    assert [target.scheduled for target in world.record.scaling] == [False, False]


def test_a_rollback_that_began_stops_the_slot_from_starting(world):
    state = world.planned()
    world.just_before("ecs", "register_task_definition", lambda: rollback_begins(world))
    with pytest.raises(FenceLost):
        prepare_slot(state, world.runtime)
    assert world.desired("green") == 0


def test_an_abort_or_the_deadline_ends_preparation(world):
    state = world.planned()
    world.clock.advance(hours=6)
    with pytest.raises(DeadlineExceeded):
        prepare_slot(state, world.runtime)
    abort(world)
    with pytest.raises(Aborted, match="ada"):
        prepare_slot(state, world.runtime)
    assert world.desired("green") == 0


def test_a_table_that_does_not_answer_stops_preparation(world):
    state = world.planned()
    world.fail("dynamodb", "get_item")
    with world.untouched(), pytest.raises(ClientError):
        prepare_slot(state, world.runtime)


def unstable(world, state, match):
    with pytest.raises(NotStable, match=match):
        check_stability(state, world.runtime)


def test_a_slot_is_stable_when_all_its_tasks_run_our_revision_and_are_healthy(world):
    state = world.prepared()
    unstable(world, state, "0 of 2 tasks run")
    world.serve("green", 1, sick=0)
    unstable(world, state, "1 of 2 tasks run")
    world.serve("green", 1, sick=1)
    unstable(world, state, "1 of 2 targets are healthy")
    world.serve("green", 2)
    found = check_stability(state, world.runtime)
    assert found.probe.targets == ("http://10.0.1.1:8000", "http://10.0.1.2:8000")
    assert world.record.settled_by == NOW + timedelta(minutes=5)


def test_more_tasks_than_wanted_are_not_stable_either(world):
    state = world.prepared()
    world.serve("green", 3)
    unstable(world, state, "3 of 2 tasks run")


def scaled_down_late(world, tasks=1):
    """What the end of the deployment before still wrote after ours prepared the same slot."""
    world.ecs.services[f"{SERVICE}-green"]["desiredCount"] = tasks
    world.scaling.of("green")["SuspendedState"]["DynamicScalingInSuspended"] = False


def test_a_slot_that_a_late_write_scaled_down_is_raised_again(world):
    state = world.prepared()
    world.serve("green", 2)
    scaled_down_late(world)
    unstable(world, state, "1 tasks are wanted, 2 carry the traffic")
    assert world.desired("green") == 2
    assert world.scaling.of("green")["SuspendedState"]["DynamicScalingInSuspended"]
    assert "slot raised" in world.kinds()
    check_stability(state, world.runtime)


def test_a_slot_below_the_workloads_minimum_is_raised_to_it(world):
    limits = {"capacity": {"min_tasks": 4, "max_tasks": 8}}
    world.configure(workload=world.workload.model_dump() | limits)
    state = world.prepared()
    scaled_down_late(world, 3)
    unstable(world, state, "3 tasks are wanted, 4 carry the traffic")
    assert world.desired("green") == 4


def test_a_rollback_that_began_keeps_the_slot_from_being_raised(world):
    state = world.prepared()
    scaled_down_late(world)
    world.just_before("ecs", "describe_services", lambda: rollback_begins(world))
    with pytest.raises(FenceLost):
        check_stability(state, world.runtime)
    assert world.desired("green") == 1
    assert not world.scaling.of("green")["SuspendedState"]["DynamicScalingInSuspended"]


def test_after_its_deadline_a_slot_is_not_raised_any_more(world):
    state = world.prepared()
    scaled_down_late(world)
    world.clock.advance(minutes=15)
    with pytest.raises(UnstableCandidate, match="1 tasks are wanted"):
        check_stability(state, world.runtime)
    assert world.desired("green") == 1


def test_tasks_of_a_revision_that_is_not_ours_are_not_raised(world):
    state = world.prepared()
    scaled_down_late(world)
    service = world.ecs.services[f"{SERVICE}-green"]
    service["deployments"][0]["taskDefinition"] = f"{Containers.FAMILY}:1"
    unstable(world, state, "not ours yet")
    assert world.desired("green") == 1


def test_a_healthy_target_of_the_old_revision_is_not_ours(world):
    state = world.prepared()
    world.serve("green", 2)
    world.ecs.tasks[f"{SERVICE}-green"]["10.0.1.2"] = f"{Containers.FAMILY}:1"
    unstable(world, state, r"10.0.1.2:8000 runs .*:1")


def test_a_revision_that_ecs_put_back_is_not_stable(world):
    state = world.prepared()
    world.serve("green", 2)
    service = world.ecs.services[f"{SERVICE}-green"]
    service["deployments"][0]["taskDefinition"] = f"{Containers.FAMILY}:1"
    unstable(world, state, "not ours yet")


def test_somebody_elses_deployment_of_the_slot_fails_it(world):
    state = world.prepared()
    world.serve("green", 2)
    world.ecs.services[f"{SERVICE}-green"]["deployments"][0]["id"] = "green-9"
    with pytest.raises(UnstableCandidate, match="green-9"):
        check_stability(state, world.runtime)


def test_ecs_giving_up_fails_it_at_once(world):
    state = world.prepared()
    world.ecs.services[f"{SERVICE}-green"]["deployments"][0]["rolloutState"] = "FAILED"
    with pytest.raises(UnstableCandidate, match="gave up"):
        check_stability(state, world.runtime)


def test_waiting_for_stability_has_an_end_that_retries_do_not_move(world):
    state = world.prepared()
    world.clock.advance(minutes=10)
    prepare_slot(state, world.runtime)
    unstable(world, state, "0 of 2")
    world.clock.advance(minutes=5)
    with pytest.raises(UnstableCandidate, match="not stable within the deadline"):
        check_stability(state, world.runtime)


def test_nothing_of_this_touches_traffic(world):
    world.stable()
    assert world.weights() == (100, 0)
    assert world.calls.count(("elbv2", "modify_rule")) == 1, "the rehearsal's"
