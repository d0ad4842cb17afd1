"""What a dashboard shows of a service's criteria, whoever draws it. Pure; no I/O."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

from greenlane.deployments.model import Slot
from greenlane.health.alarm_definitions import SLOTS
from greenlane.health.catalogue import Metric
from greenlane.health.criteria import Criteria
from greenlane.health.expressions import parse
from greenlane.health.rules import Watch, expand, watches

ALWAYS = ("throughput", "error_rate", "response_time_p95")
"""Shown whatever is declared: nothing is understood without the traffic."""


class Line(NamedTuple):
    """One limit, in the metric's unit, and who set it."""

    label: str
    value: Decimal


class Panel(NamedTuple):
    """One metric of both slots, or of the whole service, with its limits.

    `compared` says which limits are no number: those against the live slot, or the time before.
    """

    metric: Metric
    lines: tuple[Line, ...]
    compared: tuple[str, ...]

    @property
    def slots(self) -> tuple[Slot | None, ...]:
        """Whose values it shows."""
        return SLOTS if self.metric.per_slot else (None,)

    @property
    def title(self) -> str:
        """The metric's name, its unit, and what it is compared with."""
        return ", ".join((f"{self.metric.name} ({self.metric.unit})", *self.compared))


def panels(criteria: Criteria, metrics: Mapping[str, Metric]) -> tuple[Panel, ...]:
    """One panel for each metric that criteria and conditions name, in a fixed order."""
    lines: dict[str, dict[Line, None]] = {}
    compared: dict[str, dict[str, None]] = {}
    for name in ALWAYS:
        lines[name], compared[name] = {}, {}
    for criterion in criteria.criteria:
        limits = lines.setdefault(criterion.metric, {})
        words = compared.setdefault(criterion.metric, {})
        if criterion.against == "limit":
            limits[Line("limit", criterion.limit)] = None
        else:
            permitted = (100 * criterion.limit).normalize()
            words[f"at most {permitted:f} % worse than {criterion.against}"] = None
    for role, watch in _watched(criteria, metrics):
        compared.setdefault(watch.metric.name, {})
        lines.setdefault(watch.metric.name, {})[Line(role, watch.limit)] = None
    return tuple(
        Panel(metrics[name], tuple(limits), tuple(compared[name]))
        for name, limits in lines.items()
        if name in metrics and not metrics[name].lacks
    )


def _watched(criteria: Criteria, metrics: Mapping[str, Metric]) -> Iterator[tuple[str, Watch]]:
    for condition in criteria.conditions:
        for watch in watches(expand(parse(condition.expression, metrics), metrics)):
            # Parts of a predicate, which nobody wrote, are no metrics of the catalogue.
            if watch.red and watch.metric.name in metrics:
                yield condition.role, watch
