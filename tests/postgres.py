"""A real PostgreSQL for tests: one server for a test session, a new database for each test.

A folder's conftest.py takes what its tests need:

    from tests.postgres import database as database
    from tests.postgres import make_database as make_database
    from tests.postgres import postgres_server as postgres_server

With pytest-xdist each process has a session, and so a server, of its own. A machine without
PostgreSQL fails these tests, with what to do about it; they are never skipped. The variable
GREENLANE_POSTGRES_BIN chooses another installation.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from greenlane.local.postgres import LocalPostgres, Settings

TMPFS_BYTES = 2**30
SETTINGS: Settings = {
    # It takes locks whenever it likes to; a test that wants it starts a server of its own.
    "autovacuum": False,
    "max_wal_size": "256MB",
}


@dataclass(frozen=True)
class Database:
    """A database of a test's own."""

    server: LocalPostgres
    name: str

    @property
    def dsn(self) -> str:
        return self.server.dsn(self.name)

    def connect(self, autocommit: bool = False, **options: str | int) -> psycopg.Connection[Any]:
        """As the superuser, unless `options` have another `user`; the caller closes it."""
        return psycopg.connect(self.server.dsn(self.name, **options), autocommit=autocommit)

    def execute(self, *statements: str) -> None:
        """Each in a transaction of its own."""
        with self.connect(autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            return connection.execute(query.encode(), parameters or None).fetchall()

    def schema(self) -> str:
        """What `pg_dump -s` says, without what differs from one dump to the next."""
        dump = self.server.run("pg_dump", "-s", "--dbname", self.name)
        # Since the releases of August 2025: a random key against injection.
        lines = [line for line in dump.splitlines() if not line.startswith(("\\restrict", "\\unr"))]
        return "\n".join(lines)


Build = Callable[[Database], None]
MakeDatabase = Callable[..., Database]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[LocalPostgres]:
    """The server of this process; tests neither stop it nor change its settings."""
    with LocalPostgres.start(SETTINGS, tmpfs_bytes=TMPFS_BYTES) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_templates(postgres_server: LocalPostgres) -> Callable[[Build], str]:
    """The name of a database that a function has built, once for all tests."""
    built: dict[Build, str] = {}

    def template(build: Build) -> str:
        if build not in built:
            database = Database(postgres_server, f"template_{len(built)}")
            postgres_server.create_database(database.name)
            build(database)
            built[build] = database.name
        return built[build]

    return template


_numbers = itertools.count()


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
        template = postgres_templates(build) if build is not None else None
        database = Database(postgres_server, f"test_{next(_numbers)}")
        postgres_server.create_database(database.name, template)
        made.append(database)
        return database

    yield make
    for database in made:
        postgres_server.drop_database(database.name)


@pytest.fixture
def database(make_database: MakeDatabase) -> Database:
    """A new empty database."""
    return make_database()
