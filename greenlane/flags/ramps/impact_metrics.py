"""The metrics of a flag's conditions: of the whole service, and by variant. Pure; no I/O.

A service runs in two slots. Its users see both, so a metric that each slot has is joined: counts
add up, a mean or a percentile is weighted by its samples, and a level such as the CPU by the slot's
requests: a slot that only stands by has no part in it. (Of a percentile that is an estimate; as
long as one slot serves, it is the slot's own.)

A metric that is declared with `{flag}` and `{variant}` among its dimensions is reported by the
application for those who have the flag and for those who do not. What a deployment compares
between its slots is compared between these two.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from greenlane.flags.ramps.guards import Guard
from greenlane.health.catalogue import BALANCER, VALUE, Metric, Part
from greenlane.health.declared import BY_VARIANT
from greenlane.health.observed import Minute, Series

ON, OFF = "@on", "@off"
"""Ends of the names under which a metric by variant is read."""

Combine = Callable[[Sequence[tuple[float, float]]], float]


@dataclass(frozen=True)
class ByVariant:
    """One metric of those who have a flag, and of those who have not."""

    on: Metric
    off: Metric


def by_variant(metric: Metric) -> bool:
    """Whether an application reports it for each variant of a flag."""
    return metric.lacks == BY_VARIANT


def of_flag(metric: Metric, guard: Guard) -> ByVariant:
    """A metric by variant, for both variants of one flag."""
    return ByVariant(
        on=replace(_filled(metric, guard, guard.on), name=f"{metric.name}{ON}"),
        off=replace(_filled(metric, guard, guard.off), name=f"{metric.name}{OFF}"),
    )


def of_those_who_have_it(metric: Metric, guard: Guard) -> Metric:
    """A metric by variant as an alarm reads it."""
    return _filled(metric, guard, guard.on)


def names_environment(metric: Metric) -> bool:
    """Whether a metric by variant is another one in each environment."""
    values = [value for part in metric.parts.values() for value in part.values.values()]
    return any("{environment}" in text for text in (*values, metric.promql or ""))


def _filled(metric: Metric, guard: Guard, variant: str) -> Metric:
    places = {
        "{flag}": guard.flag,
        "{variant}": variant,
        "{environment}": guard.environment,
    }

    def fill(text: str) -> str:
        for place, value in places.items():
            text = text.replace(place, value)
        return text

    return replace(
        metric,
        parts={
            name: replace(part, values={key: fill(value) for key, value in part.values.items()})
            for name, part in metric.parts.items()
        },
        promql=None if metric.promql is None else fill(metric.promql),
        promql_samples=None if metric.promql_samples is None else fill(metric.promql_samples),
        lacks="",
    )


def needs_traffic(metric: Metric) -> bool:
    """Whether nothing counts the samples of what each slot has, so that its requests have to."""
    return metric.per_slot and metric.samples is None and metric.shape == "gauge"


def joined(metric: Metric, given: Sequence[Series], traffic: Sequence[Series] = ()) -> Series:
    """The series of both slots as one of the whole service.

    Args:
        metric: whose they are.
        given: of each slot, or the one of the whole service.
        traffic: the throughput of each slot, where the metric `needs_traffic`.
    """
    asked = {
        (one.slot, minute.at): minute.parts.get("r", 0.0)
        for one in traffic
        for minute in one.minutes
    }
    troubles = [one.trouble or "read in part" for one in given if not one.complete]
    at: dict[datetime, list[tuple[Mapping[str, float], float]]] = {}
    for one in given:
        for minute in one.minutes:
            samples = minute.parts.get(metric.samples or "", asked.get((one.slot, minute.at), 0.0))
            at.setdefault(minute.at, []).append((minute.parts, samples))
    return Series(
        metric=metric.name,
        minutes=tuple(
            Minute(at=moment, parts=dict(_together(metric, at[moment]))) for moment in sorted(at)
        ),
        complete=bool(given) and not troubles,
        trouble=troubles[0] if troubles else "" if given else "not read",
    )


def _together(
    metric: Metric, slots: Sequence[tuple[Mapping[str, float], float]]
) -> Iterator[tuple[str, float]]:
    """The parts of a minute of each slot, with their weights, as one."""
    if len(slots) == 1:
        yield from slots[0][0].items()
        return
    for name in dict.fromkeys(part for parts, _ in slots for part in parts):
        known = [(parts[name], weight) for parts, weight in slots if name in parts]
        yield name, _combined(metric, name)(known)


def _combined(metric: Metric, name: str) -> Combine:
    part = metric.parts.get(name)
    counts = name == metric.samples or metric.promql_samples is not None and name == "n"
    if counts or (part is not None and _adds_up(part)):
        return lambda known: math.fsum(value for value, _ in known)
    if part is None and name == VALUE and metric.shape in ("flow", "sum"):
        return lambda known: math.fsum(value for value, _ in known)
    if part is not None and part.statistic == "Maximum":
        return lambda known: max(value for value, _ in known)
    if part is not None and part.statistic == "Minimum":
        return lambda known: min(value for value, _ in known)
    return _weighted


def _adds_up(part: Part) -> bool:
    """Counts do, and so do the targets of two target groups, whatever the statistic."""
    hosts = part.namespace == BALANCER and part.metric.endswith("HostCount")
    return hosts or part.statistic in ("Sum", "SampleCount")


def _weighted(known: Sequence[tuple[float, float]]) -> float:
    """The mean by samples; where nothing counts them, of both slots alike."""
    whole = math.fsum(weight for _, weight in known)
    if whole <= 0:
        return math.fsum(value for value, _ in known) / len(known)
    return math.fsum(value * weight for value, weight in known) / whole
