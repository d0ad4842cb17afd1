"""Which versions of a service run, which may come back, and in which order they were shipped.

A version is what its deployment was asked for by: its `version`, or its image's tag. A deployment
by task definition, as an undo is, has the version of whoever brought that definition. Where nobody
said one, nobody knows it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from greenlane.deployments.looking.status import version_of
from greenlane.deployments.model import DeploymentSummary, Record
from greenlane.deployments.phases import LEASED, REVERSIBLE, Phase
from greenlane.deployments.reaching.workloads import read_workload
from greenlane.deployments.storing.store import DynamoStore
from greenlane.deployments.workload import Workload
from greenlane.errors import UnknownDeployment
from greenlane.migrations.guarding.release import InUse
from greenlane.runtime import Runtime

LOOKED_AT = 100
"""Deployments that are looked at, newest first: as many as `undo` can go back to."""

_SUCCEEDED = frozenset({Phase.WATCHING, Phase.RETIRED})
_AT_ONCE = 100
"""Tasks that ECS describes at once."""


@dataclass(frozen=True)
class Fleet:
    """What there is of a service's versions now."""

    in_use: tuple[InUse, ...]
    shipped: tuple[str, ...]


def read_fleet(runtime: Runtime, service: str) -> Fleet:
    """Everything that runs or may come back of a service.

    Raises:
        UnknownService: it was never applied.
        InvalidInput: nobody says where its tasks are.
        ClientError: ECS or the table did not answer.
    """
    config = runtime.store.get_config(service).config
    workload = config.workload or read_workload(runtime.ssm, service)
    record = runtime.store.record(service)
    newest_first = runtime.store.deployments(service, LOOKED_AT)
    versions = Versions(runtime, newest_first)
    families = _families(runtime.ecs, workload)
    used = [
        *_running(runtime.ecs, workload, families, versions),
        *_in_flight(record, versions),
        *_other_slot(runtime.ecs, workload, record, versions),
        *_kept(runtime.ecs, families, newest_first, versions),
    ]
    return Fleet(tuple(dict.fromkeys(used)), versions.in_order())


class HasStore(Protocol):
    """Whatever has the table of deployments."""

    @property
    def store(self) -> DynamoStore:
        """Where deployments are kept."""
        ...


class Versions:
    """The versions of a service's deployments.

    Args:
        runtime: the table.
        newest_first: the deployments.
    """

    def __init__(self, runtime: HasStore, newest_first: Sequence[DeploymentSummary]) -> None:
        """See the class."""
        self._runtime = runtime
        self._order: dict[str, None] = {}
        self.by_definition: dict[str, str | None] = {}
        self._by_image: dict[str, str] = {}
        for summary in reversed(newest_first):
            self._add(summary)

    def _add(self, summary: DeploymentSummary) -> None:
        revision = summary.task_definition
        said = self.asked_for(summary.deployment_id)
        if said is None and revision is not None:
            said = self.by_definition.get(revision)
        if said is None and summary.image is not None:
            said = self._by_image.get(summary.image)
        if said is not None:
            self._order.setdefault(said)
            if summary.image is not None:
                self._by_image.setdefault(summary.image, said)
        if revision is not None and self.by_definition.get(revision) is None:
            self.by_definition[revision] = said

    def asked_for(self, deployment_id: str) -> str | None:
        """The version that a deployment was asked for by; None where it was asked otherwise."""
        try:
            request = self._runtime.store.plan(deployment_id).request
        except UnknownDeployment:
            return None
        if request.version is not None:
            return request.version
        return None if request.image is None else tag_of(request.image)

    def in_order(self) -> tuple[str, ...]:
        """All versions, the one that was shipped first before the rest."""
        return tuple(self._order)


def tag_of(image: str) -> str | None:
    """The tag of an image; None where it has only a digest, or neither."""
    tag = version_of(image)
    return None if tag.startswith("sha256:") or tag == image else tag


def _running(
    ecs: Any, workload: Workload, families: Sequence[str], versions: Versions
) -> Iterator[InUse]:
    """The tasks that run, by whichever service or none; one that is to stop runs until it has."""
    for family in families:
        for status in ("RUNNING", "STOPPED"):
            arns: list[str] = []
            for page in ecs.get_paginator("list_tasks").paginate(
                cluster=workload.cluster, family=family, desiredStatus=status
            ):
                arns += page["taskArns"]
            for first in range(0, len(arns), _AT_ONCE):
                answer = ecs.describe_tasks(
                    cluster=workload.cluster, tasks=arns[first : first + _AT_ONCE]
                )
                for task in answer["tasks"]:
                    if task.get("lastStatus") != "STOPPED":
                        yield _task(str(task["taskDefinitionArn"]), versions.by_definition)


def _task(revision: str, by_definition: Mapping[str, str | None]) -> InUse:
    where = f"a task of {_short(revision)}"
    way_out = "deploy a newer version, and wait until the last one has stopped"
    return InUse(by_definition.get(revision), "runs", where, way_out)


def _in_flight(record: Record | None, versions: Versions) -> Iterator[InUse]:
    """What a deployment that is under way brings, though no task of it may run yet."""
    if record is None or record.phase not in LEASED:
        return
    version = versions.asked_for(record.deployment_id)
    if version is None and record.task_definition is not None:
        version = versions.by_definition.get(record.task_definition)
    named = f"the deployment {record.deployment_id}"
    yield InUse(version, "runs", named, "wait for its end")


def _other_slot(
    ecs: Any, workload: Workload, record: Record | None, versions: Versions
) -> Iterator[InUse]:
    """What a rollback of the latest deployment goes back to; it starts tasks again if it has to."""
    if record is None or record.phase not in REVERSIBLE | {Phase.ROLLING_BACK}:
        return
    slot = record.live  # as it was when the deployment began
    name = workload.slots[slot].service
    for service in ecs.describe_services(cluster=workload.cluster, services=[name])["services"]:
        revision = str(service["taskDefinition"])
        where = f"a rollback of {record.deployment_id}"
        way_out = f"deploy once more, so that {slot} has a newer version"
        yield InUse(versions.by_definition.get(revision), "may come back", where, way_out)


def _kept(
    ecs: Any, families: Sequence[str], newest_first: Sequence[DeploymentSummary], versions: Versions
) -> Iterator[InUse]:
    """What `undo` may bring back: a version that was good, whose revision ECS still starts."""
    active: set[str] = set()
    for family in families:
        for page in ecs.get_paginator("list_task_definitions").paginate(
            familyPrefix=family, status="ACTIVE"
        ):
            active |= set(page["taskDefinitionArns"])
    for summary in newest_first:
        revision = summary.task_definition
        if summary.phase in _SUCCEEDED and revision is not None and revision in active:
            where = f"an undo to {summary.deployment_id}"
            way_out = f"deregister {_short(revision)}, or lower keep_revisions and deploy"
            yield InUse(versions.by_definition.get(revision), "may come back", where, way_out)


def _families(ecs: Any, workload: Workload) -> list[str]:
    names = sorted(one.service for one in workload.slots.values())
    answer = ecs.describe_services(cluster=workload.cluster, services=names)
    found = {
        _short(str(revision)).rsplit(":", 1)[0]
        for service in answer["services"]
        for revision in (
            service["taskDefinition"],
            *(one["taskDefinition"] for one in service.get("deployments", [])),
        )
    }
    return sorted(found)


def _short(revision: str) -> str:
    return revision.rsplit("/", 1)[-1]
