"""What the HTTP API does to deployments: start, signal, roll back, undo."""

import json
from typing import Any

import pytest

from greenlane.deployments.connection import DEPLOYMENT_MACHINE, ROLLBACK_MACHINE
from greenlane.deployments.http.deployment_routes import ROUTES
from greenlane.deployments.model import DeploymentRequest
from greenlane.deployments.phases import Phase
from tests import builders
from tests.aws_account import executions, record_in
from tests.builders import SERVICE
from tests.deployment_doors import ADA, Door, problem_in
from tests.fakes import error

START, SIGNALS = "/deployments", "/services/{service}/signals"
BACK, UNDO = "/services/{service}/rollback", "/services/{service}/undo"
WANTED = {"service": SERVICE, "version": "1.4.2"}
FAMILY = "arn:aws:ecs:eu-west-1:123456789012:task-definition/claude-manager"


@pytest.fixture
def door(applied, machines) -> Door:
    return Door(applied)


def begun(door: Door, machine: str = DEPLOYMENT_MACHINE) -> list[dict[str, Any]]:
    return [json.loads(one["input"]) for one in executions(door.greenlane, machine)]


def test_every_route_has_its_handler_and_no_handler_is_without_a_route(door):
    assert set(door.api.handlers) == {route.name for route in ROUTES}
    assert {route.auth for route in ROUTES} == {"iam"}


def test_a_deployment_starts_and_says_who_asked(door):
    status, started = door("POST", START, WANTED | {"steps": [10, 100], "bake": "1m"})

    assert status == 201
    assert started["deployment_id"].startswith(f"{SERVICE}-20261123-120000-")
    assert started["already"] is False
    (given,) = begun(door)
    assert given["deployment"]["deployment_id"] == started["deployment_id"]
    request = DeploymentRequest.model_validate(given["request"])
    assert request.requested_by == ADA
    assert [step.weight for step in request.steps or ()] == [10, 100]


def test_under_a_key_it_starts_once_under_an_id_made_of_the_key(door):
    first = door("POST", START, WANTED, key="release-7")
    again = door("POST", START, WANTED, key="release-7")
    by_another = door("POST", START, WANTED, key="release-7", by=ADA.replace("ada", "jo"))

    assert first[0] == 201
    assert first[1]["deployment_id"] == f"{SERVICE}-release-7"
    assert again == by_another == (200, first[1])
    assert len(begun(door)) == 1


def test_under_a_key_it_stays_started_when_another_one_holds_the_service(door):
    first = door("POST", START, WANTED, key="release-7")
    door.greenlane.store.acquire(record_in(Phase.SHIFTING, deployment_id="another"))
    assert door("POST", START, WANTED, key="release-7") == (200, first[1])


@pytest.mark.parametrize("changed", [{"version": "1.4.3"}, {"bake": "1m"}, {"service": "shop"}])
def test_a_key_with_another_request_is_422(door, changed):
    door("POST", START, WANTED, key="release-7")
    told = problem_in(door("POST", START, WANTED | changed, key="release-7"), 422)
    assert told["title"] == "IdempotencyKeyReused"
    assert told["problems"][0]["field"] == "Idempotency-Key"
    assert "another key" in told["problems"][0]["way_out"]
    assert len(begun(door)) == 1


def test_an_id_that_another_door_gave_to_another_request_is_422(door):
    asked = WANTED | {"deployment_id": f"{SERVICE}-release-7", "version": "1.0"}
    door.greenlane.deploy(DeploymentRequest.model_validate(asked))
    problem_in(door("POST", START, WANTED, key="release-7"), 422)
    assert len(begun(door)) == 1


def test_a_key_of_a_deployment_that_aws_has_forgotten_is_422_and_not_that_deployment(door):
    config = door.greenlane.store.get_config(SERVICE).config
    plan = builders.plan(deployment_id=f"{SERVICE}-release-7", config=config)
    door.greenlane.store.put_plan(plan)
    door.greenlane.store.acquire(record_in(Phase.RETIRED, deployment_id=plan.deployment_id))
    for _ in range(2):
        problem_in(door("POST", START, WANTED, key="release-7"), 422)
    assert begun(door) == []


def test_a_start_whose_answer_got_lost_is_found_again_whatever_began_since(door, monkeypatch):
    put = door.api.book.write
    failing = [error("InternalServerError", "PutItem")]

    def once(entry, before):
        if entry.begun and failing:
            raise failing.pop()
        return put(entry, before)

    monkeypatch.setattr(door.api.book, "write", once, raising=False)
    told = problem_in(door("POST", START, WANTED, key="release-7"), 503)
    assert "PutItem" in told["detail"]
    door.greenlane.store.acquire(record_in(Phase.SHIFTING, deployment_id="another"))
    status, again = door("POST", START, WANTED, key="release-7", by=ADA.replace("ada", "jo"))

    assert (status, again["deployment_id"]) == (200, f"{SERVICE}-release-7")
    assert again["already"] is True
    (given,) = begun(door)
    assert given["request"]["requested_by"] == ADA


def test_a_service_that_is_being_deployed_is_a_conflict_and_may_be_asked_again(door):
    record = record_in(Phase.SHIFTING)
    door.greenlane.store.acquire(record)
    told = problem_in(door("POST", START, WANTED, key="k"), 409)
    assert told["title"] == "DeploymentInFlight"
    assert f"greenlane abort {SERVICE}" in told["detail"]
    door.greenlane.store.update(record, {"phase": Phase.RETIRED})
    assert door("POST", START, WANTED, key="k")[0] == 201


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        ({"strategy": "canery"}, "strategy", "did you mean canary?"),
        ({"image": "shop:1"}, "the request", "found image and version"),
        ({"verson": "1"}, "verson", "did you mean version?"),
        ({"flag": {"key": "a"}}, "flag", "there is no such key"),
        ({"deployment_id": "d-1"}, "deployment_id", "Idempotency-Key"),
        ({"requested_by": "jo"}, "requested_by", "whoever signs"),
        ({"undo": True}, "undo", "/undo"),
        ({"rollout_epoch": 1}, "rollout_epoch", "leave it out"),
        ({"steps": [10, 5, 100]}, "steps", "5 follows 10"),
        ({"steps": [50, 100], "bake": "10h"}, "", "the bakes alone take"),
    ],
)
def test_what_is_wrong_with_a_request_names_the_key_and_the_way_out(door, wrong, field, said):
    told = problem_in(door("POST", START, WANTED | wrong), 400)
    assert said in told["detail"]
    assert any(field in one["field"] or field == "the request" for one in told["problems"])
    assert begun(door) == []


@pytest.mark.parametrize("body", [[], "text", 7, None])
def test_a_body_that_is_no_object_is_refused(door, body):
    problem_in(door("POST", START, body), 400)


@pytest.mark.parametrize("key", ["a b", "x" * 65, "a/b"])
def test_a_key_that_is_none_is_refused(door, key):
    told = problem_in(door("POST", START, WANTED, key=key), 400)
    assert told["problems"][0]["field"] == "Idempotency-Key"


def test_a_service_that_nobody_applied_is_404_with_the_known_ones(door):
    told = problem_in(door("POST", START, WANTED | {"service": "claude-manger"}), 404)
    assert "claude-manager" in told["problems"][0]["way_out"]


def test_nothing_begins_unsigned(door):
    record = record_in(Phase.WATCHING)
    door.greenlane.store.acquire(record)
    reason = {"reason": "x"}
    for method, path, body in (
        ("POST", START, WANTED),
        ("POST", SIGNALS, {"signal": "pause"}),
        ("POST", BACK, reason),
        ("POST", UNDO, reason),
    ):
        given = {} if path == START else {"service": SERVICE}
        assert door(method, path, body, by=None, **given)[0] == 401
    assert begun(door) == begun(door, ROLLBACK_MACHINE) == []


# Signals


def test_a_signal_reaches_the_step_that_was_seen(door):
    door.greenlane.store.acquire(record_in(Phase.SHIFTING, step=2))
    body = {"signal": "pause", "step": 2}
    status, sent = door("POST", SIGNALS, body, service=SERVICE)

    assert (status, sent["signal"], sent["step"]) == (200, "pause", 2)
    signal = door.greenlane.store.record(SERVICE).signal
    assert (signal.name, signal.by) == ("pause", ADA)


@pytest.mark.parametrize(
    ("body", "said"),
    [({"signal": "pause", "step": 1}, "for step 2, but"), ({"signal": "resume"}, "not paused")],
)
def test_a_signal_that_would_do_nothing_is_a_conflict(door, body, said):
    door.greenlane.store.acquire(record_in(Phase.SHIFTING, step=2))
    told = problem_in(door("POST", SIGNALS, body, service=SERVICE), 409)
    assert told["title"] == "SignalRefused"
    assert said in told["detail"]
    assert door.greenlane.store.record(SERVICE).signal is None


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({"signal": "pauze"}, "signal", "did you mean pause?"),
        ({"signal": "pause", "stp": 1}, "stp", "did you mean step?"),
        ({"signal": "pause", "step": -1}, "step", "greater than or equal to 0"),
        ({"signal": "pause", "step": "1"}, "step", "valid integer"),
        ({}, "signal", "required"),
    ],
)
def test_a_wrong_signal_says_what_is_known(door, body, field, said):
    told = problem_in(door("POST", SIGNALS, body, service=SERVICE), 400)
    assert told["problems"][0]["field"] == field
    assert said in told["problems"][0]["way_out"]


def test_a_body_with_very_much_wrong_is_told_in_an_answer_that_lambda_takes(door):
    body = {f"key-{number}": 1 for number in range(60_000)}
    answer = door.answer("POST", SIGNALS, body, service=SERVICE)
    assert answer["statusCode"] == 400
    assert len(json.dumps(answer)) < 200_000
    told = json.loads(answer["body"])
    assert len(told["problems"]) == 100
    assert told["detail"].endswith("more are wrong")


def test_signals_want_a_service_that_was_deployed(door):
    body = {"signal": "pause"}
    problem_in(door("POST", SIGNALS, body, service="shop"), 404)
    told = problem_in(door("POST", SIGNALS, body, service=SERVICE), 409)
    assert "never deployed" in told["detail"]
    told = problem_in(door("POST", SIGNALS, body, service="No!"), 400)
    assert told["problems"][0]["field"] == "service"


# The way back


def test_a_rollback_names_who_signed_and_the_reason(door):
    door.greenlane.store.acquire(record_in(Phase.WATCHING))
    status, started = door("POST", BACK, {"reason": "angry users"}, service=SERVICE)

    assert (status, started["deployment_id"], started["already"]) == (201, "d-1", False)
    (given,) = begun(door, ROLLBACK_MACHINE)
    trigger = given["trigger"]
    assert (trigger["kind"], trigger["name"], trigger["reason"]) == ("person", ADA, "angry users")


def test_a_rollback_that_runs_already_is_200(door):
    record = record_in(Phase.ROLLING_BACK, rollback_execution="arn:running")
    door.greenlane.store.acquire(record)
    status, started = door("POST", BACK, {"reason": "x"}, service=SERVICE)
    assert (status, started["already"], started["execution_arn"]) == (200, True, "arn:running")
    assert begun(door, ROLLBACK_MACHINE) == []


def test_a_rollback_is_refused_where_there_is_nothing_to_take_back(door):
    reason = {"reason": "x"}
    assert (
        "never deployed" in problem_in(door("POST", BACK, reason, service=SERVICE), 409)["detail"]
    )
    door.greenlane.store.acquire(record_in(Phase.ROLLED_BACK))
    assert "nothing to take back" in str(door("POST", BACK, reason, service=SERVICE))
    problem_in(door("POST", BACK, reason | {"deployment_id": "d-0"}, service=SERVICE), 404)
    problem_in(door("POST", BACK, reason, service="shop"), 404)
    told = problem_in(door("POST", BACK, {}, service=SERVICE), 400)
    assert told["problems"][0]["field"] == "reason"
