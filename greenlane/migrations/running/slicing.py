"""One slice of a phase: as many of its statements as there is time for."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from greenlane.clock import Clock
from greenlane.migrations.declaring.plan import Migration, Plan
from greenlane.migrations.running import executing, fence, ledger
from greenlane.migrations.running.ledger import LedgerStatement
from greenlane.migrations.running.model import Progress, SliceRequest, SliceResult
from greenlane.migrations.running.session import (
    Connect,
    Row,
    Session,
    StatementFailed,
)
from greenlane.migrations.running.slices import CatalogLocked, Slice, Step, raise_if_lost

BUSY_SECONDS = 3.0
"""Until another runner, or the backend of a dead one, is looked for again."""


def run_slice(
    connect: Connect,
    plan: Plan,
    request: SliceRequest,
    clock: Clock,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> SliceResult:
    """Run what there is time for of one phase, and say how it goes on.

    It may be killed at any moment and called again: what was committed is in the ledger, and what
    was not did not happen. A lock that is not free and a replica that is late are answers.

    Args:
        connect: opens sessions.
        plan: what is run.
        request: which phase of it, whose lease, and until when.
        clock: the present.
        sleep: waits so many seconds.

    Raises:
        FenceLost: a later owner writes there.
        Refused: the server is a replica, or the plan is not the one that began.
        ConnectionLost: the session ended; call again.
    """
    with locked(connect, plan, request, clock, sleep) as slice_:
        if isinstance(slice_, SliceResult):
            return slice_
        try:
            return _Run(slice_).result()
        except CatalogLocked as error:
            return waits(plan, request, str(error))


@contextmanager
def locked(
    connect: Connect,
    plan: Plan,
    request: SliceRequest,
    clock: Clock,
    sleep: Callable[[float], None],
) -> Iterator[Slice | SliceResult]:
    """A slice that alone writes in this database, or the answer that another one does."""
    with connect(fence.APPLICATION) as session:
        fence.fresh(session, fence.APPLICATION)
        fence.refuse_replica(session)
        if not fence.try_lock(session):
            yield waits_for_other(session, plan, request, fence.holder(session))
            return
        try:
            ledger.ensure(session)
            fence.raise_epoch(session, request.epoch, request.execution)
            yield Slice(session, connect, plan, request, clock, sleep)
        except StatementFailed as error:
            raise_if_lost(error)
            raise


class _Run:
    def __init__(self, slice_: Slice) -> None:
        self._slice = slice_
        self._began: datetime = slice_.clock.now()
        self._rows_before: dict[tuple[str, int], int] = {}

    def result(self) -> SliceResult:
        """Statement after statement, until something else than `done` comes of one."""
        slice_ = self._slice
        while True:
            if not fence.try_lock(slice_.session):
                # A statement has given it up: of all locks, or by a function. Another has it now.
                holder = fence.holder(slice_.session)
                return waits_for_other(slice_.session, slice_.plan, slice_.request, holder)
            begun = ledger.migrations(slice_.session)
            migration = executing.next_file(slice_, begun)
            if migration is None:
                return self._done()
            known = {one.id: one for one in begun}
            if migration.id not in known or known[migration.id].state == "undone":
                executing.begin(slice_, migration)
            rows = ledger.statements(slice_.session, [migration.id])
            row = next((one for one in rows if one.state != "done"), rows[-1])
            self._rows_before.setdefault((row.migration, row.statement), _seen(row))
            step = executing.run_next(slice_, migration, rows)
            if step.outcome != "done":
                return self._told(step, migration, row)
            if slice_.left() <= 0:
                return self._told(Step("again"), migration, row)

    def _done(self) -> SliceResult:
        slice_ = self._slice
        files = slice_.plan.of(slice_.request.phase)
        if files:
            update = ledger.settled(one.id for one in files)
            slice_.session.run(ledger.whole(slice_.request.epoch, update))
        last = files[-1] if files else None
        count = len(last.script.statements) if last else 0
        progress = Progress(
            migration=last.id if last else "", statement=max(count - 1, 0), of=count, detail="done"
        )
        return SliceResult(outcome="done", progress=progress)

    def _told(self, step: Step, migration: Migration, row: LedgerStatement) -> SliceResult:
        """The result; what a backfill has done by now is read again if the session still lives."""
        now = row
        if row.runs_as == "backfill" and step.outcome != "failed":
            rows = ledger.statements(self._slice.session, [migration.id])
            now = rows[row.statement]
        seen = _seen(now)
        seconds = (self._slice.clock.now() - self._began).total_seconds()
        before = self._rows_before[row.migration, row.statement]
        rate = (seen - before) / seconds if now.cursor is not None and seconds > 0 else None
        progress = Progress(
            migration=row.migration,
            statement=row.statement,
            of=len(migration.script.statements),
            rows_done=now.rows,
            rows_estimate=_estimate(self._slice, now),
            rows_per_second=rate,
            detail=step.detail,
        )
        return SliceResult(
            outcome=step.outcome,
            wait_seconds=step.wait_seconds,
            progress=progress,
            failure=step.failure,
        )


def waits(
    plan: Plan, request: SliceRequest, detail: str, at: tuple[str, int] | None = None
) -> SliceResult:
    """An answer of a slice that has not come to a statement. Args: at: where it is, if known."""
    migration, statement = at or _place(plan, request, None)
    count = len(plan.migration(migration).script.statements) if migration else 0
    progress = Progress(migration=migration, statement=statement, of=count, detail=detail)
    return SliceResult(outcome="waiting", wait_seconds=BUSY_SECONDS, progress=progress)


def waits_for_other(
    session: Session, plan: Plan, request: SliceRequest, holder: Row | None
) -> SliceResult:
    """Another session has the lock: a second runner, or the backend of one that is gone."""
    if holder is None:
        detail = "another session had the lock, and is gone"
    else:
        detail = f"pid {holder['pid']} ({holder['application']}, {holder['state'] or 'unseen'})"
        detail += f" works here for {holder['seconds'] or 0:.0f} s{_building(session, holder)}"
    return waits(plan, request, detail, _place(plan, request, holder))


def _building(session: Session, holder: Row) -> str:
    """How far a backend is that builds an index."""
    rows = session.rows(
        "SELECT phase, blocks_done::float8 / nullif(blocks_total, 0) AS part "
        "FROM pg_stat_progress_create_index WHERE pid = %(pid)s",
        {"pid": holder["pid"]},
    )
    if not rows:
        return ""
    part = rows[0]["part"]
    return f": {rows[0]['phase']}" + (f", {part:.0%}" if part is not None else "")


def _place(plan: Plan, request: SliceRequest, holder: Row | None) -> tuple[str, int]:
    """Which statement a session works on, by its name."""
    files = plan.of(request.phase)
    parts = holder["application"].split("/") if holder else []
    for one in files:
        if len(parts) >= 3 and parts[1] == one.id[:40] and parts[2].isdigit():
            return one.id, int(parts[2])
    return (files[0].id if files else "", 0)


def _seen(row: LedgerStatement) -> int:
    return int(row.cursor["seen"]) if row.cursor is not None else 0


def _estimate(slice_: Slice, row: LedgerStatement) -> int | None:
    if row.runs_as != "backfill" or not row.locks:
        return None
    table = slice_.catalog().tables.get(row.locks[0].table)
    return table.rows if table is not None else None
