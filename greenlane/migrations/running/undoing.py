"""Going back, in slices: the inverses of what a phase did, by the same rules as going forward.

Undoing does not guess. A statement whose inverse is not exact stays, and what ran before it too,
unless the objects that would be lost are named. One that is exact only while nobody has written
what it made possible is undone under its lock, together with the queries that prove it.
"""

import time
from collections.abc import Callable, Iterable, Sequence

from greenlane.clock import Clock
from greenlane.errors import Refused
from greenlane.migrations.declaring.plan import Plan
from greenlane.migrations.inverting.rollback import (
    Applied,
    RollbackPlan,
    create_rollback_plan,
)
from greenlane.migrations.inverting.rollback import Step as Back
from greenlane.migrations.running import alone, ledger, leftovers, transactions
from greenlane.migrations.running.ledger import (
    LedgerMigration,
    LedgerStatement,
    changed,
    is_guarded,
    once,
)
from greenlane.migrations.running.model import Progress, SliceRequest, SliceResult
from greenlane.migrations.running.session import Connect, StillRunning
from greenlane.migrations.running.slices import DONE, CatalogLocked, Job, Slice, Step
from greenlane.migrations.running.slicing import locked, waits
from greenlane.migrations.running.verifying import all_true
from greenlane.migrations.sql.names import literal
from greenlane.migrations.sql.parsing import Statement, parse_script
from greenlane.migrations.validating.assessing import assess

_IS_DONE = "state = 'done', undone_parts = 0, detached = 0, lock_wait_ms = 0"
_NEVER_RAN = f"{ledger.UNDONE}, inverse = NULL"


def undo_slice(
    connect: Connect,
    plan: Plan,
    request: SliceRequest,
    clock: Clock,
    accept_data_loss: frozenset[str] = frozenset(),
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> SliceResult:
    """Undo what there is time for, the last statement first, and say how it goes on.

    It may be killed at any moment and called again. `done` says in its progress what is left in
    place, and why.

    Args:
        connect: opens sessions.
        plan: what ran.
        request: which phase of it, or which files; whose lease, and until when.
        clock: the present.
        accept_data_loss: objects whose data may go. With none, and no files named, undoing stops
            at the first statement that is not exact to undo.
        sleep: waits so many seconds.

    Raises:
        DataLoss: files are named or some is accepted, and more would be lost; nothing was undone.
        FenceLost: a later owner writes there.
        Refused: the server is a replica, or a file that is not named wrote into what would go.
        ConnectionLost: the session ended; call again.
    """
    with locked(connect, plan, request, clock, sleep) as slice_:
        if isinstance(slice_, SliceResult):
            return slice_
        try:
            return _Undo(slice_, accept_data_loss).result()
        except CatalogLocked as error:
            return waits(plan, request, str(error))


class _Undo:
    def __init__(self, slice_: Slice, accepted: frozenset[str]) -> None:
        self._slice, self._accepted = slice_, accepted
        self._session = slice_.session

    def result(self) -> SliceResult:
        files = self._files()
        if not files:
            return _told(Step("done", detail="there is nothing to undo"), None, self._slice)
        ids = [one.id for one in files]
        if waiting := self._settle(ledger.statements(self._session, ids)):
            return _told(waiting, None, self._slice)
        rows = ledger.statements(self._session, ids)
        self._refuse_half(ids, rows)
        plan = create_rollback_plan(
            [applied(one) for one in rows if is_applied(one)],
            accept_data_loss=self._accepted,
            exact_only=not self._accepted and not self._slice.request.undo,
        )
        self._reopen(ids)
        by_place = {(one.migration, one.statement): one for one in rows}
        for back in plan.steps:
            row = by_place[back.of.migration, back.of.statement]
            step = self._step(back, row)
            if step.outcome != "done":
                return _told(step, row, self._slice)
            if step.detail:
                return self._closed(ids, plan, [step.detail])
            if self._slice.left() <= 0:
                return _told(Step("again"), row, self._slice)
        return self._closed(ids, plan, [])

    def _files(self) -> list[LedgerMigration]:
        """Those to undo: named ones, or those of the phase that did not come to their end."""
        begun = [one for one in ledger.migrations(self._session) if one.state != "undone"]
        if named := self._slice.request.undo:
            return [one for one in begun if one.id in named]
        phase = self._slice.request.phase
        return [one for one in begun if one.phase == phase and not one.settled]

    def _refuse_half(self, ids: Sequence[str], rows: Sequence[LedgerStatement]) -> None:
        """What another file wrote would go, and that file would count as done."""
        makes = {name for one in rows if one.inverse is not None for name in one.inverse.makes}
        begun = [one.id for one in ledger.migrations(self._session) if one.state != "undone"]
        others = [one for one in begun if one not in ids]
        for row in ledger.statements(self._session, others) if makes and others else ():
            if not is_applied(row) or row.state == "undone" or row.inverse is None:
                continue
            if goes := sorted(makes & set(row.inverse.covered_by)):
                raise Refused(
                    f"{row.migration} wrote into {', '.join(goes)}, which would go; undo "
                    f"{row.migration} together with {', '.join(ids)}"
                )

    def _reopen(self, ids: Iterable[str]) -> None:
        """Files that are being undone are not done: going forward begins where undoing stopped."""
        update = (
            f"UPDATE {ledger.SCHEMA}.migrations SET state = 'running', finished_at = NULL "
            f"WHERE state = 'done' AND id IN ({_listed(ids)})"
        )
        self._write(update)

    def _settle(self, rows: Sequence[LedgerStatement]) -> Step | None:
        """Statements that were cut off: find out whether they did their work."""
        for row in rows:
            if row.state != "started" or row.runs_as == "transaction":
                continue
            if row.runs_as == "backfill":
                if row.cursor is None:
                    self._write(changed(row, _NEVER_RAN))
                continue
            (statement,) = parse_script(row.sql).statements
            before = row.before or {}
            try:
                waiting = self._cleared(statement, before) if before else None
            except StillRunning as error:
                said = f"backend {error.pid} goes on by itself: it takes away what was left"
                waiting = Step("waiting", transactions.WAIT_SECONDS, said)
            if waiting is not None:
                return waiting
            makes = row.inverse.makes if row.inverse is not None else ()
            done = bool(before) and leftovers.is_done(self._session, statement, before, makes)
            self._write(changed(row, _IS_DONE if done else _NEVER_RAN))
        return None

    def _cleared(self, statement: Statement, before: leftovers.Before) -> Step | None:
        """Take away what a statement that was cut off left, or carry it to its end."""
        for left in leftovers.invalid(self._session, statement, before):
            if left["building"]:
                return Step("waiting", transactions.WAIT_SECONDS, leftovers.told(left))
            self._session.run(leftovers.dropping(left), self._slice.left_to_wait())
        if text := leftovers.completed(self._session, statement):
            self._session.run(text, self._slice.left_to_wait())
        return None

    def _step(self, back: Back, row: LedgerStatement) -> Step:
        """Undo one statement; `done` with a detail says that it stays."""
        if row.state == "undone":
            return DONE
        if not back.sql:
            self._write(changed(row, ledger.UNDONE))
            return DONE
        if back.proof and not row.undone_parts and not all_true(self._session, back.proof):
            return Step("done", detail=f"{back.of.name} stays: it is in use")
        for part in range(row.undone_parts, len(back.sql)):
            job = self._job(back, row, part)
            run = alone.run if back.runs_as[part] == "alone" else transactions.run
            step = run(self._slice, job)
            if step.failure is not None and job.proof:
                return Step("done", detail=f"{back.of.name} stays: {step.failure.message}")
            if step.outcome != "done":
                return step
            row = row.model_copy(update={"undone_parts": part + 1, "before": None})
        return DONE

    def _job(self, back: Back, row: LedgerStatement, part: int) -> Job:
        script = parse_script(back.sql[part], "rollback")
        (judged,) = assess(script, self._slice.catalog())
        last = part == len(back.sql) - 1
        sets = f"undone_parts = {part + 1}, " + (
            ledger.UNDONE if last else "detached = 0, lock_wait_ms = 0"
        )
        proof = back.proof if part == 0 else ()
        return Job(
            row=row,
            sql=back.sql[part],
            locks=judged.locks,
            # Its proof may read the whole table, which nobody is to wait for.
            guarded=is_guarded(judged) or bool(proof),
            record=(once(changed(row, sets, f"undone_parts = {part}")),),
            proof=proof,
            part=part,
        )

    def _closed(self, ids: Sequence[str], plan: RollbackPlan, stays: list[str]) -> SliceResult:
        """What is undone is closed; what is left in place is told."""
        rows = ledger.statements(self._session, ids)
        stand = {one.migration for one in rows if is_applied(one) and one.state != "undone"}
        undone = [one for one in ids if one not in stand]
        if undone:
            self._write(*(ledger.finished(one, "undone") for one in undone))
        left = [*stays, *(f"{one.of.name} stays: {one.why}" for one in plan.left)]
        detail = "; ".join(left) or "all of it is undone"
        told = _told(Step("done", detail=detail), rows[0] if rows else None, self._slice)
        return told.model_copy(update={"in_use": tuple(stays)})

    def _write(self, *texts: str) -> None:
        self._session.run(ledger.whole(self._slice.request.epoch, *texts))


def is_applied(row: LedgerStatement) -> bool:
    """Whether it did something, undone or not: what undid it needs to know of the others."""
    return row.inverse is not None and (
        row.state in ("done", "undone") or row.runs_as == "backfill" and row.cursor is not None
    )


def applied(row: LedgerStatement) -> Applied:
    """A statement that did something, for a rollback plan."""
    if row.inverse is None:
        raise AssertionError("only statements with an inverse have been applied")
    return Applied(
        migration=row.migration,
        statement=row.statement,
        line=row.line,
        sql=row.sql,
        inverse=row.inverse,
    )


def _told(step: Step, row: LedgerStatement | None, slice_: Slice) -> SliceResult:
    files = slice_.plan.of(slice_.request.phase)
    name = row.migration if row else (files[0].id if files else "")
    known = {one.id: one for one in slice_.plan.migrations}
    count = len(known[name].script.statements) if name in known else 0
    progress = Progress(
        migration=name, statement=row.statement if row else 0, of=count, detail=step.detail
    )
    return SliceResult(
        outcome=step.outcome,
        wait_seconds=step.wait_seconds,
        progress=progress,
        failure=step.failure,
    )


def _listed(ids: Iterable[str]) -> str:
    return ", ".join(literal(one) for one in ids)
