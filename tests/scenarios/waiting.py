"""How scenarios wait: they look when a call has changed something, and now and then besides."""

import threading
import time
from collections.abc import Callable

from greenlane.local.journal import Reply, Request

PATIENCE_SECONDS = 120.0
# What changes without a call, such as a task's health or the time, is looked at so often.
LOOK_SECONDS = 0.1
# Of what a table says, only the end of an execution that wrote nothing is no call to the table.
TABLE_LOOK_SECONDS = 0.25

_READS = ("Get", "Describe", "List", "Query", "Scan", "BatchGet", "Head", "Invoke")


class Changes:
    """Wakes those who wait for something whenever an answered call may have changed it.

    The cloud shares its process with the test: a look every few milliseconds would cost more than
    the deployment that is looked at.
    """

    def __init__(self) -> None:
        self._calls = self._writes = 0
        self._condition = threading.Condition()

    def note(self, request: Request, reply: Reply) -> None:
        """See an answered call; an `after` hook of the server."""
        if not request.operation.startswith(_READS):
            with self._condition:
                self._calls += 1
                self._writes += request.service == "dynamodb"
                self._condition.notify_all()

    def come(self, reached: Callable[[], bool]) -> bool:
        """Wait, in real time, until it holds; false if it does not within the patience."""
        return self._come(reached, lambda: self._calls, LOOK_SECONDS)

    def come_to_table(self, reached: Callable[[], bool]) -> bool:
        """Likewise, for what is written in a table: other calls are no reason to look."""
        return self._come(reached, lambda: self._writes, TABLE_LOOK_SECONDS)

    def _come(
        self, reached: Callable[[], bool], counted: Callable[[], int], look_seconds: float
    ) -> bool:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            seen = counted()
            if reached():
                return True
            if time.monotonic() > deadline:
                return False
            with self._condition:
                self._condition.wait_for(lambda: counted() != seen, look_seconds)  # noqa: B023


changes = Changes()
"""Of the cloud that runs in this process: there is one at a time."""


def eventually(reached: Callable[[], bool], what: str) -> None:
    """Wait, in real time, until it holds."""
    assert changes.come(reached), f"not within {PATIENCE_SECONDS} s: {what}"
