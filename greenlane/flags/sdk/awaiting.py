"""One thread's work that any number of tasks wait for."""

import asyncio
from collections.abc import Callable
from typing import Any


class Shared:
    """Runs blocking work in a thread, once at a time for each event loop.

    A hundred tasks that find the flags due must not take the hundred threads that other work of
    the loop needs.
    """

    def __init__(self) -> None:
        """See the class."""
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Future[Any]] | None = None

    async def run(self, work: Callable[[], object]) -> None:
        """Wait for the work; for the one that goes on already, if there is one.

        It goes on when a task that waits for it is cancelled. What it raises is raised for all.
        """
        loop, running = asyncio.get_running_loop(), self._running
        if running is None or running[0] is not loop or running[1].done():
            running = self._running = (loop, loop.run_in_executor(None, work))
        await asyncio.shield(running[1])
