"""What is found decides the steps, or is refused by its name. Pure."""

from typing import Any

import pytest

from greenlane.adopting.model import (
    AddRule,
    AdoptionPlan,
    ChangeService,
    Describe,
    Found,
    LetIn,
    Listener,
    MakeAlarms,
    MakeTargetGroup,
    MakeTwin,
    MirrorScaling,
    Rule,
    Scaling,
    Taken,
    WeighRule,
)
from greenlane.adopting.planning import plan_adoption, second_group_name
from greenlane.adopting.twin import GREEN
from greenlane.deployments.workload import Workload
from greenlane.errors import Refused
from infra.settings import ServiceSettings
from tests.made_by_hand import BREAKER, IMAGE, asked

ARN = "arn:aws:elasticloadbalancing:eu-west-1:123456789012"
GROUP = f"{ARN}:targetgroup/shop/1"
BALANCER = f"{ARN}:loadbalancer/app/front/9"
LISTENER = f"{ARN}:listener/app/front/9/1"
FORWARD = {"Type": "forward", "TargetGroupArn": GROUP}
DEFAULT = Rule(
    arn="default",
    listener_arn=LISTENER,
    priority=None,
    actions=({"Type": "fixed-response", "FixedResponseConfig": {}},),
)
MINE = Rule(
    arn=f"{ARN}:listener-rule/app/front/9/1/2",
    listener_arn=LISTENER,
    priority=5,
    conditions=({"Field": "path-pattern", "PathPatternConfig": {"Values": ["/shop/*"]}},),
    actions=(FORWARD,),
)
SERVICE: dict[str, Any] = {
    "serviceArn": "arn:aws:ecs:eu-west-1:123456789012:service/shop/shop",
    "serviceName": "shop",
    "taskDefinition": "arn:aws:ecs:eu-west-1:123456789012:task-definition/shop:3",
    "launchType": "FARGATE",
    "deploymentController": {"type": "ECS"},
    "deploymentConfiguration": BREAKER | {"strategy": "ROLLING", "bakeTimeInMinutes": 0},
    "deployments": [{"status": "PRIMARY", "rolloutState": "COMPLETED"}],
    "networkConfiguration": {
        "awsvpcConfiguration": {"subnets": ["subnet-1", "subnet-2"], "securityGroups": ["sg-1"]}
    },
    "loadBalancers": [{"targetGroupArn": GROUP, "containerName": "web", "containerPort": 8080}],
    "tags": [
        {"key": "team", "value": "checkout"},
        {"key": "aws:cloudformation:stack-name", "value": "shop"},
    ],
}
TARGETS: dict[str, Any] = {
    "TargetGroupArn": GROUP,
    "TargetGroupName": "shop",
    "Protocol": "HTTP",
    "ProtocolVersion": "HTTP1",
    "Port": 8080,
    "VpcId": "vpc-1",
    "TargetType": "ip",
    "HealthCheckPath": "/up",
    "LoadBalancerArns": [BALANCER],
}
DEFINITION: dict[str, Any] = {
    "family": "shop-family",
    "networkMode": "awsvpc",
    "taskRoleArn": "arn:aws:iam::123456789012:role/team/shop-task",
    "executionRoleArn": "arn:aws:iam::123456789012:role/shop-execution",
    "containerDefinitions": [
        {"name": "proxy", "image": "public.ecr.aws/envoy:v1"},
        {"name": "web", "image": IMAGE},
    ],
}
POLICY = {
    "PolicyName": "requests",
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": {
        "TargetValue": 100.0,
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "ALBRequestCountPerTarget",
            "ResourceLabel": "app/front/9/targetgroup/shop/1",
        },
    },
}
LIMITS = {"MinCapacity": 2, "MaxCapacity": 6}


def found(
    service: Any = None, group: Any = None, rules: Any = (MINE, DEFAULT), **values: Any
) -> Found:
    given = {
        "request": asked(),
        "account": "123456789012",
        "region": "eu-west-1",
        "service": SERVICE | (service or {}),
        "definition": DEFINITION,
        "target_groups": (TARGETS | (group or {}),),
        "attributes": {"deregistration_delay.timeout_seconds": "45"},
        "load_balancer": {"Type": "application"},
        "listeners": (Listener(arn=LISTENER, port=443, protocol="HTTPS", rules=tuple(rules)),),
        "security_groups": ("sg-1",),
    } | values
    return Found.model_validate(given)


def step(plan: AdoptionPlan, kind: type[Any]) -> Any:
    return next(one for one in plan.steps if isinstance(one, kind))


def workload(plan: AdoptionPlan) -> Workload:
    return Workload.model_validate_json(step(plan, Describe).values["/greenlane/workloads/shop"])


def test_the_steps_name_both_groups_before_the_twin_is_made_and_describe_last() -> None:
    plan = plan_adoption(found(scaling=Scaling(target=LIMITS, policies=(POLICY,))))
    kinds = [one.kind for one in plan.steps]
    assert kinds == [
        "target group",
        "rule",
        "deployment configuration",
        "security group",
        "ingress",
        "service",
        "auto scaling",
        "alarms",
        "alarms",
        "parameters",
    ]
    assert list(step(plan, Describe).values)[-1] == "/greenlane/workloads/shop"


def test_the_second_target_group_is_like_the_first() -> None:
    made = step(plan_adoption(found()), MakeTargetGroup)
    assert made.name == "shop-green"
    assert made.settings["HealthCheckPath"] == "/up"
    assert "TargetGroupArn" not in made.settings
    assert made.attributes == {"deregistration_delay.timeout_seconds": "45"}


def test_a_long_name_of_a_target_group_is_cut_to_what_aws_takes() -> None:
    assert second_group_name("a" * 25 + "-bcdefg") == "a" * 25 + "-green"
    assert len(second_group_name("a" * 32)) == 32


def test_a_default_action_gets_a_rule_before_it_that_catches_everything() -> None:
    plan = plan_adoption(found(rules=[DEFAULT.model_copy(update={"actions": (FORWARD,)})]))
    made = step(plan, AddRule)
    assert (made.listener_arn, made.priority) == (LISTENER, 50_000)
    assert made.conditions[0]["PathPatternConfig"] == {"Values": ["/*"]}
    assert workload(plan).listener_rule_arn == "<the ARN of the new rule>"


def test_ecs_may_no_longer_go_back_by_itself_and_the_twin_may_not_either() -> None:
    alarms = {"alarmNames": ["a"], "enable": True, "rollback": True}
    plan = plan_adoption(found(service={"deploymentConfiguration": BREAKER | {"alarms": alarms}}))
    changed = step(plan, ChangeService).configuration
    assert changed["deploymentCircuitBreaker"] == {"enable": True, "rollback": False}
    assert changed["alarms"] == alarms | {"rollback": False}
    assert step(plan, MakeTwin).body["deploymentConfiguration"] == changed
    assert plan.before.deployment_configuration == BREAKER | {"alarms": alarms}


def test_a_service_that_ecs_does_not_take_back_is_left_as_it_is() -> None:
    quiet = {"deploymentCircuitBreaker": {"enable": True, "rollback": False}}
    plan = plan_adoption(found(service={"deploymentConfiguration": quiet}))
    assert not [one for one in plan.steps if isinstance(one, ChangeService)]


def test_the_twin_is_like_the_service_but_for_its_name_its_group_and_its_size() -> None:
    body = step(plan_adoption(found()), MakeTwin).body
    assert (body["serviceName"], body["desiredCount"]) == ("shop-green", 0)
    assert body["taskDefinition"] == SERVICE["taskDefinition"]
    assert body["networkConfiguration"] == SERVICE["networkConfiguration"]
    assert body["loadBalancers"] == [
        {"targetGroupArn": GREEN, "containerName": "web", "containerPort": 8080}
    ]
    tags = {one["key"]: one["value"] for one in body["tags"]}
    assert tags == {"team": "checkout", "greenlane:adopted": "shop"}


def test_a_service_with_capacity_providers_has_a_twin_with_the_same() -> None:
    strategy = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    body = step(plan_adoption(found(service={"capacityProviderStrategy": strategy})), MakeTwin).body
    assert body["capacityProviderStrategy"] == strategy
    assert "launchType" not in body


def test_auto_scaling_is_mirrored_from_zero_tasks_and_counts_the_twins_requests() -> None:
    plan = plan_adoption(found(scaling=Scaling(target=LIMITS, policies=(POLICY,))))
    mirrored = step(plan, MirrorScaling)
    assert (mirrored.target["MinCapacity"], mirrored.target["MaxCapacity"]) == (0, 6)
    configuration = mirrored.policies[0]["TargetTrackingScalingPolicyConfiguration"]
    label = configuration["PredefinedMetricSpecification"]["ResourceLabel"]
    assert label == "app/front/9/<the full name of the second target group>"
    capacity = workload(plan).capacity
    assert capacity is not None
    assert (capacity.min_tasks, capacity.max_tasks) == (2, 6)


def test_alarms_that_exist_take_the_place_of_new_ones() -> None:
    request = asked(alarms={"blue": ("mine-5xx",)})
    plan = plan_adoption(found(request=request))
    assert [one.slot for one in plan.steps if isinstance(one, MakeAlarms)] == ["green"]
    assert workload(plan).slots["blue"].alarms == ("mine-5xx",)
    assert "mine-5xx" in plan.settings["alarms"]


def test_validation_comes_from_a_group_that_is_there_if_it_is_named() -> None:
    plan = plan_adoption(found(request=asked(validation_group="sg-9")))
    assert step(plan, LetIn).source == "sg-9"
    values = step(plan, Describe).values
    assert values["/greenlane/workloads/shop/validation-security-group-id"] == "sg-9"
    assert values["/greenlane/workloads/shop/subnet-ids"] == "subnet-1,subnet-2"


def test_the_entry_for_cdk_json_is_one_that_the_stack_takes() -> None:
    settings = ServiceSettings.model_validate(plan_adoption(found()).settings)
    assert settings.ecs_services == {"blue": "shop", "green": "shop-green"}
    assert settings.family == "shop-family"
    assert settings.task_roles == ("shop-execution", "shop-task")
    assert settings.repository == "shop"


def test_after_an_interruption_the_plan_is_the_same() -> None:
    first = plan_adoption(found())
    changed = step(first, ChangeService).configuration
    again = found(
        service={"deploymentConfiguration": changed},
        taken=(Taken(what="service", name="shop-green", arn="x", ours=True),),
        before=first.before,
        described=True,
    )
    assert plan_adoption(again) == first


def test_what_a_stack_owns_is_said() -> None:
    plan = plan_adoption(found(owner_stacks={"the service shop": "web-stack"}))
    assert "web-stack" in plan.warnings[0]
    assert isinstance(step(plan, WeighRule), WeighRule)


def connect(enabled: bool) -> dict[str, Any]:
    return {"deployments": [{"serviceConnectConfiguration": {"enabled": enabled}}]}


REFUSED = [
    (found(service={"deploymentController": {"type": "CODE_DEPLOY"}}), "CODE_DEPLOY"),
    (found(service={"deploymentController": {"type": "EXTERNAL"}}), "EXTERNAL"),
    (found(service={"deploymentConfiguration": {"strategy": "CANARY"}}), "ECS's own CANARY"),
    (found(service={"deployments": [{}, {}]}), "ECS is deploying"),
    (found(service={"deployments": [{"rolloutState": "IN_PROGRESS"}]}), "ECS is deploying"),
    (found(service={"schedulingStrategy": "DAEMON"}), "DAEMON"),
    (found(service=connect(True)), "Service Connect"),
    (found(service={"serviceRegistries": [{"registryArn": "x"}]}), "service discovery"),
    (found(service={"deployments": [{"vpcLatticeConfigurations": [{}]}]}), "VPC Lattice"),
    (found(service={"loadBalancers": []}, target_groups=()), "in 0 target groups"),
    (found(service={"loadBalancers": SERVICE["loadBalancers"] * 2}), "in 2 target groups"),
    (found(service={"loadBalancers": [{"loadBalancerName": "old"}]}), "Classic"),
    (found(group={"Protocol": "TCP"}, load_balancer={"Type": "network"}), "NLB"),
    (
        found(
            group={
                "LoadBalancerArns": [],
            },
            load_balancer=None,
        ),
        "0 load balancers",
    ),
    (found(group={"ProtocolVersion": "GRPC"}), "gRPC"),
    (found(group={"TargetType": "instance"}), "type instance"),
    (found(attributes={"stickiness.enabled": "true"}), "stickiness.enabled"),
    (found(account="210987654321", request=asked(repository="shop")), "cross-account"),
    (found(region="us-east-1", request=asked(repository="shop")), "cross-Region"),
    (found(definition=DEFINITION | {"networkMode": "bridge"}), "awsvpc"),
    (
        found(
            definition=DEFINITION
            | {"containerDefinitions": [{"name": "web", "image": "docker.io/shop:1"}]}
        ),
        "--repository",
    ),
    (
        found(scaling=Scaling(target=LIMITS, policies=(POLICY | {"PolicyType": "StepScaling"},))),
        "do not track a target",
    ),
    (found(scaling=Scaling(target=LIMITS, scheduled=("night",))), "night"),
    (found(taken=(Taken(what="service", name="shop-green", arn="x", ours=False),)), "--twin"),
    (found(missing_alarms=("gone",)), "no alarm gone"),
    (found(described=True), "described already"),
    (found(rules=[DEFAULT]), "no rule forwards"),
]


@pytest.mark.parametrize(("there", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_what_is_not_supported_is_refused_by_its_name(there: Found, said: str) -> None:
    with pytest.raises(Refused, match="nothing was changed") as refused:
        plan_adoption(there)
    assert said in str(refused.value)
    assert len(str(refused.value).splitlines()) == 2, "one thing is wrong, one is said"


def test_service_connect_that_is_off_is_no_obstacle() -> None:
    assert plan_adoption(found(service=connect(False))).steps


def test_everything_that_is_wrong_is_said_at_once() -> None:
    there = found(
        service={"deploymentController": {"type": "EXTERNAL"}}, group={"ProtocolVersion": "GRPC"}
    )
    with pytest.raises(Refused) as refused:
        plan_adoption(there)
    assert "EXTERNAL" in str(refused.value)
    assert "gRPC" in str(refused.value)
