"""One daily window as instants: what a day has of it, and what it has not.

A window is `[start, end)` in wall time, on the weekdays of its start. An end that is not after the
start is of the next day, and 24:00 is midnight. Each day is resolved anew:

- Where the clocks jump over an edge, the edge is the first instant after the jump. A window that
  lies wholly in the jump does not exist on that day.
- Where the clocks go back over an edge, a start is its first occurrence and an end its last. The
  repeated part that is outside of the written hours (`repeats_on`) is no time to start. Clocks that
  go back just to the end of a window do not go over it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from greenlane.regions.windows.instants import (
    DAY_MINUTES,
    change_between,
    occurrences,
    passings,
    wall_of,
)
from greenlane.regions.windows.zones import Zone

EVERY_DAY = frozenset(range(7))


class Interval(NamedTuple):
    """From `start` on, up to but not including `end`; seconds since 1970."""

    start: int
    end: int


@dataclass(frozen=True)
class Window:
    """A daily window in the local time of a zone.

    Args:
        start_minute: of the day, 0 to 1439.
        end_minute: of the day, 1 to 1440; of the next day when it is not after the start.
        zone: whose clocks are meant.
        days: weekdays of the start, Monday is 0.

    Raises:
        ValueError: start and end are the same, so nobody can say whether that is all or nothing.
    """

    start_minute: int
    end_minute: int
    zone: Zone
    days: frozenset[int] = EVERY_DAY

    def __post_init__(self) -> None:
        """See the class."""
        if self.start_minute == self.end_minute:
            raise ValueError("it begins when it ends; for all of the day write 00:00-24:00")

    @property
    def is_always(self) -> bool:
        """Whether it is all of every day."""
        whole = self.start_minute == 0 and self.end_minute == DAY_MINUTES
        return whole and self.days == EVERY_DAY

    @property
    def minutes(self) -> int:
        """How long it is on a day whose clocks are not changed."""
        return (self.end_minute - self.start_minute) % DAY_MINUTES or DAY_MINUTES

    def on(self, day: date) -> Interval | None:
        """The window that starts on a day of its zone; None where that day has none."""
        if day.weekday() not in self.days:
            return None
        start, _ = occurrences(day, self.start_minute, self.zone.tz)
        _, end = passings(day, self._last_minute, self.zone.tz)
        return Interval(start, end) if start < end else None

    def repeats_on(self, day: date) -> Iterator[Interval]:
        """What the window of a day has between its edges that is outside of the written hours.

        There is such a part only where the clocks go back over an edge of the window.
        """
        tz = self.zone.tz
        starts = occurrences(day, self.start_minute, tz)
        ends = passings(day, self._last_minute, tz)
        points = {*starts, *ends}
        for first, last in (starts, ends):
            if first < last:
                points.add(change_between(first, last, tz))
        ordered = sorted(point for point in points if starts[0] <= point <= ends[1])
        for left, right in zip(ordered, ordered[1:], strict=False):
            if not self.shows(left):
                yield Interval(left, right)

    def shows(self, second: int) -> bool:
        """Whether the clocks of the zone show a time of the window at an instant."""
        day, minute = wall_of(second, self.zone.tz)
        if self.start_minute < self.end_minute:
            return self.start_minute <= minute < self.end_minute and day.weekday() in self.days
        if minute >= self.start_minute:
            return day.weekday() in self.days
        return minute < self.end_minute and (day - timedelta(days=1)).weekday() in self.days

    @property
    def _last_minute(self) -> int:
        """The end, counted from the midnight before the start."""
        after = self.end_minute > self.start_minute
        return self.end_minute if after else self.end_minute + DAY_MINUTES
