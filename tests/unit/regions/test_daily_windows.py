from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from greenlane.regions.windows.instants import instant_of, occurrences, seconds_of, wall_of
from greenlane.regions.windows.window import Interval, Window
from greenlane.regions.windows.zones import Zone, names, rules_of, zone_of
from tests.effort import part
from tests.unit.regions import zone_walk
from tests.unit.regions.zone_walk import behaviours, changes, shapes, walked_days

LORD_HOWE = "Australia/Lord_Howe"


def window(hours, zone, **more):
    start, end = (
        int(hour) * 60 + int(minute)
        for hour, minute in (part.split(":") for part in hours.split("-"))
    )
    return Window(start, end, zone_of(zone), **more)


def utc(text):
    return seconds_of(datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("hours", "zone", "day", "start", "end"),
    [
        ("02:00-04:00", "America/New_York", "2026-06-01", "2026-06-01T06:00", "2026-06-01T08:00"),
        # The clocks jump over 02:00, and the window has one hour, not two.
        ("02:00-04:00", "America/New_York", "2026-03-08", "2026-03-08T07:00", "2026-03-08T08:00"),
        ("01:30-02:30", "America/New_York", "2026-03-08", "2026-03-08T06:30", "2026-03-08T07:00"),
        # They go back to 01:00, or in Berlin from 03:00 to 02:00: three hours.
        ("01:00-03:00", "America/New_York", "2026-11-01", "2026-11-01T05:00", "2026-11-01T08:00"),
        ("02:00-04:00", "Europe/Berlin", "2026-10-25", "2026-10-25T00:00", "2026-10-25T03:00"),
        ("01:30-03:00", "America/New_York", "2026-11-01", "2026-11-01T05:30", "2026-11-01T08:00"),
        ("00:30-01:30", "America/New_York", "2026-11-01", "2026-11-01T04:30", "2026-11-01T06:30"),
        # By half an hour.
        ("02:00-04:00", LORD_HOWE, "2026-10-04", "2026-10-03T15:30", "2026-10-03T17:00"),
        ("01:00-03:00", LORD_HOWE, "2026-04-05", "2026-04-04T14:00", "2026-04-04T16:30"),
        # Over midnight, which the clocks of Chile jump over.
        ("23:00-01:00", "Europe/Berlin", "2026-06-01", "2026-06-01T21:00", "2026-06-01T23:00"),
        ("23:00-00:30", "America/Santiago", "2026-09-05", "2026-09-06T03:00", "2026-09-06T04:00"),
        ("22:00-24:00", "UTC", "2026-06-01", "2026-06-01T22:00", "2026-06-02T00:00"),
        # No change any more since March 2026.
        ("02:00-04:00", "America/Vancouver", "2026-11-01", "2026-11-01T09:00", "2026-11-01T11:00"),
    ],
)  # fmt: skip
def test_a_days_window_is_these_instants(hours, zone, day, start, end):
    found = window(hours, zone).on(date.fromisoformat(day))

    assert found == Interval(utc(start), utc(end))


@pytest.mark.parametrize(
    ("hours", "zone", "day"),
    [
        ("02:30-02:45", "America/New_York", "2026-03-08"),
        ("02:00-03:00", "Europe/Berlin", "2026-03-29"),
        ("00:00-00:30", "America/Santiago", "2026-09-06"),
    ],
)
def test_a_window_wholly_in_the_jump_is_skipped_on_that_day(hours, zone, day):
    skipped = date.fromisoformat(day)

    assert window(hours, zone).on(skipped) is None
    assert window(hours, zone).on(skipped + timedelta(days=1)) is not None


def test_a_window_of_no_length_is_an_error():
    with pytest.raises(ValueError, match="00:00-24:00"):
        window("02:00-02:00", "UTC")


def test_weekdays_are_those_of_the_start():
    fridays = window("23:00-01:00", "UTC", days=frozenset({4}))

    assert fridays.on(date(2026, 11, 27)) == Interval(
        utc("2026-11-27T23:00"), utc("2026-11-28T01:00")
    )
    assert fridays.on(date(2026, 11, 28)) is None
    assert fridays.shows(utc("2026-11-28T00:30"))
    assert not fridays.shows(utc("2026-11-27T00:30"))


def test_the_repeated_part_outside_of_the_written_hours_is_told_apart():
    (found,) = window("01:30-03:00", "America/New_York").repeats_on(date(2026, 11, 1))

    assert found == Interval(utc("2026-11-01T06:00"), utc("2026-11-01T06:30"))
    assert not list(window("01:30-03:00", "America/New_York").repeats_on(date(2026, 11, 2)))


@pytest.mark.parametrize(
    ("hours", "offset"), [("02:00-04:00", 0), ("23:15-00:45", 4), ("00:00-03:00", 8)]
)
def test_every_zone_and_day_of_2024_to_2035_is_as_a_walk_over_minutes_finds_it(hours, offset):
    start, end = window(hours, "UTC").start_minute, window(hours, "UTC").end_minute
    for known, name in part(list(behaviours().items()), 12, offset):
        declared = Window(start, end, Zone(name, name))
        walked = {day: Interval(first, last) for day, first, last in walked_days(known, start, end)}
        day = zone_walk.FIRST
        while day <= zone_walk.LAST:
            assert declared.on(day) == walked.get(day), (name, day)
            day += timedelta(days=1)


def test_edges_around_every_kind_of_change_are_as_a_walk_finds_them():
    assert len(shapes()) > 40
    for (minute, before, after), (name, at) in shapes().items():
        jump = (after - before) // 60
        steps = (-61, -30, -1, 0, 1, 17, 30, jump // 2)
        tz = rules_of(name)
        walls = [(second, *wall_of(second, tz)) for second in range(at - 108000, at + 108000, 60)]
        for start in sorted({(minute + step) % 1440 for step in steps}):
            for length in (1, 13, 30, 45, 150):
                end = (start + length) % 1440 or 1440
                check_edges(Window(start, end, Zone(name, name)), wall_of(at, tz)[0], walls)


def check_edges(declared, today, walls):
    """Compare a window of a day, and what is left out of it, with the minutes of a walk."""
    start, end = declared.start_minute, declared.end_minute
    tomorrow = today + timedelta(days=1)
    inside = [
        second
        for second, day, shown in walls
        if (
            (start <= shown < end and day == today)
            if start < end
            else (shown >= start and day == today) or (shown < end and day == tomorrow)
        )
    ]
    found = declared.on(today)
    assert found == (Interval(inside[0], inside[-1] + 60) if inside else None), declared
    if found is not None:
        missing = set(range(found.start, found.end, 60)) - set(inside)
        repeats = declared.repeats_on(today)
        assert missing == {
            second for repeat in repeats for second in range(repeat.start, repeat.end, 60)
        }, declared


DAYS = st.dates(zone_walk.FIRST, zone_walk.LAST)


@given(st.sampled_from(names()), DAYS, st.integers(0, 1439))
def test_every_occurrence_shows_the_time_unless_the_clocks_jump_over_it(name, day, minute):
    tz = rules_of(name)
    first, last = occurrences(day, minute, tz)

    if wall_of(first, tz) == (day, minute):
        assert first <= last
        assert wall_of(last, tz) == (day, minute)
    else:
        assert first == last
        assert wall_of(first - 1, tz) < (day, minute) < wall_of(first, tz)


@given(st.sampled_from(names()), DAYS, st.integers(0, 1439), st.integers(1, 1440))
def test_the_edges_of_a_window_are_inside_of_its_local_hours(name, day, start, end):
    assume(start != end)
    declared = Window(start, end, Zone(name, name))
    found = declared.on(day)
    if found is None:
        noon = seconds_of(datetime(day.year, day.month, day.day, 12, tzinfo=UTC))
        jumps = [at for at, old, new in changes(name) if new > old and abs(at - noon) < 2 * 86400]
        assert jumps, "only clocks that jump take a window away"
        return
    assert declared.shows(found.start)
    assert declared.shows(found.end - 60)


@given(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)))
def test_seconds_are_rounded_up_so_never_before_the_instant(at):
    aware = at.replace(tzinfo=UTC)
    found = instant_of(seconds_of(aware))

    assert aware <= found < aware + timedelta(seconds=1)
