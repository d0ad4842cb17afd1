"""Why a deployment went back: its trigger, with metric, value and threshold. Pure; no I/O.

An alarm's numbers stand in its state reason ("Threshold Crossed: 1 datapoint [12.5 (...)] was
greater than the threshold (5.0)."), the judge's in its check that failed.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from greenlane.deployments.model import CheckResult, Judgement, Trigger
from greenlane.errors import DeploymentFailed
from greenlane.incidents.report_model import AlarmFacts, Cause
from greenlane.incidents.wording import number, one_line

_NUMBER = r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_DATAPOINT = re.compile(rf"\[({_NUMBER}) \(")
_THRESHOLD = re.compile(rf"\b(?:was|were) (not )?([a-z ]+?) the threshold \(({_NUMBER})\)")

_COMPARISONS = {
    "GreaterThanThreshold": "above",
    "GreaterThanOrEqualToThreshold": "at or above",
    "LessThanThreshold": "below",
    "LessThanOrEqualToThreshold": "at or below",
    "greater than": "above",
    "greater than or equal to": "at or above",
    "less than": "below",
    "less than or equal to": "at or below",
}

JUDGED = frozenset(error.__name__ for error in DeploymentFailed.__subclasses__())
"""The names of the errors by which a deployment itself decides to go back."""

_FAILURES = {
    "UnstableCandidate": "the new version did not start",
    "ValidationFailed": "the new version did not pass its tests before traffic",
    "JudgedBad": "the judge found the new version bad",
    "NoEvidence": "there was not enough evidence that the new version is good",
    "DeadlineExceeded": "the deployment took longer than its max_duration",
    "ApprovalMissing": "nobody approved the step in time",
    "CapacityShort": "the slot's healthy tasks would not have carried its next share",
    "WeightsDrifted": "somebody else changed the weights of the listener rule",
    "Aborted": "a person ended the deployment",
}


def alarm_facts(alarm: Mapping[str, Any]) -> AlarmFacts:
    """What `DescribeAlarms` says about one alarm, metric or composite."""
    if "AlarmRule" in alarm:
        return AlarmFacts(name=alarm["AlarmName"], metric=one_line(alarm["AlarmRule"], 200))
    return AlarmFacts(
        name=alarm["AlarmName"],
        metric=_metric(alarm),
        threshold=alarm.get("Threshold"),
        comparison=_COMPARISONS.get(alarm.get("ComparisonOperator", ""), ""),
        periods=alarm.get("EvaluationPeriods"),
        period_seconds=alarm.get("Period"),
    )


def _metric(alarm: Mapping[str, Any]) -> str:
    for query in alarm.get("Metrics", []):
        if query.get("ReturnData", True):
            stat = query.get("MetricStat", {})
            name = stat.get("Metric", {}).get("MetricName")
            return str(query.get("Label") or name or query.get("Expression", query.get("Id")))
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic")
    name = str(alarm.get("MetricName", "its metric"))
    return f"{name} ({statistic})" if statistic else name


def facts_from_event(name: str, configuration: Any) -> AlarmFacts | None:
    """What an alarm's event says about it; None when that is not what it carries.

    It has no threshold: that is in the state's reason only.
    """
    if not isinstance(configuration, Mapping):
        return None
    for query in configuration.get("metrics") or []:
        if not query.get("returnData", True):
            continue
        stat = query.get("metricStat") or {}
        metric = (stat.get("metric") or {}).get("name")
        text = query.get("label") or metric or query.get("expression")
        if text:
            statistic = f" ({stat['stat']})" if stat.get("stat") and text == metric else ""
            return AlarmFacts(name=name, metric=f"{one_line(text, 200)}{statistic}")
    return None


def cause_of(
    trigger: Trigger, alarm: AlarmFacts | None, failed: Judgement | None, reason: str
) -> Cause:
    """The trigger in words and numbers.

    Args:
        trigger: what began the rollback.
        alarm: what its alarm looks at, if it was one and that is known.
        failed: the latest verdict, if it is a failing one.
        reason: what the record gives as the reason; used where the trigger says none.
    """
    if trigger.kind == "alarm" or (trigger.kind == "reconciler" and alarm is not None):
        return _alarm(trigger, alarm)
    if trigger.name == "JudgedBad" and failed is not None:
        return _judged(trigger, failed)
    said = one_line(trigger.reason or reason)
    return Cause(
        kind=trigger.kind,
        name=one_line(trigger.name, 200),
        words=_words(trigger, said),
        reason=said,
        at=trigger.at,
    )


def _words(trigger: Trigger, said: str) -> str:
    name = one_line(trigger.name, 200)
    because = f": {said}" if said else ""
    match trigger.kind:
        case "person":
            return f"{name or 'a person'} asked for it{because}"
        case "alertmanager":
            source = one_line(trigger.source, 64) or "Alertmanager"
            sent = "an alert" if name == source else f"the alert {name}"
            return f"{source} sent {sent}{because}"
        case "ecs":
            return f"Amazon ECS gave up on the new version's tasks{because}"
        case "reconciler":
            return f"the reconciler found that {said}" if said else "the reconciler said so"
    if trigger.name in _FAILURES:
        return _FAILURES[trigger.name] + because
    if trigger.kind == "execution":
        return f"the deployment's execution ended ({name}){because}"
    return f"the deployment failed with {name or 'an error'}{because}"


def _alarm(trigger: Trigger, alarm: AlarmFacts | None) -> Cause:
    datapoint = _DATAPOINT.search(trigger.reason)
    crossed = _THRESHOLD.search(trigger.reason)
    observed = float(datapoint[1]) if datapoint else None
    threshold = alarm.threshold if alarm else None
    comparison = alarm.comparison if alarm else ""
    if crossed and not crossed[1]:
        comparison, threshold = _COMPARISONS.get(crossed[2], crossed[2]), float(crossed[3])
    name = one_line(trigger.name, 200)
    words = f"the alarm {name} turned red"
    if observed is not None and threshold is not None:
        metric = one_line(alarm.metric, 200) if alarm else "its metric"
        saw = f"{metric} was {number(round(observed, 3))}"
        words += f": {saw}, {comparison} its threshold of {number(threshold)}"
    elif trigger.reason:
        words += f": {one_line(trigger.reason)}"
    if trigger.kind == "reconciler":
        words += " (its event did not arrive; the reconciler saw it)"
    return Cause(
        kind=trigger.kind,
        name=name,
        words=words,
        reason=one_line(trigger.reason),
        at=trigger.at,
        metric=one_line(alarm.metric, 200) if alarm else None,
        observed=observed,
        comparison=comparison or None,
        threshold=threshold,
    )


def _judged(trigger: Trigger, failed: Judgement) -> Cause:
    checks = [check for check in failed.verdict.checks if check.verdict == "fail"]
    numeric = next((check for check in checks if check.value is not None), None)
    said = one_line("; ".join(_said(check) for check in checks) or trigger.reason)
    return Cause(
        kind=trigger.kind,
        name=trigger.name,
        words=f"{_FAILURES['JudgedBad']}: {said}",
        reason=one_line(trigger.reason),
        at=trigger.at or failed.at,
        metric=numeric.name if numeric else None,
        observed=float(numeric.value) if numeric and numeric.value is not None else None,
        comparison=_crossed(numeric) if numeric else None,
        threshold=float(numeric.limit) if numeric and numeric.limit is not None else None,
    )


def _crossed(check: CheckResult) -> str:
    """`connection_errors` fails from its limit on, targets below theirs, all others above."""
    return {"connection_errors": "at or above", "healthy_targets": "below"}.get(check.name, "above")


def _said(check: CheckResult) -> str:
    text = check.name.replace("_", " ")
    if check.value is not None and check.limit is not None:
        text += f" {number(check.value)}, {_crossed(check)} its limit of {number(check.limit)}"
        return f"{text} ({check.reason})" if check.reason else text
    return f"{text}: {check.reason}" if check.reason else text


def failing(judgements: Iterable[Judgement]) -> Judgement | None:
    """The latest of these verdicts, if it fails."""
    latest = max(judgements, key=lambda found: found.at, default=None)
    return latest if latest is not None and latest.verdict.verdict == "fail" else None
