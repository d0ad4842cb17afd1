"""Greenlane's own trouble reaches people, without need of anything of ours, and not for ever."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from greenlane.local.alarms import evaluate_alarm
from greenlane.local.cloudwatch_store import MetricStore
from infra.nag import as_finding
from tests.infra.conftest import Assembly, Template

FIRST = 600_000_000
MINUTE = 60
QUEUE = "greenlane-undelivered-events"
NAMES = {
    QUEUE,
    "greenlane-reconcile-fails",
    "greenlane-notify-people-fails",
    "greenlane-tick-flags-fails",
    "greenlane-tick-experiments-fails",
}


def alarm(product: Template, name: str) -> dict[str, Any]:
    return dict(product.only("AWS::CloudWatch::Alarm", AlarmName=name).properties)


def topic(product: Template) -> dict[str, str]:
    name = "greenlane-notifications"
    return {"Ref": product.only("AWS::SNS::Topic", TopicName=name).logical_id}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_publishes_to_the_topic_itself_and_says_what_to_do(
    product: Template, name: str
) -> None:
    found = alarm(product, name)

    assert found["AlarmActions"] == [topic(product)]
    assert "OKActions" not in found
    assert "InsufficientDataActions" not in found
    assert found["TreatMissingData"] == "notBreaching"
    assert "ook at" in found["AlarmDescription"] or "Read" in found["AlarmDescription"]


def test_one_more_watches_over_migrations_where_there_are_databases(whole: Assembly) -> None:
    names = {it.properties["AlarmName"] for it in whole.product.resources("AWS::CloudWatch::Alarm")}
    assert names == NAMES | {"greenlane-tick-migrations-fails", "greenlane-tend-rollouts-fails"}
    found = alarm(whole.product, "greenlane-tick-migrations-fails")
    assert found["AlarmActions"] == [topic(whole.product)]
    assert "TickMigrations" in str(found["Metrics"])


def test_there_are_no_others_and_only_they_may_publish(product: Template) -> None:
    names = {it.properties["AlarmName"] for it in product.resources("AWS::CloudWatch::Alarm")}
    assert names == NAMES
    policy = product.only("AWS::SNS::TopicPolicy", Topics=[topic(product)])
    statements = {one["Sid"]: one for one in policy.properties["PolicyDocument"]["Statement"]}

    ours = statements["OwnAlarms"]
    assert ours["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert ours["Action"] == "sns:Publish"
    conditions = ours["Condition"]
    assert conditions["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert as_finding(conditions["ArnLike"]["aws:SourceArn"]).endswith(":alarm:greenlane-*")


def test_the_queue_is_red_while_there_is_a_message_in_it(product: Template) -> None:
    found = alarm(product, QUEUE)
    queue = product.only("AWS::SQS::Queue", QueueName=QUEUE).logical_id

    assert found["MetricName"] == "ApproximateNumberOfMessagesVisible"
    assert found["Dimensions"] == [
        {"Name": "QueueName", "Value": {"Fn::GetAtt": [queue, "QueueName"]}}
    ]
    assert (found["Threshold"], found["ComparisonOperator"], found["EvaluationPeriods"]) == (
        1,
        "GreaterThanOrEqualToThreshold",
        1,
    )


class Minutes:
    """An alarm of a function, judged each minute by what the function did before."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._store = MetricStore()
        self._settings = settings | {
            "Metrics": [_named(query) for query in settings["Metrics"]],
        }
        self.states: list[str] = []

    def play(self, failures: dict[int, int], minutes: int) -> list[str]:
        """The state after each minute; `failures` counts the failed runs by minute."""
        state = "OK"
        for minute in range(minutes):
            at = FIRST + minute * MINUTE
            datum = {
                "MetricName": "Errors",
                "Dimensions": [{"Name": "FunctionName", "Value": "f"}],
                "Value": float(failures.get(minute, 0)),
                "Timestamp": datetime.fromtimestamp(at, UTC),
            }
            self._store.put("AWS/Lambda", datum, at)
            found = evaluate_alarm(self._settings, state, self._store, at + MINUTE)
            state = found.value if found is not None else state
            self.states.append(state)
        return self.states


def _named(query: dict[str, Any]) -> dict[str, Any]:
    if "MetricStat" not in query:
        return query
    metric = query["MetricStat"]["Metric"] | {
        "Dimensions": [{"Name": "FunctionName", "Value": "f"}]
    }
    return query | {"MetricStat": query["MetricStat"] | {"Metric": metric}}


def turns_red(states: list[str]) -> Iterator[int]:
    """The minutes in which it publishes."""
    for minute, (before, now) in enumerate(zip(["OK", *states], states, strict=False)):
        if now == "ALARM" and before != "ALARM":
            yield minute


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("greenlane-reconcile-fails", "greenlane-reconcile"),
        ("greenlane-notify-people-fails", "greenlane-notify-people"),
    ],
)
def test_errors_and_throttles_of_all_versions_count(
    product: Template, name: str, function: str
) -> None:
    logical_id = product.only("AWS::Lambda::Function", FunctionName=function).logical_id
    stats = [it["MetricStat"] for it in alarm(product, name)["Metrics"] if "MetricStat" in it]

    assert {it["Metric"]["MetricName"] for it in stats} == {"Errors", "Throttles"}
    for it in stats:
        assert it["Stat"] == "Sum"
        assert it["Metric"]["Dimensions"] == [
            {"Name": "FunctionName", "Value": {"Ref": logical_id}}
        ]


def test_a_reconciler_that_fails_for_three_minutes_is_told_once(product: Template) -> None:
    settings = alarm(product, "greenlane-reconcile-fails")

    assert list(turns_red(Minutes(settings).play({20: 1, 21: 1}, 60))) == []
    assert list(turns_red(Minutes(settings).play(dict.fromkeys(range(20, 200), 1), 200))) == [22]


def test_telling_people_that_fails_always_is_told_once_for_each_trouble(product: Template) -> None:
    """The alarm's own message fails as well, three times within four minutes of the alarm."""
    settings = alarm(product, "greenlane-notify-people-fails")
    assert list(turns_red(Minutes(settings).play({20: 1, 23: 1}, 60))) == []
    failures = {20: 1, 21: 1, 23: 1}
    first = next(turns_red(Minutes(settings).play(failures, 60)))
    assert first <= 26

    failures |= {first + 1: 1, first + 2: 1, first + 4: 1}
    states = Minutes(settings).play(failures, 200)

    assert list(turns_red(states)) == [first]
    assert states[-1] == "OK"
