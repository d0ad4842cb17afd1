"""A rollback condition's alarm: whom it stops, and when it does nothing."""

from datetime import timedelta

import pytest

from greenlane.flags.storing import keeping
from tests.builders import SERVICE
from tests.fakes import error
from tests.flag_town import FLAG, VARIANT_METRIC, Town, no_pauses, red  # noqa: F401

HALF = FLAG.replace("percentage: 0", "percentage: 50")


def bad_town(text=HALF, **more):
    """Half of the users have a flag that fails for them, and the alarms are there."""
    town = Town(text, **{"harm": 0.4} | more)
    town.note_level()
    town.kernel.seconds = 600
    town.tick()
    town.kernel.run(630, lambda: False)
    return town


def stop(town, **more):
    run = town.call("stop_flags", red(town, **more))
    town.kernel.run(town.kernel.seconds + 30, lambda: run.ended.is_set)
    assert run.failure is None
    return town.state()


def test_a_red_alarm_switches_the_flag_off_for_everybody_and_pages():
    town = bad_town()
    state = stop(town)
    assert (state.stopped, state.owed) == (True, "")
    assert "error_rate > 0.05 is true" in state.retreated
    assert town.kinds() == ["flag_stopped"]
    assert not town.flags.read().compiled("production")["flags"]["checkout"]["on"]
    entry = town.flags.audit("checkout", limit=2)[-1]
    assert (entry.by, "a rollback condition fired" in entry.reason) == ("greenlane", True)


def test_the_same_event_again_changes_nothing_and_tells_nobody():
    town = bad_town()
    stop(town)
    version = town.flags.read().version
    stop(town)
    assert (town.flags.read().version, town.kinds()) == (version, ["flag_stopped"])


def test_only_a_person_brings_it_back_and_an_alarm_from_before_does_nothing_then():
    town = bad_town()
    event = red(town)
    stop(town)
    now = town.kernel.now() + timedelta(minutes=1)
    keeping.enable(town.flags, "checkout", "production", by="ada", at=now)
    run = town.call("stop_flags", event)
    town.kernel.run(town.kernel.seconds + 120, lambda: run.ended.is_set)
    assert not town.state().stopped


def test_an_alarm_that_no_flag_has_is_ignored():
    town = bad_town()
    before = town.flags.read()
    foreign = f"greenlane-flag.{SERVICE}.trigger.blue.0123456789ab"
    assert not stop(town, name=foreign).stopped
    assert not stop(town, service="another").stopped
    assert town.flags.read() == before


def test_a_flag_that_nobody_may_have_is_to_blame_for_nothing():
    town = bad_town(FLAG, harm=0.0, floor=0.3)
    assert not stop(town).stopped


def test_a_slot_that_fails_alone_is_the_deployments_business():
    """The service as a whole keeps the condition: a canary of one percent fails."""
    town = bad_town(harm=0.0)
    assert not stop(town, slot="green").stopped


def test_where_the_numbers_cannot_be_read_the_alarm_counts_as_it_is():
    town = bad_town(harm=0.0)
    town.runtime.cloudwatch._target.get_metric_data = _refused
    state = stop(town)
    assert state.stopped
    assert "its alarm is red: crossed" in state.retreated


def _refused(**_):
    raise error("Throttling")


def test_a_person_who_enabled_it_while_it_was_looked_at_is_not_overruled():
    town = bad_town()
    event = red(town)

    def enable_anew():
        at = town.kernel.now() + timedelta(seconds=1)
        keeping.disable(town.flags, "checkout", "production", by="ada", at=at)
        keeping.enable(town.flags, "checkout", "production", by="ada", at=at)

    # Between the read of the numbers and the write.
    reads = [number for number, one in enumerate(town.calls) if one[1] == "get_metric_data"]
    assert not reads
    town.acts[len(town.calls) + 4] = enable_anew
    run = town.call("stop_flags", event)
    town.kernel.run(town.kernel.seconds + 30, lambda: run.ended.is_set)
    assert not town.state().stopped
    assert town.kinds() == []


@pytest.mark.parametrize(("percentage", "stopped"), [(50, True), (0, False)])
def test_flags_share_an_alarm_and_each_is_stopped_for_itself(percentage, stopped):
    text = HALF + HALF.replace("feature_flags:\n", "").replace("checkout:", "search:").replace(
        "percentage: 50", f"percentage: {percentage}"
    )
    town = bad_town(text)
    pulling = [name for name in town.alarms.names if ".trigger." in name]
    assert len(pulling) == 2
    stop(town)
    assert town.state("checkout").stopped
    assert town.state("search").stopped is stopped


def test_a_flag_is_stopped_only_where_its_own_service_is_ill():
    text = HALF.replace("[production]", "[staging, production]") + (
        "    per_environment: {staging: {service: elsewhere}}\n"
    )
    town = bad_town(text)
    stop(town)
    states = town.flags.read().flags["checkout"]
    assert states.state("production").stopped
    assert not states.state("staging").stopped


def test_an_alarm_on_those_who_have_the_flag_is_the_flags_own():
    text = HALF.replace("error_rate > 0.05", "checkout_failures > 0.1")
    town = bad_town(text, config={"metrics": VARIANT_METRIC})
    (name,) = [one for one in town.alarms.names if ".trigger." in one]
    metrics = town.alarms.alarms.alarms[name].settings["Metrics"]
    dimensions = {
        one["Name"]: one["Value"] for one in metrics[0]["MetricStat"]["Metric"]["Dimensions"]
    }
    assert dimensions == {"Flag": "checkout", "Variant": "on"}
    assert stop(town, text="checkout_failures", slot="service").stopped


def test_a_minute_that_has_only_begun_is_no_reason_to_switch_a_flag_off():
    """A new version with little traffic is below the limit, the service as a whole is not."""
    town = bad_town(HALF.replace("error_rate > 0.05", "throughput < 1000"), harm=0.0)
    town.begun_minutes = True
    assert not stop(town, text="throughput < 1000", slot="green").stopped


def test_an_alarm_of_many_flags_reads_the_numbers_once_and_stops_all_of_them_at_once():
    more = [
        HALF.replace("feature_flags:\n", "").replace("checkout:", f"flag{number}:")
        for number in range(8)
    ]
    town = Town(HALF + "".join(more), harm=0.4)
    for number in range(8):
        at = town.kernel.now() - timedelta(minutes=100 - number)
        keeping.disable(town.flags, f"flag{number}", "production", by="ada", at=at)
        keeping.enable(town.flags, f"flag{number}", "production", by="ada", at=at)
    town.note_level()
    town.kernel.seconds = 600
    town.tick()
    town.kernel.run(630, lambda: False)
    town.calls.clear()
    stop(town)
    assert all(town.state(f"flag{number}").stopped for number in range(8))
    assert [operation for _, operation in town.calls].count("get_metric_data") == 1
    stops = [one for one in town.flags.audit(limit=100) if "condition fired" in one.reason]
    assert [len(one.changes) for one in stops] == [9]
    assert town.kinds() == ["flag_stopped"] * 9
