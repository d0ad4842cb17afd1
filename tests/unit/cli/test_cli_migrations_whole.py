"""A change from its plan to its way back, by commands, through the real workflow and PostgreSQL."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from greenlane.errors import DataLoss
from greenlane.migrations.reaching.slices import undo_migration
from tests.postgres import Database
from tests.postgres import database as database
from tests.postgres import make_database as make_database
from tests.postgres import postgres_server as postgres_server
from tests.postgres import postgres_templates as postgres_templates
from tests.postgres_town import INSIDE, PostgresTown, TownConnection

Run = Callable[..., Any]
FILLED = "SELECT count(*) FROM users WHERE full_name = name"
LEDGER = "SELECT id, state FROM greenlane.migrations ORDER BY seq"
EXPAND, MIGRATE = "0001_expand_users_full_name", "0002_migrate_users_full_name"
NAMED = "public.users.full_name"


class Passing(list[float]):
    """Where a command sleeps, the town's time passes."""

    def __init__(self, town: PostgresTown) -> None:
        super().__init__()
        self._town = town

    def append(self, seconds: float) -> None:
        super().append(seconds)
        self._town.run(seconds / 3600)


@pytest.fixture
def town(database: Database) -> PostgresTown:
    database.execute(
        "CREATE TABLE users (id bigint PRIMARY KEY, name text)",
        "INSERT INTO users SELECT n, 'name ' || n FROM generate_series(1, 900) n",
        "ANALYZE users",
    )
    return PostgresTown(database)


@pytest.fixture
def client(town: PostgresTown) -> Any:
    return SimpleNamespace(connection=TownConnection(town))


@pytest.fixture
def slept(town: PostgresTown) -> Passing:
    return Passing(town)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "migrations")


@pytest.fixture
def planned(run: Run, database: Database, folder: str) -> Run:
    """The command line, once a rename is planned in the folder."""
    said(
        run(
            *("migrations", "plan", "rename-column", "users", "name", "full_name"),
            *("--database", database.dsn, "-f", folder, "--release", "2.4", "--min-app", "2.4.0"),
            *("--name", "orders", "--owner", "team-orders"),
        )
    )
    return run


def said(result: Any, code: int = 0) -> str:
    assert result.exit_code == code, result.output + result.stderr
    return str(result.stdout)


def phase(run: Run, folder: str, phase: str, id: str, *more: str, code: int = 0) -> str:
    arguments = ("-f", folder, "--phase", phase, "--id", id, "--watch", *more)
    return said(run("migrations", "run", *arguments), code)


def test_a_rename_is_planned_run_and_taken_back(
    planned: Run, database: Database, folder: str
) -> None:
    before = database.schema()
    expanded = phase(planned, folder, "expand", "m-1", "--database", database.dsn)
    phase(planned, folder, "migrate", "m-2")

    assert f"m-1 started: expand on orders, {EXPAND}" in expanded
    assert expanded.splitlines()[-1] == "m-1 succeeded"
    assert database.rows(LEDGER) == [(EXPAND, "done"), (MIGRATE, "done")]
    assert database.rows(FILLED) == [(900,)]
    listed = said(planned("migrations", "list"))
    assert f"orders: migrate of {MIGRATE} stands since" in listed
    assert [line.split()[:4] for line in listed.splitlines()[2:]] == [
        ["m-2", "orders", "migrate", "succeeded"],
        ["m-1", "orders", "expand", "succeeded"],
    ]

    refused = planned("migrations", "rollback", "m-1", "--database", database.dsn)
    assert refused.exit_code == 3
    assert "ALTER TABLE public.users DROP COLUMN full_name;" in refused.stdout
    assert f"--accept-data-loss {NAMED}" in refused.stderr
    assert database.rows(FILLED) == [(900,)]

    back = said(
        planned(
            *("migrations", "rollback", "m-1", "--database", database.dsn, "--watch"),
            *("--accept-data-loss", NAMED, "--id", "m-3"),
        )
    )
    assert f"taking back 2 files: {MIGRATE}, {EXPAND} on orders" in back
    assert "takes ACCESS EXCLUSIVE on public.users, for a moment" in back
    assert f"lost, as you accepted: {NAMED}" in back
    assert back.splitlines()[-2:] == ["m-3 succeeded", "  all of it is undone"]
    assert {state for _, state in database.rows(LEDGER)} == {"undone"}
    assert database.schema().split("CREATE SCHEMA greenlane")[0].count("full_name") == 0
    assert before.count("full_name") == 0


def test_a_contract_is_taken_back_and_says_that_its_column_comes_back_empty(
    planned: Run, database: Database, folder: str, town: PostgresTown
) -> None:
    town.ship(2, "2.4.0")
    for name in ("expand", "migrate", "contract"):
        phase(planned, folder, name, f"m-{name}")
    arguments = ("rollback", "m-contract", "--database", database.dsn, "--watch")
    refused = planned("migrations", *arguments)
    told = said(planned("migrations", *arguments, "--accept-data-loss", "public.users.name"))

    assert refused.exit_code == 3
    assert "its values are gone, and it comes back as the last column" in refused.stderr
    assert "\n        RETURN new;\n" in told, "every line of a statement is set in"
    assert told.splitlines()[-1] == "  all of it is undone"
    assert database.rows("SELECT full_name, name FROM users WHERE id = 1") == [("name 1", None)]
    database.execute("UPDATE users SET full_name = 'Ada' WHERE id = 1")
    assert database.rows("SELECT name FROM users WHERE id = 1") == [("Ada",)]


def test_what_was_taken_back_can_be_run_again(
    planned: Run, database: Database, folder: str
) -> None:
    for number, name in enumerate(("expand", "migrate")):
        phase(planned, folder, name, f"m-{number}")
    accept = ("--accept-data-loss", NAMED, "--watch")
    said(planned("migrations", "rollback", "m-0", "--database", database.dsn, *accept))
    for number, name in enumerate(("expand", "migrate")):
        phase(planned, folder, name, f"n-{number}")

    assert database.rows(FILLED) == [(900,)]


def test_a_way_back_can_be_looked_at_and_nothing_is_started(
    planned: Run, database: Database, folder: str, town: PostgresTown
) -> None:
    phase(planned, folder, "expand", "m-1")
    arguments = ("rollback", "m-1", "--database", database.dsn, "--dry-run", "-o", "json")
    told = json.loads(said(planned("migrations", *arguments)))

    assert (told["basis"], told["files"]) == ("ledger", [EXPAND])
    assert [step["grade"] for step in told["steps"]] == ["exact", "exact", "exact_until_written"]
    assert told["steps"][2]["proof"]
    assert list(town.executions) == [name for name in town.executions if name.endswith(":m-1")]


def test_without_a_database_the_files_alone_say_what_would_be_lost(
    planned: Run, folder: str
) -> None:
    phase(planned, folder, "expand", "m-1")
    told = said(planned("migrations", "rollback", "m-1", "--dry-run"))

    assert "by the files alone: the database's ledger decides" in told
    assert "ALTER TABLE public.users DROP COLUMN full_name;" in told


def test_a_column_that_was_written_to_meanwhile_stays_and_the_run_says_so(
    planned: Run, database: Database, folder: str
) -> None:
    phase(planned, folder, "expand", "m-1")
    database.execute("UPDATE users SET full_name = 'Ada' WHERE id = 1")
    told = said(planned("migrations", "rollback", "m-1", "--watch", "--id", "m-2"), code=1)

    assert f"{EXPAND}:3 stays: it is in use" in told
    assert database.rows("SELECT full_name FROM users WHERE id = 1") == [("Ada",)]


def test_a_phase_out_of_its_turn_is_found_before_anything_is_started(
    planned: Run, database: Database, folder: str, town: PostgresTown
) -> None:
    arguments = ("-f", folder, "--phase", "migrate", "--database", database.dsn)
    result = planned("migrations", "run", *arguments)

    assert result.exit_code == 3
    assert f"needs {EXPAND}, of an earlier phase" in result.stderr
    assert town.executions == {}


def test_a_phase_that_fails_is_undone_and_its_end_is_the_exit_code(
    planned: Run, database: Database, folder: str
) -> None:
    path = Path(folder) / f"{EXPAND}.sql"
    path.write_text(path.read_text() + "\nCREATE INDEX CONCURRENTLY gone ON nowhere (id);\n")
    told = phase(planned, folder, "expand", "m-1", code=1)

    assert told.splitlines()[-2].startswith("m-1 undone: MigrationFailed: ")
    assert "full_name" not in database.schema().split("CREATE SCHEMA greenlane")[0]
    shown = said(planned("migrations", "get", "m-1"))
    assert "you can: run that phase again" in shown


def test_a_run_that_is_not_the_last_is_not_taken_back_without_those_after_it(
    planned: Run, database: Database, folder: str
) -> None:
    phase(planned, folder, "expand", "m-1")
    phase(planned, folder, "migrate", "m-2")
    arguments = ("rollback", "m-1", "--database", database.dsn, "--file", EXPAND)
    result = planned("migrations", *arguments, "--accept-data-loss", NAMED)

    assert result.exit_code == 3
    assert f"add --file {MIGRATE}" in result.stderr


def test_the_run_itself_refuses_what_nobody_said_may_be_lost(
    planned: Run,
    database: Database,
    folder: str,
    town: PostgresTown,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    phase(planned, folder, "expand", "m-1")
    phase(planned, folder, "migrate", "m-2")
    refused: list[DataLoss] = []

    def undo(*given: Any) -> Any:
        try:
            return undo_migration(*given)
        except DataLoss as error:
            refused.append(error)
            raise

    monkeypatch.setitem(INSIDE, "undo", undo)
    sha = town.runs.run("m-1").plan_sha
    execution = town.migrate("m-3", phase="expand", plan_sha=sha, undo=[MIGRATE, EXPAND])

    assert execution.error == "DataLoss"
    assert f"--accept-data-loss {NAMED}" in execution.cause
    assert len(refused) == 1, "what is final is not asked again"
    assert database.rows(LEDGER) == [(EXPAND, "done"), (MIGRATE, "done")]
    assert database.rows(FILLED) == [(900,)]


def test_the_safe_form_of_a_rename_is_planned_over_three_phases(
    run: Run, town: PostgresTown, database: Database, tmp_path: Path
) -> None:
    naive = tmp_path / "0001_rename.sql"
    naive.write_text("ALTER TABLE users RENAME COLUMN name TO full_name;")
    arguments = ("--database", database.dsn, "--rewrite", str(tmp_path / "safe"))
    told = said(run("migrations", "check", str(naive), *arguments), code=1)

    written = sorted((tmp_path / "safe").iterdir())
    assert [one.name for one in written] == [
        *("0001_expand_rename.sql", "0002_migrate_rename.sql", "0003_contract_rename.sql"),
    ]
    assert "users_full_name_sync" in written[0].read_text()
    assert "note: line 1: until the rows are filled" in told
    said(run("migrations", "check", *map(str, written), "--database", database.dsn))
