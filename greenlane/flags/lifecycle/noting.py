"""Notes which flags a lookup function is asked for, between two answers and hardly ever.

A function is frozen once it has answered, so what `seen` counts is written before that: one small
update for each flag, environment and hour, one in each answer. While the table does not take
them, none is tried.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False  # `typing` itself costs more to import than all of this module
if TYPE_CHECKING:
    from collections.abc import Callable

    from greenlane.flags.evaluating.evaluation import Evaluation
    from greenlane.flags.lifecycle.seen import Seen
    from greenlane.flags.reading.reader import Reader

PAUSE_SECONDS = 60.0
"""After a write that failed: a lookup may have waited half a second for it."""


class Noted:
    """Counts what lookups evaluate, and writes a little of it at a time.

    Args:
        seen: what counts and writes.
        reader: whose flags; for an environment that no flag names, `*` is noted.
        monotonic: seconds that never go back.
    """

    def __init__(
        self, seen: Seen, reader: Reader, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """See the class."""
        self._seen, self._reader, self._monotonic = seen, reader, monotonic
        self._not_before = 0.0

    def note(self, found: Evaluation) -> None:
        """Count one evaluation; what is an error may be a flag that nobody defined."""
        if found.error is None:
            self._seen.note(found.key, None if found.value is None else found.variant)

    def flush(self) -> None:
        """Write one item, if one is due; it never raises."""
        if self._monotonic() < self._not_before:
            return
        failed = self._seen.failed
        self._seen.environment = self._reader.reads
        self._seen.flush(most=1)
        if self._seen.failed != failed:
            self._not_before = self._monotonic() + PAUSE_SECONDS
