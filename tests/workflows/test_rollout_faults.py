"""Rollouts by the real workflow and functions, with something wrong at each call in turn."""

from functools import cache

import pytest

from greenlane.deployments.phases import Phase
from tests.effort import part
from tests.faults.machine import load
from tests.flag_town import KINDS, Kind
from tests.region_town import RegionTown, regions_file
from tests.workflows.machines import ROLE, Raised, definition
from tests.workflows.test_rollout_machine import history_events

TWO = regions_file(2, bake={"time": "30m"}, extended_monitoring="1h")


def one(fault: Kind | None = None, number: int = 0, *, fails: bool) -> RegionTown:
    """A rollout with one fault; where its execution died by that, it is looked after."""
    town = RegionTown(TWO)
    town.strikes = {} if fault is None else {number: fault}
    begun = town.begin()
    if fails:
        town.regions[begun.waves[1].regions[0]].fails = 300
    town.run(8)
    for _ in range(2):
        if town.home.record.phase not in ("succeeded", "rolled_back"):
            town.tend(town.home, times=2)
            town.run(8)
        if town.home.record.phase == "held":
            town.home.ask("resume")
            town.tend(town.home)
            town.run(8)
    return town


@cache
def calls(fails: bool) -> int:
    town = one(fails=fails)
    town.kernel.close()
    return len(town.calls)


@pytest.mark.parametrize("fails", [False, True], ids=["good", "bad"])
@pytest.mark.parametrize("fault", KINDS)
def test_all_regions_have_the_version_or_all_have_their_own_whatever_happens_at_any_call(
    fault: Kind, fails: bool
) -> None:
    """Each kind of fault at every seventh call, begun at another one for each of the seven."""
    for number in part(range(1, calls(fails) + 1), len(KINDS), KINDS.index(fault)):
        town = one(fault, number, fails=fails)
        where = f"{fault} at call {number} of {town.calls[number - 1]}"
        phases = {name: region.phase for name, region in town.regions.items()}
        record = town.home.record
        if fails:
            assert record.phase == "rolled_back", where
            assert set(phases.values()) == {Phase.ROLLED_BACK}, where
        else:
            assert record.phase == "succeeded", where
            assert set(phases.values()) == {Phase.WATCHING}, where
        assert sorted(town.started) == sorted(town.regions), where
        town.kernel.close()


@pytest.fixture
def rollouts(machines):
    """The machine on the local cloud, with functions that answer as they are told."""
    name = "greenlane-regions"
    known = {
        found["name"]: found["stateMachineArn"]
        for found in machines.sfn.list_state_machines()["stateMachines"]
    }
    if name not in known:
        text = definition("global_deployment", "greenlane-noted")
        made = machines.sfn.create_state_machine(name=name, roleArn=ROLE, definition=text)
        known[name] = made["stateMachineArn"]
    machines.rollouts = known[name]
    return machines


def answers(turns, *, hand_over=False, ends="done"):
    left = {"turns": turns}

    def take(event):
        return event | {"epoch": 2, "rounds": 0, "next": "coordinate"}

    def coordinate(event):
        left["turns"] -= 1
        if left["turns"] > 0:
            return event | {"next": "wait", "wait_seconds": 60}
        return event | {"next": "hand_over" if hand_over else ends}

    return {
        "take_rollout": take,
        "coordinate_regions": coordinate,
        "wait_for_regions": lambda _: None,
        "hand_over_rollout": lambda event: event | {"next": "coordinate"},
    }


@pytest.mark.parametrize(
    ("options", "ends", "status"),
    [
        ({}, ["Done"], "SUCCEEDED"),
        ({"hand_over": True}, ["HandOver", "Done"], "SUCCEEDED"),
        ({"ends": "went_back"}, ["WentBack"], "FAILED"),
    ],
)
def test_the_machine_waits_in_a_callback_and_costs_as_many_events_as_counted(
    rollouts, options, ends, status
):
    rollouts.functions.answers = answers(4, **options)
    given = '{"rollout_id": "r-1", "service": "shop"}'
    started = rollouts.sfn.start_execution(stateMachineArn=rollouts.rollouts, input=given)
    ran = rollouts.ended(started["executionArn"])
    turns = ["Coordinate", "Route", "Await"] * 3
    assert ran.states == ["Begin", "Take", *turns, "Coordinate", "Route", *ends]
    assert ran.status == status

    class Entered:
        entered = ran.states

    assert len(ran.events) == history_events(Entered, load("global_deployment")["States"])


def test_a_lost_record_ends_the_execution_and_other_trouble_is_waited_for(rollouts):
    def lost(_):
        raise Raised("FenceLost")

    rollouts.functions.answers = answers(2) | {"coordinate_regions": lost}
    given = '{"rollout_id": "r-1", "service": "shop", "epoch": 2}'
    started = rollouts.sfn.start_execution(stateMachineArn=rollouts.rollouts, input=given)
    ran = rollouts.ended(started["executionArn"])
    assert (ran.status, ran.error) == ("FAILED", "FenceLost")
    assert ran.states == ["Begin", "Coordinate", "Superseded"]
    rollouts.functions.reset()
    rollouts.functions.answers = answers(2)
    rollouts.functions.failures = {"coordinate_regions": ["ReadTimeoutError"] * 7}
    given = '{"rollout_id": "r-2", "service": "shop", "epoch": 2}'
    started = rollouts.sfn.start_execution(stateMachineArn=rollouts.rollouts, input=given)
    ran = rollouts.ended(started["executionArn"])
    assert ran.status == "SUCCEEDED"
    assert ran.states[:4] == ["Begin", "Coordinate", "Later", "Coordinate"]
