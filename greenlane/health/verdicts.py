"""From what was observed to a verdict: pass, fail or hold. Pure; no I/O.

Every criterion is tested over all judged minutes since the candidate's first weight, at a level
that is its part of `ALPHA`. The tests stay valid however often they are looked at, so a version
that keeps all criteria is taken back by them in one of 100 deployments at most, from the first
weight to the end of the watch (Bonferroni; Holm's steps would only matter after a first failure,
and one is enough to go back).

The extended watch begins anew with the minutes since promotion and spends the same once more: from
the first weight to its end it is two of 100 at most. What has no test (levels, sums) is not in it.

A pass needs data of the step that the candidate is in, and of the last minutes.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from greenlane.deployments.model import CheckResult, Slot, Verdict
from greenlane.health import levels, shares
from greenlane.health.blame import blamed_on_environment, follows_live
from greenlane.health.catalogue import CATALOGUE, Metric
from greenlane.health.criteria import Criteria, Criterion, MetricRules
from greenlane.health.findings import Finding, Outcome, joined, number, settle
from greenlane.health.observed import Observed
from greenlane.health.slowness import alone, counts_slow, margin, name_of
from greenlane.health.view import COUNTED, STALE, View

ALPHA = 0.01
"""How often a deployment of a good version may be taken back by its success criteria until the
watch ends, and as often again in the extended watch."""

PART_OF_ERRORS = 0.5
"""The error rate's part of it: faults show there first, and in the fewest requests."""

LEAST_SAMPLES = 20
"""Requests or samples that a criterion needs where no rule says so, in each step."""

LEAST_MINUTES = 3
"""Minutes that a comparison of levels needs where no rule says so."""

NOT_APPLICABLE = Outcome(
    "pass",
    None,
    None,
    "not applicable: there is nothing to compare with, neither of the minutes before the "
    "deployment nor of the live slot",
)
"""What a declared comparison comes to that can never be made: told, and no evidence."""


def judge(
    observed: Observed,
    criteria: Criteria,
    conditions: Sequence[CheckResult] = (),
    *,
    metrics: Mapping[str, Metric] = CATALOGUE,
    alpha: float = ALPHA,
) -> Verdict:
    """The verdict on a candidate by its success criteria, and by conditions judged elsewhere.

    Args:
        observed: all minutes since the first weight; a part of them would spend `alpha` anew.
        criteria: of all phases; those of the observation's own phase are asked.
        conditions: what triggers, critical alerts and warnings came to; a warning is a pass.
        metrics: by name, those that the user declared included.
        alpha: see `ALPHA`.
    """
    view = View(observed, metrics)
    parts = levels_of(criteria, metrics, alpha)
    findings = [
        _finding(view, criterion, criteria.rule(criterion.metric), parts)
        for criterion in criteria.in_phase(observed.phase).criteria
    ]
    requests = round(
        sum(
            count
            for at, count in view.requests(observed.candidate).items()
            if view.segment_of(at) == view.current
        )
    )
    verdict = settle(findings, criteria, requests)
    return joined(verdict, conditions) if conditions else verdict


def levels_of(
    criteria: Criteria, metrics: Mapping[str, Metric], alpha: float = ALPHA
) -> dict[str, float]:
    """The level of each criterion of a metric: half for the errors, the rest in equal parts.

    Criteria that are compared without a test, and those that only run dry, need none.
    """
    tested: dict[str, int] = {}
    for criterion in criteria.criteria:
        metric = metrics.get(criterion.metric)
        dry = criteria.rule(criterion.metric).dry_run
        if metric is not None and not dry and _is_tested(metric, criterion):
            tested[criterion.metric] = tested.get(criterion.metric, 0) + 1
    others = sum(count for name, count in tested.items() if name != "error_rate")
    errors = tested.get("error_rate", 0)
    part = PART_OF_ERRORS if errors and others else 1.0
    rest = 1 - part if errors else 1.0
    return {
        name: alpha * (part / errors if name == "error_rate" else rest / others) for name in tested
    }


def _is_tested(metric: Metric, criterion: Criterion) -> bool:
    if criterion.against != "limit":
        return True
    if metric.shape == "latency":
        return counts_slow(metric)
    return metric.shape == "mean" or (metric.shape == "proportion" and metric.samples is not None)


def _finding(
    view: View, criterion: Criterion, rule: MetricRules, parts: Mapping[str, float]
) -> Finding:
    metric = view.metrics.get(criterion.metric)
    if metric is None:
        return _told(criterion, Outcome("hold", None, None, "no such metric"), evidence=False)
    trouble = _unread(view, metric, criterion)
    if trouble:
        return _dry(rule, _told(criterion, _hold(f"not read: {trouble}"), evidence=False))
    level = parts.get(criterion.metric, ALPHA)
    outcome = compare(view, metric, criterion, rule, level)
    if outcome is None and _nothing_to_compare(view, metric, criterion):
        return _dry(rule, _told(criterion, NOT_APPLICABLE, evidence=False))
    if outcome is None:
        return _dry(rule, _no_data(criterion, rule))
    if follows_live(view, metric, criterion, outcome, level, compare):
        reason = f"no less than its share of the live slot's: {outcome.reason}"
        outcome = outcome._replace(verdict="pass", standing="unproven", reason=reason)
    outcome, evidence = _enough(view, metric, criterion, rule, outcome)
    if evidence:
        blame = blamed_on_environment(view, metric, criterion, outcome, level, compare)
        if blame:
            outcome = outcome._replace(verdict="hold", reason=blame)
    return _dry(rule, _told(criterion, outcome, evidence=evidence))


def compare(
    view: View,
    metric: Metric,
    criterion: Criterion,
    rule: MetricRules,
    level: float,
    slot: Slot | None = None,
) -> Outcome | None:
    """What one comparison says, of the candidate unless `slot` says otherwise; None: no data."""
    slot = slot or view.candidate
    limit = float(criterion.limit)
    if criterion.against == "limit":
        return _to_limit(view, metric, slot, limit, rule, level)
    if criterion.against == "live":
        found = to_live(view, metric, criterion, level)
        if found is not None:
            return _still(view, metric, found)
    found = _to_baseline(view, metric, slot, criterion, level)
    if found is None or found.verdict == "pass":
        return found
    if criterion.optional:
        # Nobody declared it, and there is no live slot in the same minutes: told, no more.
        return found._replace(verdict="pass", standing="unproven")
    few = shares.few_before(view, metric)
    if few and found.verdict == "fail":
        return _held(found, f"{found.reason}; but {few}")
    if found.verdict == "fail" and view.observed.phase == "extended":
        return _held(found, f"{found.reason}; but that was another time of day")
    return found


def _to_limit(
    view: View, metric: Metric, slot: Slot, limit: float, rule: MetricRules, level: float
) -> Outcome | None:
    if metric.cumulative:
        return levels.total_to_limit(view, metric, slot, limit)
    if metric.shape == "proportion" and metric.samples is not None:
        return shares.proportion_to_limit(view, metric, slot, limit, level)
    if metric.shape == "latency" and view.own(name_of(limit), slot):
        return shares.times_to_limit(view, metric, slot, limit, level)
    if metric.shape == "mean":
        return levels.mean_to_limit(view, metric, slot, limit, level)
    return levels.level_to_limit(view, metric, slot, limit, rule.max_failures)


def to_live(view: View, metric: Metric, criterion: Criterion, level: float) -> Outcome | None:
    """A comparison with the live slot in the same minutes; None where there are none."""
    permitted = float(criterion.limit)
    if metric.shape == "proportion" and metric.samples is not None:
        return shares.proportion_to_live(view, metric, permitted, level)
    if metric.shape == "latency":
        found = shares.times_to_live(view, metric, margin(criterion.limit), level)
        return found or levels.level_to_live(view, metric, margin(criterion.limit), level)
    if metric.shape == "flow":
        return levels.flow_to_live(view, metric, permitted, level)
    if metric.shape == "sum":
        return levels.sum_to_live(view, metric, permitted, level)
    return levels.level_to_live(view, metric, margin(criterion.limit), level)


def _to_baseline(
    view: View, metric: Metric, slot: Slot, criterion: Criterion, level: float
) -> Outcome | None:
    permitted = float(criterion.limit)
    if metric.shape in ("latency", "gauge", "mean"):
        permitted = margin(criterion.limit)
    if view.alone:
        permitted = alone(metric, permitted)
    if metric.shape == "proportion" and metric.samples is not None:
        return shares.proportion_to_baseline(view, metric, slot, permitted, level)
    if metric.shape == "latency":
        found = shares.times_to_baseline(view, metric, slot, permitted, level)
        if found is not None:
            return found
    return levels.level_to_baseline(view, metric, slot, permitted, level)


def _still(view: View, metric: Metric, found: Outcome) -> Outcome:
    """A comparison of earlier steps stands where the live slot serves nothing any more.

    It needs the candidate's own data in this step all the same.
    """
    segments = view.observed.segments
    if not segments or segments[-1].weight < 100:
        return found
    if found.newest is not None and view.segment_of(found.newest) == view.current:
        return found
    now = [spot.at for spot in view.spots(metric.name, view.candidate)]
    here = [at for at in now if view.segment_of(at) == view.current]
    return found._replace(recent=found.samples if here else 0, newest=here[-1] if here else None)


def _unread(view: View, metric: Metric, criterion: Criterion) -> str:
    """What is not complete of all that a comparison needs."""
    slots = [view.candidate]
    # A rate or a sum is compared as the whole service's, except where less of it is better.
    whole = metric.shape in ("flow", "sum") and not metric.cumulative
    whole = whole and (criterion.against == "baseline" or metric.worse == "down")
    if metric.per_slot and (criterion.against == "live" or whole):
        slots.append(view.live)
    for slot in slots:
        series = view.series(metric.name, slot)
        if series is not None and not series.complete:
            return series.trouble or "read in part"
    return view.trouble_of_times() if metric.shape == "latency" else ""


def _enough(
    view: View, metric: Metric, criterion: Criterion, rule: MetricRules, outcome: Outcome
) -> tuple[Outcome, bool]:
    """Hold what rests on too few samples, on none of this step, or on old ones."""
    least = rule.min_samples or _least(metric, criterion)
    unit = "samples" if metric.shape in COUNTED and metric.samples else "minutes"
    seen = outcome.samples if outcome.verdict == "fail" else min(outcome.samples, outcome.recent)
    if seen < least:
        return _held(outcome, f"{seen} of {least} {unit} seen"), False
    if outcome.verdict != "pass":
        return outcome, True
    if metric.name == "error_rate" and view.silent:
        return _held(outcome, "no answer of the last minute is known yet"), True
    if metric.name == "error_rate" and criterion.against == "limit" and view.unsettled:
        failed = (outcome.value or 0.0) * outcome.recent + view.unsettled
        if failed > float(criterion.limit) * outcome.recent:
            reason = f"{view.unsettled} requests of the last minute are not answered yet"
            return _held(outcome, reason), True
    if outcome.newest is not None and view.observed.end - outcome.newest > STALE:
        late = round((view.observed.end - outcome.newest).total_seconds() / 60)
        return _held(outcome, f"the newest data began {late} minutes ago"), False
    return outcome, True


def _nothing_to_compare(view: View, metric: Metric, criterion: Criterion) -> bool:
    """Whether a declared comparison can never be made, though the candidate itself reports.

    Before the deployment there was nothing, which was read; and the live slot says too little in
    the same minutes: it has no traffic any more, does not report this, or is too quiet for a rate.
    A baseline that could not be read is no such case: missing data holds.
    """
    before = view.before(metric.name)
    if criterion.against == "limit" or before is None or not before.nothing:
        return False
    here = [
        spot
        for spot, _ in view.values(metric, view.candidate)
        if view.segment_of(spot.at) == view.current
    ]
    if criterion.against == "baseline" or view.alone or not view.own(metric.name, view.candidate):
        return bool(here)
    # Beside a live slot that serves, its minutes may only be late.
    silent = metric.shape == "flow" or not view.values(metric, view.live)
    return silent and len(here) >= LEAST_MINUTES


def _least(metric: Metric, criterion: Criterion) -> int:
    if metric.cumulative:
        return 1
    if metric.shape in COUNTED and metric.samples:
        return LEAST_SAMPLES
    return 1 if criterion.against == "limit" else LEAST_MINUTES


def _hold(reason: str) -> Outcome:
    return Outcome("hold", None, None, reason)


def _held(outcome: Outcome, reason: str) -> Outcome:
    return outcome._replace(verdict="hold", reason=reason)


def _no_data(criterion: Criterion, rule: MetricRules) -> Finding:
    if criterion.optional:
        nothing = Outcome("pass", None, None, "nothing to compare with")
        return _told(criterion, nothing, evidence=False)
    reason = "no data"
    if rule.on_no_data != "hold":
        reason += f", which its rule takes for a {rule.on_no_data}"
    outcome = Outcome(rule.on_no_data, None, None, reason)
    return _told(criterion, outcome, evidence=rule.on_no_data == "fail")


def _dry(rule: MetricRules, finding: Finding) -> Finding:
    if not rule.dry_run:
        return finding
    said = f": {finding.reason}" if finding.reason else ""
    return finding.model_copy(
        update={
            "dry_run": True,
            "verdict": "pass",
            "reason": f"runs dry, would {finding.verdict}{said}",
        }
    )


def _told(criterion: Criterion, outcome: Outcome, *, evidence: bool) -> Finding:
    name = criterion.metric
    if criterion.against != "limit":
        name += f" against {criterion.against}"
    return Finding(
        name=name,
        verdict=outcome.verdict,
        value=number(outcome.value),
        limit=Decimal(criterion.limit),
        reason=outcome.reason,
        metric=criterion.metric,
        against=criterion.against,
        role=criterion.role,
        source=criterion.source,
        standing=outcome.standing,
        evidence=evidence,
    )
