"""A rollout as people read it: what it does, and where each Region stands."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from greenlane.cli.regions_views import table
from greenlane.durations import format_seconds

if TYPE_CHECKING:
    from greenlane.regions.coordinating.model import RegionState, Rollout
    from greenlane.regions.coordinating.store import Kept

DOING = {
    "advancing": "advances",
    "held": "is held",
    "watching": "succeeded, and is watched",
    "rolling_back": "goes back",
    "succeeded": "succeeded",
    "rolled_back": "went back",
    "partial": "went back in part",
}


def rollout_lines(record: "Rollout", now: datetime) -> list[str]:
    """The rollout in a line or three, and a table of its Regions."""
    what = record.request.version or record.request.image or record.request.task_definition or ""
    lines = [f"{record.rollout_id}: {record.service} {what} {DOING[record.phase]}"]
    lines += _why(record)
    return [*lines, "", *table(list(_rows(record, now)))]


def trouble_lines(kept: "Kept", now: datetime) -> Iterator[str]:
    """A wish that is not heeded yet, and a coordinator that did not look when it should have."""
    asked = kept.asked
    if asked is not None and kept.unheeded:
        why = f": {asked.reason}" if asked.reason else ""
        yield f"asked: {asked.name}, by {asked.by}{why}; not heeded yet"
    if kept.due_at is None or not kept.late(now):
        return
    yield (
        f"late: it should have been looked at by {kept.due_at:%Y-%m-%d %H:%M} UTC; if that lasts, "
        f"look at the executions of greenlane-regions"
    )


def _why(record: "Rollout") -> Iterator[str]:
    if record.cause and record.phase in ("rolling_back", "rolled_back", "partial"):
        yield f"because: {record.cause}"
    if record.held_for and record.phase == "held":
        yield f"because: {record.held_for}"
    if record.blocked and record.phase == "advancing":
        yield f"waits: {record.blocked}"
    if record.left and (record.partial_since is not None or record.phase == "partial"):
        yield f"did not go back: {', '.join(record.left)}"
    if record.standing_in:
        yield f"stands in for {record.home}: no further region starts from here"


def _rows(record: "Rollout", now: datetime) -> Iterator[tuple[str, ...]]:
    yield "wave", "region", "traffic", "state", "since", ""
    for one in sorted(record.regions.values(), key=lambda it: (it.wave, it.region)):
        yield (
            str(one.wave),
            one.region,
            f"{one.traffic_percentage.normalize():f} %",
            one.state.replace("_", " "),
            "-" if one.since is None else _ago(one, now),
            one.failure or one.reason,
        )


def _ago(one: "RegionState", now: datetime) -> str:
    assert one.since is not None, "the caller has asked"
    return format_seconds(max(0, int((now - one.since).total_seconds()) // 60 * 60))
