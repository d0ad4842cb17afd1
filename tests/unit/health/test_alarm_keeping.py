import pytest

from greenlane.health.alarm_definitions import plan_alarms
from greenlane.health.alarm_keeping import PATIENCE, keep_alarms
from greenlane.health.criteria import Condition
from tests.builders import GROUPS, SERVICE, workload
from tests.kept_alarms import AlarmClient

ERRORS = Condition(expression="error_rate > 0.05", role="trigger", source="canary.yaml")
SLOW = Condition(expression="response_time_p95 > 5000", role="critical", source="criteria.yaml")
BUSY = Condition(expression="cpu_usage > 85", role="warning", source="criteria.yaml")
ALL = (ERRORS, SLOW, BUSY)


@pytest.fixture
def cloudwatch():
    return AlarmClient()


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def keep(cloudwatch, pauses):
    def run(*conditions, version=1, made=None, **options):
        cloudwatch.calls.clear()
        plan = plan_alarms(conditions, made or workload())
        return keep_alarms(cloudwatch, plan, SERVICE, version, pause=pauses.append, **options)

    return run


def test_everything_that_is_declared_is_written_with_its_tags(cloudwatch, keep):
    kept = keep(*ALL, version=7)
    assert kept.warnings == ()
    assert len(kept.written) == len(cloudwatch.names) == 6 + 2 + 2 + 2
    (name,) = (name for name in kept.written if ".critical.green." in name)
    alarm = cloudwatch.alarms.alarms[name]
    assert alarm.tags == {
        "greenlane:service": SERVICE,
        "greenlane:role": "critical",
        "greenlane:version": "7",
    }
    about = alarm.settings["AlarmDescription"]
    assert about.startswith("response_time_p95 > 5000: critical of claude-manager green")
    assert "criteria.yaml" in about
    assert {f"{SERVICE}-critical", f"{SERVICE}-warning"} <= cloudwatch.names


def test_applying_again_writes_nothing(cloudwatch, keep):
    keep(*ALL)
    kept = keep(*ALL, version=2)
    assert (kept.written, kept.deleted, cloudwatch.calls) == ((), (), [])


def test_what_somebody_changed_is_put_right_and_its_version_noted(cloudwatch, keep):
    keep(*ALL, version=1)
    (name,) = (name for name in cloudwatch.names if ".critical.green." in name)
    cloudwatch.alarms.alarms[name].settings["Threshold"] = 9000.0
    kept = keep(*ALL, version=2)
    assert kept.written == (name,)
    assert cloudwatch.alarms.alarms[name].settings["Threshold"] == 5000.0
    assert cloudwatch.alarms.alarms[name].tags["greenlane:version"] == "2"


def test_a_slot_with_another_target_group_gets_other_alarms_of_the_same_names(cloudwatch, keep):
    keep(SLOW)
    before = cloudwatch.names
    moved = {**GROUPS, "green": GROUPS["green"].replace("0002", "0003")}
    kept = keep(SLOW, made=workload(groups=moved))
    assert cloudwatch.names == before
    assert len(kept.written) == 1
    assert ".green." in kept.written[0]


def test_what_is_no_longer_declared_is_deleted_and_nothing_else(cloudwatch, keep):
    keep(*ALL)
    foreign = {
        "AlarmName": "greenlane.claude-manager.trigger.mine",
        "EvaluationPeriods": 1,
        "Namespace": "Mine",
        "MetricName": "m",
        "Statistic": "Sum",
        "Period": 60,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    cloudwatch.alarms.put_metric_alarm(foreign)
    kept = keep(SLOW)
    assert kept.warnings == ()
    assert len(kept.deleted) == 6 + 2 + 1
    assert cloudwatch.names == {
        "greenlane.claude-manager.trigger.mine",
        f"{SERVICE}-critical",
        *(name for name in cloudwatch.names if ".critical." in name),
    }
    assert keep().deleted
    assert cloudwatch.names == {"greenlane.claude-manager.trigger.mine"}


def test_a_neighbours_alarms_are_not_touched(cloudwatch, keep):
    other = plan_alarms(ALL, workload(service=f"{SERVICE}-trigger"))
    keep_alarms(cloudwatch, other, f"{SERVICE}-trigger", 1, pause=lambda _: None)
    before = cloudwatch.names
    keep(*ALL)
    keep()
    assert cloudwatch.names == before


def test_an_alarm_of_somebody_else_by_the_summarys_name_stays(cloudwatch, keep):
    theirs = {"AlarmName": f"{SERVICE}-critical", "AlarmRule": "FALSE", "AlarmDescription": "ours"}
    cloudwatch.alarms.put_composite_alarm(theirs)
    kept = keep(SLOW)
    assert any("somebody else's" in warning for warning in kept.warnings)
    assert cloudwatch.alarms.alarms[f"{SERVICE}-critical"].settings["AlarmRule"] == "FALSE"
    keep()
    assert f"{SERVICE}-critical" in cloudwatch.names


def test_writes_keep_to_the_quota(cloudwatch, keep, pauses):
    keep(*ALL)
    assert len(pauses) == len(cloudwatch.calls)
    assert set(pauses) == {1 / 3}


def test_a_throttled_write_is_tried_again(cloudwatch, keep, pauses):
    cloudwatch.faults = ["Throttling", "ThrottlingException"]
    assert keep(*ALL).warnings == ()
    assert pauses[1::2][:2] == list(PATIENCE[:2])


@pytest.mark.parametrize("code", ["AccessDenied", "LimitExceeded", "InternalServiceFault"])
def test_a_refusal_half_way_takes_nothing_back_and_the_next_run_ends_it(cloudwatch, keep, code):
    cloudwatch.faults = ["", "", "", code]
    kept = keep(*ALL)
    assert len(kept.written) == len(cloudwatch.names) == 3
    assert any("apply again" in warning for warning in kept.warnings)
    assert keep(*ALL).warnings == ()
    assert len(cloudwatch.names) == 12


def test_throttled_for_too_long_it_gives_up_and_says_so(cloudwatch, keep):
    cloudwatch.faults = ["Throttling"] * (len(PATIENCE) + 1)
    assert any("apply again" in warning for warning in keep(*ALL).warnings)
    assert cloudwatch.names == set()


def test_a_deployment_in_flight_keeps_what_it_counts_on(cloudwatch, keep):
    keep(ERRORS, SLOW)
    before = cloudwatch.names
    kept = keep(SLOW, BUSY, in_use_by="d-1")
    assert before < cloudwatch.names, "what is new is written all the same"
    assert any("d-1" in warning and "apply again" in warning for warning in kept.warnings)
    assert len(keep(SLOW, BUSY).deleted) == 6


def test_an_alarm_that_others_are_made_of_is_written_before_and_deleted_after(cloudwatch, keep):
    nested = Condition(
        expression="not (throughput > 5 and cpu_usage < 1) and system_unavailable", role="critical"
    )
    assert keep(nested).warnings == ()
    assert keep().warnings == ()
    assert cloudwatch.names == set()


def test_a_deployment_in_its_watch_keeps_what_it_counts_on_and_a_cure_gets_what_it_asks(
    cloudwatch, keep
):
    changed = next(name for name in keep(ERRORS).written if name.startswith("greenlane."))
    keep(ERRORS, SLOW)
    before = cloudwatch.names
    cloudwatch.alarms.alarms[changed].settings["AlarmDescription"] += " of yesterday"
    kept = keep(ERRORS, BUSY, watched_by="d-1")
    assert before < cloudwatch.names
    assert changed in kept.written
    assert any("while d-1 counts on them" in warning for warning in kept.warnings)
