"""An execution that ended and still holds its lease: people are told, and another may go on."""

from pydantic import BaseModel, ConfigDict

from greenlane.errors import NotTold, UnknownMigration
from greenlane.logs import logger
from greenlane.migrations.guarding.journal import note, tell
from greenlane.migrations.guarding.runtime import MigrationRuntime


class Died(BaseModel):
    """What EventBridge tells of an execution that ended without success."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    execution: str
    status: str


def tell_dead_migration(event: Died, runtime: MigrationRuntime) -> None:
    """Tell of a run whose execution died, unless it ended its lease itself: then it told.

    The lease is left as it is: a slice may still run until the lease's time is over.

    Raises:
        NotTold: the topic did not take it; EventBridge's call is repeated.
        ClientError: the table did not answer.
    """
    run_id, database = _of(event.execution, runtime)
    if run_id is None or database is None:
        logger.info("not a run of ours", execution=event.execution)
        return
    lease = runtime.leases.read(database)
    if lease is None or lease.held_by != event.execution:
        return
    record = runtime.runs.run(run_id)
    now = runtime.clock.now()
    said = f"its execution ended: {event.status}"
    died = record.model_copy(
        update={
            "standing": "dead",
            "epoch": lease.epoch,
            "failure": said,
            "updated_at": now,
            "ended_at": now,
        }
    )
    runtime.runs.put(died)
    note(runtime, run_id, "dead", status=event.status)
    until = "" if lease.held_until is None else f" after {lease.held_until:%H:%M:%S} UTC"
    if not tell(
        runtime,
        died,
        "migration_dead",
        f"{database}: {record.phase} died in the middle",
        facts={"because": said, "execution": event.execution},
        way_out=f"run it again{until}: it goes on where the database says that it was",
    ):
        raise NotTold(f"{run_id}: the topic did not take it")


def _of(execution: str, runtime: MigrationRuntime) -> tuple[str | None, str | None]:
    """The run and database of an execution, which is named after its run and its number."""
    name = execution.rsplit(":", 1)[-1]
    base, _, number = name.rpartition("-")
    for run in (name, *([base] if number.isdigit() and base else [])):
        try:
            return run, runtime.runs.run(run).database
        except UnknownMigration:
            continue
    return None, None
