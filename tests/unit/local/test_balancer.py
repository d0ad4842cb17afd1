import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from botocore.exceptions import ClientError

from greenlane.local.loadgen import LoadGenerator
from tests.unit.local.data_plane import DataPlane, running_data_plane, wait_until

BLUE, GREEN = "claude-manager-blue", "claude-manager-green"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataPlane]:
    """Version 1.0.0 on blue with two tasks, 2.0.0 on green with one."""
    with running_data_plane(tmp_path_factory.mktemp("plane")) as running:
        running.make_balancer()
        running.create_service("blue", running.register(running.push("1.0.0")), 2)
        running.create_service("green", running.register(running.push("2.0.0")), 1)
        running.steady("blue")
        running.steady("green")
        yield running


@pytest.fixture(autouse=True)
def all_on_blue(plane: DataPlane) -> None:
    plane.session.cookies.clear()
    plane.weigh(100, 0)


def versions(plane: DataPlane, count: int) -> Counter[str]:
    return Counter(plane.get().headers["X-Version"] for _ in range(count))


def test_weights_decide_the_share_of_each_target_group(plane: DataPlane) -> None:
    plane.weigh(90, 10)
    with LoadGenerator(plane.elb.url("claude-manager"), 400, 40) as load:
        wait_until(lambda: load.snapshot().sent >= 400)
        snapshot = load.stop()

    found = {version: count["ok"] for version, count in snapshot.by_version().items()}
    expected = 0.1 * snapshot.sent
    three_errors = 3 * (snapshot.sent * 0.1 * 0.9) ** 0.5
    assert snapshot.failed == 0
    assert sum(found.values()) == snapshot.sent
    assert abs(found["2.0.0"] - expected) < three_errors


def test_a_group_of_weight_0_gets_nothing(plane: DataPlane) -> None:
    assert versions(plane, 50) == {"1.0.0": 50}


def test_requests_take_turns_over_a_groups_targets(plane: DataPlane) -> None:
    balancing = plane.client("elbv2")
    group = balancing.describe_target_health(TargetGroupArn=plane.resources["blue"])
    addresses = [one["Target"]["Id"] for one in group["TargetHealthDescriptions"]]

    def served(ip: str) -> int:
        text = requests.get(f"http://{ip}:8000/metrics", timeout=5).text
        return int(text.split("\nclaude_manager_requests_total ")[1].split()[0])

    first = [served(ip) for ip in addresses]
    versions(plane, 40)
    assert [served(ip) - count - 1 for ip, count in zip(addresses, first, strict=True)] == [20, 20]


def test_a_change_takes_effect_after_the_propagation_delay(plane: DataPlane) -> None:
    began = time.time()
    plane.weigh(0, 100)

    table = plane.elb.journal.tables[-1]
    assert table.weights[plane.resources["rule"]] == {BLUE: 0.0, GREEN: 100.0}
    assert table.active_at - began >= 5 / 60
    assert versions(plane, 5) == {"2.0.0": 5}


def test_the_journal_says_when_a_group_was_last_used_and_what_each_table_sent(
    plane: DataPlane,
) -> None:
    began = time.time()
    versions(plane, 20)
    changed = time.time()
    plane.weigh(0, 100)
    versions(plane, 10)

    journal = plane.elb.journal
    sequence = journal.tables[-1].sequence
    wait_until(lambda: journal.requests(table=sequence).total() == 10)
    assert journal.requests(table=sequence) == {(GREEN, 200): 10}
    last = journal.last_request(BLUE)
    assert last is not None
    assert began < last < changed
    table, counts = journal.shares(plane.resources["rule"])[-1]
    assert (table.sequence, counts) == (sequence, {GREEN: 10})


def test_stickiness_keeps_a_client_even_at_weight_0_until_it_is_switched_off(
    plane: DataPlane,
) -> None:
    plane.weigh(0, 100, sticky=3600)
    assert versions(plane, 3) == {"2.0.0": 3}
    plane.weigh(100, 0, sticky=3600)
    assert versions(plane, 3) == {"2.0.0": 3}
    assert requests.get(plane.elb.url("claude-manager"), timeout=5).headers["X-Version"] == "1.0.0"
    plane.weigh(100, 0)
    assert versions(plane, 3) == {"1.0.0": 3}


def test_rules_are_tried_by_priority_and_all_conditions_must_hold(plane: DataPlane) -> None:
    balancing = plane.client("elbv2")
    rules = [
        balancing.create_rule(
            ListenerArn=plane.resources["listener"],
            Priority=priority,
            Conditions=conditions,
            Actions=[action],
        )["Rules"][0]["RuleArn"]
        for priority, conditions, action in (
            (
                10,
                [
                    {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/api/*"]}},
                    {
                        "Field": "http-header",
                        "HttpHeaderConfig": {"HttpHeaderName": "X-Slot", "Values": ["green"]},
                    },
                ],
                {"Type": "forward", "TargetGroupArn": plane.resources["green"]},
            ),
            (
                20,
                [{"Field": "host-header", "HostHeaderConfig": {"Values": ["old.example.com"]}}],
                {
                    "Type": "redirect",
                    "RedirectConfig": {"Host": "new.example.com", "StatusCode": "HTTP_301"},
                },
            ),
            (
                30,
                [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/closed"]}}],
                {
                    "Type": "fixed-response",
                    "FixedResponseConfig": {"StatusCode": "503", "MessageBody": "closed"},
                },
            ),
        )
    ]
    plane.elb.settle()

    slot = plane.get("/api/v1/status", headers={"X-Slot": "green"})
    other_path = plane.get("/", headers={"X-Slot": "green"})
    moved = plane.get("/x?a=1", headers={"Host": "old.example.com"}, allow_redirects=False)
    closed = plane.get("/closed")
    for rule in rules:
        balancing.delete_rule(RuleArn=rule)

    assert slot.headers["X-Version"] == "2.0.0"
    assert other_path.headers["X-Version"] == "1.0.0"
    assert (moved.status_code, moved.headers["Location"]) == (
        301,
        "http://new.example.com:80/x?a=1",
    )
    assert (closed.status_code, closed.text) == (503, "closed")


@pytest.mark.parametrize("weight", [1000, -1])
def test_weights_that_aws_refuses_are_refused(plane: DataPlane, weight: int) -> None:
    with pytest.raises(ClientError, match="between 0 and 999"):
        plane.weigh(weight, 0)


def test_a_group_that_no_rule_uses_is_not_checked(plane: DataPlane) -> None:
    balancing = plane.client("elbv2")
    vpc = balancing.describe_target_groups(TargetGroupArns=[plane.resources["blue"]])[
        "TargetGroups"
    ][0]["VpcId"]
    group = balancing.create_target_group(
        Name="unused", Protocol="HTTP", Port=8000, VpcId=vpc, TargetType="ip"
    )["TargetGroups"][0]["TargetGroupArn"]
    balancing.register_targets(TargetGroupArn=group, Targets=[{"Id": "127.0.0.9", "Port": 8000}])

    (found,) = balancing.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    assert found["TargetHealth"]["State"] == "unused"
    assert found["TargetHealth"]["Reason"] == "Target.NotInUse"


def test_each_minute_has_the_metrics_that_alb_publishes(plane: DataPlane) -> None:
    clock = plane.context.clock
    began = clock.now().replace(second=0, microsecond=0) + timedelta(minutes=1)
    wait_until(lambda: clock.now() > began)
    versions(plane, 30)
    dimensions = [
        {"Name": "TargetGroup", "Value": plane.resources["blue"].rpartition(":")[2]},
        {"Name": "LoadBalancer", "Value": plane.resources["balancer"].partition("balancer/")[2]},
    ]

    def values(name: str, statistic: str) -> list[float]:
        answer = plane.client("cloudwatch").get_metric_data(
            StartTime=began,
            EndTime=clock.now() + timedelta(minutes=1),
            MetricDataQueries=[
                {
                    "Id": "m",
                    "MetricStat": {
                        "Metric": {
                            "Namespace": "AWS/ApplicationELB",
                            "MetricName": name,
                            "Dimensions": dimensions,
                        },
                        "Period": 60,
                        "Stat": statistic,
                    },
                }
            ],
        )
        found: list[float] = answer["MetricDataResults"][0]["Values"]
        return found

    wait_until(lambda: sum(values("RequestCount", "Sum")) >= 30)
    assert sum(values("RequestCount", "Sum")) == 30
    assert sum(values("HTTPCode_Target_2XX_Count", "Sum")) == 30
    assert sum(values("TargetResponseTime", "SampleCount")) == 30
    assert 0 < max(values("TargetResponseTime", "p99")) < 1
    assert min(values("HealthyHostCount", "Minimum")) == 2
    assert values("HTTPCode_Target_5XX_Count", "Sum") == []


def test_a_stopped_data_plane_leaves_no_process(tmp_path: Path, plane: DataPlane) -> None:
    load = LoadGenerator(plane.elb.url("claude-manager"), 50, 5)
    load.start()
    process = load._process
    assert process is not None
    load.stop()

    assert process.poll() is not None
