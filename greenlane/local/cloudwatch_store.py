"""The metric store: what was published, by minute, and the statistics over it."""

import math
import re
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from greenlane.local.metric_math import Series

RETENTION_SECONDS = 15 * 24 * 3600
"""How long points are kept: CloudWatch's 15 days for one-minute data."""

SIMPLE_STATISTICS = ("Sum", "SampleCount", "Minimum", "Maximum", "Average")

_TRIMMED = re.compile(r"(TC|PR)\((\d*\.?\d*):(\d*\.?\d*)\)")

MetricKey = tuple[str, str, frozenset[tuple[str, str]]]
"""Namespace, metric name and dimensions: together a metric's identity."""


@dataclass
class Samples:
    """Values published for one metric, unit and moment.

    `values` has each value's count; it is None once a statistic set without its values was added,
    and then there are no percentiles, as in CloudWatch.
    """

    count: float = 0.0
    total: float = 0.0
    low: float = float("inf")
    high: float = float("-inf")
    values: Counter[float] | None = field(default_factory=Counter)

    def add(self, value: float, count: float) -> None:
        """Add a value that was seen `count` times."""
        self.add_set(count, value * count, value, value, keeps_values=True)
        if self.values is not None:
            self.values[value] += count  # type: ignore[assignment]

    def add_set(
        self, count: float, total: float, low: float, high: float, keeps_values: bool = False
    ) -> None:
        """Add a statistic set."""
        self.count += count
        self.total += total
        self.low, self.high = min(self.low, low), max(self.high, high)
        if not keeps_values:
            self.values = None

    def statistic(self, name: str) -> float | None:
        """A statistic by CloudWatch's name (`Sum`, `p95`); None where there is none."""
        simple = {
            "Sum": self.total,
            "SampleCount": self.count,
            "Minimum": self.low,
            "Maximum": self.high,
        }
        if name in simple:
            return simple[name]
        if name == "Average":
            return self.total / self.count if self.count else None
        trimmed = bounds(name)
        if trimmed is not None:
            return self._between(name[:2], *trimmed)
        return self._percentile(percentile_rank(name) or 0.0)

    def _between(self, kind: str, low: float, high: float) -> float | None:
        """How many samples (TC), or which percent of them (PR), lie above `low` up to `high`."""
        if not self.values:
            return None
        within = sum(count for value, count in self.values.items() if low < value <= high)
        return float(within) if kind == "TC" else 100 * within / self.values.total()

    def _percentile(self, rank: float) -> float | None:
        """The smallest value that `rank` (ratio 0..1) of all samples do not exceed."""
        if not self.values:
            return None
        wanted = rank * self.values.total()
        seen = 0.0
        value = 0.0
        for value in sorted(self.values):
            seen += self.values[value]
            if seen >= wanted - 1e-9:
                break
        return value


def bounds(statistic: str) -> tuple[float, float] | None:
    """The bounds of a trimmed count such as `TC(2:)` or `PR(:0.3)`; None if it is none.

    Bounds that are percentiles are not known here.
    """
    match = _TRIMMED.fullmatch(statistic)
    if match is None or match[2] == match[3] == "":
        return None
    return float(match[2] or -math.inf), float(match[3] or math.inf)


def percentile_rank(statistic: str) -> float | None:
    """The ratio 0..1 of a statistic such as `p95` or `p99.9`; None if it is no percentile."""
    digits = statistic[1:]
    if statistic[:1] != "p" or not digits.replace(".", "", 1).isdigit():
        return None
    return float(digits) / 100


class MetricStore:
    """All metrics of one region; safe to use from several threads."""

    def __init__(self) -> None:
        """See the class."""
        self._lock = threading.Lock()
        self._metrics: dict[MetricKey, dict[int, dict[tuple[int, str], Samples]]] = {}

    def put(self, namespace: str, datum: dict[str, Any], now: int) -> None:
        """Add one entry of PutMetricData's `MetricData`; `now` is its time if it has none.

        A point belongs to the minute it falls in, or to its second with StorageResolution 1.
        """
        stamp = datum.get("Timestamp")
        second = int(stamp.timestamp()) if stamp is not None else now
        if int(datum.get("StorageResolution") or 60) >= 60:
            second -= second % 60
        moment = second, str(datum.get("Unit") or "None")
        key = metric_key(namespace, datum["MetricName"], datum.get("Dimensions"))
        with self._lock:
            minutes = self._metrics.setdefault(key, {})
            samples = minutes.setdefault(second - second % 60, {}).setdefault(moment, Samples())
            _add(samples, datum)
            for old in [minute for minute in minutes if minute < now - RETENTION_SECONDS]:
                del minutes[old]

    def series(
        self,
        key: MetricKey,
        statistic: str,
        times: Sequence[int],
        period: int,
        unit: str | None = None,
    ) -> Series:
        """A statistic for each period beginning at `times`; periods without data are absent.

        Raises:
            ValueError: the statistic is not known here.
        """
        known = statistic in SIMPLE_STATISTICS or bounds(statistic) is not None
        if not known and percentile_rank(statistic) is None:
            raise ValueError(f"the local CloudWatch does not know the statistic {statistic!r}")
        found: Series = {}
        with self._lock:
            minutes = self._metrics.get(key, {})
            for at in times:
                merged = _merge(_within(minutes, at, at + period, unit))
                value = merged.statistic(statistic) if merged is not None else None
                if value is not None:
                    found[at] = value
        return found

    def unit(self, key: MetricKey) -> str:
        """The unit last published for a metric."""
        with self._lock:
            minutes = self._metrics.get(key, {})
            return next((unit for last in list(minutes)[-1:] for _, unit in minutes[last]), "None")

    def metrics(self) -> list[MetricKey]:
        """Every metric, in the order of first publication."""
        with self._lock:
            return list(self._metrics)


def metric_key(namespace: str, name: str, dimensions: Sequence[dict[str, str]] | None) -> MetricKey:
    """A metric's identity from the members that AWS requests carry."""
    pairs = frozenset((one["Name"], one["Value"]) for one in dimensions or [])
    return namespace, name, pairs


def _add(samples: Samples, datum: dict[str, Any]) -> None:
    statistics = datum.get("StatisticValues")
    if statistics:
        samples.add_set(
            float(statistics["SampleCount"]),
            float(statistics["Sum"]),
            float(statistics["Minimum"]),
            float(statistics["Maximum"]),
        )
        return
    values = datum.get("Values") or [datum["Value"]]
    counts = datum.get("Counts") or [1.0] * len(values)
    for value, count in zip(values, counts, strict=True):
        samples.add(float(value), float(count))


def _within(
    minutes: dict[int, dict[tuple[int, str], Samples]], start: int, end: int, unit: str | None
) -> Iterator[Samples]:
    for minute in range(start - start % 60, end, 60):
        for (second, given), samples in minutes.get(minute, {}).items():
            if start <= second < end and unit in (None, given):
                yield samples


def _merge(parts: Iterator[Samples]) -> Samples | None:
    merged: Samples | None = None
    for part in parts:
        merged = merged or Samples()
        exact = part.values is not None
        merged.add_set(part.count, part.total, part.low, part.high, keeps_values=exact)
        if merged.values is not None and part.values is not None:
            merged.values.update(part.values)
    return merged
