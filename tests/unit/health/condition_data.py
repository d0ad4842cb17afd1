"""Random expressions and minutes for the tests of conditions, and the minutes both ways."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from greenlane.health.alarm_definitions import places_of
from greenlane.health.catalogue import CATALOGUE, Metric, Part
from greenlane.health.expressions import And, Comparison, Expression, Not, Or, Predicate
from greenlane.health.observed import MINUTE, Minute, Series
from greenlane.health.rules import expand, metrics_of
from greenlane.local.cloudwatch_store import MetricStore, metric_key
from tests.builders import workload

END = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WORKLOAD = workload()
PLACES = places_of(WORKLOAD, "green")

WATCHED: tuple[str, ...] = tuple(
    name for name, metric in CATALOGUE.items() if metric.alarmable and not metric.lacks
)

Published = dict[tuple[str, str], dict[int, tuple[float, ...]]]
"""Values by namespace and metric, and by age in minutes, 1 being the last."""

_OF_A_MINUTE: dict[str, st.SearchStrategy[tuple[float, ...]]] = {
    "RequestCount": st.sampled_from([(1.0,), (19.0,), (20.0,), (21.0,), (100.0,), (101.0,)]),
    "HTTPCode_Target_2XX_Count": st.sampled_from([(0.0,), (10.0,), (19.0,), (95.0,), (100.0,)]),
    "HTTPCode_Target_3XX_Count": st.sampled_from([(0.0,), (1.0,)]),
    "HTTPCode_Target_4XX_Count": st.sampled_from([(0.0,), (1.0,), (5.0,)]),
    "HTTPCode_Target_5XX_Count": st.sampled_from([(0.0,), (1.0,), (5.0,), (6.0,), (100.0,)]),
    "TargetConnectionErrorCount": st.sampled_from([(0.0,), (1.0,), (5.0,), (100.0,)]),
    "TargetResponseTime": st.lists(
        st.sampled_from([0.0, 0.1, 1.5, 2.0, 2.5, 5.0]), min_size=1, max_size=4
    ).map(tuple),
}
_ANY = st.lists(st.sampled_from([0.0, 1.0, 2.0, 4.5, 80.0, 90.0]), min_size=1, max_size=3)

AGES = 8
"""How many minutes back anything is published."""


def needed(tree: Expression) -> tuple[Metric, ...]:
    """The metrics that an expression looks at."""
    return tuple(metrics_of(expand(tree)).values())


@st.composite
def published(draw: st.DrawFn, metrics: tuple[Metric, ...]) -> Published:
    """What the slot has published; minutes are missing at random, some metrics wholly."""
    data: Published = {}
    names = {(part.namespace, part.metric) for one in metrics for part in one.parts.values()}
    for namespace, name in sorted(names):
        of_a_minute = _OF_A_MINUTE.get(name, _ANY.map(tuple))
        minutes = draw(st.lists(st.none() | of_a_minute, min_size=AGES, max_size=AGES))
        data[namespace, name] = {
            age: values for age, values in enumerate(minutes, 1) if values is not None
        }
    return data


@st.composite
def cases(draw: st.DrawFn) -> tuple[Expression, Published]:
    """An expression, and what was published of the metrics that it looks at."""
    tree = draw(expressions())
    return tree, draw(published(needed(tree)))


def limits(metric: str) -> st.SearchStrategy[Decimal]:
    """Limits at, and around, the values that occur."""
    if metric == "error_rate":
        texts = ["0", "0.01", "0.05", "0.5", "1", "-1"]
    elif metric.startswith("response_time"):
        texts = ["0", "100", "1500", "2000", "4999.5"]
    else:
        texts = ["-1", "0", "1", "4.5", "20", "80", "89.9", "100"]
    return st.sampled_from(texts).map(Decimal)


@st.composite
def comparisons(draw: st.DrawFn, metrics: tuple[str, ...] = WATCHED) -> Comparison:
    """One comparison, with or without `for`."""
    metric = draw(st.sampled_from(metrics))
    minutes = draw(st.sampled_from([1, 1, 2, 3, 5]))
    return Comparison(
        metric,
        draw(st.sampled_from([">", ">=", "<", "<="])),
        draw(limits(metric)),
        draw(st.integers(1, minutes)),
        minutes,
    )


def expressions(metrics: tuple[str, ...] = WATCHED) -> st.SearchStrategy[Expression]:
    """Trees of at most a dozen conditions."""
    leaves = st.one_of(comparisons(metrics), st.just(Predicate("system_unavailable")))
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            inner.map(Not),
            st.lists(inner, min_size=2, max_size=3).map(lambda parts: And(tuple(parts))),
            st.lists(inner, min_size=2, max_size=3).map(lambda parts: Or(tuple(parts))),
        ),
        max_leaves=6,
    )


def store_of(data: Published, metrics: tuple[Metric, ...]) -> MetricStore:
    """The local cloud's metric store, with what was published."""
    store = MetricStore()
    parts = {(part.namespace, part.metric): part for one in metrics for part in one.parts.values()}
    for name, part in parts.items():
        for age, values in data[name].items():
            datum: dict[str, Any] = {
                "MetricName": part.metric,
                "Dimensions": _dimensions(part),
                "Timestamp": END - age * MINUTE,
                "Values": list(values),
            }
            store.put(part.namespace, datum, int(END.timestamp()))
    return store


def _dimensions(part: Part) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in part.filled(PLACES).items()]


def series_from(store: MetricStore, metrics: tuple[Metric, ...]) -> dict[str, Series]:
    """The minutes as the product reads them: each part one statistic of the store."""
    times = range(int(END.timestamp()) - AGES * 60, int(END.timestamp()), 60)
    found = {}
    for metric in metrics:
        minutes: dict[int, dict[str, float]] = {}
        for name, part in metric.parts.items():
            key = metric_key(part.namespace, part.metric, _dimensions(part))
            for at, value in store.series(key, part.statistic, times, 60).items():
                minutes.setdefault(at, {})[name] = value
        found[metric.name] = Series(
            metric=metric.name,
            slot="green" if metric.per_slot else None,
            minutes=tuple(
                Minute(at=datetime.fromtimestamp(at, UTC), parts=parts)
                for at, parts in sorted(minutes.items())
            ),
        )
    return found
