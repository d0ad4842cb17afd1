"""What a rollout does next: one look in, the next record and the acts out. Pure.

It may be asked at any time and any number of times; what was decided before is in the record.
"""

from datetime import datetime, timedelta
from typing import Any

from greenlane.deployments.phases import Phase
from greenlane.regions.coordinating.model import (
    FAILED,
    OVER,
    Act,
    Decision,
    RegionSeen,
    RegionState,
    Rollout,
    Seen,
)
from greenlane.regions.coordinating.taking_in import SILENCE, going_back, going_on
from greenlane.regions.coordinating.waves import next_wave, what_blocks

LOOK = timedelta(minutes=5)
"""Between two looks while something is wrong, goes back, or is late. Events wake it sooner."""

REST = timedelta(hours=12)
"""Between two looks while nothing is touched and nothing is due."""

NOTICED = timedelta(hours=1)
"""Between two looks once a Region is touched: so late, at most, a lost event is noticed."""

ASK_AGAIN = timedelta(minutes=2)
"""Between two looks at a Region that does not answer, so that it is silence and no chance."""

AGAIN = timedelta(minutes=5)
"""Between two orders to the same Region to go back."""

AGAIN_SOON = timedelta(minutes=1)
"""The same while it is to be seen that the Region has not begun to."""

AGAIN_HELD = timedelta(hours=1)
"""The same where the Region's own way back ended held: there a person has been told already."""

TAKES = timedelta(minutes=30)
"""A way back, with draining; a Region that takes longer is told to people as not back."""

GIVE_UP = timedelta(hours=24)
"""After so long with Regions left that do not go back, only people go on."""

CUT_OFF = "most regions do not answer"
"""What a rollout waits for that concludes nothing from silence."""


def decide(record: Rollout, seen: Seen, now: datetime) -> Decision:
    """What follows from a look.

    Args:
        record: as it stands.
        seen: what was seen of all Regions, and what people asked.
        now: the clock's instant, aware.
    """
    record = _heed(record, seen, now)
    if record.phase in ("advancing", "held", "watching"):
        record = _take_in(record, seen, now)
        record = _turn_back(record, seen, now)
    if record.phase == "rolling_back":
        return _back(record, seen, now)
    if record.phase in OVER:
        return Decision(record=record)
    record = _overtaken(record, seen)
    if _cut_off(record, seen):
        return _wait(record, CUT_OFF, None, (), now)
    if record.blocked == CUT_OFF:
        record = _with(record, blocked="", blocked_since=None)
    if record.phase == "watching":
        return _watch(record, now)
    wave = next_wave(record)
    if wave is None:
        until = now + timedelta(seconds=record.watch_seconds)
        done = _with(record, phase="watching", watch_until=until, held_for="", blocked="")
        return _watch(done, now)
    record, acts = _pauses(record, seen)
    acts += _again(record, seen)
    if record.phase == "advancing" and record.named("waiting") and _wave_is_whole(record):
        return _start(record, seen, now, acts)
    return Decision(record=record, acts=acts, wake_at=_wake(record, now))


def _heed(record: Rollout, seen: Seen, now: datetime) -> Rollout:
    """Do what a person asked, once."""
    asked = seen.asked
    if asked is None or asked.number <= record.heeded:
        return record
    record = _with(record, heeded=asked.number)
    because = f"{asked.by}: {asked.reason}" if asked.reason else asked.by
    match asked.name:
        case "rollback" if record.phase not in ("rolling_back", "rolled_back"):
            return _begin_back(record, f"asked by {because}", "", now)
        case "hold" if record.phase == "advancing":
            return _with(record, phase="held", held_for=f"asked by {because}")
        case "resume" if record.phase == "held" and not record.standing_in:
            return _with(record, phase="advancing", held_for="", blocked="", blocked_since=None)
        case "close" if record.phase == "rolling_back":
            why = f"{record.cause}; closed by {because}"
            return _with(record, phase="partial", ended_at=now, cause=why)
    return record


def _take_in(record: Rollout, seen: Seen, now: datetime) -> Rollout:
    digests = [seen.of(name).digest for name in record.regions if seen.of(name).digest]
    record = _with(record, digest=record.digest or next(iter(digests), ""))
    regions = {
        name: going_on(one, seen.of(name), now, digest=record.digest)
        for name, one in record.regions.items()
    }
    return _with(record, regions=regions)


def _turn_back(record: Rollout, seen: Seen, now: datetime) -> Rollout:
    """Go back when a Region has failed, or a window that ended asks for it."""
    for name in record.named("failed") if _cut_off(record, seen) else record.named(*FAILED):
        return _begin_back(record, f"{name}: {record.at(name).failure}", name, now)
    for name in record.named("starting", "deploying"):
        if seen.of(name).at_end == "rollback":
            return _begin_back(record, f"{name}: its window ended while it was deployed", name, now)
    return record


def _cut_off(record: Rollout, seen: Seen) -> bool:
    """Whether most Regions do not answer: then it is more likely this place that is cut off."""
    silent = sum(not seen.of(name).answered for name in record.regions)
    return 2 * silent > len(record.regions)


def _begin_back(record: Rollout, why: str, region: str, now: datetime) -> Rollout:
    return _with(
        record,
        phase="rolling_back",
        cause=why,
        cause_region=region,
        held_for="",
        blocked="",
        blocked_since=None,
        partial_since=None,
        ended_at=None,
        updated_at=now,
    )


def _back(record: Rollout, seen: Seen, now: datetime) -> Decision:
    """Take every touched Region back, and see to it that no other starts."""
    regions = {
        name: going_back(
            one,
            seen.of(name),
            now,
            ordered=seen.of(name).fence.bars(record.rollout_id, record.epoch),
            standing_in=record.standing_in,
        )
        for name, one in record.regions.items()
    }
    acts, untold, wake = [], False, now + LOOK
    for name, one in regions.items():
        answered = seen.of(name).answered
        told = seen.of(name).fence.bars(record.rollout_id, record.epoch)
        untold = untold or (answered and not told and one.state == "waiting")
        wants = one.state != "rolled_back" and not (one.state == "waiting" and told)
        pause = _pause_before_again(one, seen.of(name), now)
        due = one.back_at is None or now >= one.back_at + pause
        if wants and (due or (answered and not told)):
            acts.append(Act(what="take_back", region=name))
            regions[name] = one.model_copy(update={"back_at": now})
        if wants and answered:
            wake = min(wake, now + pause)
    record = _with(record, regions=regions)
    # Home knows whom it has started. Another one knows it once nobody can start any more.
    if not record.left and not (record.standing_in and untold):
        over = _with(record, phase="rolled_back", partial_since=None, ended_at=now)
        return Decision(record=over, acts=tuple(acts))
    if not any(_goes(record, name, now) for name in record.regions):
        since = record.partial_since or now
        record = _with(record, partial_since=since)
        if now >= since + GIVE_UP:
            return Decision(record=_with(record, phase="partial", ended_at=now), acts=tuple(acts))
    return Decision(record=record, acts=tuple(acts), wake_at=wake)


def _pause_before_again(one: RegionState, seen: RegionSeen, now: datetime) -> timedelta:
    """How long after an order to go back it is given again.

    A Region that took it is on its way within seconds; one that is not did not.
    """
    if one.state == "held":
        return AGAIN_HELD
    idle = seen.phase is not None and seen.phase not in (Phase.ROLLING_BACK, Phase.ROLLED_BACK)
    late = one.since is not None and now >= one.since + TAKES
    return AGAIN_SOON if idle and not late else AGAIN


def _goes(record: Rollout, name: str, now: datetime) -> bool:
    """Whether a Region is on its way back, and not for longer than that takes."""
    one = record.at(name)
    return one.state == "rolling_back" and now < (one.since or now) + TAKES


def _overtaken(record: Rollout, seen: Seen) -> Rollout:
    """Stop advancing when a Region knows of a later coordinator."""
    epochs = [seen.of(name).fence.epoch for name in record.regions if seen.of(name).answered]
    if record.phase != "advancing" or max(epochs, default=0) <= record.epoch:
        return record
    said = (
        f"epoch {max(epochs)} of another coordinator is in force, and this one has {record.epoch}"
    )
    return _with(record, phase="held", held_for=said)


def _watch(record: Rollout, now: datetime) -> Decision:
    if record.watch_until is None or now >= record.watch_until:
        return Decision(record=_with(record, phase="succeeded", ended_at=now))
    return Decision(record=record, wake_at=min(record.watch_until, _wake(record, now)))


def _pauses(record: Rollout, seen: Seen) -> tuple[Rollout, tuple[Act, ...]]:
    """Let what is under way stand still outside of its window, where that was declared."""
    regions, acts = dict(record.regions), []
    for name in record.named("starting", "deploying"):
        one, look = record.at(name), seen.of(name)
        wanted = look.answered and look.at_end == "pause"
        if look.phase is None or wanted == one.paused:
            continue
        acts.append(Act(what="pause" if wanted else "resume", region=name))
        until = look.opens_at if wanted else None
        regions[name] = one.model_copy(update={"paused": wanted, "resumes_at": until})
    return _with(record, regions=regions), tuple(acts)


def _again(record: Rollout, seen: Seen) -> tuple[Act, ...]:
    """Repeat a start of which nothing is to be seen, unless nobody may start anything now."""
    if record.phase != "advancing":
        return ()
    return tuple(
        Act(what="start", region=name)
        for name in record.named("starting")
        if seen.of(name).answered and seen.of(name).execution == "none" and seen.quorum is not False
    )


def _wave_is_whole(record: Rollout) -> bool:
    """Whether all before the next wave is baked, and nothing of later waves has begun."""
    wave = next_wave(record)
    return wave is not None and any(record.at(name).state == "waiting" for name in wave.regions)


def _start(record: Rollout, seen: Seen, now: datetime, acts: tuple[Act, ...]) -> Decision:
    wave = next_wave(record)
    assert wave is not None, "the caller has asked"
    blocked = what_blocks(record, wave, seen, now)
    if blocked is not None:
        return _wait(record, blocked.why, blocked.until, acts, now)
    regions = dict(record.regions)
    for name in wave.regions:
        if regions[name].state == "waiting":
            change = {"state": "starting", "since": now, "ordered_at": now}
            regions[name] = regions[name].model_copy(update=change)
            acts += (Act(what="start", region=name),)
    record = _with(record, regions=regions, blocked="", blocked_since=None)
    return Decision(record=record, acts=acts, wake_at=_wake(record, now))


def _wait(
    record: Rollout, why: str, until: datetime | None, acts: tuple[Act, ...], now: datetime
) -> Decision:
    """Wait until an instant, or look again; too long without one is for a person."""
    if until is not None:
        record = _with(record, blocked=why, blocked_since=None)
        return Decision(
            record=record, acts=acts, wake_at=min(until, _wake(record, now), now + REST)
        )
    since = record.blocked_since or now
    record = _with(record, blocked=why, blocked_since=since)
    if now >= since + timedelta(seconds=record.max_wait_seconds):
        record = _with(record, phase="held", held_for=f"it waited too long: {why}")
        return Decision(record=record, acts=acts, wake_at=_wake(record, now))
    return Decision(record=record, acts=acts, wake_at=min(now + LOOK, _wake(record, now)))


def _wake(record: Rollout, now: datetime) -> datetime:
    """When something is due, or late: then it is looked at each few minutes."""
    due = now + (NOTICED if record.touched else REST)
    for one in record.regions.values():
        if one.silent_since is not None:
            expected = one.silent_since + SILENCE
            if expected > now:
                expected = min(expected, now + ASK_AGAIN)
        elif one.state not in ("starting", "deploying", "baking"):
            continue
        elif one.paused and one.resumes_at is not None:
            expected = one.resumes_at
        elif one.promoted_at is not None:
            expected = one.promoted_at + timedelta(seconds=one.bake_seconds)
        else:
            expected = (one.ordered_at or now) + timedelta(seconds=one.need_seconds)
        due = min(due, expected if expected > now else now + LOOK)
    return due


def _with(record: Rollout, **changes: Any) -> Rollout:
    return record.model_copy(update=changes)
