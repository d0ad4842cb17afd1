"""A service made by hand, by plain boto3 calls, in moto; and how everything stands."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import boto3

from greenlane.adopting.model import AdoptionRequest
from greenlane.deployments.connection import Connection
from tests.fakes import REGION as REGION
from tests.fakes import client

ACCOUNT = "123456789012"
CLUSTER, SERVICE, GROUP = "shop", "shop", "shop-targets"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop:1.0.0"
COGNITO = {
    "Type": "authenticate-cognito",
    "Order": 1,
    "AuthenticateCognitoConfig": {
        "UserPoolArn": f"arn:aws:cognito-idp:{REGION}:{ACCOUNT}:userpool/{REGION}_1",
        "UserPoolClientId": "client",
        "UserPoolDomain": "shop",
    },
}
NOT_FOUND = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
BREAKER = {
    "maximumPercent": 200,
    "minimumHealthyPercent": 100,
    "deploymentCircuitBreaker": {"enable": True, "rollback": True},
}


class Killed(BaseException):
    """The process ended here; not an error that anything catches."""


WRITES = (
    "authorize_",
    "create_",
    "delete_",
    "deregister_",
    "modify_",
    "put_",
    "register_",
    "remove_",
    "revoke_",
    "tag_",
    "untag_",
    "update_",
)


@dataclass
class Fault:
    """Kills at the `at`th write, before it or after it; counts all of them."""

    at: int | None = None
    after: bool = False
    writes: list[str] = field(default_factory=list)


class Wire:
    """A client whose writes are counted, and of which one kills."""

    def __init__(self, client: Any, fault: Fault) -> None:
        self._client, self._fault = client, fault

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        return self._killing(name, found) if name.startswith(WRITES) else found

    def _killing(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def made(**arguments: Any) -> Any:
            self._fault.writes.append(name)
            kills = len(self._fault.writes) - 1 == self._fault.at
            if kills and not self._fault.after:
                raise Killed(name)
            answer = call(**arguments)
            if kills:
                raise Killed(name)
            return answer

        return made


class KeptConfiguration:
    """ECS with what moto forgets of a service: how it deploys, and its grace period."""

    KEPT = ("deploymentConfiguration", "healthCheckGracePeriodSeconds")

    def __init__(self, client: Any) -> None:
        self._client = client
        self._kept: dict[str, dict[str, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def create_service(self, **arguments: Any) -> Any:
        self._keep(arguments["serviceName"], arguments)
        return self._client.create_service(**arguments)

    def update_service(self, **arguments: Any) -> Any:
        self._keep(arguments["service"], arguments)
        return self._client.update_service(**arguments)

    def describe_services(self, **arguments: Any) -> Any:
        answer = self._client.describe_services(**arguments)
        for service in answer["services"]:
            service.update(self._kept.get(service["serviceName"], {}))
            for deployment in service["deployments"]:
                deployment["rolloutState"] = "COMPLETED"  # moto's never are
        return answer

    def _keep(self, name: str, arguments: dict[str, Any]) -> None:
        there = {key: arguments[key] for key in self.KEPT if key in arguments}
        self._kept.setdefault(name, {}).update(there)


class Hand:
    """Makes the service: `shop` behind a load balancer, with whatever else a test asks for."""

    def __init__(self) -> None:
        self._ecs = KeptConfiguration(self.client("ecs"))
        vpc = self.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.vpc = vpc
        self.subnets = [
            self.client("ec2").create_subnet(
                VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{zone}"
            )["Subnet"]["SubnetId"]
            for n, zone in enumerate("ab")
        ]
        self.tasks = self.client("ec2").create_security_group(
            GroupName="shop-tasks", Description="tasks", VpcId=vpc
        )["GroupId"]
        self.balancer = self.elbv2.create_load_balancer(Name="front", Subnets=self.subnets)[
            "LoadBalancers"
        ][0]["LoadBalancerArn"]
        self.group = self.make_group(GROUP)
        self.elbv2.modify_target_group_attributes(
            TargetGroupArn=self.group,
            Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "45"}],
        )

    def client(self, name: str) -> Any:
        return client(name)

    @property
    def elbv2(self) -> Any:
        return self.client("elbv2")

    def make_group(self, name: str, **settings: Any) -> str:
        given = {
            "Protocol": "HTTP",
            "Port": 8080,
            "VpcId": self.vpc,
            "TargetType": "ip",
            "HealthCheckPath": "/up",
            "HealthCheckIntervalSeconds": 15,
            "Matcher": {"HttpCode": "200-299"},
        } | settings
        made = self.elbv2.create_target_group(Name=name, **given)
        return str(made["TargetGroups"][0]["TargetGroupArn"])

    def listen(self, *actions: dict[str, Any], port: int = 80) -> str:
        made = self.elbv2.create_listener(
            LoadBalancerArn=self.balancer,
            Protocol="HTTP",
            Port=port,
            DefaultActions=list(actions) or [NOT_FOUND],
        )
        return str(made["Listeners"][0]["ListenerArn"])

    def listen_securely(self) -> str:
        """HTTPS on 443, which authentication actions need, and HTTP that redirects to it."""
        redirect = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
        self.listen({"Type": "redirect", "RedirectConfig": redirect})
        # One from IAM: for one of its own, moto's ACM draws a key of RSA.
        certificate = self.client("iam").upload_server_certificate(
            ServerCertificateName="shop", CertificateBody="certificate", PrivateKey="key"
        )["ServerCertificateMetadata"]
        made = self.elbv2.create_listener(
            LoadBalancerArn=self.balancer,
            Protocol="HTTPS",
            Port=443,
            Certificates=[{"CertificateArn": certificate["Arn"]}],
            DefaultActions=[NOT_FOUND],
        )
        return str(made["Listeners"][0]["ListenerArn"])

    def rule(
        self, listener: str, priority: int, *conditions: dict[str, Any], actions: Any = None
    ) -> str:
        made = self.elbv2.create_rule(
            ListenerArn=listener,
            Priority=priority,
            Conditions=list(conditions) or [path("/shop/*")],
            Actions=actions or [self.forward],
        )
        return str(made["Rules"][0]["RuleArn"])

    @property
    def forward(self) -> dict[str, Any]:
        return forward_to(self.group)

    def serve(self, **settings: Any) -> None:
        """The cluster, the task definition with a sidecar, and the service."""
        self._ecs.create_cluster(clusterName=CLUSTER)
        self._ecs.register_task_definition(
            family="shop-family",
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            taskRoleArn=f"arn:aws:iam::{ACCOUNT}:role/shop-task",
            executionRoleArn=f"arn:aws:iam::{ACCOUNT}:role/shop-execution",
            containerDefinitions=[
                {
                    "name": "web",
                    "image": IMAGE,
                    "portMappings": [{"containerPort": 8080}],
                    "logConfiguration": {
                        "logDriver": "awslogs",
                        "options": {"awslogs-group": "/shop/web", "awslogs-region": REGION},
                    },
                },
                {"name": "proxy", "image": "public.ecr.aws/envoy:v1", "essential": False},
            ],
        )
        given = {
            "cluster": CLUSTER,
            "serviceName": SERVICE,
            "taskDefinition": "shop-family",
            "desiredCount": 2,
            "launchType": "FARGATE",
            "deploymentConfiguration": BREAKER,
            "networkConfiguration": {
                "awsvpcConfiguration": {"subnets": self.subnets, "securityGroups": [self.tasks]}
            },
            "loadBalancers": [
                {"targetGroupArn": self.group, "containerName": "web", "containerPort": 8080}
            ],
            "tags": [{"key": "team", "value": "checkout"}],
        } | settings
        self._ecs.create_service(**given)

    def scale(self) -> None:
        """Target tracking between 2 and 6 tasks, by processor time and by requests."""
        autoscaling = self.client("application-autoscaling")
        target = {
            "ServiceNamespace": "ecs",
            "ResourceId": f"service/{CLUSTER}/{SERVICE}",
            "ScalableDimension": "ecs:service:DesiredCount",
        }
        autoscaling.register_scalable_target(**target, MinCapacity=2, MaxCapacity=6)
        label = f"{self.balancer.rpartition(':loadbalancer/')[2]}/{self.group.rpartition(':')[2]}"
        for name, metric in (
            ("cpu", {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}),
            (
                "requests",
                {"PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": label},
            ),
        ):
            autoscaling.put_scaling_policy(
                **target,
                PolicyName=name,
                PolicyType="TargetTrackingScaling",
                TargetTrackingScalingPolicyConfiguration={
                    "TargetValue": 60.0,
                    "PredefinedMetricSpecification": metric,
                },
            )

    def connect(self, fault: Fault | None = None) -> Connection:
        """A connection whose writes may kill; its pauses are short."""
        made = Connection(_session())
        for name in (
            "ecs",
            "elbv2",
            "application-autoscaling",
            "cloudwatch",
            "ec2",
            "ssm",
            "dynamodb",
        ):
            reached = self._ecs if name == "ecs" else self.client(name)
            made._clients[name] = Wire(reached, fault or Fault())
        made.__dict__["pause"] = lambda seconds: None
        return made

    def standing(self) -> dict[str, Any]:
        """Everything that an adoption might change, as AWS describes it now."""
        autoscaling, cloudwatch = (
            self.client("application-autoscaling"),
            self.client("cloudwatch"),
        )
        groups = [
            # moto names a load balancer again with each rule.
            group | {"LoadBalancerArns": sorted(set(group["LoadBalancerArns"]))}
            for group in self.elbv2.describe_target_groups()["TargetGroups"]
        ]
        listeners = self.elbv2.describe_listeners(LoadBalancerArn=self.balancer)["Listeners"]
        rules = [
            rule
            for listener in listeners
            for rule in self.elbv2.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
        ]
        services = self._ecs.list_services(cluster=CLUSTER)["serviceArns"]
        described = self._ecs.describe_services(
            cluster=CLUSTER, services=services, include=["TAGS"]
        )["services"]
        found = {
            "groups": groups,
            "attributes": {
                group["TargetGroupName"]: self.elbv2.describe_target_group_attributes(
                    TargetGroupArn=group["TargetGroupArn"]
                )["Attributes"]
                for group in groups
            },
            "rules": rules,
            "rule tags": self.elbv2.describe_tags(
                ResourceArns=[one["RuleArn"] for one in rules if not one["IsDefault"]]
                or [listeners[0]["ListenerArn"]]
            )["TagDescriptions"],
            "services": [
                {key: value for key, value in one.items() if key not in ("events", "deployments")}
                for one in described
                if one["status"] != "INACTIVE"
            ],
            "definitions": self._ecs.list_task_definitions(status="ACTIVE")["taskDefinitionArns"],
            "targets": autoscaling.describe_scalable_targets(ServiceNamespace="ecs")[
                "ScalableTargets"
            ],
            "policies": autoscaling.describe_scaling_policies(ServiceNamespace="ecs")[
                "ScalingPolicies"
            ],
            "alarms": cloudwatch.describe_alarms()["MetricAlarms"],
            "security groups": self.client("ec2").describe_security_groups()["SecurityGroups"],
            "parameters": [
                {key: one[key] for key in ("Name", "Value")}
                for one in self.client("ssm").get_parameters_by_path(
                    Path="/greenlane", Recursive=True
                )["Parameters"]
            ],
        }
        return dict(json.loads(json.dumps(found, default=str)))


def without_ids(standing: dict[str, Any]) -> dict[str, Any]:
    """The same without what is different each time that something is created."""
    text = json.dumps(standing, sort_keys=True)
    for pattern, name in (
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "uuid"),
        (r"\b(sgr?-)?[0-9a-f]{16,17}\b", "id"),
        (r"scalable-target/\w+", "scalable-target"),
        (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[^\"]*", "instant"),
    ):
        text = re.sub(pattern, name, text)
    found = json.loads(text)
    for part in found.values():
        if isinstance(part, list):
            part.sort(key=lambda one: json.dumps(one, sort_keys=True))
    return dict(found)


@cache
def _session() -> boto3.Session:
    return boto3.Session("testing", "testing", region_name=REGION)


def forward_to(group: str) -> dict[str, Any]:
    return {"Type": "forward", "TargetGroupArn": group}


def path(*patterns: str) -> dict[str, Any]:
    return {"Field": "path-pattern", "PathPatternConfig": {"Values": list(patterns)}}


def host(*names: str) -> dict[str, Any]:
    return {"Field": "host-header", "HostHeaderConfig": {"Values": list(names)}}


def asked(**values: Any) -> AdoptionRequest:
    given = {"name": "shop", "ecs_service": SERVICE, "cluster": CLUSTER} | values
    return AdoptionRequest.model_validate(given)
