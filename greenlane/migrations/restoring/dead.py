"""An execution that ended and has not written down how: people are told."""

from greenlane.errors import NotTold, UnknownRestore
from greenlane.logs import logger
from greenlane.migrations.guarding.dead import Died
from greenlane.migrations.guarding.lease import Lease
from greenlane.migrations.restoring.journal import note, tell
from greenlane.migrations.restoring.model import RestoreRecord
from greenlane.migrations.restoring.runtime import RestoreRuntime
from greenlane.migrations.restoring.wording import delete_commands, listed, way_back


def tell_dead_restore(event: Died, runtime: RestoreRuntime) -> None:
    """Tell of a restore whose execution died, unless it ended its lease itself: then it told.

    One that waited for a lease in vain never had it; its line says that it runs.

    Raises:
        NotTold: the topic did not take it; EventBridge's call is repeated.
        ClientError: the table did not answer.
    """
    record = _of(event.execution, runtime)
    if record is None:
        logger.info("not a restore of ours", execution=event.execution)
        return
    lease = runtime.leases.read(record.database)
    holds = lease is not None and lease.held_by == event.execution
    unended = record.standing == "running" and record.execution == event.execution
    if not holds and not unended:
        return
    now = runtime.clock.now()
    said = f"its execution ended: {event.status}"
    died = record.model_copy(
        update={
            "standing": "dead",
            "epoch": lease.epoch if lease is not None and holds else record.epoch,
            "failure": said,
            "updated_at": now,
            "ended_at": now,
        }
    )
    runtime.restores.put(died)
    note(runtime, record.restore, "dead", status=event.status)
    until = _until(lease) if lease is not None and holds else ""
    if not tell(
        runtime,
        died,
        "restore_dead",
        f"{record.database}: the restore {record.restore} died in the middle",
        facts={"because": said, "execution": event.execution} | _left(record),
        way_out=(
            f"restore again under the same id{until}, which finds what was made and asks again; "
            "or delete that"
        ),
    ):
        raise NotTold(f"{record.restore}: the topic did not take it")


def _until(lease: Lease) -> str:
    return "" if lease.held_until is None else f" after {lease.held_until:%H:%M:%S} UTC"


def _left(record: RestoreRecord) -> dict[str, str]:
    run = record.state
    if run is None:
        return {}
    found = {"new": run.plan.new, "deleted by": listed(delete_commands(run.plan))}
    if run.cutting:
        found["cutover"] = "it had begun: look at where clients are sent"
        found["to take it back"] = listed(way_back(run))
    return found


def _of(execution: str, runtime: RestoreRuntime) -> RestoreRecord | None:
    """The restore of an execution, which is named after it and its number."""
    name = execution.rsplit(":", 1)[-1]
    base, _, number = name.rpartition("-")
    for restore in (name, *([base] if number.isdigit() and base else [])):
        try:
            return runtime.restores.restore(restore)
        except UnknownRestore:
            continue
    return None
