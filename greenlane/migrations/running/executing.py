"""The next statement of a phase: found in the ledger, run once, and looked at."""

from collections.abc import Sequence

from greenlane.errors import Refused
from greenlane.migrations.declaring.judging import assess_plan
from greenlane.migrations.declaring.plan import Migration
from greenlane.migrations.inverting.grading import grade_inverse
from greenlane.migrations.running import alone, backfilling, ledger, transactions, verifying
from greenlane.migrations.running.ledger import (
    LedgerMigration,
    LedgerStatement,
    as_json,
    changed,
    once,
)
from greenlane.migrations.running.session import ConnectionLost, StatementFailed, is_passing
from greenlane.migrations.running.slices import DONE, Job, Slice, Step, raise_if_lost
from greenlane.migrations.validating.model import PHASES, Assessment


def next_file(slice_: Slice, begun: Sequence[LedgerMigration]) -> Migration | None:
    """The first file of the phase that is not done.

    Raises:
        Refused: files of phases before it, which stand before it, are not done either.
    """
    done = {one.id for one in begun if one.state == "done"}
    for migration in slice_.plan.of(slice_.request.phase):
        if migration.id not in done:
            if missing := not_run_before(slice_.plan.migrations, migration, done):
                raise Refused(
                    f"{migration.id} needs {', '.join(missing)}, of an earlier phase: run that "
                    "phase first"
                )
            return migration
    return None


def not_run_before(
    migrations: Sequence[Migration], migration: Migration, done: set[str]
) -> list[str]:
    """Files of earlier phases that stand before it and have not run."""
    rank = PHASES.index(migration.phase)
    at = migrations.index(migration)
    return [
        one.id for one in migrations[:at] if PHASES.index(one.phase) < rank and one.id not in done
    ]


def begin(slice_: Slice, migration: Migration) -> None:
    """Write down that a file begins, and how each of its statements runs."""
    if any(one.kind == "transaction_stmt" for one in migration.script.statements):
        raise Refused(f"{migration.id} has its own BEGIN or COMMIT; leave them out")
    texts = ledger.begun(
        migration,
        judged(slice_, migration),
        plan_sha=slice_.request.plan_sha,
        execution=slice_.request.execution,
    )
    slice_.session.run(ledger.whole(slice_.request.epoch, *texts))


def judged(slice_: Slice, migration: Migration) -> tuple[Assessment, ...]:
    """What each statement of a file locks and how it runs, in the database as it is now."""
    plan = slice_.plan
    at = plan.migrations.index(migration)
    first = at
    while plan.continues(first):
        first -= 1
    together = {one.id for one in plan.migrations[first : at + 1]}
    others = {one.id for one in plan.migrations} - together
    return assess_plan(plan, slice_.catalog(), applied=others)[migration.id]


def refuse_edited(migration: Migration, rows: Sequence[LedgerStatement]) -> None:
    """A file that has begun is the one that goes on.

    Raises:
        Refused: it was edited meanwhile.
    """
    now = [one.sha256 for one in migration.script.statements]
    if [row.sha256 for row in rows] != now:
        raise Refused(
            f"{migration.id} was changed after it began; bring back the text that began, or undo "
            "it first"
        )


def run_next(slice_: Slice, migration: Migration, rows: Sequence[LedgerStatement]) -> Step:
    """Run the first statement that is not done; with all done, finish the file."""
    refuse_edited(migration, rows)
    if half := half_undone(rows):
        raise Refused(half)
    row = next((one for one in rows if one.state != "done"), None)
    if row is None:
        return _finish(slice_, migration, rows[-1])
    step = _run(slice_, _job(slice_, row))
    if step.outcome != "done":
        return step
    return verifying.broken_queries(slice_, migration.phase, row) or DONE


def half_undone(rows: Sequence[LedgerStatement]) -> str:
    """Why these cannot run on: of one statement's inverse only a part ran; else empty."""
    for row in rows:
        if row.state == "done" and row.undone_parts:
            return (
                f"{row.migration}, line {row.line}: it is half undone, so it is neither done nor "
                "can it run again; undo it to its end first"
            )
    return ""


def _run(slice_: Slice, job: Job) -> Step:
    match job.row.runs_as:
        case "transaction":
            run = transactions.run
        case "alone":
            run = alone.run
        case "backfill":
            run = backfilling.run
    try:
        return run(slice_, job)
    except ConnectionLost:
        raise
    except StatementFailed as error:
        # What it is looked at with: rights that are missing do not come by asking again.
        raise_if_lost(error)
        if is_passing(error.sqlstate):
            raise
        return job.failed(error)


def _job(slice_: Slice, row: LedgerStatement) -> Job:
    """The statement, with the inverse as it is right before it runs."""
    inverse = ""
    if row.state != "started" or row.inverse is None:
        statement = slice_.plan.migration(row.migration).script.statements[row.statement]
        graded = grade_inverse(statement, slice_.catalog(), made=_made(slice_, row))
        inverse = f", inverse = {as_json(graded.model_dump(mode='json'))}"
    if row.runs_as != "transaction" and inverse:
        # It is of the database before the statement, and this one is committed piece by piece.
        begins = "state = 'started', started_at = now(), undone_parts = 0"
        update = changed(row, f"{begins}{inverse}")
        slice_.session.run(ledger.whole(slice_.request.epoch, update))
        inverse = ""
    began = "statement_timestamp()" if row.runs_as == "transaction" else "started_at"
    took = f"extract(epoch FROM clock_timestamp() - {began}) * 1000"
    sets = f"state = 'done', exec_ms = {took}, undone_parts = 0, detached = 0{inverse}"
    return Job(
        row=row,
        sql=row.sql,
        locks=row.locks,
        guarded=row.guarded,
        record=(once(changed(row, sets, "state <> 'done'")),),
    )


def _made(slice_: Slice, row: LedgerStatement) -> list[str]:
    """What the files of its release have made that stands; rows go with the column they fill."""
    release = slice_.plan.migration(row.migration).declared.release
    together = [one.id for one in slice_.plan.migrations if one.declared.release == release]
    return ledger.made(slice_.session, together)


def _finish(slice_: Slice, migration: Migration, last: LedgerStatement) -> Step:
    """Its statements are done: ask whether they did what they should, and close it."""
    wrong = verifying.verified(slice_, migration) or verifying.broken_queries(
        slice_, migration.phase, last
    )
    if wrong is not None:
        return wrong
    closed = ledger.finished(migration.id, "done")
    slice_.session.run(ledger.whole(slice_.request.epoch, closed))
    return DONE
