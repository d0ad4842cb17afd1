"""Everything a person does about restores, as methods.

>>> desk = RestoreManager(Greenlane.connect().connection)
>>> desk.start("m-1", tables=["public.people"], reason="names were lost")
>>> desk.salvage("20261123-120000-1a2b")
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from greenlane.deployments.connection import TABLE, Connection
from greenlane.deployments.model import HistoryEvent
from greenlane.errors import InvalidInput, UnknownRestore
from greenlane.migrations.guarding.lease import Leases
from greenlane.migrations.guarding.records import Runs
from greenlane.migrations.restoring.answering import answer_restore, end_restore, start_restore
from greenlane.migrations.restoring.model import (
    Answer,
    Question,
    RestoreRecord,
    RestoreRequest,
    Says,
)
from greenlane.migrations.restoring.records import Asked, Restores
from greenlane.problems import as_error, explain

if TYPE_CHECKING:
    from greenlane.migrations.restoring.salvaging import SalvageStep

RESTORE_MACHINE = "greenlane-restore"
_LISTED = 100


class Open(NamedTuple):
    """A question that waits for an answer."""

    question: Question
    asked: Asked


class RestoreManager:
    """Restores of the databases of one account and Region.

    Every method may also raise botocore's own errors: no credentials, no answer, access denied.

    Args:
        connection: the account and Region.
        by: who is recorded as having asked; whose credentials these are when left out.
    """

    def __init__(self, connection: Connection, *, by: str | None = None) -> None:
        """See the class."""
        self.connection = connection
        self._by = by
        table = connection.client("dynamodb")
        self._restores, self._runs = Restores(table, TABLE), Runs(table, TABLE)
        self._leases = Leases(table, TABLE)

    @property
    def by(self) -> str:
        """Who is recorded as having asked."""
        return self._by or self.connection.principal

    def start(
        self, run: str, *, restore: str | None = None, once: bool = False, **asks: Any
    ) -> RestoreRequest:
        """Start a restore to before a run of a migration; what was asked for, with its id.

        Args:
            run: the migration's run, of which the backup is.
            restore: an id; that of one that has ended goes on with what it made.
            once: one of that id that has begun, whatever became of it, is not started again.
            asks: further fields of `RestoreRequest`.

        Raises:
            UnknownMigration, UnknownDatabase: there is no such run, or its database is not
                described any more.
            InvalidInput: the request is wrong.
            Refused: it runs already, and was asked for otherwise.
        """
        database = self._runs.run(run).database
        self.connection.databases.database(database)
        given: Mapping[str, Any] = {
            "restore": restore or self._new_id(),
            "database": database,
            "run": run,
            "requested_by": self.by,
            **asks,
        }
        try:
            request = RestoreRequest.model_validate(given)
        except ValidationError as error:
            raise as_error(explain(error, RestoreRequest, given), "the request") from None
        if once and self._begun(request.restore):
            return request
        machine = self.connection.arn("stateMachine", RESTORE_MACHINE)
        start_restore(self._restores, self._stepfunctions, machine, request)
        return request

    def restores(self, database: str | None = None, limit: int = 20) -> list[RestoreRecord]:
        """The restores, newest first; of all databases when none is named."""
        names = [database] if database is not None else self.connection.databases.names()
        found = [one for name in names for one in self._restores.restores(name, limit)]
        return sorted(found, key=lambda one: one.started_at, reverse=True)[:limit]

    def restore(self, restore: str) -> RestoreRecord:
        """Where a restore stands.

        Raises:
            UnknownRestore: there is none of that id.
        """
        return self._restores.restore(restore)

    def open_question(self, record: RestoreRecord) -> Open | None:
        """What a restore waits for people to answer; None when it waits for nothing."""
        if record.standing != "running":
            return None
        questions: tuple[Question, ...] = ("writers", "approve")
        for question in questions:
            asked = self._restores.asked(record.restore, question)
            # An execution before this one may have asked for something else.
            stage = record.state is not None and record.state.stage == question
            if asked is not None and asked.answer is None and stage:
                return Open(question, asked)
        return None

    def history(self, restore: str) -> Sequence[HistoryEvent]:
        """What happened in a restore, oldest first."""
        return self._restores.history(restore)

    def answer(self, restore: str, says: Says, *, offer: str, reason: str = "") -> Answer:
        """Answer the question that a restore waits with.

        Raises:
            UnknownRestore, InvalidInput, ApprovalRefused: see `answer_restore`.
        """
        return answer_restore(
            self._restores,
            self._stepfunctions,
            self.connection.clock,
            restore=restore,
            says=says,
            by=self.by,
            reason=reason,
            offer=offer,
        )

    def abort(self, restore: str, *, reason: str = "") -> None:
        """End a restore before its cutover.

        Raises:
            UnknownRestore: there is none of that id.
            SignalRefused: it does not run, or is to end already.
        """
        end_restore(
            self._leases,
            self._restores,
            self._stepfunctions,
            self.connection.clock,
            database=self.restore(restore).database,
            restore=restore,
            by=self.by,
            reason=reason,
        )

    def salvage(self, restore: str) -> "tuple[SalvageStep, ...]":
        """The steps that copy tables back, once both databases were looked at.

        Raises:
            UnknownRestore: there is none of that id.
            InvalidInput: there is nothing to copy back yet, or no table was named.
        """
        state = self.restore(restore).state
        if state is None or state.looked is None:
            way_out = "its database was not looked at yet; look again when it is available"
            raise InvalidInput("restore", restore, way_out)
        if not state.request.tables:
            way_out = "no tables were named for it; restore again under the same id, and name them"
            raise InvalidInput("restore", restore, way_out)
        if not state.looked.old_answers:
            way_out = "the old database did not answer, so nobody knows what is missing in it"
            raise InvalidInput("restore", restore, way_out)
        # Names are quoted by PostgreSQL's own key words: its grammar comes along.
        from greenlane.migrations.restoring.salvaging import salvage_of

        return salvage_of(state)

    def _begun(self, restore: str) -> bool:
        try:
            self._restores.restore(restore)
        except UnknownRestore:
            return False
        return True

    @property
    def _stepfunctions(self) -> Any:
        return self.connection.client("stepfunctions")

    def _new_id(self) -> str:
        return f"{self.connection.clock.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
