"""How many tasks carry all of the traffic, and keeping each slot able to carry its share.

Scale-out goes on while a deployment runs, so what carries everything is the most that either slot
has by now; the size that planning saw is only where that begins.
"""

from collections.abc import Collection
from dataclasses import dataclass

from greenlane.deployments.model import Plan, Record, Slot
from greenlane.deployments.phases import Phase
from greenlane.deployments.plan import carries, share_of
from greenlane.deployments.reaching import fleet, traffic
from greenlane.deployments.storing.journal import note
from greenlane.errors import CapacityShort
from greenlane.runtime import Runtime


def check_capacity(runtime: Runtime, plan: Plan, record: Record, weight: int) -> int:
    """Both slots carry what they get; the balancer itself would send traffic to sick targets.

    A slot with less than its share is raised to it, and the shift is tried again. Not so the live
    slot of a deployment that is its cure: what it gets can only become less.

    Returns:
        How many tasks carry all of the traffic now.

    Raises:
        CapacityShort: a slot's healthy targets would not carry its share.
    """
    sizes = _sizes(runtime, plan)
    capacity = _needed(record, sizes)
    for slot, share in ((plan.candidate, weight), (plan.live, 100 - weight)):
        if slot == plan.live and plan.request.despite_alarms is not None:
            continue
        size = sizes[slot]
        if carries(size.healthy, capacity=capacity, weight=share):
            continue
        _raise_to(runtime, plan, size.service, slot=slot, tasks=share_of(capacity, share))
        raise CapacityShort(
            f"{slot} has {size.healthy} healthy targets, {share} percent of the traffic needs "
            f"{share_of(capacity, share)}"
        )
    return capacity


def keep_way_back_wide(
    runtime: Runtime, plan: Plan, record: Record, *, phases: Collection[Phase]
) -> None:
    """While traffic grows, let the slot that we would go back to grow with it; safe to repeat.

    Its own auto scaling sees little or no traffic. The record learns the size first, so that a
    rollback in this moment measures the good slot by what the traffic needs now.

    Raises:
        FenceLost: the record moved on; nothing was raised.
    """
    sizes = _sizes(runtime, plan)
    capacity, live = _needed(record, sizes), sizes[plan.live].service
    if capacity > record.full_capacity or live.desired < capacity:
        runtime.store.update(record, {"full_capacity": capacity}, phases=phases)
        _raise_to(runtime, plan, live, slot=plan.live, tasks=capacity)


@dataclass(frozen=True)
class _Size:
    """How large one slot is: what ECS was asked for, and what the balancer can use."""

    service: fleet.ServiceState
    healthy: int


def _sizes(runtime: Runtime, plan: Plan) -> dict[Slot, _Size]:
    slots: tuple[Slot, Slot] = (plan.candidate, plan.live)
    return {
        slot: _Size(
            service=fleet.read_service(
                runtime.ecs, plan.workload.cluster, plan.workload.slots[slot].service
            ),
            healthy=len(traffic.slot_health(runtime.elbv2, plan.target_group(slot)).healthy),
        )
        for slot in slots
    }


def _needed(record: Record, sizes: dict[Slot, _Size]) -> int:
    """The most that was ever needed; a task that ECS is just replacing is not counted twice."""
    now = (min(size.healthy, size.service.desired) for size in sizes.values())
    return max(record.full_capacity, *now)


def _raise_to(
    runtime: Runtime, plan: Plan, service: fleet.ServiceState, *, slot: Slot, tasks: int
) -> None:
    """Ask for more tasks of a slot, never for fewer."""
    if service.desired < tasks:
        note(runtime, plan.deployment_id, "slot raised", slot=slot, tasks=tasks)
        fleet.set_service(runtime.ecs, plan.workload.cluster, service.name, desired=tasks)
