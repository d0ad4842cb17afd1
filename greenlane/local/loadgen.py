"""Traffic from many clients, in a process of its own.

Open loop: requests leave on a schedule, whatever became of those before, as from users who do not
know of each other. Each client keeps its connections and its cookies. Nothing is retried: what
fails, is counted.
"""

import json
import socket
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from greenlane.local import child_process


@dataclass(frozen=True)
class Count:
    """Requests that ended within the same second and are alike in all that is named here.

    `second` is a real Unix time, `phase` the label that was set when the request left, `version`
    what `X-Version` said ("" without an answer), `outcome` the status code or what went wrong
    (`timeout`, or an exception's name), `ok` whether it is a success: an answer below 500.
    """

    second: int
    phase: str
    version: str
    outcome: str
    ok: bool
    count: int


@dataclass(frozen=True)
class Snapshot:
    """What a fleet has seen so far. `sent` counts those still in flight, too."""

    sent: int
    counts: tuple[Count, ...]

    @property
    def ok(self) -> int:
        """Answers below 500."""
        return sum(one.count for one in self.counts if one.ok)

    @property
    def failed(self) -> int:
        """Answers from 500 on, connection errors and timeouts."""
        return sum(one.count for one in self.counts if not one.ok)

    def by_version(self, phase: str | None = None) -> dict[str, dict[str, int]]:
        """`ok` and `failed` for each version, of one phase or of all."""
        found: dict[str, dict[str, int]] = {}
        for one in self.counts:
            if phase in (None, one.phase):
                entry = found.setdefault(one.version, {"ok": 0, "failed": 0})
                entry["ok" if one.ok else "failed"] += one.count
        return found

    def failures(self) -> dict[str, int]:
        """How many requests failed, by outcome."""
        found: dict[str, int] = {}
        for one in self.counts:
            if not one.ok:
                found[one.outcome] = found.get(one.outcome, 0) + one.count
        return found

    def as_json(self) -> dict[str, Any]:
        """The totals, for a report."""
        return {
            "sent": self.sent,
            "ok": self.ok,
            "failed": self.failed,
            "by_version": self.by_version(),
            "failures": self.failures(),
        }


class LoadGenerator:
    """A fleet of clients; a context manager, or `start` and `stop` by hand.

    Args:
        url: where to send to, without a path.
        requests_per_second: real requests in a real second, of all clients together.
        clients: how many clients take turns; each has connections and cookies of its own.
        seed: fixes which path each request asks for.
        paths: the paths asked for, equally often.
        visitors: how many people the clients speak for, by the header `X-Visitor`; none is named
            when left out.
        timeout_seconds: real seconds after which a client gives up; the request has failed.
    """

    def __init__(
        self,
        url: str,
        requests_per_second: float = 120.0,
        clients: int = 60,
        seed: int = 7,
        paths: tuple[str, ...] = ("/", "/api/v1/status"),
        timeout_seconds: float = 15.0,
        visitors: int = 0,
    ) -> None:
        """See the class."""
        self._settings = {
            "url": url,
            "requests_per_second": requests_per_second,
            "clients": clients,
            "seed": seed,
            "paths": list(paths),
            "timeout_seconds": timeout_seconds,
            "visitors": visitors,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._counts: dict[tuple[int, str, str, str, bool], int] = {}
        self._sent = 0
        self._lock = threading.Lock()
        self._drained = threading.Event()
        self._channel: socket.socket
        self._reader: threading.Thread

    def start(self, log: Path | None = None) -> None:
        """Begin to send; `log` is a file for the process's own complaints."""
        self._channel, theirs = socket.socketpair()
        command = ["python", "-m", "greenlane.local.loadgen_process"]
        settings = json.dumps({**self._settings, "channel": theirs.fileno()})
        with (log or Path("/dev/null")).open("ab") as output:
            self._process = child_process.start(
                [*command, settings], {}, output=output, pass_fds=[theirs.fileno()]
            )
        theirs.close()
        self._reader = threading.Thread(target=self._read, name="loadgen", daemon=True)
        self._reader.start()

    def phase(self, label: str) -> None:
        """Label the requests that leave from now on."""
        self._tell({"phase": label})

    def snapshot(self) -> Snapshot:
        """What has been counted so far; it lags by up to 0.1 seconds."""
        with self._lock:
            counts = tuple(Count(*key, count) for key, count in sorted(self._counts.items()))
            return Snapshot(self._sent, counts)

    def stop(self) -> Snapshot:
        """Send no more, wait for what is in flight, and end the process; all counts are in."""
        if self._process is not None:
            self._tell({"stop": True})
            self._drained.wait(float(str(self._settings["timeout_seconds"])) + 5.0)
            child_process.end(self._process, 2.0)
            self._reader.join()
            self._channel.close()
            self._process = None
        return self.snapshot()

    def __enter__(self) -> Self:
        """Begin to send."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def _tell(self, message: dict[str, Any]) -> None:
        self._channel.sendall(json.dumps(message).encode() + b"\n")

    def _read(self) -> None:
        with self._channel.makefile("rb") as lines:
            for line in lines:
                message = json.loads(line)
                with self._lock:
                    self._sent = message["sent"]
                    for second, phase, version, outcome, ok, count in message["counts"]:
                        key = (second, phase, version, outcome, ok)
                        self._counts[key] = self._counts.get(key, 0) + count
                if message["done"]:
                    self._drained.set()
        self._drained.set()
