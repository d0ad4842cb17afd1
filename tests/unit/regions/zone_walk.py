"""What the clocks of every zone show, found by walking: the truth that windows are compared with.

Nothing here uses Greenlane's arithmetic of windows; offsets come from `zoneinfo` one instant at a
time.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache, partial
from importlib import resources
from itertools import pairwise

from greenlane.regions.windows import zones

FIRST, LAST = date(2024, 1, 1), date(2035, 12, 31)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FROM = datetime(2023, 12, 25, tzinfo=UTC)
_TO = datetime(2036, 1, 8, tzinfo=UTC)

Change = tuple[int, int, int]
"""The first second with the new offset, the old offset and the new one, in seconds."""


def second(at: datetime) -> int:
    return round((at - _EPOCH).total_seconds())


def offset(at: datetime, tz: tzinfo) -> int:
    found = at.astimezone(tz).utcoffset()
    return found.days * 86400 + found.seconds


@cache
def _days() -> tuple[datetime, ...]:
    """An instant of each day; no clocks were ever changed twice between two of them."""
    return tuple(_FROM + timedelta(days=number) for number in range((_TO - _FROM).days + 1))


def _has(minutes: int, *, is_offset: int, after: datetime, tz: tzinfo) -> bool:
    return offset(after + timedelta(minutes=minutes), tz) == is_offset


@cache
def changes(key: str) -> tuple[Change, ...]:
    """Every change of a zone's offset; the first entry is its offset at the beginning."""
    tz = zones.rules_of(key)
    offsets = [offset(at, tz) for at in _days()]
    found = [(second(_FROM), offsets[0], offsets[0])]
    for at, (before, after) in zip(_days(), pairwise(offsets), strict=False):
        if before != after:
            turned = partial(_has, is_offset=after, after=at, tz=tz)
            minutes = bisect_left(range(24 * 60), True, key=turned)
            found.append((second(at) + minutes * 60, before, after))
    return tuple(found)


@cache
def behaviours() -> dict[tuple[Change, ...], str]:
    """One name of each group of zones whose clocks show the same from 2024 to 2035."""
    files: dict[bytes, str] = {}
    for name in zones.names():
        file = resources.files("tzdata.zoneinfo").joinpath(*name.split("/"))
        files.setdefault(file.read_bytes(), name)
    found: dict[tuple[Change, ...], str] = {}
    for name in files.values():
        found.setdefault(changes(name), name)
    return found


def offset_at(known: tuple[Change, ...], at: int) -> int:
    return known[bisect_right(known, at, key=lambda change: change[0]) - 1][2]


def walked_days(known: tuple[Change, ...], start: int, end: int) -> Iterator[tuple[date, int, int]]:
    """Each day's window, from its first minute to the end of its last, over the whole time.

    Args:
        known: the changes of the zone.
        start: the window's first minute of the day.
        end: its end, of the same or the next day.
    """
    first_second = known[0][0]
    shown = bytearray(1440)
    for minute in range(1440):
        inside = start <= minute < end if start < end else minute >= start or minute < end
        shown[minute] = inside
    edges = [change[0] for change in known] + [second(_TO)]
    walk = bytearray()
    for (at, _, now), (a, b) in zip(known, pairwise(edges), strict=True):
        assert at == a
        length, phase = (b - a) // 60, (a + now) // 60 % 1440
        walk += (bytes(shown) * (length // 1440 + 2))[phase : phase + length]
    days: dict[date, list[int]] = {}
    position = walk.find(1)
    while position >= 0:
        stop = walk.find(0, position)
        stop = len(walk) if stop < 0 else stop
        at = first_second + position * 60
        wall = _EPOCH + timedelta(seconds=at + offset_at(known, at))
        day = wall.date()
        if start >= end and wall.hour * 60 + wall.minute < end:
            day -= timedelta(days=1)
        days.setdefault(day, []).extend((at, first_second + stop * 60))
        position = walk.find(1, stop)
    for day, found in sorted(days.items()):
        if FIRST <= day <= LAST:
            yield day, min(found), max(found)


def shapes() -> dict[tuple[int, int, int], tuple[str, int]]:
    """One change for each kind: its minute of the day, the old and the new offset."""
    found: dict[tuple[int, int, int], tuple[str, int]] = {}
    for known, name in behaviours().items():
        for at, before, after in known[1:]:
            found.setdefault(((at + before) // 60 % 1440, before, after), (name, at))
    return found
