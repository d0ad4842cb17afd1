"""From wall time to instants, through the gaps and overlaps that summer time makes.

Python answers for a time that no clock shows without a word (both folds map to another wall time),
so a gap is found by going there and back.
"""

from datetime import UTC, date, datetime, time, timedelta, tzinfo

DAY_MINUTES = 24 * 60

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def seconds_of(at: datetime) -> int:
    """Whole seconds since 1970 of an aware instant, rounded up: never before the instant."""
    return -((_EPOCH - at) // timedelta(seconds=1))


def instant_of(second: int) -> datetime:
    """The instant, in UTC, of seconds since 1970."""
    return _EPOCH + timedelta(seconds=second)


def wall_of(second: int, tz: tzinfo) -> tuple[date, int]:
    """What the clocks of a zone show: the day, and the minute of it (0 to 1439)."""
    local = instant_of(second).astimezone(tz)
    return local.date(), local.hour * 60 + local.minute


def occurrences(day: date, minute: int, tz: tzinfo) -> tuple[int, int]:
    """When the clocks of a zone show a minute, first and last.

    The two differ where the clocks go back over it. Where they jump over it, both are the first
    instant after the jump.

    Args:
        day: the day on the clocks.
        minute: of that day, from 0 on; from 1440 on of the next day.
        tz: the zone.

    Returns:
        Two instants, in seconds since 1970.
    """
    days, minute = divmod(minute, DAY_MINUTES)
    wall = datetime.combine(day + timedelta(days=days), time(minute // 60, minute % 60))
    first, last = (seconds_of(wall.replace(tzinfo=tz, fold=fold)) for fold in (0, 1))
    if first > last:  # the offset grew: the clocks jumped over it, between the two
        jump = change_between(last, first, tz)
        return jump, jump
    return first, last


def passings(day: date, minute: int, tz: tzinfo) -> tuple[int, int]:
    """When the clocks of a zone have shown all of the minute before a time, first and last.

    That is where something ends that lasts until then. It differs from `occurrences` where the
    clocks go back to just that time: the hour that follows twice is not waited for.

    Args:
        day: the day on the clocks.
        minute: of that day, from 1 on; beyond 1440 of the next day.
        tz: the zone.

    Returns:
        Two instants, in seconds since 1970; where the clocks jump over it, when they have jumped.
    """
    first, last = occurrences(day, minute - 1, tz)
    if wall_of(first, tz)[1] != (minute - 1) % DAY_MINUTES:
        return first, last
    return first + 60, last + 60


def change_between(early: int, late: int, tz: tzinfo) -> int:
    """When the one change of a zone's offset within (`early`, `late`] happens, in seconds."""
    before = _offset(early, tz)
    while late - early > 1:
        middle = (early + late) // 2
        if _offset(middle, tz) == before:
            early = middle
        else:
            late = middle
    return late


def _offset(second: int, tz: tzinfo) -> timedelta | None:
    return instant_of(second).astimezone(tz).utcoffset()
