from datetime import timedelta

import pytest
from botocore.exceptions import ReadTimeoutError

from greenlane.health.catalogue import CATALOGUE
from greenlane.health.cloudwatch_data import MOST_PAGES, MOST_QUERIES
from greenlane.health.declared import DatabaseSettings, MetricDeclaration, known_metrics
from greenlane.health.reading import read_series
from tests.builders import NOW, workload
from tests.unit.health.datapoints import Cloudwatch, failing, runtime

LATER = NOW + timedelta(minutes=1)
END = NOW + timedelta(minutes=5)
TEN = (
    "error_rate",
    "response_time_p50",
    "response_time_p95",
    "response_time_p99",
    "throughput",
    "unhealthy_hosts",
    "cpu_usage",
    "memory_usage",
    "disk_usage",
    "conversion_rate",
)


def read(cloudwatch, *names, declared=None, database=None):
    known = known_metrics(
        {name: MetricDeclaration.model_validate(one) for name, one in (declared or {}).items()},
        database,
    )
    metrics = [known[name] for name in (*names, *(declared or {}))]
    return read_series(runtime(cloudwatch), workload(), metrics, start=NOW, end=END)


def of(series, metric, slot=None):
    (found,) = [one for one in series if (one.metric, one.slot) == (metric, slot)]
    return found


def test_ten_metrics_of_both_slots_cost_one_call_and_each_part_is_asked_once():
    cloudwatch = Cloudwatch()

    series = read(cloudwatch, *TEN)

    assert len(series) == 20
    (asked,) = cloudwatch.asked
    queries = asked["MetricDataQueries"]
    # 6 counts, 3 percentiles, the hosts, 3 x 2 of the containers, 2 of the business: of 2 slots.
    assert len(queries) == 36
    assert len({query["Id"] for query in queries}) == 36
    assert (asked["StartTime"], asked["EndTime"]) == (NOW, END)


def test_minutes_keep_their_parts_and_what_is_absent_stays_absent():
    cloudwatch = Cloudwatch(
        {
            ("RequestCount", "Sum", "green"): {NOW: 100, LATER: 50},
            ("HTTPCode_Target_5XX_Count", "Sum", "green"): {LATER: 4},
            ("RequestCount", "Sum", "blue"): {LATER: 900},
        }
    )

    series = read(cloudwatch, "error_rate", "throughput")

    first, second = of(series, "error_rate", "green").minutes
    assert (first.at, first.parts) == (NOW, {"r": 100})
    assert (second.at, second.parts) == (LATER, {"r": 50, "c5": 4})
    assert [minute.parts for minute in of(series, "throughput", "blue").minutes] == [{"r": 900}]
    assert all(one.complete for one in series)


def test_all_pages_are_read_and_a_page_that_is_partial_is_not_yet_the_answer():
    points = {NOW + timedelta(minutes=n): float(n + 1) for n in range(5)}
    cloudwatch = Cloudwatch({("RequestCount", "Sum", "green"): points}, pages=3)

    green = of(read(cloudwatch, "throughput"), "throughput", "green")

    assert len(cloudwatch.asked) == 3
    assert [minute.parts["r"] for minute in green.minutes] == [1, 2, 3, 4, 5]
    assert green.complete


@pytest.mark.parametrize("status", ["PartialData", "InternalError", "Forbidden"])
def test_what_came_in_part_is_not_complete_and_the_others_are(status):
    cloudwatch = Cloudwatch(
        {("RequestCount", "Sum", "green"): {NOW: 1}}, status={"UnHealthyHostCount": status}
    )

    series = read(cloudwatch, "throughput", "unhealthy_hosts")

    assert of(series, "throughput", "green").complete
    hosts = of(series, "unhealthy_hosts", "green")
    assert (hosts.complete, hosts.trouble) == (False, f"CloudWatch: {status}")


def test_an_id_that_never_comes_back_was_not_answered():
    class Forgetful(Cloudwatch):
        def get_metric_data(self, **arguments):
            answer = super().get_metric_data(**arguments)
            del answer["MetricDataResults"][0]
            return answer

    series = read(Forgetful(), "throughput")

    assert [one.complete for one in series] == [False, True]
    assert series[0].trouble == "CloudWatch: no answer"


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (failing("ThrottlingException"), "ThrottlingException"),
        (failing("InternalServiceFault"), "InternalServiceFault"),
        (failing("AccessDenied"), "AccessDenied"),
        (ReadTimeoutError(endpoint_url="https://monitoring"), "ReadTimeoutError"),
    ],
)
def test_a_read_that_fails_makes_everything_incomplete_and_raises_nothing(error, named):
    cloudwatch = Cloudwatch({("RequestCount", "Sum", "green"): {NOW: 1}})
    cloudwatch.fails = [error]

    series = read(cloudwatch, *TEN)

    assert {(one.complete, one.trouble) for one in series} == {(False, f"CloudWatch: {named}")}


def test_a_second_page_that_is_throttled_leaves_the_first_one_incomplete():
    points = {NOW: 1.0, LATER: 2.0}
    cloudwatch = Cloudwatch({("RequestCount", "Sum", "green"): points}, pages=2)
    cloudwatch.fails = [None, failing("Throttling")]

    green = of(read(cloudwatch, "throughput"), "throughput", "green")

    assert [minute.at for minute in green.minutes] == [NOW]
    assert (green.complete, green.trouble) == (False, "CloudWatch: Throttling")


def test_pages_without_end_are_given_up():
    cloudwatch = Cloudwatch(pages=MOST_PAGES + 1)

    series = read(cloudwatch, "throughput")

    assert len(cloudwatch.asked) == MOST_PAGES
    assert not any(one.complete for one in series)


def test_a_message_about_one_metric_is_its_trouble():
    cloudwatch = Cloudwatch(messages={"RequestCount": [{"Code": "Odd", "Value": "something"}]})

    series = read(cloudwatch, "throughput", "unhealthy_hosts")

    assert of(series, "throughput", "blue").trouble == "CloudWatch: Odd: something"
    assert of(series, "unhealthy_hosts", "blue").complete


def test_a_message_about_the_whole_request_is_everyones_trouble():
    cloudwatch = Cloudwatch()
    cloudwatch.general = [{"Code": "MaxMetricsExceeded", "Value": "too many"}]

    series = read(cloudwatch, "throughput", "unhealthy_hosts")

    assert not any(one.complete for one in series)


def test_a_point_dropped_by_a_division_is_only_absent():
    message = [{"Code": "ArithmeticError", "Value": "One or more data-points have been dropped"}]
    cloudwatch = Cloudwatch(messages={"RequestCount": message})

    assert all(one.complete for one in read(cloudwatch, "throughput"))


def test_more_than_500_queries_are_several_calls():
    declared = {
        f"metric_{n}": {
            "namespace": "Mine",
            "metric": f"M{n}",
            "dimensions": {"Slot": "{slot}"},
            "worse": "up",
        }
        for n in range(300)
    }
    cloudwatch = Cloudwatch({("M299", "Average", "green"): {NOW: 7}})

    series = read(cloudwatch, declared=declared)

    sizes = [len(asked["MetricDataQueries"]) for asked in cloudwatch.asked]
    assert sum(sizes) == 600
    assert max(sizes) <= MOST_QUERIES
    assert len(sizes) == 2
    assert of(series, "metric_299", "green").minutes[0].parts == {"value": 7}


def test_cloudwatch_computes_a_users_math_over_ids_of_ours():
    declared = {
        "hit_rate": {
            "parts": {
                "h": {
                    "namespace": "Cache",
                    "metric": "Hits",
                    "dimensions": {"Slot": "{slot}"},
                    "statistic": "Sum",
                },
                "m": {
                    "namespace": "Cache",
                    "metric": "Misses",
                    "dimensions": {"Slot": "{slot}"},
                    "statistic": "Sum",
                },
            },
            "math": "IF(h + m >= 1e1, h / (h + m), 0)",
            "samples": "h",
            "shape": "proportion",
            "worse": "down",
        }
    }
    cloudwatch = Cloudwatch(
        {("Hits", "Sum", "green"): {NOW: 30}, ("Misses", "Sum", "green"): {NOW: 10}}
    )

    green = of(read(cloudwatch, declared=declared), "hit_rate", "green")

    assert green.minutes[0].parts == {"value": 0.75, "h": 30}
    queries = cloudwatch.asked[0]["MetricDataQueries"]
    returned = {query["Id"] for query in queries if query["ReturnData"]}
    assert len(queries) == 6
    assert len(returned) == 4  # the misses of both slots only feed the expressions


def test_a_wrong_metric_of_a_users_does_not_blind_the_judge_to_the_others():
    declared = {"odd": {"namespace": "Mine", "metric": "Odd", "worse": "up"}}
    cloudwatch = Cloudwatch({("RequestCount", "Sum", "green"): {NOW: 5}})
    cloudwatch.fails = [failing("ValidationError")]

    series = read(cloudwatch, "throughput", declared=declared)

    assert len(cloudwatch.asked) == 2
    assert of(series, "throughput", "green").complete
    assert of(series, "odd").trouble == "CloudWatch: ValidationError"


def test_connections_are_read_of_the_declared_instance_in_percent_of_its_pool():
    cloudwatch = Cloudwatch({("DatabaseConnections", "Maximum", ""): {NOW: 45}})
    database = DatabaseSettings(instance="orders", pool_maximum=60)

    (series,) = read(cloudwatch, "database_connections", database=database)

    (query,) = cloudwatch.asked[0]["MetricDataQueries"]
    assert query["MetricStat"]["Metric"]["Dimensions"] == [
        {"Name": "DBInstanceIdentifier", "Value": "orders"}
    ]
    metric = known_metrics({}, database)["database_connections"]
    assert series.slot is None
    assert metric.value(series.minutes[0].parts) == 75
    assert metric.math == "100 * d / 60"


def test_connections_without_a_declared_database_are_not_known():
    cloudwatch = Cloudwatch()

    (series,) = read(cloudwatch, "database_connections")

    assert not cloudwatch.asked
    assert not series.complete
    assert "service.database" in series.trouble


def test_every_metric_of_the_catalogue_can_be_asked_for():
    database = DatabaseSettings(instance="orders", pool_maximum=60)
    cloudwatch = Cloudwatch()

    series = read(cloudwatch, *CATALOGUE, database=database)

    assert all(one.complete for one in series)
    assert len(cloudwatch.asked) == 1
