from datetime import UTC, datetime
from typing import Any

import pytest

from greenlane.local.alarms import check_settings, evaluate_alarm, judge
from greenlane.local.alarms_api import Alarms
from greenlane.local.cloudwatch_store import MetricStore
from greenlane.local.operations import AwsError

NOW = 1_800_000_000 // 60 * 60
ACTION = "arn:aws:sns:eu-west-1:123456789012:topic"
NAMESPACE = "Test"

STATES = {"OK": "OK", "A": "ALARM", "I": "INSUFFICIENT_DATA", "K": None}


class Still:
    """A clock that a test moves by hand."""

    def __init__(self) -> None:
        self.second = NOW

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.second, UTC)


def points(text: str) -> list[bool | None]:
    return [{"0": False, "X": True, "-": None}[letter] for letter in text.split()]


@pytest.mark.parametrize(
    ("data", "to_alarm", "states"),
    [
        # The two tables of the user guide: MISSING, IGNORE, BREACHING, NOT BREACHING.
        ("0 - X - X", 3, "OK OK OK OK"),
        ("0 - - - -", 3, "OK OK OK OK"),
        ("- - - - -", 3, "I K A OK"),
        ("0 X X - X", 3, "A A A A"),
        ("- - - - X", 3, "I K A OK"),
        ("X - - - -", 3, "A K A OK"),
        ("0 - X - X", 2, "A A A A"),
        ("0 0 X 0 X", 2, "A A A A"),
        ("0 - X - -", 2, "OK OK A OK"),
        ("- - - - 0", 2, "OK OK A OK"),
        ("- - - - X", 2, "I K A OK"),
    ],
)
def test_missing_data_is_treated_as_in_the_user_guides_tables(
    data: str, to_alarm: int, states: str
) -> None:
    treatments = ("missing", "ignore", "breaching", "notBreaching")
    found = [judge(points(data), 3, to_alarm, treatment) for treatment in treatments]

    assert found == [STATES[letter] for letter in states.split()]


def put(store: MetricStore, name: str, minute: int, *values: float) -> None:
    """Publish values in a minute before NOW: -1 is the last closed one."""
    stamp = datetime.fromtimestamp(NOW + 60 * minute, UTC)
    datum = {"MetricName": name, "Values": list(values), "Timestamp": stamp}
    store.put(NAMESPACE, datum, NOW)


def simple(**changes: Any) -> dict[str, Any]:
    return {
        "AlarmName": "a",
        "Namespace": NAMESPACE,
        "MetricName": "m",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        "AlarmActions": [ACTION],
    } | changes


def metric(query_id: str, name: str, returned: bool = False) -> dict[str, Any]:
    return {
        "Id": query_id,
        "MetricStat": {
            "Metric": {"Namespace": NAMESPACE, "MetricName": name},
            "Period": 60,
            "Stat": "Sum",
        },
        "ReturnData": returned,
    }


def error_rate() -> dict[str, Any]:
    return {
        "AlarmName": "error-rate",
        "EvaluationPeriods": 1,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        "Metrics": [
            {
                "Id": "rate",
                "Expression": "IF(r >= 20, 100 * (FILL(e, 0) + MAX([r - FILL(c, 0) - FILL(e, 0), "
                "FILL(k, 0)])) / r, 0)",
                "ReturnData": True,
            },
            metric("r", "requests"),
            metric("e", "errors"),
            metric("c", "answers"),
            metric("k", "connection-errors"),
        ],
    }


@pytest.fixture
def store() -> MetricStore:
    return MetricStore()


class World:
    """Alarms with a clock, and what they set off."""

    def __init__(self, store: MetricStore) -> None:
        self.clock = Still()
        self.events: list[dict[str, Any]] = []
        self.actions: list[str] = []
        self.alarms = Alarms(
            store,
            self.clock,
            "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:",
            lambda source, kind, detail, resources: self.events.append(
                {"source": source, "detail-type": kind, "detail": detail, "resources": resources}
            ),
            lambda arn, alarm, detail: self.actions.append(arn),
        )

    def state(self, name: str) -> str:
        (alarm,) = self.alarms.describe_alarms({"AlarmNames": [name]})["MetricAlarms"]
        return str(alarm["StateValue"])


@pytest.fixture
def world(store: MetricStore) -> World:
    return World(store)


def test_the_threshold_itself_does_not_breach_a_greater_than_alarm(store: MetricStore) -> None:
    put(store, "m", -1, 5)

    over = evaluate_alarm(simple(), "OK", store, NOW)
    at_least = simple(ComparisonOperator="GreaterThanOrEqualToThreshold")
    reached = evaluate_alarm(at_least, "OK", store, NOW)

    assert over is not None
    assert over.value == "OK"
    assert reached is not None
    assert reached.value == "ALARM"


def test_a_reason_names_the_datapoints_as_cloudwatch_does(store: MetricStore) -> None:
    put(store, "m", -1, 3, 4)

    verdict = evaluate_alarm(simple(), "OK", store, NOW)

    assert verdict is not None
    stamp = datetime.fromtimestamp(NOW - 60, UTC).strftime("%d/%m/%y %H:%M:%S")
    assert verdict.reason == (
        f"Threshold Crossed: 1 out of the last 1 datapoint [7.0 ({stamp})] was greater than the "
        "threshold (5.0) (minimum 1 datapoint for OK -> ALARM transition)."
    )


@pytest.mark.parametrize(
    ("published", "value"),
    [
        ({"requests": 100, "answers": 100}, "OK"),
        ({"requests": 100, "answers": 92, "errors": 8}, "ALARM"),
        ({"requests": 100, "answers": 92}, "ALARM"),
        ({"requests": 100, "answers": 100, "connection-errors": 6}, "ALARM"),
        ({"requests": 19, "answers": 1, "errors": 18}, "OK"),
        ({}, "OK"),
    ],
)
def test_the_error_rate_alarm_sees_errors_hangs_and_resets_above_the_request_floor(
    store: MetricStore, published: dict[str, float], value: str
) -> None:
    for name, count in published.items():
        put(store, name, -1, count)

    verdict = evaluate_alarm(error_rate(), "OK", store, NOW)

    assert verdict is not None
    assert verdict.value == value


def test_a_percentile_over_too_few_samples_keeps_the_state(store: MetricStore) -> None:
    settings = simple(
        Statistic=None,
        ExtendedStatistic="p95",
        EvaluationPeriods=2,
        EvaluateLowSampleCountPercentile="ignore",
    )
    put(store, "m", -2, *[9.0] * 100)
    put(store, "m", -1, *[9.0] * 99)
    few = evaluate_alarm(settings, "OK", store, NOW)
    put(store, "m", -1, 9.0)
    enough = evaluate_alarm(settings, "OK", store, NOW)

    assert few is None
    assert enough is not None
    assert enough.value == "ALARM"


def test_a_new_alarm_has_insufficient_data_until_it_is_evaluated(world: World) -> None:
    world.alarms.put_metric_alarm(simple())

    assert world.state("a") == "INSUFFICIENT_DATA"
    world.alarms.evaluate(NOW)
    assert world.state("a") == "OK"


def test_a_change_of_state_is_told_once_with_cloudwatchs_event(
    world: World, store: MetricStore
) -> None:
    world.alarms.put_metric_alarm(error_rate())
    world.alarms.evaluate(NOW)
    put(store, "requests", 0, 100)
    put(store, "errors", 0, 10)
    put(store, "answers", 0, 90)
    world.clock.second = NOW + 63
    world.alarms.evaluate(NOW + 60)
    world.alarms.evaluate(NOW + 60)

    _, event = world.events
    assert event["source"] == "aws.cloudwatch"
    assert event["detail-type"] == "CloudWatch Alarm State Change"
    assert event["resources"] == ["arn:aws:cloudwatch:eu-west-1:123456789012:alarm:error-rate"]
    detail = event["detail"]
    assert detail["alarmName"] == "error-rate"
    assert detail["previousState"]["value"] == "OK"
    assert detail["state"]["value"] == "ALARM"
    assert detail["state"]["timestamp"] == "2027-01-15T08:01:03.000+0000"
    assert detail["configuration"]["metrics"][0]["expression"].startswith("IF(")
    assert detail["configuration"]["metrics"][1]["metricStat"] == {
        "metric": {"dimensions": {}, "name": "requests", "namespace": "Test"},
        "period": 60,
        "stat": "Sum",
    }


def test_set_alarm_state_acts_like_a_real_change_and_lasts_until_the_evaluation(
    world: World,
) -> None:
    world.alarms.put_metric_alarm(simple())
    for _ in range(2):
        world.alarms.set_alarm_state(
            {"AlarmName": "a", "StateValue": "ALARM", "StateReason": "a person says so"}
        )

    assert len(world.events) == 1
    assert world.actions == [ACTION]
    world.alarms.evaluate(NOW)
    assert world.state("a") == "OK"
    kinds = [
        item["HistoryItemType"]
        for item in world.alarms.describe_alarm_history({"AlarmName": "a"})["AlarmHistoryItems"]
    ]
    assert kinds == ["StateUpdate", "StateUpdate", "ConfigurationUpdate"]


def test_disabled_actions_do_nothing_but_the_event_goes_out(world: World) -> None:
    world.alarms.put_metric_alarm(simple())
    world.alarms.disable_alarm_actions({"AlarmNames": ["a"]})
    world.alarms.set_alarm_state({"AlarmName": "a", "StateValue": "ALARM", "StateReason": "r"})

    assert world.actions == []
    assert len(world.events) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"TreatMissingData": "maybe"},
        {"ComparisonOperator": "Above"},
        {"DatapointsToAlarm": 2},
        {"Threshold": None},
        {"Statistic": "Medium"},
        {"MetricName": None},
        {"MetricName": None, "Metrics": [{"Id": "e", "Expression": "MAX([m1, 0])"}]},
        {"MetricName": None, "Metrics": [metric("m1", "m"), metric("m2", "m")]},
    ],
)
def test_a_malformed_alarm_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(AwsError):
        check_settings(simple(**changes))
