"""The catalog of a live database, as the product reads it, over a plain connection."""

from typing import Any

import psycopg
from psycopg.rows import dict_row

from greenlane.migrations.catalog.model import Catalog
from greenlane.migrations.catalog.reading import Row, read_catalog

Connection = psycopg.Connection[Any]


class Asked:
    """A connection that answers the catalog's queries."""

    def __init__(self, connection: Connection) -> None:
        """See the class."""
        self._connection = connection

    def rows(self, query: str) -> list[Row]:
        """All rows, by the names of their columns."""
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query.encode()).fetchall()


def live_catalog(connection: Connection) -> Catalog:
    """Of the whole database, as the connection's transaction sees it."""
    return read_catalog(Asked(connection))
