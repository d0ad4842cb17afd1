import os
import signal
from collections.abc import Iterator

import pytest
import requests
from botocore.exceptions import ClientError

from tests.unit.local.data_plane import DataPlane, running_data_plane, wait_until

SERVER = """\
import http.server as h
class Handler(h.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
h.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""
PUBLIC_IMAGE = "public.ecr.aws/docker/library/python:3.13-alpine"


@pytest.fixture
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataPlane]:
    with running_data_plane(tmp_path_factory.mktemp("plane")) as running:
        running.make_balancer()
        yield running


def addresses(plane: DataPlane) -> set[str]:
    return {
        task["containers"][0]["networkInterfaces"][0]["privateIpv4Address"]
        for task in plane.tasks()
    }


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_rolling_update_replaces_every_task_and_reports_both_deployments(
    plane: DataPlane,
) -> None:
    first = plane.register(plane.push("1.0.0"))
    plane.create_service("blue", first, 2, tags=[{"key": "Environment", "value": "blue"}])
    service = plane.steady("blue")
    assert service["tags"] == [{"key": "Environment", "value": "blue"}]
    (old,) = service["deployments"]
    before = addresses(plane)

    second = plane.register(plane.push("2.0.0"))
    plane.update("blue", taskDefinition=second)
    primary, active = plane.service("blue")["deployments"]
    assert (primary["status"], primary["taskDefinition"]) == ("PRIMARY", second)
    assert (primary["rolloutState"], primary["desiredCount"]) == ("IN_PROGRESS", 2)
    assert (active["status"], active["id"], active["taskDefinition"]) == (
        "ACTIVE",
        old["id"],
        first,
    )

    service = plane.steady("blue")
    assert [one["id"] for one in service["deployments"]] == [primary["id"]]
    assert (service["runningCount"], service["taskDefinition"]) == (2, second)
    assert before.isdisjoint(addresses(plane))
    assert {task["taskDefinitionArn"] for task in plane.tasks()} == {second}
    assert plane.health("blue").count("healthy") == 2
    plane.elb.settle()
    assert plane.get().headers["X-Version"] == "2.0.0"


def test_one_update_that_changes_nothing_starts_no_deployment_unless_forced(
    plane: DataPlane,
) -> None:
    definition = plane.register(plane.push("1.0.0"))
    plane.create_service("blue", definition)
    (before,) = plane.steady("blue")["deployments"]

    plane.update("blue", taskDefinition=definition, desiredCount=1)
    (same,) = plane.service("blue")["deployments"]
    plane.update("blue", forceNewDeployment=True)
    forced = plane.steady("blue")["deployments"]

    assert same["id"] == before["id"]
    assert forced[0]["id"] != before["id"]


def test_a_version_that_crashes_at_start_trips_the_circuit_breaker_and_the_old_one_serves_on(
    plane: DataPlane,
) -> None:
    plane.create_service("blue", plane.register(plane.push("1.0.0")))
    plane.steady("blue")

    plane.update("blue", taskDefinition=plane.register(plane.push("2.0.0", "crash")))
    wait_until(lambda: plane.service("blue")["deployments"][0]["rolloutState"] == "FAILED")

    primary, active = plane.service("blue")["deployments"]
    assert primary["failedTasks"] == 3
    assert active["runningCount"] == 1
    assert plane.get().headers["X-Version"] == "1.0.0"
    stopped = plane.tasks("STOPPED")
    assert {task["stopCode"] for task in stopped} == {"EssentialContainerExited"}
    assert {task["containers"][0]["exitCode"] for task in stopped} == {1}
    announced = [one["detail"].get("eventName") for one in plane.events]
    assert announced.count("SERVICE_DEPLOYMENT_FAILED") == 1


def test_an_image_that_was_never_pushed_cannot_be_pulled(plane: DataPlane) -> None:
    image = plane.push("1.0.0")
    plane.create_service("blue", plane.register(image.partition("@")[0] + ":9.9.9"))

    (task, *_) = wait_until(lambda: plane.tasks("STOPPED"))
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("CannotPullContainerError")


def test_a_task_that_is_killed_is_replaced(plane: DataPlane) -> None:
    plane.create_service("blue", plane.register(plane.push("1.0.0")))
    plane.steady("blue")
    (task,) = plane.containers.tasks.values()
    assert task.process is not None

    os.kill(task.process.pid, signal.SIGKILL)
    wait_until(lambda: plane.tasks("STOPPED"))
    plane.steady("blue")
    wait_until(lambda: plane.health("blue").count("healthy") == 1)

    (stopped,) = plane.tasks("STOPPED")
    assert stopped["containers"][0]["exitCode"] == 137
    assert plane.get().status_code == 200


def test_scaling_in_drains_a_target_before_its_process_ends(plane: DataPlane) -> None:
    plane.create_service("blue", plane.register(plane.push("1.0.0")), 2)
    plane.steady("blue")
    processes = [task.process for task in plane.containers.tasks.values()]

    plane.update("blue", desiredCount=1)
    wait_until(lambda: "draining" in plane.health("blue"))
    assert [process.poll() for process in processes if process] == [None, None]
    (stopped,) = wait_until(
        lambda: [one for one in plane.tasks("STOPPED") if one["lastStatus"] == "STOPPED"]
    )

    drained = (stopped["stoppedAt"] - stopped["stoppingAt"]).total_seconds()
    assert drained >= 30
    assert stopped["containers"][0]["exitCode"] == 0
    assert plane.health("blue") == ["healthy"]


def test_a_service_whose_health_check_fails_loses_its_task_to_a_new_one(
    plane: DataPlane,
) -> None:
    plane.create_service("blue", plane.register(plane.push("1.0.0", "leak:3")))
    plane.steady("blue")
    (first,) = plane.tasks()

    assert [plane.get().status_code for _ in range(5)] == [200, 200, 200, 500, 500]
    wait_until(lambda: [one for one in plane.tasks() if one["taskArn"] != first["taskArn"]])

    (stopped,) = plane.tasks("STOPPED")
    assert "failed ELB health checks" in stopped["stoppedReason"]


def test_public_images_run_their_command_and_all_listen_on_the_same_port(
    plane: DataPlane,
) -> None:
    definition = plane.register(PUBLIC_IMAGE, command=["python", "-c", SERVER])
    plane.push("unused")
    plane.create_service("blue", definition)
    plane.create_service("green", definition)
    plane.steady("blue")
    plane.steady("green")

    found = addresses(plane)
    assert len(found) == 2
    for address in found:
        assert requests.get(f"http://{address}:8000/", timeout=5).status_code == 200


def test_run_task_runs_a_command_once_per_client_token(plane: DataPlane) -> None:
    definition = plane.register(plane.push("1.0.0"))
    ecs = plane.client("ecs")
    command = ["python", "-c", "import os, sys; print(os.environ['VERSION']); sys.exit(3)"]
    arguments = {
        "cluster": "claude-manager",
        "taskDefinition": definition,
        "launchType": "FARGATE",
        "networkConfiguration": plane.resources["network"],
        "clientToken": "once",
        "startedBy": "a-deployment",
        "overrides": {"containerOverrides": [{"name": "claude-manager", "command": command}]},
    }
    (first,) = ecs.run_task(**arguments)["tasks"]
    (again,) = ecs.run_task(**arguments)["tasks"]
    assert again["taskArn"] == first["taskArn"]

    (done,) = wait_until(lambda: plane.tasks("STOPPED", startedBy="a-deployment"))
    assert done["lastStatus"] == "STOPPED"
    assert done["containers"][0]["exitCode"] == 3
    task = plane.containers.tasks[first["taskArn"]]
    assert (plane.context.directory / "tasks" / f"{task.id}.log").read_text() == "1.0.0\n"


def test_an_override_for_an_unknown_container_is_refused(plane: DataPlane) -> None:
    definition = plane.register(plane.push("1.0.0"))

    with pytest.raises(ClientError, match="is not a container"):
        plane.client("ecs").run_task(
            cluster="claude-manager",
            taskDefinition=definition,
            overrides={"containerOverrides": [{"name": "other", "command": ["true"]}]},
        )


def test_task_definitions_list_newest_first_and_keep_their_tags(plane: DataPlane) -> None:
    arns = [plane.register(plane.push(f"1.0.{n}")) for n in range(3)]
    ecs = plane.client("ecs")
    ecs.tag_resource(resourceArn=arns[0], tags=[{"key": "owner", "value": "greenlane"}])

    pages = ecs.get_paginator("list_task_definitions").paginate(
        familyPrefix="claude-manager", sort="DESC", PaginationConfig={"PageSize": 2}
    )
    assert [arn for page in pages for arn in page["taskDefinitionArns"]] == arns[::-1]
    found = ecs.describe_task_definition(taskDefinition=arns[0], include=["TAGS"])
    assert found["tags"] == [{"key": "owner", "value": "greenlane"}]


def test_unknown_services_are_failures_or_errors_as_in_aws(plane: DataPlane) -> None:
    plane.push("1.0.0")
    ecs = plane.client("ecs")

    answer = ecs.describe_services(cluster="claude-manager", services=["none"])
    assert [one["reason"] for one in answer["failures"]] == ["MISSING"]
    with pytest.raises(ecs.exceptions.ServiceNotFoundException):
        ecs.update_service(cluster="claude-manager", service="none", desiredCount=1)


def test_nothing_survives_the_end_of_the_cloud(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running_data_plane(tmp_path_factory.mktemp("plane")) as running:
        running.make_balancer()
        running.create_service("blue", running.register(running.push("1.0.0")), 2)
        running.steady("blue")
        pids = [task.process.pid for task in running.containers.tasks.values() if task.process]
        balancer = running.elb._balancer._process
        assert balancer is not None
        pids.append(balancer.pid)
        assert all(alive(pid) for pid in pids)

    assert not any(alive(pid) for pid in pids)
