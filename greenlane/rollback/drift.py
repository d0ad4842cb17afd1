"""What somebody else changed: what is, compared with what the record says. Pure; no I/O.

Drift is told once and never overwritten. It counts when two looks a minute apart saw it: tasks
that auto scaling or the judge is just about to start again are nobody's news.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from greenlane.deployments.model import Drift, Plan, Record, Slot, SuspendedScaling
from greenlane.deployments.phases import Phase
from greenlane.health.alarms import AlarmState, changed_alarms

SECOND_LOOK = timedelta(seconds=60)
"""Dead, or changed by somebody else, is what two looks this far apart found so."""

Kind = Literal["weights", "tasks", "alarm", "scaling"]

_SERVES_NEW = frozenset({Phase.WATCHING, Phase.RETIRED})
_SERVES_OLD = frozenset({Phase.ROLLED_BACK, Phase.REFUSED})
AT_REST = _SERVES_NEW | _SERVES_OLD
"""One slot should have all of the traffic. Where a rollback is held, a person decides."""

IN_TRAFFIC = frozenset({Phase.SHIFTING, Phase.PROMOTED})


@dataclass(frozen=True)
class Finding:
    """Something is not as the record says."""

    kind: Kind
    subject: str
    what: str

    @property
    def key(self) -> tuple[Kind, str]:
        """What makes two findings the same drift."""
        return self.kind, self.subject


@dataclass(frozen=True)
class Changes:
    """What follows from a look: the drift to remember, what to tell of it, what is over."""

    drift: tuple[Drift, ...]
    confirmed: tuple[Drift, ...] = ()
    gone: tuple[Drift, ...] = ()


def serving(record: Record) -> Slot | None:
    """The slot that should have all of the traffic; None while both may have some."""
    if record.phase in _SERVES_NEW:
        return record.candidate
    return record.live if record.phase in _SERVES_OLD else None


def weights_drift(
    record: Record, percent: Mapping[Slot, int] | None, weights: Mapping[str, int]
) -> list[Finding]:
    """Whether the slot that should have all of the traffic has it.

    Args:
        record: in a phase of `AT_REST`.
        percent: by slot; None when the rule forwards to something else.
        weights: the rule's own, by target group, to say what was found.
    """
    slot = serving(record)
    if slot is None or (percent is not None and percent[slot] == 100):
        return []
    found = dict(percent) if percent is not None else dict(weights)
    return [Finding("weights", "rule", f"the live weights are {found}; {slot} should have 100")]


def tasks_drift(
    record: Record,
    plan: Plan,
    desired: Mapping[Slot, int],
    targets: Mapping[Slot, SuspendedScaling],
) -> list[Finding]:
    """Whether each slot is asked for as many tasks as it may have to carry.

    Args:
        record: in a phase of `AT_REST` or `IN_TRAFFIC`.
        plan: of the record's deployment.
        desired: tasks, by slot.
        targets: the slots' scalable targets as they are now; a slot may have none.
    """
    least: dict[Slot, int] = {}
    slot = serving(record)
    if slot is not None:
        least[slot] = max(targets[slot].min_capacity if slot in targets else 1, 1)
    if record.phase is Phase.WATCHING:
        least[record.live] = plan.config.deployment.warm_floor
    if record.phase in IN_TRAFFIC:
        least[record.live] = record.full_capacity
    return [
        Finding("tasks", slot, f"{slot} is asked for {desired[slot]} tasks, it needs {needed}")
        for slot, needed in least.items()
        if desired[slot] < needed
    ]


def alarm_drift(alarms: Sequence[AlarmState], definitions: Mapping[str, str]) -> list[Finding]:
    """Which alarms were deleted, or are not defined any more as planning saw them."""
    gone = [alarm.name for alarm in alarms if alarm.missing]
    changed = changed_alarms(alarms, definitions)
    return [Finding("alarm", name, f"the alarm {name} was deleted") for name in gone] + [
        Finding("alarm", name, f"the definition of the alarm {name} was changed")
        for name in changed
    ]


def scaling_left(
    recorded: Iterable[SuspendedScaling], targets: Iterable[SuspendedScaling]
) -> list[Finding]:
    """Which scalable targets rest though they did not when the deployment found them."""
    before = {target.resource_id: target for target in recorded}
    return [
        Finding("scaling", target.resource_id, f"scale-in of {target.resource_id} is suspended")
        for target in targets
        if (found := before.get(target.resource_id)) is not None
        and (
            (target.dynamic_in and not found.dynamic_in)
            or (target.scheduled and not found.scheduled)
        )
    ]


def compare(
    before: Iterable[Drift], looks: Mapping[Kind, Iterable[Finding]], now: datetime
) -> Changes:
    """What is new, what counts from now on, and what is over.

    Args:
        before: the drift on record.
        looks: what was found, by kind; a kind that was not looked at stays as it is.
        now: the present instant.
    """
    known: dict[tuple[Kind, str], Drift] = {(it.kind, it.subject): it for it in before}
    kept = {key: drift for key, drift in known.items() if drift.kind not in looks}
    confirmed = []
    seen = {finding.key: finding for found in looks.values() for finding in found}
    for finding in seen.values():
        drift = known.get(finding.key) or Drift(
            kind=finding.kind, subject=finding.subject, what=finding.what, since=now
        )
        if not drift.told and now >= drift.since + SECOND_LOOK:
            drift = drift.model_copy(update={"told": True, "what": finding.what})
            confirmed.append(drift)
        kept[finding.key] = drift
    gone = tuple(drift for key, drift in known.items() if key not in kept and drift.told)
    return Changes(tuple(kept.values()), tuple(confirmed), gone)
