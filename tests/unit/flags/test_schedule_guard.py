"""The judgement of scheduled rollouts: it keeps them lower where it must, and never waiting."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from greenlane.flags.evaluating.schedule import level_at
from greenlane.flags.ramps.ramp import Impact
from greenlane.flags.ramps.schedule_guard import judged_schedule, level_since, worth_a_look
from greenlane.flags.storing import keeping
from greenlane.flags.storing.state import FlagState
from tests.builders import NOW
from tests.flag_town import Town, no_pauses  # noqa: F401

START = datetime(2026, 11, 24, tzinfo=UTC)
HOUR = 3600.0
PLAN = (START.timestamp(), None, HOUR, 10_000, 100_000, 0)
PASS, HOLD = Impact(outcome="pass"), Impact(outcome="hold", reason="no data")
FAIL = Impact(outcome="fail", reason="worse")
TEXT = """
feature_flags:
  checkout:
    environments: [production]
    service: claude-manager
    rollback_conditions: ["error_rate > 0.05 for 30/30"]
    scheduled_rollout: {start_date: 2026-11-23T12:00:00Z, increment: 10, interval: 20m}
"""


def after(hours, minutes=0):
    return START + timedelta(hours=hours, minutes=minutes)


def test_a_step_that_was_judged_good_is_noted_shortly_before_the_next_and_kept_lower_by_nothing():
    assert judged_schedule(FlagState(), PLAN, PASS, after(0, 30)) is None
    noted = judged_schedule(FlagState(), PLAN, PASS, after(0, 59))
    assert noted is not None
    assert (noted.judged, noted.ceiling) == (10, None)
    assert judged_schedule(noted, PLAN, PASS, after(0, 59)) is None


def test_no_data_holds_the_level_only_where_a_step_is_about_to_come():
    assert judged_schedule(FlagState(), PLAN, HOLD, after(1, 30)) is None
    held = judged_schedule(FlagState(), PLAN, HOLD, after(1, 59))
    assert (held.ceiling, held.owed, held.retreated) == (20, "held", None)


def test_a_failed_judgement_goes_back_to_the_level_last_judged_good_and_stays_there():
    state = FlagState(judged=Decimal(20), judged_at=after(1, 59))
    back = judged_schedule(state, PLAN, FAIL, after(2, 5))
    assert (back.ceiling, back.retreated, back.owed) == (20, "worse", "retreated")


def test_what_was_never_judged_goes_back_to_where_the_schedule_began():
    based = (*PLAN[:5], 5_000)
    assert judged_schedule(FlagState(), based, FAIL, after(4)).ceiling == 5


def test_a_held_schedule_catches_up_one_step_at_a_time_and_skips_none():
    state, now, levels = FlagState(ceiling=Decimal(10)), after(4, 30), []
    while state.ceiling is not None:
        found = judged_schedule(state, PLAN, PASS, now)
        if found is not None:
            levels.append((found.ceiling, now))
            state = found
        now += timedelta(minutes=1)
    assert [level for level, _ in levels][:4] == [20, 30, 40, 50]
    spans = [later - one for (_, one), (_, later) in zip(levels, levels[1:], strict=False)]
    assert all(span >= timedelta(hours=1) for span in spans)


@given(
    seen=st.lists(st.sampled_from([PASS, PASS, HOLD]), min_size=1, max_size=400),
    alive=st.lists(st.booleans(), min_size=1, max_size=400),
)
def test_without_a_decision_the_schedule_is_what_it_is_and_no_decision_lets_it_jump(seen, alive):
    """A judge that is dead for a while neither stalls the schedule nor lets it skip a step."""
    state, now, before = FlagState(), START, Decimal(10)
    for impact, lives in zip(seen, alive, strict=False):
        now += timedelta(minutes=3)
        full = Decimal(level_at(PLAN, now.timestamp())) / 1000
        if lives:
            state = judged_schedule(state, PLAN, impact, now) or state
        served = full if state.ceiling is None else min(full, state.ceiling)
        assert served <= full
        assert served - before <= 10
        assert state.ceiling is None or state.ceiling <= full
        before = served


def test_a_level_that_was_let_up_late_is_judged_from_then_on():
    state = FlagState(ceiling=Decimal(20), judged=Decimal(10), judged_at=after(5))
    assert level_since(state, PLAN, after(6)) == after(5)
    assert level_since(FlagState(), PLAN, after(6, 20)) == after(6)


def test_a_new_level_is_looked_at_each_minute_and_an_old_one_seldom():
    assert worth_a_look(after(0), after(0, 7), after(24))
    assert not worth_a_look(after(0), after(0, 47), after(24))
    assert worth_a_look(after(0), after(0, 50), after(24))
    assert worth_a_look(after(0), after(23, 58), after(24))


def scheduled(**more):
    town = Town(TEXT, **more)
    town.kernel.seconds = 1
    return town


def test_a_good_schedule_goes_its_way_and_is_noted_once_a_step():
    town = scheduled()
    town.run(1.1)
    assert (town.level(), town.state().ceiling, town.state().judged) == (40, None, 30)
    assert len(town.flags.audit()) == 1 + 3
    assert town.kinds() == []


def test_a_bad_schedule_goes_back_to_its_last_good_level_and_pages():
    town = scheduled(harm=0.6)
    town.harmful = lambda at: at >= NOW + timedelta(minutes=40)
    town.run(0.7)
    assert town.level() == 30
    town.run(0.3)
    assert (town.level(), town.state().retreated is not None) == (20, True)
    assert town.kinds() == ["flag_retreated"]
    town.run(2)
    assert town.level() == 20


def test_a_dead_tick_neither_stalls_nor_skips_a_schedule():
    town = scheduled()
    town.kernel.seconds = 2 * 3600.0
    assert town.level() == 70
    town.run(0.5)
    assert town.level() == 80
    assert town.state().ceiling is None


def test_a_schedule_without_data_is_held_and_told_once_and_goes_on_step_by_step():
    town = scheduled()
    quiet = NOW + timedelta(minutes=5), NOW + timedelta(minutes=70)
    town.silent = lambda at: quiet[0] <= at < quiet[1]
    town.run(1.1)
    assert town.level() == 10
    assert town.kinds() == ["flag_held"]
    town.run(1.2)
    assert 30 <= town.level() <= 50
    assert town.kinds() == ["flag_held"]


def test_whatever_a_person_wrote_meanwhile_stays():
    town = scheduled(harm=0.6)
    keeping.disable(town.flags, "checkout", "production", by="ada", at=town.kernel.now())
    before = town.state()
    town.run(0.5)
    assert town.state() == before


def test_another_percentage_takes_the_cap_away_and_the_schedule_is_judged_again():
    town = scheduled(harm=0.6)
    town.harmful = lambda at: at >= NOW + timedelta(minutes=40)
    town.run(1)
    assert town.level() == 20
    town.harmful = lambda at: False
    keeping.set_keys(town.flags, "checkout", {"percentage": 1}, by="ada", at=town.kernel.now())
    assert town.level() == 31
    town.harmful = lambda at: at >= NOW + timedelta(minutes=85)
    town.run(0.9)
    assert (town.state().ceiling is None, town.kinds().count("flag_retreated")) == (False, 2)


def test_a_schedule_that_began_anew_below_its_old_cap_is_held_like_any_other():
    state = FlagState(ceiling=Decimal(40), judged=Decimal(30), judged_at=after(-9))
    held = judged_schedule(state, PLAN, HOLD, after(0, 59))
    assert (held.ceiling, held.owed) == (10, "held")
    noted = judged_schedule(state, PLAN, PASS, after(0, 59))
    assert (noted.ceiling, noted.judged) == (None, 10)


def test_a_ramp_of_a_scheduled_flag_is_not_judged_good_above_what_the_schedule_serves():
    town = scheduled()
    town.run(0.1)
    assert town.level() == 10
    keeping.start_ramp(
        town.flags,
        "checkout",
        "production",
        Decimal(100),
        Decimal(20),
        timedelta(minutes=3),
        "ada",
        at=town.kernel.now(),
    )
    town.run(0.2)
    assert (town.level(), town.state().ceiling) == (10, 30)
    town.run(4)
    assert (town.level(), town.ramp_of().status) == (100, "done")
