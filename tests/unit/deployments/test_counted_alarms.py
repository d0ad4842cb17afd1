"""A deployment counts on the alarms of conditions as it does on the workload's own."""

import pytest

from greenlane.deployments.declaring.applied_alarms import alarms_asked
from greenlane.deployments.stepping.examine import examine
from greenlane.errors import Refused
from greenlane.rollback.take_back import take_traffic_back

TRIGGERS = {"rollback_triggers": ["error_rate > 0.05"], "alerts": {"warning": ["cpu_usage > 80"]}}


@pytest.fixture
def kept(world):
    """The world with a condition whose alarms are as they were applied."""
    world.configure(**TRIGGERS)
    config = world.store.get_config("claude-manager").config
    for alarm in alarms_asked(config, world.workload).alarms:
        world.alarm(alarm.name, "OK")
        world.watch.states[alarm.name] |= alarm.body
    return world


def named(world, role, slot="green"):
    return next(name for name in world.watch.states if f".{role}.{slot}." in name)


def verdict(world):
    world.clock.advance(minutes=6)
    world.traffic("green", requests=500)
    return examine(world.runtime, world.plan(), world.record)


def turn(world, name, state):
    body = world.watch.states[name]
    world.alarm(name, state)
    world.watch.states[name] = body | world.watch.states[name]


def test_the_record_names_them_and_one_that_is_red_goes_back(kept):
    kept.shifted()
    name = named(kept, "trigger")
    assert name in kept.record.trigger_alarms
    assert not any(".part." in one or ".warning." in one for one in kept.record.trigger_alarms)
    turn(kept, name, "ALARM")
    event = kept.back("alarm", trigger={"name": name})
    assert take_traffic_back(event, kept.runtime).action == "settle"


def test_an_alarm_of_the_same_kind_that_was_not_applied_goes_nowhere(kept):
    kept.shifted()
    event = kept.back("alarm", trigger={"name": "greenlane.claude-manager.trigger.green.foreign"})
    assert take_traffic_back(event, kept.runtime).action == "none"


def test_red_it_fails_the_step_and_the_live_slots_holds_it(kept):
    kept.shifted()
    assert verdict(kept).verdict == "pass"
    turn(kept, named(kept, "trigger", "blue"), "ALARM")
    assert verdict(kept).verdict == "hold"
    turn(kept, named(kept, "trigger"), "ALARM")
    assert verdict(kept).verdict == "fail"


def test_a_part_that_is_red_says_nothing_by_itself(kept):
    kept.shifted()
    turn(kept, named(kept, "part"), "ALARM")
    assert verdict(kept).verdict == "pass"


def test_a_part_that_somebody_changes_or_deletes_holds(kept):
    kept.shifted()
    name = named(kept, "part")
    body = kept.watch.states[name]
    kept.watch.states[name] = body | {"Threshold": 0.9}
    assert "changed since planning" in verdict(kept).reason
    del kept.watch.states[name]
    assert "no such alarm" in verdict(kept).reason
    kept.watch.states[name] = body
    assert verdict(kept).verdict == "pass"


def test_planning_refuses_without_them(kept):
    del kept.watch.states[named(kept, "part", "blue")]
    with pytest.raises(Refused, match="do not exist.* again"):
        kept.planned()


def test_red_on_the_live_slot_planning_refuses(kept):
    name = named(kept, "trigger", "blue")
    turn(kept, name, "ALARM")
    with pytest.raises(Refused, match=f"{name} of the live slot blue are red already"):
        kept.planned()


def test_a_warning_that_is_red_is_no_reason(kept):
    turn(kept, named(kept, "warning", "blue"), "ALARM")
    kept.shifted()
    turn(kept, named(kept, "warning"), "ALARM")
    assert verdict(kept).verdict == "pass"
