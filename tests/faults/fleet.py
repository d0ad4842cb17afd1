"""ECS in virtual time: tasks that start, become healthy, are replaced and stopped."""

import copy
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.builders import SERVICE
from tests.fakes import Containers
from tests.faults.kernel import Kernel

START_SECONDS, HEALTH_SECONDS = 20.0, 15.0


@dataclass
class Task:
    """One task and what its target group says of it."""

    address: str
    definition: str
    state: str = "starting"
    ends: bool = False
    """ECS has decided to stop it."""


Stopping = Callable[[str, int], None]
"""Told of a slot whose healthy tasks are stopped, and of how many healthy ones stay."""


class Fleet(Containers):
    """A boto3 `ecs` client over two services.

    Args:
        kernel: the time.
        settle: called before anything changes that clients would notice.
        bad: which images answer with errors.
        never_healthy: which image fails its health checks.
        stale_seconds: how old what ECS says may be.
        health_lag_seconds: how long a task that died counts as healthy.
        scale_in_seconds: how long a task that ECS stops serves on, and counts as healthy. That
            ECS is asked for more meanwhile does not save it.
    """

    def __init__(
        self,
        kernel: Kernel,
        settle: Callable[[], None],
        *,
        bad: set[str] | None = None,
        never_healthy: str | None = None,
        stale_seconds: float = 0.0,
        health_lag_seconds: float = 0.0,
        scale_in_seconds: float = 0.0,
    ) -> None:
        super().__init__()
        self.kernel, self.settle = kernel, settle
        self.bad, self.never_healthy = bad or set(), never_healthy
        self.died_at = -1e9
        self.stale_seconds, self.health_lag_seconds = stale_seconds, health_lag_seconds
        self.scale_in_seconds = scale_in_seconds
        self.dying: dict[str, list[str]] = {"blue": [], "green": []}
        self._dice = random.Random("how old an answer is")
        self._past: list[tuple[float, Any, Any]] = []
        self.stopping: Stopping = lambda slot, staying: None
        self._numbers = itertools.count(1)
        first = self.services[f"{SERVICE}-blue"]["taskDefinition"]
        self.all: dict[str, list[Task]] = {
            "blue": [Task(f"10.0.9.{n}", first, "healthy") for n in (1, 2)],
            "green": [],
        }
        self._publish("blue")
        self._publish("green")

    def image(self, definition: str) -> str:
        """The image that a revision of the service runs."""
        body = self.definitions[definition]["taskDefinition"]
        return str(body["containerDefinitions"][0]["image"])

    def healthy(self, slot: str) -> tuple[int, int]:
        """Healthy targets by version: good ones, bad ones."""
        found = [task for task in self.all[slot] if task.state == "healthy"]
        bad = sum(self.image(task.definition) in self.bad for task in found)
        return len(found) - bad, bad

    def serving(self, slot: str) -> tuple[int, int, int]:
        """Targets that get requests: good ones, bad ones, and those that died unnoticed."""
        return *self.healthy(slot), len(self.dying[slot])

    def counted(self, slot: str) -> int:
        """How many targets the balancer calls healthy."""
        return sum(self.serving(slot))

    @property
    def targets(self) -> dict[str, dict[str, str]]:
        """State by address, of the targets that are registered, by slot."""
        return {
            slot: {task.address: task.state for task in tasks if task.state != "starting"}
            | dict.fromkeys(self.dying[slot], "healthy")
            for slot, tasks in self.all.items()
        }

    def describe_services(self, **arguments: Any) -> dict[str, Any]:  # type: ignore[override]
        """ECS is eventually consistent: what it says may be some seconds old."""
        if not self.stale_seconds:
            return super().describe_services(**arguments)
        services, _ = self._seen()
        found = [services[name] for name in arguments["services"] if name in services]
        return {"services": found, "failures": []}

    def list_tasks(self, **arguments: Any) -> dict[str, Any]:  # type: ignore[override]
        """As old as the services; `describe_tasks` may not know all of them any more."""
        if not self.stale_seconds:
            return super().list_tasks(**arguments)
        name = arguments["serviceName"]
        _, tasks = self._seen()
        known = [address for address in tasks[name] if address in self.tasks[name]]
        return {"taskArns": [f"{name}/{address}" for address in known]}

    def _seen(self) -> tuple[Any, Any]:
        """Services and tasks as they were a moment ago."""
        at = self.kernel.seconds - self._dice.uniform(0, self.stale_seconds)
        while len(self._past) > 1 and self._past[1][0] <= self.kernel.seconds - self.stale_seconds:
            self._past.pop(0)
        return next((past[1:] for past in reversed(self._past) if past[0] <= at), self._past[0][1:])

    def update_service(self, **arguments: Any) -> dict[str, Any]:  # type: ignore[override]
        """ECS takes the wish and works on it by itself."""
        answer = super().update_service(**arguments)
        self.converge(arguments["service"].rsplit("-", 1)[1])
        return answer

    def converge(self, slot: str) -> None:
        """Start what is missing, stop what is too many, replace what is outdated."""
        entry = self.services[f"{SERVICE}-{slot}"]
        wanted, definition = entry["desiredCount"], entry["taskDefinition"]
        running = [task for task in self.all[slot] if not task.ends]
        ours = [task for task in running if task.definition == definition]
        for _ in range(wanted - len(ours)):
            self._start(slot, definition)
        ours.sort(key=lambda task: task.state != "healthy")  # those that serve stay
        spare = ours[wanted:]
        if sum(task.state == "healthy" for task in ours) >= wanted:
            spare += [task for task in running if task.definition != definition]
        for task in spare:
            task.ends = True
        if spare and self.scale_in_seconds:
            stop = partial(self._stop, slot, spare, self.stopping)
            self.kernel.after(self.scale_in_seconds, stop)
        elif spare:
            self._stop(slot, spare, self.stopping)
        self._publish(slot)

    def _stop(self, slot: str, spare: list[Task], stopping: Stopping) -> None:
        """They are gone from their target group."""
        staying = [task for task in self.all[slot] if task not in spare]
        if any(task.state == "healthy" for task in spare):
            stopping(slot, sum(task.state == "healthy" for task in staying))
        self.settle()
        self.all[slot] = staying
        self._publish(slot)

    def resize_by_hand(self, slot: str, tasks: int) -> None:
        """Somebody, or auto scaling, sets a slot's count; if it shrinks, no drain is waited for."""
        if tasks < len(self.all[slot]):
            self.died_at = max(self.died_at, self.kernel.seconds + self.scale_in_seconds)
        told, self.stopping = self.stopping, lambda slot, staying: None
        self.update_service(cluster=SERVICE, service=f"{SERVICE}-{slot}", desiredCount=tasks)
        self.stopping = told

    def _start(self, slot: str, definition: str) -> None:
        task = Task(f"10.0.{0 if slot == 'blue' else 1}.{next(self._numbers)}", definition)
        self.all[slot].append(task)
        self.kernel.after(START_SECONDS, lambda: self._become(slot, task, "initial"))
        if self.image(definition) != self.never_healthy:
            after = START_SECONDS + HEALTH_SECONDS
            self.kernel.after(after, lambda: self._become(slot, task, "healthy"))

    def _become(self, slot: str, task: Task, state: str) -> None:
        if task in self.all[slot]:
            self.settle()
            task.state = state
            self.converge(slot)

    def lose_task(self, slot: str) -> None:
        """One task of a slot dies, but never the only one that serves; ECS starts another."""
        serving = [task for task in self.all[slot] if task.state == "healthy" and not task.ends]
        if len(serving) > 1:
            self.settle()
            task, lag = serving[0], self.health_lag_seconds
            self.died_at = self.kernel.seconds + lag
            self.all[slot].remove(task)
            if lag:
                self.dying[slot].append(task.address)
                self.kernel.after(lag, lambda: self._gone(slot, task.address))
            self.converge(slot)

    def _gone(self, slot: str, address: str) -> None:
        """The target group has noticed."""
        self.settle()
        self.dying[slot].remove(address)

    def _publish(self, slot: str) -> None:
        name = f"{SERVICE}-{slot}"
        running = [task for task in self.all[slot] if task.state != "starting"]
        self.services[name]["runningCount"] = len(running)
        self.services[name]["pendingCount"] = len(self.all[slot]) - len(running)
        self.tasks[name] = {task.address: task.definition for task in running}
        if self.stale_seconds:
            self._past.append(
                (self.kernel.seconds, copy.deepcopy(self.services), copy.deepcopy(self.tasks))
            )
