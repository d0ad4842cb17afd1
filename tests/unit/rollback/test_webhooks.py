"""Webhooks over the HTTP API: the same way back as any other trigger's, by the same election."""

import base64
import json
from datetime import timedelta

import pytest
from botocore.exceptions import ConnectionClosedError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from functions import hear_webhooks
from greenlane.deployments.phases import Phase
from greenlane.rollback.http.webhook_api import WebhooksApi
from greenlane.rollback.http.webhook_routes import MOST_BYTES, ROUTES
from greenlane.rollback.model import RollbackEvent, RollbackRequest
from greenlane.rollback.take_back import take_traffic_back
from tests.builders import NOW, SERVICE
from tests.effort import examples
from tests.fakes import BACK, clients, timeout
from tests.unit.rollback.documents import alarm_event, alert, sns, webhook
from tests.unit.rollback.hearing import ALERTMANAGER, WEBHOOK, Door
from tests.world import World

GENERIC = {"service": SERVICE, "reason": "8 percent of the orders fail"}


@pytest.fixture
def door(world):
    world.shifted()
    world.calls.clear()
    return Door(world)


def acted(world):
    """How many of the executions that were started may act, each in its turn."""
    begun = 0
    for number, one in enumerate(world.machines.started):
        request = RollbackRequest.model_validate(one["input"])
        event = RollbackEvent(request=request, execution=f"{BACK}-{number}")
        world.machines.statuses[event.execution] = "RUNNING"
        begun += take_traffic_back(event, world.runtime).action != "none"
    return begun


def trigger(world):
    (one,) = world.machines.started
    assert one["machine"] == "greenlane-rollback"
    return RollbackRequest.model_validate(one["input"]).trigger


def test_alertmanagers_alert_starts_the_way_back(door):
    answer = door.post(ALERTMANAGER, webhook(alert(), alert(status="resolved")))
    assert answer.status == 200
    assert answer.json == {
        "started": [door.world.machines.started[0]["arn"]],
        "ignored": [{"reason": "HighErrorRate is resolved", "field": None}],
    }
    found = trigger(door.world)
    assert (found.kind, found.name, found.source) == ("alertmanager", "HighErrorRate", "")
    assert acted(door.world) == 1
    assert door.world.weights() == (100, 0)


def test_grafanas_alert_does_too(door):
    assert door.post(ALERTMANAGER, webhook(alert(), version="1", orgId=1)).status == 200
    assert trigger(door.world).source == "Grafana"
    assert acted(door.world) == 1


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"deployment_id": "d-1", "source": "Datadog"},
        {"at": NOW.isoformat()},
        {"at": f"{NOW.timestamp():.0f}"},
        {"at": f"{NOW.timestamp() * 1000:.0f}"},
    ],
)
def test_a_document_of_ones_own_does_too(door, more):
    answer = door.post(WEBHOOK, GENERIC | more)
    assert (answer.status, answer.json["ignored"]) == (200, [])
    found = trigger(door.world)
    assert found.source == more.get("source", "a webhook")
    assert (found.reason, found.at, found.slot) == (GENERIC["reason"], NOW, None)
    assert acted(door.world) == 1
    assert door.world.weights() == (100, 0)
    assert door.world.record.trigger == found


def test_a_long_reason_is_cut_and_does_not_stand_in_the_way(door):
    assert door.post(WEBHOOK, GENERIC | {"reason": "x" * 100_000}).status == 200
    assert len(trigger(door.world).reason) == 2000


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"service": "checkout"}, "which was never deployed"),
        ({"deployment_id": "d-0"}, "which is not the service's latest"),
    ],
)
def test_what_is_of_another_service_or_deployment_starts_nothing_and_says_why(door, more, why):
    answer = door.post(WEBHOOK, GENERIC | more)
    assert (answer.status, answer.json["started"]) == (200, [])
    (ignored,) = answer.json["ignored"]
    assert why in ignored["reason"]
    assert door.world.machines.started == []


@pytest.mark.parametrize(
    ("path", "document"),
    [
        (ALERTMANAGER, webhook(alert(at=NOW - timedelta(hours=1)))),
        (ALERTMANAGER, webhook(alert(slot="blue"))),
        (WEBHOOK, GENERIC | {"at": (NOW - timedelta(hours=1)).isoformat()}),
    ],
)
def test_what_is_older_than_the_deployment_or_of_the_good_slot_takes_nothing_back(
    door, path, document
):
    assert door.post(path, document).status == 200
    assert acted(door.world) == 0
    assert door.world.weights() == (90, 10)


def test_the_same_said_ten_times_by_both_is_one_rollback(door):
    for _ in range(5):
        door.post(ALERTMANAGER, webhook(alert(), alert(slot=None)))
        door.post(WEBHOOK, GENERIC)
    assert acted(door.world) == 1


def test_what_comes_again_after_the_rollback_moves_nothing(door):
    door.post(WEBHOOK, GENERIC)
    assert acted(door.world) == 1
    door.world.change(phase=Phase.ROLLED_BACK)
    door.world.machines.started.clear()
    assert door.post(WEBHOOK, GENERIC).status == 200
    with door.world.untouched():
        assert acted(door.world) == 0


@pytest.mark.parametrize(
    "content", ["", "no JSON", "[", '{"a": NaN}', "[" * 70 + "]" * 70, '"\\ud800"']
)
@pytest.mark.parametrize("path", [ALERTMANAGER, WEBHOOK])
def test_a_body_that_is_no_json_is_refused(door, path, content):
    answer = door.post(path, content)
    assert (answer.status, answer.json["title"]) == (400, "InvalidInput")


@pytest.mark.parametrize(
    ("path", "document", "field"),
    [
        (ALERTMANAGER, {}, "version"),
        (ALERTMANAGER, webhook(alert(), version="3"), "version"),
        (ALERTMANAGER, webhook(7), "alerts.0"),
        (
            ALERTMANAGER,
            webhook(alert(startsAt="yesterday"), alert(status="?")),
            "alerts.0.startsAt",
        ),
        (ALERTMANAGER, alarm_event(), "version"),
        (ALERTMANAGER, sns("x"), "version"),
        (WEBHOOK, {"service": SERVICE}, "reason"),
        (WEBHOOK, GENERIC | {"service": ""}, "service"),
        (WEBHOOK, GENERIC | {"at": 1700000000}, "at"),
        (WEBHOOK, GENERIC | {"at": "2026-03-02T09:00:00"}, "at"),
        (WEBHOOK, GENERIC | {"source": "x" * 65}, "source"),
    ],
)
def test_what_cannot_be_read_at_all_is_refused_by_its_field(door, path, document, field):
    answer = door.post(path, document)
    assert answer.status == 400
    assert answer.json["problems"][0]["field"] == field
    assert door.world.machines.started == []


def test_a_key_that_is_not_known_is_refused_with_a_suggestion(door):
    answer = door.post(WEBHOOK, GENERIC | {"deploymentid": "d-1"})
    assert answer.status == 400
    assert "did you mean deployment_id?" in answer.json["detail"]


def test_one_alert_that_can_be_read_is_enough(door):
    answer = door.post(ALERTMANAGER, webhook(7, alert()))
    assert (answer.status, len(answer.json["started"])) == (200, 1)
    assert answer.json["ignored"][0]["field"] == "alerts.0"


@pytest.mark.parametrize(("last", "status"), [([alert()], 200), ([], 400)], ids=["one", "none"])
def test_very_many_that_cannot_be_read_are_told_in_an_answer_that_lambda_takes(door, last, status):
    document = json.dumps(webhook(*[7] * 100_000, *last), separators=(",", ":"))
    answer = door.post(ALERTMANAGER, document)
    assert answer.status == status
    assert len(json.dumps(answer.json)) < 100_000
    assert len(door.world.machines.started) == len(last)


@pytest.mark.parametrize("shape", [alarm_event(), {"Records": []}, {"alarmData": {}}])
def test_keys_of_other_shapes_do_not_make_it_one_of_them(door, shape):
    answer = door.post(ALERTMANAGER, shape | webhook(alert()))
    assert (answer.status, answer.json["ignored"]) == (200, [])
    assert trigger(door.world).kind == "alertmanager"


def test_a_body_of_256_kib_is_read_and_a_longer_one_refused(door):
    padded = json.dumps(webhook(alert()))
    full = padded + " " * (MOST_BYTES - len(padded))
    assert door.post(ALERTMANAGER, full).status == 200
    answer = door.post(ALERTMANAGER, full + " ")
    assert (answer.status, answer.json["title"]) == (413, "TooLong")
    coded = base64.b64encode(padded.encode()).decode()
    assert door.send(ALERTMANAGER, body=coded, isBase64Encoded=True).status == 200


def test_a_query_is_refused(door):
    assert door.send(WEBHOOK, body="{}", queryStringParameters={"a": "b"}).status == 400


CALLS = [("dynamodb", "query"), ("dynamodb", "get_item"), ("stepfunctions", "start_execution")]
FAULTS = [
    "ThrottlingException",
    "InternalServerError",
    "AccessDeniedException",
    timeout(),
    ConnectionClosedError(endpoint_url="https://test"),
]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("fault", FAULTS, ids=str)
@pytest.mark.parametrize(("service", "operation"), CALLS)
@pytest.mark.parametrize(
    ("path", "document"), [(ALERTMANAGER, webhook(alert())), (WEBHOOK, GENERIC)]
)
def test_a_fault_at_any_call_is_answered_by_try_again_and_trying_again_is_one_rollback(
    door, path, document, service, operation, fault, after
):
    door.world.fail(service, operation, fault, after=after)
    answer = door.post(path, document)
    assert (answer.status, answer.json["title"]) == (503, "NotStarted")
    assert answer.headers["retry-after"] == "1"
    assert door.post(path, document).status == 200
    assert acted(door.world) == 1


def test_the_calls_that_faults_are_tried_at_are_all_there_are(door):
    door.post(WEBHOOK, GENERIC)
    made = {call for call in door.world.calls if call[0] != "secretsmanager"}
    assert made == set(CALLS)


def test_every_route_has_its_handler_and_its_function(door):
    assert {route.function for route in ROUTES} == {hear_webhooks.__name__.rpartition(".")[2]}
    assert set(door.api.handlers) == {route.name for route in ROUTES}


def test_the_function_reads_what_its_template_sets(monkeypatch):
    monkeypatch.setenv("DEPLOYMENTS_TABLE", "the-table")
    monkeypatch.setenv("ROLLBACK_MACHINE_ARN", "arn:aws:states:eu-west-1:1:stateMachine:r")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    runtime = WebhooksApi.from_environment()._runtime
    assert (runtime.settings.table, runtime.actor) == ("the-table", "hear_webhooks")
    hear_webhooks._api.cache_clear()
    event = {"httpMethod": "POST", "resource": "/v1/triggers/webhook", "body": "{}"}
    assert hear_webhooks.handler(event, None)["statusCode"] == 401
    hear_webhooks._api.cache_clear()


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def mostly(usual, *others):
    """The usual value in three of four, so that much of what is sent is true."""
    rest = [*others]
    return st.integers(0, 3).flatmap(lambda n: st.sampled_from(rest) if n == 3 else st.just(usual))


alerts = st.builds(
    lambda service, slot, age, status, more: alert(
        service, slot=slot, at=NOW - age, status=status, **more
    ),
    mostly(SERVICE, "checkout", None),
    mostly("green", "blue", None, "purple"),
    mostly(timedelta(0), timedelta(hours=1), -timedelta(hours=1)),
    mostly("firing", "resolved", "?"),
    st.just({})
    | st.dictionaries(st.sampled_from(["startsAt", "labels", "fingerprint"]), anything, max_size=1),
)
bodies = st.builds(
    lambda some, version: webhook(*some, version=version),
    st.lists(alerts | alerts | anything, max_size=5),
    mostly("4", "1", "3"),
)
own = st.fixed_dictionaries(
    {"service": mostly(SERVICE, "x", 3), "reason": st.text()},
    optional={
        "deployment_id": mostly("d-1", "d-0", None),
        "at": mostly(NOW.isoformat(), "", "99999999999999", "x"),
        "source": st.text(max_size=80),
    },
)
unlike = (
    anything | own.map(lambda one: one | {"more": 1}) | st.sampled_from([alarm_event(), sns("x")])
)
told = st.tuples(st.just(ALERTMANAGER), bodies) | st.tuples(st.just(WEBHOOK), own)
anyhow = st.tuples(st.sampled_from([ALERTMANAGER, WEBHOOK]), bodies | own | unlike)


@pytest.fixture(scope="module")
def shifted():
    with mock_aws():
        before = clients.pop("elbv2", None)
        world = World()
        clients["elbv2"] = world.balancer
        world.shifted()
        yield world
        clients.pop("elbv2", None)
        if before is not None:
            clients["elbv2"] = before


@settings(
    max_examples=examples(150, 5000),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(told | told | anyhow, min_size=1, max_size=6))
def test_no_document_whatever_raises_or_takes_a_deployment_back_twice(shifted, sent):
    world = shifted
    world.machines.started.clear()
    world.change(phase=Phase.SHIFTING, trigger=None, rollback_execution=None)
    door = Door(world)
    for path, document in sent:
        answer = door.post(path, document)
        assert answer.status in (200, 400), answer.json
        if answer.status == 200:
            # By slot (green, blue, either): which of them counts, the election decides.
            assert len(answer.json["started"]) <= 3
    for one in world.machines.started:
        assert (one["input"]["service"], one["input"]["deployment_id"]) == (SERVICE, "d-1")
    assert acted(world) <= 1
