"""The clients' process: `python -m greenlane.local.loadgen_process SETTINGS`.

SETTINGS is JSON with `LoadGenerator`'s arguments and `channel`, the number of an inherited socket:
orders come in over it (`{"phase": ...}`, `{"stop": true}`), counts go out, both as JSON lines.
"""

import asyncio
import json
import random
import signal
import socket
import sys
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

from greenlane.local.balancer_http import BadMessage, Body, Head

REPORT_SECONDS = 0.1


class NoAnswer(Exception):
    """The connection ended before the answer did."""


class Connection(asyncio.Protocol):
    """A client's connection: one request at a time."""

    def __init__(self) -> None:
        """See the class."""
        self.transport: asyncio.Transport
        self.answer: asyncio.Future[Head] | None = None
        self._buffer = b""
        self._head: Head | None = None
        self._body = Body(0)
        self.open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of the protocol."""
        self.transport = transport  # type: ignore[assignment]

    async def request(self, data: bytes) -> Head:
        """Send a request and wait for the whole answer; returns its head."""
        self.answer = asyncio.get_running_loop().create_future()
        self._buffer, self._head = b"", None
        self.transport.write(data)
        return await self.answer

    def data_received(self, data: bytes) -> None:
        """Follow the answer to its end."""
        if self.answer is None or self.answer.done():
            return
        try:
            if self._head is None:
                self._buffer += data
                end = self._buffer.find(b"\r\n\r\n")
                if end < 0:
                    return
                self._head = Head.parse(self._buffer[:end])
                self._body = Body.of_response(self._head, "GET")
                data = self._buffer[end + 4 :]
            self._body.take(data)
        except (BadMessage, ValueError) as error:
            self.answer.set_exception(error)
            return
        if self._body.done:
            self.open = self.open and not self._head.closes
            self.answer.set_result(self._head)

    def connection_lost(self, error: Exception | None) -> None:
        """The end of the answer, where only the connection's end can tell; else a failure."""
        self.open = False
        if self.answer is None or self.answer.done():
            return
        if self._head is not None and self._body.until_close and error is None:
            self.answer.set_result(self._head)
        else:
            self.answer.set_exception(error or NoAnswer())


class Client:
    """One user: keeps idle connections and cookies."""

    def __init__(self, host: str, port: int) -> None:
        """See the class."""
        self._host, self._port = host, port
        self._idle: list[Connection] = []
        self._cookies: dict[str, str] = {}

    async def get(self, path: str, visitor: str = "") -> Head:
        """Ask for a path; over a new connection if all others are in use."""
        while self._idle and not self._idle[-1].open:
            self._idle.pop()
        if self._idle:
            connection = self._idle.pop()
        else:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(Connection, self._host, self._port)
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        lines = [f"GET {path} HTTP/1.1", f"Host: {self._host}:{self._port}"]
        lines += [f"Cookie: {cookies}"] if cookies else []
        lines += [f"X-Visitor: {visitor}"] if visitor else []
        try:
            head = await connection.request("\r\n".join([*lines, "", ""]).encode())
        except BaseException:
            connection.transport.abort()
            raise
        if "set-cookie" in head.headers:
            name, _, value = head.headers["set-cookie"].partition(";")[0].partition("=")
            self._cookies[name] = value
        if connection.open:
            self._idle.append(connection)
        return head

    def close(self) -> None:
        """Close the idle connections."""
        for connection in self._idle:
            connection.transport.close()


class Fleet:
    """All clients, their schedule and what they counted."""

    def __init__(self, settings: dict[str, Any]) -> None:
        """See the module for `settings`."""
        parts = urlsplit(settings["url"])
        self.settings = settings
        host, port = str(parts.hostname), parts.port or 80
        self.clients = [Client(host, port) for _ in range(int(settings["clients"]))]
        self.random = random.Random(settings["seed"])
        self.counts: Counter[tuple[int, str, str, str, bool]] = Counter()
        self.sent = 0
        self.phase = ""
        self.stopping = asyncio.Event()
        self.flying: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Send until told to stop, then wait for what is in flight."""
        channel = socket.socket(fileno=int(self.settings["channel"]))
        reader, self.writer = await asyncio.open_unix_connection(sock=channel)
        tasks = [asyncio.create_task(self._obey(reader)), asyncio.create_task(self._report())]
        await self._send()
        if self.flying:
            await asyncio.wait(self.flying)
        tasks[1].cancel()
        self._tell(done=True)
        await self.writer.drain()
        for client in self.clients:
            client.close()
        await tasks[0]

    async def _obey(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            order = json.loads(line)
            self.phase = order.get("phase", self.phase)
            if order.get("stop"):
                self.stopping.set()
        self.stopping.set()

    async def _send(self) -> None:
        """Keep to the schedule; after a stall, what is overdue leaves at once."""
        loop = asyncio.get_running_loop()
        gap = 1.0 / float(self.settings["requests_per_second"])
        begun = loop.time()
        while not self.stopping.is_set():
            wait = begun + self.sent * gap - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
                continue
            client = self.clients[self.sent % len(self.clients)]
            self.sent += 1
            task = asyncio.create_task(self._one(client, self.phase))
            self.flying.add(task)
            task.add_done_callback(self.flying.discard)

    async def _one(self, client: Client, phase: str) -> None:
        version, ok = "", False
        try:
            async with asyncio.timeout(float(self.settings["timeout_seconds"])):
                path, people = self.random.choice(self.settings["paths"]), self.settings["visitors"]
                who = f"visitor-{self.random.randrange(people)}" if people else ""
                head = await client.get(path, who)
            version, outcome = head.headers.get("x-version", ""), head.first[1]
            ok = int(outcome) < 500
        except TimeoutError:
            outcome = "timeout"
        except (OSError, NoAnswer, BadMessage, ValueError) as error:
            outcome = type(error).__name__
        self.counts[int(time.time()), phase, version, outcome, ok] += 1

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            self._tell(done=False)

    def _tell(self, done: bool) -> None:
        counts = [[*key, count] for key, count in self.counts.items()]
        self.counts.clear()
        message = {"sent": self.sent, "counts": counts, "done": done}
        self.writer.write(json.dumps(message).encode() + b"\n")


def main() -> None:
    """Run until told to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    async def run() -> None:
        await Fleet(json.loads(sys.argv[1])).run()

    asyncio.run(run())


if __name__ == "__main__":
    main()
