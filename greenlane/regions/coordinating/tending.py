"""What wakes a rollout, revives one whose execution died, and stands in for a lost home."""

import json
from datetime import datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict

from greenlane.deployments.stepping.baking import answer
from greenlane.deployments.stepping.judging import Tick
from greenlane.errors import GreenlaneError, NotReconciled
from greenlane.logs import logger
from greenlane.regions.coordinating.model import OVER, Rollout
from greenlane.regions.coordinating.news import News
from greenlane.regions.coordinating.reporting import keep_told, note, tell
from greenlane.regions.coordinating.running import start_machine
from greenlane.regions.coordinating.runtime import RegionsRuntime
from greenlane.regions.coordinating.standing_in import stood_in
from greenlane.regions.coordinating.store import Kept

MISSES = 3
"""So many looks in a row at a home that does not answer, and the standby stands in."""

TROUBLE = (ClientError, BotoCoreError, GreenlaneError, ValueError)
"""What one service may end with, so that the others have their turn."""

LATE = timedelta(minutes=15)
"""A turn takes three minutes, and home's own tick revives what died within ten."""

YOUNG = timedelta(minutes=2)
"""Nobody revives a record that was written just now: its execution may be about to begin."""


class RegionEvent(BaseModel):
    """An execution of deployments or rollbacks began or ended in a Region."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    region: str


def hear_region(event: RegionEvent, runtime: RegionsRuntime) -> None:
    """Wake every rollout that the Region is part of: it looks for itself what happened.

    Raises:
        NotReconciled: one could not be woken; all have had their turn, and EventBridge calls again.
    """
    failed = []
    for service in runtime.rollouts.services():
        try:
            _wake(service, event.region, runtime)
        except TROUBLE as error:
            logger.error("rollout not woken", of=service, error=repr(error))
            if isinstance(error, ClientError | BotoCoreError):  # what a repetition may mend
                failed.append(f"{service}: {error}")
    if failed:
        raise NotReconciled("; ".join(failed))


def _wake(service: str, region: str, runtime: RegionsRuntime) -> None:
    kept = runtime.rollouts.kept(service)
    if kept is None or kept.record.phase in OVER or region not in kept.record.regions:
        return
    now = runtime.rollouts.hear(service)
    if now is not None and now.token is not None:
        answer(runtime.stepfunctions, now.token, f"news from {region}")


def tend_rollouts(tick: Tick, runtime: RegionsRuntime) -> None:
    """Look after all rollouts whose home or standby is here.

    Raises:
        NotReconciled: one could not be looked after; all have had their turn.
    """
    del tick
    failed, silent = [], dict[str, BotoCoreError]()
    for service in runtime.rollouts.services():
        try:
            kept = runtime.rollouts.kept(service)
            if kept is not None:
                _revive(kept, runtime)
            _watch_home(service, kept, runtime, silent)
        except TROUBLE as error:
            logger.error("rollout not tended", of=service, error=repr(error))
            failed.append(f"{service}: {error}")
    if failed:
        raise NotReconciled("; ".join(failed))


def _revive(kept: Kept, runtime: RegionsRuntime) -> None:
    """Start an execution where there is work and nobody at it."""
    record = kept.record
    wished = kept.unheeded
    if record.phase in OVER and not wished:
        return
    young = runtime.clock.now() < record.updated_at + YOUNG
    if young and not wished:
        return
    if runtime.lives(record.owner):
        if wished and kept.token is not None:
            # Who wrote the wish may have died before it could wake anybody.
            answer(runtime.stepfunctions, kept.token, "a wish waits")
        return
    begin_execution(runtime, record)


def begin_execution(runtime: RegionsRuntime, record: Rollout) -> None:
    """Start the execution that takes a rollout on; in one minute it is one.

    One of the same version may have ended before it could write anything, so the version alone
    would be a name that is taken.
    """
    minute = int(runtime.clock.now().timestamp()) // 60
    name = f"{record.rollout_id[-50:]}-v{record.version}-{minute}"
    given = {"rollout_id": record.rollout_id, "service": record.service}
    start_machine(runtime, name, json.dumps(given))


def _watch_home(
    service: str, own: Kept | None, runtime: RegionsRuntime, silent: dict[str, BotoCoreError]
) -> None:
    """Stand in when home is lost while a rollout of it is under way."""
    copy = runtime.rollouts.copy(service)
    if copy is None or copy.phase in OVER:
        return
    if own is not None and own.record.rollout_id == copy.rollout_id:
        return  # it stands in already
    try:
        if copy.home in silent:
            raise silent[copy.home]
        rollouts = runtime.rollouts_in(copy.home)
        at_home = rollouts.kept(service)
        late = _stands_still(at_home, runtime.clock.now())
        why = f"home {copy.home} answers, but its coordinator does not move since {late}"
    except (ClientError, BotoCoreError) as error:
        at_home, late, why = None, repr(error), f"home {copy.home} does not answer"
        if isinstance(error, BotoCoreError):
            silent[copy.home] = error  # it is not waited for again in this tick
    if late:
        missed = runtime.rollouts.miss(service)
        logger.warning("home is lost", of=service, missed=missed, why=why, late=late)
        if missed >= MISSES:
            stand_in(runtime, copy if at_home is None else at_home.record, own, why)
        return
    runtime.rollouts.answered(service)
    if at_home is not None and at_home.record != copy:
        # A copy that was lost on its way, such as that of the end, would be taken over one day.
        runtime.rollouts.put_copy(at_home.record)


def _stands_still(at_home: Kept | None, now: datetime) -> str:
    """Since when a rollout should have been looked at, and nobody did; nothing where all is well.

    Its table may answer in an outage of all else: then nobody there would take anything back.
    """
    if at_home is None or at_home.record.phase in OVER or not at_home.record.touched:
        return ""
    due = at_home.record.updated_at if at_home.due_at is None else at_home.due_at
    due = max(due, at_home.record.updated_at)
    return f"{due:%Y-%m-%d %H:%M:%S} UTC" if now >= due + LATE else ""


def stand_in(runtime: RegionsRuntime, copy: Rollout, own: Kept | None, why: str) -> Rollout:
    """Take a rollout over as its standby: from here it is held, or goes back.

    Args:
        runtime: of the standby.
        copy: what home sent last.
        own: the standby's own record of an earlier one.
        why: for the record and for people.
    """
    now = runtime.clock.now()
    realm = runtime.realm(copy)
    seen = realm.look(copy, now)
    record = stood_in(copy, seen.values(), why, now)
    if runtime.rollouts.begin(record, over=None if own is None else own.record):
        note(runtime, record.rollout_id, "standby took over", because=why, epoch=record.epoch)
        news = News(
            "regions_held",
            "critical",
            f"the standby took over the rollout of {record.service}",
            "it starts no further region; end it with `greenlane regions rollback`, or let home "
            "go on with `greenlane regions resume` there",
            f"stands in at {record.epoch}",
        )
        if tell(runtime, record, news):
            keep_told(runtime, record)
    begin_execution(runtime, record)
    return record
