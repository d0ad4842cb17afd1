"""A service made by hand is adopted under load, deployed, rolled back and un-adopted."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from greenlane.adopting.finding import find
from greenlane.adopting.model import AdoptionRequest
from greenlane.adopting.planning import plan_adoption
from greenlane.adopting.steps import take_steps
from greenlane.adopting.undoing import undo_adoption
from greenlane.deployments.model import DeploymentRequest, Slot
from greenlane.deployments.phases import Phase
from greenlane.deployments.reaching import traffic
from greenlane.deployments.reaching.workloads import read_workload
from greenlane.deployments.workload import Workload
from greenlane.errors import Refused
from greenlane.local.loadgen import LoadGenerator
from tests.scenarios.conftest import QUICK, Scenario
from tests.scenarios.waiting import eventually

pytestmark = pytest.mark.own_cloud
SHOP, CLUSTER = "shop", "by-hand"
PHASES = ("adopting", "canary", "rolling back", "un-adopting", "as found")

# The local balancer passes over it; it has to be there before, in between and afterwards.
LOGIN = {
    "Type": "authenticate-cognito",
    "Order": 1,
    "AuthenticateCognitoConfig": {
        "UserPoolArn": "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_1",
        "UserPoolClientId": "client",
        "UserPoolDomain": "shop",
    },
}


@dataclass
class Shop:
    """The service made by hand, its load, and how everything stood."""

    scenario: Scenario
    load: LoadGenerator
    group: str
    rule: str
    listener: str
    before: dict[str, Any]

    def client(self, name: str) -> Any:
        return self.scenario.cloud.client(name)

    def deploy(self, version: str) -> str:
        request = DeploymentRequest(service=SHOP, version=version, requested_by="a test")
        return self.scenario.stage.greenlane.deploy(request).deployment_id

    def percent(self) -> dict[Slot, int] | None:
        workload = self.workload()
        rule = traffic.read_rule(self.client("elbv2"), workload.listener_rule_arn)
        return rule.percent(workload)

    def workload(self) -> Workload:
        return read_workload(self.client("ssm"), SHOP)

    def lost(self) -> list[Any]:
        return [count for count in self.load.snapshot().counts if not count.ok]

    def standing(self) -> dict[str, Any]:
        return standing(self.scenario)


@pytest.fixture
def shop(scenario: Scenario) -> Iterator[Shop]:
    """Two tasks with a sidecar, behind a rule and the default action of a balancer of its own."""
    ecs, elbv2 = scenario.cloud.client("ecs"), scenario.cloud.client("elbv2")
    like = scenario.stage.workload
    (live,) = ecs.describe_services(cluster=like.cluster, services=[like.slots["blue"].service])[
        "services"
    ]
    (front,) = elbv2.describe_load_balancers(Names=["claude-manager"])["LoadBalancers"]
    balancer = elbv2.create_load_balancer(
        Name=SHOP, Subnets=[zone["SubnetId"] for zone in front["AvailabilityZones"]]
    )["LoadBalancers"][0]["LoadBalancerArn"]
    group = elbv2.create_target_group(
        Name="shop-web",
        Protocol="HTTP",
        Port=like.port,
        VpcId=front["VpcId"],
        TargetType="ip",
        HealthCheckPath="/health",
        HealthCheckIntervalSeconds=10,
        HealthCheckTimeoutSeconds=5,
        HealthyThresholdCount=2,
    )["TargetGroups"][0]["TargetGroupArn"]
    forward = {"Type": "forward", "Order": 2, "TargetGroupArn": group}
    listener = elbv2.create_listener(
        LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[LOGIN, forward]
    )["Listeners"][0]["ListenerArn"]
    closed = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "403"}}
    elbv2.create_rule(
        ListenerArn=listener, Priority=1, Conditions=[path("/admin/*")], Actions=[closed]
    )
    rule = elbv2.create_rule(
        ListenerArn=listener, Priority=10, Conditions=[path("/shop/*")], Actions=[LOGIN, forward]
    )["Rules"][0]["RuleArn"]
    definition = ecs.describe_task_definition(taskDefinition=live["taskDefinition"])[
        "taskDefinition"
    ]
    container = definition["containerDefinitions"][0]
    ecs.create_cluster(clusterName=CLUSTER)
    ecs.register_task_definition(
        family=SHOP,
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        containerDefinitions=[
            container | {"name": "web"},
            {"name": "proxy", "image": "public.ecr.aws/envoy:v1", "essential": False},
        ],
    )
    ecs.create_service(
        cluster=CLUSTER,
        serviceName=SHOP,
        taskDefinition=SHOP,
        desiredCount=2,
        launchType="FARGATE",
        deploymentConfiguration={
            "maximumPercent": 200,
            "minimumHealthyPercent": 100,
            "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        },
        networkConfiguration=live["networkConfiguration"],
        loadBalancers=[
            {"targetGroupArn": group, "containerName": "web", "containerPort": like.port}
        ],
    )
    scenario.cloud.client("application-autoscaling").register_scalable_target(
        ServiceNamespace="ecs",
        ResourceId=f"service/{CLUSTER}/{SHOP}",
        ScalableDimension="ecs:service:DesiredCount",
        MinCapacity=2,
        MaxCapacity=4,
    )

    def steady() -> bool:
        (found,) = ecs.describe_services(cluster=CLUSTER, services=[SHOP])["services"]
        return bool(found["deployments"][0]["rolloutState"] == "COMPLETED")

    eventually(steady, "the shop is up")
    load = LoadGenerator(
        scenario.cloud.parts["elb"].url(SHOP, 80), 60, 20, paths=("/shop/", "/anything")
    )
    load.start()
    try:
        yield Shop(scenario, load, group, rule, listener, standing(scenario))
    finally:
        load.stop()


def path(*patterns: str) -> dict[str, Any]:
    return {"Field": "path-pattern", "PathPatternConfig": {"Values": list(patterns)}}


def standing(scenario: Scenario) -> dict[str, Any]:
    """All that an adoption might change, the task definitions and settings of the shop included."""
    client = scenario.cloud.client
    elbv2, ecs = client("elbv2"), client("ecs")
    arns = [one["LoadBalancerArn"] for one in elbv2.describe_load_balancers()["LoadBalancers"]]
    listeners = [
        listener["ListenerArn"]
        for arn in arns
        for listener in elbv2.describe_listeners(LoadBalancerArn=arn)["Listeners"]
    ]
    rules = [rule for arn in listeners for rule in elbv2.describe_rules(ListenerArn=arn)["Rules"]]
    kept = ("serviceName", "taskDefinition", "desiredCount", "deploymentConfiguration", "tags")
    services = ecs.list_services(cluster=CLUSTER)["serviceArns"]
    found = ecs.describe_services(cluster=CLUSTER, services=services, include=["TAGS"])["services"]
    targets = client("application-autoscaling").describe_scalable_targets(ServiceNamespace="ecs")
    return {
        "rules": rules,
        "tags": elbv2.describe_tags(
            ResourceArns=[one["RuleArn"] for one in rules if not one["IsDefault"]]
        )["TagDescriptions"],
        "groups": sorted(
            one["TargetGroupName"] for one in elbv2.describe_target_groups()["TargetGroups"]
        ),
        "services": [
            {key: one.get(key) for key in kept} for one in found if one["status"] == "ACTIVE"
        ],
        "definitions": ecs.list_task_definitions(familyPrefix=SHOP)["taskDefinitionArns"],
        "targets": [
            {key: one[key] for key in ("ResourceId", "MinCapacity", "MaxCapacity")}
            for one in targets["ScalableTargets"]
        ],
        "alarms": sorted(
            one["AlarmName"] for one in client("cloudwatch").describe_alarms()["MetricAlarms"]
        ),
        "ways in": [
            (one["GroupName"], one["IpPermissions"])
            for one in client("ec2").describe_security_groups()["SecurityGroups"]
        ],
        "parameters": sorted(
            one["Name"]
            for page in client("ssm")
            .get_paginator("get_parameters_by_path")
            .paginate(Path="/greenlane", Recursive=True)
            for one in page["Parameters"]
        ),
        "dashboards": client("cloudwatch").list_dashboards()["DashboardEntries"],
    }


def test_a_service_made_by_hand_is_adopted_deployed_rolled_back_and_left_as_found(
    shop: Shop,
) -> None:
    greenlane, connection = shop.scenario.stage.greenlane, shop.scenario.stage.greenlane.connection

    shop.load.phase("adopting")
    plan = plan_adoption(
        find(connection, AdoptionRequest(name=SHOP, ecs_service=SHOP, cluster=CLUSTER))
    )
    began = time.time()
    take_steps(connection, plan, lambda step, did: None)
    assert len(shop.scenario.modify_rule_calls(began)) == 1
    assert shop.percent() == {"blue": 100, "green": 0}

    text = {
        "name": SHOP,
        "deployment": QUICK,
        "judge": {"min_requests": 5},
        "run_task": {"command": ["python", "-c", "print('migrated')"]},
    }
    greenlane.apply(yaml.safe_dump({"service": text}), by="a test")
    shop.load.phase("canary")
    shop.scenario.stage.push("s2", "good")
    deployment_id = shop.deploy("s2")
    eventually(
        lambda: (
            (record := greenlane.store.record(SHOP)) is not None and record.phase is Phase.PROMOTED
        ),
        "the canary is promoted",
    )
    kinds = [event.kind for event in greenlane.history(deployment_id)]
    assert "task before traffic succeeded" in kinds
    assert kinds.count("shifted") == 3
    assert shop.percent() == {"blue": 0, "green": 100}
    (rule,) = shop.client("elbv2").describe_rules(RuleArns=[shop.rule])["Rules"]
    assert rule["Actions"][0] == LOGIN
    with pytest.raises(Refused, match="is being deployed"):
        list(undo_adoption(connection, SHOP))

    shop.load.phase("rolling back")
    greenlane.rollback(SHOP, reason="a test", by="a test")
    eventually(
        lambda: (
            (found := greenlane.outcome(SHOP, deployment_id)) is not None
            and found.name == "rolled_back"
        ),
        "it is rolled back",
    )
    assert shop.percent() == {"blue": 100, "green": 0}

    shop.load.phase("un-adopting")
    list(undo_adoption(connection, SHOP))
    shop.load.phase("as found")
    served = shop.load.snapshot

    def answered() -> int:
        return sum(one.count for one in served().counts if one.phase == "as found")

    eventually(lambda: answered() >= 60, "requests after it all")
    assert {one.phase for one in served().counts} >= set(PHASES)
    assert shop.lost() == []
    assert shop.standing() == shop.before
    assert SHOP not in greenlane.store.services()
