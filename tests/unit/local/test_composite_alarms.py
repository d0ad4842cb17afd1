import pytest

from greenlane.local.alarms_api import Alarms
from greenlane.local.cloudwatch_store import MetricStore
from greenlane.local.composite_alarms import children_of, is_true
from greenlane.local.operations import AwsError
from tests.builders import SettableClock

PREFIX = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:"
STATES = {"red": "ALARM", "green": "OK", "new": "INSUFFICIENT_DATA"}


@pytest.mark.parametrize(
    ("rule", "true"),
    [
        ('ALARM("red")', True),
        ("ALARM(red)", True),
        ("ALARM('green')", False),
        ("OK(green)", True),
        ("OK(new)", False),
        ("INSUFFICIENT_DATA(new)", True),
        ("NOT ALARM(green)", True),
        ("ALARM(red) AND ALARM(green)", False),
        ("ALARM(red) OR ALARM(green) AND ALARM(green)", True),
        ("(ALARM(red) OR ALARM(green)) AND ALARM(green)", False),
        ("NOT (ALARM(red) AND TRUE)", False),
        ("FALSE OR NOT NOT ALARM(red)", True),
    ],
)
def test_a_rule_over_states(rule, true):
    assert is_true(rule, STATES.__getitem__) is true


@pytest.mark.parametrize(
    "rule",
    ["", "ALARM(", "ALARM(red", "ALARM(red) AND", "(ALARM(red)", "ALARM(red))", "RED(x)", "x"],
)
def test_what_is_no_rule_is_refused(rule):
    with pytest.raises(AwsError):
        children_of(rule)


def test_children_are_named_once():
    assert children_of('ALARM("a") OR OK("b") AND NOT ALARM("a")') == ["a", "b"]
    with pytest.raises(AwsError):
        children_of(" OR ".join(f"ALARM(a{number})" for number in range(101)))


@pytest.fixture
def events():
    return []


@pytest.fixture
def alarms(events):
    made = Alarms(
        MetricStore(),
        SettableClock(),
        PREFIX,
        lambda source, kind, detail, resources: events.append(detail),
        lambda *_: None,
    )
    for name in ("a", "b"):
        made.put_metric_alarm(
            {
                "AlarmName": name,
                "Namespace": "N",
                "MetricName": name,
                "Statistic": "Sum",
                "Period": 60,
                "EvaluationPeriods": 1,
                "Threshold": 1.0,
                "ComparisonOperator": "GreaterThanThreshold",
            }
        )
    return made


def put(alarms, name, rule):
    alarms.put_composite_alarm({"AlarmName": name, "AlarmRule": rule, "AlarmDescription": "why"})


def red(alarms, name, value="ALARM"):
    alarms.set_alarm_state({"AlarmName": name, "StateValue": value, "StateReason": "a test"})


def test_it_follows_its_children_at_once_and_says_so_without_metrics(alarms, events):
    put(alarms, "both", 'ALARM("a") AND ALARM("b")')
    put(alarms, "above", f'ALARM("{PREFIX}both")')
    assert alarms.alarms["both"].value == "OK"
    events.clear()
    red(alarms, "a")
    assert [event["alarmName"] for event in events] == ["a"]
    red(alarms, "b")
    assert [event["alarmName"] for event in events[1:]] == ["b", "both", "above"]
    assert events[2]["configuration"] == {
        "description": "why",
        "alarmRule": 'ALARM("a") AND ALARM("b")',
    }
    red(alarms, "a", "OK")
    assert alarms.alarms["above"].value == "OK"


def test_it_is_described_among_the_composites(alarms):
    put(alarms, "both", 'ALARM("a") AND ALARM("b")')
    kinds = ["MetricAlarm", "CompositeAlarm"]
    found = alarms.describe_alarms({"AlarmTypes": kinds})
    assert [alarm["AlarmName"] for alarm in found["MetricAlarms"]] == ["a", "b"]
    (both,) = found["CompositeAlarms"]
    assert both["AlarmRule"] == 'ALARM("a") AND ALARM("b")'
    assert "Dimensions" not in both
    assert alarms.describe_alarms({})["CompositeAlarms"] == [], "only metric alarms by default"


def test_children_must_exist_and_go_after_their_parents_one_by_one(alarms):
    with pytest.raises(AwsError):
        put(alarms, "x", "ALARM(nobody)")
    put(alarms, "both", "ALARM(a)")
    put(alarms, "more", "ALARM(b)")
    for names in (["a"], ["both", "more"]):
        with pytest.raises(AwsError):
            alarms.delete_alarms({"AlarmNames": names})
    for names in (["both"], ["more"], ["a", "b"]):
        alarms.delete_alarms({"AlarmNames": names})
    assert alarms.alarms == {}
