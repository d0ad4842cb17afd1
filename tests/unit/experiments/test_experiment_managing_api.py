"""The admin routes of A/B tests on a table in memory: preconditions, refusals, looks, results."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlane.experiments.decision import decide
from greenlane.experiments.http.managing_api import ExperimentsApi
from greenlane.experiments.names import TABLE
from greenlane.http import fitting
from tests.experiment_store import TEST, Laboratory, dealt
from tests.flag_store import memory_store, put

ADA = "arn:aws:iam::123456789012:user/ada"
ALL, ONE = "/v1/experiments", "/v1/experiments/{name}"


class Asked:
    def __init__(self) -> None:
        self.laboratory = Laboratory()
        self.flags = memory_store()
        self.api = ExperimentsApi(
            self.laboratory.store,
            self.flags,
            self.laboratory.clock,
            self.laboratory.table,
            TABLE,
        )

    def __call__(
        self,
        method: str,
        resource: str,
        content: Any = None,
        *,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        by: str | None = ADA,
        name: str | None = None,
    ) -> tuple[int, Any, dict[str, str]]:
        answer = self.api.answer(
            {
                "httpMethod": method,
                "resource": resource,
                "pathParameters": {"name": name} if name else None,
                "queryStringParameters": query,
                "headers": headers,
                "body": None if content is None else json.dumps(content),
                "requestContext": {
                    "stage": "production",
                    "domainName": "api.example.com",
                    "identity": {"userArn": by},
                },
            }
        )
        found = json.loads(answer["body"]) if answer["body"] else None
        return answer["statusCode"], found, answer["headers"]

    def put(self, name: str = "checkout", **more: Any) -> tuple[int, Any, dict[str, str]]:
        keys = more.pop("keys", {})
        return self("PUT", ONE, {"experiment": TEST | keys, **more}, name=name)


@pytest.fixture
def ask() -> Asked:
    return Asked()


def refused(found: tuple[int, Any, Any], status: int) -> Any:
    assert found[0] == status, found[1]
    assert found[2]["content-type"] == "application/problem+json"
    return found[1]


def test_a_test_is_put_as_a_draft_started_changed_and_stopped(ask: Asked) -> None:
    draft = ask.put(reason="for autumn")
    started = ask("POST", f"{ONE}/start", {}, name="checkout")
    changed = ask("PATCH", ONE, {"weights": {"control": 30, "treatment": 70}}, name="checkout")
    stop = {"reason": "enough", "serve": "treatment"}
    stopped = ask("POST", f"{ONE}/stop", stop, name="checkout")

    assert [one[0] for one in (draft, started, changed, stopped)] == [200] * 4
    assert [one[2]["etag"] for one in (draft, started, changed, stopped)] == [
        '"1"',
        '"2"',
        '"3"',
        '"4"',
    ]
    assert (draft[1]["status"], draft[1]["by"]) == ("draft", ADA)
    assert draft[1]["change_reason"] == "for autumn"
    assert started[1]["status"] == "running"
    assert changed[1]["experiment"]["variants"] == {"control": 30, "treatment": 70}
    assert [one["number"] for one in changed[1]["epochs"]] == [0, 1]
    assert (stopped[1]["verdict"], stopped[1]["serve"]) == ("stopped", "treatment")


def test_a_new_test_may_begin_at_once(ask: Asked) -> None:
    body = {"name": "checkout", "experiment": TEST, "start": True}

    first = ask("POST", ALL, body)
    again = ask("POST", ALL, body)
    other = ask("POST", ALL, {**body, "experiment": {**TEST, "minimum_sample_size": 5}})

    assert (first[0], first[1]["status"]) == (200, "running")
    assert (again[0], again[2]["etag"]) == (200, first[2]["etag"])
    assert refused(other, 409)["title"] == "Refused"


def test_a_draft_that_is_otherwise_is_not_replaced_by_a_new_one(ask: Asked) -> None:
    ask.put()
    body = {"name": "checkout", "experiment": {**TEST, "minimum_sample_size": 5}}

    told = refused(ask("POST", ALL, body), 409)

    assert "it is otherwise" in told["detail"]
    assert ask("GET", ONE, name="checkout")[1]["experiment"]["minimum_sample_size"] == 10


@pytest.mark.parametrize(
    ("headers", "name", "status"),
    [
        ({"If-None-Match": "*"}, "new", 200),
        ({"If-None-Match": "*"}, "checkout", 412),
        ({"If-Match": '"1"'}, "checkout", 200),
        ({"If-Match": "*"}, "checkout", 200),
        ({"If-Match": "*"}, "new", 412),
        ({"If-Match": '"7"'}, "checkout", 412),
        ({"If-Match": "1"}, "checkout", 400),
        ({"If-None-Match": '"1"'}, "new", 400),
    ],
    ids=str,
)
def test_preconditions_of_a_put(
    ask: Asked, headers: dict[str, str], name: str, status: int
) -> None:
    ask.put()
    body = {"experiment": {**TEST, "minimum_sample_size": 5}}

    assert ask("PUT", ONE, body, headers=headers, name=name)[0] == status


@pytest.mark.parametrize(
    ("method", "more", "content"),
    [
        ("PATCH", "", {"weights": {"control": 30, "treatment": 70}}),
        ("POST", "/start", {}),
        ("PUT", "", {"experiment": {**TEST, "metrics": ["click_rate"]}}),
    ],
)
def test_who_did_not_see_the_newest_is_told_so_before_anything_else(
    ask: Asked, method: str, more: str, content: Any
) -> None:
    """Also where the change itself would be refused: what was seen is not there any more."""
    ask.put(start=True)

    told = refused(
        ask(method, ONE + more, content, headers={"If-Match": '"9"'}, name="checkout"), 412
    )

    assert "at version 1 now" in told["detail"]


def test_a_running_test_changes_its_weights_and_nothing_else(ask: Asked) -> None:
    ask.put(start=True)

    told = refused(ask.put(keys={"metrics": ["click_rate"]}), 409)

    assert "only weights" in told["detail"]
    assert ask.put(keys={"variants": {"control": 20, "treatment": 80}})[0] == 200


def test_layers_and_holdouts_come_with_the_test_that_names_them(ask: Asked) -> None:
    keys = {"layer": {"name": "nav", "start": 0, "end": 50}}
    unknown = refused(ask.put(keys=keys), 400)

    status, body, _ = ask.put(
        keys=keys, layers={"nav": {}}, holdouts={"quarter": {"percentage": 2}}, start=True
    )

    assert unknown["problems"][0]["field"] == "ab_tests.checkout.layer.name"
    assert (status, body["layer"]["name"]) == (200, "nav")
    assert [one["name"] for one in body["holdouts"]] == ["quarter"]
    assert set(ask("GET", ALL)[1]["shared"]["layers"]) == {"nav"}


def test_a_test_may_not_have_the_name_of_a_flag(ask: Asked) -> None:
    put(ask.flags, "feature_flags: {checkout: {}}")

    told = refused(ask.put(), 409)

    assert "feature flag of this name" in told["detail"]
    assert ask("GET", ALL)[1]["tests"] == []


def test_a_test_whose_name_a_flag_took_later_can_still_be_changed(ask: Asked) -> None:
    ask.put(start=True)
    put(ask.flags, "feature_flags: {checkout: {}}")

    assert ask.put(keys={"variants": {"control": 20, "treatment": 80}})[0] == 200


def test_the_list_has_each_test_in_short(ask: Asked) -> None:
    ask.put("b")
    ask.put("a", start=True)

    status, body, _ = ask("GET", ALL)

    assert status == 200
    assert [(one["name"], one["status"]) for one in body["tests"]] == [
        ("a", "running"),
        ("b", "draft"),
    ]
    assert body["tests"][0]["weights"] == {"control": "50", "treatment": "50"}


@pytest.mark.parametrize(
    ("method", "more", "content"),
    [
        ("GET", "", None),
        ("PATCH", "", {"traffic": 50}),
        ("POST", "/start", {}),
        ("POST", "/stop", {"reason": "x"}),
        ("GET", "/results", None),
        ("GET", "/looks", None),
        ("GET", "/audit", None),
    ],
)
def test_a_test_that_is_not_there_is_a_404(
    ask: Asked, method: str, more: str, content: Any
) -> None:
    ask.put()

    told = refused(ask(method, ONE + more, content, name="chekout"), 404)

    assert "did you mean checkout?" in told["detail"]


@pytest.mark.parametrize(
    ("method", "more", "content", "field"),
    [
        ("POST", "/stop", {}, "reason"),
        ("POST", "/stop", {"reason": " "}, "reason"),
        ("POST", "/stop", {"reason": "x", "serve": "blue"}, "serve"),
        ("PATCH", "", {}, "weights"),
        ("PATCH", "", {"weights": {"control": 50, "blue": 50}}, "weights"),
        ("PATCH", "", {"weights": {"control": 50, "treatment": 51}}, "variants"),
        ("POST", "/start", {"shards": 0}, "shards"),
        ("PUT", "", {"experiment": {**TEST, "minimum_sampel_size": 5}}, "experiment"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named(
    ask: Asked, method: str, more: str, content: Any, field: str
) -> None:
    ask.put(start=True)

    told = refused(ask(method, ONE + more, content, name="checkout"), 400)

    assert any(field in one["field"] for one in told["problems"]), told


def test_nobody_changes_anything_without_a_name(ask: Asked) -> None:
    assert refused(ask("PUT", ONE, {"experiment": TEST}, by=None, name="checkout"), 401)


def test_results_are_those_of_now_and_are_kept_nowhere(ask: Asked) -> None:
    ask.put(start=True, keys={"segments": {"mobile": {"device": "mobile"}}})
    test = ask.laboratory.store.test("checkout")
    for variant, did in (("control", 2), ("treatment", 6)):
        for number, unit in enumerate(dealt(test, variant, 12)):
            ask.laboratory.expose(unit, context={"device": "mobile" if number % 2 else "desk"})
            if number < did:
                ask.laboratory.record(unit)
    ask.laboratory.clock.go(days=1)

    whole = ask("GET", f"{ONE}/results", name="checkout")[1]
    mobile = ask("GET", f"{ONE}/results", query={"segment": "mobile"}, name="checkout")[1]

    assert whole["users"] == {"control": 12, "treatment": 12}
    effect = whole["effects"]["conversion_rate"]["treatment"]
    assert (effect["control"], effect["treatment"]) == (2 / 12, 6 / 12)
    assert (whole["verdict"], whole["stop"], whole["look"]) == ("continue", False, None)
    assert (mobile["segment"], mobile["users"]) == ("mobile", {"control": 6, "treatment": 6})
    assert (mobile["verdict"], mobile["reason"]) == (None, None)
    assert ask("GET", f"{ONE}/looks", name="checkout")[1]["looks"] == []


def test_results_of_a_draft_and_of_no_segment_are_refused(ask: Asked) -> None:
    ask.put()
    draft = refused(ask("GET", f"{ONE}/results", name="checkout"), 400)
    ask("POST", f"{ONE}/start", {}, name="checkout")
    segment = refused(
        ask("GET", f"{ONE}/results", query={"segment": "mobile"}, name="checkout"), 400
    )

    assert "draft" in draft["detail"]
    assert "declares no segments" in segment["detail"]


def kept_looks(ask: Asked, count: int) -> None:
    ask.put(start=True, keys={"minimum_sample_size": 1000})
    test = ask.laboratory.store.test("checkout")
    looks: list[Any] = []
    for _ in range(count):
        ask.laboratory.clock.go(hours=1)
        look = decide(test.definition, ask.laboratory.snapshot(), looks)
        looks.append(ask.laboratory.store.keep_look("checkout", 1, look))


@settings(max_examples=10, deadline=None)
@given(limit=st.integers(1, 4), characters=st.sampled_from([1, 4000, 10**7]))
def test_looks_come_in_pages_without_a_gap(limit: int, characters: int) -> None:
    ask = Asked()
    kept_looks(ask, 7)
    found: list[int] = []
    after = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "MOST_CHARACTERS", characters)
        while after is not None:
            query = {"after": str(after), "limit": str(limit)}
            page = ask("GET", f"{ONE}/looks", query=query, name="checkout")[1]
            assert page["looks"]
            found += [one["number"] for one in page["looks"]]
            after = page["next"]

    assert found == [1, 2, 3, 4, 5, 6, 7]


def test_the_audit_says_who_and_that_there_is_more(ask: Asked) -> None:
    ask.put(reason="for autumn")
    ask("POST", f"{ONE}/start", {"reason": "go"}, by=f"{ADA}2", name="checkout")

    whole = ask("GET", f"{ONE}/audit", name="checkout")[1]
    newest = ask("GET", f"{ONE}/audit", query={"limit": "1"}, name="checkout")[1]

    said = [(one["version"], one["by"], one["reason"]) for one in whole["entries"]]
    assert said == [(2, f"{ADA}2", "go"), (1, ADA, "for autumn")]
    assert (whole["more"], newest["more"], len(newest["entries"])) == (False, True, 1)
