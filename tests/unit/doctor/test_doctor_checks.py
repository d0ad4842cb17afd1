"""Each check of the doctor finds its own trouble, and nothing on a healthy service."""

from typing import get_args

import pytest

from greenlane.doctor.checks import CHECKS, NEEDS, examine
from greenlane.doctor.facts import (
    Alarm,
    Denial,
    Facts,
    Ownership,
    Part,
    Subscription,
    TargetGroup,
)
from tests.builders import GROUPS, SERVICE, service_config, workload

ATTRIBUTES = {"deregistration_delay.timeout_seconds": "60", "stickiness.enabled": "false"}
HEALTH_CHECK = {"HealthCheckIntervalSeconds": 10, "HealthyThresholdCount": 2}
ECS = {
    "healthCheckGracePeriodSeconds": 60,
    "launchType": "FARGATE",
    "deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": True, "rollback": False}},
}


def facts(**changes):
    values = {
        "config": service_config(),
        "workload": workload(),
        "shortest_bake_seconds": 300,
        "alarms": (Alarm(name="a", slot="blue", state="OK", treat_missing="notBreaching"),),
        "groups": {
            slot: TargetGroup(attributes=ATTRIBUTES, health_check=HEALTH_CHECK)
            for slot in ("blue", "green")
        },
        "services": {slot: ECS | {"serviceName": f"s-{slot}"} for slot in ("blue", "green")},
        "weights": {GROUPS["blue"]: 100, GROUPS["green"]: 0},
        "subscriptions": (Subscription(rule="r", target="t", dead_letter_queue=True),),
        "scan_on_push": True,
    }
    return Facts(**(values | changes))


def alarm(**changes):
    values = {"name": "a", "slot": "blue", "state": "OK", "treat_missing": "notBreaching"}
    return (Alarm(**(values | changes)),)


def groups(attributes=(), health_check=()):
    """Green's target group differs so."""
    blue = TargetGroup(attributes=ATTRIBUTES, health_check=HEALTH_CHECK)
    green = TargetGroup(
        attributes=ATTRIBUTES | dict(attributes), health_check=HEALTH_CHECK | dict(health_check)
    )
    return {"blue": blue, "green": green}


def services(**changes):
    return {"blue": ECS | changes, "green": ECS | changes}


def owner(type_, **properties):
    return {"x": Ownership(stack="app", logical_id="X", type=type_, properties=properties)}


RULE, ECS_SERVICE = "AWS::ElasticLoadBalancingV2::ListenerRule", "AWS::ECS::Service"
BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}

TROUBLE = [
    ("alarms-exist", "error", {"alarms": alarm(state="MISSING")}),
    ("alarms-quiet", "error", {"alarms": alarm(state="ALARM")}),
    ("alarms-without-data", "error", {"alarms": alarm(treat_missing="breaching")}),
    ("alarms-without-data", "warning", {"alarms": alarm(treat_missing="missing")}),
    ("alarms-without-data", "warning", {"alarms": alarm(treat_missing="ignore")}),
    ("weights", "error", {"weights": {GROUPS["blue"]: 100}}),
    ("weights", "error", {"weights": {GROUPS["blue"]: 100, GROUPS["green"]: 0, "other": 1}}),
    ("weights", "error", {"weights": {GROUPS["blue"]: 90, GROUPS["green"]: 10}}),
    ("stickiness", "error", {"groups": groups({"stickiness.enabled": "true"})}),
    ("stickiness", "note", {"stickiness": {"Enabled": True, "DurationSeconds": 600}}),
    ("deregistration-delay", "warning", {"shortest_bake_seconds": 30}),
    ("health-check-grace", "warning", {"services": services(healthCheckGracePeriodSeconds=10)}),
    ("circuit-breaker", "error", {"services": services(deploymentConfiguration=BREAKER)}),
    ("equal-slots", "warning", {"services": services() | {"green": ECS | {"launchType": "EC2"}}}),
    ("equal-slots", "warning", {"groups": groups({"slow_start.duration_seconds": "30"})}),
    ("equal-slots", "warning", {"groups": groups(health_check={"HealthCheckPath": "/up"})}),
    ("infrastructure-code", "error", {"owners": owner(RULE)}),
    ("infrastructure-code", "error", {"owners": owner(ECS_SERVICE, DesiredCount=2)}),
    (
        "dead-letter-queue",
        "error",
        {"subscriptions": (Subscription(rule="r", target="t", dead_letter_queue=False),)},
    ),
    ("dead-letter-queue", "error", {"subscriptions": ()}),
    ("permissions", "error", {"denied": (Denial(role="r", action="a", resource="x"),)}),
    ("image-scan", "warning", {"scan_on_push": False}),
]


def test_a_healthy_service_has_nothing_to_be_said_of():
    assert examine(facts()) == []


@pytest.mark.parametrize(("check", "severity", "changes"), TROUBLE)
def test_trouble_is_found_by_its_own_check_with_a_way_out(check, severity, changes):
    found = examine(facts(**changes))
    assert {(finding.check, finding.severity) for finding in found} == {(check, severity)}
    assert all(finding.way_out for finding in found)


def test_every_check_has_a_case():
    assert {check for check, _, _ in TROUBLE} == set(CHECKS)


@pytest.mark.parametrize(
    "changes",
    [
        {"owners": owner(ECS_SERVICE, LaunchType="FARGATE")},
        {"owners": owner("AWS::ElasticLoadBalancingV2::TargetGroup")},
        {"alarms": alarm(composite=True, treat_missing="missing")},
        {"shortest_bake_seconds": 0},
        {"scan_on_push": None},
    ],
)
def test_what_only_looks_like_trouble_is_left_alone(changes):
    assert examine(facts(**changes)) == []


def test_errors_come_first_and_what_was_not_read_is_said():
    found = examine(facts(scan_on_push=False, alarms=alarm(state="ALARM"), unread={"alarms": "no"}))
    assert [finding.severity for finding in found] == ["error", "warning", "note"]
    assert (found[-1].check, found[-1].subject) == ("not-read", "alarms")
    assert found[-1].what == "no; not looked at by alarms-exist, alarms-quiet, alarms-without-data"


def test_every_check_that_reads_is_named_by_what_it_needs():
    assert {check for checks in NEEDS.values() for check in checks} == set(CHECKS)
    assert set(NEEDS) == set(get_args(Part))


def test_rules_that_could_not_be_read_are_not_said_to_be_missing():
    found = examine(facts(subscriptions=(), unread={"dead-letter queues": "denied"}))
    assert [finding.severity for finding in found] == ["note"]


def test_a_neighbours_service_is_named():
    (finding,) = examine(facts(subscriptions=()))
    assert finding.subject == f"greenlane-alarm-{SERVICE}"
