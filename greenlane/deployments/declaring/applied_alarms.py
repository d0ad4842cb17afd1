"""The alarms that `apply` keeps for a service's conditions, as a deployment counts on them."""

from collections.abc import Mapping, Sequence
from typing import Any

from greenlane.deployments.declaring.config import ServiceConfig
from greenlane.deployments.model import DeploymentRequest, Slot, other
from greenlane.deployments.workload import Workload
from greenlane.errors import Refused
from greenlane.health.alarm_definitions import AlarmPlan, plan_alarms, prefix_of
from greenlane.health.alarms import AlarmState, as_applied, read_alarms
from greenlane.health.asked import criteria_of
from greenlane.health.declared import known_metrics
from greenlane.health.expressions import ExpressionError


def alarms_asked(config: ServiceConfig, workload: Workload) -> AlarmPlan:
    """The alarms that a configuration's conditions ask for.

    Raises:
        ExpressionError: a condition is none; `apply` would not have taken it.
    """
    metrics = known_metrics(config.metrics, config.database)
    return plan_alarms(criteria_of(config).conditions, workload, metrics)


def counted_on(cloudwatch: Any, config: ServiceConfig, workload: Workload) -> AlarmPlan:
    """The same, once it is sure that each of them exists and is as it was applied.

    In shadow mode conditions start nothing, so there are none to count on.

    Raises:
        Refused: one is not, so nothing, or something else, would start the way back.
    """
    if config.deployment.shadow:
        return AlarmPlan()
    try:
        asked = alarms_asked(config, workload)
    except ExpressionError as error:
        raise Refused(f"alarms: {error}; correct it and apply the file again") from None
    counted = {name for slot in workload.slots for name in asked.parts(slot)}
    wanted = {alarm.name: alarm for alarm in asked.alarms if alarm.pulls or alarm.name in counted}
    if not wanted:
        return asked
    found = read_alarms(cloudwatch, wanted)
    missing = [alarm.name for alarm in found if alarm.missing]
    if missing:
        raise Refused(
            f"alarms: {', '.join(missing)} do not exist, so nothing would trigger; apply the "
            "service's files again"
        )
    other = [alarm.name for alarm in found if alarm.applied != as_applied(wanted[alarm.name].body)]
    if other:
        raise Refused(
            f"alarms: {', '.join(other)} are not as they were applied; apply the service's files "
            "again, so that they are"
        )
    return asked


def look_at_alarms(
    cloudwatch: Any,
    workload: Workload,
    live: Slot,
    request: DeploymentRequest,
    parts: Sequence[str],
) -> tuple[list[AlarmState], tuple[AlarmState, ...]]:
    """All alarms of the workload, and those that say that what serves now is ill.

    Args:
        cloudwatch: the client.
        workload: with the alarms that `apply` keeps.
        live: the slot that serves.
        request: it may be the cure.
        parts: the alarms that the candidate's are made of.

    Raises:
        Refused: one is missing, or what serves is ill and the request is not the cure.
    """
    ours = (*workload.slots[live].alarms, *workload.alarms)
    others = (*workload.slots[other(live)].alarms, *parts)
    alarms = read_alarms(cloudwatch, (*ours, *others))
    missing = [alarm.name for alarm in alarms if alarm.missing]
    if missing:
        raise Refused(f"alarms: {', '.join(missing)} do not exist, so nothing would trigger")
    red = tuple(alarm for alarm in alarms if alarm.red and alarm.name in ours)
    if red and not request.despite_alarms:
        names = ", ".join(alarm.name for alarm in red)
        raise Refused(
            f"alarms: {names} of the live slot {live} are red already; if this deployment is the "
            "cure, say so with --despite-alarms REASON"
        )
    return alarms, red


def parts_among(definitions: Mapping[str, str], service: str) -> tuple[str, ...]:
    """Those of the remembered alarms that other alarms are made of."""
    prefix = prefix_of(service, "part")
    return tuple(name for name in definitions if name.startswith(prefix))
