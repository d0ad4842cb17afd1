"""Telling people what became of a flag: by the way that deployments are told, and once.

What is to be told is written in the same change as what it is about, and crossed out once the
topic took it. So a process that ends in between leaves it to the next look. The news has the same
id each time, by which channels know a repetition.
"""

from collections.abc import Sequence
from datetime import timedelta

from greenlane.deployments.storing.journal import publish
from greenlane.flags.ramps.flag_writes import move
from greenlane.flags.ramps.guards import flag_service
from greenlane.flags.ramps.ramp import percent
from greenlane.flags.ramps.runtime import FlagRuntime
from greenlane.flags.storing.ramp_records import level
from greenlane.flags.storing.state import ANYWHERE, FlagState, Owed, StoredFlag
from greenlane.people.announcement import UNKNOWN, Announcement, Severity, announce

LEFT_TO_OTHERS = timedelta(seconds=30)
"""So long nobody else tells what somebody has decided: mail does not know a repetition."""

_SEVERITIES: dict[Owed, Severity] = {
    "refused": "warning",
    "held": "warning",
    "retreated": "critical",
    "stopped": "critical",
}

_SAID: dict[Owed, str] = {
    "refused": "The rollout of {flag} in {environment} did not start",
    "held": "The rollout of {flag} in {environment} is held at {level}",
    "retreated": "{flag} went back to {level} in {environment}",
    "stopped": "{flag} was switched off in {environment}",
}

_WAYS_OUT: dict[Owed, str] = {
    "refused": "once the condition is over: greenlane flags ramp {flag} --environment "
    "{environment} --to PERCENT",
    "held": "it goes on by itself once the level is judged good; until then see what it waits for",
    "retreated": "it stays there until somebody ramps it again: greenlane flags ramp {flag} "
    "--environment {environment} --to PERCENT",
    "stopped": "nobody has it until somebody enables it: greenlane flags enable {flag} "
    "--environment {environment}",
}


def tell_owed(
    runtime: FlagRuntime,
    key: str,
    stored: StoredFlag | None,
    environment: str,
    services: Sequence[str],
    *,
    decided: bool = False,
) -> None:
    """Tell what is owed about a flag in an environment, if the topic takes it.

    Args:
        runtime: the topic, the table and the clock.
        key: the flag's.
        stored: the flag.
        environment: where.
        services: the names of all services.
        decided: the caller has just decided it; others leave it to whoever has for a while.
    """
    if stored is None or not (owed := stored.state(environment).owed):
        return
    if environment not in stored.states and environment != ANYWHERE:
        return  # it has the state of all that nobody names, which is told once
    fresh = stored.at is not None and runtime.clock.now() - stored.at < LEFT_TO_OTHERS
    if fresh and not decided:
        return
    news = news_of(runtime, key, stored, environment, services)
    if not publish(runtime, news):
        return

    def told(flag: StoredFlag) -> StoredFlag | None:
        same = flag.state(environment).owed == owed
        return flag.with_state(environment, owed="") if same else None

    move(runtime.flags, key, told, why=f"people were told: {owed}", at=runtime.clock.now())


def news_of(
    runtime: FlagRuntime, key: str, stored: StoredFlag, environment: str, services: Sequence[str]
) -> Announcement:
    """What is told of a flag."""
    state = stored.state(environment)
    owed, now = state.owed, runtime.clock.now()
    places = {
        "flag": key,
        "environment": environment,
        "level": percent(level(stored, environment, now.timestamp())),
    }
    ramp = state.ramp
    facts = {
        "flag": key,
        "environment": environment,
        "reason": _reason(state),
        "level": places["level"],
        "ramp": f"{ramp.id}, by {ramp.by or 'somebody'}, to {percent(ramp.target)}" if ramp else "",
    }
    return announce(
        kind=f"flag_{owed}",
        severity=_SEVERITIES[owed],
        service=flag_service(stored.flag.within(environment), services) or UNKNOWN,
        region=runtime.settings.topic_arn.split(":")[3],
        subject="Feature flag: " + _SAID[owed].format(**places),
        occasion=f"{key}/{environment}/{_occasion(state)}",
        facts={name: value for name, value in facts.items() if value},
        way_out=_WAYS_OUT[owed].format(**places),
        at=now,
    )


def _reason(state: FlagState) -> str:
    if state.owed in ("stopped", "retreated") and state.retreated:
        return state.retreated
    if state.ramp is not None:
        return state.ramp.reason
    return "its schedule waits: there is no evidence that this level is good, or a signal is true"


def _occasion(state: FlagState) -> str:
    """What tells one such news of a flag from the next."""
    ramp = state.ramp
    which = ramp.id if ramp is not None else ""
    raised = ramp.raised_at.isoformat() if ramp is not None and ramp.raised_at else ""
    since = state.enabled_since.isoformat() if state.enabled_since else ""
    return "/".join((which, raised, since, str(state.judged_at or ""), str(state.ceiling)))
