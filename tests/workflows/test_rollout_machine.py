"""global_deployment.asl.json with the real functions: what happens in Regions, what it costs."""

import json

import pytest

from greenlane.deployments.phases import Phase
from greenlane.regions.coordinating.running import MOST_ROUNDS
from tests.builders import SERVICE
from tests.faults.machine import load
from tests.region_town import only, regions_file
from tests.region_town import town as town
from tests.town_region import HOME, STANDBY, settings_in


def test_a_version_goes_through_all_regions_and_each_has_its_own_deployment(town):
    it = town()
    it.begin()
    it.run()
    assert it.home.record.phase == "succeeded"
    assert len(it.started) == 3
    assert only(it.home).status == "SUCCEEDED"
    assert it.kinds() == ["regions_succeeded"]
    for region in it.regions.values():
        (name,) = region.executions
        assert name.endswith(":greenlane-deployment:shop-1")


def test_a_region_that_fails_takes_all_others_back_to_what_they_had(town):
    it = town()
    it.begin()
    it.regions[it.home.record.waves[2].regions[0]].fails = 600
    it.run()
    assert it.home.record.phase == "rolled_back"
    assert {one.phase for one in it.regions.values()} == {Phase.ROLLED_BACK}
    assert only(it.home).error == "WentBack"
    assert it.kinds() == ["regions_rolling_back", "regions_rolled_back"]


def test_all_regions_are_back_within_a_minute_of_the_alarm(town):
    """By the Region's event: 2 s to home, one turn, and 45 s of each Region's own way back."""
    it = town(regions_file(20))
    it.begin()
    it.run(hours=18)
    assert len(it.started) >= 18
    began, touched = it.kernel.seconds, set(it.home.record.touched)
    it.regions[it.started[-1]].alarm()
    it.run(
        hours=1,
        done=lambda: all(it.regions[name].phase is Phase.ROLLED_BACK for name in touched),
    )
    assert it.kernel.seconds - began <= 60


def test_without_any_event_the_same_happens_only_later(town):
    it = town(events=False)
    it.begin()
    it.regions[it.home.record.waves[1].regions[0]].fails = 600
    it.run()
    assert it.home.record.phase == "rolled_back"
    it = town(events=False)
    it.begin()
    it.run()
    assert it.home.record.phase == "succeeded"


def test_a_region_that_does_not_answer_counts_as_changed(town):
    it = town()
    it.begin()
    it.run(hours=0.5)
    (first,) = it.started
    it.down.add(first)
    it.run(hours=3)
    assert it.home.record.phase == "rolling_back"
    assert it.home.record.left == (first,)
    assert "regions_partial" in it.kinds()
    it.down.clear()
    it.run()
    assert it.home.record.phase == "rolled_back"
    assert it.regions[first].phase is Phase.ROLLED_BACK


def test_a_person_holds_resumes_and_takes_back(town):
    it = town()
    it.begin()
    it.run(hours=0.5)
    it.home.ask("hold", "a fair")
    it.run(hours=6)
    assert (it.home.record.phase, len(it.started)) == ("held", 1)
    it.home.ask("resume")
    it.run(hours=0.6)
    assert len(it.started) == 2
    it.home.ask("rollback", "complaints")
    it.run()
    assert it.home.record.phase == "rolled_back"
    assert {it.regions[name].phase for name in it.started} == {Phase.ROLLED_BACK}


def test_a_region_that_has_the_version_already_holds_up_nothing_and_is_not_taken_back(town):
    it = town()
    it.regions["us-east-1"].has_it = True
    it.begin()
    it.run()
    assert it.home.record.phase == "succeeded"
    assert it.home.record.at("us-east-1").state == "succeeded"
    it = town()
    it.regions["ap-south-1"].has_it = True
    it.regions[HOME].fails = 300
    it.begin()
    it.run()
    assert it.home.record.phase == "rolled_back"
    assert it.regions["ap-south-1"].phase is None


def test_a_limit_of_the_rollout_that_a_region_exceeds_takes_all_back(town):
    it = town(regions_file(3, rollback_threshold={"error_rate": 0.05}))
    it.begin()
    it.run(hours=1.2)
    assert it.home.record.phase == "advancing"
    first = it.started[0]
    it.regions[first].error_rate = 0.2
    it.run()
    assert it.home.record.phase == "rolled_back"
    assert it.home.record.cause == f"{first}: error_rate 0.2000 is above the rollout's 0.05"
    assert {it.regions[name].phase for name in it.started} == {Phase.ROLLED_BACK}


def test_an_execution_that_died_is_replaced_and_a_person_lets_it_go_on(town):
    it = town()
    it.begin()
    it.run(hours=0.5)
    only(it.home).stop("Killed", "by hand")
    it.tend(it.home, times=3)
    it.run(hours=2)
    assert it.home.record.phase == "held"
    assert "ended in the middle" in it.home.record.held_for
    assert len(it.started) == 1
    it.home.ask("resume")
    it.run()
    assert it.home.record.phase == "succeeded"


def test_an_execution_that_dies_on_the_way_back_is_replaced_and_goes_back(town):
    it = town()
    it.begin()
    it.run(hours=1.5)
    it.down.add(it.started[0])
    it.home.ask("rollback")
    it.run(hours=0.1)
    for one in it.home.executions.values():
        one.stop("Killed", "by hand")
    it.down.clear()
    it.tend(it.home, times=3)
    it.run()
    assert it.home.record.phase == "rolled_back"
    assert {it.regions[name].phase for name in it.started} == {Phase.ROLLED_BACK}


def test_a_region_that_the_settings_do_not_name_ends_it_before_anything_is_done(town):
    it = town()
    it.home.runtime.settings = settings_in(HOME, (HOME, STANDBY))
    it.begin()
    it.run()
    assert it.started == []
    assert it.home.record.phase == "rolled_back"
    assert it.home.record.cause.startswith("ap-south-1: not in the coordinator's settings")
    it.tend(it.home)
    it.run()
    assert len(it.home.executions) == 1


def test_a_coordinator_that_is_cut_off_from_most_regions_concludes_nothing(town):
    it = town(regions_file(5))
    it.begin()
    it.run(hours=2.2)
    assert len(it.started) == 3
    for name in it.started:
        it.cut.add((HOME, name))
    it.run(hours=3)
    assert it.home.record.phase == "advancing"
    assert it.home.record.blocked == "most regions do not answer"
    assert "regions_waiting" in it.kinds()
    assert {it.regions[name].phase for name in it.started} == {Phase.WATCHING}
    it.cut.clear()
    it.run()
    assert it.home.record.phase == "succeeded"


def test_a_region_where_the_version_is_another_image_is_refused_before_anything_changes(town):
    it = town()
    it.begin()
    last = it.home.record.waves[-1].regions[0]
    it.regions[last].digest = "b" * 64
    it.run()
    assert it.home.record.phase == "rolled_back"
    assert it.home.record.cause_region == last
    assert "is not what other regions ship" in it.home.record.cause
    assert last not in it.started


def test_regions_of_one_wave_that_found_different_images_all_go_back(town):
    shares = {"first_traffic": 100, "max_traffic": 100, "first_regions": 3}
    it = town(regions_file(3, type="canary", waves=shares))
    it.begin()
    assert len(it.home.record.waves[0].regions) >= 2
    it.regions[it.home.record.waves[0].regions[1]].digest = "b" * 64
    it.run()
    assert it.home.record.phase == "rolled_back"
    assert "and others ship" in it.home.record.cause


# What it costs

EVENTS = {"Task": 5, "Choice": 2, "Wait": 2, "Succeed": 2, "Fail": 1, "Callback": 6}


def history_events(execution, states):
    """How many events AWS writes for the states that were entered, without retries."""

    def cost(name):
        state = states[name]
        callback = state.get("Resource", "").endswith("waitForTaskToken")
        return EVENTS["Callback" if callback else state["Type"]]

    return 2 + sum(cost(name) for name in execution.entered)


@pytest.mark.parametrize("events", [True, False], ids=["events", "no events"])
def test_twenty_regions_cost_less_than_2000_events_and_32_kib(town, events):
    it = town(regions_file(20), events=events)
    it.begin()
    it.run(hours=72)
    assert it.home.record.phase == "succeeded"
    assert len(it.started) == 20
    states = load("global_deployment")["States"]
    costs = [history_events(one, states) for one in it.home.executions.values()]
    turns = sum(one.entered.count("Coordinate") for one in it.home.executions.values())
    print(f"history events of each parent: {costs}, turns: {turns}")
    assert max(costs) <= 2000
    for one in it.home.executions.values():
        assert len(json.dumps(one.given)) < 1024


def test_a_rollout_that_takes_very_many_turns_goes_on_in_the_next_execution(town):
    it = town()
    it.begin()
    first = it.home.record.waves[0].regions[0]
    for region in it.regions.values():
        region.alarms.red.add(f"{SERVICE}-blue-p95")
    it.regions[first].percent = 300
    it.run(hours=14)
    assert it.started == []
    assert len(it.home.executions) == 2
    assert all(
        one.entered.count("Coordinate") <= MOST_ROUNDS for one in it.home.executions.values()
    )
    it.regions[first].percent = 33
    it.run()
    assert it.home.record.phase == "succeeded"
