"""What the reconciler sees, and what it must not stumble over."""

from datetime import timedelta

import pytest

from greenlane.deployments.phases import Phase
from greenlane.deployments.stepping.judging import Tick
from greenlane.rollback.reconcile import reconcile
from greenlane.rollback.settle import empty_slot, hold_traffic
from greenlane.rollback.take_back import take_traffic_back
from tests.fakes import BACK, FORWARD


def tick(world, **later):
    world.clock.advance(**later)
    reconcile(Tick(), world.runtime)


def taken_back(world, kind="alarm", **more):
    return take_traffic_back(world.back(kind, **more), world.runtime)


def test_auto_scaling_comes_back_after_an_incomplete_rollback(world):
    world.shifted()
    rollback = taken_back(world)
    world.clock.advance(minutes=10)
    rollback = hold_traffic(rollback, world.runtime)
    world.fail("ecs", "update_service", "ServerException")
    with pytest.raises(Exception, match="ServerException"):
        empty_slot(rollback, world.runtime)
    world.change(phase=Phase.ROLLED_BACK)
    world.machines.statuses[BACK] = "FAILED"
    assert world.record.scaling_rests
    tick(world, minutes=10)
    assert (world.desired("green"), world.desired("blue")) == (0, 2)
    assert world.record.scaling_rests is False
    assert not world.scaling.of("blue")["SuspendedState"]["DynamicScalingInSuspended"]


def test_a_refused_deployment_gives_back_what_it_inherited(world):
    world.shifted()
    taken_back(world)
    # The rollback ended without emptying its slot, and the next deployment was refused at once.
    world.change(phase=Phase.ROLLED_BACK)
    world.change(phase=Phase.REFUSED)
    assert world.record.scaling_rests
    tick(world, minutes=10)
    assert world.desired("green") == 0
    assert not world.record.scaling_rests
    assert not world.scaling.of("blue")["SuspendedState"]["DynamicScalingInSuspended"]


def test_a_service_whose_documents_cannot_be_read_does_not_keep_the_others_from_it(world):
    world.shifted()
    world.store.client.put_item(
        TableName="greenlane-deployments",
        Item={"pk": {"S": "SERVICES"}, "sk": {"S": "another"}},
    )
    world.store.client.put_item(
        TableName="greenlane-deployments",
        Item={
            "pk": {"S": "SERVICE#another"},
            "sk": {"S": "RECORD"},
            "phase": {"S": "of-a-later-version"},
        },
    )
    world.machines.statuses[FORWARD] = "FAILED"
    tick(world)
    tick(world, minutes=1)
    assert len(world.machines.started) == 1


def test_an_alarm_is_red_since_its_state_changed(world):
    world.alarm(world.alarm_of("green"), "ALARM", ago=timedelta(minutes=9))
    world.prepared()
    state = world.watch.states[world.alarm_of("green")]
    state["StateTransitionedTimestamp"] = state["StateUpdatedTimestamp"]
    world.clock.advance(minutes=1)
    state["StateUpdatedTimestamp"] = world.clock.now()
    tick(world, minutes=5)
    assert world.machines.started == []
