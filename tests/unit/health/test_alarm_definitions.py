import re
from dataclasses import replace

import pytest

from greenlane.health.alarm_definitions import plan_alarms, prefix_of, slot_of, with_alarms
from greenlane.health.catalogue import CATALOGUE
from greenlane.health.criteria import Condition
from greenlane.health.declared import DatabaseSettings, MetricDeclaration, known_metrics
from greenlane.local.event_patterns import matches
from tests.builders import SERVICE, workload

WORKLOAD = workload()


def plan(*texts, role="trigger", metrics=CATALOGUE, source="canary.yaml", made=WORKLOAD):
    conditions = [Condition(expression=text, role=role, source=source) for text in texts]
    return plan_alarms(conditions, made, metrics)


def only(found, slot="green"):
    (name,) = found.pulling(slot)
    return next(alarm for alarm in found.alarms if alarm.name == name)


def test_one_comparison_is_one_metric_alarm_for_each_slot():
    found = plan("response_time_p95 > 5000 for 2/3")
    assert [alarm.slot for alarm in found.alarms] == ["blue", "green"]
    alarm = only(found)
    assert not alarm.composite
    assert alarm.name == f"greenlane.{SERVICE}.trigger.green.{alarm.name[-12:]}"
    body = dict(alarm.body)
    assert body.pop("AlarmDescription") == (
        "response_time_p95 > 5000 for 2/3: trigger of claude-manager green, from canary.yaml. "
        "Kept by `greenlane apply`."
    )
    dimensions = [
        {"Name": "LoadBalancer", "Value": "app/claude-manager/1"},
        {"Name": "TargetGroup", "Value": "targetgroup/claude-manager-green/0000000000000002"},
    ]

    def stat(id, metric, statistic):
        named = {
            "Namespace": "AWS/ApplicationELB",
            "MetricName": metric,
            "Dimensions": dimensions,
        }
        return {
            "Id": id,
            "MetricStat": {"Metric": named, "Period": 60, "Stat": statistic},
            "ReturnData": False,
        }

    assert body == {
        "AlarmName": alarm.name,
        "ActionsEnabled": True,
        "Metrics": [
            stat("r", "RequestCount", "Sum"),
            stat("p", "TargetResponseTime", "p95"),
            {"Id": "result", "Expression": "IF(r < 20, 0, 1000 * p)", "ReturnData": True},
        ],
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": 5000.0,
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 2,
        "TreatMissingData": "notBreaching",
    }


def test_a_plain_metric_needs_no_expression():
    (query,) = only(plan("throughput < 5")).body["Metrics"]
    assert query["ReturnData"]


def test_an_error_rate_is_two_alarms_below_one_that_pulls():
    found = plan("error_rate > 0.05")
    top = only(found)
    parts = [alarm for alarm in found.alarms if alarm.slot == "green" and alarm.role == "part"]
    assert top.body["AlarmRule"] == f'(ALARM("{parts[0].name}") OR ALARM("{parts[1].name}"))'
    assert [alarm.body["EvaluationPeriods"] for alarm in parts] == [1, 2]
    assert not any(alarm.pulls for alarm in parts)
    assert found.parts("green") == tuple(alarm.name for alarm in parts)


def test_what_must_not_be_red_must_be_ok():
    found = plan("cpu_usage > 90 and not throughput > 100")
    rule = only(found).body["AlarmRule"]
    assert re.fullmatch(r'\(ALARM\("[^"]+"\) AND OK\("[^"]+"\)\)', rule)
    both = plan("cpu_usage > 90 and not (throughput > 100 and revenue > 5)")
    assert re.fullmatch(
        r'\(ALARM\("[^"]+"\) AND \(OK\("[^"]+"\) OR OK\("[^"]+"\)\)\)',
        only(both).body["AlarmRule"],
    )


def test_each_is_written_after_those_that_it_is_made_of():
    found = plan("system_unavailable or error_rate > 0.05", "error_rate > 0.05", role="critical")
    seen = set()
    for alarm in found.alarms:
        assert set(re.findall(r'"([^"]+)"', alarm.body.get("AlarmRule", ""))) <= seen
        assert alarm.name not in seen, "each once"
        seen.add(alarm.name)


def test_one_text_in_two_files_and_spellings_is_one_alarm_and_in_two_roles_two():
    twice = [
        Condition(expression="cpu_usage > 90", role="trigger", source="a.yaml"),
        Condition(expression="cpu_usage>90.0 for 1/1", role="trigger", source="b.yaml"),
    ]
    assert len(plan_alarms(twice, WORKLOAD).alarms) == 2
    roles = [replace_role(twice[0], role) for role in ("trigger", "critical")]
    assert len(plan_alarms(roles, WORKLOAD).pulling("blue")) == 2


def replace_role(condition, role):
    return condition.model_copy(update={"role": role})


def test_a_metric_of_the_whole_service_has_one_alarm_that_counts_for_both():
    metrics = known_metrics({}, DatabaseSettings(instance="orders", pool_maximum=200))
    found = plan("database_connections > 80", metrics=metrics)
    (alarm,) = found.alarms
    assert (alarm.slot, alarm.pulls) == (None, True)
    assert ".trigger.service." in alarm.name
    assert alarm.body["Metrics"][1]["Expression"] == "100 * d / 200"
    made = with_alarms(WORKLOAD, found)
    assert made.alarms == (alarm.name,)
    assert made.slots == WORKLOAD.slots
    mixed = plan("database_connections > 80 and cpu_usage > 90", metrics=metrics)
    shared = [one.name for one in mixed.alarms if one.role == "part" and one.slot is None]
    assert len(shared) == 1
    assert shared[0] in only(mixed, "blue").body["AlarmRule"]
    assert shared[0] in only(mixed, "green").body["AlarmRule"]


def test_metrics_that_the_user_declared():
    declared = MetricDeclaration(
        namespace="Jobs",
        metric="Depth",
        dimensions={"Queue": "{service}-{slot}"},
        statistic="Maximum",
        worse="up",
    )
    metrics = known_metrics({"queue_depth": declared})
    alarm = only(plan("queue_depth > 100", metrics=metrics))
    (query,) = alarm.body["Metrics"]
    assert query["MetricStat"]["Metric"] == {
        "Namespace": "Jobs",
        "MetricName": "Depth",
        "Dimensions": [{"Name": "Queue", "Value": "claude-manager-green"}],
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("user_complaints > 10", "since the first traffic"),
        ("cpu_usage > 90 and user_complaints > 10", "since the first traffic"),
        ("database_connections > 80", "not declared"),
        ("not cpu_usage > 90", "where there is no data"),
        ("not system_unavailable", "where there is no data"),
        ("lag > 5", "Prometheus"),
    ],
)
def test_what_cannot_be_an_alarm_is_named_with_the_reason(text, why):
    lag = MetricDeclaration(promql='lag{slot="{slot}"}', worse="up")
    found = plan(text, "cpu_usage > 90", metrics=known_metrics({"lag": lag}))
    ((condition, said),) = found.unwatched
    assert condition.expression == text
    assert why in said
    assert len(found.pulling("green")) == 1, "the others are alarms all the same"


def test_a_metric_of_too_many_parts_is_none_for_an_alarm():
    part = CATALOGUE["throughput"].parts["r"]
    many = {f"m{number}": part for number in range(11)}
    big = replace(CATALOGUE["throughput"], name="big", parts=many, math=" + ".join(many))
    ((_, why),) = plan("big > 5", metrics={**CATALOGUE, "big": big}).unwatched
    assert "more than 10 metrics" in why


def test_summaries_join_the_alerts_of_both_slots_and_pull_nothing():
    critical = plan("cpu_usage > 90", "system_unavailable", role="critical")
    warning = plan("cpu_usage > 80", role="warning")
    (one,) = [alarm for alarm in critical.alarms if alarm.role == "summary"]
    (other,) = [alarm for alarm in warning.alarms if alarm.role == "summary"]
    assert (one.name, other.name) == (f"{SERVICE}-critical", f"{SERVICE}-warning")
    joined = re.findall(r'ALARM\("([^"]+)"\)', one.body["AlarmRule"])
    assert sorted(joined) == sorted((*critical.pulling("blue"), *critical.pulling("green")))
    assert not one.pulls
    assert warning.pulling("green") == ()
    assert not any(alarm.role == "summary" for alarm in plan("cpu_usage > 90").alarms)


def test_a_summary_of_too_many_alarms_is_made_of_summaries():
    found = plan(*(f"cpu_usage > {limit}" for limit in range(20, 71)), role="critical").alarms
    *groups, top = [alarm for alarm in found if alarm.role == "summary"]

    assert top.name == f"{SERVICE}-critical"
    children = [re.findall(r'ALARM\("([^"]+)"\)', one.body["AlarmRule"]) for one in groups]
    assert [len(some) for some in children] == [100, 2]
    single = {alarm.name for alarm in found if alarm.role == "critical"}
    assert {name for some in children for name in some} == single
    of_top = re.findall(r'ALARM\("([^"]+)"\)', top.body["AlarmRule"])
    assert of_top == [group.name for group in groups]
    assert all(slot_of(group.name) is None for group in groups)


def test_no_name_is_mistaken_for_a_neighbours():
    names = ("shop", "shop-trigger", "shop-blue", "trigger", "shop-critical", "shop-x")
    plans = {
        name: plan("cpu_usage > 90", role="critical", made=workload(service=name)) for name in names
    }
    for name in names:
        pattern = {"name": [{"prefix": prefix_of(name, "critical")}]}
        found = {
            other
            for other, made in plans.items()
            for alarm in made.alarms
            if matches(pattern, {"name": alarm.name})
        }
        assert found == {name}


def test_parts_and_warnings_do_not_match_what_starts_the_way_back():
    prefixes = [{"prefix": prefix_of(SERVICE, role)} for role in ("trigger", "critical")]
    for role in ("trigger", "critical", "warning"):
        for alarm in plan("error_rate > 0.05", role=role).alarms:
            assert matches({"name": prefixes}, {"name": alarm.name}) is alarm.pulls


def test_the_longest_names_and_rules_fit():
    long = workload(service="s" * 32)
    text = " or ".join(f"error_rate > 0.0{number}" for number in range(1, 10))
    conditions = [
        Condition(expression=f"{text} or cpu_usage > {n}", role="critical", source="x" * 500)
        for n in range(20)
    ]
    for alarm in plan_alarms(conditions, long).alarms:
        assert len(alarm.name) <= 255
        assert len(alarm.body["AlarmDescription"]) <= 1024
        assert len(alarm.body.get("AlarmRule", "")) <= 10_240
        assert alarm.body.get("AlarmRule", "").count("ALARM(") <= 100


@pytest.mark.parametrize(
    ("name", "slot"),
    [
        ("greenlane.claude-manager.trigger.green.01", "green"),
        ("greenlane.blue.trigger.service.01", None),
        ("greenlane.green.trigger.blue.01", "blue"),
        ("claude-manager-green-p95", None),
        ("mine.own.alarm.green", None),
        ("greenlane", None),
    ],
)
def test_a_name_says_the_slot(name, slot):
    assert slot_of(name) == slot
