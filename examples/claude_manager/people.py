"""Whom Claude Code Manager knows, in PostgreSQL: for the versions that rename a column under load.

Each visit writes the visitor's row and reads it again, in the column that this version knows.
"""

import asyncio

import psycopg
from psycopg import sql

CONNECTIONS = 4
PATIENCE_SECONDS = 5.0

_WRITE = sql.SQL(
    "INSERT INTO people (visitor, {column}) VALUES (%(visitor)s, %(name)s) "
    "ON CONFLICT (visitor) DO UPDATE SET {column} = excluded.{column}, visits = people.visits + 1"
)
_READ = sql.SQL("SELECT {column} FROM people WHERE visitor = %(visitor)s")


class People:
    """The table `people`, as a version sees it.

    Args:
        dsn: where it is, as libpq takes it.
        column: how this version calls a person's name.
    """

    def __init__(self, dsn: str, column: str) -> None:
        """See the class; `open` connects."""
        name = sql.Identifier(column)
        self.dsn = dsn
        self._write, self._read = (one.format(column=name) for one in (_WRITE, _READ))
        self._free: asyncio.Queue[psycopg.AsyncConnection | None] = asyncio.Queue()
        for _ in range(CONNECTIONS):
            self._free.put_nowait(None)

    async def visit(self, visitor: str, version: str) -> bool:
        """Whether what was written of the visitor is what is read."""
        connection = await self._free.get()
        try:
            if connection is None or connection.closed:
                connection = await psycopg.AsyncConnection.connect(self.dsn, autocommit=True)
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._visit(connection, visitor, f"{visitor} of {version}")
        except (psycopg.Error, TimeoutError) as error:
            print(f"people: {error}", flush=True)
            if connection is not None:
                await connection.close()
            return False
        finally:
            self._free.put_nowait(connection)

    async def close(self) -> None:
        """End all connections."""
        for _ in range(CONNECTIONS):
            connection = await self._free.get()
            if connection is not None:
                await connection.close()

    async def _visit(self, connection: psycopg.AsyncConnection, visitor: str, name: str) -> bool:
        values = {"visitor": visitor, "name": name}
        async with connection.transaction():
            await connection.execute(self._write, values)
            answer = await connection.execute(self._read, values)
            return await answer.fetchone() == (name,)
