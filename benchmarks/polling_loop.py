"""What a team writes first: a loop that shifts, sleeps 30 s and looks again.

It makes the calls that such a loop needs (service, targets, alarms, metrics) and nothing of what
makes a deployment safe: no lease, no fence, no history. Its time is kept in two purses: sleeping,
which the local cloud compresses, and calling, which it does not.
"""

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from greenlane.deployments.model import Slot, other
from greenlane.deployments.reaching import fleet, traffic
from greenlane.deployments.workload import Workload
from greenlane.health.alarms import read_alarms
from greenlane.health.metrics import read_traffic
from greenlane.local.stage import Stage

POLL_SECONDS = 30


@dataclass
class PollingLoop:
    """One deployment by polling, on the stage's own workload.

    Args:
        stage: where.
        caller: the name under which the journal counts its calls.
    """

    stage: Stage
    caller: str = "polling-loop"
    polls: int = 0
    shifts: int = 0
    slept_seconds: float = 0.0
    calling_seconds: float = 0.0
    _clients: dict[str, Any] = field(default_factory=dict)

    @property
    def workload(self) -> Workload:
        """The service's slots."""
        return self.stage.workload

    def run(self, version: str, weights: Sequence[int], bake_seconds: int) -> None:
        """Bring a version into the idle slot, then shift step by step."""
        live, definition = self._call(lambda: self._register(version))
        idle = other(live)
        slot = self.workload.slots[idle]
        desired = self._call(
            lambda: (
                fleet.read_service(
                    self._client("ecs"), self.workload.cluster, self.workload.slots[live].service
                ).desired
            )
        )
        self._call(
            lambda: fleet.set_service(
                self._client("ecs"),
                self.workload.cluster,
                slot.service,
                desired=desired,
                task_definition=definition,
            )
        )
        while not self._call(lambda: self._stable(idle, desired)):
            self._sleep()
        for weight in weights:
            self._call(functools.partial(self._shift, live, weight))
            for _ in range(max(bake_seconds // POLL_SECONDS, 1)):
                self._sleep()
                self._call(lambda: self._look(idle))

    def _client(self, name: str) -> Any:
        if name not in self._clients:
            self._clients[name] = self.stage.cloud.client(name, caller=self.caller)
        return self._clients[name]

    def _call(self, work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        try:
            return work()
        finally:
            self.calling_seconds += time.perf_counter() - began

    def _sleep(self) -> None:
        self.polls += 1
        self.slept_seconds += POLL_SECONDS
        time.sleep(self.stage.cloud.clock.real_seconds(POLL_SECONDS))

    def _register(self, version: str) -> tuple[Slot, str]:
        ecs, elbv2 = self._client("ecs"), self._client("elbv2")
        percent = traffic.read_rule(elbv2, self.workload.listener_rule_arn).percent(self.workload)
        live: Slot = "blue" if percent and percent["blue"] else "green"
        service = fleet.read_service(ecs, self.workload.cluster, self.workload.slots[live].service)
        running = fleet.read_task_definition(ecs, service.task_definition)
        image = fleet.container_of(running, self.workload.container)["image"]
        repository = image.partition("@")[0].rpartition("/")
        name = repository[2].partition(":")[0]
        body = fleet.next_revision(
            running,
            container=self.workload.container,
            image=f"{repository[0]}/{name}:{version}",
            shape=self.workload.shape,
        )
        return live, fleet.register_once(ecs, body, f"{self.caller}-{version}")

    def _stable(self, slot: Slot, desired: int) -> bool:
        resources = self.workload.slots[slot]
        service = fleet.read_service(self._client("ecs"), self.workload.cluster, resources.service)
        health = traffic.slot_health(self._client("elbv2"), resources.target_group_arn)
        return service.running == desired and len(health.healthy) == desired

    def _shift(self, live: Slot, weight: int) -> None:
        elbv2 = self._client("elbv2")
        rule = traffic.read_rule(elbv2, self.workload.listener_rule_arn)
        slots = self.workload.slots
        weights = {
            slots[live].target_group_arn: 100 - weight,
            slots[other(live)].target_group_arn: weight,
        }
        actions = traffic.actions_with(rule, weights, keep_stickiness=True)
        traffic.write_actions(elbv2, rule.arn, actions)
        self.shifts += 1

    def _look(self, slot: Slot) -> None:
        now = self.stage.cloud.clock.now()
        cloudwatch = self._client("cloudwatch")
        read_alarms(cloudwatch, self.workload.slots[slot].alarms)
        read_traffic(cloudwatch, self.workload, start=now - timedelta(minutes=2), end=now)
        traffic.slot_health(self._client("elbv2"), self.workload.slots[slot].target_group_arn)
