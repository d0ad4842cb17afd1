"""That a flag is to be ramped: the record, and from which level on. The workflow reads it."""

import secrets
from datetime import datetime, timedelta
from decimal import Decimal

from greenlane.errors import InvalidInput, Refused
from greenlane.flags.definitions.compiling import buckets
from greenlane.flags.evaluating.bucketing import BUCKETS
from greenlane.flags.evaluating.schedule import level_at, read_schedule
from greenlane.flags.storing.state import Ramp, StoredFlag, StoredFlags
from greenlane.flags.storing.store import FlagStore
from greenlane.flags.storing.submitting import LONGEST_WHY, Kept, flag_in, known, submit, surely

INCREMENT = Decimal(5)
INTERVAL = timedelta(seconds=300)


def level(stored: StoredFlag, environment: str, now: float) -> Decimal:
    """How many percent of the eligible have a flag in an environment, by its short keys.

    Args:
        stored: the flag.
        environment: where.
        now: Unix seconds, for a schedule.
    """
    flag, state = stored.effective(environment).within(environment), stored.state(environment)
    most = Decimal(100) if state.ceiling is None else state.ceiling
    if not stored.is_on(environment) or not flag.shares:
        return Decimal(0)
    if flag.scheduled_rollout is not None:
        schedule = flag.scheduled_rollout
        start = schedule.start_date.timestamp()
        since = state.enabled_since.timestamp() if state.enabled_since else start
        end = schedule.end_date.timestamp() if schedule.end_date else None
        every, base = schedule.interval.total_seconds(), buckets(flag.percentage or Decimal(0))
        step = buckets(schedule.increment)
        read = read_schedule([max(start, since), end, every, step, BUCKETS, base])
        return min(Decimal(level_at(read, now)) * 100 / BUCKETS, most)
    if flag.percentage is not None:
        return min(flag.percentage, most)
    targets = flag.targeting is not None and flag.targeting.user_attributes
    return Decimal(0) if flag.user_groups and not targets else most


def start_ramp(
    store: FlagStore,
    flag: str,
    environment: str,
    target: Decimal,
    increment: Decimal = INCREMENT,
    interval: timedelta = INTERVAL,
    by: str = "",
    *,
    at: datetime,
    reason: str = "",
) -> Kept:
    """Record that a flag is to be ramped, from the level that it has.

    Nobody has the flag by this alone: the target becomes its percentage in that environment, and
    the present level its ceiling, which the workflow raises. `Kept.flags` has the `Ramp`.

    Args:
        store: where flags are kept.
        flag: its key.
        environment: where; a flag names it.
        target: percent, more than the present level; with a schedule it is what that may reach.
        increment: percent for each step.
        interval: between two steps.
        by: who.
        at: when.
        reason: for the audit.

    Raises:
        InvalidInput: a number is out of range, or the target is reached already.
        Refused: the flag is off there, or another ramp of it runs there.
    """
    for name, value in (("target", target), ("increment", increment)):
        if not 0 < value <= 100 or value * 1000 != int(value * 1000):
            said = "write percent, more than 0 and at most 100, with at most three decimals"
            raise InvalidInput(name, str(value), said)
    if interval < timedelta(seconds=1):
        raise InvalidInput("interval", str(interval), "write at least 1s, such as 5m")
    ramp = Ramp(
        id=f"{flag[:60]}-{at:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
        started_at=at,
        by=by,
        target=target,
        increment=increment,
        interval=interval,
    )

    def edit(flags: StoredFlags) -> StoredFlags:
        stored = flag_in(flags, flag)
        state = stored.state(known(flags, environment))
        if state.going is not None:
            raise Refused(
                f"{flag}: the ramp {state.going.id} is {state.going.status} in {environment}; stop "
                f"it first: `greenlane flags ramp {flag} --environment {environment} --stop`"
            )
        if not stored.is_on(environment):
            raise Refused(
                f"{flag}: it is off in {environment}; with a percentage of 0, enable it first: "
                f"`greenlane flags enable {flag} --environment {environment}`"
            )
        now = level(stored, environment, at.timestamp())
        if target <= now:
            raise InvalidInput(
                "target",
                str(target),
                f"{now.normalize():f} percent have it in {environment}; "
                "name more, or set a lower percentage first",
            )
        started = ramp.model_copy(update={"last_good": now})
        return flags.with_flag(
            flag, stored.with_state(environment, ramp=started, ceiling=now, retreated=None)
        )

    return submit(store, edit, by=by, reason=reason, at=at)


def stop_ramp(
    store: FlagStore,
    flag: str,
    environment: str,
    by: str,
    *,
    at: datetime,
    reason: str = "",
    back: bool = False,
) -> Kept:
    """Stop a ramp where it is; with `back`, at 0 percent. Stopping again changes nothing.

    Groups keep the flag; `disable` takes it from everybody.

    Raises:
        Refused: no ramp of the flag was started there.
    """

    def edit(flags: StoredFlags) -> StoredFlags:
        stored = flag_in(flags, flag)
        state = stored.state(known(flags, environment))
        if state.ramp is None:
            raise Refused(f"{flag}: it has no ramp in {environment}; nothing was changed")
        ramp, ceiling = state.ramp, Decimal(0) if back else state.ceiling
        if ramp.goes:
            told = reason[:LONGEST_WHY] or f"stopped by {by}"
            ramp = ramp.model_copy(update={"status": "stopped", "reason": told})
        return flags.with_flag(flag, stored.with_state(environment, ramp=ramp, ceiling=ceiling))

    return surely(lambda: submit(store, edit, by=by, reason=reason, at=at, takes_away=True))
