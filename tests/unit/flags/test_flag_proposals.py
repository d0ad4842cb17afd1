"""Changes that wait are listed a page at a time, newest first."""

import json
from datetime import timedelta

import pytest

from greenlane.flags.definitions.document import read_flags
from greenlane.flags.http.admin_api import FlagsApi
from greenlane.flags.storing import keeping
from tests.builders import SettableClock
from tests.flag_store import NOW, memory_store

ALL = 130
"""More than DynamoDB is asked for at once."""


@pytest.fixture(scope="module")
def store():
    """One change each minute; of three, the first is decided."""
    made = memory_store()
    text = "approvals: {environments: [production]}\nfeature_flags: {a: {percentage: 0}}"
    keeping.put(made, read_flags(text), by="ada", at=NOW)
    for number in range(ALL):
        at = NOW + timedelta(minutes=number)
        percentage = {"percentage": number % 90 + 1}
        kept = keeping.set_keys(made, "a", percentage, by="ada", reason=str(number), at=at)
        if number % 3 == 0:
            keeping.reject(made, kept.proposal.id, by="bob", at=at)
    return made


def numbers(found):
    return [int(one.reason) for one in found]


def test_all_of_them_come_newest_first(store):
    assert numbers(store.proposals()) == list(range(ALL))[::-1]


def test_pages_follow_each_other_without_a_gap_or_a_repetition(store):
    found = store.proposals(limit=7)
    pages = [found]
    while found := store.proposals(before=found[-1].id, limit=7):
        pages.append(found)
    assert [number for page in pages for number in numbers(page)] == list(range(ALL))[::-1]
    assert {len(page) for page in pages[:-1]} == {7}


def test_those_that_wait_fill_a_page_though_others_were_decided_in_between(store):
    found = store.proposals("waiting", limit=60)
    assert len(found) == 60
    assert all(number % 3 for number in numbers(found))
    assert numbers(store.proposals("rejected")) == list(range(0, ALL, 3))[::-1]


def asked(store, **query):
    api = FlagsApi(store, SettableClock())
    event = {
        "httpMethod": "GET",
        "resource": "/v1/flag-proposals",
        "queryStringParameters": query,
        "requestContext": {"identity": {"userArn": "arn:ada"}},
    }
    answer = api.answer(event)
    return answer["statusCode"], answer["body"]


def test_over_http_a_page_names_the_next_one(store):
    seen, before = [], {}
    for _ in range(10):
        status, body = asked(store, status="waiting", limit="25", **before)
        assert status == 200
        told = json.loads(body)
        seen += [int(one["reason"]) for one in told["proposals"]]
        if told["next"] is None:
            break
        before = {"before": told["next"]}
    assert seen == [number for number in range(ALL) if number % 3][::-1]


def test_a_page_ends_before_it_is_too_long_for_lambda(store, monkeypatch):
    monkeypatch.setattr("greenlane.http.fitting.MOST_CHARACTERS", 2000)
    told = json.loads(asked(store, limit="50")[1])
    assert 0 < len(told["proposals"]) < 50
    assert told["next"] == told["proposals"][-1]["id"]


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "101"}, {"status": "gone"}, {"x": "1"}]
)
def test_what_is_no_page_is_refused(store, query):
    assert asked(store, **query)[0] == 400
