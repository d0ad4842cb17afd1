"""Whether an expression is true over observed minutes, exactly as its alarms would say.

The alarms treat missing data as not breaching. CloudWatch looks at some datapoints more than it
needs, and where some of the last are missing it takes older ones instead: so do we.
"""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.health.catalogue import CATALOGUE, CERTAIN_ERRORS, Metric
from greenlane.health.expressions import Expression
from greenlane.health.observed import MINUTE, Series
from greenlane.health.rules import AllOf, AnyOf, Rule, Watch, expand, metrics_of, watches

SPARE_DATAPOINTS = 2
"""How many older minutes may stand in for missing ones. AWS publishes no number and shows 2 in its
examples."""

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}

Minutes = Mapping[str, Series]
"""Series by the name of their metric, all of one slot or of the whole service."""


class Finding(StoredModel):
    """What an expression came to.

    Attributes:
        true: things are as it says.
        complete: all minutes that it needs were read; otherwise nothing is known for sure.
        reason: the watches that are red, with their latest values, or why it is not complete.
    """

    true: bool
    complete: bool = True
    reason: str = ""


def evaluate(
    tree: Expression,
    series: Minutes,
    end: datetime,
    metrics: Mapping[str, Metric] = CATALOGUE,
) -> Finding:
    """The expression's value after the minute that ended at `end`.

    Args:
        tree: the expression.
        series: the minutes of each of `metrics_of`; what a slot has not reported is absent.
            Those of a cumulative metric begin with the candidate's first traffic.
        end: on a whole minute; later minutes are not looked at.
        metrics: the same that it was parsed with.
    """
    rule = expand(tree, metrics)
    unread = [
        f"{name}: {found.trouble or 'read in part'}" if found else f"{name}: not read"
        for name, metric in metrics_of(rule).items()
        if not ((found := series_of(metric, series)) and found.complete)
    ]
    true = holds(rule, series, end)
    red = {watch.text: _latest(watch, series, end) for watch in watches(rule) if watch.red}
    said = [f"{text} ({latest})" for text, latest in red.items() if latest]
    return Finding(
        true=true,
        complete=not unread,
        reason="; ".join(unread or (said if true else ())),
    )


def holds(rule: Rule, series: Minutes, end: datetime) -> bool:
    """Whether a rule is true after the minute that ended at `end`."""
    match rule:
        case Watch():
            return is_red(rule, series, end) is rule.red
        case AllOf():
            return all(holds(part, series, end) for part in rule.parts)
        case AnyOf():
            return any(holds(part, series, end) for part in rule.parts)


def is_red(watch: Watch, series: Minutes, end: datetime) -> bool:
    """Whether a watch's alarm would be in ALARM."""
    values = _values(watch, series, end)
    if watch.metric.cumulative:
        known = [value for value in values if value is not None]
        return bool(known) and _breaches(watch, math.fsum(known))
    points = [None if value is None else _breaches(watch, value) for value in values]
    return m_of_n(points, watch.matched, watch.minutes)


def m_of_n(points: Sequence[bool | None], matched: int, minutes: int) -> bool:
    """Whether at least `matched` of the last `minutes` datapoints that exist breach.

    Args:
        points: of the whole evaluation range, spare ones included, oldest first; None is missing.
        matched: M, `DatapointsToAlarm`.
        minutes: N, `EvaluationPeriods`.
    """
    real = [point for point in points if point is not None]
    return sum(real[-minutes:]) >= matched


def series_of(metric: Metric, series: Minutes) -> Series | None:
    """The minutes of a metric; what failed for certain is part of the error rate's."""
    found = series.get(metric.name)
    if found is None and metric is CERTAIN_ERRORS:
        return series.get("error_rate")
    return found


def _values(watch: Watch, series: Minutes, end: datetime) -> list[float | None]:
    """The values of the evaluation range, oldest first; of a cumulative metric, of all minutes."""
    found = series_of(watch.metric, series)
    known = {minute.at: minute.parts for minute in found.minutes} if found else {}
    if watch.metric.cumulative:
        return [_value(watch.metric, known[at]) for at in sorted(known) if at < end]
    ages = range(watch.minutes + SPARE_DATAPOINTS, 0, -1)
    return [_value(watch.metric, known.get(end - age * MINUTE)) for age in ages]


def _value(metric: Metric, parts: Mapping[str, float] | None) -> float | None:
    value = None if parts is None else metric.value(parts)
    return value if value is not None and math.isfinite(value) else None


def _breaches(watch: Watch, value: float) -> bool:
    return _COMPARE[watch.operator](value, float(watch.limit))


def _latest(watch: Watch, series: Minutes, end: datetime) -> str:
    """The latest value of a watch that is red, as text; nothing for one that is not."""
    if not is_red(watch, series, end):
        return ""
    known = [value for value in _values(watch, series, end) if value is not None]
    if watch.metric.cumulative:
        return f"{math.fsum(known):g} so far"
    return ", ".join(f"{value:g}" for value in known[-watch.minutes :])
