"""The data path towards clients: requests come in, routes are chosen, answers go out.

One request at a time runs on a connection; a pipelined one waits for its turn.
"""

import asyncio
import time
from http import HTTPStatus
from typing import Any

from greenlane.local.balancer_http import MAX_HEAD, BadMessage, Body, Head, head_bytes, response
from greenlane.local.balancer_proxy import Exchange, Proxy, TargetConnection
from greenlane.local.balancer_routing import COOKIE, Choice, Request


class ClientConnection(asyncio.Protocol):
    """A connection from a client to a listener."""

    def __init__(self, proxy: Proxy, listener: str, balancer: str, port: int) -> None:
        """`listener` and `balancer` are ARNs; `port` is the listener's port, as AWS knows it."""
        self.proxy, self.listener, self.balancer, self.port = proxy, listener, balancer, port
        self.transport: asyncio.Transport
        self.buffer = b""
        self.exchange: Exchange | None = None
        self.body = Body(0)
        self.close_after = False
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of the protocol."""
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Take a request, or more of the one in flight."""
        exchange = self.exchange
        if exchange is not None:
            if exchange.connection is not None and exchange.connection.tunnel:
                exchange.send(data)
                return
            taken = self._take_body(data) if not self.body.done else 0
            if taken:
                exchange.send(data[:taken])
            data = data[taken:]
        self.buffer += data
        if self.exchange is None:
            self._next()

    def _take_body(self, data: bytes) -> int:
        try:
            return self.body.take(data)
        except (BadMessage, ValueError):
            self.transport.abort()
            return len(data)

    def _next(self) -> None:
        """Begin the next request in the buffer, if it is all there."""
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self.buffer) > MAX_HEAD:
                self.answer(431)
            return
        raw, self.buffer = self.buffer[:end], self.buffer[end + 4 :]
        try:
            head = Head.parse(raw.lstrip(b"\r\n"))
            self.body = Body.of_request(head)
        except (BadMessage, ValueError):
            self.close_after = True
            self.answer(HTTPStatus.BAD_REQUEST)
            return
        self.close_after = head.closes
        self._route(head)

    def _route(self, head: Head) -> None:
        proxy = self.proxy
        path, _, query = head.first[1].partition("?")
        request = Request(head.first[0], path, query, head.headers)
        choice = proxy.router.choose(self.listener, request, proxy.virtual_now())
        if choice.target is None:
            kind = str(choice.action["Type"])
            self._answer_here(kind, choice, head)
            return
        exchange = Exchange(proxy, self, choice, head, proxy.router.table["sequence"])
        self.exchange = exchange
        exchange.pending += head_bytes(head, self._forwarded(head))
        taken = self._take_body(self.buffer)
        exchange.pending += self.buffer[:taken]
        self.buffer = self.buffer[taken:]
        proxy.counts.last_sent[exchange.group] = time.time()
        idle = proxy.idle.get(choice.target)
        if idle:
            exchange.use(idle.pop())
        else:
            self.task = asyncio.get_running_loop().create_task(exchange.connect(choice.target))

    def _answer_here(self, kind: str, choice: Choice, head: Head) -> None:
        """Answer without a target: a fixed response, a redirect, or 503 for want of one."""
        status, body, headers = here(choice.action, head, self.port)
        self.proxy.counts.refused_here(self.balancer, status, kind)
        key = (self.proxy.router.table["sequence"], choice.rule, choice.group or "", status)
        self.proxy.counts.journal[key] += 1
        self.close_after = self.close_after or not self.body.done
        self.answer(status, body, headers)

    def _forwarded(self, head: Head) -> list[bytes]:
        peer = self.transport.get_extra_info("peername")[0]
        before = head.headers.get("x-forwarded-for")
        return [
            f"X-Forwarded-For: {before + ', ' if before else ''}{peer}".encode(),
            b"X-Forwarded-Proto: http",
            f"X-Forwarded-Port: {self.port}".encode(),
        ]

    def response_head(self, head: Head, exchange: Exchange, target: TargetConnection) -> bytes:
        """The target's head as the client gets it, with the stickiness cookie if one is due."""
        added = []
        cookie = exchange.choice.cookie
        if cookie is not None:
            seconds = max(1, round(exchange.choice.cookie_seconds / self.proxy.scale))
            added.append(f"Set-Cookie: {COOKIE}={cookie}; Max-Age={seconds}; Path=/".encode())
        if target.body is not None and target.body.until_close:
            self.close_after = True
        if self.close_after:
            added.append(b"Connection: close")
        return head_bytes(head, added)

    def finished(self, exchange: Exchange) -> None:
        """An exchange is through: go on with the next request."""
        if self.exchange is exchange:
            self.exchange = None
        if self.close_after or not self.body.done:
            self.transport.close()
        elif self.buffer:
            self._next()

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """Answer from the balancer itself."""
        self.exchange = None
        close = self.close_after or not self.body.done
        self.transport.write(response(status, body, headers or {}, close))
        if close:
            self.transport.close()
        elif self.buffer:
            self._next()

    def connection_lost(self, error: Exception | None) -> None:
        """The client left."""
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            if exchange.connection is not None and exchange.connection.tunnel:
                exchange.connection.close()
            else:
                exchange.abandon()

    def pause_writing(self) -> None:
        """The client reads slowly: read the target slowly."""
        if self.exchange is not None and self.exchange.connection is not None:
            self.exchange.connection.transport.pause_reading()

    def resume_writing(self) -> None:
        """See `pause_writing`."""
        if self.exchange is not None and self.exchange.connection is not None:
            self.exchange.connection.transport.resume_reading()


def here(action: Any, head: Head, port: int) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of what the balancer answers itself for an action."""
    if action["Type"] == "fixed-response":
        config = action["FixedResponseConfig"]
        kind = config.get("ContentType") or "text/plain"
        body = str(config.get("MessageBody") or "").encode()
        return int(config["StatusCode"]), body, {"Content-Type": kind}
    if action["Type"] == "redirect":
        config = action["RedirectConfig"]
        path, _, query = head.first[1].partition("?")
        values = {
            "protocol": "http",
            "host": head.headers.get("host", "").partition(":")[0],
            "port": str(port),
            "path": path.lstrip("/"),
            "query": query,
        }
        parts = ("Protocol", "#{protocol}"), ("Host", "#{host}"), ("Port", "#{port}")
        protocol, host, number = (_fill(config.get(key) or text, values) for key, text in parts)
        path = _fill(config.get("Path") or "/#{path}", values)
        query = _fill(config.get("Query") or "#{query}", values)
        location = f"{protocol.lower()}://{host}:{number}{path}{'?' + query if query else ''}"
        return int(config["StatusCode"].removeprefix("HTTP_")), b"", {"Location": location}
    return int(HTTPStatus.SERVICE_UNAVAILABLE), b"", {}


def _fill(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace("#{" + name + "}", value)
    return text
