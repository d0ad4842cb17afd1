import threading
import time
from typing import Any

import pytest

from greenlane.errors import InvalidInput
from greenlane.flags.evaluating.evaluation import ERROR, GENERAL, STALE, STATIC
from greenlane.flags.reading.reader import Reader
from tests.unit.flags.flagging import NOW, flag, rule
from tests.unit.flags.reading import Shelf, Time, body

USER = {"targetingKey": "user-1"}
OFF = {"f": flag(rule(), on=False)}


def reading(source: Any, at: Time, environment: str = "production", **more: Any) -> Reader:
    return Reader(source, environment, clock=at.clock, monotonic=at.monotonic, **more)


def test_within_the_ttl_a_lookup_reads_nothing() -> None:
    shelf, at = Shelf(production=body()), Time()
    reader = reading(shelf, at)

    for _ in range(100):
        assert reader.evaluate("f", USER).value is True
        at.passes(0.0499)

    assert shelf.asked == ["version production", "snapshot production"]


def test_after_the_ttl_only_the_version_is_read_while_it_stays() -> None:
    shelf, at = Shelf(production=body()), Time()
    reader = reading(shelf, at)
    reader.engine()
    at.passes(5.0)

    before, stale = reader.engine()

    assert shelf.asked[2:] == ["version production"]
    assert not stale
    assert before is reader.engine()[0]


def test_a_new_version_is_taken_with_its_snapshot() -> None:
    shelf, at = Shelf(production=body()), Time()
    reader = reading(shelf, at)
    reader.engine()
    shelf.put(2, body(2, OFF))
    at.passes(5.0)

    engine, stale = reader.engine()

    assert engine is not None
    assert (engine.version, stale) == (2, False)
    assert reader.evaluate("f", USER).value is None


def test_a_sandbox_that_was_frozen_reads_anew() -> None:
    shelf, at = Shelf(production=body()), Time()
    reader = reading(shelf, at)
    reader.engine()
    shelf.put(2, body(2, OFF))
    at.passes(600.0, frozen=True)

    assert reader.evaluate("f", USER).value is None


def test_a_clock_that_is_set_back_keeps_no_snapshot_alive() -> None:
    shelf, at = Shelf(production=body()), Time()
    reader = reading(shelf, at)
    reader.engine()
    shelf.put(2, body(2, OFF))
    at.wall = NOW - 86_400

    assert reader.evaluate("f", USER).value is None


def test_an_environment_that_nobody_mentions_gets_everything_elses_flags() -> None:
    shelf, at = Shelf(), Time()
    shelf.put(4, body(4, environment="*"), "*")
    reader = reading(shelf, at, "qa")

    engine, _ = reader.engine()

    assert engine is not None
    assert (engine.environment, engine.version) == ("qa", 4)


def test_an_environment_of_its_own_is_found_when_it_comes_and_left_when_it_goes() -> None:
    shelf, at = Shelf(), Time()
    shelf.put(4, body(4), "*")
    reader = reading(shelf, at, "qa")
    reader.engine()

    shelf.put(7, body(7, OFF), "qa")
    at.passes(5.0)
    assert reader.evaluate("f", USER).value is None

    del shelf.versions["qa"], shelf.bodies["qa"]
    at.passes(5.0)
    assert reader.evaluate("f", USER).value is True


def test_an_empty_store_knows_no_flag_and_is_no_failure() -> None:
    at = Time()
    reader = reading(Shelf(), at)

    found = reader.evaluate("f", USER)

    assert (found.error, reader.failure) == ("FLAG_NOT_FOUND", None)
    assert reader.evaluate_all(USER) == []


def test_flags_that_are_all_gone_are_gone() -> None:
    shelf, at = Shelf(production=body()), Time()
    reader = reading(shelf, at)
    reader.engine()
    shelf.versions.clear()
    at.passes(5.0)

    assert reader.evaluate("f", USER).error == "FLAG_NOT_FOUND"


def test_a_version_that_comes_before_its_snapshot_is_asked_for_again() -> None:
    shelf, at = Shelf(production=body()), Time()
    reader = reading(shelf, at)
    reader.engine()
    shelf.versions["production"] = 3
    at.passes(5.0)

    kept = reader.evaluate("f", USER)
    assert (kept.value, kept.reason) == (True, STALE)

    shelf.put(3, body(3, OFF))
    at.passes(5.0)
    assert reader.evaluate("f", USER).value is None
    assert reader.failure is None


def test_the_newer_of_two_snapshots_that_are_too_old_is_kept() -> None:
    shelf, at = Shelf(production=body(5)), Time()
    shelf.put(5, body(5))
    reader = reading(shelf, at)
    reader.engine()

    shelf.versions["production"], shelf.bodies["production"] = 9, (4, body(4, OFF))
    at.passes(5.0)
    assert reader.evaluate("f", USER).value is True

    shelf.bodies["production"] = (7, body(7, OFF))
    at.passes(5.0)
    assert reader.evaluate("f", USER).value is None


def test_the_first_snapshot_serves_even_when_a_newer_one_is_announced() -> None:
    shelf, at = Shelf(production=body()), Time()
    shelf.versions["production"] = 2

    found = reading(shelf, at).evaluate("f", USER)

    assert (found.value, found.reason) == (True, STALE)


def test_a_table_that_was_restored_to_an_earlier_version_is_followed() -> None:
    shelf, at = Shelf(), Time()
    shelf.put(9, body(9))
    reader = reading(shelf, at)
    reader.engine()
    shelf.put(3, body(3, OFF))
    at.passes(5.0)

    assert reader.evaluate("f", USER).value is None
    assert reader.failure is None


def test_a_store_that_is_down_gives_stale_answers_up_to_the_limit_and_then_none() -> None:
    shelf, at = Shelf(production=body()), Time()
    reader = reading(shelf, at, max_stale_seconds=60.0)
    assert reader.evaluate("f", USER).reason == STATIC
    shelf.broken = OSError("down")

    reasons = []
    for _ in range(70):
        at.passes(1.0)
        found = reader.evaluate("f", USER)
        reasons.append((found.value, found.reason, found.error))

    assert reasons[:4] == [(True, STATIC, None)] * 4
    assert reasons[4:59] == [(True, STALE, None)] * 55
    assert reasons[59:] == [(None, ERROR, GENERAL)] * 11
    assert reader.evaluate_all(USER) is None


def test_a_store_that_is_down_is_asked_once_a_ttl_and_trusted_again_at_once() -> None:
    shelf, at = Shelf(production=body()), Time()
    told: list[Exception] = []
    reader = reading(shelf, at, on_failure=told.append)
    reader.engine()
    shelf.broken = OSError("down")
    for _ in range(400):
        at.passes(0.125)
        reader.evaluate("f", USER)

    assert len(told) == len(shelf.asked) - 2 == 10
    assert reader.failure is shelf.broken

    shelf.broken = None
    at.passes(5.0)
    found = reader.evaluate("f", USER)
    assert (found.reason, reader.failure) == (STATIC, None)


def test_a_store_that_never_answered_leaves_the_defaults() -> None:
    shelf, at = Shelf(), Time()
    shelf.broken = OSError("down")

    found = reading(shelf, at).evaluate("f", USER)

    assert (found.value, found.error) == (None, GENERAL)
    assert found.message == "there is no snapshot of the flags: OSError"


@pytest.mark.parametrize(
    "broken", [b"", b"[]", b"{}", b"\x1f\x8bno", body(format=2)], ids=lambda one: repr(one[:6])
)
def test_a_snapshot_that_cannot_be_loaded_leaves_the_one_before(broken: bytes) -> None:
    shelf, at = Shelf(production=body()), Time()
    reader = reading(shelf, at)
    reader.engine()
    shelf.put(2, broken)
    at.passes(5.0)

    found = reader.evaluate("f", USER)

    assert (found.value, found.reason) == (True, STALE)
    shelf.put(2, body(2, OFF))
    at.passes(5.0)
    assert reader.evaluate("f", USER).value is None


def test_an_error_of_a_flag_stays_an_error_when_the_store_is_down() -> None:
    shelf, at = Shelf(production=body()), Time()
    reader = reading(shelf, at)
    reader.engine()
    shelf.broken = OSError("down")
    at.passes(5.0)

    assert reader.evaluate("other", USER).reason == ERROR
    assert [one.reason for one in reader.evaluate_all(USER) or ()] == [STALE]


class Slow(Shelf):
    """Answers when it is let; `entered` says that somebody is being answered."""

    def __init__(self, **snapshots: bytes) -> None:
        super().__init__(**snapshots)
        self.entered, self.let = threading.Event(), threading.Event()

    def version(self, environment: str) -> int | None:
        self.entered.set()
        assert self.let.wait(60)
        return super().version(environment)


def gathered(reader: Reader, count: int) -> tuple[list[Any], list[threading.Thread]]:
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda: answers.append(reader.evaluate("f", USER)))
        for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    return answers, threads


def test_one_thread_reads_and_the_others_wait_for_what_it_reads() -> None:
    slow = Slow(production=body())
    reader = Reader(slow, "production", ttl_seconds=60)
    answers, threads = gathered(reader, 12)
    assert slow.entered.wait(60)
    time.sleep(0.05)
    assert answers == []

    slow.let.set()
    for thread in threads:
        thread.join(60)

    assert [one.value for one in answers] == [True] * 12
    assert slow.asked == ["version production", "snapshot production"]


def test_what_was_read_before_a_change_does_not_count_after_it() -> None:
    at = Time()

    class Changing(Shelf):
        def snapshot(self, environment: str) -> tuple[int, bytes] | None:
            found = super().snapshot(environment)
            # Somebody in this process changes the flag while its old state is on its way here.
            self.put(2, body(2, OFF))
            reader.expire()
            return found

    changing = Changing(production=body())
    reader = reading(changing, at)

    assert reader.evaluate("f", USER).value is True
    assert reader.evaluate("f", USER).value is None


def test_nobody_waits_for_a_store_that_is_known_to_be_down() -> None:
    slow, at = Slow(production=body()), Time()
    slow.let.set()
    reader = reading(slow, at)
    reader.engine()
    slow.broken = OSError("down")
    at.passes(5.0)
    reader.engine()
    at.passes(5.0)
    slow.let.clear()
    slow.entered.clear()
    _, threads = gathered(reader, 1)
    assert slow.entered.wait(60)

    found = reader.evaluate("f", USER)

    slow.let.set()
    threads[0].join(60)
    assert (found.value, found.reason) == (True, STALE)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"environment": ""}, "environment"),
        ({"ttl_seconds": -1}, "ttl_seconds"),
        ({"ttl_seconds": float("nan")}, "ttl_seconds"),
        ({"max_stale_seconds": float("inf")}, "max_stale_seconds"),
    ],
)
def test_a_reader_that_could_not_keep_its_promise_is_refused(more: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Reader(Shelf(), **({"environment": "production"} | more))

    assert refused.value.field == field
