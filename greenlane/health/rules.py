"""What an expression means: single watches over minutes, and how they are joined.

An expression is expanded once; the alarms and the product's own verdict both come from the result,
so they mean the same. Two words of the grammar stand for more than one watch:

* `error_rate > x for M/N`: what failed for certain (5xx, refused) in M of N minutes, or everything
  that failed, requests without an answer included, in at least 2 minutes in a row: ADR 0012 says
  why a single minute cannot tell the latter.
* `system_unavailable`: no healthy target for a whole minute in which, or shortly before which,
  requests came; or every request failing.

`not` moves inwards to the watches. A watch that must not be red is OK, so where nothing is known
(a new alarm is neither) nothing starts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeAlias

from greenlane.health.catalogue import CATALOGUE, CERTAIN_ERRORS, MOST_HEALTHY, Metric
from greenlane.health.expressions import (
    And,
    Comparison,
    Expression,
    Not,
    Operator,
    Or,
    Predicate,
)

ERRORS, REQUESTS = CATALOGUE["error_rate"], CATALOGUE["throughput"]
REQUESTS_WITHIN = 5
"""In one of how many minutes requests must have come for a slot without healthy targets to be
missed: a slot that starts, or one without traffic, has none either."""


@dataclass(frozen=True)
class Watch:
    """One metric against one number: one alarm.

    `red` says whether it must be in ALARM, at least `matched` of the last `minutes` minutes with a
    value, or OK.
    """

    metric: Metric
    operator: Operator
    limit: Decimal
    matched: int = 1
    minutes: int = 1
    red: bool = True

    @property
    def text(self) -> str:
        """When it is red."""
        comparison = Comparison(
            self.metric.name, self.operator, self.limit, self.matched, self.minutes
        )
        return str(comparison)


@dataclass(frozen=True)
class AllOf:
    """Each of the parts."""

    parts: "tuple[Rule, ...]"


@dataclass(frozen=True)
class AnyOf:
    """At least one of the parts."""

    parts: "tuple[Rule, ...]"


Rule: TypeAlias = Watch | AllOf | AnyOf


def expand(tree: Expression, metrics: Mapping[str, Metric] = CATALOGUE) -> Rule:
    """The watches of an expression, joined as it joins them.

    Args:
        tree: as `greenlane.health.expressions.parse` gives it.
        metrics: the same that it was parsed with.
    """
    match tree:
        case Not():
            return opposite(expand(tree.part, metrics))
        case And():
            return AllOf(tuple(expand(part, metrics) for part in tree.parts))
        case Or():
            return AnyOf(tuple(expand(part, metrics) for part in tree.parts))
        case Predicate():
            return _unavailable()
        case Comparison():
            return _compared(tree, metrics[tree.metric])


def opposite(rule: Rule) -> Rule:
    """True exactly where the rule is not, once each of its watches is known to be red or OK."""
    match rule:
        case Watch():
            return replace(rule, red=not rule.red)
        case AllOf():
            return AnyOf(tuple(opposite(part) for part in rule.parts))
        case AnyOf():
            return AllOf(tuple(opposite(part) for part in rule.parts))


def watches(rule: Rule) -> Iterator[Watch]:
    """All of its watches, from left to right."""
    if isinstance(rule, Watch):
        yield rule
    else:
        for part in rule.parts:
            yield from watches(part)


def metrics_of(rule: Rule) -> dict[str, Metric]:
    """By name, the metrics whose minutes it needs."""
    return {watch.metric.name: watch.metric for watch in watches(rule)}


def without_data(rule: Rule) -> bool:
    """Whether it is true where there is no data at all, as on a slot without traffic."""
    match rule:
        case Watch():
            return not rule.red
        case AllOf():
            return all(without_data(part) for part in rule.parts)
        case AnyOf():
            return any(without_data(part) for part in rule.parts)


def _compared(comparison: Comparison, metric: Metric) -> Rule:
    watch = Watch(
        metric, comparison.operator, comparison.limit, comparison.matched, comparison.minutes
    )
    if metric is ERRORS:
        return _error_rate(watch)
    if watch.matched < metric.minutes:
        return _in_a_row(watch)
    return watch


def _in_a_row(watch: Watch) -> Watch:
    """As many minutes as asked for, at least as many as the metric needs, one after the other."""
    minutes = max(watch.matched, watch.metric.minutes)
    return replace(watch, matched=minutes, minutes=minutes)


def _error_rate(watch: Watch) -> Rule:
    certain = replace(watch, metric=CERTAIN_ERRORS)
    if watch.operator in (">", ">="):
        return AnyOf((certain, _in_a_row(watch)))
    # Low is the same statement denied: not certainly high, and not high for minutes in a row.
    high: Operator = ">=" if watch.operator == "<" else ">"
    return AllOf((certain, replace(_in_a_row(replace(watch, operator=high)), red=False)))


def _unavailable() -> Rule:
    one, nothing = Decimal(1), Decimal(0)
    served = Watch(REQUESTS, ">", nothing, 1, REQUESTS_WITHIN)
    return AnyOf(
        (
            AllOf((Watch(MOST_HEALTHY, "<", one), served)),
            _error_rate(Watch(ERRORS, ">=", one)),
        )
    )
