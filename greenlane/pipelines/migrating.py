"""One phase of a plan of migrations, for a pipeline. The plan is kept already; none is parsed."""

from typing import NamedTuple

from botocore.exceptions import ClientError

from greenlane.deployments.client import Greenlane
from greenlane.deployments.connection import TABLE
from greenlane.errors import InvalidInput, NotFinished, Refused, SignalRefused, UnknownMigration
from greenlane.migrations.guarding.lease import Asked as Ask
from greenlane.migrations.guarding.lease import Leases
from greenlane.migrations.guarding.model import MigrationRequest, Standing
from greenlane.migrations.guarding.records import Runs
from greenlane.pipelines.book import End, EndName, Entry
from greenlane.pipelines.model import MigrationAsked
from greenlane.pipelines.seen import Seen

MIGRATION_MACHINE = "greenlane-migration"

_ABSENT = frozenset({"NoSuchBucket", "StateMachineDoesNotExist"})
_ENDS: dict[Standing, EndName] = {
    "succeeded": "succeeded",
    "refused": "refused",
    "undone": "rolled_back",
    "stopped": "stopped",
    "failed": "failed",
    "dead": "failed",
}


class _Kept(NamedTuple):
    """What is on record of runs; plans, which are in S3, are not."""

    leases: Leases
    runs: Runs


def _kept(greenlane: Greenlane) -> _Kept:
    client = greenlane.connection.client("dynamodb")
    return _Kept(Leases(client, TABLE), Runs(client, TABLE))


def begin_migration(greenlane: Greenlane, asked: MigrationAsked, entry: Entry) -> None:
    """Start its run, as `greenlane migrations run` does; repeating it starts nothing more.

    Raises:
        InvalidInput, Refused: it cannot be; nothing was changed.
    """
    connection = greenlane.connection
    connection.databases.database(asked.database)
    try:
        outline = connection.kept.outline(asked.plan)
        if outline.database != asked.database:
            raise InvalidInput("migration.plan", asked.plan, f"it is for {outline.database}")
        if asked.phase not in outline.phases:
            has = ", ".join(outline.phases)
            raise InvalidInput("migration.phase", asked.phase, f"the plan has files of {has} only")
        request = MigrationRequest(
            run=entry.subject_id,
            database=asked.database,
            plan_sha=asked.plan,
            phase=asked.phase,
            deployment=asked.deployment,
            on_failure=asked.on_failure,
            requested_by=entry.requested_by,
            reason=asked.reason,
        )
        connection.start(
            MIGRATION_MACHINE, entry.subject_id, {"request": request.model_dump(mode="json")}
        )
    except ClientError as error:
        if error.response["Error"]["Code"] not in _ABSENT:
            raise
        raise Refused(
            "nothing for migrations is deployed in this account and Region: name the databases "
            "under `migrations` in cdk.json and deploy the stack"
        ) from error


def look_at_migration(greenlane: Greenlane, entry: Entry) -> Seen:
    """Where its run stands."""
    try:
        record = _kept(greenlane).runs.run(entry.subject_id)
    except UnknownMigration:
        return _without_line(greenlane, entry)
    outputs = {"run": record.run, "database": record.database, "outcome": record.standing}
    name = _ENDS.get(record.standing)
    if name is None:
        return Seen(None, 50, f"{record.phase} on {record.database} is under way")
    return Seen(End(name=name, reason=record.failure, outputs=outputs), 100, record.standing)


def _without_line(greenlane: Greenlane, entry: Entry) -> Seen:
    """Of a run whose workflow has not come to it, or was refused."""
    connection = greenlane.connection
    arn = connection.arn("execution", f"{MIGRATION_MACHINE}:{entry.subject_id}")
    try:
        execution = connection.execution(arn)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
            raise
        return Seen(None, 0, f"{entry.subject_id} begins")
    if execution.status in ("RUNNING", "PENDING_REDRIVE", "SUCCEEDED"):
        return Seen(None, 0, f"{entry.subject_id} begins")
    return Seen(End(name="refused", reason=execution.why), 100, execution.status)


def abort_migration(greenlane: Greenlane, entry: Entry) -> str:
    """End its run before its next slice, and undo what is exact to undo.

    Raises:
        NotFinished: it has not come to its database yet.
    """
    kept = _kept(greenlane)
    seen = look_at_migration(greenlane, entry)
    if seen.end is not None:
        return f"it was over: {seen.end.name}"
    try:
        record = kept.runs.run(entry.subject_id)
    except UnknownMigration:
        raise NotFinished(f"{entry.subject_id} has not begun; it is aborted after that") from None
    at = greenlane.connection.clock.now()
    ask = Ask(
        name="abort", by=f"pipeline {entry.execution}", at=at, reason=entry.stopped, undo=True
    )
    try:
        kept.leases.ask(record.database, record.run, ask)
    except SignalRefused as refused:
        return str(refused)
    return "it is aborted, and undoes what is exact to undo"
