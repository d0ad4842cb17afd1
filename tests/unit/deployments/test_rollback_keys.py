"""A rollback that is sent again late, over HTTP, takes back what was meant and nothing since."""

import json
from datetime import timedelta

import pytest

from greenlane.deployments.connection import ROLLBACK_MACHINE
from greenlane.deployments.model import DeploymentSummary
from greenlane.deployments.phases import Phase
from tests import builders
from tests.aws_account import NOW, executions, record_in
from tests.builders import SERVICE
from tests.deployment_doors import Door, problem_in
from tests.fakes import error

ROLLBACK = "/services/{service}/rollback"
BODY = {"reason": "wrong prices"}


@pytest.fixture
def door(applied, machines) -> Door:
    return Door(applied)


def deploy(door, name, phase=Phase.WATCHING, hours=0):
    store = door.greenlane.store
    config = store.get_config(SERVICE).config
    store.put_plan(builders.plan(deployment_id=name, config=config))
    line = DeploymentSummary(
        deployment_id=name,
        service=SERVICE,
        phase=phase,
        strategy="canary",
        started_at=NOW + timedelta(hours=hours),
    )
    store.put_summary(line)
    before = store.record(SERVICE)
    if before is not None:
        store.update(before, {"phase": Phase.ROLLED_BACK})
    epoch = before.epoch + 1 if before is not None else 1
    begun = {"started_at": NOW + timedelta(hours=hours), "epoch": epoch, "deployment_id": name}
    return store.acquire(record_in(phase, **begun))


def started(door):
    return [json.loads(one["input"]) for one in executions(door.greenlane, ROLLBACK_MACHINE)]


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


def test_a_rollback_under_one_key_begins_once_and_answers_the_same(door):
    deploy(door, "d-1")
    first = door("POST", ROLLBACK, BODY, key="r-1", service=SERVICE)

    assert (first[0], first[1]["deployment_id"]) == (201, "d-1")
    assert door("POST", ROLLBACK, BODY, key="r-1", service=SERVICE) == (200, first[1])
    assert len(started(door)) == 1
    other = door("POST", ROLLBACK, {"reason": "other"}, key="r-1", service=SERVICE)
    assert problem_in(other, 422)["title"] == "IdempotencyKeyReused"


def test_a_rollback_sent_again_after_another_deployment_began_leaves_that_alone(door):
    deploy(door, "d-1")
    first = door("POST", ROLLBACK, BODY, key="r-1", service=SERVICE)
    deploy(door, "d-2", Phase.SHIFTING, hours=3)

    assert door("POST", ROLLBACK, BODY, key="r-1", service=SERVICE) == (200, first[1])
    assert [one["deployment_id"] for one in started(door)] == ["d-1"]


@pytest.mark.parametrize("another", [False, True])
def test_a_rollback_whose_answer_got_lost_is_found_again(door, lost, another):
    deploy(door, "d-1")
    problem_in(door("POST", ROLLBACK, BODY, key="r-1", service=SERVICE), 503)
    if another:
        deploy(door, "d-2", Phase.SHIFTING, hours=3)
    status, again = door("POST", ROLLBACK, BODY, key="r-1", service=SERVICE)

    (execution,) = executions(door.greenlane, ROLLBACK_MACHINE)
    assert (status, again["deployment_id"]) == (200, "d-1")
    assert again["execution_arn"] == execution["executionArn"]


def test_a_rollback_that_was_cut_off_before_it_began_takes_no_later_deployment_back(
    door, monkeypatch
):
    deploy(door, "d-1")
    start = door.greenlane.connection.start
    failing = [error("ServiceUnavailable", "StartExecution")]

    def once(*given):
        if failing:
            raise failing.pop()
        return start(*given)

    monkeypatch.setattr(door.greenlane.connection, "start", once)
    problem_in(door("POST", ROLLBACK, BODY, key="r-1", service=SERVICE), 503)
    deploy(door, "d-2", Phase.SHIFTING, hours=3)

    told = problem_in(door("POST", ROLLBACK, BODY, key="r-1", service=SERVICE), 409)
    assert "d-2 began after this was asked" in told["detail"]
    assert started(door) == []


def test_a_rollback_that_was_cut_off_before_it_began_begins_when_it_is_sent_again(
    door, monkeypatch
):
    deploy(door, "d-1")
    start = door.greenlane.connection.start
    failing = [error("ServiceUnavailable", "StartExecution")]

    def once(*given):
        if failing:
            raise failing.pop()
        return start(*given)

    monkeypatch.setattr(door.greenlane.connection, "start", once)
    problem_in(door("POST", ROLLBACK, BODY, key="r-1", service=SERVICE), 503)
    status, again = door("POST", ROLLBACK, BODY, key="r-1", service=SERVICE)

    assert (status, again["deployment_id"]) == (200, "d-1")
    assert [one["deployment_id"] for one in started(door)] == ["d-1"]


def test_a_key_of_an_undo_is_no_key_of_a_rollback(door):
    deploy(door, "d-1")
    assert door("POST", ROLLBACK, BODY, key="r-1", service=SERVICE)[0] == 201
    door.greenlane.store.update(door.greenlane.store.record(SERVICE), {"phase": Phase.WATCHING})

    status, undone = door("POST", "/services/{service}/undo", BODY, key="r-1", service=SERVICE)
    assert (status, undone["way"]) == (201, "rollback")
    assert len(started(door)) == 2
