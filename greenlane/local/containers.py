"""ECS for real: services keep tasks, tasks are processes, targets follow them.

moto keeps clusters, task definitions and tags; services and tasks are ours. A scheduler thread
looks every `TICK_SECONDS` at what is due. What differs from AWS: a task has an address of its own
in 127.0.0.0/8 instead of a network interface (Linux answers on all of them, macOS on one only);
a service's task counts as RUNNING, and is registered, once its process listens; task sets,
capacity providers, placement and service deployments as a resource of their own are not emulated.
"""

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import uuid4

from moto.ecs.models import EC2ContainerServiceBackend, ecs_backends
from moto.ecs.responses import EC2ContainerServiceResponse

from greenlane.local import elb
from greenlane.local.containers_operations import answers
from greenlane.local.containers_service import Deployment, Service
from greenlane.local.containers_task import Placement, Task
from greenlane.local.context import ACCOUNT_ID, LocalContext
from greenlane.local.images import local_manifests
from greenlane.local.operations import Operations
from greenlane.local.task_metadata import TaskMetadata
from greenlane.local.task_processes import TaskProcesses
from greenlane.local.telemetry import Telemetry

TICK_SECONDS = 0.03
KEPT_SECONDS = 3600
"""Virtual seconds that a stopped task can still be described, as in AWS."""

_log = logging.getLogger(__name__)


class Containers:
    """The ECS of one local cloud. It is also the `Fleet` that its services act through."""

    def __init__(self, context: LocalContext) -> None:
        """See the class."""
        self.backend: EC2ContainerServiceBackend = ecs_backends[ACCOUNT_ID][context.region]
        self.services: dict[str, Service] = {}
        self.tasks: dict[str, Task] = {}
        self.lock = threading.RLock()
        self.clock = context.clock
        self.region = context.region
        self._context = context
        self._addresses = _addresses()
        self._operations = Operations(EC2ContainerServiceResponse, context.region)
        self._wake = threading.Event()
        self._stopping = False
        self._scheduler = threading.Thread(target=self._schedule, name="ecs", daemon=True)
        logs = context.directory / "tasks"
        self._metadata = TaskMetadata(self._task)
        self._telemetry = Telemetry(self, logs)
        self._processes = TaskProcesses(context.directory / "task-processes.log")
        self._placement = Placement(
            context.clock,
            local_manifests(context.region),
            self._processes,
            logs,
            {
                "AWS_ENDPOINT_URL": context.endpoint_url,
                "AWS_REGION": context.region,
                "AWS_ACCESS_KEY_ID": "task",
                "AWS_SECRET_ACCESS_KEY": "local",
                "DATABASE": self._telemetry.database.address,
                "METRICS_SECONDS": f"{self._telemetry.pause:g}",
                # As old as the flags of a service on AWS may be, in virtual time.
                "FLAGS_TTL_SECONDS": f"{max(0.2, context.clock.real_seconds(5)):g}",
                "LOCAL_CLOCK": f"{context.clock.origin.isoformat()} {context.clock.scale:g}",
            },
            self._metadata.url,
        )

    def start(self) -> None:
        """Answer ECS's operations and begin to schedule."""
        self._placement.logs.mkdir(parents=True, exist_ok=True)
        for operation, function in answers(self).items():
            self._operations.answer(operation, function)
        self._metadata.start()
        self._telemetry.start()
        self._scheduler.start()

    def stop(self) -> None:
        """Kill every task; give the operations back to moto."""
        self._stopping = True
        self._wake.set()
        self._scheduler.join()
        self._telemetry.stop()
        self._metadata.stop()
        self._operations.restore()
        for task in self.tasks.values():
            task.kill()
        self._processes.stop()

    def wake(self) -> None:
        """Let the scheduler look at once."""
        self._wake.set()

    def now(self) -> datetime:
        """The virtual instant."""
        return self.clock.now()

    def new_task(self, cluster_arn: str, definition: Any, container: str, **more: Any) -> Task:
        """A task, not started yet, with an address of its own."""
        arn = f"{cluster_arn.replace(':cluster/', ':task/')}/{uuid4().hex}"
        ports = next(
            one.get("portMappings") or []
            for one in definition.container_definitions
            if one["name"] == container
        )
        port = int(ports[0]["containerPort"]) if ports else 8000
        for registration in more.get("registrations", []):
            port = registration.port
        address = next(ip for ip in self._addresses if _free(ip, port))
        task = Task(
            arn, cluster_arn, definition, container, address, port, created=self.now(), **more
        )
        self.tasks[arn] = task
        return task

    def launch(self, service: Service, deployment: Deployment) -> Task:
        """Start a task of a service's deployment."""
        definition = self.backend.describe_task_definition(deployment.task_definition)
        registrations = service.registrations
        names = [str(one["name"]) for one in definition.container_definitions]
        task = self.new_task(
            service.cluster_arn,
            definition,
            registrations[0].container if registrations else names[0],
            group=f"service:{service.name}",
            started_by=deployment.id,
            deployment_id=deployment.id,
            service=service.arn,
            registrations=registrations,
            network=service.settings.get("networkConfiguration") or {},
        )
        if service.settings.get("propagateTags") == "SERVICE":
            task.tags = list(service.record.tags or [])
        service.tasks.append(task)
        return task

    def stop_task(self, task: Task, code: str, reason: str) -> None:
        """Begin to stop a task: deregister it, and let it drain."""
        task.ask_to_stop(self.now(), code, reason, self._deregister(task))

    def health(self, task: Task) -> str:
        """`healthy`, `unhealthy` or `pending`; a group that no rule uses has no objection."""
        if not task.registrations:
            return "healthy"
        if not task.registered:
            return "pending"
        balancing = elb.running(self.region)
        states = {
            balancing.state(one.group_arn, task.ip, one.port)[:2] for one in task.registrations
        }
        if states <= {("healthy", ""), ("unused", "Target.NotInUse")}:
            return "healthy"
        return "unhealthy" if "unhealthy" in {state for state, _ in states} else "pending"

    def announce(self, service: Service, name: str, deployment: Deployment) -> None:
        """Emit an `ECS Deployment State Change`."""
        detail = {
            "eventType": "ERROR" if name.endswith("FAILED") else "INFO",
            "eventName": name,
            "deploymentId": deployment.id,
            "updatedAt": deployment.updated.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reason": deployment.reason,
        }
        kind = "ECS Deployment State Change"
        self._context.put_event("aws.ecs", kind, detail, [service.arn])

    def _task(self, task_id: str) -> Task | None:
        """The task of an id, the last part of its ARN."""
        return next((task for task in list(self.tasks.values()) if task.id == task_id), None)

    def _schedule(self) -> None:
        while not self._stopping:
            self._wake.wait(TICK_SECONDS)
            self._wake.clear()
            with self.lock:
                try:
                    self._tick()
                except Exception:
                    # The scheduler must live on: the next tick tries again.
                    _log.exception("the local ECS scheduler stumbled")

    def _tick(self) -> None:
        now = self.now()
        for task in list(self.tasks.values()):
            self._advance(task, now)
        for service in list(self.services.values()):
            if service.status == "ACTIVE":
                service.reconcile(self)
            service.tasks = [task for task in service.tasks if task.last_status != "STOPPED"]
            if service.status == "DRAINING" and not service.tasks:
                service.status = "INACTIVE"

    def _advance(self, task: Task, now: datetime) -> None:
        if task.last_status == "STOPPED":
            if task.stopped and (now - task.stopped).total_seconds() > KEPT_SECONDS:
                del self.tasks[task.arn]
            return
        if task.last_status == "PROVISIONING" and task.wanted:
            task.start(self._placement)
        else:
            task.poll(now)
        if task.last_status == "STOPPED":
            self._ended(task)
        elif not task.wanted:
            task.advance_stop(self.clock)
        elif task.running and not task.registered:
            task.registered = True
            for one in task.registrations:
                elb.running(self.region).register(one.group_arn, task.ip, one.port)

    def _ended(self, task: Task) -> None:
        """A process is gone: take its address out of the groups; its service hears of failures."""
        self._deregister(task)
        service = self.services.get(task.service)
        if service is not None and task.stop_code in (
            "EssentialContainerExited",
            "TaskFailedToStart",
        ):
            service.task_ended(task, self)

    def _deregister(self, task: Task) -> float:
        """Take a task out of its groups; the virtual seconds it has to drain."""
        if not task.registered:
            return 0.0
        task.registered = False
        balancing = elb.running(self.region)
        delays = [
            balancing.deregister(one.group_arn, task.ip, one.port) for one in task.registrations
        ]
        return max(delays, default=0.0)


def _addresses() -> Iterator[str]:
    """Loopback addresses: 127.0.x.y, begun at a place that differs between processes."""
    first = os.getpid() * 251
    for n in range(1 << 30):
        number = (first + n) % 60_000
        yield f"127.0.{10 + number // 250}.{1 + number % 250}"


def _free(ip: str, port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ip, port))
        except OSError:
            return False
    return True


_running: dict[str, Containers] = {}


def install(context: LocalContext) -> Containers:
    """The ECS of a local cloud, to be started."""
    _running[context.region] = Containers(context)
    return _running[context.region]


def running(region: str) -> Containers:
    """The ECS installed for a region; `KeyError` if there is none."""
    return _running[region]
