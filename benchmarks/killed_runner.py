"""A runner of migrations that dies: before a call to the database, after it, or in the middle.

`benchmarks.migration_kills` forks it. It lives on until its own SIGKILL, the parent's, or the end
of its phase, and its exit status says which.
"""

import os
import random
import signal
import threading
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from greenlane.clock import SystemClock
from greenlane.errors import FenceLost
from greenlane.migrations.declaring.plan import Plan
from greenlane.migrations.running.model import Limits, SliceRequest
from greenlane.migrations.running.psycopg_session import connect
from greenlane.migrations.running.session import ConnectionLost, Row, Session
from greenlane.migrations.running.slicing import run_slice
from greenlane.migrations.running.undoing import undo_slice
from greenlane.migrations.validating.model import Phase

Where = Literal["never", "before", "after", "amid"]

DONE, LOST_FENCE, LOST_CONNECTION, FAILED, GAVE_UP = 0, 3, 4, 5, 6
"""Exit statuses."""


@dataclass(frozen=True)
class Fault:
    """When a runner kills itself.

    Args:
        where: in relation to a call; `after` is a lost response.
        call: which call to the database, from 0.
        delay_ms: of `amid`: how long after the call began.
    """

    where: Where = "never"
    call: int = 0
    delay_ms: float = 0.0


class Killing:
    """Counts calls over all sessions of a process, and ends it as its fault says."""

    def __init__(self, fault: Fault) -> None:
        """See the class."""
        self._fault = fault
        self._calls = 0

    def before(self) -> bool:
        """A call begins; whether it is the one."""
        chosen = self._calls == self._fault.call
        self._calls += 1
        if chosen and self._fault.where == "before":
            die()
        if chosen and self._fault.where == "amid":
            threading.Timer(self._fault.delay_ms / 1000, die).start()
        return chosen

    def after(self, chosen: bool) -> None:
        """It has ended on the server, and nobody here has heard of it."""
        if chosen and self._fault.where == "after":
            die()


class MortalSession:
    """A session whose process may die at any of its calls."""

    def __init__(self, session: Session, killing: Killing) -> None:
        """See the class."""
        self._session, self._killing = session, killing

    @property
    def pid(self) -> int:
        """Of its backend."""
        return self._session.pid

    def rows(self, query: str, parameters: Mapping[str, object] | None = None) -> list[Row]:
        """As the session."""
        chosen = self._killing.before()
        found = self._session.rows(query, parameters)
        self._killing.after(chosen)
        return found

    def run(self, text: str, seconds: float | None = None) -> None:
        """As the session."""
        chosen = self._killing.before()
        self._session.run(text, seconds)
        self._killing.after(chosen)

    def close(self) -> None:
        """As the session."""
        self._session.close()

    def __enter__(self) -> "MortalSession":
        """Itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """End it."""
        self.close()


def die() -> None:
    """As kill -9: nothing is closed and nothing is said."""
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Task:
    """What one runner does.

    Args:
        seconds: of a slice; short ones leave long statements running by themselves.
        said: where it writes why it failed.
        undo: files to undo, whatever is lost by it; none named: it goes forward.
    """

    dsn: str
    plan: Plan
    phase: Phase
    epoch: int
    seconds: float
    fault: Fault
    said: Path
    undo: tuple[str, ...] = ()


def start(task: Task) -> int:
    """Fork a runner; its process id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        status = _run(task)
    except BaseException:
        # Whatever it was is for the parent to tell; the child must not return into its code.
        task.said.write_text(traceback.format_exc())
        status = FAILED
    os._exit(status)


def _run(task: Task) -> int:
    random.seed()
    killing = Killing(task.fault)

    def opened(name: str) -> Session:
        killing.after(killing.before())
        return MortalSession(connect(task.dsn, application_name=name), killing)

    clock = SystemClock()
    while True:
        request = SliceRequest(
            database="shop",
            plan_sha=task.plan.sha256,
            phase=task.phase,
            epoch=task.epoch,
            execution=f"runner {os.getpid()}",
            deadline=datetime.now(UTC) + timedelta(seconds=task.seconds),
            limits=Limits(batch_milliseconds=1),
            undo=task.undo,
        )
        try:
            if task.undo:
                accepted = frozenset(f"{name}:{line}" for name in task.undo for line in range(99))
                result = undo_slice(opened, task.plan, request, clock, accepted)
            else:
                result = run_slice(opened, task.plan, request, clock)
        except FenceLost:
            return LOST_FENCE
        except ConnectionLost:
            return LOST_CONNECTION
        if "by itself" in result.progress.detail:
            with task.said.with_name("detached").open("a") as file:
                file.write(".")
        if result.outcome == "done":
            return DONE
        if result.failure is not None and result.failure.error == "NotFinished":
            return GAVE_UP
        if result.outcome == "failed":
            task.said.write_text(str(result))
            return FAILED
        threading.Event().wait(min(result.wait_seconds, 0.05))
