"""Observations as tests need them: some minutes of both slots, every number changeable."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from greenlane.deployments.model import Verdict
from greenlane.health.criteria import Criteria, Criterion, MetricRules
from greenlane.health.observed import Baseline, Minute, Observed, Segment, Series
from tests.builders import NOW

LIVE, CANDIDATE = "blue", "green"

Parts = Mapping[str, float] | None


def at(minute: int) -> datetime:
    return NOW + timedelta(minutes=minute)


def series(metric: str, slot: str | None, parts: Sequence[Parts], **more: Any) -> Series:
    """One minute for each entry; None is a minute of which nothing was reported."""
    minutes = [
        Minute(at=at(number), parts=dict(each))
        for number, each in enumerate(parts)
        if each is not None
    ]
    return Series(metric=metric, slot=slot, minutes=tuple(minutes), **more)


def requests(count: float, errors: float = 0, *, hung: float = 0, refused: float = 0) -> Parts:
    """The parts of an error rate's minute."""
    parts = {"r": count, "c2": count - errors - hung - refused}
    if errors:
        parts["c5"] = errors
    if refused:
        parts["k"] = refused
    return parts


def each(minutes: int, make: Callable[[int], Parts]) -> list[Parts]:
    return [make(number) for number in range(minutes)]


def segments(*lengths: tuple[int, int]) -> tuple[Segment, ...]:
    """Steps without gaps: weight and minutes of each."""
    found, begun = [], 0
    for weight, minutes in lengths:
        found.append(Segment(start=at(begun), end=at(begun + minutes), weight=weight))
        begun += minutes
    return tuple(found)


def observed(*given: Series, steps: Sequence[tuple[int, int]], **more: Any) -> Observed:
    parts = segments(*steps)
    values: dict[str, Any] = {
        "candidate": CANDIDATE,
        "live": LIVE,
        "start": parts[0].start,
        "end": parts[-1].end,
        "segments": parts,
        "series": given,
    }
    return Observed(**values | more)


def criterion(metric: str, limit: float | str, against: str = "limit", **more: Any) -> Criterion:
    return Criterion(metric=metric, limit=Decimal(str(limit)), against=against, **more)


def criteria(*given: Criterion, rules: Mapping[str, Any] | None = None, **more: Any) -> Criteria:
    known = {name: MetricRules(**rule) for name, rule in (rules or {}).items()}
    if given and all(one.metric != "error_rate" for one in given):
        # Tests of other metrics need no evidence of errors.
        known.setdefault("error_rate", MetricRules(critical=False))
    return Criteria(criteria=given, rules=known, **more)


def baseline(metric: str, value: float, **more: Any) -> Baseline:
    return Baseline(
        metric=metric, value=Decimal(str(value)), minutes=more.pop("minutes", 5), **more
    )


def errors(
    ours: float,
    theirs: float = 0,
    *,
    minutes: int = 5,
    count: float = 1_000,
    live_count: float = 9_000,
) -> list[Series]:
    """Both slots' error rates and response times, the same in every minute."""
    found = []
    for slot, every, bad in ((CANDIDATE, count, ours), (LIVE, live_count, theirs)):
        found += [
            series("error_rate", slot, [requests(every, bad)] * minutes),
            series("response_time_p95", slot, [{"r": every, "p": 0.2}] * minutes),
        ]
    return found


def gauge(
    metric: str, ours: Sequence[float | None], theirs: Sequence[float] | None = None
) -> list[Series]:
    found = [series(metric, CANDIDATE, [None if v is None else {"u": v, "v": 100.0} for v in ours])]
    if theirs is not None:
        found.append(series(metric, LIVE, [{"u": value, "v": 100.0} for value in theirs]))
    return found


def slow(
    threshold: float, slot: str, share: float, *, count: float = 1_000, minutes: int = 5
) -> Series:
    """How many percent of the requests were slower than so many ms."""
    return series(
        f"slower_than_{threshold:g}ms", slot, each(minutes, lambda _: {"n": count, "s": share})
    )


def flow(slot: str, values: Sequence[float], metric: str = "throughput", part: str = "r") -> Series:
    return series(metric, slot, [{part: value} for value in values])


def check(verdict: Verdict, name: str) -> Any:
    return next(one for one in verdict.checks if one.name == name)
