from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from greenlane.flags.evaluating.schedule import level_at, next_change, read_schedule

DAY = 86_400.0
START = 1_706_745_600.0  # 2024-02-01 in UTC, as the spec's ui_redesign
UI = (START, START + 14 * DAY, DAY, 10_000, 100_000, 0)


def test_the_specs_schedule() -> None:
    levels = [level_at(UI, START + days * DAY) for days in (-1, 0, 0.99, 1, 8, 9, 20)]

    assert levels == [0, 10_000, 10_000, 20_000, 90_000, 100_000, 100_000]


def test_the_end_freezes_the_level_reached() -> None:
    short = (START, START + 3 * DAY, DAY, 10_000, 100_000, 0)

    assert [level_at(short, START + days * DAY) for days in (2.9, 3, 30)] == [30_000] * 3


def test_it_goes_on_from_a_percentage() -> None:
    schedule = (START, None, DAY, 10_000, 100_000, 20_000)

    assert level_at(schedule, START - 1) == 20_000
    assert level_at(schedule, START) == 30_000


def test_a_ceiling_holds_it() -> None:
    schedule = (START, None, DAY, 10_000, 15_000, 0)

    assert level_at(schedule, START + 9 * DAY) == 15_000
    assert next_change(schedule, START + 9 * DAY) is None


def test_one_that_began_after_its_end_stays_at_its_base() -> None:
    assert level_at((START + 20 * DAY, *UI[1:]), START + 21 * DAY) == 0


SCHEDULES = st.builds(
    lambda start, length, every, step, base: (
        start,
        None if length is None else start + length,
        every,
        step,
        100_000,
        base,
    ),
    st.integers(10**9, 2 * 10**9),
    st.none() | st.integers(1, 10**7),
    st.integers(60, 10**6),
    st.integers(1, 100_000),
    st.integers(0, 100_000),
)
TIMES = st.integers(9 * 10**8, 21 * 10**8)


@given(SCHEDULES, TIMES, TIMES)
def test_it_never_goes_down(schedule: Any, one: float, two: float) -> None:
    early, late = sorted((one, two))

    assert 0 <= level_at(schedule, early) <= level_at(schedule, late) <= 100_000


@given(SCHEDULES, TIMES)
def test_the_next_change_is_the_next_change(schedule: Any, now: float) -> None:
    at = next_change(schedule, now)
    if at is None:
        assert level_at(schedule, 4e9) == level_at(schedule, now)
    else:
        assert at > now
        assert level_at(schedule, (now + at) / 2) == level_at(schedule, now)
        assert level_at(schedule, at) > level_at(schedule, now)


def test_a_schedule_of_nonsense_is_refused() -> None:
    for raw in (
        [START, None, 0, 1, 1, 0],
        [float("nan"), None, 1, 1, 1, 0],
        [START, None, 1, -1, 1, 0],
        [True, None, 1, 1, 1, 0],
        [START, "end", 1, 1, 1, 0],
        [START],
    ):
        try:
            read_schedule(raw)
        except ValueError:
            continue
        raise AssertionError(raw)
