"""One HTTP POST: limited in time and size, certificates checked, no redirect followed.

One deadline is over all of it, the look-up of the name included. Time-outs of sockets begin anew
with each address, each step of a handshake and each byte, so they alone end nothing.

An address may carry a secret, and so may a header. So what is raised names the host and the kind
of the problem, never the address, and has no other exception behind it.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from queue import Empty, SimpleQueue
from socket import SHUT_RDWR, socket
from threading import Thread
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from greenlane import __version__
from greenlane.people.channel import Untold

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 8.0
CUT_SECONDS = 0.5
"""What was cut has this long to say what it has heard so far."""
LARGEST_ANSWER = 64 * 1024


@dataclass(frozen=True)
class Answer:
    """What a server said: its status, and as much of its body as came in time, up to 64 KiB."""

    status: int
    body: bytes = b""


class Post(Protocol):
    """Sends a body to an address; raises `Untold` when there is no answer."""

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """See `post`."""
        ...


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Send JSON to an `http` or `https` address and wait for the answer, for 8 s at most.

    A redirect is an answer like any other.

    Raises:
        Untold: the address is none, or no status came in time.
    """
    parts = _parts(url)
    connection = _connection(parts)
    sent = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": f"greenlane/{__version__}",
        "Connection": "close",
        **headers,
    }
    target = parts.path or "/"
    if parts.query:
        target += f"?{parts.query}"
    said: SimpleQueue[Answer | str] = SimpleQueue()
    Thread(target=_try, args=(said, connection, target, body, sent), daemon=True).start()
    answer = _heard(said, connection)
    if isinstance(answer, str):
        raise Untold(f"no answer from {parts.hostname}: {answer}", again=True)
    return answer


def _heard(said: "SimpleQueue[Answer | str]", connection: HTTPConnection) -> Answer | str:
    """What came within the deadline: the answer, or what went wrong."""
    try:
        return said.get(timeout=ANSWER_SECONDS)
    except Empty:
        pass
    if connection.sock is not None:
        _cut(connection.sock)
    try:
        return said.get(timeout=CUT_SECONDS)
    except Empty:
        return TimeoutError.__name__


def _try(
    said: "SimpleQueue[Answer | str]",
    connection: HTTPConnection,
    target: str,
    body: bytes,
    headers: Mapping[str, str],
) -> None:
    try:
        said.put(_exchange(connection, target, body, headers))
    except Exception as error:
        # Of any kind: what is wrong with a header or an address is a ValueError that quotes it.
        said.put(type(error).__name__)
    finally:
        connection.close()


def _exchange(
    connection: HTTPConnection, target: str, body: bytes, headers: Mapping[str, str]
) -> Answer:
    connection.connect()
    assert connection.sock is not None
    connection.sock.settimeout(ANSWER_SECONDS)
    connection.request("POST", target, body=body, headers=dict(headers))
    response = connection.getresponse()
    return Answer(response.status, _beginning(response))


def _beginning(response: HTTPResponse) -> bytes:
    """What comes of a body; the status counts, whatever becomes of the rest."""
    body = b""
    try:
        while len(body) < LARGEST_ANSWER and (part := response.read1(LARGEST_ANSWER - len(body))):
            body += part
    except (OSError, HTTPException):
        return body
    return body


def _cut(sock: socket) -> None:
    try:
        # The socket's own: that of TLS forgets its state under the hands of the reader.
        socket.shutdown(sock, SHUT_RDWR)
    except OSError:
        return  # it was over


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        known = False
    if not known or not url.isascii() or not url.isprintable() or " " in url:
        raise Untold("the address is no http or https address", again=False)
    return parts


def _connection(parts: SplitResult) -> HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "http":
        return HTTPConnection(host, parts.port, timeout=CONNECT_SECONDS)
    return HTTPSConnection(host, parts.port, timeout=CONNECT_SECONDS, context=_tls())


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
