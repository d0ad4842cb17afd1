"""The look into the new and the old database, on a real PostgreSQL."""

import psycopg
import pytest

from greenlane.clock import SystemClock
from greenlane.migrations.restoring import verifying
from greenlane.migrations.restoring.verifying import look
from greenlane.migrations.running.psycopg_session import connector
from greenlane.migrations.running.session import ConnectionLost
from tests.postgres import Database, MakeDatabase
from tests.restored_pair import ACCIDENT, BEFORE, TABLES, Pair

LEDGER = """
CREATE SCHEMA greenlane;
CREATE TABLE greenlane.migrations (
    seq bigint GENERATED ALWAYS AS IDENTITY, id text, phase text, plan_sha text, state text
);
INSERT INTO greenlane.migrations (id, phase, plan_sha, state) VALUES
    ('0001_expand', 'expand', 'aa', 'done'),
    ('0002_fill', 'migrate', 'bb', 'done'),
    ('0003_contract', 'contract', 'cc', 'running');
"""


def build(database: Database) -> None:
    database.execute(BEFORE)


@pytest.fixture
def pair(make_database: MakeDatabase) -> Pair:
    made = Pair(old=make_database(build), new=make_database(build))
    made.old.execute(ACCIDENT)
    return made


def test_tables_are_compared_by_rows_columns_and_keys(pair: Pair) -> None:
    looked = pair.look()

    then = {one.name: one for one in looked.then}
    now = {one.name: one for one in looked.now}
    assert [one.name for one in looked.then] == list(TABLES)
    assert (then["public.people"].rows, now["public.people"].rows) == (100, 71)
    assert [one.name for one in then["public.people"].columns] == ["id", "name", "email", "shout"]
    assert [one.name for one in now["public.people"].columns] == ["id", "email"]
    assert then["public.Odd Orders"].key == ("person", "place")
    kinds = {one.name: one for one in then["public.people"].columns}
    assert kinds["id"].identity
    assert kinds["shout"].generated
    assert (then["public.audit"].exists, now["public.audit"].exists) == (True, False)
    assert looked.untrue == ()


def test_what_was_written_since_the_marker_is_measured(pair: Pair) -> None:
    (lsn,) = pair.old.rows("SELECT pg_current_wal_lsn()::text")[0]
    run = pair.run()
    point = run.plan.point.model_copy(update={"lsn": lsn})
    run = run.model_copy(update={"plan": run.plan.model_copy(update={"point": point})})
    pair.old.execute("INSERT INTO keyless SELECT repeat('x', 100) FROM generate_series(1, 1000)")

    looked = look(connector(pair.new.dsn), connector(pair.old.dsn), run, SystemClock())

    assert looked.wal_bytes is not None
    assert looked.wal_bytes > 100_000


@pytest.mark.parametrize(
    ("asks", "said"),
    [
        ({"verify": ["SELECT count(*) = 100 FROM people"]}, None),
        ({"verify": ["SELECT count(*) = 99 FROM people"]}, "it says False"),
        ({"verify": ["SELECT true FROM people"]}, "it says 100 rows"),
        ({"verify": ["SELECT * FROM nowhere"]}, 'relation "nowhere" does not exist'),
        ({"verify": ["DELETE FROM people RETURNING true"]}, "read-only transaction"),
        ({"least_rows": {"public.people": 100}}, None),
        ({"least_rows": {"public.people": 101}}, "public.people has 100 rows, not 101 or more"),
        ({"least_rows": {"public.never": 0}}, "public.never has no rows"),
    ],
)
def test_what_has_to_be_so_in_the_new_one_is_looked_at_and_nothing_is_written(
    pair: Pair, asks: dict[str, object], said: str | None
) -> None:
    looked = pair.look(**asks)

    if said is None:
        assert looked.untrue == ()
    else:
        (untrue,) = looked.untrue
        assert said in untrue
    assert pair.new.rows("SELECT count(*) FROM people") == [(100,)]


def test_the_ledger_of_the_new_one_says_which_migration_it_has(pair: Pair) -> None:
    assert pair.look().migration is None
    pair.new.execute(LEDGER)

    looked = pair.look()

    assert (looked.migration, looked.phase, looked.plan_sha) == ("0002_fill", "migrate", "bb")


def test_an_old_one_that_does_not_answer_is_told_and_nothing_is_compared(pair: Pair) -> None:
    def nowhere(name: str) -> object:
        raise ConnectionLost("08006", "ConnectionFailure", f"{name}: nobody answers")

    looked = look(connector(pair.new.dsn), nowhere, pair.run(), SystemClock())  # type: ignore[arg-type]

    assert not looked.old_answers
    assert looked.now == ()
    assert {one.name for one in looked.then} == set(TABLES)


def test_a_table_that_takes_too_long_to_count_is_not_counted(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        verifying,
        "_READ_ONLY",
        "SET default_transaction_read_only = on; SET statement_timeout = 200",
    )
    with psycopg.connect(pair.old.dsn) as holder:
        holder.execute("LOCK TABLE keyless IN ACCESS EXCLUSIVE MODE")

        looked = pair.look(tables=["public.keyless"])

    (now,) = looked.now
    assert now.exists
    assert now.rows is None


def test_more_columns_than_a_workflow_can_carry_end_it_and_say_so(pair: Pair) -> None:
    columns = ", ".join(f"c{number} int" for number in range(verifying.MOST_COLUMNS // 2 + 1))
    for one in (pair.old, pair.new):
        one.execute(f"CREATE TABLE wide ({columns})")

    looked = pair.look(tables=["public.wide"])

    assert looked.then == looked.now == ()
    (said,) = looked.untrue
    assert "name fewer" in said


def test_when_the_time_for_counting_is_over_the_rest_is_not_counted(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "COUNTING", -verifying.COUNTING)

    looked = pair.look()

    assert {one.rows for one in (*looked.then, *looked.now)} == {None}
    assert all(one.exists for one in looked.then)
