"""What is done for flags each minute, whatever else was lost.

Ramps that were recorded get their execution, and one that died a new one. Waiting steps are looked
into, so that a bad one ends at once. Scheduled rollouts are judged. Alarms are kept as the flags
ask for them, and one that is red without its event having come is acted on.

Where there are more flags than a minute has time for, the next one goes on with those that have
waited longest (see `turns`).
"""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial

from greenlane.deployments.stepping.judging import Tick
from greenlane.errors import GreenlaneError, NotReconciled
from greenlane.flags.ramps.behind import service_behind
from greenlane.flags.ramps.executions import keep_going
from greenlane.flags.ramps.flag_alarms import FlagAlarms, Watched, alarms_of, keep_flag_alarms
from greenlane.flags.ramps.flag_news import tell_owed
from greenlane.flags.ramps.guards import answers_since, exposed
from greenlane.flags.ramps.guards import guards as all_guards
from greenlane.flags.ramps.impact import Behind, Questions, is_true
from greenlane.flags.ramps.ramp import RampRun, decide, due_at, level_of
from greenlane.flags.ramps.ramping import SWITCHED_OFF, carry_out, impact_of, raise_ramp
from greenlane.flags.ramps.runtime import FlagRuntime
from greenlane.flags.ramps.schedule_guard import follow_schedule, worth_a_look
from greenlane.flags.ramps.stopping import RedFlagAlarm, stop, stop_watched
from greenlane.flags.ramps.turns import Look, Ring, take_turns
from greenlane.flags.storing.state import ANYWHERE, Ramp, StoredFlag, StoredFlags
from greenlane.health.alarms import read_alarms
from greenlane.logs import logger

LOOKS_WITHIN = timedelta(seconds=20)
"""Later in a run no flag is begun to look at; the next run goes on there."""

CONDITIONS_WITHIN = timedelta(seconds=45)
"""The same of the conditions that no alarm watches. The function has sixty seconds."""

EVENT_OVERDUE = timedelta(seconds=60)
"""An alarm that is red for longer should have stopped its flags by its event."""

WRITES_WITHIN = timedelta(seconds=35)
"""Later in a run no alarm is written; the next run goes on."""

wait = time.sleep
"""How to wait some seconds between two writes of alarms."""


class _OutOfTime(GreenlaneError):
    """There is no time left in this run."""


def tick_flags(tick: Tick, runtime: FlagRuntime) -> None:
    """Look at each flag.

    Raises:
        NotReconciled: one of them could not be looked at. All have had their turn; an alarm on
            the function's errors tells people when that lasts.
    """
    del tick
    began = runtime.clock.now()
    flags = runtime.flags.read()
    if not flags.version:
        return  # nobody has ever had a flag, so nothing of one can be left
    services = runtime.store.services()
    looks = Ring("flags", _looks(runtime, flags, services), runtime.flags)
    problems = looks.take(runtime.clock, began + LOOKS_WITHIN)
    behind: dict[str, Behind] = {}
    guards: dict[str, FlagAlarms] = {}

    def look_up(name: str) -> None:
        found = service_behind(runtime, name, services)
        if isinstance(found, Behind):
            behind[name], guards[name] = found, alarms_of(flags, name, found, services)

    lookups = [(f"service {name}", partial(look_up, name)) for name in services]
    problems += take_turns(lookups, runtime.clock).problems
    keep = partial(_keep_alarms, runtime, flags, behind, services, began + WRITES_WITHIN)
    red: list[Look] = [("alarms", keep)]
    unwatched: list[Look] = []
    for name, alarms in guards.items():
        missed = partial(_missed, runtime, flags, alarms, behind[name], services)
        red.append((f"alarms of {name}", missed))
        unwatched += _unwatched(runtime, flags, alarms, behind[name], services)
    conditions = Ring("conditions", unwatched, runtime.flags)
    problems += conditions.take(runtime.clock, began + CONDITIONS_WITHIN, first=red)
    problems += list(_unguarded(flags, behind, services, runtime.clock.now()))
    if problems:
        raise NotReconciled("; ".join(problems))


def _looks(runtime: FlagRuntime, flags: StoredFlags, services: Sequence[str]) -> list[Look]:
    return [
        (f"{key} in {environment}", partial(_look, runtime, key, one, environment, services))
        for key, one in sorted(flags.flags.items())
        for environment in _to_look_at(one, flags.environments)
    ]


def _to_look_at(stored: StoredFlag, environments: Sequence[str]) -> Iterator[str]:
    for environment in environments:
        state = stored.state(environment)
        going = state.going is not None
        scheduled = stored.flag.within(environment).scheduled_rollout is not None
        if environment not in stored.states and ANYWHERE in stored.states:
            # It has the state of all that nobody names, which is looked at once; its schedule and
            # its service may be its own.
            if scheduled and not going and not state.owed:
                yield environment
        elif going or state.owed or scheduled:
            yield environment


def _look(
    runtime: FlagRuntime, key: str, stored: StoredFlag, environment: str, services: Sequence[str]
) -> None:
    state = stored.state(environment)
    try:
        if state.going is not None:
            _look_at_ramp(runtime, key, stored, environment, state.going, services)
        else:
            follow_schedule(runtime, key, stored, environment, services)
    finally:
        tell_owed(runtime, key, stored, environment, services)


def _look_at_ramp(
    runtime: FlagRuntime,
    key: str,
    stored: StoredFlag,
    environment: str,
    ramp: Ramp,
    services: Sequence[str],
) -> None:
    """See to its execution, and look into its wait."""
    run = RampRun(flag=key, environment=environment, ramp_id=ramp.id)
    try:
        if ramp.status == "running":
            keep_going(runtime, run, ramp)
    finally:
        # Where Step Functions does not answer, nobody else looks at what the level does.
        _look_into(runtime, run, stored, ramp, services)


def _look_into(
    runtime: FlagRuntime, run: RampRun, stored: StoredFlag, ramp: Ramp, services: Sequence[str]
) -> None:
    environment = run.environment
    now = runtime.clock.now()
    held = ramp.status == "held"
    if not held and (ramp.raised_at is None or not stored.is_on(environment)):
        return  # its next step sees to it
    if not held and not worth_a_look(ramp.raised_at or now, now, due_at(ramp)):
        return
    level = level_of(stored.state(environment), ramp)
    if not stored.is_on(environment):
        carry_out(runtime, run, level, SWITCHED_OFF, services)
        return
    impact, max_hold = impact_of(runtime, run, stored, ramp, services)
    decision = decide(ramp, level, impact, now, max_hold)
    if decision.next == "raise":
        if held:
            raise_ramp(run.model_copy(update={"level": level}), runtime)
        return
    if decision.status in ("retreated", "stopped") or held:
        carry_out(runtime, run, level, decision, services)


def _missed(
    runtime: FlagRuntime,
    flags: StoredFlags,
    alarms: FlagAlarms,
    behind: Behind,
    services: Sequence[str],
) -> None:
    """Act on what no event told: alarms that are red for a while."""
    now = runtime.clock.now()
    asked = {
        name: [one for one in whose if _may_have_it(flags, one, now)]
        for name, whose in alarms.whose.items()
    }
    names = [name for name, whose in asked.items() if whose]
    for alarm in read_alarms(runtime.cloudwatch_quick, names):
        since = alarm.since
        if alarm.red and since is not None and now >= since + EVENT_OVERDUE:
            event = RedFlagAlarm(
                service=behind.config.name, name=alarm.name, reason=alarm.reason, at=since
            )
            stop_watched(runtime, flags, asked[alarm.name], behind, event, services)


def _unwatched(
    runtime: FlagRuntime,
    flags: StoredFlags,
    alarms: FlagAlarms,
    behind: Behind,
    services: Sequence[str],
) -> Iterator[Look]:
    """Looks at the conditions that no alarm watches, beside each other: each reads metrics."""
    now = runtime.clock.now()

    def act(watched: Watched, questions: Questions) -> None:
        guard, began = watched.guard, runtime.clock.now()
        since = answers_since(flags.flags[guard.flag], guard.environment)
        if is_true(runtime, questions, watched.condition, since):
            stop(runtime, guard, f"{watched.condition} is true", began, services)

    for watched in alarms.unwatched:
        questions = Questions(watched.guard, behind)
        if watched.condition in questions.trees and _may_have_it(flags, watched, now):
            whose = f"{watched.guard.flag} in {watched.guard.environment}"
            name = f"{watched.condition} of {whose}"
            yield name, partial(act, watched, questions)


def _unguarded(
    flags: StoredFlags, behind: dict[str, Behind], services: Sequence[str], now: datetime
) -> Iterator[str]:
    """Flags that people have, and whose conditions nobody can watch: somebody has to hear of it.

    A second service is enough for that, where a flag names none; or a metric that is gone.
    """
    for guard in all_guards(flags, services):
        if guard.service in services and guard.service not in behind:
            continue  # it could not be read just now, and was told
        if guard.service in behind:
            why = "; ".join(
                f"{text}: {wrong}"
                for text, wrong in Questions(guard, behind[guard.service]).wrong.items()
            )
        else:
            why = f"no such service, {guard.service}" if guard.service else "it names no service"
        if why and exposed(flags.flags[guard.flag], guard.environment, now):
            logger.error("nobody watches a flag", flag=guard.flag, why=why)
            yield f"nobody watches {guard.flag} in {guard.environment}: {why}"


def _may_have_it(flags: StoredFlags, watched: Watched, now: datetime) -> bool:
    return exposed(flags.flags[watched.guard.flag], watched.guard.environment, now)


def _keep_alarms(
    runtime: FlagRuntime,
    flags: StoredFlags,
    behind: dict[str, Behind],
    services: Sequence[str],
    until: datetime,
) -> None:
    def pause(seconds: float) -> None:
        if runtime.clock.now() >= until:
            raise _OutOfTime
        wait(seconds)

    try:
        kept = keep_flag_alarms(runtime.cloudwatch_quick, flags, behind, services, pause=pause)
    except _OutOfTime:
        logger.info("alarms are left for the next minute")
        return
    for service, done in kept.items():
        if done.written or done.deleted:
            logger.info("alarms kept", service=service, written=done.written, deleted=done.deleted)
        for said in done.warnings:
            logger.warning("alarms of flags", service=service, said=said)
    failed = [service for service, done in kept.items() if done.failed]
    if failed:
        raise NotReconciled(f"the alarms of flags on {', '.join(failed)} are not all written")
