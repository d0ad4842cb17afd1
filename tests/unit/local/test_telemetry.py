import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from examples.claude_manager.app import Business, Service
from greenlane.health.declared import DatabaseSettings, known_metrics
from greenlane.health.reading import read_series
from greenlane.local.database import Database
from greenlane.local.telemetry import embedded_metrics
from tests.builders import workload
from tests.unit.health.datapoints import runtime
from tests.unit.local.data_plane import DataPlane, running_data_plane, wait_until

SERVICE = {"ClusterName": "claude-manager", "ServiceName": "claude-manager-blue"}
SLOT = {"Service": "claude-manager", "Slot": "blue"}
DATABASE = {"DBInstanceIdentifier": "claude-manager"}


@pytest.fixture
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataPlane]:
    with running_data_plane(tmp_path_factory.mktemp("plane")) as running:
        running.make_balancer()
        yield running


def values(
    plane: DataPlane, namespace: str, name: str, statistic: str, dimensions: dict[str, str]
) -> list[float]:
    metric = {
        "Namespace": namespace,
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": dimensions[key]} for key in dimensions],
    }
    now = plane.context.clock.now()
    (result,) = plane.client("cloudwatch").get_metric_data(
        MetricDataQueries=[
            {"Id": "m", "MetricStat": {"Metric": metric, "Period": 3600, "Stat": statistic}}
        ],
        StartTime=datetime.fromtimestamp(now.timestamp() - 7200, UTC),
        EndTime=datetime.fromtimestamp(now.timestamp() + 60, UTC),
    )["MetricDataResults"]
    return list(result["Values"])


def test_what_tasks_use_and_what_users_do_is_measured_for_each_slot(plane: DataPlane) -> None:
    image = plane.push("1.0.0", "conversion:1,revenue:20,memory:120,connections:7")
    plane.client("ecs").update_cluster(
        cluster="claude-manager", settings=[{"name": "containerInsights", "value": "enabled"}]
    )
    plane.create_service("blue", plane.register(image), 1)
    plane.steady("blue")
    plane.elb.settle()
    for _ in range(120):
        assert plane.get().status_code == 200

    def orders() -> list[float]:
        found = values(plane, "Greenlane/Business", "conversion_rate", "SampleCount", SLOT)
        return found if sum(found) == 120 else []

    def requests() -> bool:
        balancer = plane.resources["balancer"].partition(":loadbalancer/")[2]
        where = {"LoadBalancer": balancer}
        return sum(values(plane, "AWS/ApplicationELB", "RequestCount", "Sum", where)) == 120

    wait_until(orders, seconds=60)
    wait_until(requests, seconds=60)
    assert set(values(plane, "Greenlane/Business", "conversion_rate", "Average", SLOT)) == {1.0}
    assert sum(values(plane, "Greenlane/Business", "revenue", "Sum", SLOT)) > 120 * 10
    assert all(
        1 <= one <= 5
        for one in values(plane, "Greenlane/Business", "user_satisfaction", "Average", SLOT)
    )
    insights = "ECS/ContainerInsights"
    wait_until(lambda: values(plane, insights, "CpuUtilized", "Average", SERVICE), seconds=60)
    assert values(plane, insights, "CpuReserved", "Maximum", SERVICE)[0] == 256
    assert values(plane, insights, "MemoryReserved", "Maximum", SERVICE)[0] == 512
    assert 120 < max(values(plane, insights, "MemoryUtilized", "Maximum", SERVICE)) < 400
    assert values(plane, insights, "EphemeralStorageReserved", "Maximum", SERVICE)[0] > 20
    assert values(plane, insights, "EphemeralStorageUtilized", "Maximum", SERVICE)
    assert values(plane, "AWS/ECS", "MemoryUtilization", "Maximum", SERVICE)[0] > 120 / 5.12
    assert max(values(plane, "AWS/RDS", "DatabaseConnections", "Maximum", DATABASE)) == 7
    assert_the_judge_reads_it(plane)


def assert_the_judge_reads_it(plane: DataPlane) -> None:
    """By its own names, of the slot that it belongs to."""
    known = known_metrics({}, DatabaseSettings(instance="claude-manager", pool_maximum=10))
    groups = {slot: plane.resources[slot] for slot in ("blue", "green")}
    balancer = plane.resources["balancer"].partition(":loadbalancer/")[2]
    now = plane.context.clock.now().replace(second=0, microsecond=0)
    series = read_series(
        runtime(plane.client("cloudwatch")),
        workload(groups=groups, load_balancer_full_name=balancer),
        known.values(),
        start=now - timedelta(minutes=60),
        end=now + timedelta(minutes=1),
    )

    assert all(one.complete for one in series)
    found: dict[str, list[float]] = {}
    for one in series:
        read = [known[one.metric].value(minute.parts) for minute in one.minutes]
        if one.slot != "green":
            found[one.metric] = [value for value in read if value is not None]
        elif one.metric not in ("healthy_hosts", "unhealthy_hosts"):
            assert read == []
    assert set(found["conversion_rate"]) == {1.0}
    assert max(found["database_connections"]) == 70
    assert 100 * 120 / 512 < max(found["memory_usage"]) < 100
    assert sum(found["throughput"]) == 120
    for name in ("cpu_usage", "disk_usage", "user_complaints", "response_time_p95"):
        assert found[name], name


def test_a_cluster_without_container_insights_has_only_what_ecs_counts(plane: DataPlane) -> None:
    plane.create_service("blue", plane.register(plane.push("1.0.0")), 1)
    plane.steady("blue")

    wait_until(lambda: values(plane, "AWS/ECS", "CPUUtilization", "Average", SERVICE), seconds=60)

    assert values(plane, "ECS/ContainerInsights", "CpuUtilized", "Average", SERVICE) == []


def line(**changes: Any) -> bytes:
    metric = {"Name": "orders", "Unit": "Count"}
    directive = {"Namespace": "Shop", "Dimensions": [["Slot"]], "Metrics": [metric]}
    head = {"Timestamp": 1_800_000_000_000, "CloudWatchMetrics": [directive]}
    return json.dumps({"_aws": head, "Slot": "blue", "orders": [1, 2], **changes}).encode()


def test_a_line_of_a_log_is_a_metric_at_its_own_time() -> None:
    ((namespace, datum),) = embedded_metrics(line())

    assert namespace == "Shop"
    assert datum == {
        "MetricName": "orders",
        "Dimensions": [{"Name": "Slot", "Value": "blue"}],
        "Values": [1.0, 2.0],
        "Unit": "Count",
        "Timestamp": datetime.fromtimestamp(1_800_000_000, UTC),
    }


@pytest.mark.parametrize(
    "text", [b'{"_aws"', b'{"_aws": 1}', line(_aws={}), line(orders="many"), line(orders=None)]
)
def test_a_line_that_is_malformed_is_no_metric(text: bytes) -> None:
    assert list(embedded_metrics(text)) == []


def test_the_sample_writes_each_visit_as_a_sample() -> None:
    business = Business("claude-manager", "green", conversion=1.0, satisfaction=5.0)
    for _ in range(99):
        business.visit()

    found = {datum["MetricName"]: datum for _, datum in embedded_metrics(_written(business))}

    assert found["conversion_rate"]["Values"] == [1.0] * 99
    assert len(found["revenue"]["Values"]) == len(found["user_complaints"]["Values"]) == 99
    assert found["revenue"]["Dimensions"] == [
        {"Name": "Service", "Value": "claude-manager"},
        {"Name": "Slot", "Value": "green"},
    ]


def _written(business: Business) -> bytes:
    return business.line(time.time()).encode()


def test_a_full_line_is_written_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    business = Business("claude-manager", "green")
    for _ in range(250):
        business.visit()

    written = capsys.readouterr().out.splitlines()

    assert len(written) == 2
    assert len(business.values["revenue"]) == 50


@pytest.mark.parametrize("behaviour", ["bad", "errors:0.1,bad:1", "errors:many"])
def test_an_unknown_behaviour_is_an_error(behaviour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEHAVIOUR", behaviour)

    with pytest.raises(ValueError, match=r"bad|many"):
        Service.from_environment()


def test_behaviours_are_joined_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEHAVIOUR", "errors:0.1, conversion:0.02")
    monkeypatch.delenv("ECS_CONTAINER_METADATA_URI_V4", raising=False)

    service = Service.from_environment()

    assert service.levels == {"errors": 0.1, "conversion": 0.02}
    assert service.business is None


def test_a_database_counts_what_is_open() -> None:
    database = Database()
    host, port = database.address.split(":")
    clients = [socket.create_connection((host, int(port))) for _ in range(3)]

    assert database.connections() == 3
    clients.pop().close()
    wait_until(lambda: database.connections() == 2)
    for client in clients:
        client.close()
    database.close()
