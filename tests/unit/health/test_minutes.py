from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.errors import IncompleteRead
from greenlane.health.alarms import read_alarms
from greenlane.health.metrics import read_traffic, whole_minutes
from tests.builders import NOW, workload

instants = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(
    lambda at: at.replace(tzinfo=UTC)
)


@given(start=instants, seconds=st.floats(0, 4000))
def test_whole_minutes_lie_inside_and_nothing_whole_is_left_out(start, seconds):
    end = start + timedelta(seconds=seconds)
    first, last = whole_minutes(start, end)
    for edge in (first, last):
        assert (edge.second, edge.microsecond) == (0, 0)
    assert start <= first < start + timedelta(minutes=1)
    assert end - timedelta(minutes=1) < last <= end


def test_a_minute_on_its_edges_is_whole():
    assert whole_minutes(NOW, NOW + timedelta(minutes=1)) == (NOW, NOW + timedelta(minutes=1))


class Metrics:
    """GetMetricData over a few values by metric and slot, in pages."""

    def __init__(self, values, status="Complete", pages=1):
        self.values, self.status, self.pages = values, status, pages
        self.asked = []

    def get_metric_data(self, **arguments):
        self.asked.append(arguments)
        page = int(arguments.get("NextToken", "0"))
        results = []
        for query in arguments["MetricDataQueries"]:
            points = self.values.get(query["Id"], {})
            chosen = [at for number, at in enumerate(sorted(points)) if number % self.pages == page]
            results.append(
                {
                    "Id": query["Id"],
                    "StatusCode": self.status,
                    "Timestamps": chosen,
                    "Values": [float(points[at]) for at in chosen],
                }
            )
        more = {"NextToken": str(page + 1)} if page + 1 < self.pages else {}
        return {"MetricDataResults": results} | more


def read(metrics):
    return read_traffic(metrics, workload(), start=NOW, end=NOW + timedelta(minutes=9))


def test_a_minute_counts_what_the_balancer_saw_and_absent_counts_are_zero():
    later = NOW + timedelta(minutes=1)
    metrics = Metrics(
        {
            "requests_green": {NOW: 100, later: 50},
            "ok2_green": {NOW: 90, later: 50},
            "bad5_green": {NOW: 4},
            "reset_green": {NOW: 2},
            "p95_green": {NOW: 0.25},
        }
    )
    first, second = read(metrics)["green"]
    assert (first.requests, first.answered, first.server_errors) == (100, 94, 4)
    assert first.p95_ms == 250
    assert (second.requests, second.answered, second.server_errors) == (50, 50, 0)
    assert (second.connection_errors, second.p95_ms) == (0, None)


def test_a_minute_that_nobody_reported_is_absent():
    metrics = Metrics({"requests_blue": {NOW: 7}, "p95_green": {NOW: 0.1}})
    found = read(metrics)
    assert [minute.requests for minute in found["blue"]] == [7]
    assert found["green"] == []


def test_resets_alone_make_a_minute_even_without_a_request_count():
    (only,) = read(Metrics({"reset_green": {NOW: 3}}))["green"]
    assert (only.requests, only.connection_errors) == (0, 3)


def test_every_page_is_read():
    points = {NOW + timedelta(minutes=number): 10 for number in range(6)}
    metrics = Metrics({"requests_blue": points}, pages=3)
    assert [minute.requests for minute in read(metrics)["blue"]] == [10] * 6
    assert len(metrics.asked) == 3


@pytest.mark.parametrize("status", ["InternalError", "Forbidden"])
def test_an_incomplete_answer_is_no_answer(status):
    with pytest.raises(IncompleteRead, match=status):
        read(Metrics({"requests_blue": {NOW: 1}}, status=status))


def test_one_request_asks_for_both_slots():
    metrics = Metrics({})
    read(metrics)
    ((asked,),) = [metrics.asked]
    groups = {
        dimension["Value"]
        for query in asked["MetricDataQueries"]
        for dimension in query["MetricStat"]["Metric"]["Dimensions"]
        if dimension["Name"] == "TargetGroup"
    }
    assert groups == {
        "targetgroup/claude-manager-blue/0000000000000001",
        "targetgroup/claude-manager-green/0000000000000002",
    }
    assert {query["MetricStat"]["Period"] for query in asked["MetricDataQueries"]} == {60}


class Alarms:
    def __init__(self, states):
        self.states, self.asked = states, []

    def describe_alarms(self, **arguments):
        self.asked.append(arguments["AlarmNames"])
        found = [
            {"AlarmName": name, "StateValue": self.states[name]}
            for name in arguments["AlarmNames"]
            if name in self.states
        ]
        return {"MetricAlarms": found[1:], "CompositeAlarms": found[:1]}


def test_alarms_come_in_the_order_asked_and_an_absent_one_is_missing():
    found = read_alarms(Alarms({"b": "ALARM", "a": "OK"}), ["a", "gone", "b"])
    assert [(alarm.name, alarm.state) for alarm in found] == [
        ("a", "OK"),
        ("gone", "MISSING"),
        ("b", "ALARM"),
    ]
    assert [alarm.red for alarm in found] == [False, False, True]
    assert [alarm.missing for alarm in found] == [False, True, False]


def test_more_than_a_hundred_alarms_are_asked_in_parts():
    names = [f"alarm-{number}" for number in range(230)]
    alarms = Alarms(dict.fromkeys(names, "OK"))
    assert [alarm.name for alarm in read_alarms(alarms, names)] == names
    assert [len(asked) for asked in alarms.asked] == [100, 100, 30]
