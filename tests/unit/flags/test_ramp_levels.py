"""How a ramp goes on: one step at a time, never past what was judged, back to what was good."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.flags.ramps.ramp import (
    MAX_HOLD,
    Impact,
    decide,
    due_at,
    ended,
    level_of,
    next_level,
    raised,
    steps,
    whole_seconds,
)
from greenlane.flags.storing.state import FlagState, Ramp

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PASS, HOLD = Impact(outcome="pass"), Impact(outcome="hold", reason="no data")
FAIL, FIRED = Impact(outcome="fail", reason="worse"), Impact(outcome="fired", reason="red")
MINUTES = timedelta(minutes=5)

thousandths = st.integers(1, 100_000).map(lambda number: Decimal(number) / 1000)
outcomes = st.sampled_from([PASS, PASS, PASS, HOLD, FAIL, FIRED])


def ramp(**changes):
    values = {
        "id": "r",
        "started_at": NOW,
        "by": "ada",
        "target": Decimal(20),
        "increment": Decimal(5),
        "interval": MINUTES,
    }
    return Ramp(**values | changes)


def of(state: FlagState) -> tuple[Ramp, Decimal]:
    """A state's ramp and level, which it has."""
    assert state.ramp is not None
    assert state.ceiling is not None
    return state.ramp, state.ceiling


def climbing(level, **changes):
    return ramp(last_good=Decimal(level) - 5, raised_at=NOW, **changes)


@given(start=thousandths, target=thousandths, increment=thousandths)
def test_levels_rise_to_the_target_in_as_many_steps_as_promised_and_never_past_it(
    start, target, increment
):
    if steps(start, target, increment) > 400:
        increment = max(increment, (target - start) / 100)
    level, taken = start, 0
    while level < target:
        higher = next_level(level, target, increment)
        assert level < higher <= min(target, level + increment)
        level, taken = higher, taken + 1
    assert taken == steps(start, target, increment)
    assert level == max(start, target)


@given(
    target=thousandths,
    increment=thousandths.filter(lambda one: one >= 2),
    seen=st.lists(outcomes, max_size=80),
    minutes=st.lists(st.integers(0, 9), min_size=80, max_size=80),
)
def test_whatever_is_seen_nobody_gets_more_than_one_step_above_what_was_judged_good(
    target, increment, seen, minutes
):
    state = FlagState(ceiling=Decimal(0), ramp=ramp(target=target, increment=increment))
    now, judged, raises = NOW, Decimal(0), []
    for impact, span in zip(seen, minutes, strict=False):
        now += timedelta(minutes=span)
        one, level = of(state)
        assert level == level_of(state, one)
        if one.status not in ("running", "held"):
            break
        decision = decide(one, level, impact, now)
        if decision.next == "raise":
            assert impact is PASS
            judged = level
            state = raised(state, one, now)
            raises.append(now)
        elif decision.status is not None:
            state = ended(state, one, decision)
        assert of(state)[1] <= min(judged + increment, target)
        if decision.back_to is not None:
            assert state.ceiling == judged
        if decision.stops:
            assert (state.ceiling, state.stopped) == (0, True)
    assert all(later - one >= MINUTES for one, later in zip(raises, raises[1:], strict=False))


def test_a_ramp_that_is_always_judged_good_is_done_at_its_target_after_its_last_step_was_judged():
    state, now, path = FlagState(ceiling=Decimal(3), ramp=ramp()), NOW, []
    while (decision := decide(*of(state), PASS, now)).next != "over":
        if decision.next == "raise":
            state = raised(state, of(state)[0], now)
            path.append(state.ceiling)
        else:
            now += decision.wait
    assert path == [8, 13, 18, 20]
    one, level = of(ended(state, of(state)[0], decision))
    assert (one.status, one.last_good, level) == ("done", 20, 20)
    assert now - NOW == 4 * MINUTES


@pytest.mark.parametrize(("impact", "stops"), [(FAIL, False), (FIRED, True)])
def test_what_is_red_before_the_first_step_starts_no_ramp_and_takes_nothing(impact, stops):
    decision = decide(ramp(last_good=Decimal(10)), Decimal(10), impact, NOW)
    assert (decision.status, decision.owed, decision.back_to) == ("stopped", "refused", None)
    assert not decision.stops
    assert decision.reason == f"not started: {impact.reason}"


def test_a_failed_judgement_goes_back_to_the_last_good_step_at_once():
    decision = decide(climbing(15), Decimal(15), FAIL, NOW + timedelta(minutes=1))
    assert (decision.next, decision.status, decision.back_to) == ("over", "retreated", 10)


def test_a_condition_that_fires_takes_the_flag_from_everybody_at_once():
    decision = decide(climbing(15), Decimal(15), FIRED, NOW + timedelta(minutes=1))
    assert (decision.status, decision.stops, decision.owed) == ("retreated", True, "stopped")


def test_nothing_is_raised_before_its_interval_is_over():
    one = climbing(15)
    early = decide(one, Decimal(15), PASS, due_at(one) - timedelta(seconds=1))
    assert (early.next, early.wait) == ("wait", timedelta(seconds=1))
    assert decide(one, Decimal(15), PASS, due_at(one)).next == "raise"


def test_without_evidence_it_waits_until_the_longest_hold_and_then_people_are_told():
    one = climbing(15)
    waits = decide(one, Decimal(15), HOLD, due_at(one))
    assert (waits.next, waits.status) == ("wait", None)
    last = decide(one, Decimal(15), HOLD, due_at(one) + MAX_HOLD - timedelta(seconds=5))
    assert last.wait == timedelta(seconds=5)
    held = decide(one, Decimal(15), HOLD, due_at(one) + MAX_HOLD)
    assert (held.next, held.status, held.owed) == ("over", "held", "held")


def test_a_held_ramp_is_told_once_and_goes_on_when_it_is_judged_good():
    one = climbing(15, status="held")
    late = due_at(one) + timedelta(hours=9)
    assert decide(one, Decimal(15), HOLD, late) == ("over", timedelta(0), None, None, False, "", "")
    assert decide(one, Decimal(15), PASS, late).next == "raise"
    higher, level = of(raised(FlagState(ceiling=Decimal(15), ramp=one), one, late))
    assert (higher.status, level, higher.last_good) == ("running", 20, 15)


def test_a_wait_is_never_early_and_never_turns_without_a_pause():
    assert whole_seconds(timedelta(seconds=4.2)) == 5
    assert whole_seconds(timedelta(0)) == whole_seconds(timedelta(seconds=-9)) == 1


def test_a_wait_of_years_is_made_of_several_that_step_functions_takes():
    assert whole_seconds(timedelta(days=3653)) == 7 * 86_400
    assert whole_seconds(timedelta(milliseconds=1)) == 1
