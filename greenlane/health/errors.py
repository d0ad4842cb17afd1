"""What counts as an error, minute by minute: the one rule of the judge and of the report. Pure.

Errors are answers of 5xx, and requests without an answer of a target (ADR 0012). A request may
count in one minute and its answer in the next, so the latter are only told over a stretch.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

LATE_ANSWERS = 2
"""So many minutes may know their requests and not their answers: these are published later."""


class Asked(NamedTuple):
    """One minute of a slot: its requests, and what became of them."""

    requests: float
    answered: float
    server_errors: float
    refused: float

    @property
    def silent(self) -> bool:
        """Requests, and nothing of what became of them: all hang, or it is not published yet."""
        return self.requests > 0 and self.answered == 0 and not self.refused


def late(minutes: Sequence[Asked]) -> int:
    """How many of the last minutes have no answer yet; in more than may be late, all hang."""
    found = 0
    while found < min(LATE_ANSWERS, len(minutes)) and minutes[-1 - found].silent:
        found += 1
    return found


def errors_of(
    minutes: Sequence[Asked], p95_ms: float, *, still_open: bool
) -> tuple[list[float], float]:
    """The errors of each minute of one stretch, oldest first, and what may only be late.

    Requests without an answer are those of the whole stretch, less what may be in flight at its
    end: the last minute's requests times the p95. An answer that came a minute later takes the
    missing one back: what is missing up to a minute is the least that any later minute still finds
    missing. Where the last minute is still open, what is missing of it alone may only be late: it
    is told apart, and no error yet. Refused connections are errors in any case.
    """
    if not minutes:
        return [], 0.0
    missing: list[float] = []
    refused: list[float] = []
    gone = resets = 0.0
    for minute in minutes:
        gone += minute.requests - minute.answered
        resets += minute.refused
        missing.append(gone - math.ceil(minute.requests * p95_ms / 60_000))
        refused.append(resets)
    unsettled = 0.0
    if still_open:
        settled = max(missing[-2] if len(missing) > 1 else 0.0, refused[-1], 0.0)
        unsettled = max(missing[-1] - settled, 0.0)
        missing[-1] -= unsettled
    for index in range(len(missing) - 2, -1, -1):
        missing[index] = min(missing[index], missing[index + 1])
    found, so_far = [], 0.0
    for minute, lost, reset in zip(minutes, missing, refused, strict=True):
        total = max(lost, reset, 0.0)
        found.append(minute.server_errors + total - so_far)
        so_far = total
    return found, unsettled
