"""How many tasks carry all of the traffic, and keeping each slot able to carry its share.

Scale-out goes on while a deployment runs, so what carries everything is the most that either slot
has by now; the size that planning saw is only where that begins.
"""

from collections.abc import Collection

from greenlane.deployments import fleet, traffic
from greenlane.deployments.journal import note
from greenlane.deployments.model import Plan, Record, Slot
from greenlane.deployments.phases import Phase
from greenlane.deployments.plan import carries, share_of
from greenlane.errors import CapacityShort
from greenlane.runtime import Runtime


def check_capacity(runtime: Runtime, plan: Plan, record: Record, weight: int) -> int:
    """Both slots carry what they get; the balancer itself would send traffic to sick targets.

    A candidate with less than its share is raised to it first. Not so the live slot of a
    deployment that is its cure: what it gets can only become less.

    Returns:
        How many tasks carry all of the traffic now.

    Raises:
        CapacityShort: a slot's healthy targets would not carry its share.
    """
    healthy = _healthy(runtime, plan)
    capacity = max(record.full_capacity, plan.full_capacity, *healthy.values())
    for slot, share in ((plan.candidate, weight), (plan.live, 100 - weight)):
        if slot == plan.live and plan.request.despite_alarms is not None:
            continue
        if carries(healthy[slot], capacity=capacity, weight=share):
            continue
        if slot == plan.candidate:
            name = plan.workload.slots[slot].service
            service = fleet.read_service(runtime.ecs, plan.workload.cluster, name)
            _raise_to(runtime, plan, service, slot=slot, tasks=share_of(capacity, share))
        raise CapacityShort(
            f"{slot} has {healthy[slot]} healthy targets, {share} percent of the traffic needs "
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
    capacity = max(record.full_capacity, *_healthy(runtime, plan).values())
    name = plan.workload.slots[plan.live].service
    service = fleet.read_service(runtime.ecs, plan.workload.cluster, name)
    if capacity > record.full_capacity or service.desired < capacity:
        runtime.store.update(record, {"full_capacity": capacity}, phases=phases)
        _raise_to(runtime, plan, service, slot=plan.live, tasks=capacity)


def _healthy(runtime: Runtime, plan: Plan) -> dict[Slot, int]:
    slots: tuple[Slot, Slot] = (plan.candidate, plan.live)
    return {
        slot: len(traffic.slot_health(runtime.elbv2, plan.target_group(slot)).healthy)
        for slot in slots
    }


def _raise_to(
    runtime: Runtime, plan: Plan, service: fleet.ServiceState, *, slot: Slot, tasks: int
) -> None:
    """Ask for more tasks of a slot, never for fewer."""
    if service.desired < tasks:
        note(runtime, plan.deployment_id, "slot raised", slot=slot, tasks=tasks)
        fleet.set_service(runtime.ecs, plan.workload.cluster, service.name, desired=tasks)
