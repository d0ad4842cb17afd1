"""From what was seen of a Region to the state it is in. Pure."""

from datetime import datetime, timedelta

from greenlane.deployments.phases import Phase
from greenlane.regions.coordinating.model import RegionSeen, RegionState, State

SILENCE = timedelta(minutes=10)
"""A touched Region that has not answered for so long counts as changed and failed."""

START_WITHIN = timedelta(minutes=10)
"""A start that was ordered and of which nothing is to be seen for so long has failed."""

_FORWARD = {
    Phase.PLANNING: "deploying",
    Phase.PREPARING: "deploying",
    Phase.SHIFTING: "deploying",
}
_WENT_WRONG = {
    Phase.ROLLING_BACK: "it is going back by itself",
    Phase.ROLLED_BACK: "it went back by itself",
    Phase.HELD: "it is held: a person has to look at it",
    Phase.REFUSED: "its planning refused",
}
_ENDED_WELL = frozenset({Phase.WATCHING, Phase.RETIRED})


def going_on(one: RegionState, seen: RegionSeen, now: datetime, *, digest: str = "") -> RegionState:
    """A Region's state while the rollout goes forward.

    Args:
        one: as it was.
        seen: what was seen of it.
        now: the clock's instant.
        digest: of the image that the rollout ships; empty while it is not known.
    """
    if not seen.answered:
        return _silent(one, now)
    was_lost = one.state == "unknown"
    one = one.model_copy(update={"silent_since": None, "failure": "" if was_lost else one.failure})
    if seen.phase is None:
        return one if one.state == "waiting" and seen.execution == "none" else _odd(one, seen, now)
    if seen.phase in _WENT_WRONG:
        return _failed(one, now, seen.said or _WENT_WRONG[seen.phase])
    if seen.digest and seen.digest != digest:
        return _failed(one, now, f"it ships {seen.digest}, and others ship {digest}")
    if seen.over and one.state != "failed":
        return _failed(one, now, seen.over)
    if one.state in ("succeeded", "failed"):
        return one
    if seen.phase in _FORWARD:
        return _now(one, "deploying", now, reason=seen.phase.value)
    promoted = one.promoted_at or seen.promoted_at or now
    one = one.model_copy(update={"promoted_at": promoted, "requests": seen.requests})
    missing = _not_baked(one, seen, now)
    return _now(one, "baking" if missing else "succeeded", now, reason=missing)


def going_back(
    one: RegionState, seen: RegionSeen, now: datetime, *, ordered: bool, standing_in: bool
) -> RegionState:
    """A Region's state once the rollout goes back.

    Args:
        one: as it was.
        seen: what was seen of it.
        now: the clock's instant.
        ordered: whether nothing of the rollout starts there any more.
        standing_in: nobody knows whether a Region that was waiting has been started since.
    """
    if not seen.answered:
        if one.state == "waiting" and not standing_in:
            return one
        return _now(one, "unknown", now, reason="it does not answer")
    one = one.model_copy(update={"silent_since": None})
    match seen.phase:
        case None:
            return _not_ours(one, seen, now, ordered=ordered)
        case Phase.ROLLED_BACK:
            return _now(one, "rolled_back", now, reason=seen.said)
        case Phase.REFUSED:
            return _now(one, "rolled_back", now, reason="nothing had been changed")
        case Phase.HELD:
            return _now(one, "held", now, reason=seen.said or _WENT_WRONG[Phase.HELD])
        case _:
            return _now(one, "rolling_back", now, reason="" if ordered else "not told yet")


def _not_ours(one: RegionState, seen: RegionSeen, now: datetime, *, ordered: bool) -> RegionState:
    """What becomes of a Region whose service is not on record for this rollout.

    Once it has the order `back`, nothing of this rollout starts there any more.
    """
    if seen.execution == "succeeded" and seen.latest:
        return _now(one, "held", now, reason=f"{seen.latest} came after it; look at that one")
    if seen.execution == "running" or not ordered:
        waits = one.state == "waiting" and seen.execution == "none"
        return one if waits else _now(one, "rolling_back", now, reason="not told yet")
    if one.state == "waiting" and seen.execution == "none":
        return one
    return _now(one, "rolled_back", now, reason="nothing had been changed")


def _odd(one: RegionState, seen: RegionSeen, now: datetime) -> RegionState:
    """A touched Region whose service is not on record for this rollout."""
    if seen.execution in ("refused", "failed"):
        return _failed(one, now, seen.said or "its execution failed")
    if seen.execution == "already":
        return _now(one, "succeeded", now, reason="it had this version already")
    if seen.execution == "running":
        return _now(one, "starting", now)
    if one.state == "unknown":
        # What it was before is lost with the silence; what its execution says is not.
        if seen.execution == "succeeded":
            return _now(one, "succeeded", now, reason=f"{seen.latest} came after it")
        one = _now(one, "starting", now)
    if one.state in ("succeeded", "failed"):
        return one
    if seen.latest and (seen.execution == "succeeded" or one.state in ("deploying", "baking")):
        return _failed(one, now, f"{seen.latest} took its place")
    if one.ordered_at is not None and now >= one.ordered_at + START_WITHIN:
        return _failed(one, now, "it was told to start, and nothing started")
    return one


def _silent(one: RegionState, now: datetime) -> RegionState:
    if one.state == "waiting":
        return one
    since = one.silent_since or now
    one = one.model_copy(update={"silent_since": since})
    if one.state in ("failed", "unknown") or now < since + SILENCE:
        return one
    said = f"it has not answered since {since:%H:%M:%S} UTC"
    return _now(one.model_copy(update={"failure": said}), "unknown", now, reason=said)


def _not_baked(one: RegionState, seen: RegionSeen, now: datetime) -> str:
    """What a Region that has all of its traffic still lacks; nothing when it is baked."""
    assert one.promoted_at is not None, "the caller has set it"
    if now < one.promoted_at + timedelta(seconds=one.bake_seconds):
        return "watched"
    if one.bake_requests is not None and (one.requests is None or one.requests < one.bake_requests):
        known = "an unknown number" if one.requests is None else one.requests
        return f"{known} of {one.bake_requests} requests"
    return "" if seen.phase in _ENDED_WELL else "its own watch goes on"


def _failed(one: RegionState, now: datetime, why: str) -> RegionState:
    return _now(one.model_copy(update={"failure": one.failure or why}), "failed", now, reason=why)


def _now(one: RegionState, state: State, now: datetime, *, reason: str = "") -> RegionState:
    since = one.since if one.state == state else now
    return one.model_copy(update={"state": state, "since": since, "reason": reason})
