"""The real workflow, its real functions and a real PostgreSQL: only AWS stands in."""

import json
from typing import Any

import pytest

from greenlane.migrations.declaring.model import Manifest
from greenlane.migrations.declaring.plan import Plan, SourceFile
from tests.migration_town import MigrationTown
from tests.postgres import Database
from tests.postgres import database as database
from tests.postgres import make_database as make_database
from tests.postgres import postgres_server as postgres_server
from tests.postgres import postgres_templates as postgres_templates
from tests.postgres_town import PostgresTown as Town
from tests.postgres_town import Secrets

EXPAND = """
ALTER TABLE users ADD COLUMN full_name text;
CREATE INDEX CONCURRENTLY users_full_name ON users (full_name);
"""
FILL = "UPDATE users SET full_name = name WHERE full_name IS NULL;"
CONTRACT = "ALTER TABLE users DROP COLUMN name;"
FILES = {
    "0001_expand_name.sql": ("expand", EXPAND, {}),
    "0002_fill_name.sql": ("migrate", FILL, {}),
    "0003_contract_name.sql": (
        "contract",
        CONTRACT,
        {
            "min_app": "2.4.0",
            "accept": ["drop-column"],
            "reason": "nothing reads it",
            "approved_by": "ada",
        },
    ),
}


def plan(**texts: str) -> Plan:
    """The plan, with other SQL in some of its files."""
    files = [{"file": name, "phase": phase} | more for name, (phase, _, more) in FILES.items()]
    manifest = Manifest.model_validate({"database": "orders", "owner": "team", "files": files})
    sources = tuple(
        SourceFile(file=name, text=texts.get(phase, text))
        for name, (phase, text, _) in FILES.items()
    )
    return Plan(manifest=manifest, sources=sources)


@pytest.fixture
def town(database: Database) -> Town:
    database.execute(
        "CREATE TABLE users (id bigint PRIMARY KEY, name text)",
        "INSERT INTO users SELECT n, 'name ' || n FROM generate_series(1, 3000) n",
        "ANALYZE users",
    )
    made = Town(database)
    made.ship(2, "2.4.0")
    return made


def columns(database: Database) -> set[str]:
    rows = database.rows(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'users'::regclass AND attnum > 0 "
        "AND NOT attisdropped"
    )
    return {str(name) for (name,) in rows}


def test_three_phases_run_one_after_the_other_and_each_is_published(
    town: Town, database: Database
) -> None:
    sha = town.keep(plan())
    for number, phase in enumerate(("expand", "migrate", "contract"), 1):
        execution = town.migrate(f"m-{number}", phase=phase, plan_sha=sha)
        assert execution.status == "SUCCEEDED", execution.cause
        assert town.parameter()["phase"] == phase

    assert columns(database) == {"id", "full_name"}
    assert database.rows("SELECT count(*) FROM users WHERE full_name = 'name ' || id") == [(3000,)]
    assert town.parameter()["min_app"] == "2.4.0"
    line = town.runs.run("m-1")
    assert line.backup.kind == "none"
    assert line.backup.lsn
    assert line.progress.detail == "done"


def test_a_phase_out_of_its_turn_is_refused_and_nothing_is_done(
    town: Town, database: Database
) -> None:
    execution = town.migrate(phase="contract", plan_sha=town.keep(plan()))

    assert execution.error == "Refused"
    assert "run that phase first" in execution.cause
    assert columns(database) == {"id", "name"}


def test_a_statement_that_fails_is_undone_and_the_schema_is_as_before(
    town: Town, database: Database
) -> None:
    before = database.schema()
    broken = (
        EXPAND + "\nALTER TABLE users ADD CONSTRAINT long CHECK (length(name) > 900) NOT VALID;"
    )
    broken += "\nALTER TABLE users VALIDATE CONSTRAINT long;"
    execution = town.migrate(phase="expand", plan_sha=town.keep(plan(expand=broken)))

    assert execution.error == "MigrationFailed"
    assert "CheckViolation" in execution.cause
    assert town.runs.run("m-1").standing == "undone"
    after = database.schema()
    assert columns(database) == {"id", "name"}
    assert "users_full_name" not in after
    assert before in after or "full_name" not in after
    assert town.kinds() == ["migration_undone"]


def test_an_edited_plan_is_refused_with_the_file(town: Town) -> None:
    town.migrate("m-1", phase="expand", plan_sha=town.keep(plan()))
    edited = plan(expand=EXPAND.replace("full_name text", "full_name varchar(90)"))
    execution = town.migrate("m-2", phase="migrate", plan_sha=town.keep(edited))

    assert execution.error == "Refused"
    assert "0001_expand_name" in execution.cause


def test_a_killed_run_goes_on_in_the_next_one_where_the_ledger_says(
    town: Town, database: Database
) -> None:
    sha = town.keep(plan())
    numbers = [n for n, call in enumerate(_calls(database, sha), 1) if call[0] == "postgres"]
    town.strikes = {numbers[2]: "aborted"}
    first = town.migrate("m-1", phase="expand", plan_sha=sha)
    second = town.migrate("m-2", phase="expand", plan_sha=sha)

    assert (first.status, second.status) == ("ABORTED", "SUCCEEDED")
    assert columns(database) == {"id", "name", "full_name"}


def _calls(database: Database, sha: str) -> list[tuple[str, str]]:
    """The kinds of calls of a run that goes well: a check, then slices."""
    del database, sha
    town = MigrationTown()
    town.migrate()
    town.kernel.close()
    return town.calls


def test_a_plan_that_is_not_what_its_name_says_is_refused(town: Town) -> None:
    sha = town.keep(plan())
    key = f"plans/{sha}.json"
    text: dict[str, Any] = json.loads(town.objects.objects[key])
    text["sources"][0]["text"] = "DROP TABLE users;"
    town.objects.objects[key] = json.dumps(text)
    execution = town.migrate(phase="expand", plan_sha=sha)

    assert execution.error == "InvalidInput"
    assert "the document has the checksum" in execution.cause


def test_a_database_that_does_not_let_in_ends_the_run_with_its_words(
    town: Town, database: Database
) -> None:
    del database
    town.network.__dict__["secretsmanager"] = Secrets('{"username": "nobody", "password": "x"}')
    execution = town.migrate(phase="expand", plan_sha=town.keep(plan()))

    assert execution.error == "Refused"
    assert 'role "nobody" does not exist' in execution.cause
