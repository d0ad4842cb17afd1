"""The alarms of conditions: `apply` writes them, and a deployment counts on them."""

from datetime import timedelta
from pathlib import Path

import pytest

from greenlane.deployments.declaring.applied_alarms import alarms_asked, counted_on
from greenlane.deployments.phases import Phase
from greenlane.errors import Refused
from greenlane.health.alarm_definitions import with_alarms
from greenlane.problems import InvalidDocument
from tests.aws_account import CANARY_FILE, record_in
from tests.builders import SERVICE, service_config, workload
from tests.kept_alarms import AlarmClient

CRITERIA_FILE = Path("tests/data/spec/deployment-success-criteria.yaml")


def alarms_in(greenlane):
    return greenlane.connection.client("cloudwatch")


def warnings_about(result, word):
    return [warning for warning in result.warnings if word in warning]


def test_applying_writes_the_alarms_of_all_files(applied):
    applied.apply(CANARY_FILE, by="jo")
    result = applied.apply(CRITERIA_FILE, by="jo")
    names = alarms_in(applied).names
    roles = {name.split(".")[2] for name in names if name.startswith("greenlane.")}
    assert roles == {"trigger", "critical", "warning", "part"}
    assert {f"{SERVICE}-critical", f"{SERVICE}-warning"} <= names
    assert not warnings_about(result, "alarms:")


def test_what_no_alarm_can_watch_is_said(applied):
    result = applied.apply(CANARY_FILE, by="jo")
    (said,) = warnings_about(result, "user_complaints > 10")
    assert "no alarm" in said
    assert "since the first traffic" in said


def test_applying_again_writes_nothing(applied):
    applied.apply(CANARY_FILE, by="jo")
    alarms_in(applied).calls.clear()
    applied.apply(CANARY_FILE, by="jo")
    assert alarms_in(applied).calls == []


def test_a_condition_that_a_file_no_longer_holds_loses_its_alarms(applied):
    applied.apply("canary: {rollback_triggers: ['cpu_usage > 90']}", by="jo")
    assert len(alarms_in(applied).names) == 2
    applied.apply("canary: {}", by="jo")
    assert alarms_in(applied).names == set()


def test_alarms_that_cannot_be_written_leave_the_configuration_applied(applied):
    alarms_in(applied).faults = ["AccessDenied"]
    result = applied.apply(CANARY_FILE, by="jo")
    assert result.changed
    assert warnings_about(result, "apply again")
    assert applied.store.get_config(SERVICE).version == result.version


def test_while_a_deployment_is_in_flight_its_alarms_stay(applied):
    applied.apply("canary: {rollback_triggers: ['cpu_usage > 90']}", by="jo")
    before = alarms_in(applied).names
    applied.store.acquire(record_in(Phase.SHIFTING))
    result = applied.apply("canary: {rollback_triggers: ['memory_usage > 90']}", by="jo")
    assert warnings_about(result, "d-1")
    assert before < alarms_in(applied).names


@pytest.mark.parametrize(("hours", "stay"), [(1, True), (0, False)])
def test_in_the_extended_watch_the_alarms_that_it_counts_on_stay(applied, hours, stay):
    applied.apply("canary: {rollback_triggers: ['cpu_usage > 90']}", by="jo")
    before = alarms_in(applied).names
    until = applied.connection.clock.now() + timedelta(hours=hours)
    applied.store.acquire(record_in(Phase.WATCHING, watch_until=until))
    result = applied.apply("canary: {rollback_triggers: ['memory_usage > 90']}", by="jo")
    assert bool(warnings_about(result, "d-1")) is stay
    assert (before < alarms_in(applied).names) is stay


def test_a_trigger_that_is_true_without_data_is_refused(applied):
    with pytest.raises(InvalidDocument, match="where there is no data"):
        applied.apply("canary: {rollback_triggers: ['not throughput > 5']}", by="jo")


@pytest.fixture
def config():
    return service_config(
        rollback_triggers=["error_rate > 0.05", "cpu_usage > 90"],
        alerts={"critical": ["system_unavailable"], "warning": ["cpu_usage > 80"]},
    )


@pytest.fixture
def cloudwatch(config):
    client = AlarmClient()
    for alarm in alarms_asked(config, workload()).alarms:
        put = client.put_composite_alarm if alarm.composite else client.put_metric_alarm
        put(**alarm.body)
    return client


def test_the_workload_gains_what_pulls_and_no_warning(config):
    made = with_alarms(workload(), alarms_asked(config, workload()))
    more = set(made.slots["green"].alarms) - set(workload().slots["green"].alarms)
    assert {name.split(".")[2] for name in more} == {"trigger", "critical"}
    assert len(more) == 3
    assert all(".green." in name for name in more)


def test_alarms_as_they_were_applied_are_counted_on(config, cloudwatch):
    assert counted_on(cloudwatch, config, workload()).pulling("green")


@pytest.mark.parametrize("role", ["trigger", "critical", "part"])
def test_one_that_is_missing_is_refused(config, cloudwatch, role):
    name = next(name for name in cloudwatch.names if f".{role}.blue." in name)
    del cloudwatch.alarms.alarms[name]
    with pytest.raises(Refused, match=f"{name}.* do not exist.* apply"):
        counted_on(cloudwatch, config, workload())


@pytest.mark.parametrize(
    ("role", "change"),
    [
        ("trigger", {"ActionsEnabled": False}),
        ("trigger", {"AlarmRule": "FALSE"}),
        ("part", {"Threshold": 0.5}),
        ("part", {"EvaluationPeriods": 9}),
    ],
)
def test_one_that_somebody_changed_is_refused(config, cloudwatch, role, change):
    (key,) = change
    name = next(
        name
        for name, alarm in sorted(cloudwatch.alarms.alarms.items())
        if f".{role}." in name and key in alarm.settings
    )
    cloudwatch.alarms.alarms[name].settings.update(change)
    with pytest.raises(Refused, match=f"{name}.* not as they were applied"):
        counted_on(cloudwatch, config, workload())


def test_a_warning_that_is_missing_keeps_nobody_from_deploying(config, cloudwatch):
    for name in [name for name in cloudwatch.names if ".warning." in name]:
        del cloudwatch.alarms.alarms[name]
    counted_on(cloudwatch, config, workload())


def test_another_target_group_needs_another_apply(config, cloudwatch):
    moved = workload(groups={slot: f"arn:x:targetgroup/{slot}/9" for slot in ("blue", "green")})
    with pytest.raises(Refused, match="apply the service's files again"):
        counted_on(cloudwatch, config, moved)


def test_a_condition_of_an_older_version_that_is_none_any_more_is_refused(cloudwatch):
    old = service_config(rollback_triggers=["throughput_degradation > 0.05"])
    with pytest.raises(Refused, match="throughput_degradation.*apply the file again"):
        counted_on(cloudwatch, old, workload())


def test_without_conditions_nothing_is_asked():
    assert counted_on(None, service_config(), workload()).alarms == ()
