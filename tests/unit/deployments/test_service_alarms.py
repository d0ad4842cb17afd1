"""Alarms that no slot owns, such as a composite over both: they count against the candidate."""

import pytest

from greenlane.deployments.stepping.examine import examine
from greenlane.deployments.stepping.shifting import shift_traffic
from greenlane.errors import NotStable, Refused
from greenlane.rollback.take_back import take_traffic_back

WHOLE = "claude-manager-users-suffer"


@pytest.fixture
def whole(world):
    """The world with one alarm of the service as a whole."""
    world.alarm(WHOLE, "OK")
    world.workload = world.workload.model_copy(update={"alarms": (WHOLE,)})
    world.configure()
    world.calls.clear()
    return world


def verdict(world):
    world.clock.advance(minutes=6)
    world.traffic("green", requests=500)
    return examine(world.runtime, world.plan(), world.record)


def test_it_starts_the_way_back_like_the_candidates_own(whole):
    whole.shifted()
    assert whole.record.trigger_alarms == (*whole.workload.slots["green"].alarms, WHOLE)
    event = whole.back("alarm", trigger={"name": WHOLE})
    assert take_traffic_back(event, whole.runtime).action == "settle"


def test_red_before_the_deployment_it_refuses_and_missing_too(whole):
    whole.alarm(WHOLE, "ALARM")
    with pytest.raises(Refused, match=f"{WHOLE} of the live slot blue are red already"):
        whole.planned()
    del whole.watch.states[WHOLE]
    with pytest.raises(Refused, match=f"{WHOLE} do not exist"):
        whole.planned()


def test_red_during_the_deployment_it_fails_the_step(whole):
    whole.shifted()
    assert verdict(whole).verdict == "pass"
    whole.alarm(WHOLE, "ALARM")
    assert verdict(whole).verdict == "fail"


def test_red_before_the_first_weight_it_waits(whole):
    state = whole.stable()
    whole.alarm(WHOLE, "ALARM")
    with pytest.raises(NotStable, match=WHOLE):
        shift_traffic(state, whole.runtime)


def test_what_a_cure_was_sent_against_is_not_held_against_it(whole):
    whole.alarm(WHOLE, "ALARM")
    whole.shifted(despite_alarms="users suffer")
    assert verdict(whole).verdict == "pass"
    whole.alarm(WHOLE, "OK")
    whole.alarm(WHOLE, "ALARM")
    event = whole.back("alarm", trigger={"name": WHOLE})
    assert take_traffic_back(event, whole.runtime).action == "settle", "it turned red anew"


def test_its_definition_is_remembered_like_the_others(whole):
    whole.shifted()
    assert set(whole.plan().alarm_definitions) == {*whole.workload.slots["green"].alarms, WHOLE}
