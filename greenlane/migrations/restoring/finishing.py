"""The last steps of a restore: how it ended is written down, the lease ends, people are told."""

from greenlane.errors import FenceLost, NotTold
from greenlane.migrations.guarding.lease import Lease
from greenlane.migrations.restoring.deciding import ended
from greenlane.migrations.restoring.journal import lease_of, note, record_of, tell
from greenlane.migrations.restoring.model import Outcome, RestoreRun
from greenlane.migrations.restoring.runtime import RestoreRuntime
from greenlane.migrations.restoring.wording import (
    delete_commands,
    facts_of,
    listed,
    remains,
    way_back,
)

_SAID: dict[Outcome, str] = {
    "cut_over": "{new} is published in the place of {old}",
    "salvage": "{new} is there to copy tables back from",
    "refused": "it stays with {old}, a person said",
    "expired": "it stays with {old}: nobody answered in time",
    "aborted": "it stays with {old}: a person ended the restore",
    "failed": "it stays with {old}: restoring failed",
}
_HALF = "the cutover from {old} to {new} stands half done"


def finish_restore(run: RestoreRun, runtime: RestoreRuntime) -> RestoreRun:
    """Write down how a restore ended, and end its lease. Repeating it finds the lease ended.

    Raises:
        FenceLost: another execution has the lease.
        ClientError: the table did not answer.
    """
    done = ended(run)
    lease = _hold(run, runtime)
    if lease is None:
        return done
    outcome = done.outcome or "failed"
    runtime.restores.put(record_of(done, runtime.clock.now(), outcome))
    because = done.failure and f"{done.failure.Error}: {done.failure.Cause}"
    note(runtime, run.restore, outcome, because=because)
    runtime.leases.release(lease)
    return done


def tell_restore(run: RestoreRun, runtime: RestoreRuntime) -> RestoreRun:
    """Tell people how a restore ended, and what is left for them to do.

    Repeating it tells again with the same id, by which channels know a repetition.

    Raises:
        NotTold: the topic did not take it.
    """
    outcome = run.outcome or "failed"
    now, half = runtime.clock.now(), _is_half_done(run)
    record = record_of(run, now, outcome)
    said = (_HALF if half else _SAID[outcome]).format(old=run.plan.old, new=run.plan.new)
    facts = {"because": record.failure}
    if run.cutting:
        facts["wrote"] = ", ".join(run.cut) or "perhaps some of it; look"
        facts["to take it back"] = listed(way_back(run))
    else:
        facts["deleted by"] = listed(delete_commands(run.plan))
    if not tell(
        runtime,
        record,
        f"restore_{outcome}",
        f"{run.database}: {said}",
        severity="critical" if half else None,
        facts=facts | facts_of(run, now),
        way_out=_way_out(run, outcome),
    ):
        raise NotTold(f"{run.restore}: the topic did not take how it ended")
    return run


def _way_out(run: RestoreRun, outcome: Outcome) -> str:
    new = run.plan.new
    if outcome == "cut_over":
        return listed(remains(run))
    if _is_half_done(run):
        return (
            "look at where the secret and the parameter point; to finish, restore again under "
            f"the same id, which finds {new}; or take it back"
        )
    if outcome == "salvage":
        return (
            f"`greenlane migrations restore salvage {run.restore}` prints the statements that copy "
            f"tables back; then delete {new}"
        )
    return (
        f"nothing was changed in {run.plan.old}, and no client was moved. {new} may have been "
        "made, and costs money: use it by hand, or delete it"
    )


def _is_half_done(run: RestoreRun) -> bool:
    return run.cutting and run.outcome != "cut_over"


def _hold(run: RestoreRun, runtime: RestoreRuntime) -> Lease | None:
    """The lease; None when an earlier attempt ended it, whose answer was lost."""
    try:
        return runtime.leases.renew(lease_of(run), runtime.clock.now())
    except FenceLost:
        found = runtime.leases.read(run.database)
        if found is None or found.held_by is not None or found.epoch != run.epoch:
            raise
        return None
