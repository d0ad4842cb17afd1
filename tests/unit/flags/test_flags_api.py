"""The admin routes on a store in memory: preconditions, errors, and what a store's failure is."""

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from greenlane.flags.definitions.model import Flag
from greenlane.flags.http.admin_api import FlagsApi
from greenlane.flags.http.api_routes import ADMIN
from greenlane.flags.storing import keeping
from greenlane.flags.storing.state import StoredFlag
from greenlane.http.rest import DEEPEST, Response
from tests.flag_store import NOW, Failing, flags_from, memory_store
from tests.table import Table

ADA = "arn:aws:iam::123456789012:user/ada"

FLAGS = """
feature_flags:
  new_checkout: {percentage: 25}
  needed: {}
  needy: {prerequisites: [{flag: needed}]}
"""


class Clock:
    now_is = NOW

    def now(self) -> Any:
        self.now_is += timedelta(seconds=1)
        return self.now_is


class Asked:
    """An API on a store in memory; `client` can be made to fail."""

    def __init__(self) -> None:
        self.client = Failing(Table("greenlane-flags"))
        self.store = memory_store(self.client)
        self.api = FlagsApi(self.store, Clock())
        self.store.change(flags_from(FLAGS), by="a test", reason="", at=NOW)

    def __call__(
        self,
        method: str,
        resource: str,
        content: Any = None,
        *,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        by: str | None = ADA,
        body: str | None = None,
        **path: str,
    ) -> tuple[int, Any, dict[str, str]]:
        answer = self.api.answer(
            {
                "httpMethod": method,
                "resource": resource,
                "pathParameters": path or None,
                "queryStringParameters": query,
                "headers": headers,
                "body": json.dumps(content) if content is not None else body,
                "requestContext": {
                    "stage": "production",
                    "domainName": "api.example.com",
                    "identity": {"userArn": by},
                },
            }
        )
        found = json.loads(answer["body"]) if answer["body"] else None
        return answer["statusCode"], found, answer["headers"]


@pytest.fixture
def ask() -> Asked:
    return Asked()


ONE = "/v1/flags/{key}"


def test_a_flags_etag_is_its_revision_and_lets_through_who_saw_the_newest(ask: Asked) -> None:
    _, seen, headers = ask("GET", ONE, key="new_checkout")
    given = {"If-Match": headers["etag"]}
    change = {"changes": {"percentage": 30}}

    first = ask("PATCH", ONE, change, headers=given, key="new_checkout")
    second = ask("PATCH", ONE, change, headers=given, key="new_checkout")

    assert headers["etag"] == f'"{seen["revision"]}"' == '"1"'
    assert (first[0], first[2]["etag"]) == (200, '"2"')
    assert (second[0], second[1]["title"]) == (412, "PreconditionFailed")
    assert "revision 2 now" in second[1]["detail"]


def test_another_flags_change_moves_no_etag(ask: Asked) -> None:
    ask("POST", f"{ONE}/disable", {}, key="needy")

    assert ask("GET", ONE, key="new_checkout")[2]["etag"] == '"1"'


@pytest.mark.parametrize(
    ("headers", "key", "status"),
    [
        ({"If-None-Match": "*"}, "new", 200),
        ({"If-None-Match": "*"}, "new_checkout", 412),
        ({"If-Match": "*"}, "new_checkout", 200),
        ({"If-Match": "*"}, "new", 412),
        ({"If-Match": '"7"'}, "new", 412),
        ({"If-Match": '"1"', "If-None-Match": "*"}, "new_checkout", 412),
        ({"If-Match": "1"}, "new_checkout", 400),
        ({"If-Match": 'W/"1"'}, "new_checkout", 400),
        ({"If-None-Match": '"1"'}, "new", 400),
        ({}, "new", 200),
    ],
    ids=str,
)
def test_preconditions_of_a_put(ask: Asked, headers: dict[str, str], key: str, status: int) -> None:
    put = ask("PUT", ONE, {"flag": {"percentage": 5}}, headers=headers, key=key)

    assert put[0] == status
    stored = ask.store.read().flags.get(key)
    assert (stored is not None and stored.flag.percentage == 5) is (status == 200)


def test_what_is_checked_is_what_is_written_over(ask: Asked) -> None:
    """Somebody else's change between the look and the write is not overwritten."""

    def other() -> None:
        keeping.disable(ask.store, "new_checkout", by="bob", at=NOW)

    ask.client.between = other
    status, told, _ = ask(
        "DELETE", ONE, headers={"If-Match": '"1"'}, query={"reason": "over"}, key="new_checkout"
    )

    assert status == 412
    assert "new_checkout" in ask.store.read().flags
    assert told["detail"].startswith("new_checkout: it is at revision 2 now")


def test_without_preconditions_a_change_in_between_is_a_conflict_that_names_who(
    ask: Asked,
) -> None:
    def other() -> None:
        keeping.disable(ask.store, "new_checkout", by="bob", at=NOW)

    ask.client.between = other
    status, told, _ = ask("PATCH", ONE, {"changes": {"percentage": 30}}, key="new_checkout")

    assert (status, told["title"]) == (409, "FlagConflict")
    assert "bob changed it" in told["detail"]


def test_the_kill_switch_is_told_of_no_conflict(ask: Asked) -> None:
    def other() -> None:
        keeping.set_keys(ask.store, "new_checkout", {"percentage": 50}, by="bob", at=NOW)

    ask.client.between = other

    assert ask("POST", f"{ONE}/disable", {"reason": "fire"}, key="new_checkout")[0] == 200
    assert not ask.store.read().flags["new_checkout"].is_on("production")


def test_a_flag_that_others_need_is_not_taken_out(ask: Asked) -> None:
    status, told, _ = ask("DELETE", ONE, key="needed")

    assert status == 400
    assert "needy" in told["detail"]


@pytest.mark.parametrize(
    ("asked", "status", "title"),
    [
        (("GET", ONE, {"key": "nothing"}), 404, "UnknownFlag"),
        (("GET", ONE, {"key": "a b"}), 400, "InvalidInput"),
        (("POST", f"{ONE}/enable", {"key": "nothing"}), 404, "UnknownFlag"),
        (("DELETE", f"{ONE}/ramp", {"key": "new_checkout"}), 400, "InvalidInput"),
        (("POST", "/v1/flag-proposals/{id}/approve", {"id": "x"}), 404, "UnknownProposal"),
        (("GET", "/v1/nothing", {}), 400, "InvalidInput"),
    ],
    ids=str,
)
def test_an_error_is_a_problem_with_its_kind(
    ask: Asked, asked: tuple[str, str, Any], status: int, title: str
) -> None:
    method, resource, path = asked

    found, told, headers = ask(method, resource, **path)

    assert (found, told["status"], told["title"]) == (status, status, title)
    assert headers["content-type"] == "application/problem+json"
    assert told["detail"]


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", "null", '{"flag": {}, "wy": "x"}', '{"flag": NaN}', "[" * 50_000],
    ids=range(7),
)
def test_a_body_that_is_wrong_changes_nothing(ask: Asked, body: str) -> None:
    status, told, _ = ask("PUT", ONE, body=body, key="new")

    assert status == 400
    assert told["problems"]
    assert ask.store.read().version == 1


def test_numbers_too_large_to_count_with_are_refused_by_field(ask: Asked) -> None:
    content = {"environment": "production", "interval": "9" * 30 + "d"}

    assert ask("POST", f"{ONE}/ramp", content, key="new_checkout")[0] == 400


def test_unknown_parameters_are_errors(ask: Asked) -> None:
    status, told, _ = ask("GET", "/v1/flag-audit", query={"limt": "5"})

    assert status == 400
    assert told["problems"][0]["field"] == "limt"
    assert "did you mean limit?" in told["problems"][0]["way_out"]


def test_who_is_not_known_changes_nothing(ask: Asked) -> None:
    assert ask("POST", f"{ONE}/disable", {}, key="new_checkout", by=None)[0] == 401
    assert ask.store.read().version == 1


def test_a_store_that_does_not_answer_is_a_503_that_says_to_look_first(ask: Asked) -> None:
    number = len(ask.client.calls)
    for each in range(number, number + 20):
        ask.client.before[each] = ReadTimeoutError(endpoint_url="https://x")

    status, told, headers = ask("GET", "/v1/flags")

    assert (status, told["title"]) == (503, "StoreUnavailable")
    assert headers["retry-after"].isdecimal()


def test_a_store_that_refuses_is_a_500_without_its_words(ask: Asked) -> None:
    said: Any = {"Error": {"Code": "AccessDeniedException", "Message": "arn:aws:secret"}}
    ask.client.before[len(ask.client.calls)] = ClientError(said, "GetItem")

    status, told, _ = ask("GET", "/v1/flags")

    assert status == 500
    assert "arn:aws:secret" not in json.dumps(told)


def test_a_fault_of_ours_is_a_500_that_tells_nothing(
    ask: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_: Any) -> Any:
        raise RuntimeError("a secret")

    monkeypatch.setattr(ask.store, "read", broken)

    status, told, _ = ask("GET", "/v1/flags")

    assert (status, told["title"]) == (500, "Unexpected")
    assert "secret" not in json.dumps(told)


def test_every_route_is_answered_whatever_is_left_out(ask: Asked) -> None:
    for route in ADMIN:
        path: Any = {name: "x" for name in route.path_parameters}
        status, _, headers = ask(route.method, route.path, **path)
        assert status < 500, route.name
        assert headers["cache-control"] == "no-store"


def test_the_document_names_the_stage_that_was_asked(ask: Asked) -> None:
    _, told, _ = ask("GET", "/openapi.json")

    assert told["servers"] == [{"url": "https://api.example.com/production"}]


def test_the_document_has_the_routes_of_the_functions_that_are_there(
    ask: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_FUNCTIONS", "look_up_flags,manage_flags")
    _, told, _ = ask("GET", "/openapi.json")

    assert told["paths"].keys() >= {"/v1/flags", "/ofrep/v1/evaluate/flags"}
    assert "/v1/experiments" not in told["paths"]
    assert "TestView" not in told["components"]["schemas"]


HALF = r"\ud800"  # of a character, as JSON can write it


def variant(written: str) -> str:
    """A flag with an object that was written so."""
    return f'{{"type": "object", "variants": {{"on": {{"a": {written}}}, "off": {{}}}}}}'


@pytest.mark.parametrize(
    "flag",
    [
        f'{{"metadata": {{"owner": "{HALF}"}}}}',
        f'{{"metadata": {{"{HALF}": "a"}}}}',
        f'{{"user_groups": ["{HALF}"]}}',
        variant(f'"{HALF}"'),
        variant("[" * 300 + "]" * 300),
        variant("[" * 900 + "]" * 900),
    ],
    ids=["value", "name", "group", "variant", "deep", "deeper"],
)
def test_what_could_not_be_told_again_is_not_stored(ask: Asked, flag: str) -> None:
    status, told, _ = ask("PUT", ONE, body=f'{{"flag": {flag}}}', key="new")

    assert status == 400
    assert told["problems"][0]["field"] == "body"
    assert ask.store.read().version == 1


def test_what_is_nested_as_deeply_as_is_allowed_can_be_read_again(ask: Asked) -> None:
    deep = variant("[" * (DEEPEST - 4) + "]" * (DEEPEST - 4))

    assert ask("PUT", ONE, body=f'{{"flag": {deep}}}', key="new")[0] == 200
    assert ask("GET", ONE, key="new")[1]["flag"] == json.loads(deep)
    assert ask("GET", "/v1/flag-audit")[0] == 200


def test_a_flag_with_half_a_character_hides_no_other(ask: Asked) -> None:
    """One may be stored since long ago: who lists flags or reads the audit must not pay for it."""
    odd = StoredFlag(flag=Flag(metadata={"owner": json.loads(f'"{HALF}"')}))
    ask.store.change(lambda flags: flags.with_flag("odd", odd), by="a test", reason="", at=NOW)

    listed = ask("GET", "/v1/flags")
    audit = ask("GET", "/v1/flag-audit")

    assert (listed[0], audit[0]) == (200, 200)
    assert {"odd", "new_checkout"} <= {one["key"] for one in listed[1]["flags"]}


def test_an_answer_that_cannot_be_written_is_a_500_and_no_crash(
    ask: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = Response(content={"no": float("nan")})
    monkeypatch.setitem(ask.api.handlers, "listFlags", lambda request: bad)

    assert ask("GET", "/v1/flags")[0] == 500


@pytest.mark.parametrize("way", ["approve", "reject"])
def test_an_id_that_no_proposal_can_have_does_not_reach_the_store(ask: Asked, way: str) -> None:
    """DynamoDB refuses keys of more than 1,024 bytes, which would be an error of ours."""
    before = len(ask.client.calls)

    status, told, _ = ask("POST", f"/v1/flag-proposals/{{id}}/{way}", {}, id="x" * 2000)

    assert (status, told["title"]) == (404, "UnknownProposal")
    assert len(ask.client.calls) == before


@pytest.mark.parametrize("before", ["1000000000000", "9" * 2000])
def test_no_version_has_more_than_twelve_digits(ask: Asked, before: str) -> None:
    """The audit is in the order of their texts, and longer ones are no keys."""
    assert ask("GET", "/v1/flag-audit", query={"before": before})[0] == 400


def test_a_page_of_the_audit_ends_before_it_is_too_long_for_lambda(
    ask: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    for percentage in range(5):
        ask("PATCH", ONE, {"changes": {"percentage": percentage}}, key="new_checkout")
    monkeypatch.setattr("greenlane.http.fitting.MOST_CHARACTERS", 3000)

    found: list[int] = []
    pages, query = 0, {}
    while pages == 0 or query:
        told = ask("GET", "/v1/flag-audit", query=query)[1]
        found += [one["version"] for one in told["entries"]]
        pages, query = pages + 1, {"before": str(told["next"])} if told["next"] else {}

    assert found == [6, 5, 4, 3, 2, 1]
    assert 1 < pages < 6


@pytest.mark.parametrize("way", ["enable", "ramp"])
def test_what_gives_a_flag_to_more_people_heeds_a_precondition(ask: Asked, way: str) -> None:
    ask("PATCH", ONE, {"changes": {"enabled": way == "ramp"}}, key="new_checkout")
    ask("PATCH", ONE, {"changes": {"percentage": 50}}, key="new_checkout")
    content = {"environment": "*"}
    newest = ask("GET", ONE, key="new_checkout")[2]["etag"]

    outdated = ask("POST", f"{ONE}/{way}", content, headers={"If-Match": '"1"'}, key="new_checkout")
    seen = ask("POST", f"{ONE}/{way}", content, headers={"If-Match": newest}, key="new_checkout")

    assert (outdated[0], seen[0]) == (412, 200)
