"""What a file says of databases: where each is, how to sign in, what spares it, what backs it up.

A file that describes databases has the top-level key `databases`. No secret is in it: a database
is signed in to with a token that IAM makes, or with a secret that Secrets Manager holds.
"""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from greenlane.deployments.declaring.config import SERVICE_NAME_PATTERN
from greenlane.deployments.storing.shapes import Document
from greenlane.durations import Duration
from greenlane.migrations.validating.model import Phase

PARAMETER_PREFIX = "/greenlane/databases/"
"""Below it Greenlane may write parameters, and nowhere else."""

DatabaseName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}[a-z0-9]$")]

Engine = Literal["aurora-postgresql", "postgres"]
BackupKind = Literal["marker", "snapshot", "none"]
"""`marker`: the time and the WAL position before the first statement, for point-in-time recovery.
`snapshot`: a snapshot of its own, waited for. `none`: there is no way back to before."""


class Endpoint(Document):
    """The writer, reached directly: `SET` and advisory locks would pin a proxy's connections.

    Args:
        host: its name or address; a folder is that of a Unix socket.
        port: where it listens.
        dbname: the database in it that migrations change.
        user: whom migrations run as; it owns what it changes.
    """

    host: str = Field(min_length=1, max_length=255)
    port: int = Field(5432, ge=1, le=65535)
    dbname: str = Field(min_length=1, max_length=63)
    user: str = Field(min_length=1, max_length=63)


class LimitsOnLoad(Document):
    """When a migration waits, and how large its steps are.

    Args:
        max_lag: the lag of a replica from which on rows are not filled.
        active_sessions: so many active sessions of others from which on they are not either.
        lock_budget: how long a statement may go on asking for its lock.
        batch_ms: how long one batch of rows should take, in milliseconds.
        nice: how long to rest after a batch, as a multiple of how long it took.
    """

    max_lag: Duration = timedelta(seconds=1)
    active_sessions: int = Field(50, ge=1, le=10_000)
    lock_budget: Duration = timedelta(minutes=10)
    batch_ms: int = Field(20, ge=10, le=10_000)
    nice: float = Field(0, ge=0, le=100)


class BackupPolicy(Document):
    """What is kept before the first statement of a phase."""

    expand: BackupKind = "marker"
    migrate: BackupKind = "marker"
    contract: BackupKind = "snapshot"

    def of(self, phase: Phase) -> BackupKind:
        """What is kept before this phase."""
        kind: BackupKind = getattr(self, phase)
        return kind


class Database(Document):
    """One database that migrations change.

    Args:
        service: whose database it is: its alarms pause a migration, its versions allow one.
        engine: what runs it.
        cluster: the identifier of its Aurora or Multi-AZ DB cluster; or `instance` that of its RDS
            instance. Neither is named for a PostgreSQL that RDS does not run, which Greenlane
            cannot back up.
        endpoint: where it is.
        auth: `iam` signs in with a token that lasts for minutes; `secret` with what the secret
            named `secret` holds, as JSON with `username` and `password`.
        tls: as libpq names it. `verify-full` also proves that the server is the one that is named,
            by `root_certificates`.
        root_certificates: PEM, of who signed the server's; RDS publishes a bundle for each Region.
        driver: by what it is spoken to.
        limits: what spares it.
        backup: what is kept before each phase.
        suspends_io: `accepted` allows a snapshot of an instance in one zone, which suspends its
            reads and writes for seconds to minutes. Otherwise a marker takes the snapshot's place.
        alarms: names of further alarms that pause a migration while they are red, such as one on
            the database's CPU.
        parameter: the SSM parameter in which applications find what stands; below
            `/greenlane/databases/`.
        min_app: the oldest version of the service that may use the database as it is now; a
            contract raises it.
    """

    service: str = Field(pattern=SERVICE_NAME_PATTERN)
    engine: Engine
    cluster: str | None = Field(None, pattern=r"^[A-Za-z][A-Za-z0-9-]{0,62}$")
    instance: str | None = Field(None, pattern=r"^[A-Za-z][A-Za-z0-9-]{0,62}$")
    endpoint: Endpoint
    auth: Literal["iam", "secret"] = "iam"
    secret: str | None = Field(None, pattern=r"^[A-Za-z0-9/_+=.@!-]{1,256}$")
    tls: Literal["verify-full", "require", "disable"] = "require"
    root_certificates: str | None = Field(None, max_length=40_000)
    driver: Literal["psycopg"] = "psycopg"
    limits: LimitsOnLoad = LimitsOnLoad()
    backup: BackupPolicy = BackupPolicy()
    suspends_io: Literal["accepted"] | None = None
    alarms: tuple[str, ...] = Field((), max_length=20)
    parameter: str | None = Field(None, max_length=200)
    min_app: str | None = Field(None, min_length=1, max_length=128)

    @property
    def managed(self) -> bool:
        """Whether RDS runs it."""
        return self.cluster is not None or self.instance is not None

    def parameter_of(self, name: str) -> str:
        """The SSM parameter of the database called `name`."""
        return self.parameter or PARAMETER_PREFIX + name


class DatabasesDocument(Document):
    """A file that describes databases, by name."""

    databases: dict[DatabaseName, Database] = Field(min_length=1, max_length=50)
