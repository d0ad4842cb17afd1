"""What is kept before a phase's first statement, and when nothing may run at all. Pure; no I/O.

Every phase of a database that RDS runs has a marker: the time, and the position in the WAL, before
the first statement. With it, point-in-time recovery makes a new database of that moment. It costs
nothing. A snapshot stays when the days of point-in-time recovery are over, and takes time; of an
instance in one zone it suspends reads and writes while it is taken, so it could itself be the
outage. There a marker takes its place, unless the database's description accepts that.
"""

from datetime import datetime
from typing import Literal

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.migrations.databases.model import BackupKind, Database
from greenlane.migrations.validating.model import Phase

_WORKS = frozenset(
    {
        "available",
        "backing-up",
        "configuring-enhanced-monitoring",
        "configuring-iam-database-auth",
        "configuring-log-exports",
        "storage-optimization",
    }
)
"""What RDS calls a database that takes connections (user guide, viewing instance status)."""

_SOON = frozenset(
    {
        *("creating", "maintenance", "modifying", "promoting", "rebooting", "renaming", "starting"),
        *("failing-over", "resetting-master-credentials", "storage-config-upgrade", "upgrading"),
        *("storage-initialization", "migrating", "moving-to-vpc", "scaling-compute"),
    }
)
"""What becomes one of those by itself."""

_BLUE_GREEN_OVER = frozenset({"SWITCHOVER_COMPLETED", "DELETING"})


class BlueGreen(StoredModel):
    """A blue/green deployment of RDS that a database is part of."""

    name: str
    status: str
    side: Literal["blue", "green"]


class Managed(StoredModel):
    """A database as RDS describes it.

    Args:
        arn: of the cluster or instance.
        kind: which of the two.
        engine: RDS's name of it.
        status: RDS's word.
        zones: whether it is in several, so that a snapshot does not suspend it.
        retention_days: of point-in-time recovery; 0 when it is off.
        restorable_until: the latest moment that can be recovered now.
        copies: what it is a replica of.
        blue_green: the blue/green deployments it is part of.
    """

    arn: str
    kind: Literal["cluster", "instance"]
    engine: str
    status: str
    zones: bool
    retention_days: int
    restorable_until: datetime | None = None
    copies: str | None = None
    blue_green: tuple[BlueGreen, ...] = ()


class Backup(StoredModel):
    """What there is to go back to.

    Args:
        kind: what was made.
        at: the database's own time before the first statement; point-in-time recovery goes there.
        lsn: the position in the WAL at that time, such as `0/3000060`.
        snapshot: its ARN, where one was taken.
        note: why it is not what the policy says.
    """

    kind: BackupKind
    at: datetime
    lsn: str | None = None
    snapshot: str | None = None
    note: str = ""


class Choice(StoredModel):
    """What is to be made, and why it is not what the policy says."""

    kind: BackupKind
    note: str = ""


def unfit(database: Database, managed: Managed) -> str:
    """Why no migration may run on a database; empty when one may, perhaps later.

    Args:
        database: as it is described.
        managed: as RDS describes it.
    """
    for one in managed.blue_green:
        if one.status not in _BLUE_GREEN_OVER:
            return (
                f"it is the {one.side} side of the blue/green deployment {one.name} "
                f"({one.status}), which does not carry changes of the schema over; finish or "
                "delete that first"
            )
    if managed.copies is not None:
        return f"it is a read replica of {managed.copies}; name that one"
    if managed.engine != database.engine:
        return f"RDS runs {managed.engine} there, not {database.engine}; correct the engine"
    if managed.status == "storage-full":
        return "its storage is full; give it more, for a migration writes"
    if managed.status not in _WORKS | _SOON:
        return f"RDS says that it is {managed.status}; it must be available"
    return ""


def is_ready(managed: Managed) -> bool:
    """Whether it takes connections now."""
    return takes_connections(managed.status)


def takes_connections(status: str) -> bool:
    """Whether what RDS calls so takes connections now."""
    return status in _WORKS


def choose(database: Database, phase: Phase, managed: Managed | None) -> Choice:
    """What is kept before a phase.

    Args:
        database: as it is described.
        phase: which is about to run.
        managed: as RDS describes it; None where RDS does not run it.
    """
    wanted = database.backup.of(phase)
    if managed is None:
        return Choice(kind="none")
    if wanted == "snapshot" and suspends(managed) and database.suspends_io is None:
        said = "a snapshot of an instance in one zone suspends its reads and writes"
        return Choice(kind="marker", note=f"{said}; suspends_io: accepted would allow it")
    return Choice(kind=wanted)


def suspends(managed: Managed) -> bool:
    """Whether a snapshot suspends I/O: of an RDS instance in one zone (RDS user guide, backups)."""
    return managed.kind == "instance" and not managed.zones


def unrecoverable(choice: Choice, managed: Managed) -> str:
    """Why a marker would lead nowhere; empty when it leads back."""
    if choice.kind != "marker" or managed.retention_days > 0:
        return ""
    return (
        "point-in-time recovery is off, so a marker leads nowhere; set its backup retention to "
        "a day or more, or write backup: none to do without"
    )
