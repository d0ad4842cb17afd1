"""What a change of a column's type costs, for every pair of many types, as PostgreSQL does it."""

import functools

import psycopg
import pytest

from benchmarks.live_catalog import live_catalog
from greenlane.migrations.sql.parsing import parse_script
from greenlane.migrations.validating.types import keeps_rows, printed_type, type_of
from tests.postgres import MakeDatabase

USERS = """
CREATE DOMAIN plain AS text;
CREATE DOMAIN short AS varchar(5);
CREATE DOMAIN tight AS text CHECK (VALUE <> '');
CREATE DOMAIN nested AS plain;
CREATE TYPE mood AS ENUM ('a');
"""
TYPES = (
    *("smallint", "integer", "bigint", "oid", "regclass", "regtype", "real", "double precision"),
    *("numeric", "numeric(6,2)", "numeric(8,2)", "numeric(8,3)", "numeric(8)", "money"),
    *("text", "varchar", "varchar(5)", "varchar(10)", "char(3)", "char(5)", "bpchar", '"char"'),
    *("name", "bytea", "bit(3)", "bit(5)", "bit varying", "bit varying(3)", "bit varying(5)"),
    *("boolean", "date", "time", "time(3)", "timetz", "timestamp", "timestamp(3)", "timestamp(0)"),
    *("timestamptz", "timestamptz(3)", "timestamptz(6)", "interval", "interval(2)", "interval(6)"),
    *("interval day to second", "inet", "cidr", "uuid", "json", "jsonb", "xml"),
    *("text[]", "varchar[]", "varchar(5)[]", "varchar(9)[]", "integer[]", "bigint[]", "numeric[]"),
    *("plain", "short", "tight", "nested", "mood", "int4range", "tsvector"),
)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_every_pair_of_types_costs_what_is_told(make_database: MakeDatabase, zone: str) -> None:
    database = make_database()
    database.execute(USERS)
    wrong, seen = [], 0
    with database.connect() as connection:
        types = live_catalog(connection).types
        connection.execute(f"SET TimeZone = '{zone}'".encode())
        for old in TYPES:
            connection.execute(f"CREATE TABLE t (c {old})".encode())
            file, its = _file(connection), _type(connection)
            for new in TYPES:
                kept = _keeps(connection, file, new)
                if kept is None:
                    continue  # there is no such cast
                seen += 1
                told = keeps_rows(its, _given(new), utc=zone == "UTC", types=types)
                if told != kept:
                    wrong.append(f"{old} to {new}: kept {kept}, told {told}")
            connection.execute(b"DROP TABLE t")

    assert wrong == []
    assert seen > 1000


def _file(connection: psycopg.Connection) -> object:
    return connection.execute("SELECT pg_relation_filenode('t')").fetchone()


def _keeps(connection: psycopg.Connection, file: object, new: str) -> bool | None:
    """Whether the table's file stays; all is as before afterwards."""
    try:
        with connection.transaction():
            connection.execute(f"ALTER TABLE t ALTER COLUMN c TYPE {new}".encode())
            after = _file(connection)
            raise psycopg.Rollback()
    except psycopg.DatabaseError:
        return None
    return file == after


def _type(connection: psycopg.Connection):
    query = (
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = 't'::regclass AND attname = 'c'"
    )
    (row,) = connection.execute(query).fetchall()
    return printed_type(row[0])


@functools.cache
def _given(new: str):
    command = parse_script(f"ALTER TABLE t ALTER COLUMN c TYPE {new}").statements[0].node["cmds"][0]
    return type_of(command["alter_table_cmd"]["def"]["column_def"]["type_name"])


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("varchar(40)", "character varying(40)"),
        ("int8", "bigint"),
        ("timestamp(3) with time zone", "timestamp(3) with time zone"),
        ("timestamptz", "timestamp with time zone"),
        ("numeric(10,2)[]", "numeric(10,2)[]"),
        ("sales.mood", "sales.mood"),
        ('"char"', '"char"'),
        ("double precision", "double precision"),
    ],
)
def test_a_written_type_is_printed_as_the_catalog_prints_it(written: str, printed: str) -> None:
    assert str(_given(written)) == printed
    assert printed_type(printed) == _given(written)


def test_a_type_that_nobody_knows_is_not_judged() -> None:
    old, new = printed_type("integer"), printed_type("sales.unheard_of")

    assert keeps_rows(old, new, utc=True, types={}) is None
