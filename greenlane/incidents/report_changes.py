"""What a deployment changed, field by field, without a value that could be a secret. Pure; no I/O.

Values are shown only of fields that cannot hold a secret. Environment variables, commands, labels
and options of other log drivers can: of these a report tells the name, and that it changed. The
`secrets` of a container are the names and ARNs of secrets, not the secrets; they are shown.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from greenlane.deployments.model import Plan
from greenlane.incidents.report_model import Changes, Evidence, FieldChange
from greenlane.incidents.wording import one_line

_NOT_OF_THE_DEFINITION = frozenset(
    {
        "compatibilities",
        "deregisteredAt",
        "registeredAt",
        "registeredBy",
        "requiresAttributes",
        "revision",
        "status",
        "tags",
        "taskDefinitionArn",
    }
)
"""What ECS says about a revision itself; it differs between any two."""

_SHOWN = re.compile(
    r"^(?:containers\.[^.]+\.)?(?:"
    r"cpu|memory|memoryReservation|image|essential|networkMode|family|"
    r"taskRoleArn|executionRoleArn|ephemeralStorage(?:\.\w+)?|runtimePlatform\.\w+|"
    r"requiresCompatibilities(?:\.\d+)?|portMappings\.\d+\.\w+|secrets\.[^.]+|"
    r"healthCheck\.(?:interval|timeout|retries|startPeriod)|stopTimeout|startTimeout|"
    r"readonlyRootFilesystem|privileged|user|workingDirectory|ulimits\.\d+\.\w+|"
    r"mountPoints\.\d+\.\w+|volumes\.\d+\.name|dependsOn\.\d+\.\w+|interactive|"
    r"pseudoTerminal|logConfiguration\.(?:logDriver|options\.awslogs-[\w-]+)|name"
    r")$"
)
"""Fields of a task definition whose values are shown."""

_HIDDEN_IN_CONFIG = re.compile(
    r"(?:^|\.)(?:environment|headers|body|expect_body|expect_json|command)(?:\.|$)"
    r"|secret|token|password|api_?key|webhook|routing_?key",
    re.IGNORECASE,
)
"""Fields of the configuration whose values are not shown."""

_NAMED = {"environment": "value", "secrets": "valueFrom"}
"""Lists of a container that mean a mapping by name."""


def changes_of(evidence: Evidence) -> Changes:
    """What this deployment changed, against what ran before and was configured before."""
    before, after = evidence.definition_before, evidence.definition_after
    plan, previous = evidence.plan, evidence.previous
    return Changes(
        task_definition=(
            None if before is None or after is None else definition_changes(before, after)
        ),
        config=None if previous is None else config_changes(previous, plan),
        config_version=plan.config_version,
        previous_config_version=previous.config_version if previous else None,
        previous_deployment=previous.deployment_id if previous else None,
    )


def definition_changes(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[FieldChange, ...]:
    """The fields in which two task definitions differ, in the order of their paths."""
    return _differences(
        dict(_leaves(_by_name(before))),
        dict(_leaves(_by_name(after))),
        shown=lambda path: _SHOWN.match(path) is not None,
    )


def config_changes(before: Plan, after: Plan) -> tuple[FieldChange, ...]:
    """The fields in which the configurations of two deployments differ."""
    return _differences(
        dict(_leaves(_configured(before))),
        dict(_leaves(_configured(after))),
        shown=lambda path: _HIDDEN_IN_CONFIG.search(path) is None,
    )


def _configured(plan: Plan) -> dict[str, Any]:
    """The configuration with the workload as it was at that time, declared or read from SSM."""
    config = plan.config.model_dump(mode="json", exclude={"workload"})
    return config | {"workload": plan.workload.model_dump(mode="json")}


def _by_name(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The definition with containers, variables and secrets by name, so that order is nothing."""
    kept = {key: value for key, value in definition.items() if key not in _NOT_OF_THE_DEFINITION}
    containers = kept.pop("containerDefinitions", [])
    kept["containers"] = {
        str(container.get("name", number)): _container(container)
        for number, container in enumerate(containers)
    }
    return kept


def _container(container: Mapping[str, Any]) -> dict[str, Any]:
    kept = dict(container)
    for key, value in _NAMED.items():
        if key in kept:
            kept[key] = {entry["name"]: entry.get(value, "") for entry in kept[key] or []}
    return kept


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each value that is not a container of others, by its dotted path; empty ones are nothing."""
    if isinstance(value, Mapping):
        for key in value:
            yield from _leaves(value[key], f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        if value and all(isinstance(item, str | int | float) for item in value):
            yield path, ", ".join(str(item) for item in value)
            return
        for number, item in enumerate(value):
            yield from _leaves(item, f"{path}.{number}")
    elif value is not None:
        yield path, value


def _differences(
    before: Mapping[str, Any], after: Mapping[str, Any], *, shown: Any
) -> tuple[FieldChange, ...]:
    found = []
    for path in sorted({*before, *after}):
        if before.get(path) == after.get(path) and (path in before) == (path in after):
            continue
        change = "added" if path not in before else "removed" if path not in after else "changed"
        visible = shown(path)
        found.append(
            FieldChange(
                path=one_line(path, 200),
                change=change,
                before=_text(before[path]) if visible and path in before else None,
                after=_text(after[path]) if visible and path in after else None,
                hidden=not visible,
            )
        )
    return tuple(found)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, datetime) else one_line(value, 300)


def changed_paths(changes: Sequence[FieldChange] | None, part: str) -> list[str]:
    """The last words of the changed paths that go through `part`, such as `environment`."""
    return [
        change.path.rsplit(".", 1)[-1]
        for change in changes or ()
        if f".{part}." in f".{change.path}."
    ]
