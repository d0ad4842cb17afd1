"""Tables come back by the statements that are printed, run as they are on a real PostgreSQL."""

import os
import subprocess
from pathlib import Path

import pytest

from greenlane.migrations.restoring.salvaging import SIDE, SalvageStep, salvage
from tests.postgres import Database, MakeDatabase
from tests.restored_pair import ACCIDENT, BEFORE, TABLES, Pair


def build(database: Database) -> None:
    database.execute(BEFORE)


@pytest.fixture
def pair(make_database: MakeDatabase) -> Pair:
    made = Pair(old=make_database(build), new=make_database(build))
    made.old.execute(ACCIDENT)
    return made


def steps_of(pair: Pair, tables: tuple[str, ...] = TABLES) -> tuple[SalvageStep, ...]:
    looked = pair.look(tables=tables)
    return salvage(looked, tables, pair.endpoint(pair.new), pair.endpoint(pair.old))


def carry_out(pair: Pair, steps: tuple[SalvageStep, ...]) -> list[list[tuple[object, ...]]]:
    """Run each step as a person would; what its queries say."""
    found = []
    for step in steps:
        if step.where == "shell":
            folder = str(Path(pair.old.server.binary("psql")).parent)
            given = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
            command = ["bash", "-o", "pipefail", "-c", step.text]
            done = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{step.text}: {done.stderr}"
            continue
        database = pair.new if step.where == "new" else pair.old
        with database.connect(autocommit=True) as connection:
            cursor = connection.execute(step.text.encode())
            if cursor.description is not None and step.text.startswith("SELECT"):
                found.append(cursor.fetchall())
    return found


def test_rows_columns_and_tables_that_are_gone_come_back(pair: Pair) -> None:
    carry_out(pair, steps_of(pair))

    people = dict(pair.old.rows("SELECT id, name FROM people"))
    assert {n: people[n] for n in range(1, 101)} == {n: f"name {n}" for n in range(1, 101)}
    orders = 'SELECT person, place FROM "Odd Orders" ORDER BY 1, 2'
    assert pair.old.rows(orders) == pair.new.rows(orders)
    lines = "SELECT said FROM audit ORDER BY 1"
    assert pair.old.rows(lines) == pair.new.rows(lines)
    index = "SELECT indexname FROM pg_indexes WHERE tablename = 'audit'"
    assert pair.old.rows(index) == [("audit_said",)]


def test_what_was_written_since_stays(pair: Pair) -> None:
    carry_out(pair, steps_of(pair))

    assert pair.old.rows("SELECT email FROM people WHERE id = 60") == [("new@example.org",)]
    later = pair.old.rows("SELECT name FROM people WHERE email = 'later@example.org'")
    assert later == [(None,)], "nobody knows the name of a row that came since"


def test_rows_that_differ_and_rows_without_a_key_are_shown_and_not_changed(pair: Pair) -> None:
    shown = carry_out(pair, steps_of(pair))

    assert [(60,)] in shown
    assert [("b",)] in shown
    assert pair.old.rows("SELECT said FROM keyless ORDER BY 1") == [("a",), ("a",)]


def test_the_commented_statement_takes_one_row_back(pair: Pair) -> None:
    steps = steps_of(pair)
    carry_out(pair, steps[:-1])
    look_at = next(one for one in steps if "rows that differ" in one.title and "people" in one.text)

    lines = [one.removeprefix("-- ") for one in look_at.text.splitlines() if one[:3] == "-- "]
    pair.old.execute("\n".join(lines).replace("(...)", "(60)"))

    assert pair.old.rows("SELECT email FROM people WHERE id = 60") == [("60@example.org",)]


def test_once_more_changes_nothing(pair: Pair) -> None:
    tables = ("public.people", "public.Odd Orders", "public.keyless")
    carry_out(pair, steps_of(pair, tables))
    rows = pair.old.rows("SELECT * FROM people ORDER BY id")
    pair.new.execute(f"DROP SCHEMA {SIDE} CASCADE")

    carry_out(pair, steps_of(pair, tables))

    assert pair.old.rows("SELECT * FROM people ORDER BY id") == rows
    gone = f"SELECT count(*) FROM pg_namespace WHERE nspname = '{SIDE}'"
    assert pair.old.rows(gone) == [(0,)], "the copies are taken away at the end"


def test_the_new_database_keeps_what_it_holds(pair: Pair) -> None:
    before = pair.new.rows("SELECT * FROM people ORDER BY id")

    carry_out(pair, steps_of(pair))

    assert pair.new.rows("SELECT * FROM people ORDER BY id") == before


def test_each_step_says_what_it_may_lose_or_leave(pair: Pair) -> None:
    said = " ".join(one.title for one in steps_of(pair))

    assert "Foreign keys of other tables to it do not come along" in said
    assert "without their defaults, constraints and indexes" in said
    assert "those that were deleted since on purpose come back too" in said
    assert "what was written to it since is lost" in said


def test_nothing_of_a_table_that_is_in_neither_is_copied(pair: Pair) -> None:
    assert steps_of(pair, ("public.never",)) == ()
