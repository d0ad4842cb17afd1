"""What only the server can say: the cause is named, with a way out, and nothing is half done."""

import pwd
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from greenlane.errors import Refused
from greenlane.migrations.declaring.plan import Plan
from greenlane.migrations.running import backfilling
from greenlane.migrations.running.psycopg_session import connector
from greenlane.migrations.running.session import Connect, ConnectionLost, Session
from greenlane.migrations.validating.model import Phase
from tests.migration_runs import Runs, lose_response, made_plan, schema_of, watched
from tests.postgres import Database, MakeDatabase


def build(database: Database) -> None:
    database.execute(
        "CREATE TABLE people (id int PRIMARY KEY, name text, note text)",
        "INSERT INTO people SELECT n, 'n' || n FROM generate_series(1, 100) AS n",
    )


@pytest.fixture
def shop(make_database: MakeDatabase) -> Database:
    return make_database(build)


@pytest.mark.parametrize("alone", [False, True])
def test_an_error_of_the_server_has_the_line_on_which_it_stands(
    shop: Database, alone: bool
) -> None:
    how = "CONCURRENTLY " if alone else ""
    text = (
        "-- The first\n-- lines.\n\nSELECT count(*)\nFROM people;\n\n"
        f"CREATE INDEX {how}people_name\n  ON people\n  (name, -- first\n   nmae);\n"
    )
    result = Runs(shop, made_plan(("expand", text))).phase("expand")

    assert result.failure is not None
    assert (result.failure.error, result.failure.statement) == ("UndefinedColumn", 1)
    assert 'column "nmae" does not exist' in result.failure.message
    # PostgreSQL has no place for a column of an index; the statement's own line is the best known.
    assert result.failure.line == 7


def test_an_error_in_the_middle_of_a_statement_has_its_own_line(shop: Database) -> None:
    text = "SELECT 'é\n';\n\n/* of\nmany lines */ SELECT id,\n  -- and\n  nmae\nFROM people;\n"
    result = Runs(shop, made_plan(("expand", text))).phase("expand")

    assert result.failure is not None
    assert (result.failure.error, result.failure.line) == ("UndefinedColumn", 7)


APPLIED: tuple[tuple[Phase, str], ...] = (
    ("expand", "CREATE TABLE a (n int)"),
    ("expand", "CREATE TABLE b (n int)"),
    ("expand", "CREATE TABLE c (n int)"),
)


@pytest.mark.parametrize(
    ("plan", "names"),
    [
        (made_plan(*APPLIED[:1], ("expand", "CREATE TABLE b (n bigint)")), "0002_expand"),
        (made_plan(*APPLIED[:1], ("expand", "CREATE TABLE b (n int) -- note")), "0002_expand"),
        (made_plan(*APPLIED[:1]), "0002_expand"),
        (made_plan(APPLIED[1], APPLIED[0], APPLIED[2]), "0001_expand"),
        (made_plan(APPLIED[2], APPLIED[0], APPLIED[1]), "0001_expand"),
    ],
    ids=["edited", "comment", "gone", "reordered", "put before"],
)
def test_a_plan_that_is_another_than_what_ran_is_refused_with_the_file(
    shop: Database, plan: Plan, names: str
) -> None:
    runs = Runs(shop, made_plan(*APPLIED[:2]))
    runs.phase("expand")
    before, runs.plan = schema_of(shop), plan
    checked = runs.check("expand")

    assert checked.outcome == "refused"
    assert any(names in one for one in checked.reasons)
    assert schema_of(shop) == before


def test_a_database_that_is_not_there_is_refused_with_the_way_out(shop: Database) -> None:
    runs = Runs(shop, made_plan(*APPLIED))
    runs.connect = connector(shop.server.dsn("no_shop"))

    (why,) = runs.check("expand").reasons
    assert 'database "no_shop" does not exist; correct the database\'s description' in why
    with pytest.raises(ConnectionLost, match='"no_shop" does not exist'):
        runs.slice("expand")


def test_a_database_that_somebody_has_frozen_is_left_frozen(shop: Database) -> None:
    runs = Runs(shop, made_plan(*APPLIED))
    before = shop.as_built(schema_of)
    shop.execute(f'ALTER DATABASE "{shop.name}" SET default_transaction_read_only = on')

    for what in (runs.slice, runs.undo_slice):
        with pytest.raises(Refused, match="read only, as a green environment is"):
            what("expand")
    checked = runs.check("expand")
    assert (checked.outcome, len(checked.reasons)) == ("refused", 1)
    assert "RESET default_transaction_read_only" in checked.reasons[0]
    assert schema_of(shop).count("CREATE") == before.count("CREATE")


def test_a_server_that_does_not_answer_is_asked_again_and_not_refused(shop: Database) -> None:
    runs = Runs(shop, made_plan(*APPLIED))
    runs.connect = connector("host=/nowhere dbname=x")
    with pytest.raises(ConnectionLost):
        runs.check("expand")


@pytest.fixture
def stranger(shop: Database) -> Iterator[str]:
    shop.execute("CREATE ROLE stranger LOGIN")
    yield "stranger"
    shop.execute("DROP OWNED BY stranger CASCADE", "DROP ROLE stranger")


def test_a_user_that_may_not_make_the_ledger_is_told_what_to_grant(
    shop: Database, stranger: str
) -> None:
    runs = Runs(shop, made_plan(("expand", "ALTER TABLE people ADD COLUMN age int")))
    runs.connect = connector(shop.dsn, user=stranger)
    checked = runs.check("expand")

    assert checked.outcome == "refused"
    told = "\n".join(checked.reasons)
    assert f'GRANT CREATE ON DATABASE "{shop.name}" TO stranger' in told
    assert "stranger may not alter public.people, which belongs to postgres; GRANT postgres" in told
    assert "GRANT pg_monitor TO stranger" in told
    shop.execute(
        f'GRANT CREATE ON DATABASE "{shop.name}" TO stranger', "GRANT postgres TO stranger"
    )
    assert runs.check("expand").outcome == "ready"


def test_a_user_that_may_not_read_the_ledger_is_refused_with_whose_it_is(
    shop: Database, stranger: str
) -> None:
    plan = made_plan(("expand", "ALTER TABLE people ADD COLUMN age int"))
    runs = Runs(shop, plan)
    runs.phase("expand")
    runs.connect = connector(shop.dsn, user=stranger)
    checked = runs.check("expand")

    assert checked.outcome == "refused"
    assert checked.reasons == (
        "stranger: permission denied for schema greenlane; GRANT postgres TO stranger",
    )


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE people ADD COLUMN age int",
        "CREATE INDEX CONCURRENTLY people_name ON people (name)",
        "UPDATE people SET note = 'x'",
        "DROP TABLE people",
    ],
)
def test_a_right_that_is_missing_fails_the_statement_and_leaves_nothing(
    shop: Database, stranger: str, sql: str
) -> None:
    shop.execute(f'GRANT CREATE ON DATABASE "{shop.name}" TO stranger')
    before = schema_of(shop)
    plan = made_plan(("expand", f"CREATE SCHEMA own; {sql}"))
    runs = Runs(shop, plan)
    runs.connect = connector(shop.dsn, user=stranger)
    result = runs.phase("expand")

    assert result.failure is not None
    assert (result.failure.error, result.failure.statement) == ("InsufficientPrivilege", 1)
    assert "people" in result.failure.message
    assert runs.undo("expand").progress.detail == "all of it is undone"
    assert schema_of(shop) == before


FULL_BYTES = 20 * 2**20 + 4096
"""No file of a backend may be longer: more than a segment of the WAL, and no whole block."""


def on_a_full_disk(database: Database, connect: Connect) -> Connect:
    """Sessions whose backends find the disk full once a file is that long.

    The kernel writes a part of the last block only, as on a disk that is full, so the error is the
    server's own. No file system has to be mounted for it.
    """

    def limited(name: str) -> Session:
        session = connect(name)
        as_server: dict[str, Any] = {}
        if (user := database.server.user) is not None:
            as_server = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
        subprocess.run(
            ["prlimit", f"--pid={session.pid}", f"--fsize={FULL_BYTES}:"], check=True, **as_server
        )
        return session

    return limited


def build_wide(database: Database) -> None:
    build(database)
    database.execute(
        "CREATE TABLE wide (id int PRIMARY KEY, hits int NOT NULL DEFAULT 0, filling text)",
        "ALTER TABLE wide ALTER filling SET STORAGE PLAIN",
        "INSERT INTO wide SELECT n, 0, repeat(md5(n::text), 60) FROM generate_series(1, 8000) AS n",
        "CHECKPOINT",
    )


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE copied AS SELECT w.* FROM wide AS w, generate_series(1, 2)",
        "CREATE INDEX CONCURRENTLY wide_filling ON wide (filling) WITH (fillfactor = 50)",
    ],
    ids=["transaction", "alone"],
)
def test_a_full_disk_fails_the_statement_and_leaves_nothing(
    make_database: MakeDatabase, sql: str
) -> None:
    shop = make_database(build_wide)
    before = shop.as_built(schema_of)
    runs = Runs(shop, made_plan(("expand", sql)))
    plain, runs.connect = runs.connect, on_a_full_disk(shop, runs.connect)
    result = runs.phase("expand")

    assert result.failure is not None
    assert result.failure.error == "DiskFull"
    assert "Check free disk space" in result.failure.message
    assert schema_of(shop) == before
    assert runs.invalid() == []
    runs.connect = plain
    assert runs.phase("expand").outcome == "done"


def test_a_backfill_that_fills_the_disk_stands_where_it_was_and_goes_on_when_there_is_room(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FIRST_ROWS", "FEWEST_ROWS", "MOST_ROWS"):
        monkeypatch.setattr(backfilling, name, 700)
    shop = make_database(build_wide)
    runs = Runs(shop, made_plan(("migrate", "UPDATE wide SET hits = hits + 1")))
    plain, runs.connect = runs.connect, on_a_full_disk(shop, runs.connect)
    result = runs.phase("migrate")

    assert result.failure is not None
    assert result.failure.error == "DiskFull"
    (so_far,) = shop.rows("SELECT count(*), max(id) FROM wide WHERE hits = 1")
    assert so_far[0] == so_far[1]
    assert so_far[0] in range(700, 8000, 700)
    assert shop.rows("SELECT rows, state FROM greenlane.statements") == [(so_far[0], "started")]

    runs.connect = plain
    assert runs.phase("migrate").outcome == "done"
    assert shop.rows("SELECT hits, count(*) FROM wide GROUP BY hits") == [(1, 8000)]


def test_a_file_that_was_half_undone_does_not_run_on(shop: Database) -> None:
    """Its constraint is back without a proof: neither done, nor to be done again."""
    shop.execute("ALTER TABLE people ADD CONSTRAINT named CHECK (name IS NOT NULL)")
    before = schema_of(shop)
    plan = made_plan(
        ("expand", "ALTER TABLE people DROP CONSTRAINT named; SELECT count(*) FROM missing")
    )
    runs = Runs(shop, plan)
    runs.phase("expand")
    plain = runs.connect
    runs.connect = watched(
        plain, after=lambda text: lose_response(text) if "NOT VALID" in text else None
    )
    with pytest.raises(ConnectionLost):
        runs.undo("expand")
    runs.connect = plain

    with pytest.raises(Refused, match="line 1: it is half undone"):
        runs.slice("expand")
    assert any("half undone" in one for one in runs.check("expand").reasons)

    assert runs.undo("expand").progress.detail == "all of it is undone"
    assert schema_of(shop) == before


@pytest.mark.parametrize("way", ["FROM STDIN", "TO STDOUT"])
def test_rows_that_nobody_sends_or_takes_fail_the_statement(shop: Database, way: str) -> None:
    plan = made_plan(("expand", f"ALTER TABLE people ADD COLUMN age int; COPY people {way}"))
    result = Runs(shop, plan).phase("expand")

    assert result.failure is not None
    assert (result.failure.error, result.failure.statement) == ("FeatureNotSupported", 1)
    assert shop.rows("SELECT count(*) FROM people") == [(100,)]


def test_what_fails_at_the_commit_is_not_done(shop: Database) -> None:
    shop.execute(
        "ALTER TABLE people ADD COLUMN friend int REFERENCES people DEFERRABLE INITIALLY DEFERRED"
    )
    runs = Runs(shop, made_plan(("expand", "UPDATE people SET friend = 999 WHERE id = 1")))
    result = runs.phase("expand")

    assert result.failure is not None
    assert result.failure.error == "ForeignKeyViolation"
    assert runs.states() == [("0001_expand", 0, "pending")]
