"""What clients, metrics and alarms see of versions that misbehave."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests

from greenlane.local.loadgen import LoadGenerator
from tests.unit.local.data_plane import DataPlane, running_data_plane, wait_until

# Virtual seconds run 60 times as fast; a request may be idle for 60 of them, or for 2 real ones.


@pytest.fixture
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataPlane]:
    with running_data_plane(tmp_path_factory.mktemp("plane")) as running:
        running.make_balancer()
        yield running


def serve(plane: DataPlane, behaviour: str, count: int = 1) -> None:
    plane.create_service("blue", plane.register(plane.push("1.0.0", behaviour)), count)
    plane.steady("blue")
    wait_until(lambda: plane.health("blue") == ["healthy"] * count)


def dimensions(plane: DataPlane, slot: str = "blue") -> list[dict[str, str]]:
    return [
        {"Name": "TargetGroup", "Value": plane.resources[slot].rpartition(":")[2]},
        {"Name": "LoadBalancer", "Value": plane.resources["balancer"].partition("balancer/")[2]},
    ]


def metric(query_id: str, name: str, of: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "Id": query_id,
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/ApplicationELB",
                "MetricName": name,
                "Dimensions": of,
            },
            "Period": 60,
            "Stat": "Sum",
        },
        "ReturnData": False,
    }


def total(plane: DataPlane, name: str, of: list[dict[str, str]]) -> float:
    now = plane.context.clock.now()
    answer = plane.client("cloudwatch").get_metric_data(
        StartTime=now - timedelta(hours=3),
        EndTime=now + timedelta(minutes=1),
        MetricDataQueries=[metric("m", name, of) | {"ReturnData": True}],
    )
    return float(sum(answer["MetricDataResults"][0]["Values"]))


def put_error_rate_alarm(plane: DataPlane) -> None:
    of = dimensions(plane)
    names = {
        "r": "RequestCount",
        "k": "TargetConnectionErrorCount",
        **{f"c{n}": f"HTTPCode_Target_{n}XX_Count" for n in range(2, 6)},
    }
    answered = " + ".join(f"FILL(c{n}, 0)" for n in range(2, 6))
    plane.client("cloudwatch").put_metric_alarm(
        AlarmName="claude-manager-blue-error-rate",
        EvaluationPeriods=1,
        Threshold=5.0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
        Metrics=[
            {
                "Id": "rate",
                "Expression": f"IF(r >= 20, 100 * (FILL(c5, 0) + MAX([r - ({answered}), "
                "FILL(k, 0)])) / r, 0)",
                "ReturnData": True,
            },
            *(metric(query_id, name, of) for query_id, name in names.items()),
        ],
    )


def alarm_states(plane: DataPlane) -> list[str]:
    kind = "CloudWatch Alarm State Change"
    return [one["detail"]["state"]["value"] for one in plane.events if one["detail-type"] == kind]


@pytest.mark.parametrize("behaviour", ["errors:0.2", "reset:0.2", "hang:0.2"])
def test_errors_resets_and_hangs_all_raise_the_error_rate_alarm(
    plane: DataPlane, behaviour: str
) -> None:
    serve(plane, behaviour)
    put_error_rate_alarm(plane)
    wait_until(lambda: alarm_states(plane) == ["OK"])

    with LoadGenerator(plane.elb.url("claude-manager"), 100, 40) as load:
        wait_until(lambda: alarm_states(plane)[:2] == ["OK", "ALARM"])
        snapshot = load.stop()

    assert snapshot.failed > 0
    expected = {"errors:0.2": "500", "reset:0.2": "502", "hang:0.2": "504"}[behaviour]
    assert set(snapshot.failures()) == {expected}


def test_a_good_version_does_not_raise_the_alarm(plane: DataPlane) -> None:
    serve(plane, "good")
    put_error_rate_alarm(plane)
    with LoadGenerator(plane.elb.url("claude-manager"), 100, 40) as load:
        wait_until(lambda: load.snapshot().sent > 300)
        snapshot = load.stop()

    assert snapshot.failed == 0
    assert "ALARM" not in alarm_states(plane)


def test_what_the_balancer_answers_itself_counts_for_the_balancer_only(plane: DataPlane) -> None:
    serve(plane, "reset:1")
    statuses = Counter(plane.get().status_code for _ in range(10))

    assert statuses == {502: 10}
    blue, balancer = dimensions(plane), dimensions(plane)[1:]
    wait_until(lambda: total(plane, "RequestCount", blue) == 10)
    assert total(plane, "HTTPCode_ELB_5XX_Count", balancer) == 10
    assert total(plane, "HTTPCode_ELB_5XX_Count", blue) == 0
    assert total(plane, "HTTPCode_Target_5XX_Count", blue) == 0
    assert total(plane, "TargetConnectionErrorCount", blue) == 0


def test_a_target_that_refuses_connections_is_a_connection_error(plane: DataPlane) -> None:
    balancing = plane.client("elbv2")
    target = {"Id": "127.0.0.77", "Port": 8000}
    balancing.register_targets(TargetGroupArn=plane.resources["blue"], Targets=[target])
    wait_until(lambda: plane.health("blue") == ["unhealthy"])

    # No target is healthy: the balancer fails open and tries it all the same.
    assert plane.get().status_code == 502
    blue = dimensions(plane)
    wait_until(lambda: total(plane, "TargetConnectionErrorCount", blue) == 1)
    assert total(plane, "UnHealthyHostCount", blue) > 0


def test_a_group_without_targets_answers_503_and_counts_no_request_for_it(
    plane: DataPlane,
) -> None:
    plane.elb.settle()

    def answered() -> int | None:
        # What is refused while the balancer's process starts is no request that it could count.
        with contextlib.suppress(requests.ConnectionError):
            return plane.get().status_code
        return None

    assert wait_until(answered) == 503

    balancer = dimensions(plane)[1:]
    wait_until(lambda: total(plane, "HTTPCode_ELB_503_Count", balancer) == 1)
    assert total(plane, "RequestCount", dimensions(plane)) == 0


def test_a_slow_version_shows_in_the_response_time(plane: DataPlane) -> None:
    serve(plane, "slow:0.4")
    plane.get()

    seconds = wait_until(lambda: total(plane, "TargetResponseTime", dimensions(plane)))
    assert 0.4 <= seconds < 1.0


def test_requests_in_flight_end_well_while_their_task_is_replaced(plane: DataPlane) -> None:
    serve(plane, "slow:0.1", 2)
    with LoadGenerator(plane.elb.url("claude-manager"), 100, 40) as load:
        wait_until(lambda: load.snapshot().ok > 50)
        plane.update("blue", taskDefinition=plane.register(plane.push("2.0.0")))
        plane.steady("blue")
        plane.elb.settle()
        load.phase("after")
        wait_until(lambda: load.snapshot().by_version("after").get("2.0.0", {}).get("ok", 0) > 50)
        snapshot = load.stop()

    assert snapshot.failures() == {}
    assert snapshot.ok == snapshot.sent
    assert set(snapshot.by_version()) == {"1.0.0", "2.0.0"}
    assert set(snapshot.by_version("after")) == {"2.0.0"}


def test_a_client_that_leaves_does_not_disturb_the_others(plane: DataPlane) -> None:
    serve(plane, "slow:0.3")
    url = plane.elb.url("claude-manager")
    with pytest.raises(requests.ReadTimeout):
        requests.get(url, timeout=0.1)

    assert plane.get().status_code == 200
    balancer = dimensions(plane)[1:]
    wait_until(lambda: total(plane, "HTTPCode_ELB_4XX_Count", balancer) == 1)
