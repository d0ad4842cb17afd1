"""The page about adopting says what the code does: its permissions, its steps, its refusals."""

import json
import re

import boto3
import pytest
from moto import mock_aws

from greenlane.adopting.finding import find
from greenlane.adopting.model import OWNER_TAG
from greenlane.adopting.planning import plan_adoption
from greenlane.adopting.routing import LOWEST_PRIORITY, MOST_CONDITION_VALUES
from greenlane.adopting.steps import take_steps
from greenlane.adopting.undoing import undo_adoption
from greenlane.deployments.connection import TABLE
from greenlane.deployments.declaring.unsupported import REASONS
from tests.docs.pages import ROOT, table
from tests.made_by_hand import REGION, Hand, asked, path

PAGE, LIMITS = ROOT / "docs" / "adopting.md", ROOT / "docs" / "limits.md"
IAM = {
    "Auto Scaling": "",
    "application-autoscaling": "application-autoscaling",
    "monitoring": "cloudwatch",
    "elasticloadbalancing": "elasticloadbalancing",
}
# Needed without a call of that name: by tags and roles in other calls, or only now and then.
IMPLIED = {
    "cloudwatch:TagResource",
    "ec2:CreateTags",
    "elasticloadbalancing:AddTags",
    "iam:PassRole",
}
SELDOM = {
    "cloudwatch:DeleteDashboards",
    "ecs:DeregisterTaskDefinition",
    "ecs:TagResource",
    "ecs:UntagResource",
    "elasticloadbalancing:RemoveTags",
}


def documented() -> set[str]:
    (policy,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return {action for one in json.loads(policy)["Statement"] for action in one["Action"]}


@pytest.fixture
def called(monkeypatch):
    """The actions that adopting and un-adopting call, for a rule and for a default action."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    actions: set[str] = set()
    for default in (False, True):
        with mock_aws():
            boto3.client("dynamodb", region_name=REGION).create_table(
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
            hand = Hand()
            listener = hand.listen(hand.forward) if default else hand.listen()
            if not default:
                hand.rule(listener, 5, path("/shop/*"))
            hand.serve()
            hand.scale()
            connection = hand.connect()

            def note(model, **more):
                name = model.service_model.signing_name
                actions.add(f"{IAM.get(name, name)}:{model.name}")

            spoken = ("ecs", "elbv2", "application-autoscaling", "cloudwatch", "ec2", "ssm")
            calls = [hand.client(name).meta.events for name in (*spoken, "dynamodb")]
            for events in calls:
                events.register("before-call", note)
            take_steps(connection, plan_adoption(find(connection, asked())), lambda *said: None)
            # As a deployment leaves it, so that there is something to put back.
            hand.client("application-autoscaling").register_scalable_target(
                ServiceNamespace="ecs",
                ResourceId="service/shop/shop",
                ScalableDimension="ecs:service:DesiredCount",
                MinCapacity=3,
            )
            list(undo_adoption(connection, "shop"))
            for events in calls:
                events.unregister("before-call", note)
    return actions


def test_the_permissions_are_the_calls_and_no_more(called) -> None:
    assert called | IMPLIED | SELDOM == documented()


def test_the_calls_that_are_seldom_made_are_made_somewhere() -> None:
    source = "".join(file.read_text() for file in (ROOT / "greenlane/adopting").glob("*.py"))
    for action in SELDOM:
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", action.partition(":")[2]).lower()
        assert f".{name}(" in source, action


def test_the_numbers_and_the_tag_are_those_of_the_code() -> None:
    text = PAGE.read_text()
    assert f"priority {LOWEST_PRIORITY}" in text
    assert f"a rule takes {MOST_CONDITION_VALUES}" in text
    assert f"`{OWNER_TAG}`" in text


def test_what_is_not_supported_is_what_is_refused() -> None:
    assert {name: why for name, why in table(LIMITS, "Not supported")} == dict(REASONS)
