"""The routes of the HTTP API that are about migrations of databases, and restores."""

from typing import Any

from greenlane.http.idempotency import IdempotencyHeader
from greenlane.http.listing import EventsPage, EventsQuery
from greenlane.http.replies import ok, problem
from greenlane.http.rooms import KEY_REUSED, REFUSED, Room, begun
from greenlane.http.routes import Route
from greenlane.migrations.guarding.model import RUN_PATTERN
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
from greenlane.migrations.managing.asking import StartedMigration
from greenlane.migrations.restoring.model import RESTORE_PATTERN, Answer, RestoreRequest

FUNCTION = "manage_migrations"

_NO_DATABASE = {404: problem("No database of that name was described.")}
_NO_RUN = {404: problem("There is no run of that id.")}
_NO_RESTORE = {404: problem("There is no restore of that id.")}
_STARTED = begun("Its workflow was started.", StartedMigration)
_MADE = begun("Its workflow was started.", RestoreRequest)
_ASKED = ok("It is asked, and heeded at the next look.", AskedOfMigration)

_START = (
    "The plan is named by its checksum, and kept already by whoever made it. Files that ran "
    "before do not run again."
)
_ABORT = "Unless `undo` says otherwise what it did stays; both versions can live with that."
_ANSWER = (
    "An approval needs a `reason`. Whoever read another `offer` than the one that stands is "
    "refused, and so is a second answer that says something else."
)


_RUNS = Room(
    FUNCTION,
    "Migrations",
    prefix="/v1/migrations",
    segments={"run": {"type": "string", "pattern": RUN_PATTERN, "examples": ["orders-expand-1"]}},
)
_RESTORES = Room(
    FUNCTION,
    "Restores",
    prefix="/v1/restores",
    segments={
        "restore": {"type": "string", "pattern": RESTORE_PATTERN, "examples": ["20261123-1a2b"]}
    },
)


def _asks(path: str, name: str, about: str, **more: Any) -> Route:
    given: dict[str, Any] = {"body": GivenReason, "body_optional": True, **more}
    where = f"/{{run}}/{path}"
    return _RUNS.route("POST", where, name, about, _ASKED, _NO_RUN, REFUSED, **given)


RUNS = (
    _RUNS.route(
        "GET",
        "",
        "listMigrations",
        "The runs, newest first, and what stands in each database.",
        ok("A part of them.", MigrationList),
        _NO_DATABASE,
        parameters=OfDatabase,
    ),
    _RUNS.route(
        "POST",
        "",
        "startMigration",
        "Start one phase of a plan that is kept.",
        _STARTED,
        _NO_DATABASE,
        REFUSED,
        KEY_REUSED,
        details=_START,
        headers=IdempotencyHeader,
        body=StartMigration,
    ),
    _RUNS.route(
        "GET",
        "/{run}",
        "getMigration",
        "Where one run stands, what it waits for, and how it ended.",
        ok("The run.", MigrationView),
        _NO_RUN,
    ),
    _RUNS.route(
        "GET",
        "/{run}/history",
        "migrationHistory",
        "What happened in a run, oldest first.",
        ok("A part of it.", EventsPage),
        _NO_RUN,
        parameters=EventsQuery,
    ),
    _asks(
        "pause",
        "pauseMigration",
        "Let a run wait before its next slice.",
        details="A statement that runs is not cancelled.",
    ),
    _asks("resume", "resumeMigration", "Let a paused run go on.", body=None, body_optional=False),
    _asks(
        "abort",
        "abortMigration",
        "End a run before its next slice.",
        details=_ABORT,
        body=AbortMigration,
    ),
)

RESTORES = (
    _RESTORES.route(
        "GET",
        "",
        "listRestores",
        "The restores, newest first.",
        ok("A part of them.", RestoreList),
        _NO_DATABASE,
        parameters=OfDatabase,
    ),
    _RESTORES.route(
        "POST",
        "",
        "startRestore",
        "Make a new database as it was before a run, beside the old one.",
        _MADE,
        {404: problem("There is no such run, or its database is not described any more.")},
        REFUSED,
        KEY_REUSED,
        details="The old one is neither changed nor deleted.",
        headers=IdempotencyHeader,
        body=StartRestore,
    ),
    _RESTORES.route(
        "GET",
        "/{restore}",
        "getRestore",
        "One restore: what is lost, how long it takes, and what it asks people.",
        ok("The restore.", RestoreView),
        _NO_RESTORE,
    ),
    _RESTORES.route(
        "GET",
        "/{restore}/history",
        "restoreHistory",
        "What happened in a restore, oldest first.",
        ok("A part of it.", EventsPage),
        _NO_RESTORE,
        parameters=EventsQuery,
    ),
    _RESTORES.route(
        "POST",
        "/{restore}/answer",
        "answerRestore",
        "Answer the question that a restore waits with.",
        ok("The answer that stands.", Answer),
        _NO_RESTORE,
        REFUSED,
        details=_ANSWER,
        body=AnswerRestore,
    ),
    _RESTORES.route(
        "POST",
        "/{restore}/abort",
        "abortRestore",
        "End a restore before its cutover.",
        ok("It is asked: it ends at its next step.", AskedOfRestore),
        _NO_RESTORE,
        REFUSED,
        details="The new database stays until you delete it.",
        body=GivenReason,
        body_optional=True,
    ),
)

ROUTES = RUNS + RESTORES
