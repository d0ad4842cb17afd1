"""Services, deployments and tasks in the shapes of the ECS API."""

import hashlib
from typing import Any

from greenlane.local.containers_service import Deployment, Service
from greenlane.local.containers_task import Task

_KEPT = (
    "serviceName",
    "loadBalancers",
    "serviceRegistries",
    "platformVersion",
    "taskDefinition",
    "deploymentConfiguration",
    "networkConfiguration",
    "healthCheckGracePeriodSeconds",
    "schedulingStrategy",
    "deploymentController",
    "propagateTags",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "capacityProviderStrategy",
    "placementConstraints",
    "placementStrategy",
)


def describe_service(service: Service, tags: bool) -> dict[str, Any]:
    """A service as DescribeServices gives it."""
    settings = {name: service.settings[name] for name in _KEPT if name in service.settings}
    return {
        "platformVersion": "LATEST",
        "platformFamily": "Linux",
        "schedulingStrategy": "REPLICA",
        "deploymentController": {"type": "ECS"},
        "propagateTags": "NONE",
        "loadBalancers": [],
        "serviceRegistries": [],
        **settings,
        "serviceArn": service.arn,
        "clusterArn": service.cluster_arn,
        "status": service.status,
        "launchType": service.settings.get("launchType") or "FARGATE",
        "desiredCount": service.desired,
        "runningCount": sum(task.running for task in service.tasks),
        "pendingCount": sum(_pending(task) for task in service.tasks),
        "deployments": [describe_deployment(service, one) for one in service.deployments],
        "events": service.events,
        "createdAt": service.created,
        **({"tags": service.record.tags or []} if tags else {}),
    }


def describe_deployment(service: Service, deployment: Deployment) -> dict[str, Any]:
    """A deployment as DescribeServices gives it."""
    tasks = service.of(deployment)
    return {
        "id": deployment.id,
        "status": deployment.status,
        "taskDefinition": deployment.task_definition,
        "desiredCount": service.desired if deployment.status == "PRIMARY" else 0,
        "pendingCount": sum(_pending(task) for task in tasks),
        "runningCount": sum(task.running for task in tasks),
        "failedTasks": deployment.failed_tasks,
        "createdAt": deployment.created,
        "updatedAt": deployment.updated,
        "launchType": service.settings.get("launchType") or "FARGATE",
        "platformVersion": service.settings.get("platformVersion") or "1.4.0",
        "platformFamily": "Linux",
        "networkConfiguration": service.settings.get("networkConfiguration"),
        "rolloutState": deployment.rollout_state,
        "rolloutStateReason": deployment.reason,
    }


def describe_task(task: Task) -> dict[str, Any]:
    """A task as DescribeTasks gives it."""
    attachment = _uuid(task.id + "eni")
    network = (task.network or {}).get("awsvpcConfiguration") or {}
    subnet = (network.get("subnets") or ["subnet-local"])[0]
    details = {
        "subnetId": subnet,
        "networkInterfaceId": f"eni-{attachment[:8]}",
        "privateIPv4Address": task.ip,
    }
    return {
        "taskArn": task.arn,
        "clusterArn": task.cluster_arn,
        "taskDefinitionArn": task.definition.arn,
        "lastStatus": task.last_status,
        "desiredStatus": task.desired_status,
        "healthStatus": _health(task, task.container),
        "group": task.group,
        "startedBy": task.started_by or None,
        "launchType": task.launch_type,
        "platformVersion": "1.4.0",
        "platformFamily": "Linux",
        "cpu": task.definition.cpu,
        "memory": task.definition.memory,
        "connectivity": "CONNECTED",
        "createdAt": task.created,
        "startedAt": task.started,
        "stoppingAt": task.stopping,
        "stoppedAt": task.stopped,
        "stopCode": task.stop_code or None,
        "stoppedReason": task.stopped_reason or None,
        "containers": [
            _container(task, definition, attachment)
            for definition in task.definition.container_definitions
        ],
        "attachments": [
            {
                "id": attachment,
                "type": "ElasticNetworkInterface",
                "status": "DELETED" if task.last_status == "STOPPED" else "ATTACHED",
                "details": [{"name": name, "value": value} for name, value in details.items()],
            }
        ],
        "overrides": task.overrides or {"containerOverrides": []},
        "tags": task.tags,
        "version": 1,
    }


def _container(task: Task, definition: dict[str, Any], attachment: str) -> dict[str, Any]:
    name = definition["name"]
    stopped = task.last_status == "STOPPED"
    container = {
        "containerArn": task.arn.replace(":task/", ":container/") + f"/{_uuid(task.id + name)}",
        "taskArn": task.arn,
        "name": name,
        "image": definition["image"],
        "runtimeId": f"{task.id}-{name}",
        "lastStatus": "STOPPED" if stopped else "RUNNING" if task.running else "PENDING",
        "healthStatus": _health(task, name),
        "networkInterfaces": [{"attachmentId": attachment, "privateIpv4Address": task.ip}],
        "cpu": str(definition.get("cpu") or 0),
    }
    if name == task.container:
        if task.image is not None:
            container["imageDigest"] = task.image.digest
        if task.exit_code is not None:
            container["exitCode"] = task.exit_code
        elif stopped:
            container["reason"] = task.stopped_reason
    elif stopped and task.exit_code is not None:
        container["exitCode"] = 0
    return container


def _health(task: Task, container: str) -> str:
    """HEALTHY where the definition has a container health check and the process runs."""
    checked = any(
        one.get("healthCheck")
        for one in task.definition.container_definitions
        if one["name"] == container
    )
    return "HEALTHY" if checked and task.running else "UNKNOWN"


def _pending(task: Task) -> bool:
    return task.wanted and task.last_status in ("PROVISIONING", "PENDING")


def _uuid(text: str) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"
