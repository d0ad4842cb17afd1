"""How an ECS service keeps its tasks: rolling update, circuit breaker, replacement of failures.

Pure of threads and requests: `Service.reconcile` is called again and again and asks its `Fleet`
for what it needs. Rules from the ECS developer guide: at least `minimumHealthyPercent` of the
desired count stays healthy, at most `maximumPercent` runs; the circuit breaker trips at
max(3, half the desired count) failed tasks in a row, at most 200, and a healthy task starts the
count anew.
"""

import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import uuid4

from greenlane.local.containers_task import Registration, Task

BACKOFF_SECONDS = 10.0
LONGEST_BACKOFF_SECONDS = 300.0
KEPT_EVENTS = 100


class Fleet(Protocol):
    """What a service needs to act; all of it takes effect at once."""

    def now(self) -> datetime:
        """The virtual instant."""

    def launch(self, service: "Service", deployment: "Deployment") -> Task:
        """Start a task of a deployment."""

    def stop_task(self, task: Task, code: str, reason: str) -> None:
        """Begin to stop a task."""

    def health(self, task: Task) -> str:
        """`healthy`, `unhealthy` or `pending`: what its target groups think of a running task."""

    def announce(self, service: "Service", name: str, deployment: "Deployment") -> None:
        """Emit an `ECS Deployment State Change` (`SERVICE_DEPLOYMENT_COMPLETED`)."""


@dataclass
class Deployment:
    """One deployment of a service: a revision on its way in, or on its way out."""

    task_definition: str
    created: datetime
    updated: datetime
    id: str = field(default_factory=lambda: f"ecs-svc/{uuid4().int % 10**19:019d}")
    status: str = "PRIMARY"
    rollout_state: str = "IN_PROGRESS"
    reason: str = ""
    failed_tasks: int = 0
    not_before: float = 0.0

    def __post_init__(self) -> None:
        self.reason = self.reason or f"ECS deployment {self.id} in progress."

    def failed(self, now: datetime) -> None:
        """Count a failed task and wait before the next one, longer each time."""
        self.failed_tasks += 1
        wait = min(BACKOFF_SECONDS * 2 ** (self.failed_tasks - 1), LONGEST_BACKOFF_SECONDS)
        self.not_before = now.timestamp() + wait


@dataclass
class Service:
    """An ECS service.

    `settings` are CreateService's and UpdateService's members as AWS names them; `record` is
    moto's own entry, which carries the tags.
    """

    arn: str
    cluster_arn: str
    settings: dict[str, Any]
    created: datetime
    record: Any
    deployments: list[Deployment] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    status: str = "ACTIVE"

    @property
    def name(self) -> str:
        """The service's name."""
        return str(self.settings["serviceName"])

    @property
    def desired(self) -> int:
        """The desired count; 1 if CreateService named none, as CloudFormation has it."""
        count = self.settings.get("desiredCount")
        return 1 if count is None else int(count)

    @property
    def primary(self) -> Deployment:
        """The deployment that is wanted."""
        return self.deployments[0]

    @property
    def registrations(self) -> list[Registration]:
        """The target groups that tasks are registered in."""
        return [
            Registration(one["targetGroupArn"], one["containerName"], int(one["containerPort"]))
            for one in self.settings.get("loadBalancers") or []
            if one.get("targetGroupArn")
        ]

    def deploy(self, task_definition: str, now: datetime) -> None:
        """Begin a deployment; the one before becomes ACTIVE until its tasks are gone."""
        for old in self.deployments:
            old.status, old.updated = "ACTIVE", now
        self.deployments.insert(0, Deployment(task_definition, now, now))
        self._drop_empty()

    def of(self, deployment: Deployment) -> list[Task]:
        """The tasks of a deployment that are meant to run."""
        return [t for t in self.tasks if t.deployment_id == deployment.id and t.wanted]

    def reconcile(self, fleet: Fleet) -> None:
        """Take the steps that are due."""
        now = fleet.now()
        self._replace_sick(fleet, now)
        if self.primary.rollout_state != "FAILED":
            self._launch(fleet, now)
        self._scale_in(fleet)
        self._retire_old(fleet)
        self._drop_empty()
        self._settle(fleet, now)

    def task_ended(self, task: Task, fleet: Fleet) -> None:
        """A task ended by itself: count it against its deployment."""
        deployment = next((one for one in self.deployments if one.id == task.deployment_id), None)
        if deployment is None:
            return
        now = fleet.now()
        deployment.failed(now)
        self.note(now, f"(task {task.id}) stopped: {task.stopped_reason}")
        self._break_circuit(deployment, fleet, now)

    def note(self, now: datetime, message: str) -> None:
        """Add to the service's events, newest first."""
        entry = {
            "id": str(uuid4()),
            "createdAt": now,
            "message": f"(service {self.name}) {message}",
        }
        self.events = [entry, *self.events][:KEPT_EVENTS]

    def _replace_sick(self, fleet: Fleet, now: datetime) -> None:
        """Stop tasks that fail their health checks after the grace period; note the healthy."""
        grace = float(self.settings.get("healthCheckGracePeriodSeconds") or 0)
        for task in self.tasks:
            if not task.running:
                continue
            health = fleet.health(task)
            if health == "healthy" and not task.healthy_once:
                task.healthy_once = True
                for deployment in self.deployments:
                    if deployment.id == task.deployment_id:
                        deployment.failed_tasks = 0
            elif health == "unhealthy" and task.started is not None:
                if (now - task.started).total_seconds() < grace:
                    continue
                groups = ", ".join(one.group_arn for one in task.registrations)
                reason = f"Task failed ELB health checks in (target-group {groups})"
                fleet.stop_task(task, "ServiceSchedulerInitiated", reason)
                task.stopped_reason = reason
                self.task_ended(task, fleet)

    def _launch(self, fleet: Fleet, now: datetime) -> None:
        configuration = self.settings.get("deploymentConfiguration") or {}
        most = math.floor(self.desired * int(configuration.get("maximumPercent", 200)) / 100)
        wanted = sum(task.wanted for task in self.tasks)
        missing = self.desired - len(self.of(self.primary))
        if now.timestamp() < self.primary.not_before:
            return
        started = [
            fleet.launch(self, self.primary) for _ in range(max(0, min(missing, most - wanted)))
        ]
        if started:
            names = ", ".join(f"(task {task.id})" for task in started)
            self.note(now, f"has started {len(started)} tasks: {names}.")

    def _scale_in(self, fleet: Fleet) -> None:
        tasks = self.of(self.primary)
        # The latest go first, and of them those that do not serve yet.
        tasks.sort(key=lambda task: (task.healthy_once, -task.created.timestamp()))
        for task in tasks[: max(0, len(tasks) - self.desired)]:
            fleet.stop_task(task, "ServiceSchedulerInitiated", self._scaling_reason(self.primary))

    def _retire_old(self, fleet: Fleet) -> None:
        """Stop tasks of older deployments as far as enough healthy ones remain."""
        configuration = self.settings.get("deploymentConfiguration") or {}
        least = math.ceil(self.desired * int(configuration.get("minimumHealthyPercent", 100)) / 100)
        healthy = [task for task in self.tasks if task.running and fleet.health(task) == "healthy"]
        spare = len(healthy) - least
        for deployment in self.deployments[1:]:
            for task in self.of(deployment):
                if task in healthy:
                    if spare <= 0:
                        continue
                    spare -= 1
                fleet.stop_task(task, "ServiceSchedulerInitiated", self._scaling_reason(deployment))

    @staticmethod
    def _scaling_reason(deployment: Deployment) -> str:
        return f"Scaling activity initiated by (deployment {deployment.id})"

    def _drop_empty(self) -> None:
        self.deployments = [self.primary] + [one for one in self.deployments[1:] if self.of(one)]

    def _settle(self, fleet: Fleet, now: datetime) -> None:
        """The rollout is complete once all desired tasks are healthy and the old ones gone."""
        primary = self.primary
        tasks = self.of(primary)
        if primary.rollout_state != "IN_PROGRESS" or len(self.deployments) > 1:
            return
        if len(tasks) == self.desired and all(
            task.running and fleet.health(task) == "healthy" for task in tasks
        ):
            primary.rollout_state, primary.updated = "COMPLETED", now
            primary.reason = f"ECS deployment {primary.id} completed."
            self.note(now, "has reached a steady state.")
            fleet.announce(self, "SERVICE_DEPLOYMENT_COMPLETED", primary)

    def _break_circuit(self, deployment: Deployment, fleet: Fleet, now: datetime) -> None:
        configuration = self.settings.get("deploymentConfiguration") or {}
        breaker = configuration.get("deploymentCircuitBreaker") or {}
        threshold = min(max(3, math.ceil(self.desired / 2)), 200)
        if (
            not breaker.get("enable")
            or deployment.status != "PRIMARY"
            or deployment.rollout_state != "IN_PROGRESS"
            or deployment.failed_tasks < threshold
        ):
            return
        deployment.rollout_state, deployment.updated = "FAILED", now
        deployment.reason = (
            f"ECS deployment circuit breaker: tasks failed to start ({deployment.id})"
        )
        good = next((one for one in self.deployments[1:] if one.rollout_state == "COMPLETED"), None)
        fleet.announce(self, "SERVICE_DEPLOYMENT_FAILED", deployment)
        if breaker.get("rollback") and good is not None:
            deployment.reason += f": rolling back to deploymentId {good.id}"
            self.deploy(good.task_definition, now)
            self.settings["taskDefinition"] = good.task_definition
