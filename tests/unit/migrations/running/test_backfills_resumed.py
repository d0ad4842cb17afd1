"""Backfills that are cut off anywhere: each row exactly once, whatever others do meanwhile."""

import contextlib
import itertools
from collections.abc import Iterator

import psycopg
import pytest

from greenlane.migrations.running import backfilling
from greenlane.migrations.running.psycopg_session import connector
from greenlane.migrations.running.session import ConnectionLost
from tests.effort import examples
from tests.migration_runs import Runs, lose_response, made_plan, schema_of, watched
from tests.postgres import Database, MakeDatabase

ROWS = 300
BATCH = 20
IS_BATCH = "GET DIAGNOSTICS"


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_ROWS", "FEWEST_ROWS", "MOST_ROWS"):
        monkeypatch.setattr(backfilling, name, BATCH)


def build(database: Database) -> None:
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, hits int NOT NULL DEFAULT 0)",
        f"INSERT INTO t SELECT n * 10 FROM generate_series(1, {ROWS}) AS n",
    )


@pytest.fixture
def filled(make_database: MakeDatabase) -> Database:
    return make_database(build)


PLAN = made_plan(("migrate", "UPDATE t SET hits = hits + 1"))

KEY_ROWS = examples(160, ROWS)
KEYS = {
    "int": ("k1 int", "n * 7 - 1000"),
    "int and text": (
        "k1 int, k2 text",
        "n / 9, E'it''s \\\\ ' || chr(64 + n % 9) || 'é$greenlane$'",
    ),
    "text by language": ('k1 text COLLATE "C", k2 date', "'k' || n / 5, date '2020-02-28' + n % 5"),
    "instants": ("k1 timestamptz", "timestamptz '2021-03-28 00:30+00' + n * interval '7 minutes'"),
    "floats": ("k1 float8", "1 + n * 2.3e-16"),
    "numerics and padded": ("k1 numeric, k2 char(6)", "n / 10.0, 'x' || n % 3"),
    "uuids": ("k1 uuid", "md5(n::text)::uuid"),
    "bytes": ("k1 bytea", "decode(md5(n::text), 'hex')"),
    "intervals": ("k1 interval", "n * interval '-1 month 36 hours'"),
}


@pytest.mark.parametrize("key", KEYS)
def test_keys_of_every_type_are_gone_through_once_although_every_second_answer_is_lost(
    database: Database, key: str
) -> None:
    columns, values = KEYS[key]
    names = ", ".join(one.split()[0] for one in columns.split(", "))
    database.execute(
        f'CREATE TABLE "T t" ({columns}, hits int NOT NULL DEFAULT 0, PRIMARY KEY ({names}))',
        f'INSERT INTO "T t" SELECT {values} FROM generate_series(1, {KEY_ROWS}) AS n',
        # Settings of a database that would spoil a cursor.
        f'ALTER DATABASE "{database.name}" SET extra_float_digits = 0',
        f'ALTER DATABASE "{database.name}" SET standard_conforming_strings = off',
        f'ALTER DATABASE "{database.name}" SET bytea_output = escape',
        f"ALTER DATABASE \"{database.name}\" SET datestyle = 'German'",
    )
    runs = Runs(database, made_plan(("migrate", 'UPDATE "T t" SET hits = hits + 1')))
    numbers = itertools.count()

    def sometimes(text: str) -> None:
        if IS_BATCH in text and next(numbers) % 2:
            lose_response(text)

    runs.connect = watched(runs.connect, after=sometimes)
    lost = _until_done(runs)

    assert lost == KEY_ROWS // BATCH // 2
    assert database.rows('SELECT hits, count(*) FROM "T t" GROUP BY hits') == [(1, KEY_ROWS)]
    assert database.rows("SELECT state, rows FROM greenlane.statements") == [("done", KEY_ROWS)]


def _until_done(runs: Runs) -> int:
    """How many slices lost their session before the phase was done."""
    lost = 0
    while True:
        try:
            assert runs.phase("migrate").outcome == "done"
            return lost
        except ConnectionLost:
            lost += 1
            assert lost < 100


def test_rows_that_come_and_go_meanwhile_change_nothing_for_the_others(filled: Database) -> None:
    numbers = itertools.count(1)

    def others(text: str) -> None:
        if IS_BATCH not in text:
            return
        number = next(numbers)
        if number == 3:
            filled.execute(
                "INSERT INTO t VALUES (5), (1505), (99999)",  # behind it, ahead of it, beyond it
                f"DELETE FROM t WHERE id IN ({3 * BATCH * 10}, 2000, {ROWS * 10})",
            )

    runs = Runs(filled, PLAN)
    runs.connect = watched(runs.connect, after=others)

    assert runs.phase("migrate").outcome == "done"
    assert filled.rows("SELECT id FROM t WHERE hits <> 1 ORDER BY id") == [(5,), (99999,)]
    assert next(numbers) > ROWS // BATCH


def test_all_rows_that_are_deleted_meanwhile_end_it(filled: Database) -> None:
    runs = Runs(filled, PLAN)
    runs.connect = watched(
        runs.connect,
        after=lambda text: filled.execute("DELETE FROM t") if IS_BATCH in text else None,
    )
    assert runs.phase("migrate").outcome == "done"


def test_an_empty_table_is_filled_at_once(filled: Database) -> None:
    filled.execute("TRUNCATE t")
    assert Runs(filled, PLAN).phase("migrate").outcome == "done"


def test_a_run_that_pauses_goes_on_at_the_next_key_and_tells_how_far_it_is(
    filled: Database,
) -> None:
    filled.execute("UPDATE pg_class SET reltuples = 50000 WHERE relname = 't'")
    runs = _cut_off(filled, PLAN, batches=4)
    assert filled.rows("SELECT max(id) FROM t WHERE hits = 1") == [(4 * BATCH * 10,)]

    waiting = runs.slice("migrate", seconds=5.0)  # no time for a batch
    assert (waiting.outcome, waiting.progress.rows_done, waiting.progress.rows_estimate) == (
        "again", 4 * BATCH, 50000,
    )  # fmt: skip
    assert runs.phase("migrate").outcome == "done"
    assert filled.rows("SELECT hits, count(*) FROM t GROUP BY hits") == [(1, ROWS)]


def _cut_off(database: Database, plan: object, batches: int, phase: str = "migrate") -> Runs:
    """A run whose session is lost after so many batches."""
    runs = Runs(database, plan)  # type: ignore[arg-type]
    numbers = itertools.count(1)

    def then_lose(text: str) -> None:
        if IS_BATCH in text and next(numbers) == batches:
            lose_response(text)

    plain, runs.connect = runs.connect, watched(runs.connect, after=then_lose)
    with pytest.raises(ConnectionLost):
        runs.phase(phase)  # type: ignore[arg-type]
    runs.connect = plain
    return runs


AGAIN = made_plan(
    (
        "expand",
        "INSERT INTO noted VALUES (1); ALTER TABLE t ADD COLUMN twice int;"
        "UPDATE t SET twice = id * 2; SELECT count(*) FROM missing",
    )
)


@pytest.mark.parametrize("batches", [5, None])
def test_a_backfill_that_was_undone_fills_every_row_when_it_runs_again(
    filled: Database, batches: int | None
) -> None:
    filled.execute("CREATE TABLE noted (n int)")
    before = schema_of(filled)
    if batches is None:
        runs = Runs(filled, AGAIN)
        assert runs.phase("expand").outcome == "failed"
    else:
        runs = _cut_off(filled, AGAIN, batches, "expand")

    undone = runs.undo("expand", "public.t.twice", "0001_expand:1")
    assert "0001_expand:1 stays" in undone.progress.detail
    assert schema_of(filled) == before
    filled.execute("CREATE TABLE missing (n int)")
    assert runs.phase("expand").outcome == "done"

    assert filled.rows("SELECT count(*) FROM t WHERE twice = id * 2") == [(ROWS,)]
    assert filled.rows("SELECT n FROM noted") == [(1,)]


@contextlib.contextmanager
def holding(database: Database, statement: str) -> Iterator[psycopg.Connection[object]]:
    """A transaction of somebody else, open for as long as the block."""
    with database.connect(application_name="cart") as other:
        other.execute(statement.encode())
        yield other
        other.rollback()


def test_a_row_that_somebody_has_locked_is_waited_for_and_told(filled: Database) -> None:
    runs = Runs(filled, PLAN, lock_budget_seconds=0.6)
    with holding(filled, "SELECT FROM t WHERE id = 1000 FOR UPDATE"):
        result = runs.phase("migrate")

    assert result.failure is not None
    assert result.failure.error == "LockNotAvailable"
    assert "(cart, idle in transaction" in (result.failure.blocker or "")
    assert filled.rows("SELECT count(*), max(id) FROM t WHERE hits = 1") == [(99, 990)]

    with holding(filled, "SELECT FROM t WHERE id = 1000 FOR UPDATE") as other:
        runs.limits = runs.limits.model_copy(update={"lock_budget_seconds": 30})
        tries = itertools.count()
        runs.connect = watched(
            runs.connect,
            before=lambda text: other.rollback() if IS_BATCH in text and next(tries) == 3 else None,
        )
        assert runs.phase("migrate").outcome == "done"
    assert filled.rows("SELECT hits, count(*) FROM t GROUP BY hits") == [(1, ROWS)]


def test_a_batch_that_takes_too_long_is_cancelled_and_tried_smaller(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfilling, "BATCH_TIMEOUT_MS", 150)
    monkeypatch.setattr(backfilling, "FEWEST_ROWS", 1)
    filled.execute(
        "DELETE FROM t WHERE id > 400",
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END'",
        "CREATE TRIGGER slow BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION slow()",
    )
    monkeypatch.setattr(backfilling, "FIRST_ROWS", 40)
    tried: list[str] = []
    runs = Runs(filled, PLAN)
    runs.connect = watched(
        runs.connect, before=lambda text: tried.append(text) if IS_BATCH in text else None
    )

    assert runs.phase("migrate").outcome == "done"
    assert "<= ''400''" in tried[0]
    assert "<= ''200''" in tried[1]
    assert filled.rows("SELECT hits, count(*) FROM t GROUP BY hits") == [(1, 40)]


def test_rows_that_a_policy_hides_are_not_passed_over_in_silence(filled: Database) -> None:
    filled.execute(
        "CREATE ROLE filler_of_rows LOGIN",
        f'GRANT CREATE ON DATABASE "{filled.name}" TO filler_of_rows',
        "ALTER TABLE t OWNER TO filler_of_rows",
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE t FORCE ROW LEVEL SECURITY",
        "CREATE POLICY few ON t USING (id < 500)",
    )
    try:
        runs = Runs(filled, PLAN)
        runs.connect = connector(filled.dsn, user="filler_of_rows")
        result = runs.phase("migrate")

        assert result.failure is not None
        assert "row-level security" in result.failure.message
        assert filled.rows("SELECT count(*) FROM t WHERE hits <> 0") == [(0,)]
    finally:
        filled.execute("DROP OWNED BY filler_of_rows CASCADE", "DROP ROLE filler_of_rows")


def test_settings_of_a_database_do_not_stop_it(filled: Database) -> None:
    filled.execute(
        f'ALTER DATABASE "{filled.name}" SET default_transaction_isolation = serializable',
        f'ALTER DATABASE "{filled.name}" SET statement_timeout = 40',
    )
    plan = made_plan(
        (
            "migrate",
            "UPDATE t SET hits = hits + 1",
            {"verify": ["SELECT bool_and(hits = 1) FROM t"]},
        )
    )
    result = Runs(filled, plan).phase("migrate")
    assert (result.outcome, result.progress.detail) == ("done", "done")


def test_an_update_that_moves_rows_within_the_key_is_not_sliced(filled: Database) -> None:
    result = Runs(filled, made_plan(("migrate", "UPDATE t SET id = id + 1"))).phase("migrate")

    assert result.failure is not None
    assert result.failure.error == "NotSliceable"
    assert "changes id of the primary key" in result.failure.message
    assert filled.rows("SELECT min(id) FROM t") == [(10,)]
