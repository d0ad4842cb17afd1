"""ECS in virtual time: tasks that start, become healthy, are replaced and stopped."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
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


class Fleet(Containers):
    """A boto3 `ecs` client over two services.

    Args:
        kernel: the time.
        settle: called before anything changes that clients would notice.
        bad: which image answers with errors.
        never_healthy: which image fails its health checks.
    """

    def __init__(
        self,
        kernel: Kernel,
        settle: Callable[[], None],
        *,
        bad: str | None = None,
        never_healthy: str | None = None,
    ) -> None:
        super().__init__()
        self.kernel, self.settle = kernel, settle
        self.bad, self.never_healthy = bad, never_healthy
        self.died_at = -1e9
        self.stopping: Callable[[str], None] = lambda slot: None
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
        bad = sum(self.image(task.definition) == self.bad for task in found)
        return len(found) - bad, bad

    @property
    def targets(self) -> dict[str, dict[str, str]]:
        """State by address, of the targets that are registered, by slot."""
        return {
            slot: {task.address: task.state for task in tasks if task.state != "starting"}
            for slot, tasks in self.all.items()
        }

    def update_service(self, **arguments: Any) -> dict[str, Any]:  # type: ignore[override]
        """ECS takes the wish and works on it by itself."""
        answer = super().update_service(**arguments)
        self.converge(arguments["service"].rsplit("-", 1)[1])
        return answer

    def converge(self, slot: str) -> None:
        """Start what is missing, stop what is too many, replace what is outdated."""
        entry = self.services[f"{SERVICE}-{slot}"]
        wanted, definition = entry["desiredCount"], entry["taskDefinition"]
        ours = [task for task in self.all[slot] if task.definition == definition]
        for _ in range(wanted - len(ours)):
            self._start(slot, definition)
        spare = ours[wanted:] if len(ours) > wanted else []
        if sum(task.state == "healthy" for task in ours) >= wanted:
            spare += [task for task in self.all[slot] if task.definition != definition]
        if spare:
            if any(task.state == "healthy" for task in spare):
                self.stopping(slot)
            self.settle()
            self.all[slot] = [task for task in self.all[slot] if task not in spare]
        self._publish(slot)

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
        serving = [task for task in self.all[slot] if task.state == "healthy"]
        if len(serving) > 1:
            self.settle()
            self.died_at = self.kernel.seconds
            self.all[slot].remove(serving[0])
            self.converge(slot)

    def _publish(self, slot: str) -> None:
        name = f"{SERVICE}-{slot}"
        running = [task for task in self.all[slot] if task.state != "starting"]
        self.services[name]["runningCount"] = len(running)
        self.services[name]["pendingCount"] = len(self.all[slot]) - len(running)
        self.tasks[name] = {task.address: task.definition for task in running}
