"""Which minutes a judgement looks at, and what the live slot was like before them."""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from greenlane.deployments.model import Plan, Record, Shift, Slot
from greenlane.deployments.phases import Phase
from greenlane.deployments.workload import Workload
from greenlane.health.catalogue import BALANCER, Metric
from greenlane.health.criteria import Phase as Stage
from greenlane.health.metrics import METRIC_LAG, MINUTE, whole_minutes
from greenlane.health.observed import Baseline, Minute, Observed, Segment, Series
from greenlane.health.reading import read_series
from greenlane.runtime import Runtime

BASELINE_MINUTES = 5


def segments(plan: Plan, record: Record, now: datetime) -> tuple[Segment, ...]:
    """The whole minutes under one weight each, since the first shift; the watch is one of its own.

    All of them: tests that begin anew would spend their level anew. In the extended watch only
    what came after promotion.

    A shift's propagation is left out, and so are minutes whose metrics may not be there yet. The
    present weight's stretch is there even while it is empty: nothing of an earlier one may pass
    for it.
    """
    shifts = record.shifts
    if record.phase is Phase.WATCHING:  # a day long: the steps have been judged
        shifts = ()
    if record.promoted_at is not None:
        shifts = (*shifts, Shift(at=record.promoted_at, weight=record.weight))
    if not shifts:
        shifts = (Shift(at=record.shifted_at or record.started_at, weight=record.weight),)
    known = now - METRIC_LAG
    ends = [*(later.at for later in shifts[1:]), known]
    return tuple(
        Segment(start=first, end=max(first, last), weight=shift.weight)
        for shift, until in zip(shifts, ends, strict=True)
        for first, last in [
            whole_minutes(shift.at + plan.config.deployment.propagation, min(until, known))
        ]
        if shift.weight > 0 and (last > first or shift is shifts[-1])
    )


def observe(
    runtime: Runtime,
    plan: Plan,
    record: Record,
    metrics: Iterable[Metric],
    *,
    baseline: Sequence[Baseline] = (),
) -> Observed:
    """Everything that one judgement looks at, by one read; nothing is read before a whole minute.

    Args:
        runtime: the clients and the clock.
        plan: what was planned.
        record: where the deployment stands.
        metrics: what the criteria name, of `declared.known_metrics`.
        baseline: what the live slot was like before the deployment, as `read_baseline` gave it.
    """
    now = runtime.clock.now()
    judged = segments(plan, record, now)
    end = (now - METRIC_LAG).replace(second=0, microsecond=0)
    start = judged[0].start if judged else end
    series: tuple[Series, ...] = ()
    if any(segment.end > segment.start for segment in judged):
        asked = list(metrics)
        counts_on = record.shifts and any(metric.cumulative for metric in asked)
        series = read_series(
            runtime,
            plan.workload,
            asked,
            # What adds up does so since the first traffic, also after promotion.
            start=whole_minutes(record.shifts[0].at, end)[0] if counts_on else start,
            end=end,
            prometheus_endpoint=plan.config.monitoring.prometheus_endpoint,
        )
    return Observed(
        candidate=plan.candidate,
        live=plan.live,
        phase=_phase(record),
        start=start,
        end=end,
        segments=judged,
        series=series,
        baseline=tuple(baseline),
    )


def _phase(record: Record) -> Stage:
    if record.promoted_at is None:
        return "during"
    return "extended" if record.phase is Phase.WATCHING else "post"


def read_baseline(
    runtime: Runtime,
    workload: Workload,
    live: Slot,
    metrics: Iterable[Metric],
    *,
    minutes: int = BASELINE_MINUTES,
    prometheus_endpoint: str | None = None,
) -> tuple[Baseline, ...]:
    """What the live slot was in the last whole minutes: one read, of the past.

    Nothing is waited for. Where minutes are missing, see `missing`, a caller that has time may
    read again a minute later.
    """
    end = (runtime.clock.now() - METRIC_LAG).replace(second=0, microsecond=0)
    known = {metric.name: metric for metric in metrics}
    series = read_series(
        runtime,
        workload,
        known.values(),
        start=end - minutes * MINUTE,
        end=end,
        prometheus_endpoint=prometheus_endpoint,
        cloudwatch=runtime.cloudwatch_quick,
    )
    return tuple(
        summarise(known[one.metric], one, minutes) for one in series if one.slot in (live, None)
    )


def missing(baseline: Iterable[Baseline], minutes: int = BASELINE_MINUTES) -> tuple[str, ...]:
    """The metrics whose baseline has fewer than `minutes` minutes."""
    return tuple(known.metric for known in baseline if known.minutes < minutes)


def summarise(metric: Metric, series: Series, minutes: int) -> Baseline:
    """The baseline of a metric from its series over `minutes` minutes.

    What came in part is no baseline: it has no value and no minutes. That nothing was reported is
    told apart from it.
    """
    if not series.complete:
        return Baseline(metric=metric.name, value=None, minutes=0)
    found = _summary(metric, series, minutes)
    return found.model_copy(update={"nothing": found.value is None})


def _summary(metric: Metric, series: Series, minutes: int) -> Baseline:
    if metric.shape == "proportion":
        return _proportion(metric, series)
    values = [
        (value, minute.parts.get(metric.samples or "", 0.0))
        for minute in series.minutes
        if (value := metric.value(minute.parts)) is not None
    ]
    if metric.shape == "latency":
        # 0 is what a minute has with too few requests for a percentile.
        values = [(value, samples) for value, samples in values if value > 0]
    samples = round(sum(samples for _, samples in values))
    counted = len(values)
    if values and _zero_is_absent(metric):
        counted = minutes
    return Baseline(
        metric=metric.name,
        value=_exact(_typical(metric, values, counted)),
        minutes=counted,
        samples=samples,
    )


def _typical(metric: Metric, values: Sequence[tuple[float, float]], minutes: int) -> float | None:
    """The median of percentiles, the mean over samples of a mean, the mean a minute of others."""
    if not values:
        return None
    plain = [value for value, _ in values]
    if metric.shape == "latency":
        return statistics.median(plain)
    samples = sum(count for _, count in values)
    if metric.shape == "mean" and samples:
        return sum(value * count for value, count in values) / samples
    return sum(plain) / minutes


def _proportion(metric: Metric, series: Series) -> Baseline:
    """The ratio over all samples: of the sums where its parts are sums, else of the minutes."""
    counting = metric.samples or ""
    if metric.parts and all(part.statistic == "Sum" for part in metric.parts.values()):
        # Over all minutes, answers that came in the minute after their request are not missing.
        total: Counter[str] = Counter()
        for minute in series.minutes:
            total.update(minute.parts)
        whole = [Minute(at=series.minutes[0].at, parts=dict(total))] if series.minutes else []
    else:
        whole = list(series.minutes)
    shares = [
        (value, one.parts.get(counting, 0.0))
        for one in whole
        if (value := metric.value(one.parts)) is not None
    ]
    samples = sum(count for _, count in shares)
    if not samples:
        plain = [value for value, _ in shares]
        ratio = sum(plain) / len(plain) if plain and not counting else None
        return Baseline(metric=metric.name, value=_exact(ratio), minutes=len(plain))
    events = sum(value * count for value, count in shares)
    return Baseline(
        metric=metric.name,
        value=_exact(events / samples),
        minutes=len(series.minutes),
        samples=round(samples),
        events=round(events),
    )


def _zero_is_absent(metric: Metric) -> bool:
    """Whether a minute without a point had none of it: so the balancer counts."""
    return metric.shape == "flow" and all(
        part.namespace == BALANCER and part.statistic == "Sum" for part in metric.parts.values()
    )


def _exact(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(repr(value))
