"""What the numbers say of a candidate: read once, judged by everything that is asked of it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from greenlane.deployments.declaring.config import ServiceConfig
from greenlane.deployments.model import CheckResult, Plan, Record, Slot, Verdict, VerdictName
from greenlane.health.asked import criteria_of
from greenlane.health.catalogue import Metric
from greenlane.health.criteria import Condition, ConditionRole, Criteria
from greenlane.health.declared import known_metrics
from greenlane.health.evaluate import Finding, evaluate
from greenlane.health.expressions import Expression, parse
from greenlane.health.healthier import live_is_healthier
from greenlane.health.observed import Baseline, Observed, Series
from greenlane.health.observing import observe, read_baseline
from greenlane.health.rules import expand, metrics_of
from greenlane.health.slowness import slow_metrics
from greenlane.health.verdicts import judge
from greenlane.runtime import Runtime


class Planned(Protocol):
    """What of a plan decides what is asked."""

    @property
    def config(self) -> ServiceConfig:
        """The service's configuration."""
        ...

    @property
    def baseline(self) -> tuple[Baseline, ...]:
        """What the live slot was like before."""
        ...


class Asked:
    """What one deployment's judgements ask, and what they have to read for it.

    Args:
        plan: the deployment's; its configuration and its baseline.
    """

    def __init__(self, plan: Planned) -> None:
        """See the class."""
        self.criteria: Criteria = criteria_of(plan.config)
        known = known_metrics(plan.config.metrics, plan.config.database)
        slow = slow_metrics(self.criteria.criteria, plan.baseline, known)
        self.metrics: Mapping[str, Metric] = {**known, **{metric.name: metric for metric in slow}}
        self._slow = [metric.name for metric in slow]
        self.conditions: list[tuple[Condition, Expression]] = [
            (condition, parse(condition.expression, known))
            for condition in self.criteria.conditions
        ]

    def names(self) -> dict[str, Metric]:
        """Every metric to read: of all criteria and conditions, and counts of slow requests."""
        names = [criterion.metric for criterion in self.criteria.criteria]
        found = {name: self.metrics[name] for name in names if name in self.metrics}
        for _, tree in self.conditions:
            found |= metrics_of(expand(tree, self.metrics))
        return found | {name: self.metrics[name] for name in self._slow}


def judge_candidate(runtime: Runtime, plan: Plan, record: Record) -> Verdict:
    """The verdict on the candidate's numbers since its first weight. It never raises for a read.

    Before the first whole minute nothing is known, which is a hold.
    """
    asked = Asked(plan)
    observed = observe(runtime, plan, record, asked.names().values(), baseline=plan.baseline)
    return judge_observed(observed, asked)


def judge_observed(observed: Observed, asked: Asked) -> Verdict:
    """The same of what was observed before: nothing is read."""
    if not observed.segments or observed.segments[-1].end <= observed.segments[-1].start:
        # The step that the candidate is in has no whole minute yet.
        none = CheckResult(name="metrics", verdict="hold", reason="no whole minute yet")
        failing = [check for check in conditions_of(observed, asked) if check.verdict == "fail"]
        if not failing:
            return Verdict(verdict="hold", checks=(none,), reason="metrics: no whole minute yet")
        return judge(observed, Criteria(), failing, metrics=asked.metrics)
    checks = list(conditions_of(observed, asked))
    return judge(observed, asked.criteria, checks, metrics=asked.metrics)


def conditions_of(observed: Observed, asked: Asked) -> Iterator[CheckResult]:
    """What triggers, critical alerts and warnings say.

    The same is told by their alarms; here it is looked at once more, and what no alarm can count
    is looked at at all. A condition that is true of both slots in the same minutes goes back only
    when the live slot is shown to be healthier, and holds otherwise. Where there is no such
    comparison, because the candidate alone has traffic, or the metric is of the whole service or
    adds up, it counts as it is. A warning is never more than a pass. What alarms do is ADR 0023.
    """
    for condition, tree in asked.conditions:
        ours = _of(observed, tree, observed.candidate, asked.metrics)
        if not ours.complete and condition.role != "warning":
            yield _told(condition, "hold", f"not read: {ours.reason}")
        elif not ours.true:
            yield _told(condition, "pass", "")
        elif condition.role == "warning":
            yield _told(condition, "pass", f"a warning: {ours.reason}")
        elif observed.phase == "extended" and _adds_up(tree, asked.metrics):
            # One complaint an hour is eleven by the evening: no reason to go back.
            yield _told(condition, "hold", f"it adds up over a day: {ours.reason}")
        elif _both_count(observed, tree, asked.metrics) and _is_true_of_live(observed, tree, asked):
            yield _of_both(condition, tree, observed, asked.metrics, ours.reason)
        else:
            yield _told(condition, "fail", ours.reason or "it is true")


def _of_both(
    condition: Condition,
    tree: Expression,
    observed: Observed,
    metrics: Mapping[str, Metric],
    reason: str,
) -> CheckResult:
    better = live_is_healthier(observed, tree, metrics)
    if not better:
        return _told(condition, "hold", f"true of both slots: {reason}")
    told = f"true of both slots, but the live slot is healthier in {', '.join(better)}: {reason}"
    return _told(condition, "fail", told)


def _both_count(observed: Observed, tree: Expression, metrics: Mapping[str, Metric]) -> bool:
    """Whether the live slot has numbers of its own, in the same minutes, for a condition."""
    alone = bool(observed.segments) and observed.segments[-1].weight >= 100
    compared = [metric for metric in metrics_of(expand(tree, metrics)).values() if metric.per_slot]
    return bool(compared) and not alone and not _adds_up(tree, metrics)


def _is_true_of_live(observed: Observed, tree: Expression, asked: Asked) -> bool:
    return _of(observed, tree, observed.live, asked.metrics).true


def _adds_up(tree: Expression, metrics: Mapping[str, Metric]) -> bool:
    """Whether a condition counts something since the first traffic."""
    return any(metric.cumulative for metric in metrics_of(expand(tree, metrics)).values())


def _of(observed: Observed, tree: Expression, slot: Slot, metrics: Mapping[str, Metric]) -> Finding:
    mine: dict[str, Series] = {
        one.metric: one for one in observed.series if one.slot in (slot, None)
    }
    return evaluate(tree, mine, observed.end, metrics)


_SAID: Mapping[ConditionRole, str] = {
    "trigger": "rollback trigger",
    "critical": "critical alert",
    "warning": "warning",
}


def _told(condition: Condition, verdict: VerdictName, reason: str) -> CheckResult:
    return CheckResult(
        name=f"{_SAID[condition.role]} {condition.expression}",
        verdict=verdict,
        reason=reason,
        source=condition.source,
    )


def baseline_of(runtime: Runtime, plan: Plan) -> tuple[Baseline, ...]:
    """What the live slot was like in the last minutes, for everything that criteria name.

    Nothing is waited for, and nothing raises: what is not there has no value.
    """
    minutes = max(int(plan.config.deployment.baseline.total_seconds() // 60), 1)
    return read_baseline(
        runtime,
        plan.workload,
        plan.live,
        Asked(plan).names().values(),
        minutes=minutes,
        prometheus_endpoint=plan.config.monitoring.prometheus_endpoint,
    )


def lacking(plan: Plan, baseline: Sequence[Baseline]) -> int:
    """How many minutes of baseline are missing over all metrics."""
    minutes = max(int(plan.config.deployment.baseline.total_seconds() // 60), 1)
    return sum(max(minutes - known.minutes, 0) for known in baseline)
