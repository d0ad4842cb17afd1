"""The data path towards targets: one exchange of a request, over one connection to a target.

A connection is reused when its exchange ended cleanly. Nothing is retried: what a target does to
a request, the client sees, as with AWS.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from greenlane.local.balancer_counts import Counts
from greenlane.local.balancer_http import MAX_HEAD, BadMessage, Body, Head, head_bytes
from greenlane.local.balancer_routing import Choice, Router

if TYPE_CHECKING:
    from greenlane.local.balancer_client import ClientConnection

CONNECT_SECONDS = 2.0
Address = tuple[str, int]


@dataclass
class Proxy:
    """What all connections of one balancer share.

    Args:
        router: decides where a request goes.
        counts: counts it.
        virtual_now: the virtual Unix time in seconds.
        scale: virtual seconds for each real second.
        idle_seconds: real seconds without a byte after which a request in flight ends with 504.
    """

    router: Router
    counts: Counts
    virtual_now: Callable[[], float]
    scale: float
    idle_seconds: float
    idle: dict[Address, list["TargetConnection"]] = field(default_factory=dict)
    busy: dict[Address, set["TargetConnection"]] = field(default_factory=dict)

    def forget(self, address: Address, busy_too: bool) -> None:
        """Close the idle connections to a target that is gone, and those in use if asked to."""
        for connection in self.idle.pop(address, []):
            connection.close()
        if busy_too:
            for connection in list(self.busy.get(address, ())):
                connection.close()


class Exchange:
    """One request and its answer."""

    def __init__(
        self, proxy: Proxy, client: "ClientConnection", choice: Choice, head: Head, sequence: int
    ) -> None:
        """`sequence` is the routing table that made the choice."""
        self.proxy, self.client, self.choice = proxy, client, choice
        self.method = head.first[0]
        self.sequence = sequence
        self.group = choice.group or ""
        self.connection: TargetConnection | None = None
        self.pending = bytearray()
        self.sent = time.perf_counter()
        self.active = self.sent
        self.seconds = 0.0
        self.status = 0
        self.ended = False
        self.timer = asyncio.get_running_loop().call_later(proxy.idle_seconds, self.check_idle)

    async def connect(self, address: Address) -> None:
        """Take an idle connection to the target, or make one; then send what is pending."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await loop.create_connection(
                    lambda: TargetConnection(self.proxy, address), *address
                )
        except TimeoutError:
            self.fail(HTTPStatus.GATEWAY_TIMEOUT, refused=True)
            return
        except OSError:
            self.fail(HTTPStatus.BAD_GATEWAY, refused=True)
            return
        if self.ended:
            connection.close()
        else:
            self.use(connection)

    def use(self, connection: "TargetConnection") -> None:
        """Send the request over a connection."""
        self.connection = connection
        connection.begin(self)
        connection.transport.write(bytes(self.pending))
        self.pending.clear()
        self.sent = time.perf_counter()

    def send(self, data: bytes) -> None:
        """Send a part of the request, now or once connected."""
        self.active = time.perf_counter()
        if self.connection is None:
            self.pending += data
        else:
            self.connection.transport.write(data)

    def check_idle(self) -> None:
        """End the request with 504 when neither side has sent anything for too long."""
        left = self.active + self.proxy.idle_seconds - time.perf_counter()
        if left > 0:
            self.timer = asyncio.get_running_loop().call_later(left, self.check_idle)
        else:
            self.fail(HTTPStatus.GATEWAY_TIMEOUT)

    def complete(self) -> None:
        """The target's answer is through."""
        self._end()
        self.proxy.counts.answered(self.client.balancer, self.group, self.status, self.seconds)
        self._journal(self.status)
        self.client.finished(self)

    def fail(self, status: int, refused: bool = False) -> None:
        """The target gave no whole answer: tell the client, or cut it off when it has a part."""
        if self.ended:
            return
        self._end()
        if self.connection is not None:
            self.connection.close()
        self.proxy.counts.unanswered(self.client.balancer, self.group, status, refused)
        self._journal(status)
        if self.status:
            self.client.transport.abort()
        else:
            self.client.answer(status)

    def abandon(self) -> None:
        """The client left; ALB logs 460."""
        if self.ended:
            return
        self._end()
        if self.connection is not None:
            self.connection.close()
        self.proxy.counts.unanswered(self.client.balancer, self.group, 460, refused=False)
        self._journal(460)

    def _end(self) -> None:
        self.ended = True
        self.timer.cancel()

    def _journal(self, status: int) -> None:
        self.proxy.counts.journal[self.sequence, self.choice.rule, self.group, status] += 1


class TargetConnection(asyncio.Protocol):
    """A connection to a target: idle, or busy with one exchange."""

    def __init__(self, proxy: Proxy, address: Address) -> None:
        """See the class."""
        self.proxy, self.address = proxy, address
        self.transport: asyncio.Transport
        self.exchange: Exchange | None = None
        self.buffer = b""
        self.body: Body | None = None
        self.reusable = True
        self.tunnel = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of the protocol."""
        self.transport = transport  # type: ignore[assignment]

    def begin(self, exchange: Exchange) -> None:
        """Serve an exchange."""
        self.exchange, self.body, self.reusable = exchange, None, True
        self.proxy.busy.setdefault(self.address, set()).add(self)

    def data_received(self, data: bytes) -> None:
        """Pass the answer on, and notice where it ends."""
        exchange = self.exchange
        if exchange is None or exchange.ended:
            self.close()
            return
        exchange.active = time.perf_counter()
        if self.tunnel:
            exchange.client.transport.write(data)
            return
        try:
            if self.body is None:
                data = self._head(exchange, self.buffer + data)
            if self.body is not None:
                taken = self.body.take(data)
                if taken:
                    exchange.client.transport.write(data[:taken])
                if self.body.done:
                    self._finish(exchange, clean=taken == len(data))
        except (BadMessage, ValueError):
            exchange.fail(HTTPStatus.BAD_GATEWAY)

    def _head(self, exchange: Exchange, data: bytes) -> bytes:
        """Pass on the heads in `data`, interim ones too; return what follows the final one."""
        while self.body is None:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                if len(data) > MAX_HEAD:
                    raise BadMessage("the head is too long")
                self.buffer = data
                return b""
            head = Head.parse(data[:end])
            data = data[end + 4 :]
            self.buffer = b""
            status = int(head.first[1])
            if 100 <= status < 200 and status != 101:
                exchange.client.transport.write(head_bytes(head, []))
                continue
            exchange.status = status
            exchange.seconds = time.perf_counter() - exchange.sent
            self.body = Body.of_response(head, exchange.method)
            self.reusable = not head.closes and not self.body.until_close
            self.tunnel = status == 101
            exchange.client.transport.write(exchange.client.response_head(head, exchange, self))
        return data

    def _finish(self, exchange: Exchange, clean: bool) -> None:
        if self.tunnel:
            return
        self.exchange = None
        self.proxy.busy[self.address].discard(self)
        self.transport.resume_reading()
        if self.reusable and clean:
            self.proxy.idle.setdefault(self.address, []).append(self)
        else:
            self.close()
        exchange.complete()

    def connection_lost(self, error: Exception | None) -> None:
        """The target closed: the end of a body that lasts so long, else a failed request."""
        self.proxy.busy.get(self.address, set()).discard(self)
        idle = self.proxy.idle.get(self.address, [])
        if self in idle:
            idle.remove(self)
        exchange, self.exchange = self.exchange, None
        if exchange is None or exchange.ended:
            return
        if self.tunnel or (self.body is not None and self.body.until_close and error is None):
            exchange.complete()
            exchange.client.transport.close()
        else:
            exchange.fail(HTTPStatus.BAD_GATEWAY)

    def pause_writing(self) -> None:
        """The target reads slowly: read the client slowly."""
        if self.exchange is not None:
            self.exchange.client.transport.pause_reading()

    def resume_writing(self) -> None:
        """See `pause_writing`."""
        if self.exchange is not None:
            self.exchange.client.transport.resume_reading()

    def close(self) -> None:
        """Close at once."""
        self.transport.abort()
