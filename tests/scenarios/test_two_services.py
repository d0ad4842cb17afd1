"""Several services share one balancer and one Greenlane; none is in another's way."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from greenlane.deployments.model import DeploymentRequest, Slot
from greenlane.deployments.reaching import fleet, traffic
from greenlane.deployments.workload import SlotResources, Workload
from greenlane.local.loadgen import LoadGenerator
from tests.scenarios.conftest import QUICK, Scenario
from tests.scenarios.waiting import eventually

pytestmark = pytest.mark.own_cloud
SECOND = "billing"


@pytest.fixture
def second(scenario: Scenario) -> Iterator[Workload]:
    """Another service, made by plain calls, behind a rule of its own on the same listener."""
    workload = _make(scenario)
    text = {
        "name": SECOND,
        "workload": workload.model_dump(mode="json"),
        "deployment": QUICK,
        "judge": {"min_requests": 5},
    }
    scenario.stage.greenlane.apply(yaml.safe_dump({"service": text}), by="a test")
    load = LoadGenerator(scenario.stage.url, 40, 10, paths=(f"/{SECOND}/",))
    load.start()
    try:
        yield workload
    finally:
        load.stop()


def test_two_services_on_one_balancer_are_deployed_at_the_same_time(
    scenario: Scenario, second: Workload
) -> None:
    first_id = scenario.deploy()
    version = f"t{scenario.versions}"
    started = scenario.stage.greenlane.deploy(
        DeploymentRequest(service=SECOND, version=version, requested_by="a test")
    )
    outcome = scenario.stage.greenlane.outcome
    eventually(lambda: outcome(SECOND, started.deployment_id) is not None, "billing's outcome")
    found = outcome(SECOND, started.deployment_id)
    assert found is not None
    assert (found.name, scenario.outcome(first_id)) == ("succeeded", "succeeded")
    rule = traffic.read_rule(scenario.cloud.client("elbv2"), second.listener_rule_arn)
    assert rule.percent(second) == {"blue": 0, "green": 100}
    assert scenario.lost(version) == 0


def _make(scenario: Scenario) -> Workload:
    ecs, elbv2 = scenario.cloud.client("ecs"), scenario.cloud.client("elbv2")
    like = scenario.stage.workload
    vpc = elbv2.describe_target_groups(TargetGroupArns=[like.slots["blue"].target_group_arn])
    groups = {
        slot: elbv2.create_target_group(
            Name=f"{SECOND}-{slot}",
            Protocol="HTTP",
            Port=like.port,
            VpcId=vpc["TargetGroups"][0]["VpcId"],
            TargetType="ip",
            HealthCheckPath="/health",
            HealthCheckIntervalSeconds=10,
            HealthCheckTimeoutSeconds=5,
            HealthyThresholdCount=2,
        )["TargetGroups"][0]["TargetGroupArn"]
        for slot in ("blue", "green")
    }
    forward = {
        "TargetGroups": [
            {"TargetGroupArn": groups["blue"], "Weight": 100},
            {"TargetGroupArn": groups["green"], "Weight": 0},
        ]
    }
    rule = elbv2.create_rule(
        ListenerArn=like.listener_arn,
        Priority=7,
        Conditions=[{"Field": "path-pattern", "Values": [f"/{SECOND}/*"]}],
        Actions=[{"Type": "forward", "ForwardConfig": forward}],
    )["Rules"][0]["RuleArn"]
    running = fleet.read_service(ecs, like.cluster, like.slots["blue"].service)
    definition = fleet.read_task_definition(ecs, running.task_definition)
    body = fleet.next_revision(
        definition,
        container=like.container,
        image=fleet.container_of(definition, like.container)["image"],
        shape=like.shape,
    ) | {"family": SECOND, "tags": []}
    arn = ecs.register_task_definition(**body)["taskDefinition"]["taskDefinitionArn"]
    slots: dict[Slot, SlotResources] = {}
    for slot, desired in (("blue", 2), ("green", 0)):
        _service(ecs, like, slot, groups[slot], running, arn, desired)
        slots["blue" if slot == "blue" else "green"] = SlotResources(
            service=f"{SECOND}-{slot}",
            target_group_arn=groups[slot],
            alarms=(_alarm(scenario, slot, groups[slot], like),),
        )
    eventually(
        lambda: len(traffic.slot_health(elbv2, groups["blue"]).healthy) == 2, "billing is up"
    )
    return like.model_copy(
        update={
            "service": SECOND,
            "listener_rule_arn": rule,
            "slots": slots,
            "capacity": None,
        }
    )


def _service(
    ecs: Any,
    like: Workload,
    slot: str,
    group: str,
    running: fleet.ServiceState,
    definition: str,
    desired: int,
) -> None:
    ecs.create_service(
        cluster=like.cluster,
        serviceName=f"{SECOND}-{slot}",
        taskDefinition=definition,
        desiredCount=desired,
        launchType="FARGATE",
        networkConfiguration=running.network,
        loadBalancers=[
            {"targetGroupArn": group, "containerName": like.container, "containerPort": like.port}
        ],
    )


def _alarm(scenario: Scenario, slot: str, group: str, like: Workload) -> str:
    name = f"{SECOND}-{slot}-errors"
    scenario.cloud.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace="AWS/ApplicationELB",
        MetricName="HTTPCode_Target_5XX_Count",
        Dimensions=[
            {"Name": "TargetGroup", "Value": group.rsplit(":", 1)[-1]},
            {"Name": "LoadBalancer", "Value": like.load_balancer_full_name},
        ],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=5,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    return name
