"""The last steps of a run: how it ended is written down, the lease ends, and people are told."""

from greenlane.errors import FenceLost, NotTold
from greenlane.migrations.guarding.backing_up import lease_of
from greenlane.migrations.guarding.journal import note, record_of, tell
from greenlane.migrations.guarding.lease import Lease
from greenlane.migrations.guarding.model import MigrationRun, Outcome, RunRecord, Trouble
from greenlane.migrations.guarding.runtime import MigrationRuntime

_SAID: dict[Outcome, str] = {
    "succeeded": "{phase} is done",
    "failed": "{phase} failed",
    "undone": "{phase} failed, and was undone as far as that is exact",
    "stopped": "{phase} was ended before its end",
}


def release_migration(run: MigrationRun, runtime: MigrationRuntime) -> MigrationRun:
    """Write down how a run ended, and end its lease. Repeating it finds the lease ended.

    Raises:
        FenceLost: another execution has the lease.
        ClientError: the table did not answer.
    """
    ended = _ended(run)
    lease = _hold(run, runtime)
    if lease is None:
        return ended
    outcome = ended.outcome or "failed"
    record = record_of(ended, runtime, outcome)
    runtime.runs.put(record)
    note(
        runtime,
        run.run,
        outcome,
        because=ended.failure and f"{ended.failure.Error}: {ended.failure.Cause}",
    )
    runtime.leases.release(lease)
    return ended


def tell_migration(run: MigrationRun, runtime: MigrationRuntime) -> MigrationRun:
    """Tell people how a run ended, after its lease has: telling must not hold up the next run.

    Repeating it tells again with the same id, by which channels know a repetition.

    Raises:
        NotTold: the topic did not take it.
    """
    outcome = run.outcome or "failed"
    record = record_of(run, runtime, outcome)
    if _is_told(run) and not tell(
        runtime,
        record,
        f"migration_{outcome}",
        f"{run.database}: {_said(run, outcome)}",
        severity="critical" if _half_undone(run) else None,
        facts=_facts(run, record),
        way_out=_way_out(run),
    ):
        raise NotTold(f"{run.run}: the topic did not take how it ended")
    return run


def _hold(run: MigrationRun, runtime: MigrationRuntime) -> Lease | None:
    """The lease; None when an earlier attempt ended it, whose answer was lost."""
    try:
        return runtime.leases.renew(lease_of(run), runtime.clock.now())
    except FenceLost:
        found = runtime.leases.read(run.database)
        if found is None or found.held_by is not None or found.epoch != run.epoch:
            raise
        return None


def _said(run: MigrationRun, outcome: Outcome) -> str:
    if run.request.undo:
        return f"undoing of {run.phase}: {outcome}"
    return _SAID[outcome].format(phase=run.phase)


def _is_told(run: MigrationRun) -> bool:
    """What stands half undone is told whatever the plan says."""
    if _half_undone(run) or run.notify == "all":
        return True
    return run.notify == "failures" and run.outcome != "succeeded"


def _ended(run: MigrationRun) -> MigrationRun:
    """The run with an outcome that fits its failure: one that could not be published failed."""
    if run.failure is None:
        if run.outcome == "succeeded":
            return run
        why = Trouble(Error="States.Unknown", Cause="it ended without a reason")
        return run.model_copy(update={"outcome": "failed", "failure": why})
    if run.outcome in ("undone", "stopped"):
        return run
    return run.model_copy(update={"outcome": "failed"})


def _half_undone(run: MigrationRun) -> bool:
    return run.outcome == "failed" and run.stage == "undo"


def _facts(run: MigrationRun, record: RunRecord) -> dict[str, str]:
    facts = {"because": record.failure, "owner": run.owner}
    if run.backup is not None and run.outcome != "succeeded":
        backup = run.backup
        where = backup.snapshot or f"{backup.at:%Y-%m-%d %H:%M:%S} UTC"
        facts["before it"] = "no backup" if backup.kind == "none" else f"{backup.kind} {where}"
    if run.stage == "undo" and run.progress is not None:
        facts["undone"] = run.progress.detail
    elif run.progress is not None:
        facts["last"] = f"{run.progress.migration}, statement {run.progress.statement}"
    return facts


def _way_out(run: MigrationRun) -> str | None:
    match run.outcome:
        case "succeeded":
            return None
        case "undone":
            return "correct the migration and run it again"
        case "stopped":
            return "what it did stands, and serves both versions; running it again goes on there"
    if run.stage == "undo":
        return (
            "its statements stand half undone; see `greenlane migrations get "
            f"{run.run}`, then run it again, or undo it by hand"
        )
    if run.begun:
        return "what it did stands; running it again goes on there"
    return "nothing was changed; do what it says, and run it again"
