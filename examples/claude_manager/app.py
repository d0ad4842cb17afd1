"""Claude Code Manager, small: the service that the examples, the demo and the tests deploy.

    PORT=8000 VERSION=1.4.2 python app.py

It answers `/`, `/health`, `/api/v1/status` (JSON) and `/metrics` (Prometheus text), and names its
version in the header `X-Version` of every answer. Its environment:

    PORT       the port to listen on (8000)
    BIND       the address to listen on (0.0.0.0)
    VERSION    what it calls itself (dev)
    DATABASE   host:port of a database that it keeps a pool of connections to (none)
    METRICS_SECONDS
               how often its business metrics are written to the log (20)
    BEHAVIOUR  how this version behaves under traffic (good); several are joined by commas
               good              answers
               slow:3.0          answers after so many seconds
               errors:0.08       answers 500 to this share of requests
               hang:0.05         never answers this share of requests
               reset:0.05        cuts the connection on this share of requests
               leak:200          answers 500 to everything, `/health` too, after so many requests
               crash             ends at start with exit code 1
               conversion:0.02   the share of visits that end in an order (0.05)
               revenue:20        what an order is worth (30)
               complaints:0.02   the share of visits that end in a complaint (0.0005)
               satisfaction:3.9  what visitors say, from 1 to 5 (4.6)
               cpu:0.3           keeps so many cores busy
               memory:200        holds so many MiB
               connections:40    opens so many connections to its database (5)
               new_search:0      has this behind the feature flag of the same name: it fails for
               new_checkout:0.3  this share of the visits of those who have the flag
               new_summary:0.08
               one_page_setup:0.2  has this in the A/B test of the same name: so many more of the
                                 treatment's visitors order
               eager_summary:0.2   likewise: it fails for so many of the treatment's visits
               people_name:0     keeps its visitors in PostgreSQL, and calls the column `name`
               people_full_name:0  likewise, and calls it `full_name`
    FLAGS_ENVIRONMENT, FLAGS_TABLE, FLAGS_TTL_SECONDS
               whose feature flags, their table, how long they are used until they are read again
               (production, greenlane-flags, 5); read only where something is behind a flag
    EXPERIMENTS_TABLE
               of A/B tests (greenlane-experiments); used only where something is in a test
    PEOPLE_DATABASE
               where visitors are kept, as libpq takes it; needed only where they are

`/health` stays good whatever the behaviour, `leak` excepted: what a health check cannot see is
what a canary is for. On SIGTERM the requests in flight are finished before the process ends.

Its business metrics are lines of its log in CloudWatch's embedded metric format, of which
CloudWatch Logs makes metrics: no SDK, no permission, no agent. Each visit is one sample of
`conversion_rate` (1 for an order, else 0), of `revenue` (of the order, else 0) and of
`user_complaints` (1 or 0); some visitors say how satisfied they are. So what is counted can be
compared, whatever share of the traffic a slot has. What is behind a flag is reported for both
variants: `flag_failures`, 1 or 0. The header `X-Visitor` says who a visitor is.
"""

import asyncio
import contextlib
import json
import os
import random
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.request import urlopen

from aiohttp import web

FAULTS = ("good", "slow", "errors", "hang", "reset", "leak", "crash")
BUSINESS = ("conversion", "revenue", "complaints", "satisfaction")
LOAD = ("cpu", "memory", "connections")
FEATURES = ("new_search", "new_checkout", "new_summary")
TRIALS = ("one_page_setup", "eager_summary")
PEOPLE = {"people_name": "name", "people_full_name": "full_name"}
"""Which column a version knows."""
KINDS = (*FAULTS, *BUSINESS, *LOAD, *FEATURES, *TRIALS, *PEOPLE)
UNSEEN = ("/health", "/metrics")
"""What machines ask for; the rest are visits."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

NAMESPACE = "Greenlane/Business"
UNITS = {
    "conversion_rate": "None",
    "revenue": "None",
    "user_complaints": "Count",
    "user_satisfaction": "None",
}
MOST_VALUES = 100
"""Of one metric in one line; CloudWatch takes no more."""

ANSWER_SHARE = 0.2
METADATA_SECONDS = 2.0

SLICE_SECONDS = 0.05
MEBIBYTE = 1024 * 1024
POOL = 5
"""Connections that a task opens to its database, unless its version wants more."""


@dataclass
class Business:
    """The visits to one task, until they are published.

    Args:
        service: the dimension `Service`.
        slot: the dimension `Slot`.
        conversion: the share of visits that end in an order.
        revenue: what an order is worth on average.
        complaints: the share of visits that end in a complaint.
        satisfaction: the mean of what visitors say, from 1 to 5.
    """

    service: str
    slot: str
    conversion: float = 0.05
    revenue: float = 30.0
    complaints: float = 0.0005
    satisfaction: float = 4.6
    values: dict[str, list[float]] = field(default_factory=dict)

    def visit(self) -> None:
        """Somebody was here; a line is written when it is full."""
        ordered = random.random() < self.conversion
        self._add("conversion_rate", float(ordered))
        self._add("revenue", round(self.revenue * random.uniform(0.5, 1.5), 2) if ordered else 0.0)
        self._add("user_complaints", float(random.random() < self.complaints))
        if random.random() < ANSWER_SHARE:
            said = min(5.0, max(1.0, random.gauss(self.satisfaction, 0.4)))
            self._add("user_satisfaction", round(said, 1))
        if len(self.values["conversion_rate"]) == MOST_VALUES:
            self.publish()

    def publish(self) -> None:
        """Write what there is as one line of the log."""
        if self.values:
            print(self.line(time.time()), flush=True)
        self.values = {}

    def line(self, now: float) -> str:
        """The embedded metric format; `now` is a Unix time in seconds."""
        metrics = [{"Name": name, "Unit": UNITS[name]} for name in self.values]
        directive = {
            "Namespace": NAMESPACE,
            "Dimensions": [["Service", "Slot"]],
            "Metrics": metrics,
        }
        head = {"_aws": {"Timestamp": round(now * 1000), "CloudWatchMetrics": [directive]}}
        return json.dumps({**head, "Service": self.service, "Slot": self.slot, **self.values})

    def _add(self, name: str, value: float) -> None:
        self.values.setdefault(name, []).append(value)


def whereabouts() -> tuple[str, str] | None:
    """Service and slot of this task; None outside ECS, or where ECS does not say.

    The name of the ECS service, `<service>-<slot>`, is in the task's metadata.
    """
    metadata = os.environ.get("ECS_CONTAINER_METADATA_URI_V4")
    if metadata is None:
        return None
    try:
        with urlopen(f"{metadata}/task", timeout=METADATA_SECONDS) as answer:
            name = json.load(answer).get("ServiceName", "")
    except (OSError, ValueError):
        return None  # a version without numbers is better than none
    service, _, slot = str(name).rpartition("-")
    return (service, slot) if slot in ("blue", "green") else None


def burn(cores: float) -> None:
    """Keep a share of one core busy, in the background."""

    def run() -> None:
        while True:
            until = time.monotonic() + SLICE_SECONDS * cores
            while time.monotonic() < until:
                pass
            time.sleep(SLICE_SECONDS * max(0.0, 1 - cores))

    threading.Thread(target=run, daemon=True).start()


def hold(mebibytes: float) -> bytearray:
    """So much memory, touched, so that it counts."""
    held = bytearray(int(mebibytes * MEBIBYTE))
    held[:: os.sysconf("SC_PAGE_SIZE")] = b"x" * len(held[:: os.sysconf("SC_PAGE_SIZE")])
    return held


async def connect(connections: int) -> list[asyncio.StreamWriter]:
    """Open a pool to the database that `DATABASE` (`host:port`) names; none without it."""
    host, _, port = os.environ.get("DATABASE", "").rpartition(":")
    pool: list[asyncio.StreamWriter] = []
    for _ in range(connections if host else 0):
        with contextlib.suppress(OSError):  # the service can answer without its database
            _, writer = await asyncio.open_connection(host, int(port))
            pool.append(writer)
    return pool


@dataclass
class Service:
    """One running version: what it is, how it behaves, and what it has counted."""

    version: str
    levels: dict[str, float] = field(default_factory=dict)
    business: Business | None = None
    features: Any = None
    trials: Any = None
    people: Any = None
    held: bytearray = field(default_factory=bytearray)
    started: float = field(default_factory=time.time)
    requests: int = 0
    failures: int = 0

    @classmethod
    def from_environment(cls) -> "Service":
        """Read VERSION, BEHAVIOUR and where it runs; an unknown behaviour raises `ValueError`."""
        levels = {}
        for one in os.environ.get("BEHAVIOUR", "good").split(","):
            kind, _, level = one.strip().partition(":")
            if kind not in KINDS:
                raise ValueError(f"BEHAVIOUR has {kind!r}, not one of {', '.join(KINDS)}")
            levels[kind] = float(level or 0)
        service = cls(os.environ.get("VERSION", "dev"), levels)
        place = whereabouts()
        if place is not None:
            service.business = Business(*place)
            for kind in set(BUSINESS) & set(levels):
                setattr(service.business, kind, levels[kind])
        failing = {kind: level for kind, level in levels.items() if kind in FEATURES}
        if failing:
            # Only a version that has something behind a flag needs the package.
            from features import Features  # type: ignore[import-not-found]

            service.features = Features(place[0] if place else "claude-manager", failing)
        tried = {kind: level for kind, level in levels.items() if kind in TRIALS}
        if tried:
            # Only a version that is in a test needs the package.
            from trials import Trials  # type: ignore[import-not-found]

            service.trials = Trials(tried)
        for kind in set(PEOPLE) & set(levels):
            # Only a version that keeps its visitors needs the package.
            from people import People  # type: ignore[import-not-found]

            service.people = People(os.environ["PEOPLE_DATABASE"], PEOPLE[kind])
        return service

    @property
    def worn_out(self) -> bool:
        """Whether a leak has filled up: from then on nothing succeeds."""
        return "leak" in self.levels and self.requests > self.levels["leak"]

    @web.middleware
    async def behave(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count the request, and let it meet what this version does wrong."""
        if request.path == "/health":
            return await handler(request)
        self.requests += 1
        if "slow" in self.levels:
            await asyncio.sleep(self.levels["slow"])
        if self.strikes("hang"):
            await asyncio.Event().wait()
        if self.strikes("reset") and request.transport is not None:
            request.transport.abort()
        if self.worn_out or self.strikes("errors") or not await self.served(request):
            self.failures += 1
            return web.json_response({"error": "internal"}, status=500)
        answer = await handler(request)
        if self.business is not None and request.path not in UNSEEN:
            self.business.visit()
        return answer

    async def served(self, request: web.Request) -> bool:
        """Whether flags, tests and the database each do their part for this visitor."""
        if request.path in UNSEEN:
            return True
        visitor = request.headers.get("X-Visitor", str(request.remote))
        well = self.features is None or self.features.visit(visitor)
        well = (self.trials is None or self.trials.visit(visitor)) and well
        return (self.people is None or await self.people.visit(visitor, self.version)) and well

    def strikes(self, kind: str) -> bool:
        """Whether this request is one of those that a fault hits."""
        return random.random() < self.levels.get(kind, 0.0)

    async def work(self, _: web.Application) -> AsyncIterator[None]:
        """What goes on beside the requests, from start to end."""
        if "cpu" in self.levels:
            burn(self.levels["cpu"])
        self.held = hold(self.levels.get("memory", 0))
        pool = await connect(int(self.levels.get("connections", POOL)))
        publishing = asyncio.create_task(self.publish())
        yield
        publishing.cancel()
        self.write_metrics()
        for connection in pool:
            connection.close()
        if self.people is not None:
            await self.people.close()

    async def publish(self) -> None:
        """Write the business metrics every now and then."""
        while self.business is not None or self.features is not None:
            await asyncio.sleep(float(os.environ.get("METRICS_SECONDS", "20")))
            self.write_metrics()

    def write_metrics(self) -> None:
        """Write what was counted since the last time."""
        for counted in (self.business, self.features):
            if counted is not None:
                counted.publish()

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
        application.cleanup_ctx.append(self.work)
        application.on_response_prepare.append(self.sign)
        application.router.add_get("/", self.index)
        application.router.add_get("/health", self.health)
        application.router.add_get("/api/v1/status", self.status)
        application.router.add_get("/metrics", self.metrics)
        return application


def main() -> None:
    """Serve until SIGTERM."""
    service = Service.from_environment()
    if "crash" in service.levels:
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
