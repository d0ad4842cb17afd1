"""What the manifest of a folder of SQL files says."""

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from greenlane.deployments.storing.shapes import Document
from greenlane.durations import Duration
from greenlane.migrations.databases.model import DatabaseName
from greenlane.migrations.validating.model import Phase

KEY = "database_migrations"
"""The top-level key that makes a file a manifest of migrations."""

FILE_NAME = re.compile(r"(?P<number>\d{4,9})_[a-z0-9_]+\.sql\Z")
LINE = Annotated[str, Field(min_length=1, max_length=500)]


class Backfill(Document):
    """How fast rows are filled, in place of the database's own limits.

    Args:
        batch_ms: how long one batch should take, in milliseconds.
        nice: how long to rest after a batch, as a multiple of how long it took.
        max_lag: the lag of a replica from which on it waits.
    """

    batch_ms: int | None = Field(None, ge=10, le=10_000)
    nice: float | None = Field(None, ge=0, le=100)
    max_lag: Duration | None = None


class MigrationFile(Document):
    """One SQL file.

    Args:
        file: its name in the folder: a number, what it does, `.sql`.
        phase: when it runs: `expand` before the new version, `migrate` while it ramps, `contract`
            when nothing needs the old shape any more.
        release: files with one release belong together; in them phases never go back.
        min_app: of a contract: the first version that does not need the old shape.
        accept: rules whose findings do not stop this file; with `reason` and `approved_by`.
        backfill: how fast its rows are filled.
        verify: queries, each of one boolean, that must say true once the file has run.
    """

    file: str = Field(max_length=120)
    phase: Phase
    release: str | None = Field(None, min_length=1, max_length=64)
    min_app: str | None = Field(None, min_length=1, max_length=128)
    reason: LINE | None = None
    approved_by: LINE | None = None
    accept: tuple[str, ...] = ()
    backfill: Backfill = Backfill()
    verify: tuple[str, ...] = Field((), max_length=20)

    @property
    def id(self) -> str:
        """The name without `.sql`."""
        return self.file.removesuffix(".sql")

    @property
    def number(self) -> int:
        """The number that its name begins with; 0 where it has none."""
        found = FILE_NAME.match(self.file)
        return int(found["number"]) if found else 0


class Manifest(Document):
    """The migrations of one database.

    Args:
        database: as it was described to Greenlane.
        owner: whom to ask about them.
        files: in the order of their numbers.
        old_app_queries: an SQL file in the folder with queries of the version that is live; they
            must work after every statement of expand and migrate.
        lock_budget: how long one statement may go on asking for its lock.
        notify: of what people are told.
    """

    database: DatabaseName
    owner: LINE
    files: tuple[MigrationFile, ...] = Field(min_length=1, max_length=2000)
    old_app_queries: str | None = Field(None, pattern=r"^[A-Za-z0-9_.-]+\.sql$", max_length=120)
    lock_budget: Duration = timedelta(minutes=10)
    notify: Literal["all", "failures", "none"] = "all"


class MigrationsDocument(Document):
    """A file that describes migrations."""

    database_migrations: Manifest
