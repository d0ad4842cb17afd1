"""The first step of a run: whether it may run at all, and the lease of its database."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from greenlane.errors import FenceLost, GreenlaneError, InvalidInput, LeaseLingers, Refused
from greenlane.migrations.databases.store import StoredDatabase
from greenlane.migrations.guarding.gating import contract_refusals
from greenlane.migrations.guarding.journal import keep, note, tell
from greenlane.migrations.guarding.model import MigrationRequest, MigrationRun, RunRecord
from greenlane.migrations.guarding.outlines import PlanOutline, read_outline
from greenlane.migrations.guarding.runtime import MigrationRuntime
from greenlane.migrations.running.model import Limits
from greenlane.migrations.validating.model import PHASES
from greenlane.problems import suggest


class TakeEvent(BaseModel):
    """What the state machine begins with."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    request: MigrationRequest
    execution: str


def take_migration(event: TakeEvent, runtime: MigrationRuntime) -> MigrationRun:
    """Take the database's lease for a run, after looking whether it may run.

    Repeating it finds the lease taken, and changes nothing. A call that comes when its execution
    has ended takes nothing.

    Raises:
        FenceLost: the execution has ended.
        UnknownDatabase: the database was never described.
        InvalidInput: the plan is not there, or is for another database.
        Refused: a contract would break what runs or may come back.
        MigrationInFlight: another run has the database.
        LeaseLingers: a dead run had it, and a slice of that may still run.
    """
    request, now = event.request, runtime.clock.now()
    if not runtime.lives(event.execution):
        raise FenceLost(f"{event.execution} has ended, so nobody would use its lease")
    stored = runtime.databases.database(request.database)
    begun = _begun(event, runtime, stored, now)
    try:
        outline = read_outline(runtime, request.plan_sha)
        _fits(request, outline)
        if refused := contract_refusals(runtime, stored.database.service, request, outline):
            raise Refused("; ".join(refused))
        lease = runtime.leases.take(
            request.database,
            execution=event.execution,
            run=request.run,
            phase=request.phase,
            now=now,
            lives=runtime.lives,
        )
    except LeaseLingers:
        raise
    except GreenlaneError as error:
        _refuse(runtime, begun, error)
        raise
    back = bool(request.undo)
    run = MigrationRun(
        request=request,
        execution=event.execution,
        epoch=lease.epoch,
        described=stored.database,
        limits=_limits(stored),
        owner=outline.owner,
        notify=outline.notify,
        started_at=begun.started_at,
        stage="undo" if back else "check",
        next="back_up" if back else "check",
    )
    keep(run, runtime)
    note(
        runtime,
        request.run,
        "taken",
        database=request.database,
        phase=request.phase,
        undo=list(request.undo) or None,
        epoch=lease.epoch,
        by=request.requested_by,
        reason=request.reason or None,
        overrides=[one.model_dump(mode="json") for one in request.overrides] or None,
    )
    return run


def _begun(
    event: TakeEvent, runtime: MigrationRuntime, stored: StoredDatabase, now: datetime
) -> RunRecord:
    request = event.request
    return runtime.runs.begin(
        RunRecord(
            run=request.run,
            database=request.database,
            service=stored.database.service,
            phase=request.phase,
            plan_sha=request.plan_sha,
            standing="running",
            execution=event.execution,
            deployment=request.deployment,
            requested_by=request.requested_by,
            reason=request.reason,
            overrides=request.overrides,
            started_at=now,
            updated_at=now,
        )
    )


def _fits(request: MigrationRequest, outline: PlanOutline) -> None:
    if outline.database != request.database:
        way_out = f"the plan is for {outline.database}; run it there"
        raise InvalidInput("request.database", request.database, way_out)
    if not outline.of(request.phase):
        found = ", ".join(outline.phases)
        raise InvalidInput("request.phase", request.phase, f"the plan has {found} only")
    later = PHASES[PHASES.index(request.phase) :]
    known = [one.id for phase in later for one in outline.of(phase)]
    for name in request.undo:
        if name not in known:
            near = suggest(name, known)
            said = f"the plan has no such file in {request.phase}, or in a later phase{near}"
            raise InvalidInput("request.undo", name, said)


def _refuse(runtime: MigrationRuntime, begun: RunRecord, error: GreenlaneError) -> None:
    now = runtime.clock.now()
    said = f"{type(error).__name__}: {error}"
    record = begun.model_copy(
        update={"standing": "refused", "failure": said, "updated_at": now, "ended_at": now}
    )
    runtime.runs.put(record)
    note(runtime, begun.run, "refused", error=said)
    tell(
        runtime,
        record,
        "migration_refused",
        f"{record.database}: {record.phase} was refused",
        facts={"because": str(error)},
        way_out="nothing was changed; do what it says, and run it again",
    )


def _limits(stored: StoredDatabase) -> Limits:
    limits = stored.database.limits
    return Limits(
        replica_lag_seconds=limits.max_lag.total_seconds(),
        active_sessions=limits.active_sessions,
        lock_budget_seconds=limits.lock_budget.total_seconds(),
        batch_milliseconds=limits.batch_ms,
        nice=limits.nice,
    )
