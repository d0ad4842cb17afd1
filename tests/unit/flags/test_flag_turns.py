"""More ramps than a minute has time for: who waited longest comes first, nobody is forgotten."""

from datetime import timedelta
from decimal import Decimal
from threading import Lock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.flags.ramps.turns import AT_ONCE, Ring, from_on, take_turns
from greenlane.flags.storing.state import Ramp
from tests.builders import SettableClock
from tests.fakes import error
from tests.flag_store import NOW, memory_store
from tests.flag_town import FLAG, Town, no_pauses  # noqa: F401


class Busy:
    """Looks that each take some seconds of the clock, and who had one."""

    def __init__(self, *names: str, seconds: float = 1.0) -> None:
        self.clock, self.done = SettableClock(), []
        self._seconds, self._lock = seconds, Lock()
        self.looks = [(name, self._look(name)) for name in names]

    def _look(self, name):
        def look():
            with self._lock:
                self.done.append(name)
                self.clock.advance(seconds=self._seconds)

        return look

    def minute(self, ring, seconds, **more):
        self.done.clear()
        return ring.take(self.clock, self.clock.now() + timedelta(seconds=seconds), **more)


@given(
    names=st.sets(st.text("abc", min_size=1, max_size=3), min_size=1),
    first=st.text("abc", max_size=3),
)
def test_a_ring_keeps_its_order_from_wherever_it_begins(names, first):
    ring = [name for name, _ in from_on([(name, lambda: None) for name in names], first)]
    begin = next((at for at, name in enumerate(sorted(names)) if name >= first), 0)
    assert ring == sorted(names)[begin:] + sorted(names)[:begin]


@pytest.mark.parametrize("seconds", [0, 7, 20, 1000])
def test_within_a_round_everybody_has_a_turn_and_nobody_two(seconds):
    names = [f"{number:03}" for number in range(60)]
    busy = Busy(*names)
    ring = Ring("flags", busy.looks, memory_store())
    had = []
    for _ in range(60):
        assert busy.minute(ring, seconds) == []
        assert busy.done
        had += busy.done
        if len(had) >= len(names):
            break
    assert {*had} == {*names}
    assert len(had) - len(names) <= max(seconds, 1) + AT_ONCE


def test_the_next_minute_begins_with_who_waited_longest_though_others_came_and_went():
    busy = Busy(*"abcdefghij")
    store = memory_store()
    busy.minute(Ring("flags", busy.looks, store), 6)
    left = store.turn("flags")
    assert left > "a"
    others = [look for look in busy.looks if look[0] != left] + [(f"{left}+", lambda: None)]
    others += [(f"new {number}", lambda: None) for number in range(3)]
    busy.minute(Ring("flags", others, store), 1)
    assert busy.done == [] or busy.done[0] > left


def test_what_comes_first_each_minute_does_and_is_not_where_the_next_one_begins():
    busy = Busy(*"abcdefgh", "first")
    *looks, first = busy.looks
    store = memory_store()
    ring = Ring("conditions", looks, store)
    for _ in range(3):
        busy.minute(ring, 3, first=[first])
        assert "first" in busy.done
        assert store.turn("conditions") in "abcdefgh"


def test_one_that_fails_is_told_and_keeps_no_other_from_its_turn():
    done = []

    def fail():
        raise error("AccessDeniedException")

    looks = [("a", fail), ("b", lambda: done.append("b")), ("c", lambda: 1 / 0)]
    taken = take_turns(looks, SettableClock())
    assert (sorted(taken.problems), taken.left) == (["a: ClientError", "c: ZeroDivisionError"], [])
    assert done == ["b"]


class Forgetful:
    """A table that does not keep whose turn it is."""

    def turn(self, ring):
        raise error("ThrottlingException")

    def next_turn(self, ring, name):
        raise error("ThrottlingException")


def test_where_the_place_is_not_kept_none_starves_and_somebody_hears_of_it():
    names = [f"{number:02}" for number in range(30)]
    busy = Busy(*names)
    ring = Ring("flags", busy.looks, Forgetful())
    had = set()
    for _ in range(300):
        assert busy.minute(ring, 5) == ["turns of flags: ClientError"] * 2
        had |= {*busy.done}
        if len(had) == len(names):
            break
    assert had == {*names}


def test_a_few_looks_need_no_place():
    busy = Busy(*"abcde")
    assert busy.minute(Ring("flags", busy.looks, Forgetful()), 60) == []
    assert sorted(busy.done) == list("abcde")


def test_five_hundred_ramps_that_take_more_than_a_minute_are_all_seen_to_within_a_round():
    keys = [f"flag-{number:03}" for number in range(500)]
    one = FLAG.replace("feature_flags:\n", "")
    town = Town("feature_flags:\n" + "".join(one.replace("checkout", key) for key in keys))
    asked, lock = [], Lock()

    def describe(executionArn):  # noqa: N803
        with lock:
            asked.append(executionArn.rsplit(":", 1)[1].removesuffix("-1"))
            town.kernel.seconds += 0.1  # of all workers together: two hundred in a minute
        return {"status": "RUNNING"}

    town.__dict__["describe_execution"] = describe
    town.flags.change(lambda flags: ramping(flags, keys), by="ada", reason="", at=NOW)
    seen_to = []
    for _ in range(3):
        run = town.tick()
        town.kernel.run(town.kernel.seconds + 60, lambda: run.ended.is_set)  # noqa: B023
        assert run.failure is None
        seen_to.append(len({*asked}))
    assert seen_to[0] < 210
    assert seen_to[-1] == len(keys)
    assert len(asked) - len(keys) < 210  # who had a turn had no second one before the last


def ramping(flags, keys):
    """Flags whose ramps were recorded and have not begun."""
    for key in keys:
        ramp = Ramp(
            id=f"{key}-1",
            started_at=NOW,
            by="ada",
            target=Decimal(100),
            increment=Decimal(5),
            interval=timedelta(minutes=5),
        )
        one = flags.flags[key].with_state("production", ramp=ramp, ceiling=Decimal(0))
        flags = flags.with_flag(key, one)
    return flags
