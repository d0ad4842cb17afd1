"""What tasks use, and what they say in their logs, as metrics.

Container Insights and AWS/ECS: processor time, memory and disk of each task's real process, where
its cluster has Container Insights on. Processor time is counted by real seconds, as the traffic is
real: a process that keeps half a core busy uses 512 units, whatever the time scale.

CloudWatch Logs: lines of a task's log in the embedded metric format become metrics, at their own
time. RDS: the open connections of the database that tasks find in `DATABASE`.
"""

import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenlane.local import cloudwatch, database
from greenlane.local.containers_task import Task

if TYPE_CHECKING:
    from greenlane.local.containers import Containers

SAMPLE_SECONDS = 15
"""Virtual seconds between two looks at a task, but at least `LEAST_REAL_SECONDS`."""

LEAST_REAL_SECONDS = 0.2
INSIGHTS, ECS = "ECS/ContainerInsights", "AWS/ECS"
PERCENTS = {"Cpu": "CPUUtilization", "Memory": "MemoryUtilization"}
"""What AWS/ECS has without Container Insights."""

UNITS_OF_A_CORE = 1024
DISK_GIGABYTES = 21.47
"""What Fargate reserves for a task that asks for nothing else: 20 GiB."""

_MARK = b'{"_aws"'
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_MOST_BYTES = 1024 * 1024


@dataclass
class _Seen:
    """What is known of a task since the last look."""

    cpu_seconds: float
    at: float
    position: int = 0
    rest: bytes = b""


class Telemetry:
    """Looks at the tasks of one local cloud every now and then, in a thread of its own."""

    def __init__(self, containers: "Containers", logs: Path) -> None:
        """See the class."""
        self.database = database.Database()
        self._containers = containers
        self._logs = logs
        self._seen: dict[str, _Seen] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self.database.close()

    @property
    def pause(self) -> float:
        """Real seconds between two looks."""
        return max(LEAST_REAL_SECONDS, self._containers.clock.real_seconds(SAMPLE_SECONDS))

    def _run(self) -> None:
        while not self._stopping.wait(self.pause):
            self.look()

    def look(self) -> None:
        """Publish what is new."""
        with self._containers.lock:
            tasks = list(self._containers.tasks.values())
        for task in tasks:
            self._read_log(task)
            if task.running and task.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    self._measure(task, task.process.pid)
        for gone in set(self._seen) - {task.id for task in tasks}:
            del self._seen[gone]
        count = float(self.database.connections())
        dimensions = {"DBInstanceIdentifier": database.INSTANCE}
        self._put(database.NAMESPACE, "DatabaseConnections", dimensions, count, "Count")

    def _measure(self, task: Task, pid: int) -> None:
        used = _cpu_seconds(pid)
        memory = _resident_bytes(pid)
        kind, _, service = task.group.partition(":")
        if used is None or memory is None or kind != "service":
            return
        seen, now = self._of(task), time.monotonic()
        elapsed, spent = now - seen.at, used - seen.cpu_seconds
        first = seen.cpu_seconds < 0
        seen.at, seen.cpu_seconds = now, used
        if first or elapsed <= 0:
            return
        units = UNITS_OF_A_CORE * spent / elapsed
        usage = {
            "Cpu": (units, float(task.definition.cpu or UNITS_OF_A_CORE), "None"),
            "Memory": (memory / 2**20, float(task.definition.memory or 512), "Megabytes"),
            "EphemeralStorage": (self._log_of(task).stat().st_size / 1e9, _disk(task), "Gigabytes"),
        }
        cluster = task.cluster_arn.rsplit("/", 1)[-1]
        dimensions = {"ClusterName": cluster, "ServiceName": service}
        for name, (utilised, reserved, unit) in usage.items():
            if self._insights(cluster):
                self._put(INSIGHTS, f"{name}Utilized", dimensions, utilised, unit)
                self._put(INSIGHTS, f"{name}Reserved", dimensions, reserved, unit)
            if name in PERCENTS:
                percent = 100 * utilised / reserved
                self._put(ECS, PERCENTS[name], dimensions, percent, "Percent")

    def _insights(self, cluster: str) -> bool:
        settings = self._containers.backend.clusters[cluster].settings or []
        chosen = {one["name"]: one["value"] for one in settings}
        return chosen.get("containerInsights") in ("enabled", "enhanced")

    def _read_log(self, task: Task) -> None:
        path, seen = self._log_of(task), self._of(task)
        if not path.exists() or path.stat().st_size <= seen.position:
            return
        with path.open("rb") as log:
            log.seek(seen.position)
            new = log.read(_MOST_BYTES)
        seen.position += len(new)
        *lines, seen.rest = (seen.rest + new).split(b"\n")
        for line in lines:
            if line.startswith(_MARK):
                for namespace, datum in embedded_metrics(line):
                    datum["Timestamp"] = self._containers.clock.virtual(datum["Timestamp"])
                    self._store(namespace, datum)

    def _of(self, task: Task) -> _Seen:
        return self._seen.setdefault(task.id, _Seen(cpu_seconds=-1.0, at=time.monotonic()))

    def _log_of(self, task: Task) -> Path:
        return self._logs / f"{task.id}.log"

    def _put(
        self, namespace: str, name: str, dimensions: dict[str, str], value: float, unit: str
    ) -> None:
        named = [{"Name": key, "Value": dimensions[key]} for key in dimensions]
        datum = {"MetricName": name, "Dimensions": named, "Value": value, "Unit": unit}
        self._store(namespace, datum)

    def _store(self, namespace: str, datum: dict[str, Any]) -> None:
        now = int(self._containers.now().timestamp())
        cloudwatch.running(self._containers.region).store.put(namespace, datum, now)


def embedded_metrics(line: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """The metrics in a line of the embedded metric format; what is malformed has none.

    Their `Timestamp` is the line's own. Dimension sets whose members the line lacks are left out.
    """
    try:
        entry = json.loads(line)
        head = entry["_aws"]
        at = datetime.fromtimestamp(head["Timestamp"] / 1000, UTC)
        for directive in head["CloudWatchMetrics"]:
            for names in directive["Dimensions"]:
                dimensions = [{"Name": name, "Value": str(entry[name])} for name in names]
                for metric in directive["Metrics"]:
                    value = entry[metric["Name"]]
                    values = value if isinstance(value, list) else [value]
                    yield (
                        directive["Namespace"],
                        {
                            "MetricName": metric["Name"],
                            "Dimensions": dimensions,
                            "Values": [float(one) for one in values],
                            "Unit": metric.get("Unit", "None"),
                            "Timestamp": at,
                        },
                    )
    except (ValueError, KeyError, TypeError):
        return


def _disk(task: Task) -> float:
    asked = getattr(task.definition, "ephemeral_storage", None)
    return float(asked["sizeInGiB"]) * 2**30 / 1e9 if asked else DISK_GIGABYTES


def _cpu_seconds(pid: int) -> float | None:
    """Processor time that a process has used; None if it is gone, or there is no /proc."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _resident_bytes(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except OSError:
        return None
