"""What the runner needs of a connection, whatever the driver: few calls, plain text, plain rows."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from greenlane.errors import GreenlaneError

Row = dict[str, Any]

LOCK_NOT_AVAILABLE = "55P03"
DEADLOCK = "40P01"
QUERY_CANCELED = "57014"
INSUFFICIENT_PRIVILEGE = "42501"
READ_ONLY = "25006"
FENCE_LOST = "GL001"
"""Raised by our own blocks in the database, as the two below; PostgreSQL leaves this class free."""
WRITTEN = "GL002"
ALREADY_DONE = "GL003"

_GONE = ("08", "57P")
"""Classes of SQLSTATE after which a session is of no use: connection exceptions, and a server that
shuts down or starts up (PostgreSQL documentation, appendix A)."""


_PASSING = ("40", "53", "55", "57")
"""Classes of what may pass: a rollback that others caused, resources, objects in use, operators."""


class StatementFailed(GreenlaneError):
    """The database refused a statement; its transaction is rolled back.

    Args:
        sqlstate: five characters.
        condition: its name, such as `UniqueViolation`.
        message: the server's.
        detail: more of it.
        hint: what the server proposes.
        position: where in the text that was sent, in characters from 1; None where it says none.
    """

    def __init__(
        self,
        sqlstate: str,
        condition: str,
        message: str,
        detail: str = "",
        hint: str = "",
        position: int | None = None,
    ) -> None:
        """See the class."""
        self.position = position
        self.sqlstate, self.condition = sqlstate, condition
        self.message, self.detail, self.hint = message, detail, hint
        more = "".join(f" ({one})" for one in (detail, hint) if one)
        super().__init__(f"{condition} ({sqlstate}): {message}{more}")

    def lines_into(self, sent: str, part: str) -> int | None:
        """How many lines into one part of the text that was sent the error stands, if it does."""
        if self.position is None:
            return None
        offset = self.position - 1 - sent.find(part)
        return part[:offset].count("\n") if 0 <= offset <= len(part) else None

    @property
    def told(self) -> str:
        """The server's message with what it says besides."""
        return ". ".join(
            one.strip().rstrip(".") for one in (self.message, self.detail, self.hint) if one
        )


class ConnectionLost(StatementFailed):
    """The session is gone. Whether its last statement was committed is for the ledger to say."""


class StillRunning(GreenlaneError):
    """The time for a statement is over. The session was given up, and its backend goes on.

    Args:
        pid: of the backend.
    """

    def __init__(self, pid: int) -> None:
        """See the class."""
        self.pid = pid
        super().__init__(f"backend {pid} goes on")


def is_gone(sqlstate: str) -> bool:
    """Whether an error of this SQLSTATE means that the session is lost."""
    return sqlstate.startswith(_GONE)


def is_passing(sqlstate: str) -> bool:
    """Whether the same may go well a little later: resources, locks and what others do."""
    return sqlstate.startswith(_PASSING)


class Session(Protocol):
    """One session of a database; every text runs in a transaction of its own unless it has one."""

    @property
    def pid(self) -> int:
        """Of its backend."""
        ...

    def rows(self, query: str, parameters: Mapping[str, object] | None = None) -> list[Row]:
        """All rows of one query, by the names of its columns.

        Args:
            query: with `%(name)s` for parameters, if there are any; then `%` is written `%%`.
            parameters: their values.

        Raises:
            StatementFailed: the database refused it.
        """
        ...

    def run(self, text: str, seconds: float | None = None) -> None:
        """Run one or more statements, sent at once: the server works on without this process.

        Args:
            text: statements with semicolons between them.
            seconds: how long to wait for their end; None for as long as it takes.

        Raises:
            StatementFailed: the database refused one; what they had begun is rolled back.
            StillRunning: they have not ended; the session is closed, its backend goes on.
        """
        ...

    def close(self) -> None:
        """End it; harmless when repeated."""
        ...

    def __enter__(self) -> "Session": ...

    def __exit__(self, *error: object) -> None: ...


Connect = Callable[[str], Session]
"""Opens a session with that `application_name`; raises `ConnectionLost` where it cannot."""
