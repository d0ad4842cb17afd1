"""The first step of a restore: whether it can be, what it will do, and the database's lease."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from greenlane.errors import FenceLost, GreenlaneError, InvalidInput, NotYet, UnknownRestore
from greenlane.migrations.databases.model import Database
from greenlane.migrations.databases.store import StoredDatabase
from greenlane.migrations.guarding.model import RunRecord
from greenlane.migrations.restoring.estimating import LAST_MEASURED
from greenlane.migrations.restoring.journal import keep, note, tell
from greenlane.migrations.restoring.model import (
    Point,
    RestorePlan,
    RestoreRecord,
    RestoreRequest,
    RestoreRun,
)
from greenlane.migrations.restoring.planning import lost_runs, plan_restore, point_of, steps
from greenlane.migrations.restoring.rds import Old, read_old, read_snapshot
from greenlane.migrations.restoring.runtime import RestoreRuntime
from greenlane.migrations.restoring.wording import delete_commands, facts_of, listed

_MOST_LOST = 50
"""Runs that are named as lost; there are fewer in all but the strangest weeks."""


class TakeRestoreEvent(BaseModel):
    """What the state machine begins with."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    request: RestoreRequest
    execution: str


def take_restore(event: TakeRestoreEvent, runtime: RestoreRuntime) -> RestoreRun:
    """Take the database's lease for a restore, and say what will be done. Nothing is made yet.

    Repeating it finds the lease taken. The id of a restore that died finds its plan.

    Raises:
        FenceLost: the execution has ended.
        UnknownDatabase, UnknownMigration: there is no such database or run.
        InvalidInput: the run has kept no backup of that kind.
        Refused: RDS cannot go back there, or not so that the new one is like the old one.
        NotFinished: it cannot yet; some minutes later it can.
        MigrationInFlight: a migration, or another restore, has the database.
        LeaseLingers: a dead one has it, and may still write.
    """
    request, now = event.request, runtime.clock.now()
    if not runtime.lives(event.execution):
        raise FenceLost(f"{event.execution} has ended, so nobody would use its lease")
    stored = runtime.databases.database(request.database)
    first = runtime.restores.begin(_record(event, stored, now))
    begun = first.record
    try:
        before = _before(request, runtime)
        described = stored.database if before is None else before.described
        if before is None:
            plan = _plan(request, described, runtime, now)
        else:
            plan = _plan_again(request, before.plan, runtime)
        lease = runtime.leases.take(
            request.database,
            execution=event.execution,
            run=request.restore,
            phase=None,
            now=now,
            lives=runtime.lives,
        )
    except NotYet:
        raise
    except GreenlaneError as error:
        _refuse(runtime, begun, error)
        raise
    run = RestoreRun(
        request=request,
        execution=event.execution,
        epoch=lease.epoch,
        described=described,
        plan=plan,
        started_at=begun.started_at,
        resumed=first.resumed,
        restored=None if before is None else before.restored,
        approval_seconds=request.approval_seconds,
        writers_seconds=request.writers_seconds,
    )
    keep(run, runtime)
    note(
        runtime,
        request.restore,
        "taken",
        epoch=lease.epoch,
        point=plan.point.model_dump(mode="json"),
        new=plan.new,
        by=request.requested_by,
        reason=request.reason,
    )
    _tell(runtime, run, begun.model_copy(update={"epoch": run.epoch}))
    return run


def _before(request: RestoreRequest, runtime: RestoreRuntime) -> RestoreRun | None:
    """What an execution before this one has planned, which stands: its new database is named so.

    After a cutover the description of the database names the new one; only this knows the old.
    """
    try:
        before = runtime.restores.restore(request.restore).state
    except UnknownRestore:
        return None
    if before is None:
        return None
    same = ("database", "run", "source")
    if any(getattr(before.request, name) != getattr(request, name) for name in same):
        said = f"it was used to go back to before {before.request.run}; choose another id"
        raise InvalidInput("request.restore", request.restore, said)
    return before


def _plan(
    request: RestoreRequest, database: Database, runtime: RestoreRuntime, now: datetime
) -> RestorePlan:
    old = read_old(runtime.rds, database)
    source = runtime.runs.run(request.run)
    point = point_of(request, source, old.described, _snapshot(source, old, runtime), now)
    lost = [source, *_later(point, runtime, request.database)]
    measured = _measured(request, runtime)
    return plan_restore(request, old.described, old.members, point, lost, measured)


def _plan_again(request: RestoreRequest, plan: RestorePlan, runtime: RestoreRuntime) -> RestorePlan:
    """The plan of before, with what has run since: a salvage may have ended days ago."""
    lost = [runtime.runs.run(request.run), *_later(plan.point, runtime, request.database)]
    changes = {"lost_runs": lost_runs(lost), "steps": steps(request, plan.new)}
    return plan.model_copy(update=changes)


def _later(point: Point, runtime: RestoreRuntime, database: str) -> list[RunRecord]:
    return [
        one
        for one in runtime.runs.runs(database, limit=_MOST_LOST)
        if one.updated_at >= point.at and one.run != point.run
    ]


def _snapshot(source: RunRecord, old: Old, runtime: RestoreRuntime) -> dict[str, object] | None:
    if source.backup is None or source.backup.snapshot is None:
        return None
    kind = "cluster" if "DBClusterArn" in old.described else "instance"
    found = read_snapshot(runtime.rds, kind, source.backup.snapshot)
    return None if found is None else dict(found)


def _measured(request: RestoreRequest, runtime: RestoreRuntime) -> list[float]:
    """How long earlier restores of this database took, the newest first."""
    earlier = runtime.restores.restores(request.database, limit=LAST_MEASURED * 4)
    return [
        one.seconds for one in earlier if one.seconds is not None and one.restore != request.restore
    ]


def _record(event: TakeRestoreEvent, stored: StoredDatabase, now: datetime) -> RestoreRecord:
    request = event.request
    return RestoreRecord(
        restore=request.restore,
        database=request.database,
        service=stored.database.service,
        standing="running",
        execution=event.execution,
        requested_by=request.requested_by,
        reason=request.reason,
        started_at=now,
        updated_at=now,
    )


def _refuse(runtime: RestoreRuntime, begun: RestoreRecord, error: GreenlaneError) -> None:
    now = runtime.clock.now()
    said = f"{type(error).__name__}: {error}"
    record = begun.model_copy(
        update={"standing": "failed", "failure": said, "updated_at": now, "ended_at": now}
    )
    runtime.restores.put(record)
    note(runtime, begun.restore, "refused", error=said)
    tell(
        runtime,
        record,
        "restore_failed",
        f"{record.database}: it was not restored",
        facts={"because": str(error)},
        way_out="nothing was made or changed; do what it says, and restore again",
        severity="warning",
    )


def _tell(runtime: RestoreRuntime, run: RestoreRun, record: RestoreRecord) -> None:
    """Tell that it began, and what less there is to lose by copying tables back."""
    facts = facts_of(run, runtime.clock.now())
    runbook = listed(f"{one.title} ({one.who})" for one in run.plan.steps)
    tell(
        runtime,
        record,
        "restore_begun",
        f"{run.database}: a new database is made as it was before {run.request.run}",
        facts=facts | {"steps": runbook, "deleted by": listed(delete_commands(run.plan))},
        way_out=(
            "nothing is changed in the old one. If few tables are harmed, copy those back instead "
            "of going back with all of it"
        ),
    )
