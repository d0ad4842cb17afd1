"""One ECS task as one operating system process.

The container that serves (or the one whose command is overridden) runs; the others of the task
definition are recorded as running beside it, without a process. An image that `push_image` made
runs the sample service; any image may run a command of its own, `python` being this interpreter.
"""

import contextlib
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import greenlane
from greenlane.clock import ScaledClock
from greenlane.local import child_process
from greenlane.local.images import Image, ImageNotFound, ManifestOf, resolve_image
from greenlane.local.task_processes import TaskProcesses

STOP_TIMEOUT_SECONDS = 30
MINIMUM_STOP_SECONDS = 3.0
"""Real seconds that a process may always take to end: it does not hurry in compressed time."""

SERVICE_DIRECTORY = Path(greenlane.__file__).parents[1] / "examples" / "claude_manager"


@dataclass(frozen=True)
class Registration:
    """A target group that a task's address is registered in while the task runs."""

    group_arn: str
    container: str
    port: int


@dataclass
class Placement:
    """What every task of a cloud is started with; `metadata` is the address of their metadata."""

    clock: ScaledClock
    manifests: ManifestOf
    processes: TaskProcesses
    logs: Path
    environment: dict[str, str]
    metadata: str = ""


@dataclass
class Task:
    """A task and its process. Times are virtual; `ip` is the address it alone listens on."""

    arn: str
    cluster_arn: str
    definition: Any
    container: str
    ip: str
    port: int
    group: str
    created: datetime
    started_by: str = ""
    deployment_id: str = ""
    service: str = ""
    launch_type: str = "FARGATE"
    registrations: list[Registration] = field(default_factory=list)
    overrides: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)
    tags: list[dict[str, str]] = field(default_factory=list)
    last_status: str = "PROVISIONING"
    desired_status: str = "RUNNING"
    stop_code: str = ""
    stopped_reason: str = ""
    exit_code: int | None = None
    image: Image | None = None
    started: datetime | None = None
    stopping: datetime | None = None
    stopped: datetime | None = None
    healthy_once: bool = False
    registered: bool = False
    drained_at: float = 0.0
    term_sent: bool = False
    process: child_process.Child | None = None

    @property
    def id(self) -> str:
        """The last part of the ARN."""
        return self.arn.rpartition("/")[2]

    @property
    def wanted(self) -> bool:
        """Whether the task is meant to run."""
        return self.desired_status == "RUNNING"

    @property
    def running(self) -> bool:
        """Whether it runs, and is not about to be stopped."""
        return self.last_status == "RUNNING" and self.wanted

    def start(self, placement: Placement) -> None:
        """Start the process; a task whose image cannot be had ends as STOPPED at once."""
        definition = self._container_definition()
        command = self._override().get("command") or definition.get("command")
        environment = {}
        try:
            self.image = resolve_image(definition["image"], placement.manifests)
            behaviour = self.image.behaviour_in(placement.environment.get("AWS_REGION", ""))
            environment = {"VERSION": self.image.version, "BEHAVIOUR": behaviour}
        except ImageNotFound as error:
            if not command or ".dkr.ecr." in definition["image"]:
                message = f"CannotPullContainerError: {error}"
                self.finish(placement.clock.now(), None, "TaskFailedToStart", message)
                return
        environment |= {one["name"]: one["value"] for one in definition.get("environment") or []}
        for one in self._override().get("environment") or []:
            environment[one["name"]] = one["value"]
        metadata = {"ECS_CONTAINER_METADATA_URI_V4": f"{placement.metadata}/{self.id}"}
        environment = {
            **placement.environment,
            **(metadata if placement.metadata else {}),
            "PORT": str(self.port),
            **environment,
        }
        self.process = placement.processes.start(
            command or ["python", "app.py"],
            {**environment, "BIND": self.ip},
            SERVICE_DIRECTORY,
            placement.logs / f"{self.id}.log",
        )
        self.last_status = "PENDING"

    def poll(self, now: datetime) -> None:
        """Notice that the process listens, or has ended."""
        if self.process is None or self.last_status == "STOPPED":
            return
        code = self.process.poll()
        if code is not None:
            child_process.send(self.process, signal.SIGKILL)
            reason = self.stopped_reason or "Essential container in task exited"
            self.finish(now, code, self.stop_code or "EssentialContainerExited", reason)
        elif self.last_status == "PENDING" and (not self.registrations or self._listens()):
            self.last_status, self.started = "RUNNING", now

    def ask_to_stop(self, now: datetime, code: str, reason: str, drain_seconds: float) -> None:
        """Begin to stop: drain for so many virtual seconds, then SIGTERM, then SIGKILL."""
        self.desired_status, self.stop_code, self.stopped_reason = "STOPPED", code, reason
        self.stopping = now
        self.drained_at = now.timestamp() + drain_seconds
        self.last_status = "DEACTIVATING"

    def advance_stop(self, clock: ScaledClock) -> None:
        """Take the next step of a stop that is due."""
        now = clock.now()
        if self.last_status == "STOPPED" or now.timestamp() < self.drained_at:
            return
        if self.process is None:
            self.finish(now, None, self.stop_code, self.stopped_reason)
        elif not self.term_sent:
            self.term_sent, self.last_status = True, "STOPPING"
            child_process.send(self.process, signal.SIGTERM)
            grace = max(STOP_TIMEOUT_SECONDS, MINIMUM_STOP_SECONDS * clock.scale)
            self.drained_at = now.timestamp() + grace
        else:
            child_process.send(self.process, signal.SIGKILL)

    def finish(self, now: datetime, code: int | None, stop_code: str, reason: str) -> None:
        """The task has ended; a process that a signal ended has 128 plus its number as code."""
        self.exit_code = 128 - code if code is not None and code < 0 else code
        self.desired_status = self.last_status = "STOPPED"
        self.stop_code, self.stopped_reason = stop_code, reason
        self.stopping, self.stopped = self.stopping or now, now

    def kill(self) -> None:
        """End the process at once, with all it started."""
        if self.process is not None:
            child_process.send(self.process, signal.SIGKILL)
            self.process.wait()

    def _container_definition(self) -> dict[str, Any]:
        return next(
            one for one in self.definition.container_definitions if one["name"] == self.container
        )

    def _override(self) -> dict[str, Any]:
        overrides: Sequence[dict[str, Any]] = self.overrides.get("containerOverrides") or []
        return next((one for one in overrides if one.get("name") == self.container), {})

    def _listens(self) -> bool:
        with contextlib.closing(socket.socket()) as probe:
            probe.settimeout(0.2)
            return probe.connect_ex((self.ip, self.port)) == 0
