"""The routes of the HTTP API that are about migrations of databases, and restores."""

from collections.abc import Mapping
from typing import Any

from greenlane.flags.http.api_models import NoQuery
from greenlane.http.idempotency import IdempotencyHeader
from greenlane.http.listing import EventsPage, EventsQuery
from greenlane.http.replies import always, merged, ok, problem
from greenlane.http.routes import Method, Reply, Route
from greenlane.migrations.guarding.model import RUN_PATTERN
from greenlane.migrations.http.migration_shapes import (
    AbortMigration,
    AnswerRestore,
    AskedOfMigration,
    AskedOfRestore,
    MigrationList,
    MigrationView,
    OfDatabase,
    RestoreList,
    RestoreView,
    StartMigration,
    StartRestore,
    Why,
)
from greenlane.migrations.managing.asking import StartedMigration
from greenlane.migrations.restoring.model import RESTORE_PATTERN, Answer, RestoreRequest

FUNCTION = "manage_migrations"

_PATHS = {
    "{run}": {"run": {"type": "string", "pattern": RUN_PATTERN, "examples": ["orders-expand-1"]}},
    "{restore}": {
        "restore": {"type": "string", "pattern": RESTORE_PATTERN, "examples": ["20261123-1a2b"]}
    },
}
_NO_DATABASE = {404: problem("No database of that name was described.")}
_NO_RUN = {404: problem("There is no run of that id.")}
_NO_RESTORE = {404: problem("There is no restore of that id.")}
_REFUSED = {409: problem("It is refused as things are; nothing was changed.")}
_REUSED = {422: problem("This `Idempotency-Key` was sent with another request.")}
_STARTED: Mapping[int, Reply] = {
    200: Reply("It was started before under this key: the same answer.", StartedMigration),
    201: Reply("Its workflow was started.", StartedMigration),
}
_MADE: Mapping[int, Reply] = {
    200: Reply("It was started before under this key: the same answer.", RestoreRequest),
    201: Reply("Its workflow was started.", RestoreRequest),
}
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


def _route(
    method: Method,
    path: str,
    name: str,
    about: str,
    *replies: Mapping[int, Reply],
    tag: str = "Migrations",
    **more: Any,
) -> Route:
    given: dict[str, Any] = {"parameters": NoQuery, **more}
    for part, parameters in _PATHS.items():
        if part in path:
            given["path_parameters"] = parameters
    return Route(
        method=method,
        path=f"/v1/{path}",
        name=name,
        about=about,
        function=FUNCTION,
        auth="iam",
        replies=merged(always("iam"), *replies),
        tag=tag,
        **given,
    )


def _asks(path: str, name: str, about: str, **more: Any) -> Route:
    given: dict[str, Any] = {"body": Why, "body_optional": True, **more}
    where = f"migrations/{{run}}/{path}"
    return _route("POST", where, name, about, _ASKED, _NO_RUN, _REFUSED, **given)


RUNS = (
    _route(
        "GET",
        "migrations",
        "listMigrations",
        "The runs, newest first, and what stands in each database.",
        ok("A part of them.", MigrationList),
        _NO_DATABASE,
        parameters=OfDatabase,
    ),
    _route(
        "POST",
        "migrations",
        "startMigration",
        "Start one phase of a plan that is kept.",
        _STARTED,
        _NO_DATABASE,
        _REFUSED,
        _REUSED,
        details=_START,
        headers=IdempotencyHeader,
        body=StartMigration,
    ),
    _route(
        "GET",
        "migrations/{run}",
        "getMigration",
        "Where one run stands, what it waits for, and how it ended.",
        ok("The run.", MigrationView),
        _NO_RUN,
    ),
    _route(
        "GET",
        "migrations/{run}/history",
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
    _route(
        "GET",
        "restores",
        "listRestores",
        "The restores, newest first.",
        ok("A part of them.", RestoreList),
        _NO_DATABASE,
        tag="Restores",
        parameters=OfDatabase,
    ),
    _route(
        "POST",
        "restores",
        "startRestore",
        "Make a new database as it was before a run, beside the old one.",
        _MADE,
        {404: problem("There is no such run, or its database is not described any more.")},
        _REFUSED,
        _REUSED,
        tag="Restores",
        details="The old one is neither changed nor deleted.",
        headers=IdempotencyHeader,
        body=StartRestore,
    ),
    _route(
        "GET",
        "restores/{restore}",
        "getRestore",
        "One restore: what is lost, how long it takes, and what it asks people.",
        ok("The restore.", RestoreView),
        _NO_RESTORE,
        tag="Restores",
    ),
    _route(
        "GET",
        "restores/{restore}/history",
        "restoreHistory",
        "What happened in a restore, oldest first.",
        ok("A part of it.", EventsPage),
        _NO_RESTORE,
        tag="Restores",
        parameters=EventsQuery,
    ),
    _route(
        "POST",
        "restores/{restore}/answer",
        "answerRestore",
        "Answer the question that a restore waits with.",
        ok("The answer that stands.", Answer),
        _NO_RESTORE,
        _REFUSED,
        tag="Restores",
        details=_ANSWER,
        body=AnswerRestore,
    ),
    _route(
        "POST",
        "restores/{restore}/abort",
        "abortRestore",
        "End a restore before its cutover.",
        ok("It is asked: it ends at its next step.", AskedOfRestore),
        _NO_RESTORE,
        _REFUSED,
        tag="Restores",
        details="The new database stays until you delete it.",
        body=Why,
        body_optional=True,
    ),
)

ROUTES = RUNS + RESTORES
