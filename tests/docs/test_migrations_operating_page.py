"""The page on running migrations: its commands print what it says, on a real database."""

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner

from greenlane.cli import migrations_planning
from greenlane.cli.main import app
from greenlane.cli.session import Session
from greenlane.migrations.guarding.lease import LEASE
from greenlane.migrations.managing import MigrationManager
from greenlane.migrations.managing.asking import Asking
from greenlane.migrations.managing.going_back import BYTES_PER_SECOND
from greenlane.migrations.managing.looking import Looking
from tests.docs.pages import ROOT, blocks, code, section, table
from tests.postgres import Database
from tests.postgres import database as database
from tests.postgres import make_database as make_database
from tests.postgres import postgres_server as postgres_server
from tests.postgres import postgres_templates as postgres_templates
from tests.postgres_town import PostgresTown, TownConnection

PAGE = ROOT / "docs" / "migrations-operating.md"
OLD = "CREATE TABLE people (id bigint PRIMARY KEY, name text);"
NEW = OLD.replace("name", "full_name")
WALK = ("From a change to files", "Running a phase", "Watching, pausing, ending", "Taking it back")
WITHOUT_PERMISSION = {"sts:GetCallerIdentity"}
LINES = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Recorded:
    """A client that notes what is asked of it, by the names of IAM."""

    def __init__(self, service: str, target: Any, calls: set[str]) -> None:
        self._service, self._target, self._calls = service, target, calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return found

        def call(*args: Any, **given: Any) -> Any:
            operation = "".join(part.capitalize() for part in name.split("_"))
            self._calls.add(f"{self._service}:{operation}")
            return found(*args, **given)

        return call


@pytest.fixture
def town(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PostgresTown]:
    """A database with users, and a working directory with two schemas."""
    database.execute(
        "CREATE TABLE users (id bigint PRIMARY KEY, name text)",
        "INSERT INTO users SELECT n, 'name ' || n FROM generate_series(1, 900) n",
        "ANALYZE users",
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.delenv("GREENLANE_LOCAL", raising=False)
    # The town's workflow is read from where tests run.
    (tmp_path / "statemachines").symlink_to(ROOT / "statemachines")
    (tmp_path / "old.sql").write_text(OLD)
    (tmp_path / "new.sql").write_text(NEW)
    made = PostgresTown(database)
    yield made
    made.kernel.close()


@pytest.fixture
def calls() -> set[str]:
    return set()


@pytest.fixture
def connection(town: PostgresTown, calls: set[str]) -> TownConnection:
    made = TownConnection(town)
    services = {"stepfunctions": "states"}
    made._clients = {
        name: Recorded(services.get(name, name), client, calls)
        for name, client in made._clients.items()
    }
    return made


@pytest.fixture
def command(
    town: PostgresTown, connection: TownConnection, database: Database
) -> Callable[[str], str]:
    """Runs the command lines of a block; all that they print."""

    def run(text: str) -> str:
        printed = ""
        for line in text.replace("\\\n", " ").splitlines():
            program, *arguments = shlex.split(line)
            assert program == "greenlane"
            session = Session(sleep=lambda seconds: town.run(seconds / 3600))
            session.__dict__["client"] = SimpleNamespace(connection=connection)
            given = [one.replace("$DATABASE", database.dsn) for one in arguments]
            result = CliRunner().invoke(app, given, obj=session)
            printed += result.output
        return printed

    return run


def said_and_done(heading: str) -> list[tuple[str, str | None]]:
    """The commands of a section, each block with the text that stands below it, if one does."""
    found: list[tuple[str, str | None]] = []
    for language, text in LINES.findall(section(PAGE, heading)):
        if language == "bash":
            found.append((text, None))
        else:
            found[-1] = (found[-1][0], text)
    return found


def test_the_commands_print_what_stands_below_them(command: Callable[[str], str]) -> None:
    for heading in WALK:
        for commands, expected in said_and_done(heading):
            printed = command(commands)
            if expected is not None:
                assert printed.strip() == expected.strip(), commands


def test_the_permissions_are_those_that_the_commands_use(
    command: Callable[[str], str], calls: set[str], town: PostgresTown, database: Database
) -> None:
    for heading in WALK:
        for commands, _ in said_and_done(heading):
            command(commands)
    command("greenlane migrations run --phase expand --id held")
    for asked in ("pause", "resume", "abort"):
        command(f"greenlane migrations {asked} held")
        town.run(0.001)
        if "dynamodb:UpdateItem" not in calls:
            town.run(0.01)
    listed = {
        name
        for row in table(PAGE, "Before the first run")
        for name in map(code, row[0].split(", "))
    }

    assert calls - WITHOUT_PERMISSION == listed


def test_the_example_in_python_prints_what_stands_below_it(
    town: PostgresTown,
    connection: TownConnection,
    command: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command(said_and_done("From a change to files")[0][0])
    (language, example), (_, expected) = LINES.findall(section(PAGE, "From Python"))
    wait, made = MigrationManager.wait, MigrationManager.__init__

    def connected(self: MigrationManager) -> None:
        made(self, connection)

    def passing(self: MigrationManager, run: str) -> Any:
        return wait(self, run, sleep=lambda seconds: town.run(seconds / 3600))

    monkeypatch.setattr(MigrationManager, "__init__", connected)
    monkeypatch.setattr(MigrationManager, "wait", passing)
    exec(compile(example, PAGE.name, "exec"), {})

    assert language == "python"
    assert capsys.readouterr().out.strip() == expected.strip()


def test_every_command_that_plans_and_every_method_is_explained() -> None:
    planning: Any = get_command(migrations_planning.plan)
    planned = [code(row[0]) for row in table(PAGE, "From a change to files")]
    methods = {
        name.partition("(")[0]
        for row in table(PAGE, "From Python")
        for name in re.findall(r"`([^`]+)`", row[0])
    }
    kinds = (MigrationManager, Asking, Looking)
    public = {name for one in kinds for name in vars(one) if not name.startswith("_")}

    assert sorted(planned) == sorted(planning.commands)
    assert methods == public - {"by", "look", "asked"}


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    text = PAGE.read_text()

    assert f"at {BYTES_PER_SECOND // 10**6} MB a second" in text
    assert f"after {LEASE.total_seconds() / 60:.0f} minutes at most" in text


def test_the_database_of_the_page_is_described() -> None:
    (text,) = [one.text for one in blocks("yaml") if one.page == PAGE]
    assert list(yaml.safe_load(text)["databases"]) == ["orders"]
