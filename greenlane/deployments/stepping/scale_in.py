"""Fewer tasks of a slot: the one call that nobody can fence, and what may be counted on meanwhile.

`UpdateService` knows no condition and no token. Sent before a rollback or another deployment began,
it may hang and land after that; and ECS answers before it stops any task, which the balancer still
calls healthy. So the record says first what is asked for, under its fence. From then on, and until
nothing of it can land any more, whoever gives the slot traffic counts on no more tasks than it
leaves (ADR 0029).
"""

from datetime import datetime, timedelta

from greenlane.deployments.model import Record, ScaleIn, Slot
from greenlane.runtime import Runtime

LANDS_WITHIN = timedelta(seconds=60 + 30)
"""The time limit of the functions that ask, and as much in reserve as after a forward write."""


def announce_scale_in(runtime: Runtime, record: Record, *, slot: Slot, tasks: int) -> None:
    """Write down that ECS is about to be asked for so few tasks; the fence of that call.

    Raises:
        FenceLost: a rollback or another deployment began, and may need the slot.
    """
    now = runtime.clock.now()
    changes = {"scaled_in": ScaleIn(slot=slot, tasks=tasks, at=now), "updated_at": now}
    runtime.store.update(record, changes, phases={record.phase})


def under_way(record: Record, slot: Slot, now: datetime) -> ScaleIn | None:
    """The scale-in of a slot that may still stop tasks of it; None as nearly always."""
    asked = record.scaled_in
    if asked is None or asked.slot != slot or now >= asked.at + LANDS_WITHIN:
        return None
    return asked


def staying(record: Record, slot: Slot, healthy: int, now: datetime) -> int:
    """How many of a slot's healthy tasks will still be there when nothing can land any more."""
    asked = under_way(record, slot, now)
    return healthy if asked is None else min(healthy, asked.tasks)
