"""The two commands, end to end against moto; and what un-adopting refuses."""

import json
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from typer.testing import CliRunner

from greenlane.adopting.undoing import undo_adoption
from greenlane.cli.main import app
from greenlane.cli.session import Session
from greenlane.deployments.client import Greenlane
from greenlane.deployments.connection import TABLE
from greenlane.deployments.model import Record
from greenlane.deployments.phases import Phase
from greenlane.deployments.storing.items import record_item
from greenlane.errors import Refused
from tests.aws_account import NOW
from tests.made_by_hand import REGION, Hand


@pytest.fixture
def hand(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("GREENLANE_LOCAL", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
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
        hand.rule(hand.listen(), 5)
        hand.serve()
        yield hand


@pytest.fixture
def run(hand):
    def run(*args):
        session = Session()
        session.__dict__["client"] = Greenlane(hand.connect())
        return CliRunner().invoke(app, list(args), obj=session)

    return run


def record(hand: Hand, phase: Phase) -> None:
    made = Record(
        service="shop",
        deployment_id="d-1",
        epoch=1,
        phase=phase,
        live="blue",
        candidate="green",
        started_at=NOW,
        updated_at=NOW,
        deadline=NOW + timedelta(hours=2),
    )
    hand.client("dynamodb").put_item(TableName=TABLE, Item=record_item(made))


def test_a_dry_run_says_every_step_and_changes_nothing(hand, run) -> None:
    before = hand.standing()
    said = run("adopt", "shop", "--cluster", "shop", "--dry-run")
    assert said.exit_code == 0, said.output
    assert "would  create the target group shop-targets-green like shop-targets" in said.stdout
    assert "would  let rule 5 name both target groups" in said.stdout
    assert '"task_family": "shop-family"' in said.stdout
    assert hand.standing() == before


def test_a_dry_run_in_json_has_every_body(run) -> None:
    plan = json.loads(run("adopt", "shop", "--cluster", "shop", "--dry-run", "-o", "json").stdout)
    kinds = [step["kind"] for step in plan["steps"]]
    assert kinds[:2] == ["target group", "rule"]
    assert plan["before"]["rule"]["priority"] == 5


def test_a_service_is_adopted_and_left_as_found(hand, run) -> None:
    before = hand.standing()
    said = run("adopt", "shop", "--cluster", "shop")
    assert said.exit_code == 0, said.output
    assert "done   create the service shop-green like shop, with no task" in said.stdout
    assert (
        "is so  create the service shop-green" in run("adopt", "shop", "--cluster", "shop").stdout
    )
    would = run("unadopt", "shop", "--dry-run")
    assert "would  put the listener rule back" in would.stdout
    back = run("unadopt", "shop")
    assert back.exit_code == 0, back.output
    assert "shop is as it was found" in back.stdout
    assert hand.standing() == before


def test_a_service_goes_by_another_name_at_greenlane(hand, run) -> None:
    run("adopt", "shop", "--cluster", "shop", "--name", "web", "--twin", "web-2")
    alarms = {one["AlarmName"] for one in hand.standing()["alarms"]}
    assert {"web-blue-p95", "web-green-p95"} <= alarms
    names = {one["serviceName"] for one in hand.standing()["services"]}
    assert names == {"shop", "web-2"}


def test_a_name_that_greenlane_cannot_use_is_refused(run) -> None:
    said = run("adopt", "shop", "--cluster", "shop", "--name", "My_Shop")
    assert said.exit_code == 2
    assert "--name: 'My_Shop'" in said.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("nobody", "--cluster", "shop"), "no such active service"),
        (("shop", "--cluster", "nowhere"), "no such ECS cluster"),
    ],
)
def test_what_is_not_there_is_said_with_a_way_to_look(run, args, said) -> None:
    found = run("adopt", *args)
    assert found.exit_code == 2
    assert said in found.stderr


def test_other_options_than_before_are_refused(run) -> None:
    run("adopt", "shop", "--cluster", "shop")
    said = run("adopt", "shop", "--cluster", "shop", "--twin", "other")
    assert said.exit_code == 3
    assert "twin was None" in said.stderr


def test_a_service_that_was_never_adopted_is_not_un_adopted(run) -> None:
    said = run("unadopt", "shop")
    assert said.exit_code == 2
    assert "was not adopted" in said.stderr


def test_a_name_that_somebody_else_took_is_refused_and_kept(hand, run) -> None:
    hand.make_group("shop-targets-green")
    before = hand.standing()
    said = run("adopt", "shop", "--cluster", "shop")
    assert said.exit_code == 3
    assert "shop-targets-green exists already" in said.stderr
    assert hand.standing() == before


@pytest.mark.parametrize(
    ("phase", "said"),
    [(Phase.SHIFTING, "is being deployed by d-1"), (Phase.WATCHING, "is being watched")],
)
def test_nothing_is_taken_away_from_a_deployment(hand, run, phase, said) -> None:
    run("adopt", "shop", "--cluster", "shop")
    adopted = hand.standing()
    record(hand, phase)
    found = run("unadopt", "shop")
    assert found.exit_code == 3
    assert said in found.stderr
    assert hand.standing() == adopted


def test_the_slot_with_the_traffic_is_not_taken_away(hand, run) -> None:
    run("adopt", "shop", "--cluster", "shop")
    rule = next(one for one in hand.standing()["rules"] if not one["IsDefault"])
    (forward,) = rule["Actions"]
    for group in forward["ForwardConfig"]["TargetGroups"]:
        group["Weight"] = 100 - group["Weight"]
    hand.elbv2.modify_rule(RuleArn=rule["RuleArn"], Actions=[forward])
    shifted = hand.standing()
    found = run("unadopt", "shop")
    assert found.exit_code == 3
    assert "shop-green, has traffic (weight 100)" in found.stderr
    assert hand.standing() == shifted
    # Nor does adopting again, which only adds what is missing, move it back.
    run("adopt", "shop", "--cluster", "shop")
    assert hand.standing() == shifted


def test_a_deployment_that_begins_meanwhile_stops_the_un_adoption(hand, run) -> None:
    run("adopt", "shop", "--cluster", "shop")
    steps = undo_adoption(hand.connect(), "shop")
    next(steps)
    record(hand, Phase.PLANNING)
    with pytest.raises(Refused, match="is being deployed"):
        next(steps)
    rule = next(one for one in hand.standing()["rules"] if not one["IsDefault"])
    assert len(rule["Actions"][0]["ForwardConfig"]["TargetGroups"]) == 2
    said = run("adopt", "shop", "--cluster", "shop")
    assert said.exit_code == 3
    assert "is being un-adopted" in said.stderr


def test_a_validation_group_in_use_is_said_and_left_for_the_next_run(hand, run) -> None:
    def in_use(**arguments):
        # As with a network interface of the validating function, which moto does not mind.
        error: Any = {"Error": {"Code": "DependencyViolation", "Message": "has a dependent object"}}
        raise ClientError(error, "DeleteSecurityGroup")

    before = hand.standing()
    run("adopt", "shop", "--cluster", "shop")
    connection = hand.connect()
    connection.client("ec2").__dict__["delete_security_group"] = in_use
    with pytest.raises(Refused, match="is in use"):
        list(undo_adoption(connection, "shop"))
    assert run("unadopt", "shop").exit_code == 0
    assert hand.standing() == before


def test_the_configuration_goes_and_comes_again_with_the_next_version(hand, run, tmp_path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text("service: {name: shop}")
    run("adopt", "shop", "--cluster", "shop")
    assert "configuration version 1" in run("apply", "-f", str(file)).stdout
    run("unadopt", "shop")
    assert Greenlane(hand.connect()).store.services() == []
    run("adopt", "shop", "--cluster", "shop")
    assert "configuration version 2" in run("apply", "-f", str(file)).stdout
