"""Judging what was observed before, minute by minute, as it would have been. Pure; no I/O.

Each look sees what was known at the end of its minute and nothing later, so a replay of what a
deployment observed comes to the same verdicts, and other criteria show what they would have done.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from greenlane.deployments.declaring.config import ServiceConfig
from greenlane.deployments.model import Verdict
from greenlane.deployments.storing.shapes import StoredModel
from greenlane.health.candidate import Asked, judge_observed
from greenlane.health.criteria import Phase
from greenlane.health.observed import MINUTE, Baseline, Observed, Segment
from greenlane.health.slowness import SLOWER_THAN


class Question(NamedTuple):
    """What is asked of stored data."""

    config: ServiceConfig
    baseline: tuple[Baseline, ...] = ()


class Look(StoredModel):
    """One verdict, after the minute that ended at `at`."""

    at: datetime
    verdict: Verdict


class StretchReplay(StoredModel):
    """One stretch of time under one weight.

    Attributes:
        passed_at: the first look that passed; None: none did.
        last: its last look; that of a stretch that was replayed to its end decides.
    """

    weight: int
    phase: Phase
    start: datetime
    end: datetime
    passed_at: datetime | None = None
    last: Look | None = None


class Replay(StoredModel):
    """What a judgement of stored data comes to.

    Attributes:
        failed: the look at which the deployment would have gone back; nothing after it is judged.
        looks: how many there were.
        notes: what was asked and not observed, and how it was judged instead.
    """

    stretches: tuple[StretchReplay, ...] = ()
    failed: Look | None = None
    looks: int = 0
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether each step would have ended with a pass."""
        lasts = [stretch.last for stretch in self.stretches]
        return bool(lasts) and all(look and look.verdict.verdict == "pass" for look in lasts)


def replay(observed: Observed, config: ServiceConfig) -> Replay:
    """Judge each minute of an observation, up to the first fail.

    Args:
        observed: of one deployment, since its first weight.
        config: whose criteria, conditions and metrics are asked.
    """
    asked = Asked(Question(config, observed.baseline))
    notes = not_observed(observed, asked)
    stretches: list[StretchReplay] = []
    count = 0
    for number, segment in enumerate(observed.segments):
        phase = _phase(observed, number)
        found = StretchReplay(
            weight=segment.weight, phase=phase, start=segment.start, end=segment.end
        )
        for at in _minutes(segment):
            look = Look(at=at, verdict=judge_observed(until(observed, at, phase), asked))
            count += 1
            found = _with(found, look)
            if look.verdict.verdict == "fail":
                ended = (*stretches, found)
                return Replay(stretches=ended, failed=look, looks=count, notes=notes)
        stretches.append(found)
    return Replay(stretches=tuple(stretches), looks=count, notes=notes)


def not_observed(observed: Observed, asked: Asked) -> tuple[str, ...]:
    """What is asked of an observation that did not ask it, and how it is judged instead."""
    names = asked.names()
    missing = [name for name in names if all(one.metric != name for one in observed.series)]
    counts = [name for name in missing if name.startswith(SLOWER_THAN)]
    notes = [f"{name}: was not observed: no data" for name in missing if name not in counts]
    if counts:
        notes.append(
            f"{', '.join(counts)}: how many requests were so slow was not counted; where a limit "
            "needs it, the minutes' own percentiles are compared instead, which proves less. "
            "--deployment with --criteria reads it from CloudWatch"
        )
    compared = [
        one.metric
        for one in asked.criteria.criteria
        if one.against != "limit" and not one.optional and observed.before(one.metric) is None
    ]
    notes += [
        f"{name}: what it was before the deployment was not observed"
        for name in dict.fromkeys(compared)
    ]
    return tuple(notes)


def until(observed: Observed, at: datetime, phase: Phase) -> Observed:
    """What was known of an observation after the minute that ended at `at`."""
    segments = tuple(
        segment.model_copy(update={"end": min(segment.end, at)})
        for segment in observed.segments
        if segment.start < at
    )
    series = tuple(
        one.model_copy(
            update={"minutes": tuple(minute for minute in one.minutes if minute.at + MINUTE <= at)}
        )
        for one in observed.series
    )
    return observed.model_copy(
        update={"end": at, "phase": phase, "segments": segments, "series": series}
    )


def _minutes(segment: Segment) -> Iterator[datetime]:
    at = segment.start + MINUTE
    while at <= segment.end:
        yield at
        at += MINUTE


def _phase(observed: Observed, number: int) -> Phase:
    """After promotion the last stretch is the watch, and those before it are the steps."""
    if observed.phase == "post" and number + 1 < len(observed.segments):
        return "during"
    return observed.phase


def _with(found: StretchReplay, look: Look) -> StretchReplay:
    passed = found.passed_at or (look.at if look.verdict.verdict == "pass" else None)
    return found.model_copy(update={"last": look, "passed_at": passed})
