"""Whether the next wave may start now, and what it waits for if not. Pure.

The plan keeps to all of this already. It is asked again because a plan is hours old by then: a
window may have been missed, and traffic may have moved to where it was not.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from greenlane.regions.coordinating.model import UNBAKED, RegionSeen, Rollout, Seen, Wave

SHARE_FACTOR = Decimal(2)
"""How many times its planned share of traffic a wave may have; its budget is allowed anyway."""


class Blocked(NamedTuple):
    """Why a wave does not start: until an instant, or, without one, until something changes."""

    why: str
    until: datetime | None = None


def next_wave(record: Rollout) -> Wave | None:
    """The first wave that is not baked; None if all are."""
    for wave in record.waves:
        if any(record.at(name).state != "succeeded" for name in wave.regions):
            return wave
    return None


def what_blocks(record: Rollout, wave: Wave, seen: Seen, now: datetime) -> Blocked | None:
    """Why those of a wave that wait may not start now; None when they may."""
    waiting = [name for name in wave.regions if record.at(name).state == "waiting"]
    return (
        _pause(record, wave, now)
        or _unanswered(waiting, seen)
        or _windows(waiting, seen, now)
        or _pairs(record, waiting)
        or _busy(waiting, seen)
        or _failover(record, waiting, seen)
        or _traffic(wave, waiting, seen)
        or _quorum(record, seen)
    )


def _pause(record: Rollout, wave: Wave, now: datetime) -> Blocked | None:
    baked = [one.since for one in record.regions.values() if one.wave < wave.number and one.since]
    if not baked:
        return None
    ready = max(baked) + timedelta(seconds=record.delay_seconds)
    return Blocked("the pause between waves", ready) if now < ready else None


def _unanswered(waiting: Sequence[str], seen: Seen) -> Blocked | None:
    silent = [name for name in waiting if not seen.of(name).answered]
    return Blocked(f"{', '.join(silent)}: no answer") if silent else None


def _windows(waiting: Sequence[str], seen: Seen, now: datetime) -> Blocked | None:
    """All of a wave start at one instant: the last window to open decides, and is asked again."""
    latest: Blocked | None = None
    for name in waiting:
        opens, why = seen.of(name).opens_at, f"{name}: {seen.of(name).closed_for}"
        if opens is None:
            return Blocked(why)
        if opens > now and (latest is None or latest.until is None or opens > latest.until):
            latest = Blocked(why, opens)
    return latest


def _pairs(record: Rollout, waiting: Sequence[str]) -> Blocked | None:
    for one, other in record.pairs:
        for name, partner in ((one, other), (other, one)):
            if name not in waiting or partner not in record.regions:
                continue
            if record.at(partner).state in UNBAKED or partner in waiting:
                return Blocked(
                    f"{name}: {partner}, which it must not be unbaked with, is not baked"
                )
    return None


def _busy(waiting: Sequence[str], seen: Seen) -> Blocked | None:
    for name in waiting:
        if seen.of(name).busy:
            return Blocked(f"{name}: {seen.of(name).latest} is being deployed there")
    return None


def _failover(record: Rollout, waiting: Sequence[str], seen: Seen) -> Blocked | None:
    """Who takes over for a Region has to be able to, now."""
    for name in waiting:
        for partner in record.at(name).failover:
            if why := _unfit(seen.of(partner)):
                return Blocked(f"{name}: {partner}, which takes over for it, {why}")
    return None


def _unfit(partner: RegionSeen) -> str:
    if not partner.answered:
        return "does not answer"
    if partner.busy:
        return f"is being deployed to by {partner.latest}"
    if partner.red is None:
        return "does not say whether its alarms are red"
    return f"has red alarms: {', '.join(partner.red)}" if partner.red else ""


def _traffic(wave: Wave, waiting: Sequence[str], seen: Seen) -> Blocked | None:
    if wave.stage != "production" or not waiting:
        return None
    total = Decimal(0)
    for name in waiting:
        share = seen.of(name).share
        if share is None:
            return Blocked(f"{name}: its share of the traffic is not known")
        total += share
    most = max(wave.budget_percentage, wave.traffic_percentage * SHARE_FACTOR)
    if total <= most:
        return None
    return Blocked(
        f"{', '.join(waiting)}: {total:.0f} % of the traffic now, planned up to {most:f}"
    )


def _quorum(record: Rollout, seen: Seen) -> Blocked | None:
    if seen.quorum is not False:
        return None
    return Blocked(f"fewer than half of the {len(record.regions)} regions took the epoch")
