"""The custom resource of the production rule, on moto, with a real server for its answers."""

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions.own_listener_rule import handler
from greenlane import aws, workload_rule

STACK = "arn:aws:cloudformation:eu-west-1:123456789012:stack/GreenlaneWorkload/1"


@dataclass
class Bucket:
    """Stands for the presigned URL: keeps what is PUT to it, may refuse the first answers."""

    url: str = ""
    refuse: int = 0
    received: list[dict[str, Any]] = field(default_factory=list)
    content_types: list[str | None] = field(default_factory=list)


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    kept = Bucket()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if kept.refuse:
                kept.refuse -= 1
                self.send_response(503)
            else:
                kept.received.append(json.loads(body))
                kept.content_types.append(self.headers["Content-Type"])
                self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            return None

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        kept.url = f"http://127.0.0.1:{server.server_port}/answer?signature=x"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield kept
        server.shutdown()
        thread.join()


@dataclass
class Elb:
    """A balancer with a listener and two target groups, and the requests of CloudFormation."""

    client: Any
    listener: str
    blue: str
    green: str
    bucket: Bucket

    def request(
        self,
        kind: str,
        *,
        physical: str | None = None,
        logical: str = "ProductionRule",
        **changed: Any,
    ) -> dict[str, Any]:
        """Send one request, and return the answer."""
        properties = {
            "ServiceToken": "arn:of:the:function",
            "ListenerArn": self.listener,
            "Priority": "100",
            "Paths": ["/*"],
            "TargetGroups": {"blue": self.blue, "green": self.green},
            **changed,
        }
        event = {
            "RequestType": kind,
            "ResponseURL": self.bucket.url,
            "StackId": STACK,
            "RequestId": f"{kind}-{len(self.bucket.received)}",
            "LogicalResourceId": logical,
            "ResourceType": "Custom::ListenerRule",
            "ResourceProperties": properties,
        }
        if physical is not None:
            event["PhysicalResourceId"] = physical
        handler(event, None)
        answer = self.bucket.received[-1]
        assert answer["RequestId"] == event["RequestId"]
        return answer

    def rules(self) -> list[dict[str, Any]]:
        """All rules but the default one."""
        rules = self.client.describe_rules(ListenerArn=self.listener)["Rules"]
        return [rule for rule in rules if not rule["IsDefault"]]

    def weights(self) -> dict[str, int]:
        """The live weights of the only rule."""
        (rule,) = self.rules()
        groups = rule["Actions"][0]["ForwardConfig"]["TargetGroups"]
        return {group["TargetGroupArn"]: group["Weight"] for group in groups}

    def shift(self, blue: int, green: int) -> None:
        """What Greenlane does: write the weights of the only rule."""
        (rule,) = self.rules()
        self.client.modify_rule(RuleArn=rule["RuleArn"], Actions=self.forward(blue, green))

    def forward(self, blue: int, green: int) -> list[dict[str, Any]]:
        """A forward action to both slots."""
        return [
            {
                "Type": "forward",
                "ForwardConfig": {
                    "TargetGroups": [
                        {"TargetGroupArn": self.blue, "Weight": blue},
                        {"TargetGroupArn": self.green, "Weight": green},
                    ]
                },
            }
        ]


@pytest.fixture(scope="module")
def network() -> Iterator[tuple[str, list[str]]]:
    """A VPC and two subnets; each test has its own balancer and target groups in it."""
    with pytest.MonkeyPatch.context() as monkeypatch, mock_aws():
        for name, value in {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "eu-west-1",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
        aws._client.cache_clear()
        ec2 = boto3.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=zone)
            for n, zone in enumerate(("eu-west-1a", "eu-west-1b"))
        ]
        yield vpc, [subnet["Subnet"]["SubnetId"] for subnet in subnets]
    aws._client.cache_clear()


@pytest.fixture
def elb(bucket: Bucket, network: tuple[str, list[str]]) -> Elb:
    client = aws.client("elbv2")
    vpc, subnets = network
    suffix = uuid.uuid4().hex[:8]
    balancer = client.create_load_balancer(Name=f"balancer-{suffix}", Subnets=subnets)
    listener = client.create_listener(
        LoadBalancerArn=balancer["LoadBalancers"][0]["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}],
    )["Listeners"][0]["ListenerArn"]
    blue, green = (
        client.create_target_group(Name=f"{slot}-{suffix}", Protocol="HTTP", Port=8000, VpcId=vpc)[
            "TargetGroups"
        ][0]["TargetGroupArn"]
        for slot in ("blue", "green")
    )
    return Elb(client, listener, blue, green, bucket)


def test_a_new_rule_names_both_slots_and_sends_everything_to_blue(elb: Elb) -> None:
    answer = elb.request("Create")

    (rule,) = elb.rules()
    assert answer["Status"] == "SUCCESS"
    assert answer["PhysicalResourceId"] == answer["Data"]["RuleArn"] == rule["RuleArn"]
    assert rule["Priority"] == "100"
    assert elb.weights() == {elb.blue: 100, elb.green: 0}


def test_the_answer_carries_no_content_type_which_a_presigned_url_would_refuse(elb: Elb) -> None:
    elb.request("Create")

    assert elb.bucket.content_types == [""]


def test_a_create_delivered_twice_makes_one_rule(elb: Elb) -> None:
    first = elb.request("Create")
    second = elb.request("Create")

    assert first["PhysicalResourceId"] == second["PhysicalResourceId"]
    assert len(elb.rules()) == 1


def test_an_existing_rule_over_both_slots_is_adopted_with_its_live_weights(elb: Elb) -> None:
    elb.client.create_rule(
        ListenerArn=elb.listener,
        Priority=100,
        Conditions=[{"Field": "path-pattern", "Values": ["/*"]}],
        Actions=elb.forward(30, 70),
    )

    answer = elb.request("Create")

    assert answer["Status"] == "SUCCESS"
    assert elb.weights() == {elb.blue: 30, elb.green: 70}


def test_a_rule_that_serves_something_else_is_not_taken_over(elb: Elb) -> None:
    elb.client.create_rule(
        ListenerArn=elb.listener,
        Priority=100,
        Conditions=[{"Field": "path-pattern", "Values": ["/*"]}],
        Actions=[{"Type": "forward", "TargetGroupArn": elb.blue}],
    )

    answer = elb.request("Create")

    assert answer["Status"] == "FAILED"
    assert "choose another priority" in answer["Reason"]
    assert len(elb.rules()) == 1


@pytest.mark.parametrize(
    ("changed", "priority", "paths"),
    [
        ({"Priority": "50"}, "50", ["/*"]),
        ({"Paths": ["/api/*", "/health"]}, "100", ["/api/*", "/health"]),
        ({"Priority": "7", "Paths": ["/api/*"]}, "7", ["/api/*"]),
        ({}, "100", ["/*"]),
    ],
)
def test_an_update_writes_conditions_and_priority_but_never_the_live_weights(
    elb: Elb, changed: dict[str, Any], priority: str, paths: list[str]
) -> None:
    created = elb.request("Create")
    elb.shift(0, 100)

    updated = elb.request("Update", physical=created["PhysicalResourceId"], **changed)

    (rule,) = elb.rules()
    assert updated["Status"] == "SUCCESS"
    assert updated["PhysicalResourceId"] == created["PhysicalResourceId"] == rule["RuleArn"]
    assert (rule["Priority"], rule["Conditions"][0]["PathPatternConfig"]["Values"]) == (
        priority,
        paths,
    )
    assert elb.weights() == {elb.blue: 0, elb.green: 100}


def test_the_rollback_of_an_update_leaves_the_live_weights_too(elb: Elb) -> None:
    rule_arn = elb.request("Create")["PhysicalResourceId"]
    elb.shift(75, 25)

    elb.request("Update", physical=rule_arn, Priority="50")
    back = elb.request("Update", physical=rule_arn)

    assert back["Status"] == "SUCCESS"
    assert elb.rules()[0]["Priority"] == "100"
    assert elb.weights() == {elb.blue: 75, elb.green: 25}


def test_no_request_of_an_update_carries_actions(elb: Elb, monkeypatch: pytest.MonkeyPatch) -> None:
    rule_arn = elb.request("Create")["PhysicalResourceId"]
    written: list[dict[str, Any]] = []
    real: Callable[..., Any] = aws.client("elbv2").modify_rule

    def modify_rule(**parameters: Any) -> Any:
        written.append(parameters)
        return real(**parameters)

    monkeypatch.setattr(aws.client("elbv2"), "modify_rule", modify_rule)
    elb.request("Update", physical=rule_arn, Paths=["/v2/*"])

    assert [sorted(parameters) for parameters in written] == [["Conditions", "RuleArn"]]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"TargetGroups": {"blue": "arn:other", "green": "arn:another"}}, "target groups"),
        (
            {"ListenerArn": "arn:aws:elasticloadbalancing:eu-west-1:1:listener/app/x/1/2"},
            "another listener",
        ),
        ({"Priority": "first"}, "properties of the rule"),
    ],
)
def test_an_update_that_would_need_a_write_of_the_actions_is_refused(
    elb: Elb, changed: dict[str, Any], reason: str
) -> None:
    rule_arn = elb.request("Create")["PhysicalResourceId"]
    elb.shift(0, 100)

    answer = elb.request("Update", physical=rule_arn, **changed)

    assert answer["Status"] == "FAILED"
    assert reason in answer["Reason"]
    assert answer["PhysicalResourceId"] == rule_arn
    assert elb.weights() == {elb.blue: 0, elb.green: 100}


def test_an_update_of_a_rule_that_is_gone_says_how_to_go_on(elb: Elb) -> None:
    rule_arn = elb.request("Create")["PhysicalResourceId"]
    elb.client.delete_rule(RuleArn=rule_arn)

    answer = elb.request("Update", physical=rule_arn)

    assert answer["Status"] == "FAILED"
    assert "is gone" in answer["Reason"]
    assert elb.rules() == []


def test_deleting_the_resource_removes_its_rule_and_may_be_repeated(elb: Elb) -> None:
    rule_arn = elb.request("Create")["PhysicalResourceId"]

    answers = [elb.request("Delete", physical=rule_arn) for _ in range(2)]

    assert [answer["Status"] for answer in answers] == ["SUCCESS", "SUCCESS"]
    assert elb.rules() == []


def test_a_create_that_failed_is_deleted_without_touching_anything(elb: Elb) -> None:
    failed = elb.request("Create", Priority="first")

    answer = elb.request("Delete", physical=failed["PhysicalResourceId"])

    assert (failed["Status"], answer["Status"]) == ("FAILED", "SUCCESS")


def test_an_adopted_rule_survives_the_stack(elb: Elb) -> None:
    elb.client.create_rule(
        ListenerArn=elb.listener,
        Priority=100,
        Conditions=[{"Field": "path-pattern", "Values": ["/*"]}],
        Actions=elb.forward(0, 100),
    )
    rule_arn = elb.request("Create")["PhysicalResourceId"]

    answer = elb.request("Delete", physical=rule_arn)

    assert answer["Status"] == "SUCCESS"
    assert elb.weights() == {elb.blue: 0, elb.green: 100}


@pytest.mark.parametrize("deleted", ["Renamed", "ProductionRule"])
def test_a_renamed_resource_keeps_the_live_rule_both_ways(elb: Elb, deleted: str) -> None:
    """The old name is deleted when the update succeeds, the new one when it is rolled back."""
    rule_arn = elb.request("Create")["PhysicalResourceId"]
    elb.shift(0, 100)
    renamed = elb.request("Create", logical="Renamed")
    assert renamed["PhysicalResourceId"] == rule_arn

    elb.request("Delete", physical=rule_arn, logical=deleted)

    assert elb.weights() == {elb.blue: 0, elb.green: 100}
    left = "ProductionRule" if deleted == "Renamed" else "Renamed"
    elb.request("Delete", physical=rule_arn, logical=left)
    assert elb.rules() == []


def test_an_unexpected_error_is_answered_not_left_to_a_time_out(
    elb: Elb, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(event: object) -> str:
        raise ZeroDivisionError("x" * 5000)

    monkeypatch.setattr(workload_rule, "serve", broken)

    answer = elb.request("Create")

    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith("ZeroDivisionError")
    assert len(json.dumps(answer)) < 4096


def test_the_answer_is_sent_again_when_its_url_is_busy(elb: Elb) -> None:
    elb.bucket.refuse = 2

    assert elb.request("Create")["Status"] == "SUCCESS"


def test_an_answer_that_cannot_be_sent_fails_the_run_so_that_lambda_repeats_it(elb: Elb) -> None:
    elb.bucket.refuse = 3

    with pytest.raises(OSError, match="503"):
        elb.request("Create")

    assert elb.request("Create")["Status"] == "SUCCESS"
    assert len(elb.rules()) == 1
