"""Judging a bake: at its end, and each minute inside it."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from greenlane.deployments.model import Deployment, Judgement, Plan, Record, Verdict
from greenlane.deployments.stepping import baking
from greenlane.deployments.stepping.baking import BAKING
from greenlane.deployments.stepping.before_traffic import call_hooks
from greenlane.deployments.stepping.capacity import keep_way_back_wide
from greenlane.deployments.stepping.decide import decide, may_end_early
from greenlane.deployments.stepping.every_service import for_every_service
from greenlane.deployments.stepping.examine import examine
from greenlane.deployments.stepping.fence import fenced, still_wanted
from greenlane.deployments.storing.journal import note
from greenlane.errors import DeploymentFailed, FenceLost
from greenlane.health.findings import joined
from greenlane.runtime import Runtime


class Tick(BaseModel):
    """A scheduled event; nothing in it is needed."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def judge_step(deployment: Deployment, runtime: Runtime) -> Deployment:
    """The verdict at the end of a bake, and where the deployment goes from here.

    Raises:
        DeploymentFailed: one of its kinds; the deployment goes back.
        FenceLost: this deployment no longer owns the service.
    """
    record = fenced(runtime, deployment, BAKING)
    plan = runtime.store.plan(deployment.deployment_id)
    still_wanted(runtime, record)
    pending = record.signal
    signal = pending.name if pending is not None and pending.reaches(record.step) else None
    verdict = examine(runtime, plan, record)
    if verdict.verdict != "fail":
        verdict = _with_hooks(runtime, plan, record, verdict)
    now = runtime.clock.now()
    note(
        runtime,
        plan.deployment_id,
        "judged",
        step=record.step,
        signal=signal,
        weight=record.weight,
        **verdict.model_dump(mode="json"),
    )
    decision = decide(plan, record, verdict, signal, now)
    _remember(runtime, record, {"bake_token": None, **decision.changes})
    note(
        runtime,
        plan.deployment_id,
        "decided",
        step=record.step,
        next=decision.next,
        why=decision.why,
    )
    return deployment.model_copy(
        update={
            "next": decision.next,
            "step": decision.step,
            "bake_seconds": decision.bake_seconds,
        }
    )


def _remember(runtime: Runtime, record: Record, changes: dict[str, Any]) -> None:
    """Write what was decided, and with the same write take the signal that was obeyed.

    Not before: a judgement that fails is repeated, and must find its signal again. A signal that
    came meanwhile stays for the next look, but for an abort, which is heard at once.
    """
    taken = changes | ({"signal": None} if record.signal is not None else {})
    try:
        runtime.store.update(record, taken, phases=BAKING, where={"signal": record.signal})
    except FenceLost:
        fresh = runtime.store.record(record.service)
        if fresh is None or fresh.epoch != record.epoch or fresh.signal == record.signal:
            raise
        still_wanted(runtime, fresh)
        runtime.store.update(record, changes, phases=BAKING)


def _with_hooks(runtime: Runtime, plan: Plan, record: Record, verdict: Verdict) -> Verdict:
    """The verdict joined with those of the user's own functions."""
    watch = plan.steps[record.step].kind == "watch"
    checks = call_hooks(
        runtime,
        plan,
        plan.config.hooks.post_traffic if watch else plan.config.hooks.step,
        phase="post_traffic" if watch else "step",
        step=record.step,
        weight=record.weight,
    )
    if not checks:
        return verdict
    return joined(verdict, checks)


def judge_tick(tick: Tick, runtime: Runtime) -> None:
    """Look into every bake; end one that fails, or whose missing evidence has come in."""
    del tick

    def look(service: str) -> None:
        record = runtime.store.record(service)
        if record is not None and record.phase in BAKING and record.bake_token is not None:
            _look_into(runtime, record, record.bake_token)

    for_every_service(runtime, look, failed="a bake was not judged")


def _look_into(runtime: Runtime, record: Record, token: str) -> None:
    plan = runtime.store.plan(record.deployment_id)
    try:
        verdict = examine(runtime, plan, record)
    except DeploymentFailed as error:
        baking.fail(runtime.stepfunctions, token, type(error).__name__, str(error))
        return
    seen = Judgement(at=runtime.clock.now(), step=record.step, verdict=verdict)
    if verdict.would == "fail":
        _tell_once(runtime, record, seen)
    runtime.store.put_look(plan.deployment_id, seen)
    if verdict.verdict == "fail":
        baking.fail(runtime.stepfunctions, token, "JudgedBad", verdict.reason)
    elif verdict.verdict == "pass" and _needs_no_more_time(plan, record, runtime):
        baking.answer(runtime.stepfunctions, token, "the evidence is in")
    else:
        keep_way_back_wide(runtime, plan, record, phases=BAKING)


def _tell_once(runtime: Runtime, record: Record, seen: Judgement) -> None:
    """Tell the history, once a step, that in earnest the deployment would have gone back here."""
    before = runtime.store.last_look(record.deployment_id)
    if before is None or before.step != seen.step or before.verdict.would != "fail":
        note(
            runtime,
            record.deployment_id,
            "would have gone back",
            step=seen.step,
            weight=record.weight,
            why=seen.verdict.would_because,
        )


def _needs_no_more_time(plan: Plan, record: Record, runtime: Runtime) -> bool:
    """Whether only missing evidence kept a bake waiting, or evidence may end it early.

    A pass has whole minutes of the step behind it, so none ends before it has any.
    """
    if may_end_early(plan, record):
        return True
    over = record.bake_until is not None and runtime.clock.now() >= record.bake_until
    return over and record.hold_until is not None and not record.paused
