"""What people and pipelines do with migrations and restores over HTTP.

`managing.asking` and `restoring.manager` have what it means. Who is asking is the IAM principal
whose signature API Gateway checked. What reads SQL is left to the command line, for this runs
without PostgreSQL's grammar: starting from a folder, taking a run back, the statements of a
salvage.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from greenlane.deployments.connection import TABLE, Connection
from greenlane.errors import InvalidInput
from greenlane.http.idempotency import Beginning, Once
from greenlane.http.listing import EventsQuery, events_page, newest_page
from greenlane.http.rest import Handler, Request, Response, respond
from greenlane.http.rooms import NoQuery
from greenlane.migrations.guarding.model import RUN_PATTERN, RunRecord
from greenlane.migrations.guarding.records import Runs
from greenlane.migrations.http.migration_routes import FUNCTION, ROUTES
from greenlane.migrations.http.migration_shapes import (
    AbortMigration,
    AnswerRestore,
    AskedOfMigration,
    AskedOfRestore,
    GivenReason,
    MigrationList,
    MigrationView,
    OfDatabase,
    RestoreList,
    RestoreView,
    StartMigration,
    StartRestore,
)
from greenlane.migrations.managing.asking import Asking, StartedMigration
from greenlane.migrations.restoring.manager import RestoreManager
from greenlane.migrations.restoring.model import RESTORE_PATTERN, RestoreRecord, RestoreRequest
from greenlane.pipelines.book import Book
from greenlane.pipelines.runtime import PipelineRuntime
from greenlane.runtime import Settings


class MigrationsApi:
    """The handlers of the routes, by the names of their operations.

    Args:
        connection: the account and Region.
        book: where it is kept what was asked under a key.
    """

    def __init__(self, connection: Connection, book: Book) -> None:
        """See the class."""
        self.connection, self.book = connection, book
        self._runs = Runs(connection.client("dynamodb"), TABLE)
        self._starts = Once("startMigration", "migration", StartedMigration, "run")
        self._makes = Once("startRestore", "migration", RestoreRequest, "restore")
        self.handlers: Mapping[str, Handler] = {
            "listMigrations": self.list,
            "startMigration": self.start,
            "getMigration": self.get,
            "migrationHistory": self.history,
            "pauseMigration": self.pause,
            "resumeMigration": self.resume,
            "abortMigration": self.abort,
            "listRestores": self.restores,
            "startRestore": self.start_restore,
            "getRestore": self.restore,
            "restoreHistory": self.restore_history,
            "answerRestore": self.answer_restore,
            "abortRestore": self.abort_restore,
        }

    @classmethod
    def from_environment(cls) -> "MigrationsApi":
        """As its template has it.

        Raises:
            KeyError: the template did not set a variable of all functions.
        """
        runtime = PipelineRuntime(settings=Settings.from_environment(), actor=FUNCTION)
        return cls(runtime.connection, runtime.requests)

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """One request, as API Gateway sends it, to its answer."""
        return respond(event, ROUTES, self.handlers)

    # Runs.

    def list(self, request: Request) -> Response:
        """The runs, newest first, and what stands in each database."""
        asked = request.parameters(OfDatabase)
        names = self._databases(asked)
        runs = newest_page(self._runs, _partitions(names), "RUN#", asked)
        lines = [RunRecord.model_validate_json(item["body"]["S"]) for item in runs.items]
        found = (self._runs.published(name) for name in names)
        published = tuple(one for one in found if one is not None)
        content = MigrationList(published=published, runs=tuple(lines), next=runs.next)
        return Response(content=content)

    def start(self, request: Request) -> Response:
        """Start one phase of a plan that is kept."""
        request.parameters(NoQuery)
        body = request.json(StartMigration)
        return self._starts.begin(
            request,
            self.book,
            self.connection.clock.now(),
            asked=body,
            parts=(body.database, body.phase),
            start=lambda beginning: self._start(body, beginning),
        )

    def _start(self, body: StartMigration, beginning: Beginning) -> StartedMigration:
        return Asking(self.connection, by=beginning.by).start_kept(
            body.database,
            body.plan,
            body.phase,
            run=beginning.id,
            deployment=body.deployment,
            on_failure=body.on_failure,
            reason=body.reason,
        )

    def get(self, request: Request) -> Response:
        """Where one run stands."""
        request.parameters(NoQuery)
        asking = self._asking(request)
        record, ended = asking.look(_named(request, "run", RUN_PATTERN))
        asked = asking.asked(record) if record is not None and ended is None else None
        return Response(content=MigrationView(run=record, ended=ended, asked=asked))

    def history(self, request: Request) -> Response:
        """What happened in a run."""
        asked = request.parameters(EventsQuery)
        run = self._asking(request).run(_named(request, "run", RUN_PATTERN)).run
        return Response(content=events_page(self._runs, f"MIGRATION#{run}", asked))

    def pause(self, request: Request) -> Response:
        """Let a run wait before its next slice."""
        request.parameters(NoQuery)
        body, run = request.json(GivenReason, optional=True), _named(request, "run", RUN_PATTERN)
        self._asking(request).pause(run, reason=body.reason)
        return Response(content=AskedOfMigration(run=run, asked="pause"))

    def resume(self, request: Request) -> Response:
        """Let a paused run go on."""
        request.parameters(NoQuery)
        run = _named(request, "run", RUN_PATTERN)
        self._asking(request).resume(run)
        return Response(content=AskedOfMigration(run=run, asked="resume"))

    def abort(self, request: Request) -> Response:
        """End a run before its next slice."""
        request.parameters(NoQuery)
        body = request.json(AbortMigration, optional=True)
        run = _named(request, "run", RUN_PATTERN)
        self._asking(request).abort(run, reason=body.reason, undo=body.undo)
        return Response(content=AskedOfMigration(run=run, asked="abort", undo=body.undo))

    # Restores.

    def restores(self, request: Request) -> Response:
        """The restores, newest first."""
        asked = request.parameters(OfDatabase)
        partitions = _partitions(self._databases(asked))
        page = newest_page(self._runs, partitions, "RESTORE#", asked)
        found = [RestoreRecord.model_validate_json(item["body"]["S"]) for item in page.items]
        short = tuple(one.model_copy(update={"state": None}) for one in found)
        return Response(content=RestoreList(restores=short, next=page.next))

    def start_restore(self, request: Request) -> Response:
        """Make a new database as it was before a run."""
        request.parameters(NoQuery)
        body = request.json(StartRestore)
        return self._makes.begin(
            request,
            self.book,
            self.connection.clock.now(),
            asked=body,
            parts=(f"{body.run}:",),  # no run's name has one: what follows is the key
            start=lambda beginning: self._make(body, beginning),
        )

    def _make(self, body: StartRestore, beginning: Beginning) -> RestoreRequest:
        return RestoreManager(self.connection, by=beginning.by).start(
            restore=None if beginning.id is None else _restore_id(beginning.id),
            once=beginning.again,
            **body.model_dump(),
        )

    def restore(self, request: Request) -> Response:
        """One restore."""
        request.parameters(NoQuery)
        desk = self._desk(request)
        record = desk.restore(_named(request, "restore", RESTORE_PATTERN))
        open_ = desk.open_question(record)
        if open_ is None:
            return Response(content=RestoreView(restore=record))
        view = RestoreView(restore=record, question=open_.question, offer=open_.asked.offer)
        return Response(content=view)

    def restore_history(self, request: Request) -> Response:
        """What happened in a restore."""
        asked = request.parameters(EventsQuery)
        name = _named(request, "restore", RESTORE_PATTERN)
        restore = self._desk(request).restore(name).restore
        return Response(content=events_page(self._runs, f"RESTORE#{restore}", asked))

    def answer_restore(self, request: Request) -> Response:
        """Answer the question that a restore waits with."""
        request.parameters(NoQuery)
        body = request.json(AnswerRestore)
        name = _named(request, "restore", RESTORE_PATTERN)
        desk = self._desk(request)
        return Response(content=desk.answer(name, body.says, offer=body.offer, reason=body.reason))

    def abort_restore(self, request: Request) -> Response:
        """End a restore before its cutover."""
        request.parameters(NoQuery)
        body = request.json(GivenReason, optional=True)
        name = _named(request, "restore", RESTORE_PATTERN)
        self._desk(request).abort(name, reason=body.reason)
        return Response(content=AskedOfRestore(restore=name, asked="abort"))

    def _databases(self, asked: OfDatabase) -> Sequence[str]:
        """The names that are meant.

        Raises:
            UnknownDatabase: there is none of that name.
        """
        databases = self.connection.databases
        if asked.database is None:
            return databases.names()
        return [databases.database(asked.database).name]

    def _asking(self, request: Request) -> Asking:
        return Asking(self.connection, by=request.by)

    def _desk(self, request: Request) -> RestoreManager:
        return RestoreManager(self.connection, by=request.by)


def _partitions(names: Sequence[str]) -> Sequence[str]:
    return [f"DATABASE#{name}" for name in names]


def _restore_id(of: str) -> str:
    """A restore's id is short and in lower case: the new database is named after it."""
    return f"r-{hashlib.sha256(of.encode()).hexdigest()[:16]}"


def _named(request: Request, part: str, pattern: str) -> str:
    """What a path names.

    Raises:
        InvalidInput: nothing can have such a name.
    """
    name = request.path[part]
    if not re.fullmatch(pattern, name):
        way_out = "use letters, digits and dashes, as the lists have it"
        raise InvalidInput(part, name, way_out)
    return name
