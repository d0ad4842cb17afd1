"""A real PostgreSQL for tests: one server for a process, a new database for each test.

A folder's conftest.py takes what its tests need:

    from tests.postgres import database as database
    from tests.postgres import make_database as make_database
    from tests.postgres import postgres_server as postgres_server

With pytest-xdist each process has a server of its own. A machine without PostgreSQL fails these
tests, with what to do about it; they are never skipped. The variable GREENLANE_POSTGRES_BIN chooses
another installation.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg
import pytest
from psycopg import sql

from greenlane.local.postgres import LocalPostgres, Settings
from tests.postgres_sessions import Sessions

TMPFS_BYTES = 2**30
SETTINGS: Settings = {
    # It takes locks whenever it likes to; a test that wants it starts a server of its own.
    "autovacuum": False,
    "max_wal_size": "256MB",
    # Enough for databases of a few megabytes; with more, each process costs more to start and end.
    "shared_buffers": "16MB",
}

T = TypeVar("T")


@dataclass(frozen=True)
class Database:
    """A database of a test's own.

    Args:
        server: where it is.
        name: its name.
        sessions: what `execute` and `rows` run in; a new one each time if None.
        build: what has built the database that this is a copy of.
    """

    server: LocalPostgres
    name: str
    sessions: Sessions | None = field(default=None, compare=False, repr=False)
    build: "Build | None" = field(default=None, compare=False, repr=False)

    @property
    def dsn(self) -> str:
        return self.server.dsn(self.name)

    def connect(self, autocommit: bool = False, **options: str | int) -> psycopg.Connection[Any]:
        """As the superuser, unless `options` have another `user`; the caller closes it."""
        return psycopg.connect(self.server.dsn(self.name, **options), autocommit=autocommit)

    def execute(self, *statements: str) -> None:
        """Each in a transaction of its own."""
        with self._session() as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self._session() as connection:
            return connection.execute(query.encode(), parameters or None).fetchall()

    def schema(self) -> str:
        """What `pg_dump -s` says, without what differs from one dump to the next."""
        dump = self.server.run("pg_dump", "-s", "--dbname", self.name)
        # Since the releases of August 2025: a random key against injection.
        lines = [line for line in dump.splitlines() if not line.startswith(("\\restrict", "\\unr"))]
        return "\n".join(lines)

    def as_built(self, ask: "Callable[[Database], T]") -> T:
        """What `ask` says of such a copy before anything is changed in it: asked once for all."""
        return _shared[0].answer(self.build, ask)

    def _session(self) -> AbstractContextManager[psycopg.Connection[Any]]:
        return self.sessions.one() if self.sessions else self.connect(autocommit=True)


Build = Callable[[Database], None]
MakeDatabase = Callable[..., Database]


class Shared:
    """The server of this process, and the templates in it."""

    def __init__(self, server: LocalPostgres) -> None:
        self.server = server
        self._orders = Sessions(server.dsn())
        self._built: dict[Build, str] = {}
        self._answers: dict[tuple[Build | None, Callable[[Database], Any]], Any] = {}
        self._numbers = itertools.count()
        # What each database is a copy of: without the comments on the server's own objects, whose
        # reading is a fifth of a dump, and without the gaps that initdb leaves.
        pattern = Database(server, "template1")
        pattern.execute(
            "DELETE FROM pg_description WHERE classoid <> 'pg_namespace'::regclass", "VACUUM FULL"
        )
        # The first session of a database writes a cache for the next ones, which is copied too.
        pattern.execute("SELECT 1")

    def template(self, build: Build) -> str:
        """The name of a database that a function has built, once for all tests."""
        if build not in self._built:
            name = f"template_{len(self._built)}"
            self._create(name, None)
            build(Database(self.server, name))
            self._built[build] = name
        return self._built[build]

    def make(self, build: Build | None) -> Database:
        template = self.template(build) if build is not None else None
        name = f"test_{next(self._numbers)}"
        self._create(name, template)
        return Database(self.server, name, Sessions(self.server.dsn(name)), build)

    def answer(self, build: Build | None, ask: Callable[[Database], T]) -> T:
        """See `Database.as_built`."""
        if (build, ask) not in self._answers:
            copy = self.make(build)
            self._answers[build, ask] = ask(copy)
            self.drop(copy)
        answer: T = self._answers[build, ask]
        return answer

    def drop(self, database: Database) -> None:
        if database.sessions:
            database.sessions.close()
        self._order("DROP DATABASE {} WITH (FORCE)", database.name)

    def close(self) -> None:
        self._orders.close()
        self.server.stop()

    def _create(self, name: str, template: str | None) -> None:
        # See LocalPostgres.create_database, which has a session of its own for each.
        strategy = " STRATEGY FILE_COPY" if self.server.binaries.major >= 15 else ""
        self._order("CREATE DATABASE {} TEMPLATE {}" + strategy, name, template or "template1")

    def _order(self, text: str, *names: str) -> None:
        with self._orders.one() as connection:
            connection.execute(sql.SQL(text).format(*map(sql.Identifier, names)))


_shared: list[Shared] = []
_holders: list[object] = []


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[LocalPostgres]:
    """The server of this process; tests neither stop it nor change its settings.

    Each folder that takes this fixture has one of its own, as pytest sees it.
    """
    if not _holders:
        _shared.append(Shared(LocalPostgres.start(SETTINGS, tmpfs_bytes=TMPFS_BYTES)))
    _holders.append(me := object())
    yield _shared[0].server
    _holders.remove(me)
    if not _holders:
        _shared.pop().close()


@pytest.fixture(scope="session")
def postgres_templates(postgres_server: LocalPostgres) -> Callable[[Build], str]:
    """The name of a database that a function has built, once for all tests."""
    return _shared[0].template


@pytest.fixture
def make_database(
    postgres_server: LocalPostgres, postgres_templates: Callable[[Build], str]
) -> Iterator[MakeDatabase]:
    """New databases, gone after the test: empty, or copies of what a function has built once.

    `make_database()`, or `make_database(build)` with a function of the module that fills the
    `Database` that it is given.
    """
    made: list[Database] = []

    def make(build: Build | None = None) -> Database:
        made.append(_shared[0].make(build))
        return made[-1]

    yield make
    for database in made:
        _shared[0].drop(database)


@pytest.fixture
def database(make_database: MakeDatabase) -> Database:
    """A new empty database."""
    return make_database()
