"""Sequences that a review found, each with what must come of it."""

from datetime import timedelta

import pytest

from greenlane.deployments.model import Signal
from greenlane.deployments.stepping.baking import BakeEvent, start_bake
from greenlane.deployments.stepping.judging import Tick, judge_step
from greenlane.deployments.stepping.preparing import check_stability
from greenlane.deployments.stepping.shifting import shift_traffic
from greenlane.errors import CapacityShort, NotStable
from greenlane.rollback.reconcile import reconcile
from tests.builders import NOW, SERVICE


def test_a_candidate_is_raised_to_what_the_traffic_needs_by_now(world):
    state = world.shifted()
    world.ecs.services[f"{SERVICE}-blue"]["desiredCount"] = 6
    world.serve("blue", 6)
    with pytest.raises(CapacityShort, match="needs 3"):
        shift_traffic(state.model_copy(update={"step": 1}), world.runtime)
    assert world.desired("green") == 3
    assert world.record.step == 0, "no weight was intended yet"


def test_a_signal_survives_a_judgement_that_fails(world):
    state = world.shifted()
    start_bake(BakeEvent(token="token-1", deployment=state), world.runtime)
    world.change(signal=Signal(name="pause", step=0, by="ada", at=NOW))
    world.fail("dynamodb", "put_item")
    with pytest.raises(Exception, match="Throttling"):
        judge_step(state, world.runtime)
    assert judge_step(state, world.runtime).next == "bake"
    assert world.record.paused
    assert world.record.signal is None


def test_alarms_that_cannot_be_read_do_not_end_a_bake(world):
    state = world.shifted()
    world.fail("cloudwatch", "describe_alarms")
    start_bake(BakeEvent(token="token-1", deployment=state), world.runtime)
    assert world.record.bake_token == "token-1"


def test_a_slot_that_somebody_made_smaller_is_not_stable(world):
    state = world.prepared()
    world.serve("green", 1)
    world.ecs.services[f"{SERVICE}-green"]["desiredCount"] = 1
    with pytest.raises(NotStable, match="1 tasks are wanted, 2 carry"):
        check_stability(state, world.runtime)


def test_an_execution_that_hangs_past_the_deadline_is_taken_back(world):
    world.shifted()
    world.clock.at = world.record.deadline + timedelta(minutes=9)
    reconcile(Tick(), world.runtime)
    assert world.machines.started == []
    world.clock.advance(minutes=1)
    reconcile(Tick(), world.runtime)
    (started,) = world.machines.started
    assert started["input"]["trigger"]["name"] == "overdue"
