"""Small fakes of what tests must steer: tasks, alarms, metrics, executions.

Every call to them, as to the table, the balancer and moto, goes through a `Spy`: it is checked
against botocore's own model, counted, and can be made to fail.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

import boto3
import moto  # noqa: F401  (clients made before moto's import would reach for the network)
from botocore.exceptions import ClientError, ReadTimeoutError

from tests.builders import OLD_IMAGE, SERVICE
from tests.checked_parameters import check
from tests.minutes import SHORT, measured, value_of

REGION = "eu-west-1"
STATES = f"arn:aws:states:{REGION}:123456789012"
FORWARD = f"{STATES}:execution:greenlane-deployment:d-1"
BACK = f"{STATES}:execution:greenlane-rollback:r-1"
_CREDENTIALS = {
    "region_name": REGION,
    "aws_access_key_id": "testing",
    "aws_secret_access_key": "testing",
}
clients: dict[str, Any] = {}


def client(service: str) -> Any:
    """One client of a kind for the whole test run."""
    if service not in clients:
        clients[service] = boto3.client(service, **_CREDENTIALS)  # type: ignore[call-overload]
    return clients[service]


def error(code: str, operation: str = "Operation") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": f"{code} by the test"}}, operation)


def timeout() -> ReadTimeoutError:
    return ReadTimeoutError(endpoint_url="https://test")


class Spy:
    """A client whose calls are checked, counted and, when a test says so, fail."""

    def __init__(self, world: Any, service: str, target: Any) -> None:
        self._world, self._service, self._target = world, service, target
        self.meta = client(service).meta
        self.exceptions = client(service).exceptions

    def __getattr__(self, operation: str) -> Any:
        if operation == "get_paginator":
            return lambda name: _Pages(getattr(self, name))

        def call(**arguments: Any) -> Any:
            shape = self.meta.service_model.operation_model(
                self.meta.method_to_api_mapping[operation]
            ).input_shape
            check(arguments, shape)
            if operation in ("get_item", "query"):
                assert arguments["ConsistentRead"], "what decides is read strongly consistent"
            self._world.calls.append((self._service, operation))
            before, after = self._world.faults_of(self._service, operation)
            if before is not None:
                raise before
            answer = getattr(self._target, operation)(**arguments)
            if after is not None:
                raise after
            return answer

        return call


class _Pages:
    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def paginate(self, **arguments: Any) -> list[Any]:
        return [self._call(**arguments)]


class Containers:
    """ECS: services whose tasks start and stop when the test says so."""

    FAMILY = f"arn:aws:ecs:{REGION}:123456789012:task-definition/{SERVICE}"

    def __init__(self) -> None:
        self.definitions: dict[str, dict[str, Any]] = {}
        self.gone: list[str] = []
        self.tags: dict[str, dict[str, str]] = {}
        self.one_off = {"lastStatus": "STOPPED", "exitCode": 0}
        self.started: list[dict[str, Any]] = []
        self.stopped: list[str] = []
        first = self.register_task_definition(
            family=SERVICE,
            containerDefinitions=[
                {"name": SERVICE, "image": OLD_IMAGE, "environment": [{"name": "A", "value": "1"}]},
                {"name": "sidecar", "image": "sidecar@sha256:1"},
            ],
            cpu="256",
            memory="512",
            tags=[],
        )["taskDefinition"]["taskDefinitionArn"]
        self.services = {
            f"{SERVICE}-{slot}": {
                "serviceArn": f"arn:aws:ecs:{REGION}:123456789012:service/{SERVICE}-{slot}",
                "serviceName": f"{SERVICE}-{slot}",
                "status": "ACTIVE",
                "desiredCount": count,
                "runningCount": count,
                "pendingCount": 0,
                "taskDefinition": first,
                "launchType": "FARGATE",
                "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
                "deployments": [_primary(f"{slot}-0", first)],
            }
            for slot, count in (("blue", 2), ("green", 0))
        }
        self.tasks: dict[str, dict[str, str]] = {name: {} for name in self.services}
        self.tasks[f"{SERVICE}-blue"] = {f"10.0.0.{n}": first for n in (1, 2)}

    def describe_services(self, cluster: str, services: list[str]) -> dict[str, Any]:
        assert cluster == SERVICE
        found = [self.services[name] for name in services if name in self.services]
        return {"services": found, "failures": []}

    def update_service(
        self,
        cluster: str,
        service: str,
        desiredCount: int,
        taskDefinition: str | None = None,  # noqa: N803
        forceNewDeployment: bool = False,  # noqa: N803
    ) -> dict[str, Any]:
        assert cluster == SERVICE
        entry = self.services[service]
        taskDefinition = taskDefinition or entry["taskDefinition"]  # noqa: N806
        if forceNewDeployment or taskDefinition != entry["taskDefinition"]:
            number = int(entry["deployments"][0]["id"].rsplit("-", 1)[1]) + 1
            slot = service.rsplit("-", 1)[1]
            entry["deployments"] = [_primary(f"{slot}-{number}", taskDefinition)]
            entry["taskDefinition"] = taskDefinition
        entry["desiredCount"] = desiredCount
        return {"service": entry}

    def register_task_definition(
        self,
        tags: Sequence[dict[str, str]] = (),
        **body: Any,
    ) -> dict[str, Any]:
        number = len(self.definitions) + 1
        arn = f"{self.FAMILY}:{number}"
        self.definitions[arn] = {
            "taskDefinition": body
            | {"taskDefinitionArn": arn, "revision": number, "status": "ACTIVE"},
            "tags": list(tags),
        }
        return self.definitions[arn]

    def describe_task_definition(self, taskDefinition: str, include: list[str]) -> dict[str, Any]:  # noqa: N803
        assert include == ["TAGS"]
        arn = (
            taskDefinition
            if taskDefinition.startswith("arn:")
            else (self.FAMILY.rsplit("/", 1)[0] + "/" + taskDefinition)
        )
        if arn not in self.definitions:
            raise error("ClientException", "DescribeTaskDefinition")
        found = self.definitions[arn]
        return {"taskDefinition": dict(found["taskDefinition"]), "tags": found["tags"]}

    def list_task_definitions(self, **arguments: Any) -> dict[str, Any]:
        assert arguments["familyPrefix"] == SERVICE
        assert arguments["sort"] == "DESC"
        arns = [arn for arn in reversed(self.definitions) if arn not in self.gone]
        return {"taskDefinitionArns": arns[: arguments.get("maxResults", 100)]}

    def deregister_task_definition(self, taskDefinition: str) -> None:  # noqa: N803
        self.gone.append(taskDefinition)

    def list_tasks(
        self,
        cluster: str,
        serviceName: str = "",  # noqa: N803
        desiredStatus: str = "RUNNING",  # noqa: N803
        startedBy: str | None = None,  # noqa: N803
    ) -> dict[str, Any]:
        assert (cluster, desiredStatus) == (SERVICE, "RUNNING")
        if startedBy is not None:
            assert not serviceName, "ECS takes no other filter beside who started a task"
            ours = any(one["startedBy"] == startedBy for one in self.started)
            runs = ours and self.one_off["lastStatus"] != "STOPPED"
            return {"taskArns": ["one-off"] if runs else []}
        return {"taskArns": [f"{serviceName}/{address}" for address in self.tasks[serviceName]]}

    def describe_tasks(self, cluster: str, tasks: list[str]) -> dict[str, Any]:
        assert cluster == SERVICE
        found = []
        for arn in tasks:
            if arn == "one-off":
                status, code = self.one_off["lastStatus"], self.one_off["exitCode"]
                containers = [{"name": SERVICE, "exitCode": code}]
                found.append({"taskArn": arn, "lastStatus": status, "containers": containers})
                continue
            service, address = arn.split("/")
            details = [{"name": "privateIPv4Address", "value": address}]
            found.append(
                {
                    "taskArn": arn,
                    "taskDefinitionArn": self.tasks[service][address],
                    "attachments": [{"details": details}],
                }
            )
        return {"tasks": found}

    def stop_task(self, cluster: str, task: str, reason: str) -> dict[str, Any]:
        assert cluster == SERVICE
        assert reason
        self.stopped.append(task)
        return {"task": {"taskArn": task}}

    def run_task(self, **arguments: Any) -> dict[str, Any]:
        self.started.append(arguments)
        return {"tasks": [{"taskArn": "one-off"}], "failures": []}

    def tag_resource(self, resourceArn: str, tags: list[dict[str, str]]) -> None:  # noqa: N803
        kept = self.tags.setdefault(resourceArn.rsplit("-", 1)[1], {})
        kept.update({tag["key"]: tag["value"] for tag in tags})


def _primary(deployment_id: str, task_definition: str) -> dict[str, Any]:
    return {
        "id": deployment_id,
        "status": "PRIMARY",
        "taskDefinition": task_definition,
        "rolloutState": "COMPLETED",
    }


class Scaling:
    """Application Auto Scaling over both slots."""

    def __init__(self) -> None:
        self.targets = {
            f"service/{SERVICE}/{SERVICE}-{slot}": {
                "MinCapacity": low,
                "MaxCapacity": 10,
                "SuspendedState": {
                    "DynamicScalingInSuspended": False,
                    "DynamicScalingOutSuspended": False,
                    "ScheduledScalingSuspended": False,
                },
            }
            for slot, low in (("blue", 2), ("green", 0))
        }

    def describe_scalable_targets(self, ResourceIds: list[str], **_: Any) -> dict[str, Any]:  # noqa: N803
        found = [{"ResourceId": name} | self.targets[name] for name in ResourceIds]
        return {"ScalableTargets": found}

    def register_scalable_target(
        self,
        ResourceId: str,
        ServiceNamespace: str,
        ScalableDimension: str,
        **state: Any,  # noqa: N803
    ) -> None:
        assert (ServiceNamespace, ScalableDimension) == ("ecs", "ecs:service:DesiredCount")
        self.targets[ResourceId] |= state

    def of(self, slot: str) -> dict[str, Any]:
        return self.targets[f"service/{SERVICE}/{SERVICE}-{slot}"]


class Watch:
    """CloudWatch: alarm states, and metrics of whole minutes by slot."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self.states: dict[str, dict[str, Any]] = {}
        self.points: dict[str, dict[Any, float]] = {}

    def describe_alarms(self, AlarmNames: list[str], **_: Any) -> dict[str, Any]:  # noqa: N803
        return {"MetricAlarms": [self.states[name] for name in AlarmNames if name in self.states]}

    def get_metric_data(self, **arguments: Any) -> dict[str, Any]:
        start, end = arguments["StartTime"], arguments["EndTime"]
        results = []
        for query in arguments["MetricDataQueries"]:
            short, slot = measured(query)
            known = {name: self.points.get(f"{name}_{slot}", {}) for name in SHORT}
            moments = sorted(set().union(*known.values()))
            points = {
                at: value
                for at in moments
                if (value := value_of(short, {name: known[name].get(at, 0) for name in SHORT}))
                is not None
            }
            chosen = [at for at in sorted(points) if start <= at < end]
            results.append(
                {
                    "Id": query["Id"],
                    "StatusCode": "Complete",
                    "Timestamps": chosen,
                    "Values": [points[at] for at in chosen],
                }
            )
        return {"MetricDataResults": results}


class Machines:
    """Step Functions: executions by status, answers by token."""

    def __init__(self) -> None:
        self.statuses = {FORWARD: "RUNNING", BACK: "RUNNING"}
        self.started: list[dict[str, Any]] = []
        self.stopped: list[str] = []
        self.answers: list[tuple[str, str, str]] = []
        self.closed: set[str] = set()

    def describe_execution(self, executionArn: str) -> dict[str, Any]:  # noqa: N803
        if executionArn not in self.statuses:
            raise error("ExecutionDoesNotExist")
        return {"status": self.statuses[executionArn]}

    def start_execution(self, stateMachineArn: str, input: str, name: str = "") -> dict[str, Any]:  # noqa: N803, A002
        number = len(self.started) + 1
        arn = f"{stateMachineArn.replace(':stateMachine:', ':execution:')}:{name or number}"
        self.started.append(
            {"machine": stateMachineArn.rsplit(":", 1)[1], "input": json.loads(input), "arn": arn}
        )
        self.statuses[arn] = "RUNNING"
        return {"executionArn": arn}

    def stop_execution(self, executionArn: str, **_: Any) -> None:  # noqa: N803
        if executionArn not in self.statuses:
            raise error("ExecutionDoesNotExist")
        self.statuses[executionArn] = "ABORTED"
        self.stopped.append(executionArn)

    def send_task_success(self, taskToken: str, output: str) -> None:  # noqa: N803
        self._answer(taskToken, "success", json.loads(output)["reason"])

    def send_task_failure(self, taskToken: str, error: str, cause: str) -> None:  # noqa: N803
        del cause
        self._answer(taskToken, "failure", error)

    def _answer(self, token: str, kind: str, what: str) -> None:
        if token in self.closed:
            raise error("TaskTimedOut")
        self.closed.add(token)
        self.answers.append((token, kind, what))


class Topic:
    """SNS: what was told, as its subscribers get it."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.messages: list[str] = []
        self.published: list[dict[str, Any]] = []

    def publish(
        self,
        TopicArn: str,  # noqa: N803
        Subject: str,  # noqa: N803
        Message: str,  # noqa: N803
        MessageStructure: str,  # noqa: N803
        MessageAttributes: dict[str, Any],  # noqa: N803
    ) -> None:
        assert TopicArn
        assert MessageStructure == "json"
        text = json.loads(Message)["default"]
        assert text
        self.told.append(Subject)
        self.messages.append(text)
        self.published.append(
            {"Subject": Subject, "Message": Message, "MessageAttributes": MessageAttributes}
        )
