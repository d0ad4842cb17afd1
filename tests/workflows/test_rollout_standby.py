"""Home and its standby: who takes over, who may go on, and what neither ever does."""

import json

from greenlane.deployments.phases import Phase
from tests.builders import SERVICE
from tests.effort import part
from tests.region_town import only, regions_file
from tests.region_town import town as town
from tests.town_region import HOME, STANDBY


def test_nothing_begins_before_the_standby_has_its_copy(town):
    it = town()
    it.down.add(STANDBY)
    it.begin()
    it.run(hours=1)
    assert it.started == []
    assert only(it.home).error == "Refused"
    it.tend(it.home, times=2)
    it.run(hours=1)
    assert it.started == []
    it.down.clear()
    it.tend(it.home, times=2)
    it.run()
    assert it.home.record.phase == "succeeded"


def test_the_standby_learns_of_an_end_whose_copy_was_lost(town):
    it = town()
    it.begin()
    it.run(hours=3)
    it.cut.add((HOME, STANDBY))
    it.run()
    assert it.home.record.phase == "partial"  # the standby's Region is one of the rollout's
    it.cut.clear()
    assert it.standby.rollouts.copy(SERVICE).phase != "partial"
    it.tend(it.standby)
    it.run(hours=0.2)
    assert it.standby.rollouts.copy(SERVICE).phase == "partial"
    it.down.add(HOME)
    it.tend(it.standby, times=6)
    it.run(hours=2)
    assert it.standby.rollouts.kept(SERVICE) is None


def test_the_standby_takes_over_when_home_is_lost_and_never_advances(town):
    it = town()
    it.begin()
    it.run(hours=0.5)
    it.down.add(HOME)
    for one in it.home.executions.values():
        one.stop("Killed", "home is down")
    it.tend(it.standby, times=4)
    it.run(hours=10)
    assert it.standby.record.standing_in
    assert it.standby.record.phase in ("held", "rolling_back")
    assert len(it.started) == 1
    assert "regions_held" in it.kinds()


def test_the_standby_takes_all_back_when_a_region_fails_and_home_is_lost(town):
    four = json.loads(regions_file(4))
    four["regions"]["ap-south-1"]["priority"] = "low"
    four["regions"]["ap-south-2"]["priority"] = "low"
    it = town(json.dumps(four))
    it.begin()
    it.run(hours=1.5)
    assert set(it.started) == {"ap-south-1", "ap-south-2"}
    for one in it.home.executions.values():
        one.stop("Killed", "home is down")
    it.down.add(HOME)
    it.regions["ap-south-2"].fails = 40 * 60
    it.tend(it.standby, times=4)
    it.run(hours=20)
    assert it.regions["ap-south-1"].phase is Phase.ROLLED_BACK
    assert it.regions["ap-south-2"].phase is Phase.ROLLED_BACK
    assert it.standby.record.phase in ("rolling_back", "rolled_back", "partial")
    assert it.standby.record.cause_region == "ap-south-2" or HOME in it.standby.record.cause


def test_the_standby_takes_all_back_whatever_happens_at_any_call_of_its_own(town):
    """Home is lost, a Region fails, and each kind of fault strikes the standby once."""

    def lost(fault=None, number=0):
        it = town(regions_file(3))
        it.begin()
        it.run(hours=1.1)
        assert len(it.started) == 2
        for one in it.home.executions.values():
            one.stop("Killed", "home is down")
        it.down.add(HOME)
        began = len(it.calls)
        it.strikes = {} if fault is None else {began + number: fault}
        it.regions[it.started[-1]].fails = 25 * 60
        it.tend(it.standby, times=12)
        it.run(hours=6)
        return it, len(it.calls) - began

    _, calls = lost()
    for index, fault in enumerate(("gone", "gone_after", "timeout", "after", "aborted")):
        for number in part(range(1, min(calls, 160)), 20, 4 * index):
            it, _ = lost(fault, number)
            for name in it.started:
                assert it.regions[name].phase is Phase.ROLLED_BACK, (fault, number, name)
            assert len(it.started) == 2


def test_home_that_comes_back_after_the_standby_took_over_does_not_advance(town):
    it = town(regions_file(5))
    it.begin()
    it.run(hours=0.5)
    it.cut.add((STANDBY, HOME))
    it.tend(it.standby, times=4)
    it.run(hours=0.4)
    assert it.standby.record.standing_in
    before = list(it.started)
    it.run(hours=8)
    assert it.started == before
    assert it.home.record.phase == "held"
    assert "another coordinator is in force" in it.home.record.held_for


def test_home_goes_on_above_the_standby_when_a_person_says_so(town):
    it = town(regions_file(5))
    it.begin()
    it.run(hours=0.5)
    it.cut.add((STANDBY, HOME))
    it.tend(it.standby, times=4)
    it.run(hours=3)
    assert it.home.record.phase == "held"
    it.cut.clear()
    it.home.ask("resume", "home is well")
    it.run()
    assert it.home.record.phase == "succeeded"
    assert it.home.record.epoch > it.standby.record.epoch
    assert len(it.started) == 5
    assert it.standby.record.phase == "succeeded"


def test_the_standby_takes_over_when_homes_table_answers_and_nothing_else_there_moves(town):
    """An outage of functions or of Step Functions in the home Region."""
    it = town(regions_file(5))
    it.begin()
    it.run(hours=1.5)
    assert len(it.started) == 2
    only(it.home).stop("Killed", "nothing runs at home")
    it.regions[it.started[-1]].fails = 25 * 60
    it.tend(it.standby, times=18)
    it.run(hours=20)
    assert {it.regions[name].phase for name in it.started} == {Phase.ROLLED_BACK}
    assert it.standby.record.standing_in
    assert "does not move" in it.topic.published[0]["Message"]


def test_a_home_that_waits_for_hours_counts_as_alive(town):
    it = town(regions_file(5))
    it.begin()
    it.run(hours=1.5)
    it.home.ask("hold", "a fair")
    it.tend(it.standby, times=100)
    it.run(hours=9)
    assert it.home.record.phase == "held"
    assert it.standby.rollouts.kept(SERVICE) is None


def test_a_home_that_does_not_answer_is_asked_once_a_tick_for_all_services(town):
    """Else the services at the end of a long list would never have their turn."""
    it = town()
    it.begin()
    it.run(hours=0.5)
    names = [f"service-{number}" for number in range(30)]
    for name in names:
        it.standby.rollouts.put_copy(it.home.record.model_copy(update={"service": name}))
    it.down.add(HOME)
    began = it.kernel.seconds
    for _ in range(2):
        ran = it.standby.call("tend_rollouts", {})
        it.run(hours=1, done=lambda ran=ran: ran.ended.is_set)
    assert it.kernel.seconds - began <= 2 * 30
    for name in names:
        assert it.standby.rollouts.miss(name) == 3
