"""What is on record of databases, for whoever deploys and migrates nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from greenlane.deployments.storing.store import DynamoStore
from greenlane.migrations.databases.model import Database
from greenlane.migrations.databases.store import DatabaseStore
from greenlane.migrations.guarding.lease import Leases
from greenlane.migrations.guarding.model import RunRecord
from greenlane.migrations.guarding.outlines import PlanOutline, outline_in
from greenlane.migrations.guarding.plans import bucket_name
from greenlane.migrations.guarding.records import Runs
from greenlane.runtime import Runtime

if TYPE_CHECKING:
    from greenlane.deployments.connection import Connection

LOOKED_AT = 20
"""Runs on a database that are looked at, newest first."""

_LEFT_OPEN = frozenset({"dead", "failed", "stopped"})


@dataclass(frozen=True)
class Kept:
    """The databases, their leases and runs, and the plans.

    Args:
        store: of deployments.
        databases: as they are described.
        leases: who migrates which.
        runs: what ran.
        outline: the outline of the plan with a checksum; raises `InvalidInput` when there is none.
    """

    store: DynamoStore
    databases: DatabaseStore
    leases: Leases
    runs: Runs
    outline: Callable[[str], PlanOutline]

    def of_service(self, service: str) -> dict[str, Database]:
        """The databases of a service, by name."""
        described = [self.databases.database(name) for name in self.databases.names()]
        return {one.name: one.database for one in described if one.database.service == service}

    def open_contract(self, database: str) -> RunRecord | None:
        """A contract that runs on a database, or that ended in the middle; None when there is none.

        What an older version needs may be gone by then, though nothing is published yet.
        """
        lease = self.leases.read(database)
        if lease is not None and lease.held_by and lease.phase == "contract" and lease.run:
            return self.runs.run(lease.run)
        for run in self.runs.runs(database, LOOKED_AT):
            if run.phase == "contract" and run.standing != "refused":
                begun = run.progress is not None
                return run if run.standing in _LEFT_OPEN and begun else None
        return None


def kept_by(runtime: Runtime) -> Kept:
    """For a function of deployments."""
    account, bucket = runtime.settings.topic_arn.split(":")[4], runtime.settings.migrations_bucket
    return _kept(runtime.store, lambda sha256: outline_in(runtime.s3, bucket, account, sha256))


def kept_of(connection: "Connection") -> Kept:
    """For a person's own process."""

    def outline(sha256: str) -> PlanOutline:
        bucket = bucket_name(connection.account, connection.region)
        return outline_in(connection.client("s3"), bucket, connection.account, sha256)

    return _kept(connection.store, outline)


def _kept(store: DynamoStore, outline: Callable[[str], PlanOutline]) -> Kept:
    client, table = store.client, store.table
    return Kept(
        store=store,
        databases=DatabaseStore(client, table),
        leases=Leases(client, table),
        runs=Runs(client, table),
        outline=outline,
    )
