"""Sessions of one database that are kept for whoever comes next."""

import selectors
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus


class Sessions:
    """See the module: each new session would cost the server some milliseconds.

    Whoever takes one has it alone and finds it as new; who closes it, or leaves a transaction open
    in it, only ends that one. It is the superuser's, and commits by itself.

    Args:
        dsn: of the database.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._free: list[psycopg.Connection[Any]] = []

    @contextmanager
    def one(self) -> Iterator[psycopg.Connection[Any]]:
        """A session for a `with` block."""
        connection = self._taken()
        try:
            yield connection
        finally:
            if connection.info.transaction_status is TransactionStatus.IDLE:
                connection.execute(b"DISCARD ALL")
                self._free.append(connection)
            else:
                connection.close()

    def close(self) -> None:
        """End those that nobody has."""
        while self._free:
            self._free.pop().close()

    def _taken(self) -> psycopg.Connection[Any]:
        while self._free:
            connection = self._free.pop()
            if not _spoken_to(connection):
                return connection
            connection.close()
        # What psycopg would prepare goes with DISCARD ALL.
        return psycopg.connect(self._dsn, autocommit=True, prepare_threshold=None)


def _spoken_to(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server has said something unasked: that it has ended the session."""
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        return bool(selector.select(0))
