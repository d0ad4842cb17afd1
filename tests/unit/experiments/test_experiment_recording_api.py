"""Assignments, exposures and events by API key: an answer for each thing, and nothing logged."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from greenlane.errors import CountersBusy
from greenlane.experiments.counting.events import Recorded
from greenlane.experiments.http.client_shapes import MOST_BYTES, MOST_ITEMS
from greenlane.experiments.http.recording_api import BUDGET_SECONDS, RecordingApi
from greenlane.experiments.storing import keeping
from tests.experiment_store import Laboratory, dealt, definition

ASSIGN, ONE = "/v1/assignments", "/v1/assignments/{name}"
EXPOSE, RECORD = "/v1/exposures", "/v1/events"


class Asked:
    """The API over a laboratory, with a clock of its own for how long a request takes."""

    def __init__(self) -> None:
        self.laboratory = Laboratory()
        self.test = self.laboratory.begin()
        self.recorder: Any = self.laboratory.recorder
        self.took = 0.0
        self.api = RecordingApi(
            self.recorder, origin="https://shop.example", monotonic=lambda: self.took
        )

    def __call__(
        self, resource: str, content: Any = None, *, body: str | None = None, **path: str
    ) -> tuple[int, Any, dict[str, str]]:
        answer = self.api.answer(
            {
                "httpMethod": "POST",
                "resource": resource,
                "pathParameters": path or None,
                "queryStringParameters": None,
                "headers": {},
                "body": json.dumps(content) if content is not None else body,
                "requestContext": {"stage": "production"},
            }
        )
        found = json.loads(answer["body"]) if answer["body"] else None
        return answer["statusCode"], found, answer["headers"]

    def sums(self) -> Any:
        return self.laboratory.counters()


@pytest.fixture
def ask() -> Asked:
    return Asked()


def user(unit: str = "user-1", **known: Any) -> dict[str, Any]:
    return {"context": {"targetingKey": unit, **known}}


def event(unit: str = "user-1", id: str = "e1", **more: Any) -> dict[str, Any]:
    given = {"test": "checkout", "unit": unit, "metric": "conversion_rate", "event_id": id}
    return {**given, **more}


def exposure(unit: str = "user-1", **more: Any) -> dict[str, Any]:
    return {"test": "checkout", "unit": unit, **more}


def refused(found: tuple[int, Any, Any], status: int) -> Any:
    code, body, headers = found
    assert code == status, body
    assert headers["content-type"] == "application/problem+json"
    assert headers["access-control-allow-origin"] == "https://shop.example"
    return body


def test_one_assignment_says_what_is_needed_to_report_it(ask: Asked) -> None:
    (unit,) = dealt(ask.test, "treatment", 1)

    status, body, headers = ask(ONE, user(unit), name="checkout")

    assert (status, headers["access-control-allow-origin"]) == (200, "https://shop.example")
    assert body == {
        "test": "checkout",
        "variant": "treatment",
        "why": "assigned",
        "takes_part": True,
        "run": 1,
        "epoch": 0,
        "exposed": None,
        "problem": None,
        "retry": False,
    }
    assert ask.sums() == {}


def test_a_number_out_of_all_bounds_is_refused_and_its_neighbour_counted(ask: Asked) -> None:
    (unit,) = dealt(ask.test, "control", 1)
    ask(EXPOSE, {"exposures": [{"test": "checkout", **user(unit), "run": 1, "epoch": 0}]})

    status, found, _ = ask(
        RECORD,
        {"events": [{**event(unit), "value": "1e99999999"}, {**event(unit), "event_id": "b"}]},
    )

    assert status == 200
    assert [one["result"] for one in found["results"]] == ["refused", "counted"]


def test_an_assignment_that_is_shown_at_once_is_recorded_with_it(ask: Asked) -> None:
    first = ask(ONE, {**user(), "expose": True}, name="checkout")[1]
    again = ask(ONE, {**user(), "expose": True}, name="checkout")[1]

    assert (first["exposed"], again["exposed"]) == ("exposed", "again")
    assert ask.laboratory.snapshot().users(first["variant"]) == 1


def test_who_takes_no_part_is_not_exposed_by_asking(ask: Asked) -> None:
    keeping.create(
        ask.laboratory.store,
        "later",
        definition(),
        by="ada",
        at=ask.laboratory.clock.now(),
    )

    body = ask(ONE, {**user(), "expose": True}, name="later")[1]

    assert (body["variant"], body["why"], body["exposed"]) == ("control", "draft", None)


def test_of_several_tests_one_that_is_unknown_is_an_item(ask: Asked) -> None:
    status, body, _ = ask(ASSIGN, {**user(), "tests": ["checkout", "chekout"]})

    known, unknown = body["assignments"]
    assert status == 200
    assert known["why"] == "assigned"
    assert (unknown["variant"], unknown["why"], unknown["retry"]) == (None, "unknown_test", False)


def test_an_unknown_test_by_its_path_is_a_404_with_a_suggestion(ask: Asked) -> None:
    told = refused(ask(ONE, user(), name="chekout"), 404)

    assert "did you mean checkout?" in told["detail"]


def test_exposures_have_an_answer_each(ask: Asked) -> None:
    (treated,) = dealt(ask.test, "treatment", 1)
    sent = [
        exposure(treated),
        exposure(treated, variant="treatment"),
        exposure("user-2", variant="blue"),
        {"test": "nothing", "unit": "user-2"},
        {"test": "checkout"},
    ]

    status, body, _ = ask(EXPOSE, {"exposures": sent})

    assert (status, body["retry"]) == (200, 0)
    results = [(one["result"], one["variant"]) for one in body["results"]]
    assert results == [
        ("exposed", "treatment"),
        ("again", "treatment"),
        ("refused", None),
        ("refused", None),
        ("refused", None),
    ]
    assert "control, treatment" in body["results"][2]["why"]
    assert "targetingKey" in body["results"][4]["why"]


def test_events_are_counted_once_however_often_they_are_sent(ask: Asked) -> None:
    units = [f"user-{number}" for number in range(5)]
    ask(EXPOSE, {"exposures": [exposure(unit) for unit in units]})
    sent = {"events": [event(unit) for unit in units] + [event("user-0", "e2", metric="nothing")]}

    first, second = ask(RECORD, sent)[1], ask(RECORD, sent)[1]

    assert [one["result"] for one in first["results"]] == ["counted"] * 5 + ["refused"]
    assert [one["result"] for one in second["results"]] == ["duplicate"] * 5 + ["refused"]
    snapshot = ask.laboratory.snapshot()
    seen = [snapshot.arms("conversion_rate", variant) for variant in ("control", "treatment")]
    assert sum(arm.moments.seen for arms in seen for arm in arms) == 5


def test_answers_come_in_the_order_of_the_request_whatever_is_written_together(ask: Asked) -> None:
    ask(EXPOSE, {"exposures": [exposure("a"), exposure("b")]})
    sent = [
        event("a", "1"),
        event("b", "1"),
        event("nobody", "1"),
        event("a", "1"),
        event("b", "2"),
    ]

    results = [one["result"] for one in ask(RECORD, {"events": sent})[1]["results"]]

    assert results == ["counted", "counted", "pending", "duplicate", "counted"]


class Busy:
    """A recorder that cannot write of some users, and takes its time."""

    def __init__(self, recorder: Any, **failing: Exception) -> None:
        self._recorder, self.failing = recorder, failing
        self.took: Any = lambda: None
        self.calls = 0

    def assign(self, test: str, context: Any) -> Any:
        return self._of(context["targetingKey"], lambda: self._recorder.assign(test, context))

    def expose(self, exposure: Any) -> Any:
        unit = exposure.unit or exposure.context["targetingKey"]
        return self._of(unit, lambda: self._recorder.expose(exposure))

    def record(self, events: Any) -> Any:
        return self._of(events[0].unit, lambda: self._recorder.record(events))

    def _of(self, unit: str, call: Any) -> Any:
        self.calls += 1
        self.took()
        if unit in self.failing:
            raise self.failing[unit]
        return call()


def throttled() -> ClientError:
    told: Any = {"Error": {"Code": "ThrottlingException", "Message": "slow down"}}
    return ClientError(told, "TransactWriteItems")


def silent() -> ReadTimeoutError:
    return ReadTimeoutError(endpoint_url="https://dynamodb")


def with_recorder(ask: Asked, **failing: Exception) -> Busy:
    busy = Busy(ask.recorder, **failing)
    made: Any = busy
    ask.api = RecordingApi(made, origin="https://shop.example", monotonic=lambda: ask.took)
    return busy


def test_who_is_throttled_is_to_be_sent_again_and_nobody_else(ask: Asked) -> None:
    with_recorder(ask, b=throttled())
    sent = [exposure(unit) for unit in ("a", "b", "c")]

    exposed = ask(EXPOSE, {"exposures": sent})[1]
    recorded = ask(RECORD, {"events": [event(unit) for unit in ("a", "b", "c")]})[1]

    assert [one["retry"] for one in exposed["results"]] == [False, True, False]
    assert exposed["retry"] == recorded["retry"] == 1
    assert [one["result"] for one in recorded["results"]] == ["counted", "retry", "counted"]


def test_counters_that_are_busy_are_to_be_sent_again(ask: Asked) -> None:
    busy = with_recorder(ask, b=CountersBusy("others were faster"))
    exposed = ask(EXPOSE, {"exposures": [exposure("a"), exposure("b")]})[1]
    busy.record = lambda events: [Recorded("retry", "others were faster") for _ in events]  # type: ignore[method-assign]

    recorded = ask(RECORD, {"events": [event("a")]})[1]

    assert [one["result"] for one in exposed["results"]] == ["exposed", "retry"]
    assert recorded["results"] == [{"result": "retry", "why": "others were faster", "retry": True}]


def test_a_store_that_does_not_answer_is_asked_no_more(ask: Asked) -> None:
    busy = with_recorder(ask, b=silent())

    body = ask(EXPOSE, {"exposures": [exposure(unit) for unit in ("a", "b", "c", "d")]})[1]

    assert [one["result"] for one in body["results"]] == ["exposed", "retry", "retry", "retry"]
    assert busy.calls == 2


@pytest.mark.parametrize("failure", [throttled(), silent()], ids=["throttled", "silent"])
@pytest.mark.parametrize(
    ("resource", "content"),
    [
        (EXPOSE, {"exposures": [exposure("b")]}),
        (RECORD, {"events": [event("b")]}),
        (ASSIGN, {**user("b"), "tests": ["checkout"]}),
    ],
    ids=["exposures", "events", "assignments"],
)
def test_when_nothing_at_all_got_in_it_is_a_503(
    ask: Asked, failure: Exception, resource: str, content: Any
) -> None:
    with_recorder(ask, b=failure)

    found = ask(resource, content)

    assert "send it again" in refused(found, 503)["detail"]
    assert found[2]["retry-after"] == "1"


def test_what_was_not_begun_in_time_is_to_be_sent_again(ask: Asked) -> None:
    busy = with_recorder(ask)

    def took() -> None:
        ask.took += BUDGET_SECONDS / 2 + 1

    busy.took = took
    body = ask(EXPOSE, {"exposures": [exposure(f"user-{n}") for n in range(4)]})[1]

    assert [one["result"] for one in body["results"]] == ["exposed", "exposed", "retry", "retry"]
    assert "too long" in body["results"][3]["why"]


def test_what_waiting_does_not_mend_is_an_error_of_the_whole_request(ask: Asked) -> None:
    told: Any = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}
    with_recorder(ask, b=ClientError(told, "GetItem"))

    refused(ask(EXPOSE, {"exposures": [exposure("a"), exposure("b")]}), 500)


@pytest.mark.parametrize(
    ("resource", "content", "field"),
    [
        (RECORD, {"events": []}, "events"),
        (RECORD, {"events": [event(str(n)) for n in range(MOST_ITEMS + 1)]}, "events"),
        (RECORD, {"events": [{"test": "checkout"}]}, "events.0.unit"),
        (RECORD, {"events": [event(value=True)]}, "events.0.value"),
        (RECORD, {"events": [event(at="2026-03-02T09:00:00")]}, "events.0.at"),
        (RECORD, {"events": [event(at=1_700_000_000)]}, "events.0.at"),
        (RECORD, {"events": [event(unit="")]}, "events.0.unit"),
        (RECORD, {"events": [event(varient="control")]}, "events.0.varient"),
        (EXPOSE, {"exposures": [exposure(epoch=-1)]}, "exposures.0.epoch"),
        (ASSIGN, {"tests": []}, "tests"),
        (ASSIGN, {"tests": ["checkout"], "expose": "yes"}, "expose"),
    ],
    ids=lambda one: json.dumps(one)[:50] if isinstance(one, dict) else str(one),
)
def test_a_wrong_shape_is_refused_as_a_whole_and_names_the_field(
    ask: Asked, resource: str, content: Any, field: str
) -> None:
    told = refused(ask(resource, content), 400)

    assert any(one["field"].startswith(field) for one in told["problems"]), told["problems"]
    assert ask.sums() == {}


def test_a_body_that_is_too_long_is_refused(ask: Asked) -> None:
    long = json.dumps({"events": [event()], "x": "y" * MOST_BYTES})

    assert refused(ask(RECORD, body=long), 413)["title"] == "TooLong"


def test_nothing_that_is_known_of_a_user_is_logged(
    ask: Asked, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "ada@example.com"
    told: Any = {"Error": {"Code": "ThrottlingException", "Message": "slow down"}}
    with_recorder(ask, **{secret: ValueError(f"{secret} is no user")})
    unexpected = ask(RECORD, {"events": [event(secret)]})
    with_recorder(ask, **{secret: ClientError(told, "GetItem")})
    ask(RECORD, {"events": [event(secret)]})
    ask(RECORD, {"events": [event(secret, value=None)]})

    # All that a record has, whatever of it is written.
    said = " ".join(repr(record.__dict__) for record in caplog.records)
    assert unexpected[0] == 500
    assert secret not in json.dumps(unexpected[1])
    assert "ValueError" in said
    assert "recording_api.py" in said
    assert secret not in said


def test_a_name_that_no_test_can_have_is_unknown(ask: Asked) -> None:
    """A longer one is no key of the table, which DynamoDB would refuse."""
    refused(ask(ONE, user(), name="x" * 5000), 404)
