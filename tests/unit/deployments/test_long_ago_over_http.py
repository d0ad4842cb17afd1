"""What the HTTP API tells of deployments of long ago, and foresees of instants far away."""

from datetime import timedelta
from typing import Any

import pytest

from greenlane.deployments.looking import foreseeing
from greenlane.deployments.model import DeploymentRequest, DeploymentSummary
from greenlane.deployments.phases import Phase
from greenlane.health.foresight import Hour, Traffic
from tests import builders
from tests.aws_account import NOW, make_services, record_in
from tests.builders import SERVICE
from tests.deployment_doors import Door, problem_in

FORESIGHT = "/services/{service}/foresight"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def door(applied, machines) -> Door:
    return Door(applied)


def summary(number: int, **more: Any) -> DeploymentSummary:
    given = {
        "deployment_id": f"d-{number}",
        "service": SERVICE,
        "phase": Phase.WATCHING,
        "strategy": "canary",
        "started_at": NOW + number * MINUTE,
    }
    return DeploymentSummary.model_validate(given | more)


@pytest.mark.parametrize("executed", [True, False], ids=["known", "forgotten"])
def test_the_outcome_of_a_deployment_is_its_own_however_many_came_after(door, executed):
    config = door.greenlane.store.get_config(SERVICE).config
    plan = builders.plan(deployment_id="d-1", config=config, started_at=NOW + MINUTE)
    door.greenlane.store.put_plan(plan)
    if executed:
        asked = {"service": SERVICE, "version": "1", "deployment_id": "d-1"}
        begun = door.greenlane.deploy(DeploymentRequest.model_validate(asked))
        states = door.greenlane.connection.client("stepfunctions")
        states.stop_execution(executionArn=begun.execution_arn, error="Stopped", cause="")
    door.greenlane.store.put_summary(summary(1, phase=Phase.ROLLED_BACK, reason="errors"))
    for number in range(2, 30):
        door.greenlane.store.put_summary(summary(number))
    door.greenlane.store.acquire(record_in(Phase.WATCHING, deployment_id="d-29"))
    status, found = door("GET", "/deployments/{id}", id="d-1")
    assert status == 200, found
    assert (found["outcome"]["name"], found["outcome"]["reason"]) == ("rolled_back", "errors")


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_an_instant_that_nobody_can_count_on_from_is_refused(door, monkeypatch, at):
    make_services(door.greenlane.connection.client("ecs"))
    traffic = Traffic([Hour(NOW - timedelta(hours=1), 6000.0, 1.0, {})], NOW)
    monkeypatch.setattr(foreseeing, "read_past", lambda *_: (traffic, []))
    assert door("POST", FORESIGHT, {}, service=SERVICE)[0] == 200
    told = problem_in(door("POST", FORESIGHT, {"at": at}, service=SERVICE), 400)
    assert told["problems"][0]["field"] == "at"
