"""Whether a Region may be deployed to now, asked at the plan and again at each wake-up.

Schedules fire late and more than once, so whoever wakes up asks here with the clock's instant, and
may be told to wait again. Going back asks the same question and is never told to wait.
"""

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from greenlane.regions.windows.calendar import Calendar
from greenlane.regions.windows.instants import instant_of, seconds_of

Action = Literal["advance", "rollback"]
AtEnd = Literal["finish", "pause", "rollback"]
"""What becomes of a deployment whose window ends: it goes on, stands still, or is taken back."""


class Gate(NamedTuple):
    """The answer: `at` is when it may begin, UTC; None is never."""

    at: datetime | None
    reason: str


def may_begin(action: Action, calendar: Calendar, now: datetime, need: timedelta) -> Gate:
    """When an action may begin in a Region.

    Args:
        action: going back is for now, whatever is closed or frozen.
        calendar: of the Region.
        now: the clock's instant, aware.
        need: how long its risky part lasts, which has to end before the window does.
    """
    if action == "rollback":
        return Gate(now, "going back waits for nothing")
    at = seconds_of(now)
    start = calendar.next_start(at, seconds_of(now + need) - at)
    if start == at:
        return Gate(now, "open")
    reason = why_not(calendar, at)
    return Gate(instant_of(start) if start is not None else None, reason)


def why_not(calendar: Calendar, at: int) -> str:
    """Why nothing of any length may start at an instant, in seconds since 1970."""
    if (freeze := calendar.frozen_by(at)) is not None:
        return f"frozen by {freeze.name}"
    if (end := calendar.closes(at)) is None:
        return "outside of its window"
    freezes = [freeze.name for freeze in calendar.freezes if freeze.start == end]
    return f"too close to the freeze {freezes[0]}" if freezes else "too close to its window's end"


def when_it_closes(policy: AtEnd, action: Action, calendar: Calendar, now: datetime) -> AtEnd:
    """What a deployment that is under way in a Region does now, after what was declared.

    No further Region starts then in any case; that is `may_begin`'s answer.

    Args:
        policy: as declared.
        action: going back always finishes.
        calendar: of the Region.
        now: the clock's instant, aware.
    """
    if action == "rollback" or calendar.closes(seconds_of(now)) is not None:
        return "finish"
    return policy
