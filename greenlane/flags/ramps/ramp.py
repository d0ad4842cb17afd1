"""How a ramp goes on, from what is stored of it and what was judged. Pure; no I/O.

A ramp raises the level by its increment, waits its interval, and goes on once the step was judged
good. Everything that decides is stored: when the level was raised last, and the level last judged
good. So whoever looks, and however often, comes to the same next step, and no step is taken twice
or before its time.
"""

import math
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, NamedTuple

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.flags.storing.state import GOING as GOING
from greenlane.flags.storing.state import FlagState, Owed, Ramp, StoredFlag

LOOK_AGAIN = timedelta(seconds=60)
"""How long a step waits for evidence before it is looked at again."""

LONGEST_WAIT = timedelta(days=7)
"""The workflow looks at the table at least so often: Step Functions waits some three years at most,
and ends an execution after one."""

MAX_HOLD = timedelta(minutes=30)
"""How long it waits in all before people are told, where no service's configuration says so."""

Outcome = Literal["pass", "hold", "fail", "fired"]
Next = Literal["raise", "wait", "over"]


class Impact(StoredModel):
    """What the numbers say of a flag's level.

    `fired` is a rollback condition that is true; `fail` a level shown to do harm; `hold` says that
    neither is known, or that a signal condition is true.
    """

    outcome: Outcome
    reason: str = ""


class RampRun(StoredModel):
    """What goes from state to state of the workflow.

    `level` is the level in percent that was judged good and from which the next step goes up;
    `next` what comes next, and `wait_seconds` after how long.
    """

    schema_version: int = 1
    flag: str
    environment: str
    ramp_id: str
    level: Decimal | None = None
    next: Next = "wait"
    wait_seconds: int = 0


class Decision(NamedTuple):
    """What to do with a ramp.

    With a `status` the ramp is written with it; `back_to` is then the level that it goes back to,
    where it goes back. `stops` takes the flag from everybody.
    """

    next: Next
    wait: timedelta = timedelta(0)
    status: Literal["held", "done", "retreated", "stopped"] | None = None
    back_to: Decimal | None = None
    stops: bool = False
    owed: Owed = ""
    reason: str = ""


def next_level(level: Decimal, target: Decimal, increment: Decimal) -> Decimal:
    """One step up, never above the target."""
    return min(level + increment, target)


def steps(level: Decimal, target: Decimal, increment: Decimal) -> int:
    """How many steps it takes from a level to the target."""
    return max(math.ceil((target - level) / increment), 0)


def level_of(state: FlagState, ramp: Ramp) -> Decimal:
    """The level that a ramp is at, in percent."""
    return ramp.last_good if state.ceiling is None else state.ceiling


def due_at(ramp: Ramp) -> datetime:
    """When the present step may end, if it is judged good."""
    return ramp.started_at if ramp.raised_at is None else ramp.raised_at + ramp.interval


def ramp_of(stored: StoredFlag | None, run: RampRun) -> Ramp | None:
    """The ramp that a run is about, as long as it may still be raised."""
    ramp = stored.state(run.environment).going if stored is not None else None
    return ramp if ramp is not None and ramp.id == run.ramp_id else None


def decide(
    ramp: Ramp, level: Decimal, impact: Impact, now: datetime, max_hold: timedelta = MAX_HOLD
) -> Decision:
    """What to do with a ramp that may still be raised.

    Args:
        ramp: as it is stored.
        level: where it is, in percent.
        impact: of this level, or of the time before when nothing was raised yet.
        now: the present instant.
        max_hold: how long a step may wait for evidence.
    """
    if impact.outcome in ("fail", "fired") and ramp.raised_at is None:
        reason = f"not started: {impact.reason}"
        return Decision("over", status="stopped", owed="refused", reason=reason)
    if impact.outcome == "fired":
        return Decision(
            "over", status="retreated", stops=True, owed="stopped", reason=impact.reason
        )
    if impact.outcome == "fail":
        return Decision(
            "over",
            status="retreated",
            back_to=min(ramp.last_good, level),
            owed="retreated",
            reason=impact.reason,
        )
    due = due_at(ramp)
    if now < due:
        return Decision("wait", wait=due - now)
    if impact.outcome == "hold":
        return _held(ramp, impact, now, due + max_hold)
    if level >= ramp.target:
        return Decision("over", status="done", reason=f"reached {percent(ramp.target)}")
    return Decision("raise")


def _held(ramp: Ramp, impact: Impact, now: datetime, until: datetime) -> Decision:
    if ramp.status == "held":
        # People were told; the minute tick looks again.
        return Decision("over")
    if now >= until:
        return Decision("over", status="held", owed="held", reason=impact.reason)
    return Decision("wait", wait=min(LOOK_AGAIN, until - now))


def raised(state: FlagState, ramp: Ramp, now: datetime) -> FlagState:
    """One step up: the present level was judged good."""
    level = level_of(state, ramp)
    higher = ramp.model_copy(
        update={"status": "running", "last_good": level, "raised_at": now, "reason": ""}
    )
    ceiling = next_level(level, ramp.target, ramp.increment)
    return state.model_copy(update={"ceiling": ceiling, "ramp": higher})


def ended(state: FlagState, ramp: Ramp, decision: Decision) -> FlagState:
    """The state with what was decided about its ramp, other than a step up."""
    after: dict[str, object] = {"status": decision.status, "reason": decision.reason}
    changes: dict[str, object] = {"owed": decision.owed or state.owed}
    if decision.status == "done":
        after["last_good"] = level_of(state, ramp)
    if decision.back_to is not None:
        changes |= {"ceiling": decision.back_to, "retreated": decision.reason}
    if decision.stops:
        changes |= {"ceiling": Decimal(0), "stopped": True, "retreated": decision.reason}
    return state.model_copy(update={"ramp": ramp.model_copy(update=after), **changes})


def whole_seconds(wait: timedelta) -> int:
    """A wait in whole seconds, rounded up: nothing is early, and nothing turns without a pause.

    A longer one than `LONGEST_WAIT` is made of several.
    """
    return max(math.ceil(min(wait, LONGEST_WAIT).total_seconds()), 1)


def percent(level: Decimal) -> str:
    """A level as people read it."""
    return f"{level.normalize():f} percent"
