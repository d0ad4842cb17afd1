"""Claude Code Manager, small: the service that the examples, the demo and the tests deploy.

    PORT=8000 VERSION=1.4.2 python app.py

It answers `/`, `/health`, `/api/v1/status` (JSON) and `/metrics` (Prometheus text), and names its
version in the header `X-Version` of every answer. Its environment:

    PORT       the port to listen on (8000)
    BIND       the address to listen on (0.0.0.0)
    VERSION    what it calls itself (dev)
    BEHAVIOUR  how this version behaves under traffic (good), one of
               good          answers
               slow:3.0      answers after so many seconds
               errors:0.08   answers 500 to this share of requests
               hang:0.05     never answers this share of requests
               reset:0.05    cuts the connection on this share of requests
               leak:200      answers 500 to everything, `/health` too, after so many requests
               crash         ends at start with exit code 1

`/health` stays good whatever the behaviour, `leak` excepted: what a health check cannot see is
what a canary is for. On SIGTERM the requests in flight are finished before the process ends.
"""

import asyncio
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

KINDS = ("good", "slow", "errors", "hang", "reset", "leak", "crash")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Service:
    """One running version: what it is, how it behaves, and what it has counted."""

    version: str
    kind: str = "good"
    level: float = 0.0
    started: float = field(default_factory=time.time)
    requests: int = 0
    failures: int = 0

    @classmethod
    def from_environment(cls) -> "Service":
        """Read VERSION and BEHAVIOUR; an unknown behaviour raises `ValueError`."""
        kind, _, level = os.environ.get("BEHAVIOUR", "good").partition(":")
        if kind not in KINDS:
            raise ValueError(f"BEHAVIOUR is {kind!r}, not one of {', '.join(KINDS)}")
        return cls(os.environ.get("VERSION", "dev"), kind, float(level or 0))

    @property
    def worn_out(self) -> bool:
        """Whether a leak has filled up: from then on nothing succeeds."""
        return self.kind == "leak" and self.requests > self.level

    @web.middleware
    async def behave(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count the request, and let it meet what this version does wrong."""
        if request.path == "/health":
            return await handler(request)
        self.requests += 1
        struck = random.random() < self.level
        if self.kind == "slow":
            await asyncio.sleep(self.level)
        if self.kind == "hang" and struck:
            await asyncio.Event().wait()
        if self.kind == "reset" and struck and request.transport is not None:
            request.transport.abort()
        if self.worn_out or (self.kind == "errors" and struck):
            self.failures += 1
            return web.json_response({"error": "internal"}, status=500)
        return await handler(request)

    async def sign(self, request: web.Request, response: web.StreamResponse) -> None:
        """Say which version answered."""
        response.headers["X-Version"] = self.version

    async def index(self, request: web.Request) -> web.Response:
        """The front page."""
        return web.Response(text=f"Claude Code Manager {self.version}\n")

    async def health(self, request: web.Request) -> web.Response:
        """What the load balancer asks."""
        if self.worn_out:
            return web.json_response({"status": "failing"}, status=503)
        return web.json_response({"status": "ok", "version": self.version})

    async def status(self, request: web.Request) -> web.Response:
        """The API's own view of itself."""
        return web.json_response(
            {
                "service": "claude-manager",
                "status": "running",
                "version": self.version,
                "uptime_seconds": round(time.time() - self.started, 3),
            }
        )

    async def metrics(self, request: web.Request) -> web.Response:
        """Counters in the Prometheus text format."""
        lines = [
            "# TYPE claude_manager_info gauge",
            f'claude_manager_info{{version="{self.version}"}} 1',
            "# TYPE claude_manager_requests_total counter",
            f"claude_manager_requests_total {self.requests}",
            "# TYPE claude_manager_failures_total counter",
            f"claude_manager_failures_total {self.failures}",
        ]
        return web.Response(text="\n".join(lines) + "\n", content_type="text/plain")

    def application(self) -> web.Application:
        """The routes, ready to serve."""
        application = web.Application(middlewares=[self.behave])
        application.on_response_prepare.append(self.sign)
        application.router.add_get("/", self.index)
        application.router.add_get("/health", self.health)
        application.router.add_get("/api/v1/status", self.status)
        application.router.add_get("/metrics", self.metrics)
        return application


def main() -> None:
    """Serve until SIGTERM."""
    service = Service.from_environment()
    if service.kind == "crash":
        sys.exit("crashing at start, as BEHAVIOUR asks")
    web.run_app(
        service.application(),
        host=os.environ.get("BIND", "0.0.0.0"),
        port=int(os.environ.get("PORT", "8000")),
        # Longer than a load balancer keeps an idle connection, else it meets a closed one.
        keepalive_timeout=3600,
        shutdown_timeout=20,
        access_log=None,
        print=None,
    )


if __name__ == "__main__":
    main()
