"""What the parts of a slice share: its session, its plan, its limits and its time."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from greenlane.clock import Clock
from greenlane.errors import FenceLost, Refused
from greenlane.migrations.catalog.model import Catalog
from greenlane.migrations.catalog.reading import read_catalog
from greenlane.migrations.declaring.plan import Plan
from greenlane.migrations.running.ledger import LedgerStatement
from greenlane.migrations.running.locking import keeps_readers_out
from greenlane.migrations.running.model import Failure, Limits, SliceRequest
from greenlane.migrations.running.session import (
    FENCE_LOST,
    LOCK_NOT_AVAILABLE,
    READ_ONLY,
    Connect,
    Session,
    StatementFailed,
)
from greenlane.migrations.validating.model import TableLock

MARGIN_SECONDS = 5.0
"""Before the deadline nothing is waited for any more: the answer has to be given in time."""

CATALOG_LOCK_MS = 1000
"""How long reading the catalog may wait behind others; writers do not wait behind it."""

LONGEST_SLICE_SECONDS = 60.0
"""After it the workflow looks whether to go on: a pause or a red alarm waits no longer."""


@dataclass(frozen=True)
class Step:
    """What one attempt at a statement came to.

    Args:
        outcome: `again`: time is over, it goes on in the next slice.
        wait_seconds: where it waits.
        detail: what it did, or waits for.
        failure: why it failed.
    """

    outcome: Literal["done", "again", "waiting", "failed"]
    wait_seconds: float = 0
    detail: str = ""
    failure: Failure | None = None


DONE = Step("done")
AGAIN = Step("again", detail="the slice is over")


@dataclass(frozen=True)
class Job:
    """Something to run once: a statement of a file, or a part of what undoes one.

    Args:
        row: the statement's row of the ledger.
        sql: what runs.
        locks: what it locks, in order.
        guarded: whether it must be over in a moment.
        record: statements that write down that it ran, in its own transaction or right after it.
        proof: queries that must say true under its locks, or it does not run.
        part: of the statement's inverse, from 0; None for the statement itself.
    """

    row: LedgerStatement
    sql: str
    locks: tuple[TableLock, ...]
    guarded: bool
    record: tuple[str, ...]
    proof: tuple[str, ...] = ()
    part: int | None = None

    @property
    def mark(self) -> str:
        """What it is, for what is written down when it begins."""
        return "run" if self.part is None else f"undo {self.part}"

    def failed(
        self, error: StatementFailed | str, message: str = "", blocker: str = "", sent: str = ""
    ) -> Step:
        """It failed, and nothing of it stands. Args: sent: the text with it, for the line."""
        line = self.row.line
        if isinstance(error, StatementFailed):
            if self.part is None:
                line += error.lines_into(sent, self.sql) or 0
            message = message or error.told
            error = error.condition
        failure = Failure(
            error=error,
            message=message,
            statement=self.row.statement,
            line=line,
            blocker=blocker or None,
        )
        return Step("failed", detail=message, failure=failure)


class CatalogLocked(Exception):
    """Somebody keeps readers out of a table, so its size cannot be read; the message says who."""


@dataclass
class Slice:
    """One call of the runner.

    Args:
        session: which holds the advisory lock.
        connect: opens another.
        sleep: waits so many seconds.
    """

    session: Session
    connect: Connect
    plan: Plan
    request: SliceRequest
    clock: Clock
    sleep: Callable[[float], None] = time.sleep
    chance: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        """Note when it began."""
        longest = self.clock.now() + timedelta(seconds=LONGEST_SLICE_SECONDS)
        deadline = self.request.deadline - timedelta(seconds=MARGIN_SECONDS)
        self._ends = min(longest, deadline)
        self._deadline = deadline
        self._catalog: Catalog | None = None

    @property
    def limits(self) -> Limits:
        """What spares the database."""
        return self.request.limits

    def left(self) -> float:
        """Seconds until this slice should have given its answer."""
        return (self._ends - self.clock.now()).total_seconds()

    def left_to_wait(self) -> float:
        """Seconds for which one statement may be waited for: more, for it cannot be stopped."""
        return max(0.5, (self._deadline - self.clock.now()).total_seconds())

    def catalog(self) -> Catalog:
        """The database as it is: read once, and again when a statement has changed it.

        Raises:
            CatalogLocked: a table is locked against readers too, whether it is of the plan or not.
        """
        if self._catalog is None:
            self.session.run(f"SET lock_timeout = {CATALOG_LOCK_MS}")
            try:
                self._catalog = read_catalog(self.session)
            except StatementFailed as error:
                if error.sqlstate != LOCK_NOT_AVAILABLE:
                    raise
                raise CatalogLocked(keeps_readers_out(self.session)) from error
            self.session.run("SET lock_timeout = 0")
        return self._catalog

    def changed(self) -> None:
        """A statement ran: the catalog is no longer what was read."""
        self._catalog = None

    def lock_budget(self) -> float:
        """Seconds that a statement may ask for its locks: the plan may allow less, not more."""
        planned = self.plan.manifest.lock_budget.total_seconds()
        return min(self.limits.lock_budget_seconds, planned)


def raise_if_lost(error: StatementFailed) -> None:
    """Errors that end the run, whatever statement met them.

    Raises:
        FenceLost: another owner writes here.
        Refused: the server has become a replica, as after a failover.
    """
    if error.sqlstate == FENCE_LOST:
        raise FenceLost(error.message) from error
    if error.sqlstate == READ_ONLY:
        raise Refused(
            "this server takes no writes: it is a read replica, or has become one by a failover; "
            "nothing was changed"
        ) from error
