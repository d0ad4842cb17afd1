"""Going back further over the HTTP API, and what becomes of a wish that is sent again."""

import json
from datetime import timedelta
from typing import Any

import pytest

from greenlane.deployments.connection import DEPLOYMENT_MACHINE, ROLLBACK_MACHINE
from greenlane.deployments.model import DeploymentSummary, Trigger
from greenlane.deployments.phases import Phase
from tests import builders
from tests.aws_account import NOW, executions, record_in
from tests.builders import SERVICE
from tests.deployment_doors import ADA, Door, problem_in
from tests.fakes import error

START, UNDO = "/deployments", "/services/{service}/undo"
FAMILY = "arn:aws:ecs:eu-west-1:123456789012:task-definition/claude-manager"


@pytest.fixture
def door(applied, machines) -> Door:
    return Door(applied)


def begun(door: Door, machine: str = DEPLOYMENT_MACHINE) -> list[dict[str, Any]]:
    return [json.loads(one["input"]) for one in executions(door.greenlane, machine)]


@pytest.fixture
def deployed(door):
    """Two revisions: d-1 brought the first, d-2 the second; the tests say where d-2 stands."""
    greenlane = door.greenlane
    ecs = greenlane.connection.client("ecs")
    for version in ("1.4.1", "1.4.2"):
        container = {"name": SERVICE, "image": f"registry/claude:{version}", "memory": 128}
        ecs.register_task_definition(family=SERVICE, containerDefinitions=[container])
    config = greenlane.store.get_config(SERVICE).config

    def at(phase, **more):
        plan = builders.plan(deployment_id="d-2", config=config, live_task_definition=f"{FAMILY}:1")
        greenlane.store.put_plan(plan)
        for number in (1, 2):
            line = DeploymentSummary(
                deployment_id=f"d-{number}",
                service=SERVICE,
                phase=Phase.WATCHING,
                strategy="canary",
                image=f"registry/claude:1.4.{number}",
                task_definition=f"{FAMILY}:{number}",
                started_at=NOW + timedelta(hours=number),
            )
            greenlane.store.put_summary(line)
        record = record_in(phase, deployment_id="d-2", task_definition=f"{FAMILY}:2", **more)
        return greenlane.store.acquire(record)

    return at


def test_an_undo_of_a_warm_version_is_a_rollback_once_for_each_key(door, deployed):
    deployed(Phase.WATCHING)
    body = {"reason": "wrong prices"}
    first = door("POST", UNDO, body, key="u-1", service=SERVICE)
    again = door("POST", UNDO, body, key="u-1", service=SERVICE)

    assert first[0] == 201
    assert (first[1]["way"], first[1]["deployment_id"]) == ("rollback", "d-2")
    assert again == (200, first[1])
    assert len(begun(door, ROLLBACK_MACHINE)) == 1
    told = problem_in(door("POST", UNDO, {"reason": "other"}, key="u-1", service=SERVICE), 422)
    assert told["title"] == "IdempotencyKeyReused"


def test_an_undo_of_a_version_that_was_let_go_is_a_deployment_named_by_the_key(door, deployed):
    deployed(Phase.RETIRED)
    body = {"reason": "wrong prices", "to": "d-1"}
    first = door("POST", UNDO, body, key="u-1", service=SERVICE)

    assert first[0] == 201
    assert (first[1]["way"], first[1]["to"]) == ("deployment", "d-1")
    assert first[1]["deployment_id"] == f"{SERVICE}-undo-u-1"
    assert door("POST", UNDO, body, key="u-1", service=SERVICE) == (200, first[1])
    (given,) = begun(door)
    assert given["request"]["undo"] is True
    assert given["request"]["requested_by"] == ADA


@pytest.fixture
def lost(door, monkeypatch):
    """The next answer that is to be kept under a key gets lost."""
    put = door.api.book.write
    failing = [error("InternalServerError", "PutItem")]

    def once(entry, before):
        if entry.begun and failing:
            raise failing.pop()
        return put(entry, before)

    monkeypatch.setattr(door.api.book, "write", once, raising=False)


def test_an_undo_that_is_sent_again_before_its_rollback_is_on_record_starts_no_other(
    door, deployed, lost
):
    deployed(Phase.WATCHING)
    body = {"reason": "wrong prices"}
    problem_in(door("POST", UNDO, body, key="u-1", service=SERVICE), 503)
    door.greenlane.connection.clock = builders.SettableClock()
    door.greenlane.connection.clock.advance(minutes=1)
    status, again = door("POST", UNDO, body, key="u-1", service=SERVICE, by=ADA + "/later")

    assert (status, again["way"]) == (200, "rollback")
    (execution,) = executions(door.greenlane, ROLLBACK_MACHINE)
    assert again["execution_arn"] == execution["executionArn"]


def test_an_undo_whose_answer_got_lost_goes_no_version_further(door, deployed, lost):
    record = deployed(Phase.WATCHING)
    body = {"reason": "wrong prices"}
    problem_in(door("POST", UNDO, body, key="u-1", service=SERVICE), 503)
    trigger = Trigger(kind="person", name=ADA, reason="wrong prices", at=NOW)
    door.greenlane.store.update(record, {"phase": Phase.ROLLED_BACK, "trigger": trigger})
    status, again = door("POST", UNDO, body, key="u-1", service=SERVICE)

    assert (status, again["way"], again["already"]) == (200, "rollback", True)
    assert again["task_definition"] == f"{FAMILY}:1"
    assert len(begun(door, ROLLBACK_MACHINE)) == 1
    assert begun(door) == []


def test_an_undo_whose_answer_got_lost_goes_no_version_further_when_an_alarm_was_quicker(
    door, deployed, lost
):
    record = deployed(Phase.WATCHING)
    body = {"reason": "wrong prices"}
    problem_in(door("POST", UNDO, body, key="u-1", service=SERVICE), 503)
    (execution,) = executions(door.greenlane, ROLLBACK_MACHINE)
    alarm = Trigger(kind="alarm", name="p99", reason="red", at=NOW)
    taken = {"trigger": alarm, "rollback_execution": "arn:of-the-alarm"}
    record = door.greenlane.store.update(record, {"phase": Phase.ROLLED_BACK, **taken})
    status, again = door("POST", UNDO, body, key="u-1", service=SERVICE)

    assert (status, again["way"], again["deployment_id"]) == (200, "rollback", "d-2")
    assert again["execution_arn"] == execution["executionArn"]
    assert len(begun(door, ROLLBACK_MACHINE)) == 1
    assert begun(door) == []


def deploy_another(door, record):
    """A later deployment takes the service."""
    store = door.greenlane.store
    store.update(record, {"phase": Phase.ROLLED_BACK})
    config = store.get_config(SERVICE).config
    store.put_plan(builders.plan(deployment_id="d-3", config=config))
    later = {"started_at": NOW + timedelta(hours=3), "epoch": 2, "deployment_id": "d-3"}
    store.acquire(record_in(Phase.SHIFTING, **later))


def test_an_undo_whose_answer_got_lost_takes_no_later_deployment_back(door, deployed, lost):
    record = deployed(Phase.WATCHING)
    body = {"reason": "wrong prices"}
    problem_in(door("POST", UNDO, body, key="u-1", service=SERVICE), 503)
    deploy_another(door, record)
    status, again = door("POST", UNDO, body, key="u-1", service=SERVICE)

    assert (status, again["way"], again["deployment_id"]) == (200, "rollback", "d-2")
    assert len(begun(door, ROLLBACK_MACHINE)) == 1


def test_an_undo_that_was_cut_off_before_it_began_takes_no_later_deployment_back(
    door, deployed, monkeypatch
):
    record = deployed(Phase.WATCHING)
    body = {"reason": "wrong prices"}
    failing = [error("ServiceUnavailable", "StartExecution")]
    start = door.greenlane.connection.start

    def once(*given):
        if failing:
            raise failing.pop()
        return start(*given)

    monkeypatch.setattr(door.greenlane.connection, "start", once)
    problem_in(door("POST", UNDO, body, key="u-1", service=SERVICE), 503)
    deploy_another(door, record)
    for _ in range(2):
        told = problem_in(door("POST", UNDO, body, key="u-1", service=SERVICE), 409)
        assert "d-3 began after this was asked" in told["detail"]
    assert begun(door) == begun(door, ROLLBACK_MACHINE) == []


def test_an_undo_by_deployment_whose_answer_got_lost_is_found_again(door, deployed, lost):
    deployed(Phase.RETIRED)
    body = {"reason": "wrong prices"}
    problem_in(door("POST", UNDO, body, key="u-1", service=SERVICE), 503)
    status, again = door("POST", UNDO, body, key="u-1", service=SERVICE)

    assert (status, again["way"], again["task_definition"]) == (200, "deployment", f"{FAMILY}:1")
    assert again["deployment_id"] == f"{SERVICE}-undo-u-1"
    assert len(begun(door)) == 1


def test_a_deployment_whose_id_an_undo_would_have_is_not_taken_for_it(door, deployed):
    wanted = {"service": SERVICE, "task_definition": f"{FAMILY}:2"}
    assert door("POST", START, wanted, key="undo-u-1")[0] == 201
    deployed(Phase.RETIRED)
    for _ in range(2):
        found = door("POST", UNDO, {"reason": "x", "to": "d-1"}, key="u-1", service=SERVICE)
        assert "another key" in problem_in(found, 422)["detail"]
    assert len(begun(door)) == 1


def test_an_undo_says_why_not_and_changes_nothing(door, deployed):
    both = {"reason": "x", "to": "d-1", "steps_back": 2}
    told = problem_in(door("POST", UNDO, both, service=SERVICE), 400)
    assert told["problems"][0]["field"] == "steps_back"
    assert "never deployed" in str(door("POST", UNDO, {"reason": "x"}, service=SERVICE))
    deployed(Phase.SHIFTING)
    told = problem_in(door("POST", UNDO, {"reason": "x", "steps_back": 2}, service=SERVICE), 409)
    assert told["title"] == "DeploymentInFlight"
    problem_in(door("POST", UNDO, {"reason": "x", "to": "d-9"}, service=SERVICE), 404)
    assert begun(door) == begun(door, ROLLBACK_MACHINE) == []
