"""What hangs must not cost a rollback its function's time limit: killed, it counts as failed."""

from unittest.mock import Mock

import pytest

from greenlane.deployments.stepping.finishing import finish_deployment
from greenlane.deployments.stepping.judging import Tick
from greenlane.rollback.reconcile import JUDGED_WITHIN, reconcile
from greenlane.rollback.settle import hold_traffic
from greenlane.rollback.take_back import take_traffic_back
from greenlane.runtime import Runtime
from infra.catalog import ROLLBACK
from tests.fakes import BACK, timeout

CLIENTS = {
    "cloudwatch": lambda runtime: runtime.cloudwatch_quick,
    "relay": lambda runtime: runtime.relay,
    "dynamodb": lambda runtime: runtime.store.client,
    "elbv2": lambda runtime: runtime.elbv2_back,
    "ecs": lambda runtime: runtime.ecs_back,
    "application-autoscaling": lambda runtime: runtime.autoscaling_back,
    "stepfunctions": lambda runtime: runtime.stepfunctions_back,
}


@pytest.fixture
def longest(world, monkeypatch):
    """Seconds that a call may take, by service: each attempt's time-out, and the pauses."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    runtime = Runtime(settings=world.runtime.settings, actor="test")
    found = {}
    for service, client_of in CLIENTS.items():
        config = client_of(runtime).meta.config
        attempts = config.retries["total_max_attempts"]
        found[service] = attempts * config.read_timeout + 2 ** (attempts - 1) - 1
    return found


def limit(name):
    return next(spec.timeout_seconds for spec in ROLLBACK if spec.module == name)


def test_a_look_fits_into_its_functions_time_with_ecs_and_auto_scaling_at_their_slowest(
    world, longest
):
    """In the watch, with a good slot that must grow, it makes the most calls."""
    world.promoted()
    world.serve("blue", 1)
    world.change(scaling_rests=False)
    rollback = take_traffic_back(world.back(), world.runtime)
    world.calls.clear()
    with pytest.raises(Exception, match="growing back"):
        hold_traffic(rollback, world.runtime)
    asked = [service for service, _ in world.calls]
    slow = [service for service in asked if service in ("ecs", "application-autoscaling")]
    assert len(slow) >= 3
    assert sum(longest[service] for service in slow) <= limit("hold_traffic") - 10


def test_a_loser_that_asks_for_the_owner_in_vain_ends_in_time(world, longest):
    world.shifted()
    take_traffic_back(world.back(), world.runtime)
    world.calls.clear()
    assert take_traffic_back(world.back(execution=f"{BACK}-2"), world.runtime).action == "none"
    assert ("stepfunctions", "describe_execution") in world.calls
    assert longest["stepfunctions"] <= limit("take_traffic_back") - 10


def test_a_way_back_without_the_table_asks_the_balancer_by_its_short_client(world):
    """Its function has 30 s, and the usual client may take 40 s for one answer."""
    world.shifted()
    world.fail("dynamodb", "*", timeout(), times=99)
    usual = world.runtime.__dict__["elbv2"] = Mock()
    rollback = take_traffic_back(world.back(), world.runtime)
    assert (rollback.action, world.weights()) == ("settle", (100, 0))
    assert not usual.method_calls


def watched(world):
    """An hour into the extended watch, at a minute at which it is judged."""
    state = world.promoted()
    world.clock.advance(minutes=31)
    finish_deployment(state, world.runtime)
    world.clock.at = world.clock.at.replace(minute=10, second=20)
    world.clock.advance(hours=1)
    world.traffic("green", requests=100, minutes=20)


def test_a_cloudwatch_that_hangs_leaves_the_reconciler_most_of_its_minute(world, longest):
    """The usual client may take 47 s for one answer, and it is asked twice."""
    watched(world)
    usual = world.runtime.__dict__["cloudwatch"] = Mock()
    world.fail("cloudwatch", "*", timeout(), times=99)
    world.calls.clear()
    reconcile(Tick(), world.runtime)
    asked = [operation for service, operation in world.calls if service == "cloudwatch"]
    assert asked == ["describe_alarms", "get_metric_data"]
    assert not usual.method_calls
    # A Prometheus is asked after CloudWatch.
    judging = longest["cloudwatch"] + longest["relay"]
    assert JUDGED_WITHIN.total_seconds() + judging <= limit("reconcile") - 1


def test_late_in_its_minute_the_reconciler_judges_no_watch(world, monkeypatch):
    watched(world)
    look = world.table.get_item

    def slow(**arguments):
        world.clock.advance(seconds=26)
        return look(**arguments)

    monkeypatch.setattr(world.table, "get_item", slow)
    world.clock.at = world.clock.at.replace(minute=9, second=50)
    world.calls.clear()
    reconcile(Tick(), world.runtime)
    assert ("cloudwatch", "describe_alarms") in world.calls
    assert ("cloudwatch", "get_metric_data") not in world.calls
