"""A rollback condition's alarm turned red: the flags that it is about go off for everybody.

An alarm is of one slot, and the users of a flag are in both. So it is asked once more whether the
condition is true of the whole service; a new version that fails alone is the deployment's business.
Where that cannot be read, the alarm counts as it is.

Nothing happens for an alarm that no flag has, for a flag that nobody may have, and for an alarm
that turned red before the flag was switched on (or its ramp began): it has another cause.
"""

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from greenlane.flags.ramps.behind import service_behind
from greenlane.flags.ramps.flag_alarms import Watched, alarms_of
from greenlane.flags.ramps.flag_news import tell_owed
from greenlane.flags.ramps.flag_writes import move_all
from greenlane.flags.ramps.guards import Guard, answers_since, exposed, without_anybody
from greenlane.flags.ramps.impact import MOST_MINUTES, Behind, Questions, is_true
from greenlane.flags.ramps.runtime import FlagRuntime
from greenlane.flags.storing.state import StoredFlag, StoredFlags
from greenlane.health.metrics import MINUTE
from greenlane.logs import logger


class RedFlagAlarm(BaseModel):
    """An alarm of flags' conditions that turned red."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    service: str
    name: str
    reason: str = ""
    at: datetime


def stop_flags(event: RedFlagAlarm, runtime: FlagRuntime) -> None:
    """Switch off the flags that an alarm is about. Repeating it changes nothing.

    Raises:
        FlagConflict: others change a flag without end; EventBridge's call is repeated.
        ClientError: the table did not answer.
    """
    services = runtime.store.services()
    flags = runtime.flags.read()
    whose: list[Watched] = []
    if event.service in services:
        behind = service_behind(runtime, event.service, services)
        if isinstance(behind, Behind):
            alarms = alarms_of(flags, event.service, behind, services)
            whose = alarms.whose.get(event.name, [])
            stop_watched(runtime, flags, whose, behind, event, services)
    if not whose:
        logger.info("an alarm that no flag has", alarm=event.name)


def stop_watched(
    runtime: FlagRuntime,
    flags: StoredFlags,
    whose: Sequence[Watched],
    behind: Behind,
    event: RedFlagAlarm,
    services: Sequence[str],
) -> None:
    """Switch off each flag that has one of the conditions, if it may be to blame."""
    true: dict[tuple[object, ...], bool | None] = {}
    red: list[tuple[Guard, str]] = []
    for watched in whose:
        guard = watched.guard
        stored = flags.flags[guard.flag]
        if not to_blame(stored, guard.environment, event.at, runtime.clock.now()):
            logger.info("not this flag's", flag=guard.flag, alarm=event.name)
            tell_owed(runtime, guard.flag, stored, guard.environment, services)
            continue
        questions = Questions(guard, behind)
        since = since_within_reach(stored, guard.environment, runtime.clock.now())
        asked = (watched.condition, since, guard if questions.variants else None)
        if asked not in true:
            true[asked] = is_true(runtime, questions, watched.condition, since)
        if true[asked] is False:
            logger.info("true of one slot only", flag=guard.flag, alarm=event.name)
            continue
        reason = f"{watched.condition} is true"
        if true[asked] is None:
            reason = f"{watched.condition}: its alarm is red: {event.reason}"
        red.append((guard, reason))
    stop_all(runtime, red, event.at, services)


def since_within_reach(stored: StoredFlag, environment: str, now: datetime) -> datetime | None:
    """Since when a flag answers, if a condition reaches back so far; otherwise all ask the same."""
    since = answers_since(stored, environment)
    return None if since is None or since <= now - (MOST_MINUTES + 1) * MINUTE else since


def to_blame(stored: StoredFlag, environment: str, red_at: datetime, now: datetime) -> bool:
    """Whether a flag may be the cause of what is wrong since some time."""
    since = answers_since(stored, environment)
    return exposed(stored, environment, now) and (since is None or red_at >= since)


def stop(
    runtime: FlagRuntime, guard: Guard, reason: str, red_at: datetime, services: Sequence[str]
) -> None:
    """Take a flag from everybody in an environment, unless somebody enabled it since."""
    stop_all(runtime, [(guard, reason)], red_at, services)


def stop_all(
    runtime: FlagRuntime,
    red: Sequence[tuple[Guard, str]],
    red_at: datetime,
    services: Sequence[str],
) -> None:
    """The same of several, for a reason each: in one write, so that the last waits for no other."""
    if not red:
        return
    now = runtime.clock.now()
    decided: set[Guard] = set()

    def off(flags: StoredFlags) -> StoredFlags:
        decided.clear()
        for guard, reason in red:
            stored = flags.flags.get(guard.flag)
            if stored is not None and to_blame(stored, guard.environment, red_at, now):
                decided.add(guard)
                stored = without_anybody(stored, guard.environment, reason)
                flags = flags.with_flag(guard.flag, stored)
        return flags

    reasons = "; ".join(dict.fromkeys(reason for _, reason in red))
    after = move_all(runtime.flags, off, why=f"a rollback condition fired: {reasons}", at=now)
    for guard in dict.fromkeys(guard for guard, _ in red):
        stored = after.flags.get(guard.flag)
        tell_owed(
            runtime, guard.flag, stored, guard.environment, services, decided=guard in decided
        )
