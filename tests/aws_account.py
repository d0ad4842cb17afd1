"""An account in moto with the sample's balancer, services and machines, for the Python API."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from greenlane.deployments.client import Greenlane
from greenlane.deployments.connection import (
    DEPLOYMENT_MACHINE,
    ROLLBACK_MACHINE,
    TABLE,
    Connection,
)
from greenlane.deployments.model import (
    DeploymentRequest,
    Record,
)
from greenlane.deployments.workload import Workload, parameter_name
from tests.fakes import client
from tests.kept_alarms import AlarmClient

REGION = "eu-west-1"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SERVICE_FILE = "service: {name: claude-manager, deployment: {bake: 3m}}"
CANARY_FILE = Path("tests/data/spec/canary-config.yaml")
MACHINE = {"StartAt": "Stay", "States": {"Stay": {"Type": "Wait", "Seconds": 3600, "End": True}}}


class FixedClock:
    def now(self):
        return NOW


class Connected(Connection):
    """Has the clients of the whole run: to make new ones is most of what such a test would cost."""

    def client(self, name):
        return self._clients[name] if name in self._clients else client(name)


@cache
def session():
    return boto3.Session("testing", "testing", region_name=REGION)


def make_workload(elbv2, ec2):
    """Both target groups behind one weighted rule, blue live."""
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")
        for n, zone in enumerate("ab")
    ]
    balancer = elbv2.create_load_balancer(
        Name="claude-manager", Subnets=[subnet["Subnet"]["SubnetId"] for subnet in subnets]
    )["LoadBalancers"][0]
    groups = {
        slot: elbv2.create_target_group(
            Name=f"claude-manager-{slot}", Protocol="HTTP", Port=8000, VpcId=vpc, TargetType="ip"
        )["TargetGroups"][0]["TargetGroupArn"]
        for slot in ("blue", "green")
    }
    listener = elbv2.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}],
    )["Listeners"][0]["ListenerArn"]
    forward = {
        "Type": "forward",
        "ForwardConfig": {
            "TargetGroups": [
                {"TargetGroupArn": groups["blue"], "Weight": 100},
                {"TargetGroupArn": groups["green"], "Weight": 0},
            ]
        },
    }
    rule = elbv2.create_rule(
        ListenerArn=listener,
        Priority=100,
        Conditions=[{"Field": "path-pattern", "Values": ["/*"]}],
        Actions=[forward],
    )["Rules"][0]["RuleArn"]
    elbv2.register_targets(
        TargetGroupArn=groups["blue"],
        Targets=[{"Id": "10.0.0.10", "Port": 8000}, {"Id": "10.0.0.11", "Port": 8000}],
    )
    return workload_of(groups, listener, rule)


def workload_of(groups, listener, rule):
    return Workload.model_validate(
        {
            "service": "claude-manager",
            "cluster": "claude-manager",
            "container": "claude-manager",
            "port": 8000,
            "repository": "claude-manager",
            "load_balancer_full_name": "app/claude-manager/1",
            "listener_arn": listener,
            "listener_rule_arn": rule,
            "test_listener_arn": listener,
            "slots": {
                slot: {
                    "service": f"claude-manager-{slot}",
                    "target_group_arn": groups[slot],
                    "alarms": [f"claude-manager-{slot}-error-rate"],
                }
                for slot in groups
            },
        }
    )


def make_services(ecs):
    ecs.create_cluster(clusterName="claude-manager")
    definition = ecs.register_task_definition(
        family="claude-manager",
        containerDefinitions=[
            {"name": "claude-manager", "image": "registry/claude:1.4.1", "memory": 128}
        ],
    )["taskDefinition"]["taskDefinitionArn"]
    for slot, count in (("blue", 2), ("green", 0)):
        ecs.create_service(
            cluster="claude-manager",
            serviceName=f"claude-manager-{slot}",
            taskDefinition=definition,
            desiredCount=count,
        )
    return definition


@pytest.fixture
def aws(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        client("dynamodb").create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
        )
        yield


@pytest.fixture
def machines(aws):
    stepfunctions = client("stepfunctions")
    for machine in (DEPLOYMENT_MACHINE, ROLLBACK_MACHINE):
        stepfunctions.create_state_machine(
            name=machine,
            definition=json.dumps(MACHINE),
            roleArn="arn:aws:iam::123456789012:role/any",
        )


def describe_workload(made):
    client("ssm").put_parameter(
        Name=parameter_name(made.service), Value=made.model_dump_json(), Type="String"
    )
    return made


@pytest.fixture
def workload(aws):
    arn = f"arn:aws:elasticloadbalancing:{REGION}:123456789012"
    groups = {slot: f"{arn}:targetgroup/claude-manager-{slot}/1" for slot in ("blue", "green")}
    return describe_workload(workload_of(groups, f"{arn}:listener/x", f"{arn}:listener-rule/x"))


@pytest.fixture
def live_workload(workload):
    """The same service with a balancer and tasks that can be looked at."""
    client("ssm").delete_parameter(Name=parameter_name("claude-manager"))
    return describe_workload(make_workload(client("elbv2"), client("ec2")))


@pytest.fixture
def greenlane(aws):
    made = Greenlane(Connected(session(), clock=FixedClock()))
    # moto knows no composite alarms; the quota's pauses are tested where they are made.
    made.connection._clients["cloudwatch"] = AlarmClient()
    made.connection.__dict__["pause"] = lambda seconds: None
    return made


@pytest.fixture
def applied(greenlane, workload):
    greenlane.apply(SERVICE_FILE, by="jo")
    return greenlane


def request(**values):
    given = {"service": "claude-manager", "version": "1.4.2", "requested_by": "jo"} | values
    return DeploymentRequest.model_validate(given)


def record_in(phase, **values):
    given = {
        "service": "claude-manager",
        "deployment_id": "d-1",
        "epoch": 1,
        "phase": phase,
        "live": "blue",
        "candidate": "green",
        "started_at": NOW,
        "updated_at": NOW,
        "deadline": NOW + timedelta(hours=2),
    }
    return Record.model_validate(given | values)


def executions(greenlane, machine):
    stepfunctions = greenlane.connection.client("stepfunctions")
    arn = greenlane.connection.arn("stateMachine", machine)
    found = stepfunctions.list_executions(stateMachineArn=arn)["executions"]
    return [stepfunctions.describe_execution(executionArn=entry["executionArn"]) for entry in found]
