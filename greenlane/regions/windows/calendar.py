"""When a Region is open: its windows, less what is frozen, from an instant on."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from greenlane.regions.windows.instants import occurrences, wall_of
from greenlane.regions.windows.window import Interval, Window
from greenlane.regions.windows.zones import Zone

DAY_SECONDS = 86400

FOREVER = 1 << 40
"""Later than anything that is asked, in seconds since 1970."""

_BUILT_AT_ONCE_DAYS = 16
_SEARCHED_DAYS = 29
"""Four weeks and a day: a window of one weekday that the clocks skip comes again within them."""


class Freeze(NamedTuple):
    """A time in which nothing is deployed; seconds since 1970, the end not included."""

    start: int
    end: int
    name: str


def freeze_of(name: str, first: date, last: date, zone: Zone) -> Freeze:
    """Whole days as the clocks of a zone show them, the last one included."""
    start, _ = occurrences(first, 0, zone.tz)
    _, end = occurrences(last + timedelta(days=1), 0, zone.tz)
    return Freeze(start, end, name)


class Calendar:
    """The open times of one Region.

    It grows as it is asked, so it may be asked for any later time, and keeps what it has found.

    Args:
        since: the earliest instant it is asked about, in seconds since 1970.
        window: when it is open; one that is all of every day if there is no other.
        freezes: when it is closed all the same.
    """

    def __init__(self, since: int, window: Window, freezes: Sequence[Freeze] = ()) -> None:
        """See the class."""
        self.since = since
        self.window = window
        self.freezes = tuple(sorted(freezes))
        self._open: list[Interval] = []
        self._ends: list[int] = []
        self._repeats: list[Interval] = []
        self._day = wall_of(since, window.zone.tz)[0] - timedelta(days=2)
        self._known_until = since - 1
        if window.is_always:
            self._add(Interval(since, FOREVER))
            self._known_until = FOREVER + 1

    def next_start(self, at: int, need: int = 0) -> int | None:
        """The earliest instant, `at` or later, from which it is open for as long as is needed.

        It never goes back when `at` goes on, so to wait is never worse than to come later.

        Args:
            at: seconds since 1970, not before `since`.
            need: seconds, from the start on, that have to be open.

        Returns:
            Seconds since 1970; None where no window is ever long enough.
        """
        if at < self.since:
            raise ValueError(f"this calendar begins at {self.since}, after {at}")
        last = max([at, *(freeze.end for freeze in self.freezes)]) + _SEARCHED_DAYS * DAY_SECONDS
        reach, index = at + need, 0
        while True:
            self._grow(reach)
            index = max(index, bisect_right(self._ends, at))
            while index < len(self._open):
                start = self._outside_of_repeats(max(at, self._open[index].start))
                if start + max(need, 1) <= self._open[index].end:
                    return start if start <= last else None
                index += 1
            if self._known_until >= last:
                return None
            reach, index = self._known_until, max(index - 1, 0)  # the last one found may go on

    def closes(self, at: int) -> int | None:
        """When the open time that holds an instant ends; None if it is not open then."""
        self._grow(at)
        index = bisect_right(self._ends, at)
        while index == len(self._open) - 1 and self._open[index].end >= self._known_until:
            self._grow(self._open[index].end)
        if index < len(self._open) and self._open[index].start <= at:
            return self._open[index].end
        return None

    def frozen_by(self, at: int) -> Freeze | None:
        """The freeze that holds an instant, the longest-lasting one; None if there is none."""
        found = [freeze for freeze in self.freezes if freeze.start <= at < freeze.end]
        return max(found, key=lambda freeze: freeze.end, default=None)

    def unusual_days(self, until: int) -> Iterator[tuple[date, int]]:
        """Days up to an instant on which changed clocks alter the window, and its seconds then."""
        tz = self.window.zone.tz
        day, last = wall_of(self.since, tz)[0], wall_of(until, tz)[0]
        while day <= last and not self.window.is_always:
            found = self.window.on(day)
            seconds = found.end - found.start if found else 0
            if day.weekday() in self.window.days and seconds != self.window.minutes * 60:
                yield day, seconds
            day += timedelta(days=1)

    def _outside_of_repeats(self, at: int) -> int:
        for repeat in self._repeats:
            if repeat.start <= at < repeat.end:
                at = repeat.end
        return at

    def _grow(self, until: int) -> None:
        """Know all of the open times that begin up to an instant, and where they end."""
        while self._known_until <= until:
            for _ in range(_BUILT_AT_ONCE_DAYS):
                found = self.window.on(self._day)
                if found is not None:
                    self._repeats += self.window.repeats_on(self._day)
                    self._add(found)
                self._day += timedelta(days=1)
            self._known_until, _ = occurrences(self._day, 0, self.window.zone.tz)

    def _add(self, interval: Interval) -> None:
        """Take in an interval that starts no earlier than those before it."""
        for start, end in self._less_freezes(interval):
            if end <= self.since:
                continue
            if self._open and start <= self._open[-1].end:
                if end > self._open[-1].end:
                    self._open[-1] = Interval(self._open[-1].start, end)
                    self._ends[-1] = end
            else:
                self._open.append(Interval(max(start, self.since), end))
                self._ends.append(end)

    def _less_freezes(self, interval: Interval) -> Iterator[Interval]:
        start = interval.start
        for freeze in self.freezes:
            if freeze.end <= start or freeze.start >= interval.end:
                continue
            if freeze.start > start:
                yield Interval(start, freeze.start)
            start = max(start, freeze.end)
        if start < interval.end:
            yield Interval(start, interval.end)
