"""HTTP/1.1 as far as a proxy needs it: message heads, and where a body ends."""

from dataclasses import dataclass
from http import HTTPStatus

MAX_HEAD = 64 * 1024


class BadMessage(Exception):
    """The peer does not speak HTTP/1.1 that this balancer understands."""


@dataclass
class Head:
    """A request's or response's first line and headers.

    `first` are the first line's three parts. `lines` are the raw header lines; `headers` the same
    by lower-case name (the last one wins where a name is repeated).
    """

    first: tuple[str, str, str]
    lines: list[bytes]
    headers: dict[str, str]

    @classmethod
    def parse(cls, raw: bytes) -> "Head":
        """Parse a head without its final empty line."""
        first, *lines = raw.split(b"\r\n")
        parts = first.decode("latin-1").split(" ", 2)
        if len(parts) < 2:
            raise BadMessage(f"malformed first line {first[:80]!r}")
        headers = {}
        for line in lines:
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon:
                raise BadMessage(f"malformed header {line[:80]!r}")
            headers[name.lower()] = value.strip()
        return cls((parts[0], parts[1], parts[2] if len(parts) > 2 else ""), lines, headers)

    def lines_without(self, *names: bytes) -> list[bytes]:
        """The raw header lines, less those of some (lower-case) names."""
        return [line for line in self.lines if line.partition(b":")[0].lower() not in names]

    @property
    def chunked(self) -> bool:
        """Whether the body is sent in chunks."""
        return "chunked" in self.headers.get("transfer-encoding", "").lower()

    @property
    def closes(self) -> bool:
        """Whether the peer ends the connection after this message."""
        connection = self.headers.get("connection", "").lower()
        return connection == "close" or ("HTTP/1.0" in self.first and connection != "keep-alive")


class Body:
    """Finds where a message's body ends, while its bytes pass by unchanged."""

    def __init__(self, length: int | None = 0, chunked: bool = False) -> None:
        """`length` in bytes; None without `chunked` means until the connection ends."""
        self._left = 0 if chunked else length
        self._chunked = chunked
        self._line = b""
        self._expect = "size"
        self.done = not chunked and length == 0

    @classmethod
    def of_request(cls, head: Head) -> "Body":
        """The body that follows a request's head."""
        return cls(int(head.headers.get("content-length", 0)), head.chunked)

    @classmethod
    def of_response(cls, head: Head, method: str) -> "Body":
        """The body that follows a response's head to a request of `method`."""
        status = int(head.first[1])
        if method == "HEAD" or status in (204, 304) or status < 200:
            return cls(0)
        if head.chunked:
            return cls(chunked=True)
        length = head.headers.get("content-length")
        return cls(int(length) if length is not None else None)

    @property
    def until_close(self) -> bool:
        """Whether only the end of the connection ends this body."""
        return self._left is None

    def take(self, data: bytes) -> int:
        """How many bytes of `data` belong to the body; sets `done` when it is complete."""
        if not self._chunked:
            if self._left is None:
                return len(data)
            taken = min(self._left, len(data))
            self._left -= taken
            self.done = self._left == 0
            return taken
        position = 0
        while position < len(data) and not self.done:
            position = self._take_chunk(data, position)
        return position

    def _take_chunk(self, data: bytes, position: int) -> int:
        """One step of RFC 9112's chunked coding: a size line, some data, or a trailer line."""
        if self._left:
            taken = min(self._left, len(data) - position)
            self._left -= taken
            return position + taken
        end = data.find(b"\n", position)
        if end < 0:
            self._line += data[position:]
            if len(self._line) > MAX_HEAD:
                raise BadMessage("a chunk's size line is too long")
            return len(data)
        line = (self._line + data[position:end]).strip()
        self._line = b""
        if self._expect == "size" and line:
            size = int(line.partition(b";")[0], 16)
            # The data is followed by an empty line, which the next "size" line skips.
            self._left = size
            self._expect = "size" if size else "trailer"
        elif self._expect == "trailer" and not line:
            self.done = True
        return end + 1


def head_bytes(head: Head, added: list[bytes]) -> bytes:
    """A head as bytes: without its connection headers (an upgrade's excepted), with others added.

    A given name in `added` replaces the head's own lines of that name, `Set-Cookie` excepted.
    """
    hop = () if "upgrade" in head.headers else (b"connection", b"keep-alive")
    given = {line.partition(b":")[0].lower() for line in added} - {b"set-cookie"}
    lines = head.lines_without(*hop, *given)
    return b"\r\n".join([" ".join(head.first).encode("latin-1"), *lines, *added, b"", b""])


def response(status: int, body: bytes, headers: dict[str, str], close: bool) -> bytes:
    """A whole response made by the balancer itself."""
    reason = HTTPStatus(status).phrase if status in list(HTTPStatus) else "Custom"
    lines = [f"HTTP/1.1 {status} {reason}", "Server: awselb/2.0", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += ["Connection: close"] if close else []
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
