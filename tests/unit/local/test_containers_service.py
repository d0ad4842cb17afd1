from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from greenlane.local.containers_service import Deployment, Service
from greenlane.local.containers_task import Task


class FakeFleet:
    """Tasks that do what a test says, at once."""

    def __init__(self) -> None:
        self.time = datetime(2027, 1, 1, tzinfo=UTC)
        self.sick: set[str] = set()
        self.crashing: set[str] = set()
        self.announced: list[str] = []
        self.most = 0
        self.count = 0

    def now(self) -> datetime:
        return self.time

    def launch(self, service: Service, deployment: Deployment) -> Task:
        self.count += 1
        task = Task(
            arn=f"arn:task/{self.count}",
            cluster_arn="cluster",
            definition=SimpleNamespace(arn=deployment.task_definition),
            container="c",
            ip="127.0.0.1",
            port=1,
            group="",
            created=self.time,
            deployment_id=deployment.id,
        )
        service.tasks.append(task)
        return task

    def stop_task(self, task: Task, code: str, reason: str) -> None:
        task.finish(self.time, 0, code, reason)

    def health(self, task: Task) -> str:
        return "unhealthy" if task.definition.arn in self.sick else "healthy"

    def announce(self, service: Service, name: str, deployment: Deployment) -> None:
        self.announced.append(name)

    def run(self, service: Service, rounds: int = 20) -> None:
        """Let tasks start or crash, and the service react, some minutes long."""
        for _ in range(rounds):
            for task in service.tasks:
                if task.wanted and task.last_status == "PROVISIONING":
                    task.last_status, task.started = "RUNNING", self.time
                    if task.definition.arn in self.crashing:
                        task.finish(self.time, 1, "EssentialContainerExited", "crashed")
                        service.task_ended(task, self)
            service.reconcile(self)
            self.most = max(self.most, sum(task.wanted for task in service.tasks))
            self.time += timedelta(seconds=60)


def make(count: int = 2, **settings: Any) -> tuple[Service, FakeFleet]:
    fleet = FakeFleet()
    service = Service(
        "arn:service/s",
        "cluster",
        {"serviceName": "s", "desiredCount": count, "taskDefinition": "v1", **settings},
        fleet.time,
        None,
    )
    service.deploy("v1", fleet.time)
    fleet.run(service)
    return service, fleet


def running(service: Service) -> list[str]:
    return sorted(task.definition.arn for task in service.tasks if task.running)


def breaker(rollback: bool) -> dict[str, Any]:
    return {
        "minimumHealthyPercent": 100,
        "maximumPercent": 200,
        "deploymentCircuitBreaker": {"enable": True, "rollback": rollback},
    }


def test_a_new_service_reaches_its_count_and_says_so_once() -> None:
    service, fleet = make(3)

    assert running(service) == ["v1"] * 3
    assert service.primary.rollout_state == "COMPLETED"
    assert fleet.announced == ["SERVICE_DEPLOYMENT_COMPLETED"]


@pytest.mark.parametrize(("most", "expected"), [(200, 8), (150, 6), (125, 5)])
def test_an_update_never_runs_more_than_the_maximum_nor_less_than_the_minimum(
    most: int, expected: int
) -> None:
    configuration = {"minimumHealthyPercent": 100, "maximumPercent": most}
    service, fleet = make(4, deploymentConfiguration=configuration)
    service.deploy("v2", fleet.time)
    fewest = 4
    for _ in range(20):
        fleet.run(service, 1)
        fewest = min(fewest, len(running(service)))

    assert running(service) == ["v2"] * 4
    assert fleet.most == expected
    assert fewest == 4


def test_old_tasks_stay_while_new_ones_are_not_healthy() -> None:
    service, fleet = make(2, healthCheckGracePeriodSeconds=10**6)
    fleet.sick.add("v2")
    service.deploy("v2", fleet.time)
    fleet.run(service)

    assert running(service) == ["v1", "v1", "v2", "v2"]
    assert service.primary.rollout_state == "IN_PROGRESS"


@pytest.mark.parametrize(("count", "failures"), [(2, 3), (10, 5)])
def test_the_circuit_breaker_trips_at_3_or_half_the_count(count: int, failures: int) -> None:
    service, fleet = make(count, deploymentConfiguration=breaker(rollback=False))
    fleet.crashing.add("v2")
    service.deploy("v2", fleet.time)
    while service.primary.rollout_state == "IN_PROGRESS":
        fleet.run(service, 1)
    tripped = service.primary.failed_tasks
    fleet.run(service)

    # Tasks that started together may all fail before the next look.
    assert failures <= tripped < failures + count
    assert service.primary.rollout_state == "FAILED"
    assert service.primary.task_definition == "v2"
    assert running(service) == ["v1"] * count
    assert fleet.announced[-1] == "SERVICE_DEPLOYMENT_FAILED"
    assert service.primary.failed_tasks == tripped


def test_with_rollback_on_the_breaker_deploys_the_last_good_revision() -> None:
    service, fleet = make(2, deploymentConfiguration=breaker(rollback=True))
    fleet.crashing.add("v2")
    service.deploy("v2", fleet.time)
    fleet.run(service, 60)

    assert service.primary.task_definition == "v1"
    assert service.primary.rollout_state == "COMPLETED"
    assert running(service) == ["v1", "v1"]


def test_after_a_failed_deployment_old_tasks_stay_until_the_count_falls() -> None:
    service, fleet = make(2, deploymentConfiguration=breaker(rollback=False))
    fleet.crashing.add("v2")
    service.deploy("v2", fleet.time)
    fleet.run(service)
    assert service.primary.rollout_state == "FAILED"
    assert running(service) == ["v1"] * 2, "nothing else would serve"

    service.settings["desiredCount"] = 1
    fleet.run(service)
    assert running(service) == ["v1"]

    service.settings["desiredCount"] = 0
    fleet.run(service)
    assert running(service) == []
    assert all(task.definition.arn != "v2" or not task.wanted for task in service.tasks)


def test_without_a_breaker_failures_are_tried_again_with_longer_waits() -> None:
    service, fleet = make(1)
    fleet.crashing.add("v2")
    service.deploy("v2", fleet.time)
    waits = []
    for _ in range(8):
        before = service.primary.failed_tasks
        began = fleet.time
        while service.primary.failed_tasks == before:
            fleet.run(service, 1)
        waits.append(service.primary.not_before - fleet.time.timestamp())
        assert fleet.time > began

    assert service.primary.rollout_state == "IN_PROGRESS"
    assert waits == sorted(waits)
    assert running(service) == ["v1"]


def test_scaling_in_keeps_the_tasks_that_serve() -> None:
    service, fleet = make(2)
    kept = {task.arn for task in service.tasks}
    service.settings["desiredCount"] = 4
    service.reconcile(fleet)
    service.settings["desiredCount"] = 2
    service.reconcile(fleet)

    assert {task.arn for task in service.tasks if task.wanted} == kept


def test_a_service_of_no_tasks_is_complete() -> None:
    service, _ = make(0)

    assert service.primary.rollout_state == "COMPLETED"
    assert service.tasks == []
