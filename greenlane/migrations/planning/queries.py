"""Queries as a version writes them that knows a table as it is now."""

from collections.abc import Iterable

from greenlane.migrations.catalog.model import Table
from greenlane.migrations.inverting.before import name_of
from greenlane.migrations.sql.names import quoted


def queries_of(table: Table, columns: Iterable[str] | None = None) -> tuple[str, ...]:
    """A read and both kinds of writes that name columns, and change nothing.

    Args:
        table: the table.
        columns: those that matter; all that can be written if None.
    """
    of = name_of(table)
    wanted = set(columns) if columns is not None else None
    names = [
        quoted(one.name)
        for one in table.columns
        if not one.generated and one.identity != "always" and (wanted is None or one.name in wanted)
    ]
    listed = ", ".join(names)
    sets = ", ".join(f"{one} = {one}" for one in names)
    return (
        f"SELECT {listed} FROM {of} LIMIT 1",
        f"INSERT INTO {of} ({listed}) SELECT {listed} FROM {of} WHERE false",
        f"UPDATE {of} SET {sets} WHERE false",
    )
