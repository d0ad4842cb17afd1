"""Ramps by the real workflow and the real functions, with something wrong at each call in turn."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from greenlane.flags.storing import keeping
from greenlane.flags.storing.state import FlagState
from tests.effort import part
from tests.flag_town import FLAG, KINDS, Kind, Town, no_pauses  # noqa: F401

TARGET, STEP, MINUTES = 10, 5, 3
EACH = len(KINDS)
"""Each of the seven kinds strikes every seventh call and begins at another one, so that each call
is struck by one of them; in a whole run by all of them."""


def ramping(harm: float = 0.0, **more: Any) -> Town:
    town = Town(harm=harm, **more)
    town.ramp(TARGET, STEP, minutes=MINUTES)
    return town


def states(town: Town, flag: str = "checkout") -> Iterator[tuple[str, str, FlagState]]:
    """Who changed the flag, why, and its state after that, oldest first."""
    for entry in reversed(town.flags.audit(flag, limit=1000)):
        for change in entry.changes:
            if change.key == flag and change.after:
                after = change.after["states"].get("production", {})
                yield entry.by, entry.reason, FlagState.model_validate(after)


def check_path(town: Town, flag: str = "checkout", step: int = STEP) -> None:
    """Never above the level last judged good plus one step, and never a step before its time."""
    good, raised = Decimal(0), None
    for _, why, state in states(town, flag):
        if state.ramp is None:
            continue
        assert state.ceiling is not None
        assert state.ceiling <= state.ramp.last_good + step
        assert state.ramp.last_good >= good
        good = state.ramp.last_good
        if "one step up" in why:
            at = state.ramp.raised_at
            assert at is not None
            assert raised is None or at - raised >= timedelta(minutes=MINUTES)
            raised = at


CALLS = {harm: 0 for harm in (0.0, 0.9)}


def calls_of(harm: float) -> int:
    """How many calls a ramp makes with which nothing is wrong."""
    if not CALLS[harm]:
        town = ramping(harm)
        town.run(3, done=town.over())
        CALLS[harm] = len(town.calls)
        town.kernel.close()
    return CALLS[harm]


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_ramp_ends_at_its_target_whatever_happens_at_any_call(kind: Kind) -> None:
    for number in part(range(1, calls_of(0.0) + 1), EACH, KINDS.index(kind)):
        town = ramping()
        town.strikes = {number: kind}
        town.run(4, done=town.over())
        found = (town.ramp_of().status, town.level(), town.state().stopped, town.kinds())
        assert found == ("done", TARGET, False, []), f"{kind} at call {number}"
        check_path(town)
        town.kernel.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_ramp_is_stopped_and_told_whatever_happens_at_any_call(kind: Kind) -> None:
    for number in part(range(1, calls_of(0.9) + 1), EACH, KINDS.index(kind)):
        town = ramping(0.9)
        town.strikes = {number: kind}
        town.run(4, done=town.told())
        state = town.state()
        found = (town.ramp_of().status, town.level(), state.stopped, state.owed)
        assert found == ("retreated", 0, True, ""), f"{kind} at call {number}"
        assert set(town.kinds()) == {"flag_stopped"}
        assert max(s.ceiling or 0 for _, _, s in states(town)) <= TARGET
        check_path(town)
        town.kernel.close()


PERSONS: dict[str, Callable[[Town], object]] = {
    "stops": lambda town: keeping.stop_ramp(
        town.flags, "checkout", "production", "jo", at=town.kernel.now()
    ),
    "goes back": lambda town: keeping.stop_ramp(
        town.flags, "checkout", "production", "jo", at=town.kernel.now(), back=True
    ),
    "disables": lambda town: keeping.disable(
        town.flags, "checkout", "production", by="jo", at=town.kernel.now()
    ),
    "sets": lambda town: (
        keeping.stop_ramp(town.flags, "checkout", "production", "jo", at=town.kernel.now()),
        keeping.set_keys(town.flags, "checkout", {"percentage": 42}, by="jo", at=town.kernel.now()),
    ),
    "deletes": lambda town: keeping.delete(town.flags, ["checkout"], by="jo", at=town.kernel.now()),
}


@pytest.mark.parametrize("what", PERSONS)
def test_what_a_person_does_at_any_call_stays_and_ends_the_ramp(what: str) -> None:
    for number in part(range(2, calls_of(0.0)), EACH, list(PERSONS).index(what)):
        town = ramping()
        after: dict[str, Any] = {}

        def act(town: Town = town, after: dict[str, Any] = after) -> None:
            if town.ramp_of().status == "running":
                PERSONS[what](town)
                after["flag"] = town.flags.read().flags.get("checkout")

        town.acts[number] = act
        town.run(0.5)
        if "flag" in after:
            now = town.flags.read().flags.get("checkout")
            assert now == after["flag"], f"{what} at call {number}"
            alive = [one for one in town.executions.values() if one.status == "RUNNING"]
            assert not alive
        town.kernel.close()


def test_ramps_of_two_flags_at_once_are_each_their_own() -> None:
    two = FLAG + FLAG.replace("feature_flags:\n", "").replace("checkout:", "search:").replace(
        "error_rate > 0.05", "error_rate > 0.9"
    )
    town = Town(two, harm=0.9)
    town.ramp(TARGET, STEP, minutes=MINUTES)
    town.ramp(30, 10, minutes=MINUTES, flag="search")
    town.run(4, done=town.over("checkout", "search"))
    assert (town.ramp_of().status, town.level()) == ("retreated", 0)
    assert (town.ramp_of("search").status, town.level("search")) == ("done", 30)
    assert len(town.executions) == 2
    check_path(town)
    check_path(town, "search", 10)


def test_a_flag_that_is_ramped_again_after_its_retreat_begins_a_ramp_of_its_own() -> None:
    town = ramping(0.9)
    town.run(4, done=town.over())
    keeping.enable(town.flags, "checkout", "production", by="jo", at=town.kernel.now())
    town.harm = 0.0
    town.ramp(TARGET, STEP, minutes=MINUTES)
    town.run(4, done=town.over())
    assert (town.ramp_of().status, town.level()) == ("done", TARGET)
    assert len(town.executions) == 2
