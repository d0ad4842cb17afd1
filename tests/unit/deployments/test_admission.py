from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from greenlane.deployments.phases import LEASED, Phase
from greenlane.deployments.stepping.admission import plan_deployment
from greenlane.errors import DeploymentInFlight, FenceLost, InvalidInput, Refused, UnknownService
from tests.builders import NEW_IMAGE, NOW, OLD_IMAGE, REGISTRY, SERVICE, record
from tests.fakes import FORWARD, client


def refused(world, match, error=Refused, **asked):
    """Planning says no for this reason, tells it, and changes nothing."""
    with world.untouched(), pytest.raises(error, match=match) as said:
        world.planned(**asked)
    assert world.kinds() == ["refused"]
    (line,) = world.store.history("d-1")
    assert line.detail["reason"] == str(said.value)
    assert line.detail["error"] == error.__name__
    assert world.topic.told == [f"Greenlane refused to deploy {SERVICE}"]
    assert world.writes() == []


def test_a_plan_is_what_the_live_system_and_the_request_say(world):
    state = world.planned()
    assert (state.epoch, state.step, state.next, state.bake_seconds) == (1, 0, "shift", 300)
    plan = world.plan()
    assert (plan.live, plan.candidate, plan.full_capacity) == ("blue", "green", 2)
    assert (plan.image, plan.container) == (NEW_IMAGE, SERVICE)
    assert [step.weight for step in plan.steps] == [10, 50, 100, 100]
    assert plan.deadline == NOW + timedelta(hours=6)
    found = world.record
    assert (found.phase, found.epoch, found.execution) == (Phase.PLANNING, 1, FORWARD)
    assert found.trigger_alarms == world.workload.slots["green"].alarms
    assert world.kinds() == ["planned"]
    (line,) = world.store.deployments(SERVICE)
    assert (line.deployment_id, line.phase, line.ended_at) == ("d-1", Phase.PLANNING, None)


def test_who_is_live_is_read_from_the_rule(world):
    world.set_weights(0, 100)
    world.ecs.services[f"{SERVICE}-green"]["desiredCount"] = 3
    world.serve("green", 3)
    world.planned()
    plan = world.plan()
    assert (plan.live, plan.candidate, plan.full_capacity) == ("green", "blue", 3)
    assert world.record.trigger_alarms == world.workload.slots["blue"].alarms


def test_the_way_back_is_written_and_rehearsed_before_any_weight_moves(world):
    sticky = {"Enabled": True, "DurationSeconds": 600}
    world.set_weights(100, 0, TargetGroupStickinessConfig=sticky)
    world.planned()
    assert world.writes() == ["add_tags", "modify_rule"]
    assert world.weights() == (100, 0)
    (action,) = world.actions()
    assert action["ForwardConfig"]["TargetGroupStickinessConfig"] == sticky
    recipe = world.record.recipe
    assert recipe.actions[0]["ForwardConfig"]["TargetGroupStickinessConfig"] == {"Enabled": False}
    assert world.tags() == {
        "greenlane:deployment": "d-1",
        "greenlane:good-target-group": world.groups["blue"],
        "greenlane:epoch": "1",
        "greenlane:capacity": "2",
    }


def test_the_recipe_is_on_record_before_it_is_rehearsed(world):
    seen = []
    world.just_before("elbv2", "modify_rule", lambda: seen.append(world.record.recipe))
    world.planned()
    assert seen == [world.record.recipe]
    assert seen[0] is not None


def test_a_second_run_finds_its_own_lease_and_does_the_same(world):
    first = world.planned()
    before = world.record
    world.clock.advance(seconds=20)
    assert world.planned() == first
    assert world.record == before
    assert world.weights() == (100, 0)
    assert world.plan().started_at == NOW
    assert [line.deployment_id for line in world.store.deployments(SERVICE)] == ["d-1"]


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("dynamodb", "put_item"),
        ("dynamodb", "update_item"),
        ("elbv2", "add_tags"),
        ("elbv2", "modify_rule"),
        ("elbv2", "describe_rules"),
        ("ecs", "describe_services"),
    ],
)
@pytest.mark.parametrize("after", [False, True])
def test_a_run_that_died_anywhere_is_finished_by_the_next(world, service, operation, after):
    world.fail(service, operation, "ServiceUnavailable", after=after)
    with pytest.raises(ClientError):
        world.planned()
    world.heal()
    state = world.planned()
    assert (state.epoch, world.record.epoch) == (1, 1)
    assert world.record.recipe is not None
    assert world.weights() == (100, 0)


def test_a_new_deployment_closes_the_watch_of_the_one_before(world):
    world.store.acquire(record(deployment_id="d-0", epoch=6, phase=Phase.WATCHING, watch_until=NOW))
    assert world.planned().epoch == 7
    assert (world.record.deployment_id, world.record.watch_until) == ("d-1", None)


@pytest.mark.parametrize("phase", sorted(LEASED))
def test_a_second_deployment_is_refused_and_the_first_is_not_touched(world, phase):
    world.store.acquire(record(deployment_id="d-0", epoch=6, phase=phase))
    refused(world, rf"being deployed by d-0 \(phase {phase.value}\)", DeploymentInFlight)


def test_of_two_that_look_at_once_the_second_is_refused(world):
    other = record(deployment_id="d-0", phase=Phase.PLANNING)
    world.just_before("dynamodb", "put_item", lambda: world.store.acquire(other), skip=1)
    with pytest.raises(DeploymentInFlight, match="d-0"):
        world.planned()
    assert world.record == other
    assert world.writes() == []


def test_an_unknown_service_is_refused_by_name(world):
    with pytest.raises(UnknownService, match="known: claude-manager"):
        plan_deployment(
            world.planning().model_copy(
                update={
                    "deployment": world.planning().deployment.model_copy(update={"service": "web"}),
                    "request": world.planning().request.model_copy(update={"service": "web"}),
                }
            ),
            world.runtime,
        )


def test_a_request_for_another_service_than_its_execution_is_refused(world):
    event = world.planning()
    event = event.model_copy(
        update={"request": event.request.model_copy(update={"service": "web"})}
    )
    with world.untouched(), pytest.raises(InvalidInput, match=r"request\.service"):
        plan_deployment(event, world.runtime)


def test_red_live_alarms_are_refused_unless_the_deployment_is_the_cure(world):
    red = world.alarm_of("blue")
    world.alarm(red, "ALARM")
    refused(world, f"{red} of the live slot blue are red already.*--despite-alarms")
    world.planned(despite_alarms="it is the cure")
    planned = next(e for e in world.store.history("d-1") if e.kind == "planned")
    assert planned.detail["red_alarms"] == [red]
    assert planned.detail["despite_alarms"] == "it is the cure"


@pytest.mark.parametrize("slot", ["blue", "green"])
def test_a_missing_alarm_is_refused_for_nothing_would_trigger(world, slot):
    del world.watch.states[world.alarm_of(slot)]
    refused(world, f"{world.alarm_of(slot)} do not exist", despite_alarms="no matter")


@pytest.mark.parametrize("weights", [(90, 10), (50, 50)])
def test_split_weights_are_refused(world, weights):
    world.set_weights(*weights)
    refused(world, "weights: the rule's live weights are")


def test_target_stickiness_is_refused(world):
    client("elbv2").modify_target_group_attributes(
        TargetGroupArn=world.groups["green"],
        Attributes=[{"Key": "stickiness.enabled", "Value": "true"}],
    )
    refused(world, "stickiness: the target group of green")


def test_the_image_that_runs_already_is_refused(world):
    refused(world, "is what runs already in blue", image=OLD_IMAGE)


def test_the_task_definition_that_runs_already_is_refused(world):
    refused(world, "is what runs already", image=None, task_definition=f"{SERVICE}:1")


def test_a_task_definition_that_was_never_registered_is_refused(world):
    refused(
        world,
        r"^task_definition: there is no 'nosuch:1'; register it first",
        image=None,
        task_definition="nosuch:1",
    )


@pytest.mark.parametrize("status", ["INACTIVE", "DELETE_IN_PROGRESS"])
def test_a_task_definition_that_was_deregistered_is_refused(world, status):
    other = world.ecs.register_task_definition(
        family=SERVICE, containerDefinitions=[{"name": SERVICE, "image": NEW_IMAGE}]
    )
    other["taskDefinition"]["status"] = status
    refused(
        world,
        rf"^task_definition: '{SERVICE}:2' is {status}; register it again",
        image=None,
        task_definition=f"{SERVICE}:2",
    )


def test_a_task_definition_that_cannot_be_read_for_another_reason_is_no_refusal(world):
    world.fail("ecs", "describe_task_definition", "ServerException", skip=1)
    with pytest.raises(ClientError, match="ServerException"):
        world.planned(image=None, task_definition=f"{SERVICE}:1")


@pytest.mark.parametrize("code", ["RuleNotFound", "ValidationError"])
def test_a_listener_rule_that_does_not_exist_is_refused(world, code):
    world.fail("elbv2", "describe_rules", code)
    refused(
        world, rf"^the listener rule {world.rule_arn} does not exist; correct .*listener_rule_arn"
    )


@pytest.mark.parametrize("slot", ["blue", "green"])
def test_a_target_group_that_does_not_exist_is_refused(world, slot):
    at = list(world.workload.slots).index(slot)
    world.fail("elbv2", "describe_target_group_attributes", "TargetGroupNotFound", skip=at)
    refused(world, rf"^the target group {world.groups[slot]} of {slot} does not exist; correct")


def test_a_target_group_that_disappears_while_planning_is_refused(world):
    world.fail("elbv2", "describe_target_health", "TargetGroupNotFound")
    refused(world, rf"^the target group {world.groups['blue']} of blue does not exist; correct")


@pytest.mark.parametrize("slot", ["blue", "green"])
def test_an_ecs_service_that_does_not_exist_is_refused_whichever_slot_is_live(world, slot):
    del world.ecs.services[f"{SERVICE}-{slot}"]
    with pytest.raises(Refused, match=f"^there is no active ECS service {SERVICE}-{slot} in"):
        world.planned()
    assert world.kinds() == ["refused"]
    assert world.record_or_none() is None
    assert world.writes() == []


def test_a_cluster_that_does_not_exist_is_refused_by_name(world):
    world.fail("ecs", "describe_services", "ClusterNotFoundException")
    refused(
        world,
        f"^cluster: there is no ECS cluster '{SERVICE}' .* create it, or correct .*cluster",
    )


def test_an_idle_ecs_service_that_was_deleted_is_refused(world):
    world.ecs.services[f"{SERVICE}-green"]["status"] = "INACTIVE"
    refused(world, f"^there is no active ECS service {SERVICE}-green in the cluster {SERVICE}")


def test_a_container_that_does_not_exist_is_refused(world):
    refused(world, "container: there is no 'web'", container="web")


def test_a_live_slot_without_a_healthy_target_is_refused(world):
    world.serve("blue", 0, sick=2)
    refused(world, "health: the live slot blue has no healthy target")


def test_a_tag_outside_ecr_cannot_be_resolved(world):
    refused(world, "can be resolved to a digest only in ECR", image="docker.io/web:1")


def test_a_version_that_was_never_pushed_is_refused(world):
    client("ecr").create_repository(repositoryName=SERVICE)
    refused(world, "there is no image '2.0' in the repository", image=None, version="2.0")


def test_a_version_is_resolved_once_to_its_digest(world):
    client("ecr").create_repository(repositoryName=SERVICE)
    manifest = '{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}'
    pushed = client("ecr").put_image(
        repositoryName=SERVICE, imageManifest=manifest, imageTag="2.0"
    )["image"]["imageId"]["imageDigest"]
    world.planned(image=None, version="2.0")
    assert world.plan().image == f"{REGISTRY}/{SERVICE}@{pushed}"


def test_weights_that_change_while_planning_end_in_refused_with_the_lease_free(world):
    world.just_before("elbv2", "describe_rules", lambda: world.set_weights(80, 20), skip=1)
    with pytest.raises(Refused, match="changed while planning"):
        world.planned()
    assert world.record.phase is Phase.REFUSED
    assert world.writes() == []
    (line,) = world.store.deployments(SERVICE)
    assert line.phase is Phase.REFUSED
    assert line.ended_at == NOW
    world.set_weights(100, 0)
    assert world.planned(deployment_id="d-2").epoch == 2


def test_a_rollback_that_began_while_planning_stops_it(world):
    def begin():
        world.change(epoch=2, phase=Phase.ROLLING_BACK)

    world.just_before("elbv2", "describe_rules", begin, skip=1)
    with pytest.raises(FenceLost):
        world.planned()
    assert world.writes() == []


def test_a_retry_after_the_deployment_moved_on_does_not_plan_it_again(world):
    world.shifted()
    with world.untouched(), pytest.raises((Refused, FenceLost)):
        world.planned()


def test_a_deployment_that_ended_is_not_planned_again_under_its_id(world):
    world.planned()
    world.change(phase=Phase.ROLLED_BACK)
    with world.untouched(), pytest.raises(Refused, match="planned already"):
        world.planned()


def test_a_second_run_that_must_refuse_frees_the_lease_of_the_first(world):
    world.fail("elbv2", "add_tags", "ServiceUnavailable")
    with pytest.raises(ClientError):
        world.planned()
    assert world.record.phase is Phase.PLANNING
    world.alarm(world.alarm_of("blue"), "ALARM")
    with pytest.raises(Refused, match="red already"):
        world.planned()
    assert world.record.phase is Phase.REFUSED
    assert world.weights() == (100, 0)
