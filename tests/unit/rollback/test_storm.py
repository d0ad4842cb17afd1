"""However often, in whatever shape and order one incident is told: one rollback, or none."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from greenlane.deployments.phases import Phase
from greenlane.rollback.model import RollbackEvent, RollbackRequest
from greenlane.rollback.take_back import take_traffic_back
from greenlane.rollback.triggers import TriggerDocument, start_rollbacks
from tests.builders import NOW, SERVICE
from tests.fakes import clients
from tests.unit.rollback.documents import (
    ALARM,
    alarm_action,
    alarm_event,
    alarm_message,
    alert,
    ecs_event,
    sns,
    webhook,
)
from tests.world import World

LONG_AGO = NOW - timedelta(hours=1)
DIRECT = "direct"
"""An event rule's own input: it reaches the machine without the function."""

TRUE = [
    DIRECT,
    alarm_event(),
    alarm_action(),
    sns(alarm_message()),
    sns(alarm_message(), alarm_message(value="OK")),
    webhook(alert()),
    webhook(alert(slot=None), alert(at=LONG_AGO)),
    ecs_event(),
]
FALSE = [
    alarm_event(value="OK"),
    alarm_event(at=NOW - timedelta(minutes=1)),  # older than the deployment
    alarm_action(f"{SERVICE}-blue-error-rate"),
    alarm_action(ALARM, account="999999999999"),
    sns(alarm_message("other-green-error-rate")),
    sns("no JSON"),
    webhook(alert(status="resolved")),
    webhook(alert(slot="blue")),
    webhook(alert(at=LONG_AGO)),
    webhook(alert("checkout")),
    ecs_event("blue"),
    ecs_event(deployment="green-0"),
    {"detail-type": "Scheduled Event"},
]
CLOSED = "the rollback ends"


@pytest.fixture(scope="module")
def aws():
    with mock_aws():
        before = clients.pop("elbv2", None)
        yield
        clients.pop("elbv2", None)
        if before is not None:
            clients["elbv2"] = before


def shifted():
    world = World()
    clients["elbv2"] = world.balancer
    world.shifted()
    assert world.record.primary_deployment == "green-1"
    return world


def played(world, events):
    """How many rollbacks began, when each event is delivered as it comes."""
    begun = 0
    for event in events:
        if event is CLOSED:
            if world.record.phase is Phase.ROLLING_BACK:
                world.change(phase=Phase.ROLLED_BACK)
            continue
        for request in requests(world, event):
            arn = f"execution-{len(world.machines.statuses)}"
            world.machines.statuses[arn] = "RUNNING"
            given_event = RollbackEvent(request=request, execution=arn)
            begun += take_traffic_back(given_event, world.runtime).action != "none"
    return begun


def requests(world, event):
    if event is DIRECT:
        return [world.back().request]
    before = len(world.machines.started)
    start_rollbacks(TriggerDocument(event), world.runtime)
    started = world.machines.started[before:]
    return [RollbackRequest.model_validate(execution["input"]) for execution in started]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    true=st.lists(st.sampled_from(TRUE), min_size=1, max_size=60),
    false=st.lists(st.sampled_from(FALSE), max_size=40),
    ends=st.integers(0, 3),
    data=st.data(),
)
def test_of_all_that_tells_of_one_incident_one_takes_the_traffic_back(aws, true, false, ends, data):
    events = data.draw(st.permutations([*true, *false, *[CLOSED] * ends]))
    world = shifted()
    assert played(world, events) == 1
    assert world.weights() == (100, 0)
    assert world.record.epoch == 2
    assert world.kinds().count("rollback began") == 1


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(FALSE), max_size=100))
def test_what_is_foreign_stale_or_over_takes_nothing_back(aws, events):
    world = shifted()
    before = world.record
    assert played(world, events) == 0
    assert world.weights() == (90, 10)
    assert world.record == before


@pytest.mark.parametrize("event", TRUE, ids=range(len(TRUE)))
def test_each_of_the_true_ones_is_enough(aws, event):
    assert played(shifted(), [event]) == 1
