"""The edge to ECS: the tasks of the new version, and why some of them stopped by themselves.

ECS knows a task for about an hour after it stopped.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from greenlane.incidents.log_patterns import kind_of

_TASK_ID = re.compile(r"^[0-9a-zA-Z-]+$")

_ON_PURPOSE = frozenset({"ServiceSchedulerInitiated", "UserInitiated"})
"""Why a task is stopped that did nothing wrong: its service got smaller, or somebody said so."""


def read_tasks(ecs: Any, cluster: str, service: str, revision: str) -> list[dict[str, Any]]:
    """A service's tasks of one revision, running or stopped within about an hour."""
    arns: list[str] = []
    for status in ("RUNNING", "STOPPED"):
        for page in ecs.get_paginator("list_tasks").paginate(
            cluster=cluster, serviceName=service, desiredStatus=status
        ):
            arns += page["taskArns"]
    found: list[dict[str, Any]] = []
    for first in range(0, len(arns), 100):
        answer = ecs.describe_tasks(cluster=cluster, tasks=arns[first : first + 100])
        found += [task for task in answer["tasks"] if task.get("taskDefinitionArn") == revision]
    return found


def ids_of(tasks: Iterable[Mapping[str, Any]]) -> set[str]:
    """The ids in which the names of the tasks' log streams end."""
    found = {str(task["taskArn"]).rsplit("/", 1)[-1] for task in tasks}
    return {task for task in found if _TASK_ID.match(task)}


def why_stopped(tasks: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Why each task stopped that nobody stopped on purpose, with its containers' exit codes."""
    return tuple(
        _reason(task)
        for task in tasks
        if task.get("lastStatus") == "STOPPED" and task.get("stopCode") not in _ON_PURPOSE
    )


def _reason(task: Mapping[str, Any]) -> str:
    parts = [kind_of(str(task.get("stoppedReason") or task.get("stopCode") or "no reason given"))]
    for container in task.get("containers", []):
        code, reason = container.get("exitCode"), container.get("reason")
        if code or reason:
            said = [f"exit code {code}"] if code is not None else []
            said += [kind_of(str(reason))] if reason else []
            parts.append(f"{container.get('name')}: {', '.join(said)}")
    return "; ".join(parts)
