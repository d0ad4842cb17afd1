from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from greenlane.local.cloudwatch_queries import get_metric_data, get_metric_statistics, list_metrics
from greenlane.local.cloudwatch_store import MetricStore
from greenlane.local.operations import AwsError

START = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
SLOT = [{"Name": "TargetGroup", "Value": "targetgroup/blue/1"}]


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def put(store: MetricStore, minute: float, name: str = "m", **datum: Any) -> None:
    entry = {"MetricName": name, "Dimensions": SLOT, "Timestamp": at(minute), **datum}
    store.put("N", entry, int(START.timestamp()))


def query(statistic: str = "Sum", period: int = 60, name: str = "m", **more: Any) -> dict[str, Any]:
    metric = {"Namespace": "N", "MetricName": name, "Dimensions": SLOT}
    return {"Id": "q", "MetricStat": {"Metric": metric, "Period": period, "Stat": statistic}} | more


def ask(
    store: MetricStore, *queries: dict[str, Any], first: float = 0, last: float = 10, **more: Any
) -> list[dict[str, Any]]:
    parameters = {"MetricDataQueries": list(queries), "StartTime": at(first), "EndTime": at(last)}
    answer: list[dict[str, Any]] = get_metric_data(store, parameters | more)["MetricDataResults"]
    return answer


@pytest.fixture
def store() -> MetricStore:
    return MetricStore()


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [
        ("Sum", 110.0),
        ("SampleCount", 20.0),
        ("Average", 5.5),
        ("Minimum", 1.0),
        ("Maximum", 10.0),
        ("p50", 5.0),
        ("p95", 10.0),
        ("p90", 9.0),
        ("p99.9", 10.0),
        ("TC(2:)", 16.0),
        ("TC(2:4)", 4.0),
        ("TC(:0.5)", 0.0),
        ("PR(:5)", 50.0),
    ],
)
def test_a_statistic_weighs_each_value_by_its_count(
    store: MetricStore, statistic: str, expected: float
) -> None:
    put(store, 0, Values=[float(n) for n in range(1, 11)], Counts=[2.0] * 10)

    assert ask(store, query(statistic))[0]["Values"] == [expected]


def test_statistic_sets_add_up_but_have_no_percentiles(store: MetricStore) -> None:
    entry = {"SampleCount": 3.0, "Sum": 9.0, "Minimum": 1.0, "Maximum": 5.0}
    put(store, 0, StatisticValues=entry)
    put(store, 0.5, Value=7.0)

    assert ask(store, query("Sum"))[0]["Values"] == [16.0]
    assert ask(store, query("Maximum"))[0]["Values"] == [7.0]
    assert ask(store, query("p95"))[0]["Values"] == []


def test_a_long_period_gathers_its_minutes_and_begins_on_a_multiple_of_itself(
    store: MetricStore,
) -> None:
    for minute in range(7):
        put(store, minute, Value=1.0)

    (result,) = ask(store, query(period=300), first=2, ScanBy="TimestampAscending")

    assert result["Timestamps"] == [at(0), at(5)]
    assert result["Values"] == [5.0, 2.0]


def test_the_end_is_excluded_and_the_newest_comes_first(store: MetricStore) -> None:
    for minute in range(4):
        put(store, minute, Value=float(minute))

    assert ask(store, query(), first=1, last=3)[0]["Values"] == [2.0, 1.0]


def test_a_metric_is_its_exact_set_of_dimensions(store: MetricStore) -> None:
    put(store, 0, Value=1.0)
    other = {"Namespace": "N", "MetricName": "m"}

    bare = {"Id": "q", "MetricStat": {"Metric": other, "Period": 60, "Stat": "Sum"}}
    assert ask(store, bare)[0]["Values"] == []


def test_expressions_build_on_each_other_and_only_what_is_asked_for_returns(
    store: MetricStore,
) -> None:
    put(store, 0, "r", Value=50.0)
    put(store, 0, "e", Value=2.0)

    results = ask(
        store,
        query(name="r", Id="r", ReturnData=False),
        query(name="e", Id="e", ReturnData=False),
        {"Id": "ratio", "Expression": "e / r", "ReturnData": False},
        {"Id": "percent", "Expression": "100 * ratio", "Label": "errors"},
    )

    assert [(one["Id"], one["Label"], one["Values"]) for one in results] == [
        ("percent", "errors", [4.0])
    ]


def test_pages_hold_every_datapoint_once(store: MetricStore) -> None:
    for minute in range(5):
        put(store, minute, Value=float(minute))
    found: list[float] = []
    token: dict[str, Any] = {}
    while True:
        answer = get_metric_data(
            store,
            {
                "MetricDataQueries": [query()],
                "StartTime": at(0),
                "EndTime": at(9),
                "MaxDatapoints": 2,
                **token,
            },
        )
        found += answer["MetricDataResults"][0]["Values"]
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}

    assert found == [4.0, 3.0, 2.0, 1.0, 0.0]


@pytest.mark.parametrize(
    "queries",
    [
        [query("Median")],
        [{"Id": "e", "Expression": "e + 1"}],
        [{"Id": "e", "Expression": "unknown"}],
        [{"Id": "e"}],
        [query(), query()],
    ],
)
def test_a_malformed_query_is_refused(store: MetricStore, queries: list[dict[str, Any]]) -> None:
    with pytest.raises(AwsError):
        ask(store, *queries)


def test_get_metric_statistics_gives_statistics_and_percentiles(store: MetricStore) -> None:
    put(store, 0, Values=[1.0, 3.0], Unit="Seconds")

    answer = get_metric_statistics(
        store,
        {
            "Namespace": "N",
            "MetricName": "m",
            "Dimensions": SLOT,
            "StartTime": at(0),
            "EndTime": at(5),
            "Period": 60,
            "Statistics": ["Sum"],
            "ExtendedStatistics": ["p99"],
        },
    )

    assert answer["Datapoints"] == [
        {"Timestamp": at(0), "Sum": 4.0, "ExtendedStatistics": {"p99": 3.0}, "Unit": "Seconds"}
    ]


def test_list_metrics_filters_by_name_and_dimension(store: MetricStore) -> None:
    put(store, 0, Value=1.0)
    store.put("N", {"MetricName": "bare", "Value": 1.0}, int(START.timestamp()))

    names = [
        [one["MetricName"] for one in list_metrics(store, parameters)["Metrics"]]
        for parameters in ({}, {"MetricName": "m"}, {"Dimensions": [{"Name": "TargetGroup"}]})
    ]
    assert names == [["m", "bare"], ["m"], ["m"]]
