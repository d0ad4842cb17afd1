"""A moto server with the data plane's parts on it, and a balancer to play with."""

import threading
from collections.abc import Iterator
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

REGION = "eu-west-1"
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


@dataclass
class DataPlane:
    """The parts, the clients and the events of one running data plane."""

    context: LocalContext
    events: list[dict[str, Any]]
    parts: dict[str, Any]
    resources: dict[str, Any] = field(default_factory=dict)
    session: requests.Session = field(default_factory=requests.Session)

    def client(self, service: str) -> Any:
        return boto3.client(
            service,  # type: ignore[call-overload]
            region_name=REGION,
            endpoint_url=self.context.endpoint_url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

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

    def health(self, slot: str) -> list[str]:
        """The states of a slot's targets."""
        answer = self.client("elbv2").describe_target_health(TargetGroupArn=self.resources[slot])
        return [one["TargetHealth"]["State"] for one in answer["TargetHealthDescriptions"]]


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
