"""The judgement of scheduled rollouts, each minute.

A schedule is a pure function of the time, so nothing has to run for it to go on. What runs here can
only keep it lower: by a ceiling, which is the level last judged good, or the present one while
nobody knows. Where nothing runs, nothing is kept lower and nothing is kept waiting (ADR 0027).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import ceil
from typing import TYPE_CHECKING

from greenlane.flags.definitions.compiling import buckets
from greenlane.flags.evaluating.bucketing import BUCKETS
from greenlane.flags.evaluating.schedule import level_at, next_change, read_schedule
from greenlane.flags.ramps.behind import service_behind
from greenlane.flags.ramps.flag_news import tell_owed
from greenlane.flags.ramps.flag_writes import move
from greenlane.flags.ramps.guards import guard_of
from greenlane.flags.ramps.impact import Questions, Stretch, look
from greenlane.flags.ramps.ramp import Impact, percent
from greenlane.flags.ramps.runtime import FlagRuntime
from greenlane.flags.ramps.stopping import stop
from greenlane.flags.storing.state import FlagState, StoredFlag

if TYPE_CHECKING:
    from greenlane.flags.evaluating.schedule import Schedule

SOON = timedelta(minutes=2)
"""So long before a step it is decided whether the level may go on: two looks, for one may fail."""

EAGER = timedelta(minutes=30)
"""So long a new level is looked at each minute; then every ten, to read fewer metrics."""

SELDOM_MINUTES = 10


def worth_a_look(level_since: datetime, now: datetime, due: datetime | None) -> bool:
    """Whether a level is looked at in this minute; alarms watch all the time."""
    soon = due is not None and due - now <= SOON
    return soon or now - level_since <= EAGER or now.minute % SELDOM_MINUTES == 0


def schedule_of(stored: StoredFlag, environment: str) -> "Schedule | None":
    """The schedule of a flag in an environment, as its snapshot has it."""
    flag = stored.flag.within(environment)
    if flag.scheduled_rollout is None:
        return None
    written, since = flag.scheduled_rollout, stored.state(environment).enabled_since
    start = written.start_date.timestamp()
    return read_schedule(
        [
            start if since is None else max(start, since.timestamp()),
            None if written.end_date is None else written.end_date.timestamp(),
            written.interval.total_seconds(),
            buckets(written.increment),
            BUCKETS,
            buckets(flag.percentage or Decimal(0)),
        ]
    )


def reached_at(schedule: "Schedule", level: int) -> float:
    """When a schedule first reaches a level, in Unix seconds."""
    start, _, every, step, _, base = schedule
    return start + max(ceil((level - base) / step) - 1, 0) * every if step else start


def judged_schedule(
    state: FlagState, schedule: "Schedule", impact: Impact, now: datetime
) -> FlagState | None:
    """The state after a look at the present level; None where nothing changes. Pure.

    Args:
        state: of the flag, without a ramp, not retreated.
        schedule: of the flag.
        impact: of the level that is served; not `fired`.
        now: the present instant.
    """
    full = _percent(level_at(schedule, now.timestamp()))
    served = full if state.ceiling is None else min(full, state.ceiling)
    step = _percent(schedule[3])
    # Above the schedule, which began anew since, a cap holds nothing.
    capped = state.ceiling is not None and state.ceiling <= full
    if impact.outcome == "fail":
        good = state.judged if state.judged is not None and state.judged < served else None
        if good is None:
            below = served - step if state.judged is not None else Decimal(0)
            good = max(below, _percent(schedule[5]))
        changes = {"ceiling": good, "retreated": impact.reason, "owed": "retreated"}
        return state.model_copy(update=changes)
    if not capped:
        if not _soon(schedule, now):
            return None
        if impact.outcome == "hold":
            return state.model_copy(update={"ceiling": served, "owed": "held"})
        if state.judged == served and state.ceiling is None:
            return None
        return state.model_copy(update={"judged": served, "judged_at": now, "ceiling": None})
    waited = now >= level_since(state, schedule, now) + timedelta(seconds=schedule[2])
    if impact.outcome == "hold" or not waited:
        return None
    higher = served + step
    ceiling = None if higher >= full else higher
    return state.model_copy(update={"judged": served, "judged_at": now, "ceiling": ceiling})


def level_since(state: FlagState, schedule: "Schedule", now: datetime) -> datetime:
    """Since when the level that is served is served."""
    full = level_at(schedule, now.timestamp())
    served = full if state.ceiling is None else min(full, int(state.ceiling * BUCKETS / 100))
    since = datetime.fromtimestamp(reached_at(schedule, served), UTC)
    if state.judged_at is not None and state.judged is not None and state.judged < _percent(served):
        # It was let up later than it was due.
        since = max(since, state.judged_at)
    return since


def follow_schedule(
    runtime: FlagRuntime, key: str, stored: StoredFlag, environment: str, services: Sequence[str]
) -> None:
    """Judge a scheduled rollout, where it has conditions and nobody else has decided."""
    state, schedule = stored.state(environment), schedule_of(stored, environment)
    guard = guard_of(key, stored, environment, services)
    if guard is None or schedule is None or not stored.is_on(environment):
        return
    now = runtime.clock.now()
    gone_back = state.retreated is not None and state.ceiling is not None
    decided = state.ramp is not None or gone_back
    if decided or now.timestamp() < schedule[0] or _is_over(state, schedule, now):
        return
    since = level_since(state, schedule, now)
    if not worth_a_look(since, now, _due(schedule, now)):
        return
    level = _percent(level_at(schedule, now.timestamp()))
    if state.ceiling is not None:
        level = min(level, state.ceiling)
    behind = service_behind(runtime, guard.service, services)
    if isinstance(behind, str):
        impact = Impact(outcome="hold", reason=behind)
    else:
        begun = datetime.fromtimestamp(schedule[0], UTC)
        impact = look(runtime, Questions(guard, behind), Stretch(begun, since, level))
    if impact.outcome == "fired":
        stop(runtime, guard, impact.reason, now, services)
        return
    after = judged_schedule(state, schedule, impact, now)
    if after is None:
        return

    decided = False

    def write(flag: StoredFlag) -> StoredFlag | None:
        nonlocal decided
        decided = flag.flag == stored.flag and flag.state(environment) == state
        if not decided:
            return None
        return flag.model_copy(update={"states": {**flag.states, environment: after}})

    why = f"schedule at {percent(level)}: {impact.outcome}: {impact.reason}".rstrip(": ")
    written = move(runtime.flags, key, write, why=why, at=now)
    tell_owed(runtime, key, written, environment, services, decided=decided)


def _is_over(state: FlagState, schedule: "Schedule", now: datetime) -> bool:
    """Whether the last step has had its interval: from then on alarms watch alone."""
    if state.ceiling is not None or _due(schedule, now) is not None:
        return False
    return now > level_since(state, schedule, now) + timedelta(seconds=schedule[2])


def _due(schedule: "Schedule", now: datetime) -> datetime | None:
    due = next_change(schedule, now.timestamp())
    return None if due is None else datetime.fromtimestamp(due, UTC)


def _soon(schedule: "Schedule", now: datetime) -> bool:
    due = _due(schedule, now)
    return due is not None and due - now <= SOON


def _percent(level: int) -> Decimal:
    return Decimal(level) * 100 / BUCKETS
