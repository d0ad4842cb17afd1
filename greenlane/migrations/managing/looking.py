"""What is on record of migrations, and how a run ended."""

import time
from collections.abc import Callable

from greenlane.deployments.connection import Connection
from greenlane.deployments.model import HistoryEvent
from greenlane.errors import UnknownMigration
from greenlane.migrations.guarding.lease import Asked
from greenlane.migrations.guarding.model import Published, RunRecord
from greenlane.migrations.managing.places import MIGRATION_MACHINE, Places
from greenlane.migrations.managing.standing import Ended, ended_of, ended_without_word

POLL_SECONDS = 5.0
ALIVE = ("RUNNING", "PENDING_REDRIVE")
"""What Step Functions calls an execution that goes on, or may."""


class Looking:
    """Runs of migrations, as they are looked at.

    Args:
        connection: the account and Region.
    """

    def __init__(self, connection: Connection) -> None:
        """See the class."""
        self.connection = connection
        self._places = Places(connection)

    def runs(self, database: str | None = None, limit: int = 20) -> list[RunRecord]:
        """The runs on a database, or on all, newest first.

        Raises:
            UnknownDatabase: there is no such database.
        """
        if database is not None:
            names = [self._places.databases.database(database).name]
        else:
            names = self._places.databases.names()
        found = [one for name in names for one in self._places.runs.runs(name, limit)]
        return sorted(found, key=lambda one: one.started_at, reverse=True)[:limit]

    def databases(self) -> list[str]:
        """The names of all databases that were described."""
        return self._places.databases.names()

    def published(self) -> list[Published]:
        """What stands in each database, as applications find it."""
        names = self._places.databases.names()
        found = (self._places.runs.published(name) for name in names)
        return [one for one in found if one is not None]

    def run(self, run: str) -> RunRecord:
        """The line of a run; raises `UnknownMigration` when there is none."""
        return self._places.runs.run(run)

    def asked(self, record: RunRecord) -> Asked | None:
        """What a person asks of a run that runs."""
        lease = self._places.leases.read(record.database)
        return lease.asked if lease is not None and lease.run == record.run else None

    def history(self, run: str) -> list[HistoryEvent]:
        """Everything that happened in a run, oldest first; raises `UnknownMigration`."""
        self.run(run)
        return list(self._places.runs.history(run))

    def look(self, run: str) -> tuple[RunRecord | None, Ended | None]:
        """A run's line, and how it ended; both None while its workflow has not begun it.

        Raises:
            UnknownMigration: there is no such run, nor an execution of that name.
        """
        try:
            record = self._places.runs.run(run)
        except UnknownMigration:
            return None, self._ended_unseen(run)
        if record.standing != "running" or not record.execution:
            return record, ended_of(record)
        execution = self._places.execution(record.execution)
        if execution is None or execution.status in (*ALIVE, "SUCCEEDED"):
            return record, None
        # It may have written how it ended between the two looks.
        record = self._places.runs.run(run)
        return record, ended_of(record) or ended_without_word(run, execution.why)

    def wait(
        self,
        run: str,
        *,
        poll_seconds: float = POLL_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Ended:
        """Block until a run has ended, one look each `poll_seconds` of real time."""
        while (ended := self.look(run)[1]) is None:
            sleep(poll_seconds)
        return ended

    def _ended_unseen(self, run: str) -> Ended | None:
        """Of a run without a line: its execution has not come to it, or could not write it."""
        arn = self.connection.arn("execution", f"{MIGRATION_MACHINE}:{run}")
        execution = self._places.execution(arn)
        if execution is None:
            raise UnknownMigration(run)
        if execution.status in ALIVE:
            return None
        return ended_without_word(run, execution.why, refused=execution.error)
