"""Health checks as a load balancer makes them: one request after the other to each target.

A target begins as `initial` and becomes healthy or unhealthy after the group's threshold of equal
results in a row. Groups that no rule uses are not checked, as in AWS.
"""

import asyncio
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

MINIMUM_TIMEOUT_SECONDS = 2.0
"""Real seconds a check may always take: a process does not answer faster in compressed time."""

_IN_PROGRESS = ("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")
_HEALTHY = ("healthy", "", "")
Report = tuple[str, str, str]
"""State, reason code and description, as `DescribeTargetHealth` gives them."""


@dataclass
class Target:
    """One target of one group: its last report and the results it follows from."""

    ip: str
    port: int
    report: Report = _IN_PROGRESS
    good: int = 0
    bad: int = 0
    task: "asyncio.Task[None] | None" = field(default=None, repr=False)

    def note(self, failure: Report | None, thresholds: tuple[int, int]) -> bool:
        """Take the result of a check (None: passed); true if the report changed.

        `thresholds` are how many passes make it healthy and how many failures unhealthy.
        """
        before = self.report
        self.good, self.bad = (0, self.bad + 1) if failure else (self.good + 1, 0)
        if failure is None and self.good >= thresholds[0]:
            self.report = _HEALTHY
        elif failure is not None and self.bad >= thresholds[1]:
            self.report = failure
        return self.report != before


class HealthChecks:
    """Checks every target of the groups in use, and keeps their reports."""

    def __init__(self, scale: float, seed: int, changed: Callable[[], None]) -> None:
        """`scale` is virtual seconds for each real one; `changed` is told of every new report."""
        self._scale = scale
        self._random = random.Random(seed)
        self._changed = changed
        self.groups: dict[str, dict[tuple[str, int], Target]] = {}
        self._settings: dict[str, Mapping[str, Any]] = {}

    def apply(self, groups: Mapping[str, Mapping[str, Any]]) -> None:
        """Check the targets of a new routing table; known targets keep their state."""
        for arn in list(self.groups):
            wanted = groups.get(arn, {})
            keep = {tuple(pair) for pair in wanted.get("targets", [])}
            for address, target in list(self.groups[arn].items()):
                if address not in keep or not wanted.get("in_use"):
                    self._drop(arn, address, target)
        for arn, group in groups.items():
            self._settings[arn] = group["health"]
            known = self.groups.setdefault(arn, {})
            for ip, port in group["targets"] if group["in_use"] else []:
                if (ip, port) not in known:
                    target = known[ip, port] = Target(ip, port)
                    target.task = asyncio.create_task(self._watch(target, arn))

    def _drop(self, arn: str, address: tuple[str, int], target: Target) -> None:
        del self.groups[arn][address]
        if target.task is not None:
            target.task.cancel()

    def healthy(self, arn: str) -> list[tuple[str, int]]:
        """The addresses of a group's healthy targets."""
        targets = self.groups.get(arn, {})
        return [address for address, target in targets.items() if target.report == _HEALTHY]

    def reports(self) -> dict[str, dict[str, Report]]:
        """Every report by target group ARN and `ip:port`."""
        return {
            arn: {f"{ip}:{port}": target.report for (ip, port), target in targets.items()}
            for arn, targets in self.groups.items()
        }

    async def _watch(self, target: Target, group: str) -> None:
        loop = asyncio.get_running_loop()
        first = self._settings[group]["interval_seconds"] / self._scale
        await asyncio.sleep(first * self._random.random())
        while True:
            health = self._settings[group]
            interval = health["interval_seconds"] / self._scale
            timeout = max(health["timeout_seconds"] / self._scale, MINIMUM_TIMEOUT_SECONDS)
            thresholds = health["healthy"], health["unhealthy"]
            began = loop.time()
            if target.note(await check(target, health, timeout), thresholds):
                self._changed()
            await asyncio.sleep(max(began + interval - loop.time(), 0.01))


async def check(target: Target, health: Mapping[str, Any], timeout_seconds: float) -> Report | None:
    """Make one check over a connection of its own; None if it passed."""
    port = target.port if health["port"] == "traffic-port" else int(health["port"])
    request = (
        f"GET {health['path']} HTTP/1.1\r\nHost: {target.ip}:{port}\r\n"
        "Connection: close\r\nUser-Agent: ELB-HealthChecker/2.0\r\n\r\n"
    )
    try:
        async with asyncio.timeout(timeout_seconds):
            reader, writer = await asyncio.open_connection(target.ip, port)
            try:
                writer.write(request.encode())
                status = (await reader.readline()).split(b" ")[1].decode()
            finally:
                writer.close()
    except TimeoutError:
        return "unhealthy", "Target.Timeout", "Request timed out"
    except (OSError, IndexError, ValueError):
        return "unhealthy", "Target.FailedHealthChecks", "Health checks failed"
    if matches(health["matcher"], status):
        return None
    reason = f"Health checks failed with these codes: [{status}]"
    return "unhealthy", "Target.ResponseCodeMismatch", reason


def matches(matcher: str, status: str) -> bool:
    """Whether a status code is in a matcher such as `200`, `200,202` or `200-299`."""
    if not re.fullmatch(r"\d{3}", status):
        return False
    bounds = [part.partition("-") for part in matcher.split(",")]
    return any(int(low) <= int(status) <= int(high or low) for low, _, high in bounds)
