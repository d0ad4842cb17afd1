from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlane.regions.windows.calendar import FOREVER, Calendar, Freeze, freeze_of
from greenlane.regions.windows.gate import may_begin, when_it_closes, why_not
from greenlane.regions.windows.instants import instant_of, seconds_of, wall_of
from greenlane.regions.windows.window import EVERY_DAY, Window
from greenlane.regions.windows.zones import Zone, zone_of
from tests.effort import examples
from tests.unit.regions.zone_walk import behaviours, changes

NEW_YORK = zone_of("America/New_York")
NIGHT = Window(120, 240, NEW_YORK)
ALWAYS = Window(0, 1440, zone_of("UTC"))
MINUTE, HOUR, DAY = 60, 3600, 86400


def utc(text):
    return seconds_of(datetime.fromisoformat(text).replace(tzinfo=UTC))


def text(second):
    return f"{instant_of(second):%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize(
    ("at", "need", "start"),
    [
        ("2026-06-01T00:00", 25 * MINUTE, "2026-06-01T06:00"),
        ("2026-06-01T06:35", 25 * MINUTE, "2026-06-01T06:35"),
        ("2026-06-01T07:35", 25 * MINUTE, "2026-06-01T07:35"),
        # What is left of the window is too short.
        ("2026-06-01T07:36", 25 * MINUTE, "2026-06-02T06:00"),
        # That night has one hour of it.
        ("2026-03-08T00:00", 90 * MINUTE, "2026-03-09T06:00"),
        ("2026-03-08T00:00", 60 * MINUTE, "2026-03-08T07:00"),
    ],
)
def test_the_next_start_is_the_earliest_from_which_the_work_fits(at, need, start):
    assert text(Calendar(utc(at), NIGHT).next_start(utc(at), need)) == start


def test_no_start_lies_in_the_hour_that_is_repeated_outside_of_the_window():
    calendar = Calendar(utc("2026-11-01T00:00"), Window(90, 180, NEW_YORK))

    assert text(calendar.next_start(utc("2026-11-01T05:59"))) == "2026-11-01T05:59"
    assert text(calendar.next_start(utc("2026-11-01T06:00"))) == "2026-11-01T06:30"
    assert text(calendar.closes(utc("2026-11-01T06:00"))) == "2026-11-01T08:00"


def test_whole_days_that_follow_each_other_are_one_open_time():
    weekdays = Window(0, 1440, zone_of("UTC"), frozenset(range(5)))
    calendar = Calendar(utc("2026-11-30T12:00"), weekdays)  # a Monday

    assert text(calendar.closes(utc("2026-11-30T12:00"))) == "2026-12-05T00:00"
    assert text(calendar.next_start(utc("2026-12-04T12:00"), 13 * HOUR)) == "2026-12-07T00:00"


def test_what_never_fits_has_no_start():
    assert (
        Calendar(utc("2026-06-01T00:00"), NIGHT).next_start(utc("2026-06-01T00:00"), 3 * HOUR)
        is None
    )


def test_without_a_window_now_is_the_time():
    calendar = Calendar(utc("2026-06-01T00:00"), ALWAYS)

    assert calendar.next_start(utc("2026-06-01T00:07"), 30 * DAY) == utc("2026-06-01T00:07")
    assert calendar.closes(utc("2026-06-01T00:07")) == FOREVER


def test_an_instant_before_the_calendar_is_refused():
    with pytest.raises(ValueError, match="begins at"):
        Calendar(utc("2026-06-01T00:00"), NIGHT).next_start(utc("2026-05-31T23:59"))


def test_a_freeze_beats_the_window_on_the_days_of_the_regions_own_clocks():
    freeze = freeze_of("thanksgiving", date(2026, 11, 26), date(2026, 11, 29), NEW_YORK)
    at = utc("2026-11-25T12:00")
    calendar = Calendar(at, NIGHT, [freeze])

    assert (text(freeze.start), text(freeze.end)) == ("2026-11-26T05:00", "2026-11-30T05:00")
    assert text(calendar.next_start(at)) == "2026-11-30T07:00"
    assert calendar.frozen_by(utc("2026-11-27T00:00")) == freeze


def test_work_does_not_run_into_a_freeze():
    at = utc("2026-06-01T06:30")
    calendar = Calendar(at, NIGHT, [Freeze(utc("2026-06-01T07:00"), utc("2026-06-01T07:30"), "x")])

    assert text(calendar.next_start(at, 30 * MINUTE)) == "2026-06-01T06:30"
    assert text(calendar.next_start(at, 31 * MINUTE)) == "2026-06-02T06:00"
    assert why_not(calendar, at) == "too close to the freeze x"


def test_days_that_changed_clocks_alter_are_named():
    calendar = Calendar(utc("2026-03-01T00:00"), Window(150, 165, NEW_YORK))

    assert list(calendar.unusual_days(utc("2026-03-31T00:00"))) == [(date(2026, 3, 8), 0)]
    assert list(
        Calendar(utc("2026-10-20T00:00"), Window(60, 180, NEW_YORK)).unusual_days(
            utc("2026-11-10T00:00")
        )
    ) == [(date(2026, 11, 1), 3 * HOUR)]


class TestTheGate:
    now = datetime(2026, 6, 1, 0, 0, 0, 500_000, tzinfo=UTC)
    need = timedelta(minutes=25)

    def calendar(self, *freezes):
        return Calendar(seconds_of(self.now - timedelta(days=1)), NIGHT, freezes)

    def test_an_advance_waits_for_the_window_and_says_why(self):
        gate = may_begin("advance", self.calendar(), self.now, self.need)

        assert gate == (datetime(2026, 6, 1, 6, tzinfo=UTC), "outside of its window")

    def test_who_wakes_up_late_is_told_to_wait_again(self):
        late = self.now.replace(hour=7, minute=50)
        gate = may_begin("advance", self.calendar(), late, self.need)

        assert gate == (datetime(2026, 6, 2, 6, tzinfo=UTC), "too close to its window's end")

    def test_who_wakes_up_in_time_may_begin(self):
        at = datetime(2026, 6, 1, 6, tzinfo=UTC)

        assert may_begin("advance", self.calendar(), at, self.need) == (at, "open")

    def test_a_freeze_is_named(self):
        freeze = Freeze(utc("2026-05-01T00:00"), utc("2026-06-03T00:00"), "launch week")
        gate = may_begin("advance", self.calendar(freeze), self.now, self.need)

        assert gate == (datetime(2026, 6, 3, 6, tzinfo=UTC), "frozen by launch week")

    @pytest.mark.parametrize("hour", range(24))
    def test_going_back_never_waits(self, hour):
        freeze = Freeze(utc("2026-05-01T00:00"), utc("2026-12-01T00:00"), "all year")
        at = self.now.replace(hour=hour)
        gate = may_begin("rollback", self.calendar(freeze), at, timedelta(days=9))

        assert gate.at == at
        for policy in ("finish", "pause", "rollback"):
            assert when_it_closes(policy, "rollback", self.calendar(freeze), at) == "finish"

    @pytest.mark.parametrize("policy", ["finish", "pause", "rollback"])
    def test_the_policy_counts_once_the_window_has_ended(self, policy):
        within, after = self.now.replace(hour=7, minute=59), self.now.replace(hour=8)

        assert when_it_closes(policy, "advance", self.calendar(), within) == "finish"
        assert when_it_closes(policy, "advance", self.calendar(), after) == policy

    def test_an_end_is_not_met_early_because_a_window_is_short(self):
        # One minute is left: nothing may start, and what is under way goes on.
        at = self.now.replace(hour=7, minute=59)

        gate = may_begin("advance", self.calendar(), at, self.need)
        assert gate.at == datetime(2026, 6, 2, 6, tzinfo=UTC)
        assert when_it_closes("pause", "advance", self.calendar(), at) == "finish"


WALKED_DAYS = 12


@st.composite
def cases(draw):
    name = draw(st.sampled_from(sorted(behaviours().values())))
    near = draw(st.sampled_from([at for at, _, _ in changes(name)])) // MINUTE * MINUTE
    at = near + draw(st.integers(-4 * 1440, 2 * 1440)) * MINUTE
    start = draw(st.integers(0, 1439))
    end = draw(st.integers(1, 1440).filter(lambda end: end != start))
    days = draw(st.sampled_from([EVERY_DAY, EVERY_DAY, frozenset({0, 6}), frozenset({5})]))
    freezes = [
        Freeze(at + begin * MINUTE, at + (begin + length) * MINUTE, "freeze")
        for begin, length in draw(
            st.lists(st.tuples(st.integers(-900, 4000), st.integers(1, 2000)), max_size=2)
        )
    ]
    need = draw(st.sampled_from([0, 1, 20, 59, 60, 61, 240, 1500]))
    return Window(start, end, Zone(name, name), days), freezes, at, need


def walk(first, end, tz):
    """What the clocks show at each minute; an hour through which they ran evenly is read once."""
    for hour in range(first, end, HOUR):
        day, minute = wall_of(hour, tz)
        even = wall_of(hour + 59 * MINUTE, tz) == (day, minute + 59)
        for number in range(60):
            second = hour + number * MINUTE
            yield second, *((day, minute + number) if even else wall_of(second, tz))


def walked_start(window, freezes, at, need):
    """The next start by looking at each minute: shown, not frozen, and open for as long."""
    spans, shown = {}, set()
    for second, day, minute in walk(at - 2 * DAY, at + WALKED_DAYS * DAY, window.zone.tz):
        inside = (
            window.start_minute <= minute < window.end_minute
            if window.start_minute < window.end_minute
            else minute >= window.start_minute or minute < window.end_minute
        )
        if window.start_minute >= window.end_minute and minute < window.end_minute:
            day -= timedelta(days=1)
        if inside and day.weekday() in window.days:
            shown.add(second)
            first, _ = spans.get(day, (second, second))
            spans[day] = (first, second)
    opened = {second for first, last in spans.values() for second in range(first, last + 1, MINUTE)}
    opened -= {second for freeze in freezes for second in range(freeze.start, freeze.end, MINUTE)}
    minutes_open, found = 0, None
    for second in range(at + WALKED_DAYS * DAY - MINUTE, at - 1, -MINUTE):
        minutes_open = minutes_open + 1 if second in opened else 0
        looked_at = second < at + (WALKED_DAYS - 2) * DAY
        if looked_at and second in shown and minutes_open >= max(need, 1):
            found = second
    return found


@settings(max_examples=examples(25, 1000), deadline=None)
@given(cases())
def test_the_next_start_is_the_first_minute_that_a_walk_finds(case):
    window, freezes, at, need = case
    found = Calendar(at, window, freezes).next_start(at, need * MINUTE)
    walked = walked_start(window, freezes, at, need)

    if walked is None:
        assert found is None or found >= at + (WALKED_DAYS - 2) * DAY
    else:
        assert found == walked


@settings(max_examples=examples(80, 1000), deadline=None)
@given(cases(), st.integers(0, 20 * 1440))
def test_to_come_later_is_never_to_start_earlier(case, later):
    window, freezes, at, need = case
    calendar = Calendar(at, window, freezes)
    first = calendar.next_start(at, need * MINUTE)
    second = calendar.next_start(at + later * MINUTE, need * MINUTE)

    if first is None or second is None:
        assert first is second
    else:
        assert first <= second
        assert second >= at + later * MINUTE


@settings(max_examples=examples(80, 1000), deadline=None)
@given(cases(), st.lists(st.integers(0, 60 * 1440), min_size=1, max_size=6))
def test_answers_do_not_depend_on_what_was_asked_before(case, minutes):
    window, freezes, at, need = case
    asked = Calendar(at, window, freezes)

    for minute in minutes:
        fresh = Calendar(at, window, freezes)
        start = at + minute * MINUTE
        assert asked.next_start(start, need * MINUTE) == fresh.next_start(start, need * MINUTE)
        assert asked.closes(start) == fresh.closes(start)


@settings(max_examples=examples(80, 1000), deadline=None)
@given(cases())
def test_every_start_is_inside_of_the_windows_local_hours_and_of_no_freeze(case):
    window, freezes, at, need = case
    calendar = Calendar(at, window, freezes)
    start = calendar.next_start(at, need * MINUTE)

    if start is not None:
        assert window.shows(start)
        assert calendar.frozen_by(start) is None
        assert calendar.closes(start) >= start + need * MINUTE
