"""The ECS operations on services, tasks and task definitions that moto only pretends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from moto.core.utils import camelcase_to_underscores

from greenlane.local.containers_service import Service
from greenlane.local.containers_shapes import describe_service, describe_task
from greenlane.local.containers_task import Task
from greenlane.local.operations import AwsError, Operation, Parameters

if TYPE_CHECKING:
    from greenlane.local.containers import Containers

_REGISTERED = (
    "volumes",
    "networkMode",
    "tags",
    "placementConstraints",
    "requiresCompatibilities",
    "cpu",
    "memory",
    "taskRoleArn",
    "executionRoleArn",
    "proxyConfiguration",
    "inferenceAccelerators",
    "runtimePlatform",
    "ipcMode",
    "pidMode",
    "ephemeralStorage",
)
_UPDATABLE = (
    "desiredCount",
    "deploymentConfiguration",
    "loadBalancers",
    "networkConfiguration",
    "platformVersion",
    "propagateTags",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "healthCheckGracePeriodSeconds",
    "serviceRegistries",
    "capacityProviderStrategy",
    "placementConstraints",
    "placementStrategy",
)
_REDEPLOYING = ("loadBalancers", "networkConfiguration", "platformVersion")


def answers(containers: Containers) -> dict[str, Operation]:
    """The operations by name."""
    services, tasks = _ServiceOperations(containers), _TaskOperations(containers)
    found: dict[str, Operation] = {
        "CreateService": services.create,
        "UpdateService": services.update,
        "DeleteService": services.delete,
        "DescribeServices": services.describe,
        "RunTask": tasks.run,
        "StopTask": tasks.stop,
        "ListTasks": tasks.list,
        "DescribeTasks": tasks.describe,
        "RegisterTaskDefinition": tasks.register_definition,
        "ListTaskDefinitions": tasks.list_definitions,
    }
    return {name: _locked(containers, function) for name, function in found.items()}


def _locked(containers: Containers, function: Operation) -> Operation:
    def answer(parameters: Parameters) -> dict[str, Any] | None:
        with containers.lock:
            result = function(parameters)
        containers.wake()
        return result

    return answer


class _ServiceOperations:
    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._backend = containers.backend

    def create(self, parameters: Parameters) -> dict[str, Any]:
        name = parameters["serviceName"]
        cluster = self._backend._get_cluster(parameters.get("cluster") or "default")
        known = self._containers.services.get(service_arn(cluster.arn, name))
        if known is not None and known.status != "INACTIVE":
            message = "Creation of service was not idempotent."
            raise AwsError("InvalidParameterException", message)
        definition = self._backend.describe_task_definition(parameters["taskDefinition"])
        network = parameters.get("networkConfiguration")
        if network:
            network["awsvpcConfiguration"].setdefault("securityGroups", [])
        record = self._backend.create_service(
            cluster.name,
            name,
            0,
            definition.arn,
            load_balancers=parameters.get("loadBalancers"),
            tags=parameters.get("tags"),
            launch_type=parameters.get("launchType") or "FARGATE",
            network_configuration=network,
            propagate_tags=parameters.get("propagateTags") or "NONE",
        )
        now = self._containers.now()
        settings = {**parameters, "taskDefinition": definition.arn}
        service = Service(record.arn, cluster.arn, settings, now, record)
        service.deploy(definition.arn, now)
        self._containers.services[service.arn] = service
        return {"service": describe_service(service, tags=True)}

    def update(self, parameters: Parameters) -> dict[str, Any]:
        service = self._active(parameters)
        settings = service.settings
        wanted = settings["taskDefinition"]
        if parameters.get("taskDefinition"):
            wanted = self._backend.describe_task_definition(parameters["taskDefinition"]).arn
        new = wanted != settings["taskDefinition"] or parameters.get("forceNewDeployment")
        for name in _UPDATABLE:
            if parameters.get(name) is None:
                continue
            if name in _REDEPLOYING and parameters[name] != settings.get(name):
                new = True
            settings[name] = parameters[name]
        settings["taskDefinition"] = wanted
        if new:
            service.deploy(wanted, self._containers.now())
        return {"service": describe_service(service, tags=False)}

    def delete(self, parameters: Parameters) -> dict[str, Any]:
        service = self._active(parameters)
        if service.desired > 0 and not parameters.get("force"):
            message = "The service cannot be stopped while it is scaled above 0."
            raise AwsError("InvalidParameterException", message)
        service.settings["desiredCount"] = 0
        service.status = "DRAINING"
        for task in service.tasks:
            if task.wanted:
                self._containers.stop_task(task, "ServiceSchedulerInitiated", "service deleted")
        service.record.desired_count = 0
        self._backend.delete_service(service.record.cluster_name, service.name, True)
        return {"service": describe_service(service, tags=False)}

    def describe(self, parameters: Parameters) -> dict[str, Any]:
        cluster = self._backend._get_cluster(parameters.get("cluster") or "default")
        tags = "TAGS" in (parameters.get("include") or [])
        found, failures = [], []
        for given in parameters["services"]:
            arn = service_arn(cluster.arn, given)
            service = self._containers.services.get(arn)
            if service is None:
                failures.append({"arn": arn, "reason": "MISSING"})
            else:
                found.append(describe_service(service, tags))
        return {"services": found, "failures": failures}

    def _active(self, parameters: Parameters) -> Service:
        cluster = self._backend._get_cluster(parameters.get("cluster") or "default")
        service = self._containers.services.get(service_arn(cluster.arn, parameters["service"]))
        if service is None:
            raise AwsError("ServiceNotFoundException", "Service not found.")
        if service.status != "ACTIVE":
            raise AwsError("ServiceNotActiveException", "Service was not ACTIVE.")
        return service


class _TaskOperations:
    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._backend = containers.backend
        self._tokens: dict[str, list[Task]] = {}

    def run(self, parameters: Parameters) -> dict[str, Any]:
        token = parameters.get("clientToken")
        if token in self._tokens:
            return {"tasks": [describe_task(task) for task in self._tokens[token]], "failures": []}
        cluster = self._backend._get_cluster(parameters.get("cluster") or "default")
        definition = self._backend.describe_task_definition(parameters["taskDefinition"])
        overrides = parameters.get("overrides") or {}
        container = self._container(definition, overrides)
        tasks = [
            self._containers.new_task(
                cluster.arn,
                definition,
                container,
                group=parameters.get("group") or f"family:{definition.family}",
                started_by=parameters.get("startedBy") or "",
                overrides=overrides,
                network=parameters.get("networkConfiguration") or {},
                tags=list(parameters.get("tags") or []),
                launch_type=parameters.get("launchType") or "FARGATE",
            )
            for _ in range(int(parameters.get("count") or 1))
        ]
        if token:
            self._tokens[token] = tasks
        return {"tasks": [describe_task(task) for task in tasks], "failures": []}

    @staticmethod
    def _container(definition: Any, overrides: dict[str, Any]) -> str:
        """The container that runs: the one with a command override, else the first essential."""
        names = [one["name"] for one in definition.container_definitions]
        for override in overrides.get("containerOverrides") or []:
            if override["name"] not in names:
                raise AwsError(
                    "InvalidParameterException",
                    f"Override for container named {override['name']} is not a container in the "
                    "TaskDefinition.",
                )
            if override.get("command"):
                return str(override["name"])
        essential = [one for one in definition.container_definitions if one.get("essential", True)]
        return str((essential or definition.container_definitions)[0]["name"])

    def stop(self, parameters: Parameters) -> dict[str, Any]:
        task = self._find(parameters, parameters["task"])
        if task is None:
            raise AwsError("InvalidParameterException", "The referenced task was not found.")
        if task.wanted:
            reason = parameters.get("reason") or "Task stopped by user"
            self._containers.stop_task(task, "UserInitiated", reason)
        return {"task": describe_task(task)}

    def list(self, parameters: Parameters) -> dict[str, Any]:
        arns = [task.arn for task in self._matching(parameters)]
        return _page(arns, parameters, "taskArns")

    def describe(self, parameters: Parameters) -> dict[str, Any]:
        found = {given: self._find(parameters, given) for given in parameters["tasks"]}
        return {
            "tasks": [describe_task(task) for task in found.values() if task is not None],
            "failures": [
                {"arn": given, "reason": "MISSING"} for given, task in found.items() if task is None
            ],
        }

    def register_definition(self, parameters: Parameters) -> dict[str, Any]:
        more = {
            camelcase_to_underscores(name): parameters[name]
            for name in _REGISTERED
            if name in parameters
        }
        definition = self._backend.register_task_definition(
            parameters["family"], parameters["containerDefinitions"], **more
        )
        return {"taskDefinition": definition, "tags": parameters.get("tags") or []}

    def list_definitions(self, parameters: Parameters) -> dict[str, Any]:
        status = parameters.get("status") or "ACTIVE"
        arns = self._backend.list_task_definitions(parameters.get("familyPrefix") or None, status)  # type: ignore[arg-type]
        arns.sort(key=lambda arn: (arn.rpartition(":")[0], int(arn.rpartition(":")[2])))
        if parameters.get("sort") == "DESC":
            arns.reverse()
        return _page(arns, parameters, "taskDefinitionArns")

    def _matching(self, parameters: Parameters) -> Iterator[Task]:
        cluster = self._backend._get_cluster(parameters.get("cluster") or "default")
        status = parameters.get("desiredStatus") or "RUNNING"
        service = parameters.get("serviceName")
        if service is not None:
            service = service_arn(cluster.arn, service)
            if service not in self._containers.services:
                raise AwsError("ServiceNotFoundException", "Service not found.")
        for task in self._containers.tasks.values():
            if (
                task.cluster_arn == cluster.arn
                and task.desired_status == status
                and service in (None, task.service)
                and parameters.get("family") in (None, task.definition.family)
                and parameters.get("startedBy") in (None, task.started_by)
                and parameters.get("launchType") in (None, task.launch_type)
            ):
                yield task

    def _find(self, parameters: Parameters, given: str) -> Task | None:
        cluster = self._backend._get_cluster(parameters.get("cluster") or "default")
        arn = f"{cluster.arn.replace(':cluster/', ':task/')}/{given.rpartition('/')[2]}"
        return self._containers.tasks.get(arn)


def service_arn(cluster_arn: str, given: str) -> str:
    """A service's ARN from its name or ARN."""
    return f"{cluster_arn.replace(':cluster/', ':service/')}/{given.rpartition('/')[2]}"


def _page(items: list[str], parameters: Parameters, name: str) -> dict[str, Any]:
    try:
        first = int(parameters.get("nextToken") or 0)
    except ValueError as error:
        raise AwsError("InvalidParameterException", "Invalid token") from error
    last = first + int(parameters.get("maxResults") or 100)
    token = {"nextToken": str(last)} if last < len(items) else {}
    return {name: items[first:last], **token}
