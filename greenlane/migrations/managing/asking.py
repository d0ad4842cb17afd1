"""What is asked of migrations that needs no file: a phase of a kept plan, a pause, an end.

Nothing here reads SQL: functions that have no layer with PostgreSQL's grammar import it.
"""

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

from pydantic import ValidationError

from greenlane.deployments.connection import Connection
from greenlane.deployments.storing.shapes import StoredModel
from greenlane.errors import InvalidInput, MigrationInFlight
from greenlane.migrations.guarding.lease import Asked
from greenlane.migrations.guarding.model import MigrationRequest, RunRecord
from greenlane.migrations.managing.looking import ALIVE, Looking
from greenlane.migrations.managing.places import MIGRATION_MACHINE, deployed
from greenlane.migrations.validating.model import Phase
from greenlane.problems import as_error, explain


class StartedMigration(StoredModel):
    """A run whose execution runs.

    Args:
        run: its id, by which it is found.
        undo: whether it takes back.
        already: whether an earlier, equal request started it.
        files: that it runs, or undoes, unless they are done, or were never begun.
        notes: what a person should know.
    """

    run: str
    database: str
    phase: Phase
    undo: bool = False
    plan_sha: str
    execution_arn: str
    already: bool = False
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Asking(Looking):
    """Migrations of the databases of one account and Region, without their files.

    Args:
        connection: the account and Region.
        by: who is recorded as having asked; whose credentials these are when left out.
    """

    def __init__(self, connection: Connection, *, by: str | None = None) -> None:
        """See the class."""
        super().__init__(connection)
        self._by = by

    @property
    def by(self) -> str:
        """Who is recorded as having asked."""
        return self._by or self.connection.principal

    def start_kept(
        self,
        database: str,
        plan: str,
        phase: Phase,
        *,
        run: str | None = None,
        deployment: str | None = None,
        on_failure: Literal["undo", "leave"] = "undo",
        reason: str = "",
    ) -> StartedMigration:
        """Start one phase of a plan that is kept already.

        Args:
            database: its name.
            plan: the plan's checksum.
            phase: which of its phases.
            run: an id; the same request with the same id starts it once.
            deployment: waits while that deployment is not well, and ends with it.
            on_failure: whether what it did is undone as far as that is exact.
            reason: for the history.

        Raises:
            UnknownDatabase: the database was never described.
            InvalidInput: there is no such plan, it is for another database, or it has no such
                phase; or the id is that of another request.
            Refused: nothing for migrations is deployed in this account and Region.
            MigrationInFlight: another run has the database.
        """
        self._places.databases.database(database)
        with deployed():
            try:
                outline = self.connection.kept.outline(plan)
            except InvalidInput as error:
                raise InvalidInput("plan", plan, error.way_out) from error
        if outline.database != database:
            raise InvalidInput("plan", plan, f"it is for {outline.database}")
        if phase not in outline.phases:
            has = ", ".join(outline.phases)
            raise InvalidInput("phase", phase, f"the plan has files of {has} only")
        asked = request_of(
            run=run or new_run_id(database, phase, self.connection.clock.now()),
            database=database,
            plan_sha=plan,
            phase=phase,
            deployment=deployment,
            on_failure=on_failure,
            requested_by=self.by,
            reason=reason,
        )
        return self._begin(asked, files=[one.id for one in outline.of(phase)])

    def pause(self, run: str, *, reason: str = "") -> RunRecord:
        """Let a run wait before its next slice; raises `SignalRefused` if it does not run."""
        return self._ask(run, "pause", reason, undo=False)

    def resume(self, run: str) -> RunRecord:
        """Let a paused run go on; raises `SignalRefused` if it does not run, or is to end."""
        record = self.run(run)
        self._places.leases.resume(record.database, run)
        return record

    def abort(self, run: str, *, reason: str = "", undo: bool = False) -> RunRecord:
        """End a run before its next slice, and leave what it did, or undo what is exact to undo.

        Raises:
            SignalRefused: it does not run, or is to end already.
        """
        return self._ask(run, "abort", reason, undo=undo)

    def _begin(
        self, asked: MigrationRequest, *, files: Sequence[str], notes: Iterable[str] = ()
    ) -> StartedMigration:
        self._refuse_in_flight(asked)
        body = {"request": asked.model_dump(mode="json")}
        try:
            arn, already = self._places.start(asked.run, body)
        except InvalidInput as error:
            if error.field != "deployment_id":
                raise
            raise InvalidInput("run", asked.run, "another request has this id") from error
        return StartedMigration(
            run=asked.run,
            database=asked.database,
            phase=asked.phase,
            undo=bool(asked.undo),
            plan_sha=asked.plan_sha,
            execution_arn=arn,
            already=already,
            files=tuple(files),
            notes=tuple(notes),
        )

    def _refuse_in_flight(self, asked: MigrationRequest) -> None:
        """Said here already, for the workflow would say it a moment later."""
        held = self._places.leases.read(asked.database)
        if held is None or held.held_by is None or held.run == asked.run:
            return
        execution = self._places.execution(held.held_by)
        if execution is None or execution.status not in ALIVE:
            return
        own = self.connection.arn("execution", f"{MIGRATION_MACHINE}:{asked.run}")
        if self._places.execution(own) is not None:
            return  # it was begun before, and whoever has the database now came later
        raise MigrationInFlight(
            f"{asked.database} is taken by {held.run} ({held.phase or 'a restore'}); wait for "
            "it, or end it"
        )

    def _ask(
        self, run: str, name: Literal["pause", "abort"], reason: str, *, undo: bool
    ) -> RunRecord:
        record = self.run(run)
        at = self.connection.clock.now()
        asked = Asked(name=name, by=self.by, at=at, reason=reason, undo=undo)
        self._places.leases.ask(record.database, run, asked)
        return record


def new_run_id(database: str, what: str, now: datetime) -> str:
    """`orders-expand-20261123-120000-1a2b`."""
    return f"{database}-{what}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def request_of(**given: object) -> MigrationRequest:
    """A request; raises `InvalidInput` for what is wrong with it."""
    try:
        return MigrationRequest.model_validate(given)
    except ValidationError as error:
        raise as_error(explain(error, MigrationRequest, given), "the request") from None
