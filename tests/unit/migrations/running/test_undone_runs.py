"""Runs that stop anywhere go back to where they began: schema and rows."""

import random

import pytest

from greenlane.errors import DataLoss
from greenlane.migrations.running.psycopg_session import connector
from greenlane.migrations.running.session import ConnectionLost
from tests.effort import examples, part
from tests.migration_runs import Runs, lose_response, made_plan, schema_of, watched
from tests.postgres import Database, MakeDatabase


def build(database: Database) -> None:
    database.execute(
        "CREATE TABLE customers (id int PRIMARY KEY, name text, city text, score int)",
        "INSERT INTO customers SELECT n, 'n' || n, 'c' || n % 7, n FROM generate_series(1, 400) n",
        "CREATE INDEX customers_city ON customers (city)",
        "CREATE TABLE orders (id int PRIMARY KEY, customer int, placed date)",
        "INSERT INTO orders SELECT n, n, '2024-02-29' FROM generate_series(1, 300) AS n",
        "ALTER TABLE orders ADD CONSTRAINT placed CHECK (placed > '2000-01-01') NOT VALID",
        "CREATE FUNCTION touch() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "GRANT SELECT ON orders TO PUBLIC",
    )


FILL = "UPDATE customers SET full_name = coalesce(full_name, '') || name"
STATEMENTS = (
    "CREATE TABLE lines (id bigint PRIMARY KEY, order_id int)",
    "ALTER TABLE customers ADD COLUMN full_name text",
    "ALTER TABLE customers ADD COLUMN IF NOT EXISTS city text",
    FILL,
    "CREATE INDEX CONCURRENTLY ON customers (full_name)",
    "ALTER TABLE orders VALIDATE CONSTRAINT placed",
    "CREATE OR REPLACE FUNCTION touch() RETURNS int LANGUAGE sql AS 'SELECT 2'",
    "ALTER TABLE orders ALTER COLUMN placed SET NOT NULL, ALTER COLUMN placed SET DEFAULT now()",
    "DROP INDEX CONCURRENTLY customers_city",
    "ALTER TABLE customers RENAME COLUMN score TO points",
)


def facts(database: Database) -> tuple[object, ...]:
    rows = [
        database.rows(f"SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM {table} AS t")
        for table in ("customers", "orders")
    ]
    return schema_of(database), rows


def upto(count: int, *, then: str = "") -> str:
    return ";\n".join([*STATEMENTS[:count], *([then] if then else [])])


ACCEPTED = ("public.customers.full_name",)
"""An UPDATE has written it, so no query can say that nobody else has."""


@pytest.mark.parametrize("count", part(range(1, len(STATEMENTS) + 1), 2, 1))
def test_every_prefix_of_a_plan_that_fails_goes_back_to_the_start(
    make_database: MakeDatabase, count: int
) -> None:
    shop = make_database(build)
    before = shop.as_built(facts)
    plan = made_plan(("expand", upto(count, then="SELECT count(*) FROM missing")))
    runs = Runs(shop, plan)
    result = runs.phase("expand")
    assert result.failure is not None
    assert (result.failure.statement, facts(shop) != before) == (count, True)

    assert runs.undo("expand", *ACCEPTED).progress.detail == "all of it is undone"
    assert facts(shop) == before
    assert {state for _, _, state in runs.states()} <= {"undone", "pending"}

    shop.execute("CREATE TABLE missing (n int)")
    assert runs.phase("expand").outcome == "done"
    if count > STATEMENTS.index(FILL):
        assert shop.rows("SELECT count(*) FROM customers WHERE full_name = name") == [(400,)]


@pytest.mark.parametrize("seed", range(examples(2, 6)))
def test_a_way_back_whose_answers_are_lost_is_gone_once(
    make_database: MakeDatabase, seed: int
) -> None:
    shop = make_database(build)
    before = shop.as_built(facts)
    runs = Runs(shop, made_plan(("expand", upto(len(STATEMENTS)))))
    assert runs.phase("expand").outcome == "done"

    chance, plain, lost = random.Random(seed), runs.connect, 0

    def sometimes(text: str) -> None:
        if chance.random() < 0.25:
            lose_response(text)

    runs.connect = watched(plain, after=sometimes)
    result = None
    while result is None:
        try:
            result = runs.undo("expand", *ACCEPTED, files=("0001_expand",))
        except ConnectionLost:
            lost += 1
            assert lost < 200

    assert lost
    # The last answer too may be lost: then there is nothing left to undo.
    assert result.progress.detail in ("all of it is undone", "there is nothing to undo")
    assert facts(shop) == before


def test_a_phase_that_came_to_its_end_is_undone_only_by_name(make_database: MakeDatabase) -> None:
    shop = make_database(build)
    before = shop.as_built(facts)
    runs = Runs(shop, made_plan(("expand", STATEMENTS[0]), ("expand", STATEMENTS[9])))
    runs.phase("expand")
    there = facts(shop)

    assert runs.undo("expand").progress.detail == "there is nothing to undo"
    assert facts(shop) == there
    runs.undo("expand", files=("0002_expand",))
    assert [state for *_, state in runs.states()] == ["done", "undone"]
    runs.undo("expand", files=("0001_expand",))
    assert facts(shop) == before


def test_what_would_lose_data_is_named_and_nothing_is_undone(make_database: MakeDatabase) -> None:
    shop = make_database(build)
    runs = Runs(shop, made_plan(("expand", f"{STATEMENTS[1]};{STATEMENTS[3]}; ANALYZE customers")))
    runs.phase("expand")
    there = facts(shop)

    with pytest.raises(DataLoss, match="public.customers.full_name"):
        runs.undo("expand", "public.something.else", files=("0001_expand",))
    assert facts(shop) == there


def test_what_others_wrote_since_keeps_the_column_and_what_stands_before_it(
    make_database: MakeDatabase,
) -> None:
    shop = make_database(build)
    plan = made_plan(("expand", f"{STATEMENTS[0]};\n{STATEMENTS[1]}; SELECT count(*) FROM missing"))
    runs = Runs(shop, plan)
    runs.phase("expand")
    shop.execute("UPDATE customers SET full_name = 'Ada' WHERE id = 1")
    result = runs.undo("expand")

    assert result.progress.detail == "0001_expand:2 stays: it is in use"
    assert shop.rows("SELECT full_name FROM customers WHERE id = 1") == [("Ada",)]
    assert [state for *_, state in runs.states()] == ["done", "done", "pending"]


def test_what_somebody_writes_at_the_last_moment_is_seen_under_the_lock(
    make_database: MakeDatabase,
) -> None:
    shop = make_database(build)
    plan = made_plan(("expand", f"{STATEMENTS[1]}; SELECT count(*) FROM missing"))
    runs = Runs(shop, plan)
    runs.phase("expand")

    def write(text: str) -> None:
        if "DROP COLUMN" in text:
            shop.execute("UPDATE customers SET full_name = 'Ada' WHERE id = 1")

    runs.connect = watched(runs.connect, before=write)
    result = runs.undo("expand")

    assert "0001_expand:1 stays: it is in use" in result.progress.detail
    assert shop.rows("SELECT full_name FROM customers WHERE id = 1") == [("Ada",)]


def test_rows_that_a_policy_hides_are_seen_before_a_column_goes(
    make_database: MakeDatabase,
) -> None:
    """The proof would say that nobody wrote, for whom the rows are hidden."""
    shop = make_database(build)
    shop.execute(
        "CREATE ROLE hidden_from LOGIN",
        f'GRANT CREATE ON DATABASE "{shop.name}" TO hidden_from',
        "ALTER TABLE customers OWNER TO hidden_from",
        "ALTER TABLE customers ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE customers FORCE ROW LEVEL SECURITY",
        "CREATE POLICY few ON customers USING (id > 10)",
    )
    try:
        plan = made_plan(("expand", f"{STATEMENTS[1]}; SELECT count(*) FROM missing"))
        runs = Runs(shop, plan)
        runs.connect = connector(shop.dsn, user="hidden_from")
        runs.phase("expand")
        shop.execute("UPDATE customers SET full_name = 'Ada' WHERE id = 1")

        assert "0001_expand:1 stays" in runs.undo("expand").progress.detail
        assert shop.rows("SELECT full_name FROM customers WHERE id = 1") == [("Ada",)]
    finally:
        shop.execute("DROP OWNED BY hidden_from CASCADE", "DROP ROLE hidden_from")
