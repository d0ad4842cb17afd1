"""While two versions write, each in its own way, both read what was written last."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenlane.migrations.planning import changes
from greenlane.migrations.planning.model import PlannedChange
from greenlane.migrations.sql.parsing import parse_script
from tests.postgres import Database, MakeDatabase
from tests.unit.migrations.planning.carrying_out import catalog_of

VALUES = st.sampled_from(["a", "b", "", "ü", None])
ROWS = range(4)
WRITES = st.tuples(
    st.sampled_from(["old", "new"]),
    st.sampled_from(["insert", "update", "upsert", "delete", "other"]),
    st.sampled_from(ROWS),
    VALUES,
)
STEPS = st.lists(st.one_of(WRITES, st.just(("fill", "", 0, None))), max_size=12)

Connection = psycopg.Connection[Any]


def build(database: Database) -> None:
    database.execute(
        "CREATE TABLE people (id integer PRIMARY KEY, name text, visits integer DEFAULT 0)",
        "INSERT INTO people (id, name) VALUES (0, 'x'), (1, NULL)",
    )


class Model:
    """What both versions should see, and which rows have both columns filled."""

    def __init__(self) -> None:
        self.names: dict[int, str | None] = {0: "x", 1: None}
        self.filled: set[int] = set()

    def write(self, version: str, row: int, value: str | None) -> None:
        # To a version that knows the new column only, a row that is not filled is NULL already:
        # its NULL changes nothing, and is told in the notes of the plan.
        if not (version == "new" and value is None and row not in self.filled):
            self.names[row] = value
        self.filled.add(row)


def step(connection: Connection, model: Model, change: PlannedChange, one: Any) -> None:
    version, what, row, value = one
    column = {"old": "name", "new": "full_name"}.get(version)
    if version == "fill":
        connection.execute(parse_script(change.files[1].sql).statements[0].text.encode())
        model.filled |= set(model.names)
    elif what == "insert" and row not in model.names:
        query = f"INSERT INTO people (id, {column}) VALUES (%s, %s)"
        connection.execute(query.encode(), [row, value])
        model.names[row] = value
        model.filled.add(row)
    elif what == "upsert":
        connection.execute(
            f"INSERT INTO people (id, {column}) VALUES (%s, %s) ON CONFLICT (id) DO UPDATE "
            f"SET {column} = EXCLUDED.{column}".encode(),
            [row, value],
        )
        if row not in model.names:
            model.filled.add(row)
            model.names[row] = value
        else:
            model.write(version, row, value)
    elif what == "update" and row in model.names:
        connection.execute(f"UPDATE people SET {column} = %s WHERE id = %s".encode(), [value, row])
        model.write(version, row, value)
    elif what == "other" and row in model.names:
        connection.execute(b"UPDATE people SET visits = visits + 1 WHERE id = %s", [row])
        model.filled.add(row)
    elif what == "delete":
        connection.execute(b"DELETE FROM people WHERE id = %s", [row])
        model.names.pop(row, None)
        model.filled.discard(row)


@contextmanager
def undone(connection: Connection) -> Iterator[None]:
    """A transaction that leaves nothing."""
    yield
    connection.rollback()


@pytest.fixture
def expanded(make_database: MakeDatabase) -> tuple[Database, PlannedChange]:
    database = make_database(build)
    change = changes.rename_column("people", "name", "full_name", database.as_built(catalog_of))
    database.execute(*(one.text for one in parse_script(change.files[0].sql).statements))
    return database, change


@pytest.fixture
def connection(expanded: tuple[Database, PlannedChange]) -> Iterator[Connection]:
    database, _ = expanded
    with database.connect() as connection:
        yield connection


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_both_versions_read_what_was_written_last_whoever_wrote_it(
    expanded: tuple[Database, PlannedChange], connection: Connection, steps: list[Any]
) -> None:
    _, change = expanded
    model = Model()
    with undone(connection):
        for one in steps:
            step(connection, model, change, one)

            found = connection.execute(b"SELECT id, name, full_name FROM people").fetchall()

            assert {row: name for row, name, _ in found} == model.names
            assert {row: new for row, _, new in found if row in model.filled} == {
                row: name for row, name in model.names.items() if row in model.filled
            }


def test_if_a_write_changes_both_the_new_column_wins(
    expanded: tuple[Database, PlannedChange],
) -> None:
    database, _ = expanded
    database.execute(
        "INSERT INTO people (id, name, full_name) VALUES (7, 'old', 'new')",
        "UPDATE people SET name = 'older', full_name = 'newer' WHERE id = 0",
    )

    assert database.rows("SELECT name, full_name FROM people WHERE id IN (0, 7) ORDER BY id") == [
        ("newer", "newer"),
        ("new", "new"),
    ]


def test_filling_again_writes_nothing(expanded: tuple[Database, PlannedChange]) -> None:
    database, change = expanded
    (fill,) = (one.text for one in parse_script(change.files[1].sql).statements)
    with database.connect() as connection:
        counts = [connection.execute(fill.encode()).rowcount for _ in range(2)]

    assert counts == [1, 0]


def test_a_copy_from_outside_fills_both(expanded: tuple[Database, PlannedChange]) -> None:
    database, _ = expanded
    with (
        database.connect() as connection,
        connection.cursor().copy("COPY people (id, name) FROM STDIN") as copy,
    ):
        copy.write_row((8, "copied"))

    assert database.rows("SELECT full_name FROM people WHERE id = 8") == [("copied",)]


def test_a_trigger_that_changes_the_old_column_is_followed(make_database: MakeDatabase) -> None:
    database = make_database(build)
    database.execute(
        "CREATE FUNCTION neat() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN new.name := btrim(new.name); RETURN new; END'",
        "CREATE TRIGGER people_neat BEFORE INSERT OR UPDATE ON people "
        "FOR EACH ROW EXECUTE FUNCTION neat()",
    )
    change = changes.rename_column("people", "name", "full_name", catalog_of(database))
    database.execute(*(one.text for one in parse_script(change.files[0].sql).statements))

    database.execute("INSERT INTO people (id, name) VALUES (9, '  Ada ')")

    assert database.rows("SELECT full_name FROM people WHERE id = 9") == [("Ada",)]


def test_a_function_that_names_the_column_is_pointed_out(make_database: MakeDatabase) -> None:
    database = make_database(build)
    database.execute(
        "CREATE FUNCTION loud(wanted integer) RETURNS text LANGUAGE sql AS "
        "'SELECT upper(name) FROM people WHERE id = wanted'"
    )

    change = changes.rename_column("people", "name", "full_name", catalog_of(database))

    assert any("public.loud(wanted integer)" in one for one in change.notes)
