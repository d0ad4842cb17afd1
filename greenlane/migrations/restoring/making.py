"""The step that has RDS make the new database, and waits for it."""

from greenlane.migrations.restoring.journal import keep, note, refuse_if_aborted
from greenlane.migrations.restoring.model import Restored, RestoreRun
from greenlane.migrations.restoring.rds import keep_new
from greenlane.migrations.restoring.runtime import RestoreRuntime


def restore_database(run: RestoreRun, runtime: RestoreRuntime) -> RestoreRun:
    """Make the new database, or find it; done once all of it is available.

    Raises:
        FenceLost: another execution has the lease.
        Aborted: a person ended it.
        NotFinished: RDS is at it; ask again.
        Refused: RDS cannot make it, or what has its name is something else.
    """
    refuse_if_aborted(run, runtime)
    new = keep_new(runtime.rds, run.plan, run.restore, run.described)
    now = runtime.clock.now()
    # What an execution before this one measured stands; what it only began, nobody measured.
    measured = run.restored.seconds if run.restored is not None else None
    if not run.resumed:
        measured = (now - run.started_at).total_seconds()
    restored = Restored(
        host=new.host,
        port=new.port,
        arn=new.arn,
        at=now,
        seconds=measured,
        unlike=new.unlike,
    )
    after = run.model_copy(update={"restored": restored, "stage": "verify"})
    keep(after, runtime)
    note(runtime, run.restore, "restored", new=run.plan.new, seconds=restored.seconds)
    return after
