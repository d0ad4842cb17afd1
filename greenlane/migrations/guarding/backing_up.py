"""The step before the first statement: whether RDS's state allows one, and what to go back to."""

from greenlane.errors import NotFinished, Refused
from greenlane.migrations.guarding.backups import Backup, choose, is_ready, unfit, unrecoverable
from greenlane.migrations.guarding.deciding import Seen, after_watch
from greenlane.migrations.guarding.journal import keep, note
from greenlane.migrations.guarding.lease import Lease
from greenlane.migrations.guarding.model import MigrationRun
from greenlane.migrations.guarding.rds import keep_snapshot, read_managed, snapshot_name
from greenlane.migrations.guarding.runtime import MigrationRuntime


def back_up_database(run: MigrationRun, runtime: MigrationRuntime) -> MigrationRun:
    """Keep what there is to go back to, and renew the lease meanwhile.

    Repeating it finds the snapshot that an earlier attempt began.

    Raises:
        FenceLost: another execution has the lease.
        NotFinished: a snapshot is being taken, or RDS is about to make the database available.
        Refused: no migration may run on it, or a marker would lead nowhere.
    """
    lease = runtime.leases.renew(lease_of(run), runtime.clock.now())
    if lease.asked is not None and lease.asked.name == "abort":
        return after_watch(run, Seen(asked=lease.asked))
    database = run.described
    managed = read_managed(runtime.rds, database)
    if managed is not None and (why := unfit(database, managed)):
        raise Refused(f"{run.database}: {why}")
    if managed is not None and not is_ready(managed):
        raise NotFinished(f"{run.database}: RDS says that it is {managed.status}")
    chosen = choose(database, run.phase, managed)
    if managed is not None and (why := unrecoverable(chosen, managed)):
        raise Refused(f"{run.database}: {why}")
    snapshot = None
    if chosen.kind == "snapshot":
        name = snapshot_name(run.database, run.run)
        snapshot = keep_snapshot(runtime.rds, database, name, run.run)
    backup = Backup(
        kind=chosen.kind,
        at=run.at or runtime.clock.now(),
        lsn=run.lsn,
        snapshot=snapshot,
        note=chosen.note,
    )
    after = run.model_copy(update={"backup": backup, "next": "watch", "waits_for": ""})
    keep(after, runtime)
    if run.checked:
        note(runtime, run.run, "checked", found=run.checked)
    note(
        runtime, run.run, "backed up", backup=backup.model_dump(mode="json", exclude_defaults=True)
    )
    return after


def lease_of(run: MigrationRun) -> Lease:
    """The lease that a run says it has."""
    return Lease(database=run.database, epoch=run.epoch, held_by=run.execution)
