"""A rollout's history, and what people are told: after the fact, and never in its way."""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.deployments.model import HistoryEvent
from greenlane.deployments.storing.journal import publish
from greenlane.errors import FenceLost
from greenlane.logs import logger
from greenlane.people.announcement import announce
from greenlane.regions.coordinating.model import Rollout
from greenlane.regions.coordinating.news import News, Told, news_since, told_of
from greenlane.regions.coordinating.runtime import RegionsRuntime
from greenlane.regions.coordinating.turning import Turn


def note(runtime: RegionsRuntime, rollout_id: str, kind: str, **detail: Any) -> None:
    """Append to a rollout's history, as well as possible."""
    said = {name: value for name, value in detail.items() if value}
    event = HistoryEvent(at=runtime.clock.now(), kind=kind, actor=runtime.actor, detail=said)
    try:
        runtime.rollouts.append(rollout_id, event)
    except (ClientError, BotoCoreError) as error:
        logger.error("history not written", rollout=rollout_id, kind=kind, error=str(error))


def report(runtime: RegionsRuntime, turn: Turn, told: Told | None) -> bool:
    """Write down what a turn did, send the standby its copy, tell people what is new.

    Args:
        runtime: of the coordinator.
        turn: what came of it.
        told: what people knew before.

    Returns:
        Whether the topic took all news; what it did not take has to be told again.
    """
    before, after = turn.before, turn.after
    # The history comes last: whoever is paged must not wait for a table that is slow.
    if after.version != before.version:
        copy_to_standby(runtime, after)
    took = tell_news(runtime, after, told)
    for name, one in after.regions.items():
        if one.state != before.at(name).state:
            note(runtime, after.rollout_id, one.state, region=name, reason=one.reason)
    if turn.failures:
        note(runtime, after.rollout_id, "not done", **turn.failures)
    if before.phase != after.phase:
        because = after.cause if after.phase == "rolling_back" else after.held_for
        note(runtime, after.rollout_id, f"rollout {after.phase}", because=because)
    if before.blocked != after.blocked and after.blocked:
        note(runtime, after.rollout_id, "waits", because=after.blocked)
    return took


def tell_news(runtime: RegionsRuntime, record: Rollout, told: Told | None) -> bool:
    """Tell people what they do not know yet, and keep that they know it if all of it was taken.

    So news is told at least once, and a repetition has the same id.
    """
    news = news_since(told or Told(), record)
    took = [tell(runtime, record, one) for one in news]
    if all(took) and told_of(record) != told:
        keep_told(runtime, record)
    return all(took)


def keep_told(runtime: RegionsRuntime, record: Rollout) -> None:
    """Keep that people know how a rollout is, as well as possible."""
    try:
        runtime.rollouts.put_told(record, told_of(record))
    except (ClientError, BotoCoreError, FenceLost) as error:
        logger.warning("told again next time", rollout=record.rollout_id, error=str(error))


def copy_to_standby(runtime: RegionsRuntime, record: Rollout) -> bool:
    """Send the standby its copy, as well as possible; whether it has it."""
    if record.standby is None or record.standing_in:
        return True
    try:
        rollouts = runtime.rollouts_in(record.standby)
        rollouts.put_copy(record)
    except (ClientError, BotoCoreError) as error:
        logger.warning("the standby has no copy", rollout=record.rollout_id, error=str(error))
        return False
    return True


def tell(runtime: RegionsRuntime, record: Rollout, news: News) -> bool:
    """Tell people of a rollout; whether the topic took it."""
    request = record.request
    facts = {
        "rollout": record.rollout_id,
        "because": record.cause or record.held_for or record.blocked,
        "did not go back": ", ".join(record.left) if record.phase != "watching" else "",
        "regions": ", ".join(f"{name}: {one.state}" for name, one in record.regions.items()),
        "version": request.version or request.image or request.task_definition or "",
        "asked by": request.requested_by,
    }
    return publish(
        runtime,
        announce(
            kind=news.kind,
            severity=news.severity,
            service=record.service,
            region=runtime.region,
            subject=news.subject,
            occasion=f"{record.rollout_id}/{record.epoch}/{news.occasion}"[:250],
            facts={name: said for name, said in facts.items() if said},
            way_out=news.way_out,
            at=runtime.clock.now(),
        ),
    )
