"""What follows a judgement: bake on, shift, promote or finish. Pure; no I/O."""

from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from greenlane.deployments.model import Plan, Record, SignalName, Verdict
from greenlane.errors import ApprovalMissing, JudgedBad, NoEvidence

Next = Literal["shift", "bake", "promote", "finish"]


class Decision(BaseModel):
    """Where the state machine goes, and what the record has to remember of it."""

    model_config = ConfigDict(frozen=True)

    next: Next
    step: int
    bake_seconds: int = 1
    changes: dict[str, Any] = {}
    why: str


def decide(
    plan: Plan, record: Record, verdict: Verdict, signal: SignalName | None, now: datetime
) -> Decision:
    """What follows a judgement of the record's step.

    Raises:
        JudgedBad: the evidence says fail, whatever a person said.
        NoEvidence: the hold ended without evidence, and the policy is to go back.
        ApprovalMissing: nobody approved in time.
    """
    if verdict.verdict == "fail":
        raise JudgedBad(verdict.reason)
    step = plan.steps[record.step]
    if step.kind == "watch":
        until = watch_until(plan, record)
        if until is not None and now < until:
            return _bake(record, until, now, "the watch goes on")
        return Decision(next="finish", step=record.step, why="the watch ended well")
    if signal == "promote_all":
        return _to_the_end(plan, record)
    # What was approved stays so when the judgement is repeated; only a later pause withdraws it.
    approved = record.approved_step == record.step and signal != "pause"
    if signal == "promote" or record.fast_track or approved:
        return _advance(plan, record, "a person said promote", {"approved_step": record.step})
    if signal == "pause" or (record.paused and signal != "resume"):
        return _pause(record, now, "a person said pause")
    early = verdict.verdict == "pass" and may_end_early(plan, record)
    if record.bake_until is not None and now < record.bake_until and not early:
        changes = {"paused": False} if record.paused else {}
        return _bake(record, record.bake_until, now, "the bake goes on", changes)
    if verdict.verdict == "hold":
        if signal == "resume":  # a person gives it the whole time again
            record = record.model_copy(update={"hold_until": None})
        return _hold(plan, record, verdict, now)
    if step.approval:
        return _await_approval(plan, record, now)
    return _advance(plan, record, "the evidence says pass" + (", early" if early else ""))


def may_end_early(plan: Plan, record: Record) -> bool:
    """Whether a step may end before its bake does, once its evidence is in.

    Never the last bake before promotion, which is there for what comes late, nor a pause; in
    shadow mode no step, for a pass then rests on no evidence.
    """
    step, config = plan.steps[record.step], plan.config.deployment
    early = config.early_advance and not config.shadow
    return early and step.kind == "step" and not record.paused


def watch_until(plan: Plan, record: Record) -> datetime | None:
    """When the watch ends, also before its bake has written that down; None before promotion."""
    if record.bake_until is not None or record.promoted_at is None:
        return record.bake_until
    return record.promoted_at + timedelta(seconds=plan.steps[-1].bake_seconds)


def _hold(plan: Plan, record: Record, verdict: Verdict, now: datetime) -> Decision:
    config = plan.config.deployment
    until = record.hold_until or now + config.max_hold
    if now < until:
        changes = {"hold_until": until, "paused": False}
        return _bake(record, until, now, f"hold: {verdict.reason}", changes)
    if config.on_no_evidence == "advance":
        return _advance(plan, record, f"advanced without evidence, by policy: {verdict.reason}")
    if config.on_no_evidence == "pause":
        return _pause(record, now, f"paused without evidence, by policy: {verdict.reason}")
    raise NoEvidence(f"still no evidence after {config.max_hold}: {verdict.reason}")


def _await_approval(plan: Plan, record: Record, now: datetime) -> Decision:
    until = (record.bake_until or now) + plan.config.deployment.approval_timeout
    if now >= until:
        raise ApprovalMissing(f"nobody approved step {record.step + 1} by {until.isoformat()}")
    # The hold is over, if there was one: the evidence is in, and only a person is waited for.
    changes = {"paused": False, "hold_until": None}
    return _bake(record, until, now, "waiting for approval", changes)


def _pause(record: Record, now: datetime, why: str) -> Decision:
    return _bake(record, record.deadline, now, why, {"paused": True, "approved_step": None})


def _bake(
    record: Record,
    until: datetime,
    now: datetime,
    why: str,
    changes: dict[str, Any] | None = None,
) -> Decision:
    """Bake until an absolute instant, but never past the deployment's own deadline."""
    if record.promoted_at is None:
        until = min(until, record.deadline)
    seconds = max(-(-(until - now) // timedelta(seconds=1)), 1)
    return Decision(
        next="bake", step=record.step, bake_seconds=seconds, changes=changes or {}, why=why
    )


def _advance(plan: Plan, record: Record, why: str, more: dict[str, Any] | None = None) -> Decision:
    step = record.step + 1
    following = plan.steps[step]
    changes = {"paused": False, "hold_until": None} | (more or {})
    if following.kind == "watch":
        return Decision(
            next="promote",
            step=step,
            bake_seconds=max(following.bake_seconds, 1),
            changes=changes,
            why=why,
        )
    return Decision(next="shift", step=step, changes=changes, why=why)


def _to_the_end(plan: Plan, record: Record) -> Decision:
    """All the way: to 100 percent in one shift, without bakes; the watch stays."""
    why = "a person said promote --all"
    full = next(index for index, step in enumerate(plan.steps) if step.weight == 100)
    if record.step < full:
        changes = {"paused": False, "hold_until": None, "fast_track": True}
        return Decision(next="shift", step=full, changes=changes, why=why)
    watch = len(plan.steps) - 1
    skipped = record.model_copy(update={"step": watch - 1})
    decision = _advance(plan, skipped, why)
    return decision.model_copy(update={"changes": decision.changes | {"fast_track": True}})
