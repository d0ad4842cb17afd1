from decimal import Decimal

import pytest

from greenlane.deployments.model import CheckResult, Judgement, Trigger, Verdict
from greenlane.incidents.report_cause import (
    JUDGED,
    alarm_facts,
    cause_of,
    facts_from_event,
    failing,
)
from greenlane.incidents.report_model import AlarmFacts
from tests.builders import NOW


def trigger(kind="alarm", name="shop-green-p95", reason="", **values):
    return Trigger(kind=kind, name=name, reason=reason, **values)


@pytest.mark.parametrize(
    ("reason", "observed", "comparison", "threshold"),
    [
        (
            "Threshold Crossed: 1 datapoint [12.5 (23/11/26 12:09:00)] was greater than the "
            "threshold (5.0).",
            12.5,
            "above",
            5.0,
        ),
        (
            "Threshold Crossed: 2 out of the last 2 datapoints [6.25 (a), 5.5 (b)] were greater "
            "than or equal to the threshold (5.0) (minimum 2 datapoints for OK -> ALARM).",
            6.25,
            "at or above",
            5.0,
        ),
        (
            "Threshold Crossed: 1 datapoint [1.0E-4 (x)] was less than the threshold (0.5).",
            0.0001,
            "below",
            0.5,
        ),
    ],
)
def test_value_and_threshold_are_read_from_cloudwatchs_own_words(
    reason, observed, comparison, threshold
):
    cause = cause_of(trigger(reason=reason), None, None, "")
    assert (cause.observed, cause.comparison, cause.threshold) == (observed, comparison, threshold)


@pytest.mark.parametrize(
    "reason",
    ["a person said so", "", "arn:aws:cloudwatch:x:alarm:a transitioned to ALARM at Monday"],
)
def test_a_reason_without_numbers_is_told_as_it_is(reason):
    cause = cause_of(trigger(reason=reason), None, None, "")
    assert cause.observed is None
    assert cause.words.startswith("the alarm shop-green-p95 turned red")
    assert reason in cause.words


def test_the_alarms_definition_gives_the_metric_and_the_threshold():
    reason = "Threshold Crossed: no datapoints were received for 1 period."
    facts = AlarmFacts(name="a", metric="TargetResponseTime (p95)", threshold=5.0)
    cause = cause_of(trigger(reason=reason), facts, None, "")
    assert (cause.metric, cause.threshold, cause.observed) == (
        "TargetResponseTime (p95)",
        5.0,
        None,
    )


def test_an_alarm_that_the_reconciler_saw_has_its_numbers_too():
    reason = "red without an event: Threshold Crossed: 1 datapoint [9.0 (x)] was greater than the "
    seen = trigger("reconciler", reason=f"{reason}threshold (5.0).")
    cause = cause_of(seen, AlarmFacts(name="a", metric="errors"), None, "")
    assert (cause.kind, cause.observed, cause.threshold) == ("reconciler", 9.0, 5.0)
    assert "its event did not arrive" in cause.words


def test_a_judgement_is_told_by_the_check_that_failed():
    checks = (
        CheckResult(name="requests", verdict="pass", value=Decimal(100), limit=Decimal(20)),
        CheckResult(
            name="error_rate", verdict="fail", value=Decimal("0.125"), limit=Decimal("0.01")
        ),
    )
    look = Judgement(at=NOW, step=1, verdict=Verdict(verdict="fail", checks=checks))
    cause = cause_of(trigger("failure", "JudgedBad"), None, look, "")
    assert (cause.metric, cause.observed, cause.threshold) == ("error_rate", 0.125, 0.01)
    assert "error rate 0.125, above its limit of 0.01" in cause.words


@pytest.mark.parametrize("name", sorted(JUDGED - {"JudgedBad"}))
def test_every_error_that_goes_back_has_words_of_its_own(name):
    cause = cause_of(trigger("failure", name, "so it says"), None, None, "")
    assert name not in cause.words
    assert cause.words.endswith(": so it says")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (trigger("person", "ada", "wrong prices"), "ada asked for it: wrong prices"),
        (trigger("alertmanager", "HighErrors", "5 %"), "Alertmanager sent the alert HighErrors"),
        (
            trigger("alertmanager", "HighErrors", "5 %", source="Grafana"),
            "Grafana sent the alert HighErrors: 5 %",
        ),
        (trigger("alertmanager", "Datadog", "5 %", source="Datadog"), "Datadog sent an alert: 5 %"),
        (trigger("ecs", "ecs-svc/1", "tasks failed"), "Amazon ECS gave up"),
        (trigger("reconciler", "died", "it died"), "the reconciler found that it died"),
        (trigger("execution", "ABORTED", "x"), "execution ended (ABORTED): x"),
        (trigger("failure", "KeyError", "x"), "the deployment failed with KeyError: x"),
    ],
)
def test_every_kind_of_trigger_is_told_in_words(given, words):
    assert words in cause_of(given, None, None, "").words


def test_a_trigger_without_a_reason_has_that_of_the_record():
    assert (
        "as recorded" in cause_of(trigger("execution", "FAILED"), None, None, "as recorded").words
    )


def test_what_an_alarm_looks_at_is_its_label_its_metric_or_its_rule():
    plain = {"AlarmName": "a", "MetricName": "Errors", "Statistic": "Sum", "Threshold": 5.0}
    math = {
        "AlarmName": "a",
        "Metrics": [
            {"Id": "m", "ReturnData": False, "MetricStat": {}},
            {"Id": "e", "Expression": "100*m", "Label": "errors (percent)"},
        ],
        "ComparisonOperator": "GreaterThanThreshold",
    }
    composite = {"AlarmName": "a", "AlarmRule": "ALARM(x) OR ALARM(y)"}
    assert alarm_facts(plain).metric == "Errors (Sum)"
    assert (alarm_facts(math).metric, alarm_facts(math).comparison) == ("errors (percent)", "above")
    assert alarm_facts(composite).metric == "ALARM(x) OR ALARM(y)"


@pytest.mark.parametrize(
    ("configuration", "metric"),
    [
        (
            {"metrics": [{"id": "m", "metricStat": {"metric": {"name": "Errors"}, "stat": "Sum"}}]},
            "Errors (Sum)",
        ),
        ({"metrics": [{"id": "e", "expression": "m*2", "label": "twice"}]}, "twice"),
        ({"metrics": []}, None),
        (None, None),
        ("text", None),
    ],
)
def test_an_alarms_event_says_what_it_looks_at(configuration, metric):
    found = facts_from_event("a", configuration)
    assert (found.metric if found else None) == metric


def test_only_a_latest_verdict_that_fails_is_a_cause():
    good = Judgement(at=NOW, step=1, verdict=Verdict(verdict="pass"))
    bad = Judgement(at=NOW.replace(hour=11), step=0, verdict=Verdict(verdict="fail"))
    assert failing([good, bad]) is None
    assert failing([bad]) == bad
    assert failing([]) is None
