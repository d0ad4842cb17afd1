"""What the minute tick does: executions, lost events, alarms, one flag beside the other."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from greenlane.deployments.stepping.judging import Tick
from greenlane.flags.ramps.executions import execution_arn, execution_name
from greenlane.flags.ramps.flag_news import tell_owed
from greenlane.flags.ramps.ticking import tick_flags
from greenlane.flags.storing import keeping
from greenlane.flags.storing.state import StoredFlags
from tests.builders import SERVICE
from tests.fakes import error
from tests.flag_store import NOW, flags_from
from tests.flag_town import FLAG, MACHINE, Town, no_pauses  # noqa: F401

HALF = FLAG.replace("percentage: 0", "percentage: 50")


def minutes(town, count):
    town.run(count / 60)


def test_a_ramp_that_somebody_recorded_gets_one_execution_by_its_own_id():
    town = Town()
    ramp = town.ramp(100, 5)
    minutes(town, 5)
    assert list(town.executions) == [execution_arn(MACHINE, ramp)]
    started = [one for one in town.calls if one[1] == "start_execution"]
    assert len(started) == 1


def test_an_execution_that_was_killed_is_started_anew_and_the_ramp_neither_stalls_nor_skips():
    town = Town()
    ramp = town.ramp(20, 5)
    minutes(town, 7)
    assert town.level() == 10
    town.executions[execution_arn(MACHINE, ramp)].stop("Killed", "by the test")
    town.run(done=town.over())
    assert [arn.rsplit(":", 1)[1] for arn in town.executions] == [ramp, f"{ramp}-2"]
    assert (town.ramp_of().status, town.level()) == ("done", 20)
    assert raises(town) == [5, 10, 15, 20]


def raises(town, flag="checkout"):
    found = []
    for entry in reversed(town.flags.audit(flag, limit=500)):
        for change in entry.changes:
            state = change.after["states"].get("production", {}) if change.after else {}
            if entry.by == "greenlane" and "one step up" in entry.reason:
                found.append(float(state["ceiling"]))
    return found


def test_a_ramp_goes_on_where_it_is_when_nothing_ran_for_a_day():
    town = Town()
    ramp = town.ramp(20, 5)
    minutes(town, 7)
    town.executions[execution_arn(MACHINE, ramp)].stop("Killed", "by the test")
    town.kernel._agenda.clear()
    town.kernel.seconds += 86_400
    assert town.level() == 10
    town.run(done=town.over())
    assert (town.ramp_of().status, raises(town)) == ("done", [5, 10, 15, 20])


@pytest.mark.parametrize("length", [1, 59, 128])
def test_the_names_of_executions_fit_and_tell_ramps_apart(length):
    one = f"{'f' * min(length, 60)}-20261124-120000-1a2b"
    names = {execution_name(one, number) for number in range(1, 30)}
    assert len(names) == 29
    assert all(len(name) <= 80 for name in names)
    assert execution_name(one) != execution_name(one[:-4] + "ffff")


def test_a_bad_step_of_a_long_interval_ends_within_minutes():
    town = Town(harm=0.9)
    town.ramp(20, 10, minutes=24 * 60)
    minutes(town, 5)
    assert (town.ramp_of().status, town.level()) == ("retreated", 0)
    assert town.kinds() == ["flag_stopped"]


def test_an_alarm_whose_event_was_lost_is_acted_on_within_two_minutes():
    town = Town(HALF, harm=0.4)
    town.note_level()
    minutes(town, 5)
    for name in [one for one in town.alarms.names if ".part.blue." in one]:
        town.alarms.alarms.set_alarm_state(
            {"AlarmName": name, "StateValue": "ALARM", "StateReason": "crossed"}
        )
    assert not town.state().stopped
    minutes(town, 3)
    assert town.state().stopped


def test_a_condition_that_no_alarm_can_watch_is_looked_at_each_minute():
    town = Town(HALF.replace("error_rate > 0.05", "user_complaints > 900"), harm=0.1)
    town.note_level()
    minutes(town, 5)
    assert town.alarms.names == set()
    assert not town.state().stopped  # a hundred in each minute
    minutes(town, 7)
    assert town.state().stopped


def test_alarms_come_with_a_flag_and_go_with_it():
    town = Town(HALF)
    minutes(town, 2)
    assert {name.split(".")[2] for name in town.alarms.names} == {"trigger", "part"}
    tags = next(iter(town.alarms.alarms.alarms.values())).tags
    assert (tags["greenlane:service"], tags["greenlane:version"]) == (SERVICE, "1")
    assert all(name.startswith(f"greenlane-flag.{SERVICE}.") for name in town.alarms.names)
    keeping.delete(town.flags, ["checkout"], by="ada", at=town.kernel.now())
    minutes(town, 2)
    assert town.alarms.names == set()


def test_alarms_of_deployments_and_of_others_stay():
    town = Town(HALF)
    theirs = {
        "MetricName": "m",
        "Namespace": "n",
        "Period": 60,
        "Statistic": "Sum",
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": 1.0,
    }
    names = [f"greenlane.{SERVICE}.trigger.blue.1", f"greenlane-flag.{SERVICE}.trigger.mine"]
    for name in names:
        town.alarms.put_metric_alarm(AlarmName=name, AlarmDescription="mine", **theirs)
    minutes(town, 2)
    keeping.delete(town.flags, ["checkout"], by="ada", at=town.kernel.now())
    minutes(town, 2)
    assert town.alarms.names == set(names)


def test_one_flag_that_cannot_be_looked_at_keeps_no_other_from_its_turn():
    two = FLAG + FLAG.replace("feature_flags:\n", "").replace("checkout:", "a_first:")
    town = Town(two)
    town.ramp(10, 5, flag="a_first")
    town.ramp(10, 5)
    real = town.describe_execution

    def refuse(executionArn):  # noqa: N803
        if "a_first" in executionArn:
            raise error("AccessDeniedException")
        return real(executionArn)

    town.__dict__["describe_execution"] = refuse
    run = town.tick()
    town.kernel.run(5, lambda: run.ended.is_set)
    assert run.failure.error == "NotReconciled"
    assert "a_first in production" in run.failure.cause
    town.run(1, done=lambda: town.ramp_of().status == "done")
    assert town.ramp_of().status == "done"


def test_what_people_were_not_told_is_told_by_the_next_tick():
    town = Town(harm=0.9)
    town.runtime.sns._target = Failing()
    town.ramp(20, 10)
    minutes(town, 6)
    assert (town.state().stopped, town.state().owed) == (True, "stopped")
    town.runtime.sns._target = town.topic
    minutes(town, 2)
    assert (town.state().owed, town.kinds()) == ("", ["flag_stopped"])


class Failing:
    def publish(self, **_):
        raise error("InternalError")


def test_a_quiet_set_of_flags_costs_no_reads_of_metrics():
    town = Town(FLAG.replace("percentage: 0", "percentage: 5"))
    town.note_level()
    minutes(town, 30)
    counted = [operation for _, operation in town.calls]
    assert counted.count("get_metric_data") == 0
    assert counted.count("transact_write_items") == 0


def test_a_flag_that_was_switched_off_in_its_file_ends_its_ramp():
    town = Town()
    town.ramp(100, 5)
    minutes(town, 7)
    off = FLAG + "    enabled: false\n"
    town.flags.change(flags_from(off), by="ada", reason="", at=town.kernel.now())
    minutes(town, 10)
    assert (town.ramp_of().status, town.ramp_of().reason) == (
        "stopped",
        "the flag was switched off",
    )


def test_a_service_that_nobody_names_refuses_the_ramp_and_says_what_to_do():
    town = Town(FLAG.replace("    service: claude-manager\n", ""))
    town.runtime.store.__dict__["services"] = lambda: [SERVICE, "another"]
    town.ramp(10, 5)
    minutes(town, 5)
    assert town.ramp_of().status == "stopped"
    assert "name a `service`; there are claude-manager, another" in town.ramp_of().reason
    assert town.kinds() == ["flag_refused"]
    assert town.level() == 0


def test_a_ramp_does_not_start_while_its_condition_is_true_already():
    town = Town(floor=0.2)
    town.ramp(10, 5)
    minutes(town, 5)
    assert (town.ramp_of().status, town.level()) == ("stopped", 0)
    assert "is true already" in town.ramp_of().reason
    assert not town.state().stopped


def test_without_data_a_ramp_waits_and_is_held_and_goes_on_when_data_comes():
    town = Town()
    quiet = town.kernel.now() + timedelta(minutes=6), town.kernel.now() + timedelta(minutes=60)
    town.silent = lambda at: quiet[0] <= at < quiet[1]
    town.ramp(20, 5)
    minutes(town, 55)
    assert (town.ramp_of().status, town.level()) == ("held", 10)
    assert town.kinds() == ["flag_held"]
    town.run(2, done=lambda: town.ramp_of().status == "done")
    assert (town.ramp_of().status, town.level()) == ("done", 20)
    assert town.kinds() == ["flag_held"]


def test_an_environment_that_nobody_named_before_follows_the_ramp_of_all_others():
    text = FLAG.replace("    environments: [production]\n", "")
    town = Town(text)
    keeping.start_ramp(
        town.flags, "checkout", "*", Decimal(10), Decimal(5), by="ada", at=town.kernel.now()
    )
    other = "feature_flags: {another: {environments: [qa]}}"
    town.flags.change(flags_from(other), by="ada", reason="", at=town.kernel.now())
    minutes(town, 8)
    assert len(town.executions) == 1
    snapshot = town.flags.read().compiled("qa")["flags"]["checkout"]
    assert snapshot["rules"][0]["ceiling"] == 10_000


def test_a_held_ramp_ends_when_its_flag_is_switched_off():
    town = Town()
    town.silent = lambda at: at >= town.kernel.now() - timedelta(hours=3)
    town.ramp(20, 5)
    minutes(town, 45)
    assert town.ramp_of().status == "held"
    off = FLAG + "    enabled: false\n"
    town.flags.change(flags_from(off), by="ada", reason="", at=town.kernel.now())
    minutes(town, 2)
    assert town.ramp_of().status == "stopped"


def test_alarms_that_cannot_be_written_make_the_tick_fail_so_that_somebody_hears_of_it():
    town = Town(HALF)
    town.alarms.faults = ["AccessDenied"]
    run = town.tick()
    town.kernel.run(5, lambda: run.ended.is_set)
    assert run.failure is not None
    assert run.failure.error == "NotReconciled"
    assert "alarms: NotReconciled" in run.failure.cause
    minutes(town, 2)
    assert len(town.alarms.names) == 6


def test_a_service_that_cannot_be_looked_up_keeps_no_other_from_its_alarms():
    town = Town(HALF)
    town.runtime.store.__dict__["services"] = lambda: ["another", SERVICE]
    real = town.runtime.store.get_config

    def refuse(service):
        if service == "another":
            raise error("AccessDeniedException")
        return real(service)

    town.runtime.store.__dict__["get_config"] = refuse
    run = town.tick()
    town.kernel.run(5, lambda: run.ended.is_set)
    assert (run.failure.error, "service another" in run.failure.cause) == ("NotReconciled", True)
    assert len(town.alarms.names) == 6


def test_a_flag_that_names_no_service_gets_no_alarms_while_another_service_cannot_be_read():
    town = Town(HALF.replace("    service: claude-manager\n", ""))
    town.runtime.store.__dict__["services"] = lambda: ["another", SERVICE]
    run = town.tick()
    town.kernel.run(5, lambda: run.ended.is_set)
    assert town.alarms.names == set()


def test_the_schedule_of_an_environment_without_a_state_of_its_own_is_judged():
    """It has the state of all that nobody names, and a schedule that they do not have."""
    text = FLAG.replace("    environments: [production]\n", "")
    town = Town(text, harm=0.9)
    scheduled = text + (
        "    per_environment:\n      production: {scheduled_rollout: {start_date: "
        "2026-11-20T12:00:00Z, increment: 10, interval: 1h}}\n"
    )
    town.flags.change(flags_from(scheduled), by="ada", reason="", at=town.kernel.now())
    assert "production" not in town.flags.read().flags["checkout"].states
    assert town.level() > 0
    town.note_level()
    minutes(town, 6)
    assert town.state().stopped
    assert not town.flags.read().flags["checkout"].state("*").stopped


def test_a_bad_step_goes_back_though_step_functions_does_not_answer():
    town = Town(FLAG.replace("0.05", "0.05 for 30/30"), harm=0.0)
    ramp = town.ramp(100, 50, minutes=60)
    minutes(town, 3)
    assert town.level() == 50

    def refuse(executionArn):  # noqa: N803
        raise error("ServiceUnavailable")

    town.__dict__["describe_execution"] = refuse
    town.executions[execution_arn(MACHINE, ramp)].stop("Killed", "by the test")
    town.harm = 0.4
    minutes(town, 10)
    assert (town.ramp_of().status, town.level()) == ("retreated", 0)
    assert town.kinds() == ["flag_retreated"]


def test_an_alarm_that_cloudwatch_refuses_leaves_other_flags_theirs_and_is_told():
    town = Town(HALF)
    town.alarms.faults = ["InvalidParameterValue"]
    run = town.tick()
    town.kernel.run(5, lambda: run.ended.is_set)
    assert run.failure.error == "NotReconciled"
    # One part was refused, and what is made of it; the other slot's are there.
    assert {name.split(".")[3] for name in town.alarms.names if ".trigger." in name} >= {"green"}


def test_what_became_of_all_that_nobody_names_is_told_once():
    text = FLAG.replace("    environments: [production]\n", "")
    town = Town(text)
    town.flags.change(
        lambda flags: flags.with_flag(
            "checkout", flags.flags["checkout"].with_state("*", owed="held")
        ),
        by="ada",
        reason="",
        at=town.kernel.now() - timedelta(minutes=5),
    )
    stored = town.flags.read().flags["checkout"]
    for environment in ("production", "*"):
        tell_owed(town.runtime, "checkout", stored, environment, [SERVICE])
    assert town.kinds() == ["flag_held"]
    assert "production" not in town.flags.read().flags["checkout"].states


def test_where_nobody_has_flags_a_tick_is_one_read():
    asked = []

    class Nothing:
        """Answers with no flags, and notes everything else that it is asked for."""

        def __getattr__(self, name):
            asked.append(name)
            return self

        def __call__(self, *_):
            return StoredFlags() if asked[-1] == "read" else self

        def now(self):
            return NOW

    nothing: Any = Nothing()
    tick_flags(Tick(), nothing)

    assert [name for name in asked if name not in ("clock", "now")] == ["flags", "read"]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("    service: claude-manager\n", "", "it names no service"),
        ("claude-manager", "gone", "no such service, gone"),
        ("error_rate >", "payments_lost >", "payments_lost > 0.05: at character"),
    ],
)
def test_a_flag_that_nobody_can_watch_is_told_while_people_have_it(old, new, why):
    town = Town(HALF.replace(old, new))
    town.runtime.store.__dict__["services"] = lambda: [SERVICE, "another"]
    run = town.tick()
    town.kernel.run(5, lambda: run.ended.is_set)
    assert run.failure.error == "NotReconciled"
    assert f"nobody watches checkout in production: {why}" in run.failure.cause

    keeping.disable(town.flags, "checkout", by="jo", at=town.kernel.now())
    again = town.tick()
    town.kernel.run(5, lambda: again.ended.is_set)
    assert "nobody watches" not in (again.failure.cause if again.failure else "")
