"""The edge to ECS: the two slots' services, their tasks and task definitions.

`UpdateService` has no token and `RegisterTaskDefinition` is not idempotent: the first is called
with the whole desired state, the second only after looking for the revision that an earlier
attempt may have left, found by its tag.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from greenlane.deployments.workload import TaskShape, Workload
from greenlane.errors import Refused

OWNER_TAG = "greenlane:deployment"

BOOTSTRAP_LABEL = "greenlane.bootstrap"
"""The Docker label of a container that stands in until the first version is deployed."""

_NOT_REGISTRABLE = frozenset(
    {
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
        "deregisteredAt",
        "deleteRequestedAt",
    }
)
"""Fields that `DescribeTaskDefinition` returns and `RegisterTaskDefinition` refuses."""

_OLD_AT_ONCE = 50
"""Of how many revisions beyond those kept one clean-up finds out whose they are."""


class ServiceState(BaseModel):
    """One ECS service as it stands."""

    model_config = ConfigDict(frozen=True)

    arn: str
    name: str
    desired: int
    running: int
    pending: int
    task_definition: str
    primary_id: str | None
    primary_task_definition: str | None
    primary_state: str | None
    network: dict[str, Any] | None = None
    launch_type: str | None = None
    capacity_providers: list[dict[str, Any]] = []


def read_service(ecs: Any, cluster: str, service: str) -> ServiceState:
    """The service as it stands.

    `DescribeServices` reports an unknown service in `failures`, not as an error.

    Raises:
        Refused: there is no such active service.
    """
    answer = ecs.describe_services(cluster=cluster, services=[service])
    found = [entry for entry in answer["services"] if entry.get("status", "ACTIVE") == "ACTIVE"]
    if not found:
        raise Refused(
            f"there is no active ECS service {service} in the cluster {cluster}; create it, or "
            "correct the workload's slots"
        )
    return service_state(found[0])


def service_state(entry: dict[str, Any]) -> ServiceState:
    """The parts of an ECS service description that decide something."""
    deployments: list[dict[str, Any]] = entry.get("deployments", [])
    none: dict[str, Any] = {}
    primary = next((d for d in deployments if d["status"] == "PRIMARY"), none)
    return ServiceState(
        arn=entry["serviceArn"],
        name=entry["serviceName"],
        desired=entry["desiredCount"],
        running=entry["runningCount"],
        pending=entry["pendingCount"],
        task_definition=entry["taskDefinition"],
        primary_id=primary.get("id"),
        primary_task_definition=primary.get("taskDefinition"),
        primary_state=primary.get("rolloutState"),
        network=entry.get("networkConfiguration"),
        launch_type=entry.get("launchType"),
        capacity_providers=entry.get("capacityProviderStrategy", []),
    )


def set_service(
    ecs: Any,
    cluster: str,
    service: str,
    *,
    desired: int,
    task_definition: str | None = None,
    force: bool = False,
) -> ServiceState:
    """Set the desired count, and the task definition when given; safe to repeat.

    Not so with `force`: each call begins a new deployment, though nothing is different.
    """
    arguments: dict[str, Any] = {"cluster": cluster, "service": service, "desiredCount": desired}
    if task_definition is not None:
        arguments["taskDefinition"] = task_definition
    if force:
        arguments["forceNewDeployment"] = True
    return service_state(ecs.update_service(**arguments)["service"])


def read_task_definition(ecs: Any, name: str) -> dict[str, Any]:
    """A task definition with its tags under `tags`."""
    answer = ecs.describe_task_definition(taskDefinition=name, include=["TAGS"])
    definition: dict[str, Any] = answer["taskDefinition"]
    definition["tags"] = answer.get("tags", [])
    return definition


def container_of(definition: dict[str, Any], name: str | None) -> dict[str, Any]:
    """The container whose image a deployment replaces: the named one, else the only one.

    Raises:
        Refused: there is no such container, or several and no name.
    """
    containers: list[dict[str, Any]] = definition["containerDefinitions"]
    names = ", ".join(container["name"] for container in containers)
    if name is None and len(containers) == 1:
        return containers[0]
    for container in containers:
        if container["name"] == name:
            return container
    if name is None:
        raise Refused(f"container: the task has several ({names}); name the one to change")
    raise Refused(f"container: there is no {name!r} in the task; it has {names}")


def next_revision(
    definition: dict[str, Any], *, container: str | None, image: str, shape: TaskShape
) -> dict[str, Any]:
    """The body to register: the running definition with one image replaced, sidecars kept.

    The workload's shape (size, environment) applies here, since templates never touch a task
    definition that runs.
    """
    body = {key: value for key, value in definition.items() if key not in _NOT_REGISTRABLE}
    target = container_of(definition, container)
    changed = target | {"image": image}
    labels = target.get("dockerLabels", {})
    if BOOTSTRAP_LABEL in labels:
        # Its command starts the stand-in; the service's own image knows how to start itself.
        for key in ("command", "entryPoint"):
            changed.pop(key, None)
        changed["dockerLabels"] = {
            key: value for key, value in labels.items() if key != BOOTSTRAP_LABEL
        }
    if shape.environment is not None:
        changed["environment"] = [
            {"name": name, "value": value} for name, value in sorted(shape.environment.items())
        ]
    body["containerDefinitions"] = [
        changed if entry["name"] == target["name"] else entry
        for entry in definition["containerDefinitions"]
    ]
    if shape.cpu is not None:
        body["cpu"] = str(shape.cpu)
    if shape.memory is not None:
        body["memory"] = str(shape.memory)
    return body


def register_once(ecs: Any, body: dict[str, Any], deployment_id: str) -> str:
    """Register the revision of a deployment, or find the one an earlier attempt registered."""
    recent = ecs.list_task_definitions(
        familyPrefix=body["family"], sort="DESC", status="ACTIVE", maxResults=10
    )
    for arn in recent["taskDefinitionArns"]:
        if tag_of(read_task_definition(ecs, arn)) == deployment_id:
            return str(arn)
    tags = [tag for tag in body.get("tags", []) if _is_the_users(tag["key"])]
    tags.append({"key": OWNER_TAG, "value": deployment_id})
    answer = ecs.register_task_definition(**(body | {"tags": tags}))
    return str(answer["taskDefinition"]["taskDefinitionArn"])


def _is_the_users(key: str) -> bool:
    """Neither Greenlane's own tag nor one of AWS's, which nobody else may set."""
    return key != OWNER_TAG and not key.lower().startswith("aws:")


def tag_of(definition: dict[str, Any]) -> str | None:
    """The deployment that registered a task definition; None if it was not Greenlane."""
    for tag in definition["tags"]:
        if tag["key"] == OWNER_TAG:
            return str(tag["value"])
    return None


def revisions_by_address(ecs: Any, cluster: str, service: str) -> dict[str, str]:
    """Task definition ARN by private address, of the service's tasks that should run."""
    arns: list[str] = []
    for page in ecs.get_paginator("list_tasks").paginate(
        cluster=cluster, serviceName=service, desiredStatus="RUNNING"
    ):
        arns += page["taskArns"]
    revisions: dict[str, str] = {}
    for first in range(0, len(arns), 100):
        answer = ecs.describe_tasks(cluster=cluster, tasks=arns[first : first + 100])
        for task in answer["tasks"]:
            for address in _addresses(task):
                revisions[address] = task["taskDefinitionArn"]
    return revisions


def _addresses(task: dict[str, Any]) -> set[str]:
    found = {
        interface["privateIpv4Address"]
        for container in task.get("containers", [])
        for interface in container.get("networkInterfaces", [])
        if "privateIpv4Address" in interface
    }
    for attachment in task.get("attachments", []):
        for detail in attachment.get("details", []):
            if detail["name"] == "privateIPv4Address":
                found.add(detail["value"])
    return found


def deregister_old(ecs: Any, workload: Workload, *, keep: int) -> list[str]:
    """Deregister revisions that Greenlane registered, but for the newest `keep` and those in use.

    A family may be somebody else's, with revisions without number: only the next ones are looked
    at, each time.

    Returns:
        The ARNs that were deregistered.
    """
    in_use = set()
    for resources in workload.slots.values():
        service = read_service(ecs, workload.cluster, resources.service)
        in_use |= {service.task_definition, service.primary_task_definition}
    family = next(iter(in_use - {None}), None)
    if family is None:
        return []
    arns: list[str] = []
    for page in ecs.get_paginator("list_task_definitions").paginate(
        familyPrefix=family.rsplit("/", 1)[-1].rsplit(":", 1)[0], sort="DESC", status="ACTIVE"
    ):
        arns += page["taskDefinitionArns"]
        if len(arns) >= keep + _OLD_AT_ONCE:
            break
    gone = []
    for arn in arns[keep : keep + _OLD_AT_ONCE]:
        if arn not in in_use and tag_of(read_task_definition(ecs, arn)) is not None:
            ecs.deregister_task_definition(taskDefinition=arn)
            gone.append(arn)
    return gone
