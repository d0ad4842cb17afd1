"""A session by psycopg: straight to the writer, for the runner sets and locks things in it."""

import selectors
import time
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.rows import dict_row

from greenlane.migrations.running.session import (
    Connect,
    ConnectionLost,
    Row,
    StatementFailed,
    StillRunning,
    is_gone,
)

CONNECT_SECONDS = 10
_ALIVE: dict[str, Any] = {
    # A network that drops packets would otherwise hold a function until it is ended.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE)
_COPIES = (ExecStatus.COPY_IN, ExecStatus.COPY_OUT, ExecStatus.COPY_BOTH)


def connect(
    conninfo: str, *, application_name: str, read_only: bool = False, **options: Any
) -> "PsycopgSession":
    """Open a session.

    Args:
        conninfo: libpq's connection string.
        application_name: as others see it in `pg_stat_activity`.
        read_only: whether every transaction is.
        options: more of libpq's parameters, such as `password`.

    Raises:
        ConnectionLost: there is no such database, nobody answers, or sign-in is refused.
    """
    try:
        connection = psycopg.connect(
            conninfo,
            autocommit=True,
            prepare_threshold=None,
            **(
                _ALIVE
                | {"connect_timeout": CONNECT_SECONDS}
                | options
                | {"application_name": application_name, "client_encoding": "utf8"}
            ),
        )
    except psycopg.OperationalError as error:
        # libpq gives no SQLSTATE of a connection that did not come about, only the server's words.
        message = str(error).strip()
        raise ConnectionLost(error.sqlstate or "08001", type(error).__name__, message) from error
    session = PsycopgSession(connection)
    if read_only:
        session.run("SET default_transaction_read_only = on")
    return session


def connector(conninfo: str, **options: Any) -> Connect:
    """What opens sessions with one connection string."""
    return lambda name: connect(conninfo, application_name=name, **options)


class PsycopgSession:
    """See `greenlane.migrations.running.session.Session`."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        """See the class."""
        self._connection = connection
        self._pid = connection.info.backend_pid

    @property
    def pid(self) -> int:
        """Of its backend."""
        return self._pid

    def rows(self, query: str, parameters: Mapping[str, object] | None = None) -> list[Row]:
        """All rows of one query."""
        try:
            with self._connection.cursor(row_factory=dict_row) as cursor:
                return cursor.execute(query.encode(), parameters).fetchall()
        except psycopg.Error as error:
            raise self._failure(error) from error

    def run(self, text: str, seconds: float | None = None) -> None:
        """Run one or more statements; see the protocol."""
        ends = None if seconds is None else time.monotonic() + seconds
        try:
            failure = self._exchange(text, ends)
            if failure is not None:
                self._roll_back()
                raise failure
        except psycopg.Error as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """End it."""
        self._connection.close()

    def __enter__(self) -> "PsycopgSession":
        """Itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """End it."""
        self.close()

    def _exchange(self, text: str, ends: float | None) -> StatementFailed | None:
        """Send it, and take all results; psycopg's own loop has no end but the last result."""
        pgconn = self._connection.pgconn
        failure = None
        with selectors.DefaultSelector() as selector:
            pgconn.send_query(text.encode())
            key = selector.register(pgconn.socket, selectors.EVENT_WRITE)
            while pgconn.flush():
                selector.select(_left(ends))
                self._give_up_after(ends)
                pgconn.consume_input()
            selector.modify(key.fileobj, selectors.EVENT_READ)
            while True:
                while pgconn.is_busy():
                    if not selector.select(_left(ends)):
                        self._give_up_after(ends)
                    else:
                        pgconn.consume_input()
                result = pgconn.get_result()
                if result is None:
                    break
                if result.status in _COPIES:
                    # It would be told again for ever, until somebody sends or takes the rows.
                    self.close()
                    said = "COPY FROM STDIN and TO STDOUT have nobody here who sends or takes rows"
                    return StatementFailed("0A000", "FeatureNotSupported", said)
                if result.status in _FAILED and failure is None:
                    failure = self._failure(psycopg.errors.error_from_result(result))
        if pgconn.status != ConnStatus.OK and not isinstance(failure, ConnectionLost):
            said = failure.message if failure is not None else "the server closed the connection"
            failure = ConnectionLost("08006", "ConnectionFailure", said)
        return failure

    def _give_up_after(self, ends: float | None) -> None:
        if ends is not None and time.monotonic() >= ends:
            # The backend notices no sooner than its statement has ended, and ends then.
            self.close()
            raise StillRunning(self._pid)

    def _roll_back(self) -> None:
        if self._connection.info.transaction_status in (
            TransactionStatus.INERROR,
            TransactionStatus.INTRANS,
        ):
            self._connection.rollback()

    def _failure(self, error: psycopg.Error) -> StatementFailed:
        sqlstate = error.sqlstate or ""
        said = error.diag.message_primary or str(error).strip()
        lost = self._connection.closed or self._connection.broken or is_gone(sqlstate)
        kind = ConnectionLost if lost else StatementFailed
        return kind(
            sqlstate or ("08006" if lost else "XX000"),
            type(error).__name__,
            said,
            error.diag.message_detail or "",
            error.diag.message_hint or "",
            int(error.diag.statement_position or 0) or None,
        )


def _left(ends: float | None) -> float | None:
    return None if ends is None else max(0.0, ends - time.monotonic())
