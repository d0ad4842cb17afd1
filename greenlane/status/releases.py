"""What a record of a deployment, or of a rollout through Regions, means to a person. Pure."""

from collections.abc import Iterator
from datetime import datetime

from greenlane.deployments.looking.status import bake_left, progress, waits_for_approval
from greenlane.deployments.model import Plan, Record
from greenlane.deployments.phases import LEASED, Phase
from greenlane.regions.coordinating.model import OVER
from greenlane.regions.coordinating.store import Kept
from greenlane.status.model import (
    DeploymentUnderWay,
    Need,
    RollbackUnderWay,
    RolloutUnderWay,
)

UNDER_WAY = (LEASED | {Phase.WATCHING}) - {Phase.ROLLING_BACK}
"""Forward, or promoted and watched with the old slot warm."""


def deployment_under_way(
    record: Record, plan: Plan | None, now: datetime
) -> DeploymentUnderWay | None:
    """The record's deployment, if it goes forward or is watched."""
    if record.phase not in UNDER_WAY:
        return None
    step, steps = progress(record, plan) if plan is not None else (None, None)
    return DeploymentUnderWay(
        service=record.service,
        deployment_id=record.deployment_id,
        phase=record.phase,
        strategy=plan.strategy if plan is not None else None,
        step=step,
        steps=steps,
        weight=record.weight,
        since=record.started_at,
        bake_left_seconds=bake_left(record, now),
        watched_until=record.watch_until if record.phase is Phase.WATCHING else None,
        paused=record.paused and step is not None,
        holds=record.hold_until is not None and step is not None,
        awaits_approval=waits_for_approval(record, plan, now),
    )


def rollback_under_way(record: Record) -> RollbackUnderWay | None:
    """The record's way back, while it is under way."""
    if record.phase is not Phase.ROLLING_BACK:
        return None
    return RollbackUnderWay(
        service=record.service,
        deployment_id=record.deployment_id,
        weight=record.weight,
        since=record.updated_at,
        because=_trigger(record),
    )


def needs_of_record(record: Record, under_way: DeploymentUnderWay | None) -> Iterator[Need]:
    """What of a service's latest deployment waits for a person."""
    if record.phase is Phase.HELD:
        why = record.reason or _trigger(record)
        yield _need(record, f"held{_because(why)}", "get", record.updated_at)
    if under_way is not None and under_way.paused:
        by = f" by {record.signal.by}" if record.signal and record.signal.name == "pause" else ""
        since = record.signal.at if by and record.signal else None
        yield _need(record, f"paused{by} at step {under_way.step}", "resume", since)
    if under_way is not None and under_way.awaits_approval:
        what = f"step {under_way.step} of {under_way.steps} waits for approval"
        yield _need(record, what, "promote", record.bake_until)
    for found in record.drift or ():
        if found.told:
            yield _need(record, f"changed by somebody else: {found.what}", "get", found.since)


def _need(record: Record, what: str, command: str, since: datetime | None) -> Need:
    return Need(
        kind="deployment",
        name=record.service,
        id=record.deployment_id,
        what=what,
        since=since,
        do=f"greenlane {command} {record.service}",
    )


def _trigger(record: Record) -> str:
    trigger = record.trigger
    if trigger is None:
        return record.reason or ""
    return ": ".join(part for part in (trigger.name, trigger.reason) if part)


def rollout_under_way(kept: Kept) -> RolloutUnderWay | None:
    """A rollout that is not over."""
    record = kept.record
    if record.phase in OVER:
        return None
    asked = record.request
    because = {"held": record.held_for, "advancing": record.blocked, "rolling_back": record.cause}
    return RolloutUnderWay(
        service=record.service,
        rollout_id=record.rollout_id,
        phase=record.phase,
        version=asked.version or asked.image or asked.task_definition or "",
        begun=len(record.touched),
        regions=len(record.regions),
        since=record.started_at,
        because=because.get(record.phase, ""),
    )


def needs_of_rollout(kept: Kept, now: datetime) -> Iterator[Need]:
    """What of a service's latest rollout waits for a person."""
    record = kept.record
    found: list[tuple[str, datetime | None]] = []
    if record.phase == "held":
        found.append((f"held{_because(record.held_for)}", record.updated_at))
    if record.left and (record.phase == "partial" or record.partial_since is not None):
        left = ", ".join(record.left)
        found.append((f"did not go back: {left}", record.partial_since))
    if kept.late(now):
        found.append(("its coordinator did not look when it should have", kept.due_at))
    for what, since in found:
        yield Need(
            kind="rollout",
            name=record.service,
            id=record.rollout_id,
            what=what,
            since=since,
            do=f"greenlane regions get {record.service}",
        )


def _because(why: str) -> str:
    return f": {why}" if why else ""
