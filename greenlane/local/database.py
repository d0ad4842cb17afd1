"""A database that does nothing but count its connections, as RDS does for `AWS/RDS`.

Tasks are told its address in `DATABASE`. Connections are taken and dropped whenever somebody
counts, so it needs no thread; until then the kernel keeps new ones waiting.
"""

import contextlib
import socket

NAMESPACE = "AWS/RDS"
INSTANCE = "claude-manager"
BACKLOG = 4096


class Database:
    """Listens on a free port of this machine."""

    def __init__(self) -> None:
        """See the class."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self._listener.setblocking(False)
        self._open: list[socket.socket] = []

    @property
    def address(self) -> str:
        """`host:port`."""
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    def connections(self) -> int:
        """How many are open now."""
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = self._listener.accept()
                connection.setblocking(False)
                self._open.append(connection)
        ended = [connection for connection in self._open if _has_ended(connection)]
        for connection in ended:
            connection.close()
            self._open.remove(connection)
        return len(self._open)

    def close(self) -> None:
        """Drop everything."""
        for connection in (*self._open, self._listener):
            connection.close()
        self._open.clear()


def _has_ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(4096) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
