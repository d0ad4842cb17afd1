"""Ways to judge the same minutes, each asked after every minute: pass, hold or fail."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal

from benchmarks.judgement.mann_whitney import worse_by
from benchmarks.judgement.services import ServiceMinute, SlotMinute
from greenlane.deployments.model import Slot, VerdictName
from greenlane.health.catalogue import CATALOGUE
from greenlane.health.criteria import Criteria, Criterion
from greenlane.health.observed import MINUTE, Baseline, Minute, Observed, Segment, Series
from greenlane.health.slowness import slow_metrics
from greenlane.health.verdicts import judge

Judge = Callable[[Sequence[ServiceMinute]], VerdictName]

ERROR_LIMIT = 0.01
P95_LIMIT_MS = 2000.0
"""The limits of the specification."""

MORE_ERRORS = Decimal("0.5")
SLOWER = Decimal("0.05")
"""Permitted relative worsening against the live slot."""

CONSECUTIVE = 3
KAYENTA_PASS, KAYENTA_MARGINAL = 95.0, 75.0

CRITERIA = Criteria(
    criteria=(
        Criterion(metric="error_rate", limit=Decimal("0.01")),
        Criterion(metric="error_rate", against="live", limit=MORE_ERRORS),
        Criterion(metric="response_time_p95", limit=Decimal(2000)),
        Criterion(metric="response_time_p95", against="live", limit=SLOWER),
    )
)


class Greenlane:
    """The judge of this repository, with the p95 of the five minutes before."""

    def __init__(self, p95_before: float) -> None:
        self._baseline = (
            Baseline(metric="response_time_p95", value=Decimal(f"{p95_before:.1f}"), minutes=5),
        )
        self._slow = slow_metrics(CRITERIA.criteria, self._baseline, CATALOGUE)
        self.thresholds = tuple(
            float(metric.name.removeprefix("slower_than_").removesuffix("ms"))
            for metric in self._slow
        )

    def __call__(self, minutes: Sequence[ServiceMinute]) -> VerdictName:
        """The verdict after the last of the minutes."""
        return judge(self.observed(minutes), CRITERIA).verdict

    def observed(self, minutes: Sequence[ServiceMinute]) -> Observed:
        """The minutes as they would have been read."""
        series = []
        sides: tuple[tuple[Slot, Callable[[ServiceMinute], SlotMinute]], ...] = (
            ("green", _candidate),
            ("blue", _live),
        )
        for slot, get in sides:
            slots = [(minute, get(minute)) for minute in minutes]
            given = [(minute.at, each) for minute, each in slots if each.requests]
            errors = [
                _parts(at, r=each.requests, c2=each.requests - each.errors, c5=each.errors)
                for at, each in given
            ]
            times = [_parts(at, r=each.requests, p=(each.p95_ms or 0) / 1000) for at, each in given]
            series += [
                _series("error_rate", slot, errors),
                _series("response_time_p95", slot, times),
            ]
            for threshold, metric in zip(self.thresholds, self._slow, strict=True):
                counts = [
                    _parts(at, n=each.requests, s=100 * each.slow[threshold] / each.requests)
                    for at, each in given
                ]
                series.append(_series(metric.name, slot, counts))
        return Observed.model_construct(
            candidate="green",
            live="blue",
            phase="during",
            start=minutes[0].at,
            end=minutes[-1].at + MINUTE,
            segments=_segments(minutes),
            series=tuple(series),
            baseline=self._baseline,
        )


def fixed_thresholds(minutes: Sequence[ServiceMinute]) -> VerdictName:
    """Fail once one minute is beyond a limit, as the specification's loop does."""
    return "fail" if _beyond(minutes[-1].candidate) else "pass"


def consecutive_failures(minutes: Sequence[ServiceMinute]) -> VerdictName:
    """Fail once three measurements in a row are beyond a limit."""
    last = minutes[-CONSECUTIVE:]
    failed = len(last) == CONSECUTIVE and all(_beyond(minute.candidate) for minute in last)
    return "fail" if failed else "pass"


def kayenta(minutes: Sequence[ServiceMinute]) -> VerdictName:
    """Mann-Whitney on the minutes' values of both slots, scored, at the end of each step."""
    classified = []
    for get in (_error_rate, _p95):
        ours = [value for minute in minutes if (value := get(minute.candidate)) is not None]
        theirs = [value for minute in minutes if (value := get(minute.live)) is not None]
        if ours and theirs:
            classified.append(not worse_by(ours, theirs))
    if not classified:
        return "fail"  # Half of the metrics without data or more fail a judgement.
    score = 100 * sum(classified) / len(classified)
    return "pass" if score >= KAYENTA_PASS else "hold" if score >= KAYENTA_MARGINAL else "fail"


def _candidate(minute: ServiceMinute) -> SlotMinute:
    return minute.candidate


def _live(minute: ServiceMinute) -> SlotMinute:
    return minute.live


def _error_rate(slot: SlotMinute) -> float | None:
    return slot.errors / slot.requests if slot.requests else None


def _p95(slot: SlotMinute) -> float | None:
    return slot.p95_ms


def _beyond(slot: SlotMinute) -> bool:
    if not slot.requests:
        return False
    return slot.errors / slot.requests > ERROR_LIMIT or (slot.p95_ms or 0.0) > P95_LIMIT_MS


def _parts(at: datetime, **parts: float) -> Minute:
    return Minute.model_construct(at=at, parts=parts)


def _series(metric: str, slot: Slot, minutes: list[Minute]) -> Series:
    return Series.model_construct(
        metric=metric, slot=slot, minutes=tuple(minutes), complete=True, trouble=""
    )


def _segments(minutes: Sequence[ServiceMinute]) -> tuple[Segment, ...]:
    found: dict[int, list[ServiceMinute]] = {}
    for minute in minutes:
        found.setdefault(minute.step, []).append(minute)
    return tuple(
        Segment.model_construct(start=step[0].at, end=step[-1].at + MINUTE, weight=step[0].weight)
        for step in found.values()
    )
