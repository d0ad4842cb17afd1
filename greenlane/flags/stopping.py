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

from greenlane.flags.behind import service_behind
from greenlane.flags.flag_alarms import Watched, alarms_of
from greenlane.flags.flag_news import tell_owed
from greenlane.flags.flag_writes import move
from greenlane.flags.guards import Guard, answers_since, exposed, without_anybody
from greenlane.flags.impact import Behind, Questions, is_true
from greenlane.flags.runtime import FlagRuntime
from greenlane.flags.state import StoredFlag, StoredFlags
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
    for watched in whose:
        guard = watched.guard
        stored = flags.flags[guard.flag]
        if not to_blame(stored, guard.environment, event.at, runtime.clock.now()):
            logger.info("not this flag's", flag=guard.flag, alarm=event.name)
            tell_owed(runtime, guard.flag, stored, guard.environment, services)
            continue
        questions = Questions(guard, behind)
        since = answers_since(stored, guard.environment)
        asked = (watched.condition, since, guard if questions.variants else None)
        if asked not in true:
            true[asked] = is_true(runtime, questions, watched.condition, since)
        if true[asked] is False:
            logger.info("true of one slot only", flag=guard.flag, alarm=event.name)
            continue
        reason = f"{watched.condition} is true"
        if true[asked] is None:
            reason = f"{watched.condition}: its alarm is red: {event.reason}"
        stop(runtime, guard, reason, event.at, services)


def to_blame(stored: StoredFlag, environment: str, red_at: datetime, now: datetime) -> bool:
    """Whether a flag may be the cause of what is wrong since some time."""
    since = answers_since(stored, environment)
    return exposed(stored, environment, now) and (since is None or red_at >= since)


def stop(
    runtime: FlagRuntime, guard: Guard, reason: str, red_at: datetime, services: Sequence[str]
) -> None:
    """Take a flag from everybody in an environment, unless somebody enabled it since."""
    now = runtime.clock.now()

    decided = False

    def off(stored: StoredFlag) -> StoredFlag | None:
        nonlocal decided
        decided = to_blame(stored, guard.environment, red_at, now)
        if not decided:
            return None
        return without_anybody(stored, guard.environment, reason)

    why = f"a rollback condition fired: {reason}"
    after = move(runtime.flags, guard.flag, off, why=why, at=now)
    tell_owed(runtime, guard.flag, after, guard.environment, services, decided=decided)
