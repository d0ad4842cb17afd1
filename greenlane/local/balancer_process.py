"""The load balancer's process: `python -m greenlane.local.balancer_process SETTINGS`.

SETTINGS is JSON: `channel` (the number of an inherited socket), `seed`, `origin` (the real Unix
second at which virtual time began), `scale`, `idle_timeout_floor_seconds`. Over the channel, JSON
lines come in: routing tables, each with the real time at which it becomes active. Out go the
ports of listeners, health reports, the counts of each virtual minute, journal entries, and when a
table became active.
"""

import asyncio
import json
import signal
import socket
import sys
import time
from typing import Any

from greenlane.local.balancer_client import ClientConnection
from greenlane.local.balancer_counts import Counts
from greenlane.local.balancer_health import HealthChecks
from greenlane.local.balancer_proxy import Proxy
from greenlane.local.balancer_routing import Router

JOURNAL_SECONDS = 0.05
MINUTE_GRACE_SECONDS = 0.005


class BalancerProcess:
    """Holds the parts together: tables in, ports, health, minutes and journal out."""

    def __init__(self, settings: dict[str, Any]) -> None:
        """See the module for `settings`."""
        self.settings = settings
        self.origin, self.scale = float(settings["origin"]), float(settings["scale"])
        self.router = Router(int(settings["seed"]))
        self.counts = Counts(self.virtual_now, self.send)
        self.proxy = Proxy(self.router, self.counts, self.virtual_now, self.scale, 60.0)
        self.health = HealthChecks(self.scale, int(settings["seed"]), self.health_changed)
        self.listening: dict[str, asyncio.Server] = {}
        self.writer: asyncio.StreamWriter
        self.opened = asyncio.Lock()

    def virtual_now(self) -> float:
        """The virtual Unix time in seconds."""
        return self.origin + (time.time() - self.origin) * self.scale

    def send(self, message: dict[str, Any]) -> None:
        """Tell the main process something."""
        self.writer.write(json.dumps(message).encode() + b"\n")

    async def run(self) -> None:
        """Serve until the channel closes."""
        channel = socket.socket(fileno=int(self.settings["channel"]))
        reader, self.writer = await asyncio.open_unix_connection(sock=channel, limit=2**26)
        loops = [asyncio.create_task(self._journal()), asyncio.create_task(self._minutes())]
        tables = set()
        while line := await reader.readline():
            task = asyncio.create_task(self._take(json.loads(line)))
            tables.add(task)
            task.add_done_callback(tables.discard)
        for task in loops:
            task.cancel()

    async def _take(self, table: dict[str, Any]) -> None:
        """Open a table's new listeners at once; make it the active one when its time has come."""
        async with self.opened:
            await self._listen(table)
        await asyncio.sleep(max(0.0, table["active_at"] - time.time()))
        if table["sequence"] > self.router.table.get("sequence", -1):
            self._activate(table)

    async def _listen(self, table: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        for arn, listener in table["listeners"].items():
            if arn not in self.listening:
                self.listening[arn] = await loop.create_server(
                    lambda arn=arn, listener=listener: ClientConnection(  # type: ignore[misc]
                        self.proxy, arn, listener["load_balancer"], listener["port"]
                    ),
                    "127.0.0.1",
                    start_serving=False,
                )
        ports = {arn: server.sockets[0].getsockname()[1] for arn, server in self.listening.items()}
        self.send({"type": "ports", "ports": ports})

    def _activate(self, table: dict[str, Any]) -> None:
        before = self.router.table.get("target_groups", {})
        self.router.table = table
        floor = float(self.settings["idle_timeout_floor_seconds"])
        self.proxy.idle_seconds = max(table["idle_timeout_seconds"] / self.scale, floor)
        self.health.apply(table["target_groups"])
        self._release(before, table["target_groups"])
        self.health_changed()
        for arn, server in list(self.listening.items()):
            if arn not in table["listeners"]:
                self.listening.pop(arn).close()
            elif not server.is_serving():
                asyncio.get_running_loop().create_task(server.start_serving())
        self.send({"type": "active", "sequence": table["sequence"], "at": time.time()})

    def _release(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        """Close the connections to targets that are gone, those in use after the group's delay."""
        still = {tuple(pair) for group in after.values() for pair in group["targets"]}
        for group in before.values():
            for ip, port in group["targets"]:
                if (ip, port) not in still:
                    self.proxy.forget((ip, port), busy_too=False)
                    delay = group["deregistration_delay_seconds"] / self.scale
                    asyncio.get_running_loop().call_later(
                        delay, self.proxy.forget, (ip, port), True
                    )

    def health_changed(self) -> None:
        """Route by the new reports, and pass them on."""
        groups = self.router.table.get("target_groups", {})
        self.router.healthy = {arn: self.health.healthy(arn) for arn in groups}
        self._sample_hosts()
        self.send({"type": "health", "reports": self.health.reports()})

    def _sample_hosts(self) -> None:
        for arn, group in self.router.table.get("target_groups", {}).items():
            reports = [target.report[0] for target in self.health.groups.get(arn, {}).values()]
            if reports:
                healthy, unhealthy = reports.count("healthy"), reports.count("unhealthy")
                for balancer in group["load_balancers"]:
                    self.counts.hosts(balancer, arn, healthy, unhealthy)

    async def _minutes(self) -> None:
        """Close each virtual minute as it ends; sample the hosts at its start and middle."""
        while True:
            self.counts.current()
            self._sample_hosts()
            left = (30 - self.virtual_now() % 30) / self.scale
            await asyncio.sleep(left + MINUTE_GRACE_SECONDS)

    async def _journal(self) -> None:
        while True:
            await asyncio.sleep(JOURNAL_SECONDS)
            if self.counts.journal:
                rows = [[*key, count] for key, count in self.counts.journal.items()]
                self.counts.journal.clear()
                last = self.counts.last_sent
                self.send({"type": "journal", "at": time.time(), "rows": rows, "last": last})


def main() -> None:
    """Run until the main process closes the channel or sends SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process = BalancerProcess(json.loads(sys.argv[1]))
    asyncio.run(process.run())


if __name__ == "__main__":
    main()
