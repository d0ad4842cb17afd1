"""What people are told of a rollout: what is new between two of its records. Pure."""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.people.announcement import Severity
from greenlane.regions.coordinating.model import Phase, Rollout

_NUMBERS = re.compile(r"\d+ %")
"""Shares of traffic change at each look; that alone is no news."""

Kind = Literal[
    "regions_succeeded",
    "regions_rolling_back",
    "regions_rolled_back",
    "regions_partial",
    "regions_held",
    "regions_waiting",
]


class News(NamedTuple):
    """One piece of news.

    Args:
        kind: what happened.
        severity: how bad it is; critical news pages.
        subject: one line.
        way_out: what a person can do.
        occasion: tells it from other news of the same kind.
    """

    kind: Kind
    severity: Severity
    subject: str
    way_out: str | None
    occasion: str


class Told(StoredModel):
    """How a rollout was when people were last told of it; as it begins, they know nothing.

    Args:
        phase: its phase.
        left: the Regions that did not go back.
        blocked: what it waited for without knowing until when.
    """

    phase: Phase = "advancing"
    left: tuple[str, ...] = ()
    blocked: str = ""


def told_of(record: Rollout) -> Told:
    """What people know who were told of a record."""
    waits = "" if record.blocked_since is None else _NUMBERS.sub("", record.blocked)
    return Told(phase=record.phase, left=_left(record), blocked=waits)


def news_of(before: Rollout, after: Rollout) -> Iterator[News]:
    """What is new between two records, worst first."""
    return news_since(told_of(before), after)


def news_since(before: Told, after: Rollout) -> Iterator[News]:
    """What is new since people were told, worst first."""
    service, now = after.service, after.phase
    # Regions that went back since are good news: nobody is paged again for fewer.
    if _left(after) and (set(_left(after)) - set(before.left) or before.phase != now):
        yield News(
            "regions_partial",
            "critical",
            f"{service} did not go back in {', '.join(after.left)}",
            "look at these regions; Greenlane goes on trying there"
            if now == "rolling_back"
            else f"take these regions back by hand: `greenlane rollback {service}` in each",
            f"left {' '.join(after.left)} {now}",
        )
    if before.phase != now:
        told = _by_phase(after, now)
        if told is not None:
            yield told
    if after.blocked_since is not None and before.blocked != told_of(after).blocked:
        yield News(
            "regions_waiting",
            "warning",
            f"the next wave of {service} waits",
            f"{after.blocked}; it goes on by itself, or end it with `greenlane regions rollback`",
            f"waits for {after.blocked}",
        )


def _left(record: Rollout) -> tuple[str, ...]:
    """The Regions that did not go back, once all have had their turn."""
    told = record.phase == "partial" or record.partial_since is not None
    return record.left if told else ()


def _by_phase(after: Rollout, phase: Phase) -> News | None:
    service = after.service
    match phase:
        case "watching":
            subject = f"{service} is deployed in {len(after.regions)} regions"
            return News("regions_succeeded", "info", subject, None, "watching")
        case "rolling_back":
            subject = f"{service} goes back in {len(after.touched)} regions"
            return News("regions_rolling_back", "error", subject, None, f"back {after.cause}")
        case "rolled_back" if not after.touched:
            subject = f"the rollout of {service} ended before any region was started"
            return News("regions_rolled_back", "warning", subject, None, "rolled back")
        case "rolled_back":
            subject = f"{service} went back in all of its {len(after.touched)} regions"
            way_out = "nothing starts by itself: find out why, then deploy another version"
            return News("regions_rolled_back", "critical", subject, way_out, "rolled back")
        case "held":
            subject = f"the rollout of {service} is held"
            way_out = "`greenlane regions resume` goes on, `greenlane regions rollback` goes back"
            return News("regions_held", "error", subject, way_out, f"held {after.held_for}")
    return None
