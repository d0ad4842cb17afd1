"""The local load balancer as the main process sees it: a process of its own, fed with tables.

`LoadBalancer` starts `balancer_process`, pushes routing tables to it, and keeps what it reports:
ports, target health, the minutes' counts and a journal of what was sent where, in real time.
"""

import contextlib
import json
import logging
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import IO, Any

from greenlane.clock import ScaledClock
from greenlane.local import child_process

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """Requests that ended within about 50 ms, alike in all that is named here.

    `at` is a real Unix time in seconds, `table` the routing table that chose, `target_group` its
    name ("" where the balancer answered itself), `status` what the client got.
    """

    at: float
    table: int
    rule_arn: str
    target_group: str
    status: int
    count: int


@dataclass(frozen=True)
class RoutingTable:
    """A routing table that was in force from a real Unix time `active_at` on.

    `weights` are percentages (0..100) by rule ARN and target group name.
    """

    sequence: int
    active_at: float
    weights: dict[str, dict[str, float]]


@dataclass
class TrafficJournal:
    """What the balancer did, in real time; safe to read while it grows."""

    entries: list[Entry] = field(default_factory=list)
    tables: list[RoutingTable] = field(default_factory=list)
    _last: dict[str, float] = field(default_factory=dict)

    def last_request(self, target_group: str) -> float | None:
        """When a request was last sent to a target group (its name): a real Unix time."""
        return self._last.get(target_group)

    def requests(
        self,
        *,
        since: float = 0.0,
        until: float = float("inf"),
        table: int | None = None,
        rule_arn: str | None = None,
    ) -> Counter[tuple[str, int]]:
        """Requests by target group name and status, of a span, a table or a rule."""
        found: Counter[tuple[str, int]] = Counter()
        for entry in list(self.entries):
            if (
                since <= entry.at < until
                and table in (None, entry.table)
                and rule_arn in (None, entry.rule_arn)
            ):
                found[entry.target_group, entry.status] += entry.count
        return found

    def shares(self, rule_arn: str) -> list[tuple[RoutingTable, Counter[str]]]:
        """Each table that was in force, with the requests it sent to each target group."""
        counts: dict[int, Counter[str]] = {}
        for entry in list(self.entries):
            if entry.rule_arn == rule_arn:
                counts.setdefault(entry.table, Counter())[entry.target_group] += entry.count
        return [(table, counts.get(table.sequence, Counter())) for table in list(self.tables)]


class LoadBalancer:
    """The balancer process and its channel.

    Args:
        clock: the cloud's clock.
        seed: fixes every weighted choice.
        minute_closed: receives each virtual minute's counts (see `balancer_counts.Minute`).
        output: where the process writes its complaints.
        idle_timeout_floor_seconds: real seconds that a request in flight may always be idle. The
            idle timeout is virtual; without a floor it would cut off answers that are only as
            slow as this machine.
    """

    def __init__(
        self,
        clock: ScaledClock,
        seed: int,
        minute_closed: Callable[[dict[str, Any]], None],
        output: IO[bytes] | None = None,
        idle_timeout_floor_seconds: float = 2.0,
    ) -> None:
        """See the class."""
        self.journal = TrafficJournal()
        self.ports: dict[str, int] = {}
        self.reports: dict[str, dict[str, list[str]]] = {}
        self._clock, self._seed, self._output = clock, seed, output
        self._floor = idle_timeout_floor_seconds
        self._minute_closed = minute_closed
        self._names: dict[str, str] = {"": ""}
        self._weights: dict[int, dict[str, dict[str, float]]] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._changed = threading.Condition()
        self._active = -1
        self._stopping = False
        self._channel: socket.socket
        self._reader: threading.Thread

    def start(self) -> None:
        """Start the process; it forwards nothing before the first table."""
        self._channel, theirs = socket.socketpair()
        settings = {
            "channel": theirs.fileno(),
            "seed": self._seed,
            "origin": self._clock.origin.timestamp(),
            "scale": self._clock.scale,
            "idle_timeout_floor_seconds": self._floor,
        }
        self._process = child_process.start(
            ["python", "-m", "greenlane.local.balancer_process", json.dumps(settings)],
            {},
            output=self._output,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        self._reader = threading.Thread(target=self._read, name="balancer", daemon=True)
        self._reader.start()

    def stop(self) -> None:
        """End the process; the journal stays readable."""
        self._stopping = True
        if self._process is not None:
            child_process.end(self._process, 2.0)
            self._reader.join()
            self._channel.close()
            self._process = None

    def push(self, table: dict[str, Any], weights: dict[str, dict[str, float]]) -> None:
        """Send a routing table; `weights` describe it in the journal once it is active."""
        for arn, group in table["target_groups"].items():
            self._names[arn] = group["name"]
        self._weights[table["sequence"]] = weights
        self._channel.sendall(json.dumps(table).encode() + b"\n")

    def port(self, listener_arn: str, timeout_seconds: float = 10.0) -> int:
        """The local port of a listener, waiting until it is open and its table is active."""
        with self._changed:
            if not self._changed.wait_for(
                lambda: listener_arn in self.ports and self._active >= 0, timeout_seconds
            ):
                raise TimeoutError(f"the local balancer did not open {listener_arn}")
            return self.ports[listener_arn]

    def wait_active(self, sequence: int, timeout_seconds: float = 10.0) -> None:
        """Wait until a routing table, or a later one, is in force."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._active >= sequence, timeout_seconds):
                raise TimeoutError(f"the local balancer did not activate table {sequence}")

    def _read(self) -> None:
        with contextlib.suppress(ConnectionResetError):  # it ended without reading all of ours
            self._read_messages()
        if not self._stopping:
            _log.error("the local balancer's process ended: no request is served any more")

    def _read_messages(self) -> None:
        with self._channel.makefile("rb") as lines:
            for line in lines:
                message = json.loads(line)
                with self._changed:
                    self._take(message)
                    self._changed.notify_all()
                if message["type"] == "minute":
                    self._minute_closed(message)

    def _take(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "ports":
            self.ports = message["ports"]
        elif kind == "health":
            self.reports = message["reports"]
        elif kind == "active":
            self._active = message["sequence"]
            weights = self._weights.pop(self._active, {})
            self.journal.tables.append(RoutingTable(self._active, message["at"], weights))
        elif kind == "journal":
            self.journal._last.update(self._named(message["last"].items()))
            self.journal.entries.extend(
                Entry(message["at"], table, rule, self._names.get(group, group), status, count)
                for table, rule, group, status, count in message["rows"]
            )

    def _named(self, pairs: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
        return [(self._names.get(arn, arn), value) for arn, value in pairs]
