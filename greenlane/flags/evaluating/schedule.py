"""How far a rollout is at a time: a pure function, so that no scheduler can stall or skip it.

A schedule is `[start, end, every, step, most, base]`: instants in Unix seconds (`end` may be
null), an interval in seconds, and three numbers of buckets (percent times 1,000). Before the start
the level is `base`. The first step is at the start, one more after each interval, never above
`most`; at the end it stays where it is. Days are 24 hours of elapsed time: a changed clock neither
skips nor repeats a step.

The start is the later one of the date that was written and the time at which the flag was switched
on: switching on late does not jump.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` itself costs more to import than all of this module
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Schedule = tuple[float, float | None, float, int, int, int]


def level_at(schedule: Schedule, now: float) -> int:
    """The rollout in buckets at a time, in Unix seconds."""
    start, end, every, step, most, base = schedule
    if now < start:
        return min(base, most)
    steps = int((now - start) // every) + 1
    if end is not None and now >= end:
        # A step that is due at the very end is not taken any more.
        steps = max(-int((start - end) // every), 0)
    return int(min(base + steps * step, most))


def next_change(schedule: Schedule, now: float) -> float | None:
    """When the level changes next, in Unix seconds; None when it stays for good."""
    start, end, every, step, most, base = schedule
    at = start if now < start else start + (int((now - start) // every) + 1) * every
    if level_at(schedule, now) >= most or (end is not None and at >= end):
        return None
    return at


def read_schedule(raw: Sequence[Any]) -> Schedule:
    """A schedule of a snapshot, checked.

    Raises:
        ValueError: it is none.
    """
    start, end, every, step, most, base = raw
    numbers = [start, every, step, most, base, *([] if end is None else [end])]
    if any(isinstance(one, bool) or not isinstance(one, int | float) for one in numbers):
        raise ValueError("a schedule is made of numbers")
    # Written this way round, a NaN is refused too.
    if not (every > 0 and step >= 0 and most >= 0 and base >= 0 and start - start == 0):
        raise ValueError("a schedule goes forward, from 0 up")
    return start, end, every, step, most, base
