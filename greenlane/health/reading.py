"""The edge of a judgement: everything that it looks at, read at once.

All CloudWatch metrics of both slots and of the service go into one batched `GetMetricData` (for
more than 500 queries, one for each 500), all Prometheus queries into one call of the function that
can reach it. What fails makes its series incomplete, with the trouble named; it never ends the
judgement.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from greenlane.deployments.model import Slot
from greenlane.deployments.workload import Workload
from greenlane.health import prometheus
from greenlane.health.alarm_definitions import SLOTS, places_of
from greenlane.health.catalogue import CATALOGUE, VALUE, Metric, Part, filled
from greenlane.health.cloudwatch_data import MOST_QUERIES, Data, get_data
from greenlane.health.observed import Minute, Series
from greenlane.runtime import Runtime

SAMPLES = "n"
"""The part that counts the samples of a metric from Prometheus."""

_ID = re.compile(r"(?<![\w.])[a-z]\w*")


def read_series(
    runtime: Runtime,
    workload: Workload,
    metrics: Iterable[Metric],
    *,
    start: datetime,
    end: datetime,
    prometheus_endpoint: str | None = None,
    cloudwatch: Any = None,
) -> tuple[Series, ...]:
    """The minutes of each metric in [start, end): of both slots, or of the service as a whole.

    Args:
        runtime: the clients.
        workload: where the service runs.
        metrics: of `declared.known_metrics`; each is read once, whatever asks for it.
        start: a whole minute.
        end: a whole minute.
        prometheus_endpoint: the base address of the service's Prometheus.
        cloudwatch: another client than the usual one.
    """
    wanted = [
        _Wanted(metric, slot)
        for metric in {metric.name: metric for metric in metrics}.values()
        for slot in (SLOTS if metric.per_slot else (None,))
    ]
    found: dict[int, Series] = {
        number: one.series(complete=False, trouble=one.metric.lacks)
        for number, one in enumerate(wanted)
        if one.metric.lacks
    }
    rest = {number: one for number, one in enumerate(wanted) if number not in found}
    of_prometheus = {number: one for number, one in rest.items() if one.metric.promql}
    of_cloudwatch = {number: one for number, one in rest.items() if number not in of_prometheus}
    cloudwatch = cloudwatch or runtime.cloudwatch
    found |= _from_cloudwatch(cloudwatch, workload, of_cloudwatch, start, end)
    found |= _from_prometheus(runtime, workload, of_prometheus, start, end, prometheus_endpoint)
    return tuple(found[number] for number in range(len(wanted)))


@dataclass(frozen=True)
class _Wanted:
    """One series to be read."""

    metric: Metric
    slot: Slot | None

    def series(self, minutes: Sequence[Minute] = (), **more: Any) -> Series:
        return Series(metric=self.metric.name, slot=self.slot, minutes=tuple(minutes), **more)


@dataclass
class _Batch:
    """The queries of one call; a metric that several series need is asked for once."""

    workload: Workload
    queries: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: dict[tuple[str, ...], str] = field(default_factory=dict)
    wanted: dict[int, dict[str, str]] = field(default_factory=dict)

    def takes(self, metric: Metric) -> bool:
        """Whether there is room for all that a metric may need."""
        return len(self.queries) + len(metric.parts) + 1 <= MOST_QUERIES

    def add(self, number: int, one: _Wanted) -> None:
        """Ask for a series."""
        metric = one.metric
        returned = {metric.samples} if metric.computed else set(metric.parts)
        ids = {
            name: self._part(part, one.slot, returned=name in returned)
            for name, part in metric.parts.items()
        }
        if metric.computed:
            computed = self._expression(metric.math, ids)
            ids = {name: id for name, id in ids.items() if name in returned} | {VALUE: computed}
        self.wanted[number] = ids

    def _part(self, part: Part, slot: Slot | None, *, returned: bool) -> str:
        places = places_of(self.workload, slot)
        dimensions = [
            {"Name": name, "Value": value} for name, value in sorted(part.filled(places).items())
        ]
        key = part.namespace, part.metric, part.statistic, str(dimensions)
        if key not in self.asked:
            id = self.asked[key] = f"m{len(self.queries)}"
            metric = {
                "Namespace": part.namespace,
                "MetricName": part.metric,
                "Dimensions": dimensions,
            }
            self.queries[id] = {
                "Id": id,
                "MetricStat": {"Metric": metric, "Period": 60, "Stat": part.statistic},
                "ReturnData": False,
            }
        self.queries[self.asked[key]]["ReturnData"] |= returned
        return self.asked[key]

    def _expression(self, math: str, ids: Mapping[str, str]) -> str:
        text = _ID.sub(lambda found: ids.get(found[0], found[0]), math)
        id = f"e{len(self.queries)}"
        self.queries[id] = {"Id": id, "Expression": text, "Period": 60, "ReturnData": True}
        return id


def _from_cloudwatch(
    cloudwatch: Any,
    workload: Workload,
    wanted: Mapping[int, _Wanted],
    start: datetime,
    end: datetime,
) -> dict[int, Series]:
    found: dict[int, Series] = {}
    for batch in _batches(workload, wanted):
        data = get_data(cloudwatch, list(batch.queries.values()), start=start, end=end)
        own = {number for number in batch.wanted if _is_own(wanted[number].metric)}
        if data.refused and own and len(own) < len(batch.wanted):
            # One wrong metric of a user's must not blind the judge to all the others.
            rest = {number: wanted[number] for number in batch.wanted if number not in own}
            found |= _from_cloudwatch(cloudwatch, workload, rest, start, end)
            batch.wanted = {number: batch.wanted[number] for number in own}
        for number, ids in batch.wanted.items():
            found[number] = _assembled(wanted[number], ids, data)
    return found


def _is_own(metric: Metric) -> bool:
    return CATALOGUE.get(metric.name) is not metric


def _batches(workload: Workload, wanted: Mapping[int, _Wanted]) -> Iterator[_Batch]:
    batch = _Batch(workload)
    for number, one in wanted.items():
        if not batch.takes(one.metric):
            yield batch
            batch = _Batch(workload)
        batch.add(number, one)
    if batch.queries:
        yield batch


def _assembled(one: _Wanted, ids: Mapping[str, str], data: Data) -> Series:
    values = {name: data.values.get(id, {}) for name, id in ids.items()}
    trouble = next((data.troubles[id] for id in ids.values() if id in data.troubles), "")
    return one.series(_minutes(values), complete=not trouble, trouble=trouble)


def _minutes(values: Mapping[str, Mapping[datetime, float]]) -> list[Minute]:
    moments = sorted(set().union(*values.values()))
    return [
        Minute(at=at, parts={name: points[at] for name, points in values.items() if at in points})
        for at in moments
    ]


def _from_prometheus(
    runtime: Runtime,
    workload: Workload,
    wanted: Mapping[int, _Wanted],
    start: datetime,
    end: datetime,
    endpoint: str | None,
) -> dict[int, Series]:
    if not wanted:
        return {}
    if endpoint is None:
        why = "monitoring.prometheus_endpoint is not declared"
        return {number: one.series(complete=False, trouble=why) for number, one in wanted.items()}
    queries = [
        prometheus.Query(id=f"{number}.{name}", promql=filled(text, places_of(workload, one.slot)))
        for number, one in wanted.items()
        for name, text in ((VALUE, one.metric.promql), (SAMPLES, one.metric.promql_samples))
        if text is not None
    ]
    asked = prometheus.Queries(endpoint=endpoint, start=start, end=end, queries=tuple(queries))
    answers = {points.id: points for points in prometheus.ask(runtime, asked).answers}
    return {
        number: _of_points(
            one,
            {
                name: answers.get(f"{number}.{name}", prometheus.Points(id="", trouble="no answer"))
                for name in (VALUE, SAMPLES)
                if name == VALUE or one.metric.promql_samples is not None
            },
        )
        for number, one in wanted.items()
    }


def _of_points(one: _Wanted, parts: Mapping[str, prometheus.Points]) -> Series:
    values = {
        name: {datetime.fromtimestamp(at, UTC): value for at, value in points.points.items()}
        for name, points in parts.items()
    }
    trouble = next((points.trouble for points in parts.values() if points.trouble), "")
    return one.series(_minutes(values), complete=not trouble, trouble=trouble)
