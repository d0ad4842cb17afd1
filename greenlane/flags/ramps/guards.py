"""Which flags are guarded by conditions, where, and by whose metrics. Pure; no I/O.

A flag's conditions are about the service that it names in an environment, or about the only service
that there is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from greenlane.flags.definitions.model import Flag
from greenlane.flags.storing.ramp_records import level
from greenlane.flags.storing.state import StoredFlag, StoredFlags


@dataclass(frozen=True)
class Guard:
    """The conditions of one flag in one environment.

    `service` is empty where nobody can say whose metrics they are about. `on` and `off` are the
    variants that those who have the flag get, and everybody else.
    """

    flag: str
    environment: str
    service: str
    rollback: tuple[str, ...]
    signals: tuple[str, ...]
    on: str
    off: str

    @property
    def conditions(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.rollback, *self.signals)


def guard_of(
    key: str, stored: StoredFlag, environment: str, services: Sequence[str]
) -> Guard | None:
    """A flag's guard in an environment; None where it has no conditions."""
    flag = stored.flag.within(environment)
    if not flag.rollback_conditions and not flag.signal_conditions:
        return None
    return Guard(
        flag=key,
        environment=environment,
        service=flag_service(flag, services),
        rollback=flag.rollback_conditions,
        signals=flag.signal_conditions,
        on=flag.served,
        off=flag.default,
    )


def flag_service(flag: Flag, services: Sequence[str]) -> str:
    """Whose metrics a flag's conditions are about; nothing where that is not known."""
    if flag.service is not None:
        return flag.service
    return services[0] if len(services) == 1 else ""


def guards(flags: StoredFlags, services: Sequence[str]) -> Iterator[Guard]:
    """All guards, of flags that are off too."""
    for key, stored in sorted(flags.flags.items()):
        for environment in flags.environments:
            if stored.flag.environments and environment not in stored.flag.environments:
                continue
            guard = guard_of(key, stored, environment, services)
            if guard is not None:
                yield guard


def exposed(stored: StoredFlag, environment: str, now: datetime) -> bool:
    """Whether anybody may have the flag: otherwise it is to blame for nothing."""
    if not stored.is_on(environment):
        return False
    flag = stored.effective(environment).within(environment)
    by_rules = any(rule.percentage > 0 for rule in flag.rules)
    groups = bool(flag.user_groups) and flag.shares
    return by_rules or groups or level(stored, environment, now.timestamp()) > 0


def answers_since(stored: StoredFlag, environment: str) -> datetime | None:
    """Since when a flag answers for what is wrong: what began earlier has another cause."""
    state = stored.state(environment)
    moments = [state.enabled_since] if state.enabled_since is not None else []
    if state.going is not None:
        moments.append(state.going.started_at)
    return max(moments, default=None)


def without_anybody(stored: StoredFlag, environment: str, reason: str) -> StoredFlag:
    """The flag after a rollback condition has fired: off for everybody until a person enables it.

    A ramp that goes is over, at 0 percent. A schedule begins anew once the flag is enabled.
    """
    state = stored.state(environment)
    changes: dict[str, object] = {"stopped": True, "retreated": reason, "owed": "stopped"}
    if state.going is not None:
        over = {"status": "retreated", "reason": reason}
        changes |= {"ramp": state.going.model_copy(update=over), "ceiling": Decimal(0)}
    elif stored.flag.within(environment).scheduled_rollout is not None and state.ramp is None:
        changes |= {"ceiling": None, "judged": None, "judged_at": None}
    return stored.with_state(environment, **changes)
