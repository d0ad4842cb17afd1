"""What a judgement asks: each limit with its role, its comparison and the file it came from.

Roles by precedence: a trigger or a critical alert goes back now; a success criterion that is
proven missed goes back at once too, one that is not yet shown holds; a warning tells people.
Two files may give limits for one metric: each keeps its role, and within one role the stricter
wins.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Literal

from pydantic import Field

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.health.catalogue import CATALOGUE, Metric

Role = Literal["trigger", "critical", "success", "warning"]
ConditionRole = Literal["trigger", "critical", "warning"]
Against = Literal["limit", "live", "baseline"]
Phase = Literal["during", "post", "extended"]
"""From the first weight to promotion, the watch after it, the extended watch after that."""

ALL_PHASES: tuple[Phase, ...] = ("during", "post", "extended")
NoData = Literal["hold", "pass", "fail"]


class MetricRules(StoredModel):
    """How one metric is judged, whatever its limits are.

    Attributes:
        min_samples: requests, or samples, or minutes of a gauge, below which nothing is said.
        max_failures: judgements in a row that may find the criterion missed before it fails; 0
            fails at the first. Only for metrics without a sequential test (gauges).
        on_no_data: what a metric without any data means.
        critical: a step needs passing evidence of it, and alone it decides; others join a score
            where one is declared.
        dry_run: judged and shown, never part of the verdict.
        weight: in the score.
    """

    min_samples: int | None = Field(None, ge=1)
    max_failures: int = Field(0, ge=0)
    on_no_data: NoData = "hold"
    critical: bool | None = None
    dry_run: bool = False
    weight: Decimal = Field(Decimal(1), ge=0)


Severity = Literal["CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED"]


class Criterion(StoredModel):
    """One success criterion: the healthy condition of one metric.

    Attributes:
        metric: a name in the catalogue, or one that the user declared.
        against: `limit` compares with the number itself. `live` compares with the live slot in
            the same minutes and `baseline` with the minutes before the deployment; both take
            `limit` as the permitted relative worsening, as a ratio (0.05 = 5 percent).
        limit: in the metric's unit, or that ratio. A value at the limit is healthy.
        phases: in which it counts; triggers and alerts count in all of them.
        source: the file that says so.
        optional: nobody declared it, so where there is nothing to compare with it says nothing.
    """

    metric: str
    against: Against = "limit"
    limit: Decimal
    role: Literal["success"] = "success"
    phases: tuple[Phase, ...] = ALL_PHASES
    source: str = ""
    optional: bool = False


class Condition(StoredModel):
    """A trigger, a critical alert or a warning: an expression that is true when things are bad."""

    expression: str
    role: ConditionRole
    source: str = ""


class Gate(StoredModel):
    """Evidence about the image itself, by digest: `vulnerability_scan`, `security_tests`, ...

    Attributes:
        name: the evidence's; all but `vulnerability_scan` are posted by somebody.
        findings: of the scan, how many there may be at each severity; others are not counted.
        source: the file that asks for it.
    """

    name: str
    findings: dict[Severity, int] = Field(default_factory=dict)
    source: str = ""


class Criteria(StoredModel):
    """Everything that is asked of one service's candidates."""

    criteria: tuple[Criterion, ...] = ()
    conditions: tuple[Condition, ...] = ()
    gates: tuple[Gate, ...] = ()
    rules: dict[str, MetricRules] = Field(default_factory=dict)
    pass_score: Decimal | None = Field(
        None, description="percent; without it every criterion counts by itself"
    )

    def rule(self, metric: str) -> MetricRules:
        """How a metric is judged."""
        return self.rules.get(metric, MetricRules())

    def in_phase(self, phase: Phase) -> "Criteria":
        """What counts in one phase; gates are asked before the first weight only."""
        counted = tuple(one for one in self.criteria if phase in one.phases)
        return self.model_copy(update={"criteria": counted})


def stricter(
    criteria: Iterable[Criterion], metrics: Mapping[str, Metric] = CATALOGUE
) -> tuple[Criterion, ...]:
    """One criterion for each metric, comparison and phase: the stricter of those declared.

    Whether a higher or a lower limit is stricter depends on the metric's direction.
    """
    kept: dict[tuple[str, Against, Phase], Criterion] = {}
    for criterion in criteria:
        known = metrics.get(criterion.metric)
        down = criterion.against == "limit" and known is not None and known.worse == "down"
        for phase in criterion.phases:
            key = criterion.metric, criterion.against, phase
            other = kept.get(key)
            if other is None or (
                criterion.limit > other.limit if down else criterion.limit < other.limit
            ):
                kept[key] = criterion
    return _joined(kept)


def _joined(kept: Mapping[tuple[str, Against, Phase], Criterion]) -> tuple[Criterion, ...]:
    """What holds in several phases as one criterion again."""
    joined: dict[tuple[str, Against, Decimal, str], Criterion] = {}
    for (metric, against, phase), criterion in kept.items():
        key = metric, against, criterion.limit, criterion.source
        before = joined.get(key)
        phases = (*(before.phases if before else ()), phase)
        joined[key] = criterion.model_copy(update={"phases": phases})
    return tuple(joined.values())
