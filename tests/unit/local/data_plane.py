"""A moto server with the data plane's parts on it, and a balancer to play with."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import requests
from moto.core.base_backend import BackendDict
from moto.server import ThreadedMotoServer

from greenlane.clock import ScaledClock
from greenlane.local import cloudwatch, containers, elb
from greenlane.local.context import LocalContext
from greenlane.local.images import push_image

REGION = "eu-west-1"
REGISTRY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
GROUP = {
    "Protocol": "HTTP",
    "Port": 8000,
    "TargetType": "ip",
    "HealthCheckPath": "/health",
    "HealthCheckIntervalSeconds": 10,
    "HealthCheckTimeoutSeconds": 5,
    "HealthyThresholdCount": 2,
    "UnhealthyThresholdCount": 2,
}

SESSION: Any = boto3.Session()


@dataclass
class DataPlane:
    """The parts, the clients and the events of one running data plane."""

    context: LocalContext
    events: list[dict[str, Any]]
    parts: dict[str, Any]
    resources: dict[str, Any] = field(default_factory=dict)
    clients: dict[str, Any] = field(default_factory=dict)
    pushed: bool = False
    session: requests.Session = field(default_factory=requests.Session)

    def client(self, service: str) -> Any:
        if service not in self.clients:
            self.clients[service] = SESSION.client(
                service,
                region_name=REGION,
                endpoint_url=self.context.endpoint_url,
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )
        return self.clients[service]

    @property
    def elb(self) -> elb.ElasticLoadBalancing:
        return self.parts["elb"]  # type: ignore[no-any-return]

    @property
    def cloudwatch(self) -> cloudwatch.CloudWatch:
        return self.parts["cloudwatch"]  # type: ignore[no-any-return]

    @property
    def containers(self) -> containers.Containers:
        return self.parts["containers"]  # type: ignore[no-any-return]

    def get(self, path: str = "/", **arguments: Any) -> requests.Response:
        """A request over the balancer, over a kept connection."""
        url = self.elb.url("claude-manager")
        return self.session.get(url + path, **{"timeout": 10, **arguments})

    def make_balancer(self, weights: tuple[int, int] = (100, 0)) -> None:
        """The balancer, both target groups and the weighted rule that the templates make."""
        ec2, balancing = self.client("ec2"), self.client("elbv2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(
                VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{zone}"
            )["Subnet"]["SubnetId"]
            for n, zone in enumerate("ab")
        ]
        security = ec2.create_security_group(GroupName="g", Description="g", VpcId=vpc)["GroupId"]
        balancer = balancing.create_load_balancer(Name="claude-manager", Subnets=subnets)
        groups = [
            balancing.create_target_group(Name=f"claude-manager-{slot}", VpcId=vpc, **GROUP)
            for slot in ("blue", "green")
        ]
        blue, green = (group["TargetGroups"][0]["TargetGroupArn"] for group in groups)
        for arn in (blue, green):
            balancing.modify_target_group_attributes(
                TargetGroupArn=arn,
                Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "30"}],
            )
        arn = balancer["LoadBalancers"][0]["LoadBalancerArn"]
        listener = balancing.create_listener(
            LoadBalancerArn=arn,
            Protocol="HTTP",
            Port=80,
            DefaultActions=[
                {
                    "Type": "fixed-response",
                    "FixedResponseConfig": {"StatusCode": "404", "MessageBody": "no rule"},
                }
            ],
        )["Listeners"][0]["ListenerArn"]
        self.resources = {
            "balancer": arn,
            "listener": listener,
            "blue": blue,
            "green": green,
            "network": {"awsvpcConfiguration": {"subnets": subnets, "securityGroups": [security]}},
        }
        self.resources["rule"] = balancing.create_rule(
            ListenerArn=listener,
            Priority=100,
            Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/*"]}}],
            Actions=[self.forward(*weights)],
        )["Rules"][0]["RuleArn"]

    def forward(self, blue: int, green: int, sticky: int | None = None) -> dict[str, Any]:
        """A forward action; `sticky` are seconds of stickiness."""
        stickiness: dict[str, Any] = {"Enabled": sticky is not None}
        if sticky is not None:
            stickiness["DurationSeconds"] = sticky
        return {
            "Type": "forward",
            "ForwardConfig": {
                "TargetGroups": [
                    {"TargetGroupArn": self.resources["blue"], "Weight": blue},
                    {"TargetGroupArn": self.resources["green"], "Weight": green},
                ],
                "TargetGroupStickinessConfig": stickiness,
            },
        }

    def weigh(self, blue: int, green: int, sticky: int | None = None) -> None:
        """Set the rule's weights, and wait until they are in force."""
        action = self.forward(blue, green, sticky)
        self.client("elbv2").modify_rule(RuleArn=self.resources["rule"], Actions=[action])
        self.elb.settle()

    def push(self, version: str, behaviour: str = "good") -> str:
        """Push an image; its reference by digest."""
        ecr = self.client("ecr")
        if not self.pushed:
            ecr.create_repository(repositoryName="claude-manager")
            self.client("ecs").create_cluster(clusterName="claude-manager")
        self.pushed = True
        return f"{REGISTRY}/claude-manager@{push_image(ecr, 'claude-manager', version, behaviour)}"

    def register(self, image: str, **container: Any) -> str:
        """Register a task definition of one container; its ARN."""
        answer = self.client("ecs").register_task_definition(
            family="claude-manager",
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            containerDefinitions=[
                {
                    "name": "claude-manager",
                    "image": image,
                    "essential": True,
                    "portMappings": [{"containerPort": 8000}],
                    **container,
                }
            ],
        )
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    def create_service(self, slot: str, definition: str, count: int = 1, **more: Any) -> None:
        """A slot's service, with a circuit breaker that does not roll back."""
        self.client("ecs").create_service(
            cluster="claude-manager",
            serviceName=f"claude-manager-{slot}",
            taskDefinition=definition,
            desiredCount=count,
            launchType="FARGATE",
            networkConfiguration=self.resources["network"],
            loadBalancers=[
                {
                    "targetGroupArn": self.resources[slot],
                    "containerName": "claude-manager",
                    "containerPort": 8000,
                }
            ],
            healthCheckGracePeriodSeconds=60,
            deploymentConfiguration={
                "minimumHealthyPercent": 100,
                "maximumPercent": 200,
                "deploymentCircuitBreaker": {"enable": True, "rollback": False},
            },
            **more,
        )

    def service(self, slot: str) -> dict[str, Any]:
        """A slot's service as DescribeServices gives it."""
        (found,) = self.client("ecs").describe_services(
            cluster="claude-manager", services=[f"claude-manager-{slot}"], include=["TAGS"]
        )["services"]
        return found  # type: ignore[no-any-return]

    def update(self, slot: str, **changes: Any) -> None:
        """Update a slot's service."""
        name = f"claude-manager-{slot}"
        self.client("ecs").update_service(cluster="claude-manager", service=name, **changes)

    def steady(self, slot: str) -> dict[str, Any]:
        """Wait until a slot's rollout is complete."""

        def complete() -> dict[str, Any] | None:
            found = self.service(slot)
            (primary, *others) = found["deployments"]
            done = primary["rolloutState"] == "COMPLETED" and not others
            return found if done and found["runningCount"] == found["desiredCount"] else None

        return wait_until(complete)  # type: ignore[no-any-return]

    def tasks(self, status: str = "RUNNING", **filters: Any) -> list[dict[str, Any]]:
        """Tasks by desired status."""
        ecs = self.client("ecs")
        arns = ecs.list_tasks(cluster="claude-manager", desiredStatus=status, **filters)["taskArns"]
        if not arns:
            return []
        answer = ecs.describe_tasks(cluster="claude-manager", tasks=arns)
        return answer["tasks"]  # type: ignore[no-any-return]

    def health(self, slot: str) -> list[str]:
        """The states of a slot's targets."""
        answer = self.client("elbv2").describe_target_health(TargetGroupArn=self.resources[slot])
        return [one["TargetHealth"]["State"] for one in answer["TargetHealthDescriptions"]]


def wait_until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """What `condition` gives as soon as it is true; fails after `seconds` real seconds."""
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.03)
    return found


@contextmanager
def running_data_plane(directory: Path, scale: float = 60) -> Iterator[DataPlane]:
    """A data plane; moto's state before and after is empty."""
    BackendDict.reset()
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    events: list[dict[str, Any]] = []
    lock = threading.Lock()

    def put_event(source: str, kind: str, detail: dict[str, Any], resources: list[str]) -> None:
        with lock:
            events.append(
                {"source": source, "detail-type": kind, "detail": detail, "resources": resources}
            )

    context = LocalContext(
        region=REGION,
        directory=directory,
        clock=ScaledClock(datetime.now(UTC), scale),
        endpoint_url=f"http://{host}:{port}",
        put_event=put_event,
    )
    parts: dict[str, Any] = {
        "cloudwatch": cloudwatch.install(context),
        "containers": containers.install(context),
        "elb": elb.install(context),
    }
    started: list[Any] = []
    plane = DataPlane(context, events, parts)
    try:
        for part in parts.values():
            started.append(part)
            part.start()
        yield plane
    finally:
        plane.session.close()
        for part in reversed(started):
            part.stop()
        server.stop()
        BackendDict.reset()
