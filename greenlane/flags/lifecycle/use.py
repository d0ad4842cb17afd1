"""Notes which flags a process evaluates, so that `greenlane flags stale` knows those nobody needs.

Counting is in memory. Writing is done by a thread of its own, some hundred seconds apart, so no
evaluation waits for it, and what cannot be written is forgotten.
"""

import random
import time
from collections.abc import Callable
from threading import Thread
from typing import TYPE_CHECKING

from greenlane.flags.evaluating.evaluation import Evaluation
from greenlane.flags.lifecycle.seen import Seen

if TYPE_CHECKING:
    from greenlane.flags.evaluating.engine import Engine
    from greenlane.flags.reading.reader import Reader

MOST_AT_ONCE = 100
"""Items that one thread writes; the rest waits for the next."""


class Uses:
    """Counts what a reader's flags are evaluated for, and lets it be written now and then.

    Args:
        seen: what counts and writes.
        reader: whose flags; for an environment that no flag names, `*` is noted.
        every_seconds: how far apart it writes, give or take half of that.
        monotonic: seconds that never go back.
        start: runs a function in a thread that keeps no process from ending.
    """

    def __init__(
        self,
        seen: Seen,
        reader: "Reader",
        *,
        every_seconds: float = 100.0,
        monotonic: Callable[[], float] = time.monotonic,
        start: Callable[[Callable[[], object]], Thread] | None = None,
    ) -> None:
        """See the class."""
        self.seen, self._reader = seen, reader
        self._every, self._monotonic = every_seconds, monotonic
        self._start = start or _started
        self._thread: Thread | None = None
        self._due = monotonic() + self._pause()

    def note(self, found: Evaluation, engine: "Engine | None") -> None:
        """Count an evaluation of a flag that is defined; raises what starting a thread raises."""
        if engine is None or found.key not in engine.flags:
            return
        self.seen.note(found.key, None if found.value is None else found.variant)
        now = self._monotonic()
        # A process that was forked has a thread that is not alive.
        if now >= self._due and (self._thread is None or not self._thread.is_alive()):
            self._due = now + self._pause()
            self._thread = self._start(self._write)

    def _pause(self) -> float:
        # Processes that were started together do not write together.
        return self._every * random.uniform(0.5, 1.5)

    def _write(self) -> None:
        self.seen.environment = self._reader.reads
        self.seen.flush(MOST_AT_ONCE)


def _started(work: Callable[[], object]) -> Thread:
    thread = Thread(target=work, name="greenlane-flags-seen", daemon=True)
    thread.start()
    return thread
