"""Databases for tests of migrations: what is in them, and what can be compared of them."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import psycopg
import yaml

from greenlane.migrations.sql.parsing import parse_script
from tests.postgres import Database

INVERSES = Path(__file__).parent / "data" / "migrations" / "inverses.yaml"
ROLES = ("reader", "writer")


class Facts(NamedTuple):
    """All that is in a database: what `pg_dump -s` says, and the rows of each table, sorted."""

    schema: str
    rows: dict[str, list[str]]


def build_shop(database: Database) -> None:
    """A database with something of each kind."""
    make_roles(database)
    with database.connect() as connection:
        connection.execute(yaml.safe_load(INVERSES.read_text())["setup"].encode())


def make_roles(database: Database) -> None:
    """Roles belong to the server, so they may be there already."""
    with database.connect(autocommit=True) as connection:
        for role in ROLES:
            try:
                connection.execute(f"CREATE ROLE {role}".encode())
            except psycopg.errors.DuplicateObject:
                continue


def run(database: Database, statements: Iterable[str]) -> None:
    """Each statement of each script on its own, outside of a transaction block."""
    texts = [one.text for sql in statements for one in parse_script(sql).statements]
    database.execute(*texts)


def facts(database: Database) -> Facts:
    """What can be compared."""
    with database.connect() as connection:
        tables = connection.execute(
            "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n "
            "ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'm') "
            "AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
        ).fetchall()
        rows = {
            table: sorted(
                str(row)
                for (row,) in connection.execute(f"SELECT t::text FROM {table} AS t".encode())
            )
            for (table,) in tables
        }
    return Facts(without_noise(database.schema()), rows)


def statements_of(dump: str) -> list[str]:
    """A dump's statements, sorted, and the columns of each table too: order has no meaning."""
    found = []
    for one in parse_script(dump).statements:
        text = one.text
        if one.kind == "create_stmt":
            head, _, body = text.partition("(\n")
            lines = sorted(line.strip().rstrip(",") for line in body.splitlines()[:-1])
            text = f"{head}({', '.join(lines)}{body.splitlines()[-1]}"
        if one.kind not in ("variable_set_stmt", "select_stmt"):
            found.append(text)
    return sorted(found)


def without_noise(dump: str) -> str:
    """Without blank lines and comments, of which a dump's order decides."""
    lines = [one for one in dump.splitlines() if one.strip() and not one.startswith("--")]
    return re.sub(r"\n+", "\n", "\n".join(lines))
