"""Everything a person or a pipeline does with migrations, as methods.

>>> manager = MigrationManager(by="jo")
>>> manager.execute_migration(Path("migrations"), "expand")
True
>>> rollback = manager.create_rollback_plan("orders-expand-20261123-120000-1a2b")
>>> manager.execute_rollback(rollback)
True

A call that waits is the same as its command with `--watch`: the run is in AWS, and goes on there if
this process ends.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from greenlane.deployments.client import Greenlane
from greenlane.deployments.connection import Connection
from greenlane.migrations.declaring.loading import load_plan
from greenlane.migrations.declaring.plan import Plan
from greenlane.migrations.managing.asking import (
    Asking,
    StartedMigration,
    new_run_id,
    request_of,
)
from greenlane.migrations.managing.going_back import Rollback, foresee_rollback
from greenlane.migrations.managing.starting import (
    check_there,
    foreseen_stops,
    up_to_release,
)
from greenlane.migrations.planning.model import PlannedChange
from greenlane.migrations.planning.schemas import backward_compatible_migration
from greenlane.migrations.running.model import Override
from greenlane.migrations.running.session import Connect
from greenlane.migrations.validating.model import Phase

LOOKED_AT = 100
"""Runs on a database that are looked at for what was run after one, newest first."""


class MigrationManager(Asking):
    """Migrations of the databases of one account and Region.

    Every method may also raise botocore's own errors: no credentials, no answer, access denied.

    Args:
        connection: the account and Region; the ones of your AWS configuration when left out.
        by: who is recorded as having asked; whose credentials these are when left out.
    """

    def __init__(self, connection: Connection | None = None, *, by: str | None = None) -> None:
        """See the class."""
        super().__init__(connection or Greenlane.connect().connection, by=by)

    # From a change to files.

    @staticmethod
    def backward_compatible_migration(
        old_schema: str,
        new_schema: str,
        *,
        renames: Mapping[str, str | None] | None = None,
        fills: Mapping[str, str] | None = None,
    ) -> PlannedChange:
        """Plan the way from one schema to another, so that old versions work until the contract.

        The same function in `greenlane.migrations.planning.schemas` says what it takes and raises.
        """
        return backward_compatible_migration(old_schema, new_schema, renames=renames, fills=fills)

    # Running a phase.

    def execute_migration(self, folder: Path | Plan, phase: Phase, **options: Any) -> bool:
        """Run one phase of a folder of migrations, and wait for its end.

        Args:
            folder: with `migrations.yaml`, or the plan that was loaded from one.
            phase: `expand`, `migrate` or `contract`.
            options: as of `start`.

        Returns:
            Whether it succeeded; why it did not is in its line.

        Raises:
            InvalidInput, Refused: as of `start`; nothing was changed.
        """
        return self.wait(self.start(folder, phase, **options).run).standing == "succeeded"

    def start(
        self,
        folder: Path | Plan,
        phase: Phase,
        *,
        run: str | None = None,
        release: str | None = None,
        connect: Connect | None = None,
        deployment: str | None = None,
        overrides: Sequence[Override] = (),
        on_failure: Literal["undo", "leave"] = "undo",
        reason: str = "",
    ) -> StartedMigration:
        """Check a phase, keep its plan by its checksum, and start its run.

        Args:
            folder: with `migrations.yaml`, or the plan that was loaded from one.
            phase: which of its phases.
            run: an id; the same request with the same id starts it once.
            release: leave out files of this phase that come after that release.
            connect: opens sessions of the database, to look at it before anything is started.
            deployment: waits while that deployment is not well, and ends with it.
            overrides: findings that a named person accepts.
            on_failure: whether what it did is undone as far as that is exact.
            reason: for the history.

        Raises:
            InvalidDocument, InvalidSql, InvalidInput: the folder or the request is wrong.
            UnknownDatabase: the database was never described.
            Refused: with `connect`, the phase cannot run as the database is.
            MigrationInFlight: another run has the database.
        """
        plan = folder if isinstance(folder, Plan) else load_plan(folder)
        plan = up_to_release(plan, phase, release)
        database = plan.manifest.database
        self._places.databases.database(database)
        if connect is not None:
            notes = check_there(connect, plan, phase, overrides, self.connection.clock).reasons
        else:
            notes = foreseen_stops(plan, phase, overrides)
        asked = request_of(
            run=run or new_run_id(database, phase, self.connection.clock.now()),
            database=database,
            plan_sha=plan.sha256,
            phase=phase,
            deployment=deployment,
            overrides=tuple(overrides),
            on_failure=on_failure,
            requested_by=self.by,
            reason=reason,
        )
        self._places.keep_plan(plan)
        files = tuple(one.id for one in plan.of(phase))
        return self._begin(asked, files=files, notes=notes)

    # Going back.

    def create_rollback_plan(
        self,
        run: str,
        *,
        connect: Connect | None = None,
        files: Sequence[str] = (),
        accept_data_loss: Iterable[str] = (),
    ) -> Rollback:
        """Plan to take a run back; nothing is changed.

        Its arguments are those of `foresee_rollback`.

        Raises:
            DataLoss: more would be lost than is accepted, with every name.
            UnknownMigration, Refused, InvalidInput: as of `foresee_rollback`.
        """
        rollback = self.foresee_rollback(
            run, connect=connect, files=files, accept_data_loss=accept_data_loss
        )
        rollback.refuse_loss()
        return rollback

    def foresee_rollback(
        self,
        run: str,
        *,
        connect: Connect | None = None,
        files: Sequence[str] = (),
        accept_data_loss: Iterable[str] = (),
    ) -> Rollback:
        """Say what taking a run back would do, and lose, accepted or not; nothing is changed.

        Args:
            run: its id.
            connect: opens sessions of its database, whose ledger has every inverse.
            files: ids to take back instead of those that the run began and of those after it.
            accept_data_loss: what may be lost, by name.

        Raises:
            UnknownMigration: there is no such run.
            Refused: nothing of it stands, or a file that stands would be left out.
            InvalidInput: the plan has no such file, or nobody can say which files are meant.
        """
        record = self._places.runs.run(run)
        plan = self._places.plan(record.plan_sha)
        since = self._places.runs.runs(record.database, LOOKED_AT)
        phases = {
            one.phase
            for one in since
            if one.started_at >= record.started_at and one.standing != "refused"
        }
        return foresee_rollback(
            record,
            plan,
            connect,
            files=files,
            accept_data_loss=accept_data_loss,
            phases=phases,
        )

    def execute_rollback(self, rollback: Rollback, **options: Any) -> bool:
        """Take a run back as `create_rollback_plan` said, and wait for the end.

        Args:
            rollback: what it said.
            options: as of `start_rollback`.

        Returns:
            Whether all of it is as the plan said; what stays otherwise is in the run's line.

        Raises:
            InvalidInput, MigrationInFlight: as of `start_rollback`; nothing was changed.
        """
        return self.wait(self.start_rollback(rollback, **options).run).standing == "succeeded"

    def start_rollback(
        self, rollback: Rollback, *, run: str | None = None, reason: str = ""
    ) -> StartedMigration:
        """Start the run that undoes; it refuses whatever the ledger says is lost and not accepted.

        Args:
            rollback: what `create_rollback_plan` said.
            run: its own id; the same request with the same id starts it once.
            reason: for the history.

        Raises:
            InvalidInput: the id is in use, or is none.
            DataLoss: it would lose what is not accepted.
            MigrationInFlight: another run has the database.
        """
        rollback.refuse_loss()
        asked = request_of(
            run=run or new_run_id(rollback.database, "undo", self.connection.clock.now()),
            database=rollback.database,
            plan_sha=rollback.plan_sha,
            phase=rollback.phase,
            undo=rollback.files,
            accept_data_loss=rollback.accept_data_loss,
            requested_by=self.by,
            reason=reason or f"takes back {rollback.run}",
        )
        return self._begin(asked, files=rollback.files)
