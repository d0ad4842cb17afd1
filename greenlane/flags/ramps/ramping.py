"""The two steps of a ramp's workflow: judge the level that it is at, and go one step up.

Both read what is stored and write on the condition that it still is: the ramp, that it may still
be raised, and the level that was judged. So a step that is repeated, or done by two at once, is
done once, and whatever a person has changed meanwhile stays.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from greenlane.flags.ramps.behind import service_behind
from greenlane.flags.ramps.flag_news import tell_owed
from greenlane.flags.ramps.flag_writes import move
from greenlane.flags.ramps.guards import answers_since, guard_of
from greenlane.flags.ramps.impact import Questions, Stretch, is_true, look
from greenlane.flags.ramps.ramp import (
    MAX_HOLD,
    Decision,
    Impact,
    RampRun,
    decide,
    due_at,
    ended,
    level_of,
    percent,
    raised,
    ramp_of,
    whole_seconds,
)
from greenlane.flags.ramps.runtime import FlagRuntime
from greenlane.flags.storing.ramp_records import level as served_level
from greenlane.flags.storing.state import Ramp, StoredFlag

SWITCHED_OFF = Decision("over", status="stopped", reason="the flag was switched off")
"""What becomes of a ramp whose flag is off."""


def judge_ramp(run: RampRun, runtime: FlagRuntime) -> RampRun:
    """Judge the level of a ramp, and act on all but a pass.

    Returns:
        The run with what comes next; `raise` with the level that was judged good.

    Raises:
        FlagConflict: others change the flag without end.
        ClientError: the table did not answer.
    """
    services = runtime.store.services()
    stored = runtime.flags.read().flags.get(run.flag)
    ramp = ramp_of(stored, run)
    if stored is None or ramp is None:
        # Over, by a person or by an earlier look, which may have ended before it told.
        tell_owed(runtime, run.flag, stored, run.environment, services)
        return run.model_copy(update={"next": "over"})
    now = runtime.clock.now()
    level = level_of(stored.state(run.environment), ramp)
    if not stored.is_on(run.environment):
        decision = SWITCHED_OFF
    elif now < due_at(ramp):
        # Each minute the tick looks into this wait.
        decision = Decision("wait", wait=due_at(ramp) - now)
    else:
        impact, max_hold = impact_of(runtime, run, stored, ramp, services)
        decision = decide(ramp, level, impact, now, max_hold)
    return carry_out(runtime, run, level, decision, services)


def carry_out(
    runtime: FlagRuntime, run: RampRun, level: Decimal, decision: Decision, services: Sequence[str]
) -> RampRun:
    """Write what was decided about a ramp at a level, if it is still at that level, and tell it."""
    if decision.status is None:
        wait = whole_seconds(decision.wait) if decision.next == "wait" else 0
        update = {"next": decision.next, "wait_seconds": wait, "level": level}
        return run.model_copy(update=update)

    decided = False

    def end(flag: StoredFlag) -> StoredFlag | None:
        nonlocal decided
        decided = False
        ramp, state = ramp_of(flag, run), flag.state(run.environment)
        # A ramp that has become held meanwhile was judged by another look at the same time.
        if ramp is None or level_of(state, ramp) != level:
            return None
        after, decided = ended(state, ramp, decision), True
        return flag.model_copy(update={"states": {**flag.states, run.environment: after}})

    why = f"ramp {run.ramp_id}: {decision.status}: {decision.reason}"
    after = move(runtime.flags, run.flag, end, why=why, at=runtime.clock.now())
    tell_owed(runtime, run.flag, after, run.environment, services, decided=decided)
    if decision.status != "held" and ramp_of(after, run) is not None:
        # Somebody raised it in between: what was judged was another level.
        return run.model_copy(update={"next": "wait", "wait_seconds": 1})
    return run.model_copy(update={"next": "over"})


def raise_ramp(run: RampRun, runtime: FlagRuntime) -> RampRun:
    """One step up from the level that was judged good, unless that was done before.

    Raises:
        FlagConflict: others change the flag without end.
        ClientError: the table did not answer.
    """
    now = runtime.clock.now()

    def up(flag: StoredFlag) -> StoredFlag | None:
        ramp, state = ramp_of(flag, run), flag.state(run.environment)
        if ramp is None or not flag.is_on(run.environment) or level_of(state, ramp) != run.level:
            return None
        if level_of(state, ramp) >= ramp.target or now < due_at(ramp):
            return None
        after = raised(state, ramp, now)
        return flag.model_copy(update={"states": {**flag.states, run.environment: after}})

    why = f"ramp {run.ramp_id}: one step up from {percent(run.level or Decimal(0))}"
    after = move(runtime.flags, run.flag, up, why=why, at=now)
    ramp = ramp_of(after, run)
    if ramp is None:
        return run.model_copy(update={"next": "over"})
    wait = whole_seconds(due_at(ramp) - runtime.clock.now())
    return run.model_copy(update={"next": "wait", "wait_seconds": wait})


def impact_of(
    runtime: FlagRuntime, run: RampRun, stored: StoredFlag, ramp: Ramp, services: Sequence[str]
) -> tuple[Impact, timedelta]:
    """What the present level does, and how long a ramp of this service may wait to know."""
    guard = guard_of(run.flag, stored, run.environment, services)
    if guard is None:
        return Impact(outcome="pass"), MAX_HOLD
    behind = service_behind(runtime, guard.service, services)
    if isinstance(behind, str):
        outcome = "hold" if ramp.raised_at is not None else "fail"
        return Impact(outcome=outcome, reason=behind), MAX_HOLD
    questions, max_hold = Questions(guard, behind), behind.config.deployment.max_hold
    if ramp.raised_at is None:
        return _before(runtime, questions), max_hold
    since = _since(stored, run.environment, ramp)
    level = level_of(stored.state(run.environment), ramp)
    impact = look(runtime, questions, Stretch(since, ramp.raised_at, level))
    served = served_level(stored, run.environment, runtime.clock.now().timestamp())
    if impact.outcome == "pass" and served < level:
        # A schedule below the cap: what is seen is of fewer people than the cap would let in.
        said = f"its schedule is at {percent(served)}, below the {percent(level)} that it may reach"
        impact = Impact(outcome="hold", reason=said)
    return impact, max_hold


def _since(stored: StoredFlag, environment: str, ramp: Ramp) -> datetime:
    return answers_since(stored, environment) or ramp.started_at


def _before(runtime: FlagRuntime, questions: Questions) -> Impact:
    """Whether anything is wrong before the first step: it would be blamed on the flag.

    That nothing was reported is no reason to wait: the first step is judged itself.
    """
    if questions.wrong:
        said = "; ".join(f"{text}: {why}" for text, why in questions.wrong.items())
        return Impact(outcome="fail", reason=said)
    for text in questions.trees:
        true = is_true(runtime, questions, text)
        if true is None:
            return Impact(outcome="hold", reason=f"{text}: not readable")
        if true:
            red = Impact(outcome="fail", reason=f"{text} is true already")
            return (
                red
                if text in questions.guard.rollback
                else Impact(outcome="hold", reason=f"{text} is true")
            )
    return Impact(outcome="pass")
