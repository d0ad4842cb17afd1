"""What each metric name means: its unit, which way is worse, where its numbers come from.

A metric's value in one minute is made of parts, each one statistic of one CloudWatch metric. The
same value is written down twice: as CloudWatch metric math, for the alarm, and as Python, for the
judge. That both agree is a property test.

Slots: a metric that names something of one slot (its target group, its ECS service, itself) has
a value for each slot; the others belong to the whole service.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Unit = Literal["ratio", "ms", "percent", "per minute", "count", "score", "currency"]
Worse = Literal["up", "down"]
Shape = Literal["proportion", "latency", "gauge", "flow", "mean", "sum"]
"""How a metric is judged: events among requests, a percentile of requests, a level in a minute, a
rate in a minute, a mean of samples, a sum since the candidate's first traffic."""

Parts = Mapping[str, float]
"""One minute's raw numbers by part id; what CloudWatch did not have is absent."""

BALANCER, CONTAINERS, DATABASES = "AWS/ApplicationELB", "ECS/ContainerInsights", "AWS/RDS"
BUSINESS = "Greenlane/Business"

REQUEST_FLOOR = 20
"""Requests in a minute below which a share or a percentile of them says nothing."""


PLACEHOLDERS = ("service", "slot", "cluster", "ecs_service", "target_group", "load_balancer")
"""What a dimension's value, or a Prometheus query, may hold in braces."""

_PLACEHOLDER = re.compile(rf"\{{({'|'.join(PLACEHOLDERS)})\}}")

OF_A_FLAG = ("flag", "variant", "environment")
"""What a dimension's value may hold besides, of a metric that an application reports by variant.
Only the conditions of feature flags can name such a metric."""

OF_A_SLOT = frozenset({"slot", "ecs_service", "target_group", "variant"})
"""The placeholders whose value differs between the slots, or between those who have a flag and
those who do not: these are compared as slots are."""

VALUES: Mapping[str, str] = MappingProxyType(
    {
        "LoadBalancer": "{load_balancer}",
        "TargetGroup": "{target_group}",
        "ClusterName": "{cluster}",
        "ServiceName": "{ecs_service}",
        "Service": "{service}",
        "Slot": "{slot}",
    }
)
"""The value of each dimension, unless a part has its own."""

VALUE = "value"
"""The part that is the value itself, of a metric that CloudWatch or Prometheus computes."""


@dataclass(frozen=True)
class Part:
    """One statistic of one CloudWatch metric; the values of `dimensions` are filled in later.

    `values` are those of dimensions that `VALUES` does not know, or that differ from it.
    """

    namespace: str
    metric: str
    statistic: str
    dimensions: tuple[str, ...]
    values: Mapping[str, str] = field(default_factory=dict, hash=False)

    def filled(self, places: Mapping[str, str]) -> dict[str, str]:
        """Its dimensions, with each placeholder replaced.

        Raises:
            KeyError: a dimension has no value, or a placeholder none in `places`.
        """
        return {
            name: filled(self.values.get(name) or VALUES[name], places) for name in self.dimensions
        }

    @property
    def per_slot(self) -> bool:
        """Whether each slot has a value of its own."""
        return any(of_a_slot(self.values.get(it) or VALUES.get(it, "")) for it in self.dimensions)


def filled(text: str, places: Mapping[str, str]) -> str:
    """A text with its placeholders replaced; other braces stay, as PromQL has them.

    Raises:
        KeyError: a placeholder has no value in `places`.
    """
    return _PLACEHOLDER.sub(lambda found: places[found[1]], text) if "{" in text else text


def of_a_slot(text: str) -> bool:
    """Whether a text holds a placeholder whose value differs between the slots."""
    return any(f"{{{name}}}" in text for name in OF_A_SLOT)


@dataclass(frozen=True)
class Metric:
    """One metric that criteria, triggers and alerts may name.

    Args:
        name: as it is written in YAML.
        shape: how it is judged.
        unit: of its values, and of the limits that users write.
        worse: the direction that harms.
        parts: by id.
        math: its value in a minute, as CloudWatch metric math over the part ids.
        value: the same in Python; None where the minute has no value.
        samples: the id of the part that counts its samples, where it has one.
        minutes: how many minutes in a row an alarm needs at least, see ADR 0012.
        cumulative: it counts since the candidate's first traffic, which no alarm can.
        computed: CloudWatch computes it from `math`; a minute then has the part `value`, and those
            that count its samples.
        promql: the Prometheus query that gives its value, as the part `value`; no alarm can.
        promql_samples: the query that counts its samples, as the part `n`.
        lacks: what its owner has to declare before it can be read.
    """

    name: str
    shape: Shape
    unit: Unit
    worse: Worse
    parts: Mapping[str, Part]
    math: str
    value: Callable[[Parts], float | None]
    samples: str | None = None
    minutes: int = 1
    cumulative: bool = False
    aliases: tuple[str, ...] = field(default=())
    computed: bool = False
    promql: str | None = None
    promql_samples: str | None = None
    lacks: str = ""

    @property
    def per_slot(self) -> bool:
        """Whether each slot has a value of its own."""
        return any(part.per_slot for part in self.parts.values()) or of_a_slot(self.promql or "")

    @property
    def alarmable(self) -> bool:
        """Whether a CloudWatch alarm can watch it."""
        return bool(self.parts) and not self.cumulative and not self.lacks


_GROUP = ("LoadBalancer", "TargetGroup")
_SERVICE = ("ClusterName", "ServiceName")
_PRODUCT = ("Service", "Slot")


def _balancer(metric: str, statistic: str = "Sum") -> Part:
    return Part(BALANCER, metric, statistic, _GROUP)


REQUESTS = _balancer("RequestCount")
ERROR_PARTS = {
    "r": REQUESTS,
    "c2": _balancer("HTTPCode_Target_2XX_Count"),
    "c3": _balancer("HTTPCode_Target_3XX_Count"),
    "c4": _balancer("HTTPCode_Target_4XX_Count"),
    "c5": _balancer("HTTPCode_Target_5XX_Count"),
    "k": _balancer("TargetConnectionErrorCount"),
}


def _certain_errors(parts: Parts) -> float | None:
    if "r" not in parts:
        return None
    if parts["r"] < REQUEST_FLOOR:
        return 0.0
    return (parts.get("c5", 0.0) + parts.get("k", 0.0)) / parts["r"]


def _all_errors(parts: Parts) -> float | None:
    if "r" not in parts:
        return None
    if parts["r"] < REQUEST_FLOOR:
        return 0.0
    answered = sum(parts.get(part, 0.0) for part in ("c2", "c3", "c4", "c5"))
    missing = max(parts["r"] - answered, parts.get("k", 0.0))
    return (parts.get("c5", 0.0) + missing) / parts["r"]


def _percentile(name: str, floor: int) -> Metric:
    statistic = name.rsplit("_", 1)[1]

    def value(parts: Parts) -> float | None:
        if "r" not in parts:
            return None
        if parts["r"] < floor:
            return 0.0
        return 1000 * parts["p"] if "p" in parts else None

    return Metric(
        name,
        "latency",
        "ms",
        "up",
        {"r": REQUESTS, "p": _balancer("TargetResponseTime", statistic)},
        # In this order: a minute without `p` is dropped by a false condition, not by a true one.
        f"IF(r < {floor}, 0, 1000 * p)",
        value,
        samples="r",
    )


def _one(part: str) -> Callable[[Parts], float | None]:
    return lambda parts: parts.get(part)


def _share(part: str, whole: str) -> Callable[[Parts], float | None]:
    """Percent of a reservation; none where nothing is reserved."""

    def value(parts: Parts) -> float | None:
        if part not in parts or not parts.get(whole):
            return None
        return 100 * parts[part] / parts[whole]

    return value


def _usage(name: str, metric: str) -> Metric:
    parts = {
        "u": Part(CONTAINERS, f"{metric}Utilized", "Average", _SERVICE),
        "v": Part(CONTAINERS, f"{metric}Reserved", "Average", _SERVICE),
    }
    # Never below 0: it drops the minutes without `u`, which would count as 0.
    math = "IF(u < 0, 0, 100 * u / v)"
    return Metric(name, "gauge", "percent", "up", parts, math, _share("u", "v"))


def _business(
    name: str, shape: Shape, unit: Unit, worse: Worse, statistic: str, *, cumulative: bool = False
) -> Metric:
    parts = {
        "b": Part(BUSINESS, name, statistic, _PRODUCT),
        "n": Part(BUSINESS, name, "SampleCount", _PRODUCT),
    }
    return Metric(
        name, shape, unit, worse, parts, "b", _one("b"), samples="n", cumulative=cumulative
    )


CERTAIN_ERRORS = Metric(
    "certain_error_rate",
    "proportion",
    "ratio",
    "up",
    {part: ERROR_PARTS[part] for part in ("r", "c5", "k")},
    f"IF(r >= {REQUEST_FLOOR}, (FILL(c5, 0) + FILL(k, 0)) / r, 0)",
    _certain_errors,
    samples="r",
)
"""What failed for certain; `error_rate` also counts requests without an answer."""

MOST_HEALTHY = Metric(
    "most_healthy_hosts",
    "gauge",
    "count",
    "down",
    {"h": _balancer("HealthyHostCount", "Maximum")},
    "h",
    _one("h"),
)
"""Below 1 where no node of the balancer saw a healthy target at any time of the minute."""

DATABASE_CONNECTIONS = "database_connections"
"""Has a value only with a declared pool, see `declared.of_pool`."""

_KNOWN = (
    Metric(
        "error_rate",
        "proportion",
        "ratio",
        "up",
        ERROR_PARTS,
        f"IF(r >= {REQUEST_FLOOR}, (FILL(c5, 0) + MAX([r - (FILL(c2, 0) + FILL(c3, 0)"
        " + FILL(c4, 0) + FILL(c5, 0)), FILL(k, 0)])) / r, 0)",
        _all_errors,
        samples="r",
        minutes=2,
    ),
    _percentile("response_time_p50", 20),
    _percentile("response_time_p95", 20),
    _percentile("response_time_p99", 100),
    Metric("throughput", "flow", "per minute", "down", {"r": REQUESTS}, "r", _one("r"), "r"),
    Metric(
        "connection_errors",
        "flow",
        "per minute",
        "up",
        {"k": ERROR_PARTS["k"]},
        "k",
        _one("k"),
    ),
    Metric(
        "unhealthy_hosts",
        "gauge",
        "count",
        "up",
        {"h": _balancer("UnHealthyHostCount", "Maximum")},
        "h",
        _one("h"),
    ),
    Metric(
        "healthy_hosts",
        "gauge",
        "count",
        "down",
        {"h": _balancer("HealthyHostCount", "Minimum")},
        "h",
        _one("h"),
    ),
    _usage("cpu_usage", "Cpu"),
    _usage("memory_usage", "Memory"),
    _usage("disk_usage", "EphemeralStorage"),
    Metric(
        DATABASE_CONNECTIONS,
        "gauge",
        "percent",
        "up",
        {"d": Part(DATABASES, "DatabaseConnections", "Maximum", ("DBInstanceIdentifier",))},
        "100 * d / {pool}",
        lambda parts: None,
        lacks="service.database: its instance and its pool_maximum are not declared",
    ),
    _business("conversion_rate", "proportion", "ratio", "down", "Average"),
    _business("user_satisfaction", "mean", "score", "down", "Average"),
    _business("page_load_time", "mean", "ms", "up", "Average"),
    _business("revenue", "sum", "currency", "down", "Sum"),
    _business("user_complaints", "sum", "count", "up", "Sum", cumulative=True),
)

CATALOGUE: Mapping[str, Metric] = {metric.name: metric for metric in _KNOWN}
"""By name."""
