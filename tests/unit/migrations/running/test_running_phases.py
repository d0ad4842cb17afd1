"""Statements run once, in their order, with their line of the ledger."""

import threading
import time
from typing import Any

import psycopg
import pytest

from greenlane.errors import FenceLost, Refused
from greenlane.migrations.running import checking, slices, verifying
from greenlane.migrations.running.model import CheckResult
from greenlane.migrations.running.psycopg_session import connector
from greenlane.migrations.running.session import ConnectionLost
from tests.migration_runs import Runs, made_plan, watched
from tests.postgres import Database, MakeDatabase


def build(database: Database) -> None:
    database.execute(
        "CREATE TABLE people (id int PRIMARY KEY, name text, born date)",
        "INSERT INTO people SELECT n, 'n' || n, NULL FROM generate_series(1, 500) AS n",
        "CREATE TABLE seen (n int)",
    )


@pytest.fixture
def shop(make_database: MakeDatabase) -> Database:
    return make_database(build)


PLAN = made_plan(
    (
        "expand",
        """
        -- A column of its own, with a percent sign: 100 %.
        ALTER TABLE people ADD COLUMN full_name text DEFAULT '100 %' -- and one behind it
        ;
        CREATE INDEX CONCURRENTLY people_full_name ON people (full_name);
        ALTER TABLE people ADD CONSTRAINT named CHECK (name IS NOT NULL) NOT VALID;
        ALTER TABLE people VALIDATE CONSTRAINT named;
        """,
    ),
    ("migrate", "UPDATE people SET full_name = name || ' 100 %s $greenlane$ ''q'''"),
    ("contract", "DROP INDEX CONCURRENTLY people_full_name; ALTER TABLE people DROP COLUMN name"),
)


def test_the_phases_of_a_plan_run_one_after_the_other(shop: Database) -> None:
    runs = Runs(shop, PLAN)

    for phase in ("expand", "migrate", "contract"):
        result = runs.phase(phase)
        assert (result.outcome, result.progress.detail) == ("done", "done")

    assert {state for _, _, state in runs.states()} == {"done"}
    assert len(runs.states()) == 7
    assert shop.rows(
        "SELECT count(*) FROM people WHERE full_name LIKE '%100 \\%s $greenlane$ ''q'''"
    )
    kept = shop.rows(
        "SELECT runs_as, inverse ->> 'grade', exec_ms >= 0 FROM greenlane.statements "
        "ORDER BY migration, statement LIMIT 2"
    )
    assert kept == [("transaction", "exact_until_written", True), ("alone", "exact", True)]


def test_a_phase_that_is_done_is_done_again_by_nothing(shop: Database) -> None:
    plan = made_plan(("expand", "INSERT INTO seen VALUES (1)"))
    runs = Runs(shop, plan)

    assert [runs.phase("expand").outcome for _ in range(3)] == ["done"] * 3
    assert shop.rows("SELECT n FROM seen") == [(1,)]


def test_a_later_phase_waits_for_the_files_before_it(shop: Database) -> None:
    with pytest.raises(Refused, match="0002_migrate needs 0001_expand"):
        Runs(shop, PLAN).slice("migrate")
    assert not shop.rows("SELECT 1 FROM information_schema.columns WHERE column_name = 'full_name'")


def test_what_fails_leaves_nothing_of_it_and_says_where(shop: Database) -> None:
    plan = made_plan(
        (
            "expand",
            "INSERT INTO seen VALUES (1);\n\n"
            "INSERT INTO seen SELECT 2 / n FROM (VALUES (0)) AS v (n);",
        )
    )
    result = Runs(shop, plan).phase("expand")

    assert result.outcome == "failed"
    assert result.failure is not None
    assert (result.failure.error, result.failure.statement, result.failure.line) == (
        "DivisionByZero", 1, 3,
    )  # fmt: skip
    assert shop.rows("SELECT n FROM seen") == [(1,)]


def test_an_owner_that_lost_its_lease_writes_nothing(shop: Database) -> None:
    runs = Runs(shop, PLAN)
    runs.epoch = 5
    runs.slice("expand")
    runs.epoch = 4

    with pytest.raises(FenceLost, match="epoch 5"):
        runs.slice("migrate")
    assert len(runs.states()) == 4


def test_a_second_runner_waits_and_says_for_whom(shop: Database) -> None:
    runs = Runs(shop, PLAN)
    with connector(shop.dsn)("greenlane/0001_expand/2") as first:
        first.rows("SELECT pg_advisory_lock(1196574542, 1)")
        result = runs.slice("expand")

    assert (result.outcome, result.progress.statement) == ("waiting", 2)
    assert f"pid {first.pid} (greenlane/0001_expand/2" in result.progress.detail
    assert not shop.rows("SELECT 1 FROM pg_namespace WHERE nspname = 'greenlane'")


def test_two_runners_at_once_run_each_statement_once(shop: Database) -> None:
    plan = made_plan(("expand", "INSERT INTO seen VALUES (1);" * 20))
    runs = Runs(shop, plan)
    both = [threading.Thread(target=runs.phase, args=("expand",)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()

    assert shop.rows("SELECT count(*) FROM seen") == [(20,)]


def test_a_lost_session_is_told_and_the_next_slice_goes_on(shop: Database) -> None:
    plan = made_plan(
        (
            "expand",
            "INSERT INTO seen VALUES (1);"
            "INSERT INTO seen SELECT 2 FROM people WHERE pg_sleep(0.001) IS NOT NULL;",
            {"accept": ["insert-many-rows"], "reason": "a test", "approved_by": "ada"},
        )
    )
    runs = Runs(shop, plan)
    ending = threading.Thread(target=_end_backends_that_sleep, args=(shop,))
    ending.start()

    with pytest.raises(ConnectionLost):
        runs.phase("expand")
    ending.join()

    assert shop.rows("SELECT n FROM seen") == [(1,)]
    assert runs.phase("expand").outcome == "done"
    assert shop.rows("SELECT n, count(*) FROM seen GROUP BY n ORDER BY n") == [(1, 1), (2, 500)]


def _end_backends_that_sleep(database: Database) -> None:
    """As soon as there is one."""
    end = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep' "
        "AND application_name LIKE 'greenlane/%' AND datname = current_database()"
    )
    ends = time.monotonic() + 30
    while database.rows(end) == []:
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_what_a_statement_sets_does_not_hold_for_the_next(shop: Database) -> None:
    plan = made_plan(
        (
            "expand",
            "SET lock_timeout = '7s'; SET my.note = 'x';"
            "INSERT INTO seen SELECT length(coalesce(current_setting('my.note', true), ''))",
        )
    )
    assert Runs(shop, plan).phase("expand").outcome == "done"
    assert shop.rows("SELECT n FROM seen") == [(0,)]


def test_a_file_that_was_edited_while_it_ran_is_refused(shop: Database) -> None:
    runs = Runs(
        shop, made_plan(("expand", "INSERT INTO seen VALUES (1); INSERT INTO gone SELECT 1"))
    )
    assert runs.phase("expand").outcome == "failed"
    runs.plan = made_plan(("expand", "INSERT INTO seen VALUES (7); INSERT INTO seen SELECT 1"))

    with pytest.raises(Refused, match="was changed after it began"):
        runs.slice("expand")
    assert shop.rows("SELECT n FROM seen") == [(1,)]


def test_queries_that_verify_a_file_must_say_true(shop: Database) -> None:
    true = {"verify": ["SELECT count(*) = 1 FROM seen"]}
    false = {"verify": ["SELECT count(*) = 1 FROM seen", "SELECT max(n) > 1 FROM seen"]}

    assert (
        Runs(shop, made_plan(("expand", "INSERT INTO seen VALUES (1)", true)))
        .phase("expand")
        .outcome
        == "done"
    )
    result = Runs(
        shop,
        made_plan(
            ("expand", "INSERT INTO seen VALUES (1)", true),
            ("expand", "DELETE FROM seen WHERE false", false),
        ),
    ).phase("expand")
    assert result.failure is not None
    assert (result.failure.error, result.failure.message) == (
        "NotVerified", "it says False: SELECT max(n) > 1 FROM seen",
    )  # fmt: skip


def test_a_query_that_verifies_writes_nothing(shop: Database) -> None:
    shop.execute(
        "CREATE FUNCTION sneaky() RETURNS boolean LANGUAGE sql AS "
        "'INSERT INTO seen VALUES (9) RETURNING true'"
    )
    plan = made_plan(("expand", "CREATE TABLE made (n int)", {"verify": ["SELECT sneaky()"]}))
    result = Runs(shop, plan).phase("expand")

    assert result.failure is not None
    assert result.failure.error == "ReadOnlySqlTransaction"
    assert shop.rows("SELECT n FROM seen") == []


def test_the_version_that_is_live_can_still_ask_after_every_statement(shop: Database) -> None:
    queries = (
        "SELECT name FROM people WHERE id = $1; INSERT INTO people (id, name) VALUES ($1, $2);"
    )
    plan = made_plan(
        ("expand", "INSERT INTO seen VALUES (1)"),
        ("expand", "ALTER TABLE people RENAME COLUMN name TO called; INSERT INTO seen VALUES (2)"),
        old_app_queries=queries,
    )
    result = Runs(shop, plan).phase("expand")

    assert result.failure is not None
    assert (result.failure.error, result.failure.statement) == ("UndefinedColumn", 0)
    assert "SELECT name FROM people WHERE id = $1" in result.failure.message
    assert shop.rows("SELECT n FROM seen") == [(1,)]


def test_a_plan_that_runs_its_own_transactions_is_refused(shop: Database) -> None:
    with pytest.raises(Refused, match="its own BEGIN or COMMIT"):
        Runs(shop, made_plan(("expand", "BEGIN; INSERT INTO seen VALUES (1); COMMIT"))).slice(
            "expand"
        )


def test_a_phase_without_files_is_done(shop: Database) -> None:
    assert Runs(shop, PLAN.model_copy()).phase("expand").outcome == "done"
    assert (
        Runs(shop, made_plan(("expand", "INSERT INTO seen VALUES (1)"))).phase("contract").outcome
        == "done"
    )


def test_a_ledger_of_a_newer_version_is_left_alone(shop: Database) -> None:
    runs = Runs(shop, PLAN)
    runs.phase("expand")
    shop.execute("UPDATE greenlane.fence SET format = 99")

    with pytest.raises(Refused, match="format 99"):
        runs.slice("migrate")


def test_a_slice_ends_when_its_time_is_over_and_the_next_goes_on(shop: Database) -> None:
    plan = made_plan(("expand", "INSERT INTO seen VALUES (1);" * 5))
    runs = Runs(shop, plan)

    # One more slice looks whether the file did what it should, and the last one closes the phase.
    results = [runs.slice("expand", seconds=5.0) for _ in range(7)]

    assert [one.outcome for one in results] == ["again"] * 6 + ["done"]
    assert [one.progress.statement for one in results] == [0, 1, 2, 3, 4, 4, 4]
    assert shop.rows("SELECT count(*) FROM seen") == [(5,)]


def locks_at(
    word: str, database: Database, runs: Runs, held: list[psycopg.Connection[Any]]
) -> None:
    """Somebody locks readers out of people, once a text with that word has run."""

    def lock(text: str) -> None:
        if word in text and not held:
            held.append(database.connect(application_name="repack"))
            held[0].execute(b"LOCK TABLE people IN ACCESS EXCLUSIVE MODE")

    runs.connect = watched(runs.connect, after=lock)


def test_queries_whose_tables_are_locked_are_asked_later(
    shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "PREPARE_LOCK_MS", 200)
    plan = made_plan(
        ("expand", "INSERT INTO seen VALUES (1)"),
        old_app_queries="SELECT name FROM people WHERE id = $1;",
    )
    runs, held = Runs(shop, plan), list[psycopg.Connection[Any]]()
    locks_at("INSERT INTO seen", shop, runs, held)
    result = runs.slice("expand")
    held[0].close()

    assert (result.outcome, result.wait_seconds) == ("waiting", 3.0)
    assert "what it reads is locked" in result.progress.detail
    assert runs.phase("expand").outcome == "done"
    assert shop.rows("SELECT n FROM seen") == [(1,)]


def test_a_table_that_nobody_may_read_is_waited_for_outside_and_its_holder_told(
    shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it is none of the plan's: the catalog's sizes are read of all."""
    for module in (slices, checking):
        monkeypatch.setattr(module, "CATALOG_LOCK_MS", 200)
    runs = Runs(shop, made_plan(("expand", "CREATE TABLE other (n int)")))
    for what in (runs.slice, runs.check, runs.undo_slice):
        with shop.connect(application_name="repack") as other:
            other.execute(b"LOCK TABLE people IN ACCESS EXCLUSIVE MODE")
            result = what("expand")
            other.rollback()
        detail = result.reasons[0] if isinstance(result, CheckResult) else result.progress.detail

        assert result.outcome == "waiting"
        assert "(repack) holds people" in detail
        if what == runs.check:
            assert runs.phase("expand").outcome == "done"
            shop.execute("UPDATE greenlane.migrations SET settled_at = NULL")
    assert runs.undo("expand").progress.detail == "all of it is undone"


def test_queries_of_a_service_that_lives_with_policies_are_only_read(shop: Database) -> None:
    shop.execute(
        "CREATE ROLE migrator LOGIN",
        f'GRANT CREATE ON DATABASE "{shop.name}" TO migrator',
        "GRANT SELECT ON people TO migrator",
        "ALTER TABLE seen OWNER TO migrator",
        "ALTER TABLE people ENABLE ROW LEVEL SECURITY",
    )
    try:
        plan = made_plan(
            ("expand", "INSERT INTO seen VALUES (1)"), old_app_queries="SELECT name FROM people;"
        )
        runs = Runs(shop, plan)
        runs.connect = connector(shop.dsn, user="migrator")
        result = runs.phase("expand")
        assert (result.outcome, result.failure) == ("done", None)
    finally:
        shop.execute("DROP OWNED BY migrator CASCADE", "DROP ROLE migrator")
