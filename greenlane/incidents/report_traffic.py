"""What both slots did before, while and after the new version had traffic. Pure; no I/O.

Errors are counted as the judge counts them, by the same rule: answers of 5xx, and over a window
also requests that nobody answered, less what may be in flight at its end.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from greenlane.deployments.model import Slot
from greenlane.health.judge import count_errors, weighted_median_p95, without_late
from greenlane.health.metrics import METRIC_LAG, MINUTE, MinuteOfTraffic
from greenlane.incidents.report_model import (
    Affected,
    Evidence,
    Minute,
    PhaseNumbers,
    SlotNumbers,
)
from greenlane.incidents.report_timeline import Milestones
from greenlane.incidents.wording import count_of, ratio_as_percent, time_of

BEFORE = timedelta(minutes=30)
"""How long before the deployment's start the window begins."""

AFTER = timedelta(minutes=15)
"""How long after its end the window ends."""

LONGEST = timedelta(hours=24)
"""At most so much is read; of a longer deployment the last part."""

ENOUGH = 20
"""Fewer requests than this say nothing about a version's usual error rate."""

Minutes = Sequence[MinuteOfTraffic]


def window(
    started_at: datetime, ended_at: datetime | None, now: datetime
) -> tuple[datetime, datetime]:
    """The span whose metrics a report shows: whole minutes, at most `LONGEST`, up to `now`.

    Returns:
        Its start and its end, in whole minutes; the end is not part of it.
    """
    end = now if ended_at is None else min(ended_at + AFTER, now)
    end = end.replace(second=0, microsecond=0)
    start = (started_at - BEFORE).replace(second=0, microsecond=0)
    return max(start, end - LONGEST), end


def phases(evidence: Evidence, times: Milestones) -> tuple[PhaseNumbers, ...]:
    """The numbers of each phase in the window; a minute at an edge belongs to `during`.

    Without traffic for the new version everything is `before`.
    """
    start, end, traffic = evidence.window_start, evidence.window_end, evidence.traffic
    if start is None or end is None or traffic is None:
        return ()
    since, until = times.traffic_from, times.traffic_until or times.promoted_at
    spans: list[tuple[Literal["before", "during", "after"], datetime, datetime]] = []
    if since is None:
        spans = [("before", start, end)]
    else:
        first, last = _floor(since), min(_ceiling(until) if until else end, end)
        spans = [("before", start, first), ("during", first, last), ("after", last, end)]
    return tuple(
        PhaseNumbers(
            name=name,
            start=begin,
            end=finish,
            slots=tuple(
                _numbers(slot, _between(traffic.get(slot, ()), begin, finish), evidence.as_of)
                for slot in (evidence.plan.live, evidence.plan.candidate)
            ),
        )
        for name, begin, finish in spans
        if finish > begin
    )


def _floor(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _ceiling(moment: datetime) -> datetime:
    floor = _floor(moment)
    return floor if floor == moment else floor + MINUTE


def _between(minutes: Minutes, start: datetime, end: datetime) -> list[MinuteOfTraffic]:
    return [minute for minute in minutes if start <= minute.at < end]


def _is_open(minutes: Minutes, as_of: datetime) -> bool:
    """Whether the last minute had just ended, so that answers to its requests may be missing."""
    return bool(minutes) and as_of < minutes[-1].at + 2 * MINUTE + METRIC_LAG


def _numbers(slot: Slot, minutes: Minutes, as_of: datetime) -> SlotNumbers:
    known = without_late(minutes)
    requests, p95 = sum(minute.requests for minute in known), weighted_median_p95(known)
    errors = sum(count_errors(known, still_open=_is_open(known, as_of))) if requests else 0
    return SlotNumbers(
        slot=slot,
        minutes=len(known),
        requests=requests,
        errors=errors,
        error_rate=round(errors / requests, 6) if requests else None,
        p95_ms=round(float(p95), 1) if p95 is not None else None,
    )


def minutes_of(evidence: Evidence) -> tuple[Minute, ...]:
    """Both slots' minutes as one list, oldest first, the old version's before the new one's."""
    found = []
    for slot in (evidence.plan.live, evidence.plan.candidate):
        known = without_late((evidence.traffic or {}).get(slot, ()))
        errors = count_errors(known, still_open=_is_open(known, evidence.as_of))
        found += [
            Minute(
                at=minute.at,
                slot=slot,
                requests=minute.requests,
                errors=count if minute.requests else 0,
                p95_ms=round(float(minute.p95_ms), 1) if minute.p95_ms is not None else None,
            )
            for minute, count in zip(known, errors, strict=True)
        ]
    return tuple(sorted(found, key=lambda minute: (minute.at, minute.slot != evidence.plan.live)))


def affected(evidence: Evidence, times: Milestones) -> Affected | None:
    """How many requests failed because they met the new version; None when nobody can tell.

    Its requests, times how much larger its error rate was than the old version's in the same
    time, or before where the old one had too few requests then.
    """
    if evidence.traffic is None:
        return None
    plan, since = evidence.plan, times.traffic_from
    if since is None:
        return _nobody()
    start, end = evidence.window_start or since, evidence.window_end or evidence.as_of
    first = max(_floor(since), start)
    ours = _between(evidence.traffic.get(plan.candidate, ()), first, end)
    new = _numbers(plan.candidate, ours, evidence.as_of)
    live = evidence.traffic.get(plan.live, ())
    until = _ceiling(times.traffic_until) if times.traffic_until else end
    same_time = _numbers(plan.live, _between(live, first, until), evidence.as_of)
    before = _numbers(plan.live, _between(live, start, first), evidence.as_of)
    reference, where = _reference(same_time, before)
    excess = max((new.error_rate or 0.0) - reference, 0.0)
    requests = round(new.requests * excess)
    return Affected(
        requests=requests,
        candidate_requests=new.requests,
        candidate_errors=new.errors,
        candidate_error_rate=new.error_rate or 0.0,
        reference_error_rate=reference,
        formula=(
            f"{count_of(new.requests)} requests to the new version since {time_of(first)} UTC, of "
            f"which {ratio_as_percent(new.error_rate or 0.0)} failed, less the "
            f"{ratio_as_percent(reference)} {where}: {count_of(new.requests)} × "
            f"{ratio_as_percent(round(excess, 6))} = {count_of(requests)} failed requests. These "
            "are requests, not people: nobody counted how many each person sent"
        ),
    )


def _reference(same_time: SlotNumbers, before: SlotNumbers) -> tuple[float, str]:
    if same_time.requests >= ENOUGH and same_time.error_rate is not None:
        return same_time.error_rate, "that failed on the old version in the same time"
    if before.requests >= ENOUGH and before.error_rate is not None:
        return before.error_rate, "that failed on the old version before"
    return 0.0, "assumed for the old version, which had too few requests to tell"


def _nobody() -> Affected:
    return Affected(
        requests=0,
        candidate_requests=0,
        candidate_errors=0,
        candidate_error_rate=0.0,
        reference_error_rate=0.0,
        formula="the new version never had traffic",
    )
