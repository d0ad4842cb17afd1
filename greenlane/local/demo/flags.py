"""The scene of feature flags: three ramps under load, two of them with a bad code path behind.

One reaches everybody. One does little harm, which shows only beside those who do not have it, and
goes back a step. One fails so often that everybody loses it. Nobody has a hand in it.
"""

import time
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console

from greenlane.apply import apply
from greenlane.flags.ramps.ramp import GOING, percent
from greenlane.flags.storing import keeping
from greenlane.flags.storing.ramp_records import level
from greenlane.flags.storing.state import FlagState, Ramp, StoredFlags
from greenlane.local.loadgen import LoadGenerator
from greenlane.local.stage import Stage

NAME = "flags"
TITLE = "three feature flags ramp under load; two have a bad code path behind them"
BEHAVIOUR = "new_search:0,new_checkout:0.25,new_summary:0.1"
"""How the version behaves that has all of it behind flags."""

FILE = Path("examples/claude_manager/feature-flags.yaml")
ENVIRONMENT = "production"
VISITORS = 5000
STEP, INTERVAL = Decimal(25), timedelta(minutes=3)
ENDINGS = {"new_search": "done", "new_summary": "retreated", "new_checkout": "retreated"}
STOPPED = "new_checkout"
"""The one whose alarm fires."""

TIMEOUT_SECONDS = 120.0
LOOK_SECONDS = 0.1
AFTER_SECONDS = 3.0
"""Real seconds that are watched after the last ramp has ended."""


@dataclass
class FlagResult:
    """What became of the flags. Seconds are real."""

    seconds: float
    endings: dict[str, str] = field(default_factory=dict)
    levels: dict[str, list[Decimal]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    requests: int = 0
    failed: int = 0
    failed_after: int = 0
    broken: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For `summary.json`."""
        return {
            "scene": NAME,
            "title": TITLE,
            "seconds": round(self.seconds, 2),
            "flags": {
                flag: {
                    "ending": self.endings.get(flag, ""),
                    "levels_percent": [float(one) for one in self.levels.get(flag, [])],
                    "reason": self.reasons.get(flag, ""),
                }
                for flag in ENDINGS
            },
            "client_requests": self.requests,
            "client_failures": self.failed,
            "client_failures_after": self.failed_after,
            "promises_broken": self.broken,
        }

    def lines(self) -> list[str]:
        """What there is to read at the end."""
        return lines(self)


def play(console: Console, stage: Stage, load: LoadGenerator) -> FlagResult:
    """Apply the flags, record three ramps and watch."""
    console.print(f"\n[bold]{TITLE}[/bold]")
    began, now = time.monotonic(), stage.cloud.clock.now
    apply(stage.greenlane, FILE, by="the demo")
    load.phase(NAME)
    for flag in ENDINGS:
        keeping.start_ramp(
            stage.greenlane.flags,
            flag,
            ENVIRONMENT,
            Decimal(100),
            STEP,
            INTERVAL,
            "the demo",
            at=now(),
        )
    console.print(
        f"  recorded: {', '.join(ENDINGS)} to 100 percent, {percent(STEP)} each "
        f"{INTERVAL.seconds // 60} minutes",
        highlight=False,
    )
    _watch(console, stage)
    # What is behind a flag that went off is seen for as long as readers keep the flags.
    time.sleep(1.0)
    load.phase(f"{NAME}-after")
    time.sleep(AFTER_SECONDS)
    load.phase("between")
    time.sleep(0.5)
    result = _measure(stage, load, time.monotonic() - began)
    result.broken = broken_promises(stage.greenlane.flags.read(), result)
    _put_away(stage)
    return result


def _put_away(stage: Stage) -> None:
    """Switch the flags off: one that went back a step still has its bad path, and people on it."""
    for flag in ENDINGS:
        now = stage.cloud.clock.now()
        keeping.disable(
            stage.greenlane.flags, flag, by="the demo", reason="the scene is over", at=now
        )
    time.sleep(1.0)  # as long as readers keep the flags, and more


def _watch(console: Console, stage: Stage) -> None:
    """Say each change of a level or a status until all ramps have ended."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    seen: dict[str, tuple[str, Decimal]] = {}
    while time.monotonic() < deadline:
        flags, now = stage.greenlane.flags.read(), stage.cloud.clock.now()
        for flag in ENDINGS:
            stored = flags.flags[flag]
            ramp = _ramp(flags, flag)
            is_now = level(stored, ENVIRONMENT, now.timestamp())
            if seen.get(flag) != (ramp.status, is_now):
                seen[flag] = (ramp.status, is_now)
                console.print(f"  {now:%H:%M:%S} {_line(flag, flags, is_now)}", highlight=False)
        if all(_ramp(flags, flag).status not in GOING for flag in ENDINGS):
            return
        time.sleep(LOOK_SECONDS)


def _line(flag: str, flags: StoredFlags, is_now: Decimal) -> str:
    ramp, state = _ramp(flags, flag), _state(flags, flag)
    said = f": {state.retreated or ramp.reason}" if ramp.status not in GOING else ""
    what = "off for everybody" if state.stopped else percent(is_now)
    return f"{flag:13} {ramp.status:10} {what}{said}"


def _measure(stage: Stage, load: LoadGenerator, seconds: float) -> FlagResult:
    flags = stage.greenlane.flags.read()
    result = FlagResult(seconds=seconds)
    for flag in ENDINGS:
        ramp, state = _ramp(flags, flag), _state(flags, flag)
        result.endings[flag] = ramp.status
        result.reasons[flag] = state.retreated or ramp.reason
        result.levels[flag] = _levels(stage, flag)
    for count in load.snapshot().counts:
        if count.phase.startswith(NAME):
            result.requests += count.count
            result.failed += 0 if count.ok else count.count
        if count.phase == f"{NAME}-after" and not count.ok:
            result.failed_after += count.count
    return result


def _levels(stage: Stage, flag: str) -> list[Decimal]:
    """The ceilings that a flag has had, oldest first, by the audit."""
    found: list[Decimal] = []
    for entry in reversed(stage.greenlane.flags.audit(flag, limit=200)):
        for change in entry.changes:
            raw = (change.after or {}).get("states", {}).get(ENVIRONMENT)
            ceiling = FlagState.model_validate(raw).ceiling if raw else None
            if change.key == flag and ceiling is not None and found[-1:] != [ceiling]:
                found.append(ceiling)
    return found


def broken_promises(flags: StoredFlags, result: FlagResult) -> list[str]:
    """What the scene promised and did not keep, in words."""
    broken = [
        f"{flag} ended {result.endings[flag]} instead of {ending}: {result.reasons[flag]}"
        for flag, ending in ENDINGS.items()
        if result.endings[flag] != ending
    ]
    for flag, levels in result.levels.items():
        higher = [later - one for one, later in zip(levels, levels[1:], strict=False)]
        if any(step > STEP for step in higher):
            broken.append(f"{flag} went up more than one step at once: {levels}")
    for flag in ENDINGS:
        state = _state(flags, flag)
        if state.stopped != (flag == STOPPED):
            broken.append(f"{flag} is {'off' if state.stopped else 'not off'} for everybody")
        if state.owed:
            broken.append(f"nobody was told that {flag} was {state.owed}")
    for flag, wanted in (("new_search", Decimal(100)), (STOPPED, Decimal(0))):
        if result.levels[flag][-1:] != [wanted]:
            broken.append(f"{flag} ended at {result.levels[flag][-1:]} instead of {wanted}")
    if max(result.levels["new_summary"], default=Decimal(0)) <= result.levels["new_summary"][-1]:
        broken.append("new_summary did not go back")
    if max(result.levels[STOPPED], default=Decimal(0)) > 2 * STEP:
        broken.append(f"{STOPPED} reached {max(result.levels[STOPPED])} percent before it was off")
    return broken


def lines(result: FlagResult) -> list[str]:
    """What there is to read at the end."""
    said = [f"{NAME}: {TITLE}"]
    for flag in ENDINGS:
        path = " -> ".join(f"{one.normalize():f}" for one in result.levels[flag])
        said.append(f"  {flag}: {path} percent, {result.endings[flag]}")
        if result.reasons[flag]:
            said.append(f"    {result.reasons[flag]}")
    said.append(
        f"  {result.failed} of {result.requests} requests failed, {result.failed_after} of them "
        "after the last ramp had ended"
    )
    said += [f"  PROMISE BROKEN: {words}" for words in result.broken]
    return said


def _state(flags: StoredFlags, flag: str) -> FlagState:
    return flags.flags[flag].state(ENVIRONMENT)


def _ramp(flags: StoredFlags, flag: str) -> Ramp:
    ramp = _state(flags, flag).ramp
    if ramp is None:
        raise LookupError(f"{flag} has no ramp")
    return ramp
