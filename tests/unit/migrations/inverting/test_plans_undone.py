"""Plans that stop anywhere go back to where they began."""

from collections.abc import Sequence

import psycopg
import pytest

from benchmarks.live_catalog import live_catalog
from greenlane.errors import DataLoss
from greenlane.migrations.inverting import create_rollback_plan, grade_inverse
from greenlane.migrations.inverting.rollback import Applied
from greenlane.migrations.sql.parsing import parse_script
from tests.databases import build_shop, facts, run
from tests.effort import part
from tests.postgres import Database, MakeDatabase

PLAN = """
CREATE TABLE lines (id bigint PRIMARY KEY, order_id integer, amount numeric);
INSERT INTO lines SELECT id, id, price FROM orders;
ALTER TABLE customers ADD COLUMN IF NOT EXISTS display_name text;
ALTER TABLE customers ADD COLUMN IF NOT EXISTS city text;
CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN NEW.display_name := NEW.name; RETURN NEW; END';
UPDATE customers SET display_name = "Full Name" WHERE display_name IS DISTINCT FROM "Full Name";
CREATE INDEX CONCURRENTLY customers_display_name_idx ON customers (display_name);
ALTER TABLE orders VALIDATE CONSTRAINT orders_placed_check;
ALTER TABLE orders ALTER COLUMN placed SET NOT NULL, ALTER COLUMN price SET NOT NULL;
DROP INDEX "Customers City";
GRANT SELECT ON lines, customers TO writer;
ALTER TABLE customers RENAME COLUMN score TO points;
"""
STATEMENTS = parse_script(PLAN, "0007_names").statements


def carry_out(
    database: Database, sql: str = PLAN, upto: int | None = None, after: Sequence[Applied] = ()
) -> list[Applied]:
    """Run statements as a runner does: each graded by the catalog right before it."""
    applied = list(after)
    made = [name for one in applied for name in one.inverse.makes]
    for one in parse_script(sql, "0007_names").statements[len(applied) : upto]:
        with database.connect() as connection:
            inverse = grade_inverse(one, live_catalog(connection), made=made)
        made += inverse.makes
        run(database, [one.text])
        applied.append(
            Applied(
                migration="0007_names",
                statement=one.index,
                line=one.line,
                sql=one.text,
                inverse=inverse,
            )
        )
    return applied


@pytest.mark.parametrize("upto", part(range(1, len(STATEMENTS) + 1), 2, len(STATEMENTS) - 1))
def test_every_prefix_of_a_plan_goes_back_to_the_start(
    make_database: MakeDatabase, upto: int
) -> None:
    database = make_database(build_shop)
    before = database.as_built(facts)
    applied = carry_out(database, upto=upto)
    assert facts(database) != before

    plan = create_rollback_plan(applied, unwritten=True, exact_only=True)
    run(database, [plan.script().text])

    assert (plan.left, plan.loses) == ((), ())
    assert facts(database) == before


def test_what_cannot_be_undone_stops_an_automatic_way_back_in_a_state_of_the_plan(
    make_database: MakeDatabase,
) -> None:
    database = make_database(build_shop)
    sql = (
        "ALTER TABLE notes ADD COLUMN author text;\n"
        "ALTER TYPE mood ADD VALUE 'sent';\n"
        "CREATE TABLE lines (id integer);\n"
        "INSERT INTO lines VALUES (1);\n"
        "COMMENT ON TABLE lines IS 'new'"
    )
    applied = carry_out(database, sql, upto=2)
    state = facts(database)
    applied = carry_out(database, sql, after=applied)

    plan = create_rollback_plan(applied, unwritten=True, exact_only=True)
    run(database, [plan.script().text])

    assert [one.of.line for one in plan.left] == [2, 1]
    assert facts(database) == state


def test_rows_that_stay_keep_the_table_of_the_plan_that_they_are_in(
    make_database: MakeDatabase,
) -> None:
    database = make_database(build_shop)
    sql = (
        "CREATE TABLE lines (id integer);\n"
        "ALTER TYPE mood ADD VALUE 'sent';\n"
        "INSERT INTO lines VALUES (1);\n"
        "CREATE INDEX lines_id_idx ON lines (id)"
    )
    applied = carry_out(database, sql)

    plan = create_rollback_plan(applied, unwritten=True, exact_only=True)

    # The INSERT goes with its table only, and that cannot be reached.
    assert [one.of.line for one in plan.steps] == [4]
    assert [one.of.line for one in plan.left] == [3, 2, 1]


def test_a_way_back_that_loses_data_is_refused_until_each_object_is_named(
    make_database: MakeDatabase,
) -> None:
    database = make_database(build_shop)
    sql = (
        "ALTER TABLE notes ADD COLUMN key uuid DEFAULT gen_random_uuid();\n"
        'ALTER TABLE customers DROP COLUMN "Full Name";\n'
        "INSERT INTO notes VALUES ('x', '2026-01-01')"
    )
    applied = carry_out(database, sql)
    objects = ("0007_names:3", 'public.customers."Full Name"', "public.notes.key")

    with pytest.raises(DataLoss) as refused:
        create_rollback_plan(applied)
    with pytest.raises(DataLoss) as refused_still:
        create_rollback_plan(applied, accept_data_loss=objects[:2])
    plan = create_rollback_plan(applied, accept_data_loss=objects)

    assert refused.value.objects == objects
    assert f"--accept-data-loss {objects[1]}" in str(refused.value)
    assert refused_still.value.objects == objects[2:]
    assert [one.of.line for one in plan.steps] == [2, 1]
    assert [one.of.line for one in plan.left] == [3]
    assert plan.loses == objects[1:]
    run(database, [plan.script().text])


def test_what_the_plan_itself_filled_is_not_proven_unwritten(make_database: MakeDatabase) -> None:
    database = make_database(build_shop)
    sql = (
        "ALTER TABLE notes ADD COLUMN author text;\nALTER TABLE notes ADD COLUMN stars integer;\n"
        "UPDATE notes SET author = body WHERE author IS DISTINCT FROM body"
    )
    applied = carry_out(database, sql)

    with pytest.raises(DataLoss) as refused:
        create_rollback_plan(applied)
    plan = create_rollback_plan(applied, accept_data_loss=["public.notes.author"])

    assert refused.value.objects == ("public.notes.author",)
    assert [bool(one.proof) for one in plan.steps] == [False, True, False]


def test_a_drop_of_what_something_else_came_to_use_fails_and_changes_nothing(
    make_database: MakeDatabase,
) -> None:
    database = make_database(build_shop)
    applied = carry_out(database, "ALTER TABLE notes ADD COLUMN author text")
    database.execute("CREATE VIEW authors AS SELECT author FROM notes")
    before = facts(database)

    plan = create_rollback_plan(applied, unwritten=True)
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        run(database, [plan.script().text])

    assert facts(database) == before
