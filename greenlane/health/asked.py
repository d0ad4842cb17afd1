"""From what a service declares to what a judgement asks.

>>> criteria_of(plan.config).in_phase("during").criteria
(Criterion(metric='error_rate', against='limit', limit=Decimal('0.01'), ...), ...)

`apply` joins the criteria of all files of a service and keeps them in its configuration; of one
that no `apply` made, they are read from its own sections.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from greenlane.deployments.declaring.config import (
    BusinessMetric,
    JudgeConfig,
    Monitoring,
    ServiceConfig,
)
from greenlane.deployments.declaring.criteria_document import (
    SCAN,
    Alerts,
    GateConfig,
    Limit,
    SuccessCriteria,
)
from greenlane.health.catalogue import Metric
from greenlane.health.criteria import (
    Against,
    Condition,
    ConditionRole,
    Criteria,
    Criterion,
    Gate,
    MetricRules,
    Phase,
    Severity,
    stricter,
)
from greenlane.health.declared import known_metrics, rules_of

DEFAULT = "default"
"""The source of a limit that no file gives."""

_PERFORMANCE = (
    "error_rate",
    "response_time_p50",
    "response_time_p95",
    "response_time_p99",
    "throughput",
)
_HOSTS = ("healthy_hosts", "unhealthy_hosts")

GROUPS: Mapping[str, tuple[str, ...]] = {
    "baseline_performance": _PERFORMANCE,
    "performance": _PERFORMANCE,
    "error_rates": ("error_rate", "connection_errors"),
    "system_health": (
        "cpu_usage",
        "memory_usage",
        "disk_usage",
        "database_connections",
        *_HOSTS,
    ),
    "deployment_progress": _HOSTS,
    "business": ("conversion_rate", "user_satisfaction", "revenue", "user_complaints"),
}
"""Metrics by the name of their group, as `monitoring` may list them."""

ALL_CRITERIA = "all_criteria"

_RELATIVE_TO_LIVE = {
    "throughput_degradation": "throughput",
    "conversion_rate_drop": "conversion_rate",
    "revenue_impact": "revenue",
}
"""Keys whose number is the permitted relative worsening against the live slot, a ratio."""

_COUNTED_IN_REQUESTS = _PERFORMANCE[:4]


_AGAINST_LIVE = tuple(
    Criterion(
        metric=metric, against="live", limit=Decimal(permitted), source=DEFAULT, optional=True
    )
    for metric, permitted in (("error_rate", "0.5"), ("response_time_p95", "0.05"))
)
"""Half as many errors again, and 5 percent slower, are permitted: what `make bench-judge` measures.
A version may be far below the limits and still be much worse than what it replaces."""


def criteria_of(config: ServiceConfig) -> Criteria:
    """Everything that is asked of a service's candidates, each with the file that asks it."""
    if config.criteria is not None:
        return config.criteria
    return join(config, [from_service(config, "")])


def join(config: ServiceConfig, parts: Iterable[Criteria]) -> Criteria:
    """The criteria of several files as one; the stricter wins within one role.

    What nobody could read is left out, see `not_asked`.

    Args:
        config: the composed configuration, for its metrics, rules and defaults.
        parts: of each file, in the order of the files.
    """
    given = list(parts)
    metrics = known_metrics(config.metrics, config.database)
    criteria = [criterion for part in given for criterion in part.criteria]
    criteria += _defaults(criteria)
    if config.judge.against_live:
        compared = {one.metric for one in criteria if one.against == "live"}
        criteria += [one for one in _AGAINST_LIVE if one.metric not in compared]
    readable = [one for one in criteria if not _lacks(one.metric, metrics)]
    conditions = {
        (condition.role, condition.expression): condition
        for part in reversed(given)
        for condition in reversed(part.conditions)
    }
    return Criteria(
        criteria=stricter(readable, metrics),
        conditions=tuple(reversed(conditions.values())),
        gates=_stricter_gates(gate for part in given for gate in part.gates),
        rules=_rules(config, metrics),
        pass_score=config.deployment.pass_score,
    )


def _defaults(declared: Iterable[Criterion]) -> list[Criterion]:
    """The default limits, each in the phases that no declared limit of its metric holds in."""
    limited = {
        (one.metric, phase) for one in declared if one.against == "limit" for phase in one.phases
    }
    found = []
    for one in _judged(JudgeConfig(), DEFAULT):
        left = tuple(phase for phase in one.phases if (one.metric, phase) not in limited)
        if left:
            found.append(one.model_copy(update={"phases": left}))
    return found


def not_asked(config: ServiceConfig, parts: Iterable[Criteria]) -> tuple[str, ...]:
    """Which declared criteria no judgement asks, and why."""
    metrics = known_metrics(config.metrics, config.database)
    said = {}
    for one in (one for part in parts for one in part.criteria):
        lack = _lacks(one.metric, metrics)
        if not lack and not one.phases:
            lack = "monitoring names it in no phase"
        if lack:
            said[one.metric] = f"{one.metric}: not judged; {lack}"
    return tuple(said.values())


def _lacks(name: str, metrics: Mapping[str, Metric]) -> str:
    known = metrics.get(name)
    return f"service.metrics.{name} is not declared" if known is None else known.lacks


def from_service(config: ServiceConfig, source: str) -> Criteria:
    """What the sections under `service:` ask."""
    phases = _Phases(config.monitoring)
    declared = config.judge.model_fields_set
    judged = [one for one in _judged(config.judge, source) if one.metric in declared]
    return Criteria(
        criteria=(
            *judged,
            *_of_groups(config.success_criteria, phases, source),
            *_of_business(config.business_metrics, phases, source),
        ),
        conditions=(
            *_conditions(config.rollback_triggers, "trigger", source),
            *of_alerts(config.alerts, source),
        ),
        gates=tuple(_gates(config.success_criteria.security, source)),
    )


def from_criteria_file(
    success: SuccessCriteria, monitoring: Monitoring, alerts: Alerts, source: str
) -> Criteria:
    """What a file of success criteria asks."""
    return Criteria(
        criteria=tuple(_of_groups(success, _Phases(monitoring), source)),
        conditions=tuple(of_alerts(alerts, source)),
        gates=tuple(_gates(success.security, source)),
    )


def from_canary(
    limits: Mapping[str, Decimal | None],
    business: Iterable[BusinessMetric],
    triggers: Iterable[str],
    monitoring: Monitoring,
    source: str,
) -> Criteria:
    """What a canary file asks; `limits` are absolute, by metric."""
    phases = _Phases(monitoring)
    return Criteria(
        criteria=(
            *(
                Criterion(metric=name, limit=limit, phases=phases.of(name), source=source)
                for name, limit in limits.items()
                if limit is not None
            ),
            *_of_business(business, phases, source),
        ),
        conditions=tuple(_conditions(triggers, "trigger", source)),
    )


def _judged(judge: JudgeConfig, source: str) -> Iterator[Criterion]:
    """What `service.judge` asks; so many connection errors fail, one fewer is healthy."""
    yield Criterion(metric="error_rate", limit=judge.error_rate, source=source)
    yield Criterion(metric="response_time_p95", limit=judge.response_time_p95, source=source)
    if judge.connection_errors is not None:
        # A few a day are normal, so never in the long watch; `error_rate` counts them as well.
        yield Criterion(
            metric="connection_errors",
            limit=Decimal(judge.connection_errors - 1),
            phases=("during", "post"),
            source=source,
        )


class _Phases:
    """In which phases a metric counts, by what one file says under `monitoring`."""

    def __init__(self, monitoring: Monitoring) -> None:
        during, post = monitoring.during_deployment, monitoring.post_deployment
        self._named: dict[Phase, tuple[str, ...]] = {
            "during": during.metrics if during else (),
            "post": post.metrics if post else (),
        }

    def of(self, metric: str) -> tuple[Phase, ...]:
        """Everything counts until the watch ends, and what the balancer sees until the last."""
        found = [phase for phase, names in self._named.items() if _covers(names, metric)]
        if _covers(("performance", "error_rates"), metric):
            found.append("extended")
        return tuple(found)


def _covers(names: tuple[str, ...], metric: str) -> bool:
    return not names or any(
        name in (ALL_CRITERIA, metric) or metric in GROUPS.get(name, ()) for name in names
    )


def _of_groups(success: SuccessCriteria, phases: _Phases, source: str) -> Iterator[Criterion]:
    limits: dict[str, Limit | Decimal] = dict(success.metrics)
    for group in (success.performance, success.business, success.system):
        for key in type(group).model_fields:
            value = getattr(group, key)
            if value is not None:
                limits[key] = value
    for key, value in limits.items():
        metric = _RELATIVE_TO_LIVE.get(key, key)
        against, limit = (
            compared(value) if isinstance(value, Limit) else ("live", abs(Decimal(value)))
        )
        yield Criterion(
            metric=metric, against=against, limit=limit, phases=phases.of(metric), source=source
        )


def compared(limit: Limit) -> tuple[Against, Decimal]:
    """With what a limit compares, and its number or the relative worsening it permits."""
    for against in ("live", "baseline"):
        if limit.comparison is not None and limit.comparison.endswith(f"_{against}"):
            return against, abs(1 - limit.threshold)
    return "limit", limit.threshold


def _of_business(
    metrics: Iterable[BusinessMetric], phases: _Phases, source: str
) -> Iterator[Criterion]:
    """A threshold below 0, or of 0, is a relative change against the live slot."""
    for metric in metrics:
        relative = metric.threshold <= 0
        yield Criterion(
            metric=metric.name,
            against="live" if relative else "limit",
            limit=abs(metric.threshold),
            phases=phases.of(metric.name),
            source=source,
        )


def _conditions(
    expressions: Iterable[str], role: ConditionRole, source: str
) -> Iterator[Condition]:
    for expression in expressions:
        yield Condition(expression=expression, role=role, source=source)


def of_alerts(alerts: Alerts, source: str) -> Iterator[Condition]:
    """Critical alerts and warnings."""
    yield from _conditions(alerts.critical, "critical", source)
    yield from _conditions(alerts.warning, "warning", source)


def _gates(security: Mapping[str, GateConfig], source: str) -> Iterator[Gate]:
    for name, wish in security.items():
        findings: dict[Severity, int] = {}
        if name == SCAN:
            findings = {level: limit for level, limit in _levels(wish).items() if limit is not None}
        yield Gate(name=name, findings=findings, source=source)


def _levels(wish: GateConfig) -> dict[Severity, int | None]:
    return {
        "CRITICAL": wish.critical,
        "HIGH": wish.high,
        "MEDIUM": wish.medium,
        "LOW": wish.low,
        "INFORMATIONAL": wish.informational,
        "UNDEFINED": wish.undefined,
    }


def _stricter_gates(gates: Iterable[Gate]) -> tuple[Gate, ...]:
    """One gate of each name, with the lowest limit at each severity."""
    kept: dict[str, Gate] = {}
    for gate in gates:
        other = kept.get(gate.name)
        if other is not None:
            findings = {
                level: min(
                    limit
                    for limit in (gate.findings.get(level), other.findings.get(level))
                    if limit is not None
                )
                for level in gate.findings | other.findings
            }
            gate = other.model_copy(update={"findings": findings})
        kept[gate.name] = gate
    return tuple(kept.values())


def _rules(config: ServiceConfig, metrics: Mapping[str, Metric]) -> dict[str, MetricRules]:
    """The declared rules; what counts in requests needs `judge.min_requests` unless it says."""
    rules = rules_of(config.metrics)
    least = config.judge.min_requests
    for name in _COUNTED_IN_REQUESTS:
        rule = rules.get(name, MetricRules())
        if rule.min_samples is None and metrics[name].samples == "r":
            rules[name] = rule.model_copy(update={"min_samples": least})
    return rules
