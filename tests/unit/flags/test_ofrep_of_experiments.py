"""A/B tests over OFREP: a key that is no flag's, both kinds in bulk, and one ETag for both."""

import json
from typing import Any

import pytest

from greenlane.experiments.answering import Answers
from greenlane.experiments.names import TABLE
from greenlane.flags.http.ofrep import Ofrep
from greenlane.flags.reading.sources import BotoSource
from tests.experiment_store import Laboratory, dealt
from tests.unit.flags.flagging import engine, flag, rule
from tests.unit.flags.ofrep_asking import FLAGS, context, event


class Source(BotoSource):
    """A source that fails while it is told to."""

    broken = False

    def version(self, environment: str) -> int | None:
        if self.broken:
            raise OSError("no answer")
        return super().version(environment)


class Asked:
    """Lookups of flags and of one test, `checkout`, which runs."""

    def __init__(self) -> None:
        self.laboratory = Laboratory()
        self.test = self.laboratory.begin()
        self.source = Source(self.laboratory.table, TABLE)
        self.answers = Answers(self.source, clock=self.now, monotonic=self.now, ttl_seconds=0)
        self.told: list[tuple[str, str, int]] = []
        self.ofrep = Ofrep()
        self.flags: Any = FLAGS

    def now(self) -> float:
        return self.laboratory.clock.now().timestamp()

    def __call__(
        self, key: str | None = None, body: Any = None, **more: Any
    ) -> tuple[int, dict[str, str], Any]:
        asked = event(context(targetingKey="user-1") if body is None else body, key, **more)

        def tell(found: Any, version: int) -> None:
            self.told.append((found.key, found.error or found.variant, version))

        answer = self.ofrep.answer(asked, self.flags, False, self.now(), tell, self.answers)
        return (
            answer["statusCode"],
            answer["headers"],
            json.loads(answer["body"]) if answer["body"] else None,
        )

    def user(self, variant: str = "treatment") -> Any:
        (unit,) = dealt(self.test, variant, 1)
        return context(targetingKey=unit)


@pytest.fixture
def ask() -> Asked:
    return Asked()


def test_a_key_that_is_no_flags_is_a_tests(ask: Asked) -> None:
    status, headers, body = ask("checkout", ask.user())

    assert status == 200
    assert headers["access-control-allow-origin"] == "*"
    assert body == {
        "key": "checkout",
        "value": "treatment",
        "reason": "SPLIT",
        "variant": "treatment",
        "metadata": {
            "experiment": "checkout",
            "run": 1,
            "why": "assigned",
            "takesPart": True,
            "epoch": 0,
        },
    }
    assert ask.told == [("checkout", "treatment", ask.answers.version)]


def test_a_lookup_is_no_exposure(ask: Asked) -> None:
    for _ in range(3):
        ask("checkout")
        ask()

    assert ask.laboratory.counters() == {}
    assert ask.laboratory.items("user#") == []


def test_a_flag_hides_a_test_of_its_name(ask: Asked) -> None:
    ask.flags = engine({"checkout": flag(rule())})

    assert ask("checkout")[2]["value"] is True
    assert [one["value"] for one in ask()[2]["flags"]] == [True]


def test_a_flag_is_looked_up_without_reading_any_test(ask: Asked) -> None:
    ask.source.broken = True

    assert ask("plain")[0] == 200
    assert ask.answers.reader.failure is None


def test_a_key_of_neither_is_unknown(ask: Asked) -> None:
    status, _, body = ask("chekout")

    assert (status, body["errorCode"]) == (404, "FLAG_NOT_FOUND")
    assert ask.told == [("chekout", "FLAG_NOT_FOUND", FLAGS.version)]


def test_a_key_that_may_be_a_tests_is_not_unknown_while_tests_cannot_be_read(ask: Asked) -> None:
    ask.source.broken = True

    status, headers, body = ask("checkout")

    assert (status, body["errorCode"], headers["retry-after"]) == (503, "GENERAL", "5")
    assert "A/B tests" in body["errorDetails"]


def test_bulk_has_flags_and_tests_with_the_versions_of_both(ask: Asked) -> None:
    status, _, body = ask(None, ask.user())

    keys = [one["key"] for one in body["flags"]]
    assert status == 200
    assert sorted(keys) == sorted([*FLAGS.flags, "checkout"])
    assert body["metadata"] == {
        "version": "7",
        "environment": "production",
        "experiments": str(ask.answers.version),
    }
    assert ("checkout", "treatment", ask.answers.version) in ask.told


def test_flags_are_answered_in_bulk_while_tests_cannot_be_read(ask: Asked) -> None:
    ask.source.broken = True

    status, _, body = ask()

    assert status == 200
    assert [one["key"] for one in body["flags"]] == sorted(FLAGS.flags)
    assert body["metadata"]["experiments"] == "0"


def tag(ask: Asked, body: Any = None) -> str:
    return ask(None, body)[1]["etag"]


def test_the_same_question_with_its_tag_is_a_304_and_counts_nothing(ask: Asked) -> None:
    known = tag(ask)
    ask.told.clear()

    status, _, body = ask(None, None, headers={"If-None-Match": known})

    assert (status, body, ask.told) == (304, None, [])


def test_the_tag_moves_with_what_a_test_answers(ask: Asked) -> None:
    user = ask.user()
    tags = [tag(ask, user)]
    ask.laboratory.expose(user["context"]["targetingKey"])
    tags.append(tag(ask, user))  # the same weights deal the same
    ask.laboratory.reweigh(control=99, treatment=1)
    tags.append(tag(ask, user))  # recorded now, and the version moved
    ask.source.broken = True
    tags.append(tag(ask, user))

    assert tags[0] == tags[1]
    assert len(set(tags)) == 3


def test_the_tag_covers_the_record_of_the_user(ask: Asked) -> None:
    """Another request may have exposed the user between two polls of a page."""
    ask.laboratory.reweigh(control=99, treatment=1)
    body = ask.user()
    before = ask(None, body)
    ask.laboratory.expose(body["context"]["targetingKey"], "treatment", epoch=0)

    after = ask(None, body, headers={"If-None-Match": before[1]["etag"]})

    def variant(answer: Any) -> str:
        (one,) = [it for it in answer[2]["flags"] if it["key"] == "checkout"]
        return str(one["variant"])

    assert (variant(before), after[0], variant(after)) == ("control", 200, "treatment")


def test_a_test_that_cannot_be_told_is_an_item_and_an_error_of_its_own(ask: Asked) -> None:
    ask.answers.reader.deals()
    deals: Any = ask.answers.reader.deals()[0]
    deals.tests.pop("checkout")
    deals.broken["checkout"] = "KeyError: 'epochs'"

    status, _, body = ask("checkout")
    (item,) = [one for one in ask()[2]["flags"] if one["key"] == "checkout"]

    assert (status, body["errorCode"]) == (400, "PARSE_ERROR")
    assert item == body
