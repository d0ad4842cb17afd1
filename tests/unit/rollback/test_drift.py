"""What counts as changed by somebody else. Pure comparisons."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.deployments.model import Drift, SuspendedScaling
from greenlane.deployments.phases import Phase
from greenlane.health.alarms import AlarmState, changed_alarms, definition_of
from greenlane.rollback.drift import (
    AT_REST,
    SECOND_LOOK,
    Finding,
    alarm_drift,
    compare,
    scaling_left,
    serving,
    tasks_drift,
    weights_drift,
)
from tests.builders import NOW, plan, record, service_config


def in_phase(phase, **more):
    return record(phase=phase, **more)


@pytest.mark.parametrize("phase", sorted(Phase))
def test_a_slot_should_have_all_of_the_traffic_only_at_rest(phase):
    expected = {
        Phase.WATCHING: "green",
        Phase.RETIRED: "green",
        Phase.ROLLED_BACK: "blue",
        Phase.REFUSED: "blue",
    }
    assert serving(in_phase(phase)) == expected.get(phase)
    assert (phase in AT_REST) == (phase in expected)


@pytest.mark.parametrize(
    ("phase", "percent", "drifts"),
    [
        (Phase.WATCHING, {"blue": 0, "green": 100}, False),
        (Phase.WATCHING, {"blue": 100, "green": 0}, True),
        (Phase.WATCHING, {"blue": 1, "green": 99}, True),
        (Phase.RETIRED, None, True),
        (Phase.ROLLED_BACK, {"blue": 100, "green": 0}, False),
        (Phase.ROLLED_BACK, {"blue": 0, "green": 100}, True),
        (Phase.REFUSED, {"blue": 50, "green": 50}, True),
        (Phase.SHIFTING, {"blue": 50, "green": 50}, False),
        (Phase.HELD, {"blue": 50, "green": 50}, False),
    ],
)
def test_weights_are_as_recorded_or_drifted(phase, percent, drifts):
    found = weights_drift(in_phase(phase), percent, {"group": 7})
    assert bool(found) == drifts
    for finding in found:
        assert (finding.kind, finding.subject) == ("weights", "rule")
        assert ("'group': 7" in finding.what) == (percent is None)


def target(slot="blue", *, least=2, dynamic_in=False, scheduled=False):
    return SuspendedScaling(
        resource_id=f"service/claude-manager/claude-manager-{slot}",
        min_capacity=least,
        max_capacity=10,
        dynamic_in=dynamic_in,
        dynamic_out=False,
        scheduled=scheduled,
    )


def short(phase, desired, *, least=None, full=3, floor=1):
    targets = {slot: target(slot, least=number) for slot, number in (least or {}).items()}
    config = service_config(deployment={"warm_floor": floor})
    found = tasks_drift(in_phase(phase, full_capacity=full), plan(config=config), desired, targets)
    return [finding.subject for finding in found]


@pytest.mark.parametrize(
    ("phase", "desired", "least", "expected"),
    [
        (Phase.SHIFTING, {"blue": 2, "green": 3}, {}, ["blue"]),
        (Phase.PROMOTED, {"blue": 3, "green": 1}, {}, []),
        (Phase.WATCHING, {"blue": 1, "green": 2}, {"green": 2}, []),
        (Phase.WATCHING, {"blue": 1, "green": 1}, {"green": 2}, ["green"]),
        (Phase.WATCHING, {"blue": 0, "green": 2}, {"green": 2}, ["blue"]),
        (Phase.RETIRED, {"blue": 0, "green": 2}, {"green": 2}, []),
        (Phase.ROLLED_BACK, {"blue": 0, "green": 0}, {}, ["blue"]),
        (Phase.ROLLED_BACK, {"blue": 1, "green": 0}, {"blue": 0}, []),
        (Phase.REFUSED, {"blue": 1, "green": 0}, {"blue": 2}, ["blue"]),
        (Phase.HELD, {"blue": 0, "green": 0}, {}, []),
    ],
)
def test_tasks_are_enough_for_what_a_slot_may_have_to_carry(phase, desired, least, expected):
    assert short(phase, desired, least=least) == expected


def test_scaling_is_left_over_only_where_it_was_found_working():
    found = [target("blue"), target("green", scheduled=True)]
    now = [target("blue", dynamic_in=True), target("green", scheduled=True)]
    assert [finding.subject for finding in scaling_left(found, now)] == [now[0].resource_id]
    assert scaling_left(found, found) == []
    assert scaling_left([], now) == [], "what was never recorded is none of ours"


ALARM: dict[str, Any] = {
    "AlarmName": "green-error-rate",
    "ActionsEnabled": True,
    "ComparisonOperator": "GreaterThanThreshold",
    "Threshold": 5.0,
    "EvaluationPeriods": 1,
    "DatapointsToAlarm": 1,
    "TreatMissingData": "notBreaching",
    "StateValue": "OK",
    "Metrics": [
        {"Id": "e1", "Expression": "100 * c / r"},
        {
            "Id": "r",
            "MetricStat": {
                "Metric": {
                    "MetricName": "RequestCount",
                    "Dimensions": [{"Name": "A", "Value": "1"}, {"Name": "B", "Value": "2"}],
                },
                "Period": 60,
                "Stat": "Sum",
            },
        },
    ],
}


@pytest.mark.parametrize(
    "change",
    [
        {"Threshold": 50.0},
        {"ComparisonOperator": "LessThanThreshold"},
        {"EvaluationPeriods": 5},
        {"DatapointsToAlarm": 2},
        {"TreatMissingData": "breaching"},
        {"ActionsEnabled": False},
        {"Metrics": [{"Id": "e1", "Expression": "0"}, ALARM["Metrics"][1]]},
        {"AlarmRule": "FALSE"},
    ],
)
def test_what_decides_when_an_alarm_is_red_is_its_definition(change):
    assert definition_of(ALARM | change) != definition_of(ALARM)


def test_its_state_texts_receivers_and_the_order_of_its_parts_are_not():
    stat = ALARM["Metrics"][1]["MetricStat"]
    dimensions = stat["Metric"]["Dimensions"][::-1]
    metric = stat["Metric"] | {"Dimensions": dimensions}
    turned = ALARM["Metrics"][1] | {"MetricStat": stat | {"Metric": metric}}
    other = ALARM | {
        "StateValue": "ALARM",
        "AlarmDescription": "new words",
        "AlarmActions": ["arn:aws:sns:eu-west-1:123456789012:team"],
        "Metrics": [turned, ALARM["Metrics"][0]],
    }
    assert definition_of(other) == definition_of(ALARM)


def state(name, definition="a", value="OK"):
    return AlarmState(name=name, state=value, definition=definition)


def test_alarms_are_compared_with_what_planning_saw():
    alarms = [state("same"), state("other", "b"), state("gone", "", "MISSING"), state("new", "c")]
    definitions = {"same": "a", "other": "a", "gone": "a"}
    assert changed_alarms(alarms, definitions) == ["other"]
    assert [
        (found.subject, "deleted" in found.what) for found in alarm_drift(alarms, definitions)
    ] == [
        ("gone", True),
        ("other", False),
    ]


WEIGHTS = Finding("weights", "rule", "80 / 20")
LATER = NOW + SECOND_LOOK


def test_drift_counts_when_two_looks_a_minute_apart_saw_it_and_is_told_once():
    first = compare((), {"weights": [WEIGHTS]}, NOW)
    assert [(found.told, found.since) for found in first.drift] == [(False, NOW)]
    assert first.confirmed == ()
    early = compare(first.drift, {"weights": [WEIGHTS]}, LATER - timedelta(seconds=1))
    assert early.confirmed == ()
    second = compare(early.drift, {"weights": [WEIGHTS]}, LATER)
    assert second.confirmed == second.drift
    assert second.drift[0].told
    third = compare(second.drift, {"weights": [WEIGHTS]}, LATER + SECOND_LOOK)
    assert (third.drift, third.confirmed, third.gone) == (second.drift, (), ())


def test_what_is_over_is_told_only_if_it_was_told():
    seen = compare((), {"weights": [WEIGHTS]}, NOW).drift
    assert compare(seen, {"weights": []}, LATER).gone == ()
    told = compare(seen, {"weights": [WEIGHTS]}, LATER).drift
    over = compare(told, {"weights": []}, LATER + SECOND_LOOK)
    assert (over.drift, over.gone) == ((), told)


def test_what_was_not_looked_at_stays_as_it_is():
    seen = compare((), {"weights": [WEIGHTS]}, NOW).drift
    found = compare(seen, {"tasks": [Finding("tasks", "blue", "1 of 2")]}, LATER)
    assert [drift.kind for drift in found.drift] == ["weights", "tasks"]
    assert found.gone == ()


kinds = st.sampled_from(["weights", "tasks", "alarm", "scaling"])
findings = st.builds(Finding, kind=kinds, subject=st.sampled_from("ab"), what=st.text(max_size=3))


@given(st.lists(st.lists(findings, max_size=4), max_size=8), st.integers(20, 120))
def test_each_stretch_of_drift_is_told_at_most_once_and_ends_at_most_once(looks, seconds):
    drift: tuple[Drift, ...] = ()
    told: set[tuple[str, str]] = set()
    now = NOW
    for look in looks:
        given_look: dict[Any, Any] = {
            kind: [it for it in look if it.kind == kind]
            for kind in ("weights", "tasks", "alarm", "scaling")
        }
        found = compare(drift, given_look, now)
        for over in found.gone:
            told.remove((over.kind, over.subject))
        for new in found.confirmed:
            assert (new.kind, new.subject) not in told
            assert now - new.since >= SECOND_LOOK
            told.add((new.kind, new.subject))
        assert {(it.kind, it.subject) for it in found.drift} == {it.key for it in look}
        drift, now = found.drift, now + timedelta(seconds=seconds)
