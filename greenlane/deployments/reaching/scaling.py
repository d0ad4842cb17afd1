"""The edge to Application Auto Scaling: scale-in rests while a deployment runs.

Otherwise the live slot shrinks as its share of the traffic falls, and nothing is left to go back
to. `RegisterScalableTarget` is set-state; called without capacities it leaves them alone.
"""

from collections.abc import Iterable
from typing import Any

from greenlane.deployments.model import SuspendedScaling
from greenlane.deployments.workload import Workload

_DIMENSION = "ecs:service:DesiredCount"


def resource_id(workload: Workload, service: str) -> str:
    """The scalable target's id of an ECS service."""
    return f"service/{workload.cluster}/{service}"


def read_scaling(autoscaling: Any, workload: Workload) -> tuple[SuspendedScaling, ...]:
    """The scalable targets of both slots as they are; services without one are left out."""
    ids = [resource_id(workload, resources.service) for resources in workload.slots.values()]
    answer = autoscaling.describe_scalable_targets(
        ServiceNamespace="ecs", ResourceIds=ids, ScalableDimension=_DIMENSION
    )
    found = []
    for target in answer["ScalableTargets"]:
        state = target.get("SuspendedState", {})
        found.append(
            SuspendedScaling(
                resource_id=target["ResourceId"],
                min_capacity=target["MinCapacity"],
                max_capacity=target["MaxCapacity"],
                dynamic_in=state.get("DynamicScalingInSuspended", False),
                dynamic_out=state.get("DynamicScalingOutSuspended", False),
                scheduled=state.get("ScheduledScalingSuspended", False),
            )
        )
    return tuple(sorted(found, key=lambda target: target.resource_id))


def suspend_scale_in(autoscaling: Any, targets: Iterable[SuspendedScaling]) -> None:
    """Let the targets grow but not shrink: dynamic scale-in and scheduled actions rest."""
    for target in targets:
        autoscaling.register_scalable_target(
            ServiceNamespace="ecs",
            ResourceId=target.resource_id,
            ScalableDimension=_DIMENSION,
            SuspendedState={
                "DynamicScalingInSuspended": True,
                "DynamicScalingOutSuspended": target.dynamic_out,
                "ScheduledScalingSuspended": True,
            },
        )


def give_back(
    autoscaling: Any,
    workload: Workload,
    targets: Iterable[SuspendedScaling],
    *,
    idle: str,
    idle_floor: int,
) -> None:
    """Restore the suspension state as found, and give each slot the limits of its new role.

    The slot that is live gets the workload's declared limits, else the larger of the recorded
    ones; the minimum of the idle one is lowered to its floor, or auto scaling would start its
    tasks again.

    Args:
        autoscaling: the client.
        workload: the service's slots.
        targets: what was recorded before the suspension.
        idle: the ECS service that is idle from now on.
        idle_floor: how many tasks of it stay.
    """
    recorded = tuple(targets)
    if not recorded:
        return
    live_min = max(target.min_capacity for target in recorded)
    live_max = max(target.max_capacity for target in recorded)
    if workload.capacity is not None:
        live_min, live_max = workload.capacity.min_tasks, workload.capacity.max_tasks
    for target in recorded:
        is_idle = target.resource_id == resource_id(workload, idle)
        minimum = min(idle_floor, live_max) if is_idle else live_min
        _register(autoscaling, target, minimum=minimum, maximum=live_max)


def give_back_as_found(
    autoscaling: Any, workload: Workload, targets: Iterable[SuspendedScaling], *, idle: str
) -> None:
    """Restore everything as it was recorded: a rollback gives both slots their old roles.

    Only the minimum of the idle one becomes 0, or auto scaling would start the bad version again.
    """
    for target in targets:
        is_idle = target.resource_id == resource_id(workload, idle)
        minimum = 0 if is_idle else target.min_capacity
        _register(autoscaling, target, minimum=minimum, maximum=target.max_capacity)


def restore_suspension(autoscaling: Any, targets: Iterable[SuspendedScaling]) -> None:
    """Restore the suspension state as found; the limits stay as they are."""
    for target in targets:
        autoscaling.register_scalable_target(
            ServiceNamespace="ecs",
            ResourceId=target.resource_id,
            ScalableDimension=_DIMENSION,
            SuspendedState=_suspension(target),
        )


def _register(autoscaling: Any, target: SuspendedScaling, *, minimum: int, maximum: int) -> None:
    autoscaling.register_scalable_target(
        ServiceNamespace="ecs",
        ResourceId=target.resource_id,
        ScalableDimension=_DIMENSION,
        MinCapacity=minimum,
        MaxCapacity=maximum,
        SuspendedState=_suspension(target),
    )


def _suspension(target: SuspendedScaling) -> dict[str, bool]:
    return {
        "DynamicScalingInSuspended": target.dynamic_in,
        "DynamicScalingOutSuspended": target.dynamic_out,
        "ScheduledScalingSuspended": target.scheduled,
    }
