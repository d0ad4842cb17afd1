"""Response times as counts: how many requests were slower than a threshold.

"p95 is at most 2000 ms" says the same as "at most 5 percent of the requests took more than
2000 ms". The second is a proportion, with all requests as its sample, and so it has an exact test;
a minute's p95 is one number that does not say how sure it is. CloudWatch counts it: `PR(2:)` is the
percentage of values above 2 seconds.

Against the live slot the threshold is what the percentile was before the deployment. Where the
candidate may be 10 percent slower, its requests are counted above 1.1 times that threshold: if all
its response times are 1.1 times the live ones, both slots then count alike.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType

from greenlane.health.catalogue import BALANCER, Metric, Part, Parts, Shape
from greenlane.health.criteria import Criterion
from greenlane.health.observed import Baseline

NEGLIGIBLE = 0.02
"""A relative worsening of response times or gauges that no test may fail a version for."""

CLEARLY_WORSE: Mapping[Shape, float] = MappingProxyType({"proportion": 1.0})
"""Relative worsening since the baseline that no daily cycle explains within an hour."""

CLEARLY_WORSE_ELSE = 0.25
"""The same of all other shapes."""

NEGLIGIBLE_MS = 10.0
"""Fewer milliseconds more are nobody's trouble, however many percent they are of a few."""

SLOWER_THAN = "slower_than_"
"""How the names begin of what counts slow requests."""

_DIMENSIONS = ("LoadBalancer", "TargetGroup")


def slow_metrics(
    criteria: Iterable[Criterion],
    baseline: Iterable[Baseline],
    metrics: Mapping[str, Metric],
) -> tuple[Metric, ...]:
    """What has to be read besides the criteria's own metrics, so that response times can be judged.

    Args:
        criteria: of all phases.
        baseline: what was read before the deployment; thresholds must not change in its course.
        metrics: by name.
    """
    before = {known.metric: known.value for known in baseline}
    found: dict[str, Metric] = {}
    for criterion in criteria:
        metric = metrics.get(criterion.metric)
        if metric is None or not counts_slow(metric):
            continue
        for threshold in _thresholds(metric, criterion, before.get(criterion.metric)):
            slow = slower_than(threshold)
            found[slow.name] = slow
    return tuple(found.values())


def slower_than(threshold: float) -> Metric:
    """The share of requests slower than a threshold in ms."""
    rounded = round(threshold, 1)
    parts = {
        "n": Part(BALANCER, "TargetResponseTime", "SampleCount", _DIMENSIONS),
        "s": Part(BALANCER, "TargetResponseTime", f"PR({rounded / 1000:.10g}:)", _DIMENSIONS),
    }
    return Metric(
        name_of(rounded), "proportion", "ratio", "up", parts, "s / 100", _share, samples="n"
    )


def name_of(threshold: float) -> str:
    """The name of the metric that counts requests slower than a threshold in ms."""
    return f"{SLOWER_THAN}{round(threshold, 1):g}ms"


def counts_slow(metric: Metric) -> bool:
    """Whether a metric is a percentile of the balancer's response times."""
    part = metric.parts.get("p")
    return metric.shape == "latency" and part is not None and part.namespace == BALANCER


def permitted_slow(metric: Metric) -> float:
    """The share of requests that may be slower than the percentile's limit."""
    return round(1 - float(metric.parts["p"].statistic.lstrip("p")) / 100, 10)


def margin(limit: Decimal) -> float:
    """The relative worsening that is permitted, which is never nothing at all."""
    return max(float(limit), NEGLIGIBLE)


def slower(base: float, permitted: float) -> float:
    """Up to how many ms a version that may be so much slower than `base` ms is fine."""
    return max(base * (1 + permitted), base + NEGLIGIBLE_MS)


def alone(metric: Metric, permitted: float) -> float:
    """What is permitted against the baseline where no live slot serves in the same minutes.

    Then nothing tells a worse version from another time of day.
    """
    return max(permitted, CLEARLY_WORSE.get(metric.shape, CLEARLY_WORSE_ELSE))


def _thresholds(metric: Metric, criterion: Criterion, before: Decimal | None) -> tuple[float, ...]:
    if criterion.against == "limit":
        return (float(criterion.limit),)
    if before is None or before <= 0:
        return ()
    base = float(before)
    permitted = margin(criterion.limit)
    return base, slower(base, permitted), slower(base, alone(metric, permitted))


def _share(parts: Parts) -> float | None:
    return parts["s"] / 100 if "s" in parts and parts.get("n") else None
