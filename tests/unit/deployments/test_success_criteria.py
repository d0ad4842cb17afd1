"""A file of success criteria: what loads, what it becomes, and what is wrong with one."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from greenlane.deployments.declaring.config import DeploymentConfig, ServiceConfig
from greenlane.deployments.declaring.document import Sources, SourceText, compose, read_document
from greenlane.errors import InvalidInput
from greenlane.health.asked import DEFAULT, criteria_of
from greenlane.health.criteria import ALL_PHASES
from greenlane.health.expressions import parse
from greenlane.problems import InvalidDocument

SPEC = Path("tests/data/spec")
FILE = (SPEC / "deployment-success-criteria.yaml").read_text()
CANARY = (SPEC / "canary-config.yaml").read_text()
NAME = "claude-manager"
SERVICE = f"service: {{name: {NAME}, database: {{instance: db-1, pool_maximum: 200}}}}"


def composed(criteria=FILE, service=SERVICE, canary=None):
    """The configuration and the warnings of up to three files."""
    given = {"service": service, "success_criteria": criteria, "canary": canary}
    texts = {
        kind: SourceText(name=f"folder/{kind}.yaml", text=text)
        for kind, text in given.items()
        if text is not None
    }
    return compose(Sources(**texts), ServiceConfig(name=NAME))


def criteria_in(*files, **named):
    return criteria_of(composed(*files, **named)[0])


def limits(criteria, phase="during"):
    return {(one.metric, one.against): one.limit for one in criteria.in_phase(phase).criteria}


def problems_of(text):
    with pytest.raises(InvalidDocument) as caught:
        read_document(text, "x.yaml")
    return caught.value.problems


def test_the_file_of_the_specification_loads_as_it_stands():
    checked = read_document(FILE, "deployment-success-criteria.yaml")
    assert (checked.kind, checked.service, checked.warnings) == ("success_criteria", None, ())


COMPARED = {("error_rate", "live"): Decimal("0.5"), ("response_time_p95", "live"): Decimal("0.05")}
"""What is compared with the live slot unless somebody says otherwise."""


def test_its_limits_are_those_of_the_specification():
    assert (
        limits(criteria_in(), "post")
        == {
            ("error_rate", "limit"): Decimal("0.01"),
            ("response_time_p95", "limit"): 2000,
            ("response_time_p99", "limit"): 5000,
            ("throughput", "live"): Decimal("0.05"),
            ("conversion_rate", "live"): Decimal("0.02"),
            ("user_satisfaction", "limit"): Decimal("4.5"),
            ("revenue", "live"): 0,
            ("cpu_usage", "limit"): 80,
            ("memory_usage", "limit"): 85,
            ("disk_usage", "limit"): 90,
            ("database_connections", "limit"): 80,
        }
        | COMPARED
    )


def test_its_phases_say_when_each_counts():
    criteria = criteria_in()
    what_the_balancer_sees = {
        "error_rate",
        "response_time_p95",
        "response_time_p99",
        "throughput",
    }
    assert {metric for metric, _ in limits(criteria, "during")} == what_the_balancer_sees
    assert {metric for metric, _ in limits(criteria, "extended")} == what_the_balancer_sees


def test_its_durations_are_those_of_the_deployment():
    deployment = composed()[0].deployment
    assert deployment.baseline == timedelta(minutes=5)
    assert deployment.watch == timedelta(minutes=30)
    assert deployment.extended_watch == timedelta(hours=24)


def test_its_alerts_keep_their_roles():
    said = [(one.role, one.expression) for one in criteria_in().conditions]
    assert said == [
        ("critical", "error_rate > 0.05"),
        ("critical", "response_time_p95 > 5000"),
        ("critical", "system_unavailable"),
        ("warning", "error_rate > 0.02"),
        ("warning", "response_time_p95 > 3000"),
        ("warning", "cpu_usage > 85"),
    ]


def test_its_gates_are_asked_of_the_image():
    gates = {gate.name: gate.findings for gate in criteria_in().gates}
    assert gates == {
        "vulnerability_scan": {"CRITICAL": 0, "HIGH": 0},
        "security_tests": {},
        "compliance_checks": {},
    }


def test_each_limit_names_its_file():
    sources = {one.metric: one.source for one in criteria_in().criteria}
    assert sources["cpu_usage"] == "success_criteria.yaml"
    sources = {one.metric: one.source for one in criteria_in("success_criteria: {}").criteria}
    assert sources["response_time_p95"] == "default"


def test_the_same_sections_may_stand_under_service():
    inside = yaml.safe_load(FILE) | {
        "name": NAME,
        "database": yaml.safe_load(SERVICE)["service"]["database"],
    }
    config, warnings = composed(None, yaml.safe_dump({"service": inside}))
    assert warnings == ()
    criteria = criteria_of(config)
    assert limits(criteria, "post") == limits(criteria_in(), "post")
    assert {one.role for one in criteria.conditions} == {"critical", "warning"}
    assert config.deployment.watch == timedelta(minutes=30)


def test_the_canary_file_of_the_specification_is_judged():
    criteria = criteria_in(None, canary=CANARY)
    assert (
        limits(criteria)
        == {
            ("error_rate", "limit"): Decimal("0.01"),
            ("response_time_p95", "limit"): 2000,
            ("conversion_rate", "live"): Decimal("0.02"),
            ("user_satisfaction", "limit"): Decimal("4.5"),
        }
        | COMPARED
    )
    assert {one.role for one in criteria.conditions} == {"trigger"}
    assert criteria.conditions[-1].expression == "user_complaints > 10"
    assert {one.source for one in criteria.conditions} == {"canary.yaml"}


def test_every_role_keeps_its_own_limit_of_one_metric():
    criteria = criteria_in(canary=CANARY)
    said = {(one.role, one.expression) for one in criteria.conditions}
    assert {("trigger", "cpu_usage > 90"), ("warning", "cpu_usage > 85")} <= said
    assert limits(criteria, "post")["cpu_usage", "limit"] == 80


def test_within_one_role_the_stricter_wins_and_says_whose_it_is():
    canary = "canary: {success_criteria: {error_rate_threshold: 0.03, business_metrics: " + (
        "[{name: user_satisfaction, threshold: 4.8}, {name: conversion_rate, threshold: -0.05}]}}"
    )
    criteria = criteria_in(canary=canary).in_phase("post").criteria
    found = {one.metric: one for one in criteria if one.source != DEFAULT}
    assert (found["error_rate"].limit, found["error_rate"].source) == (
        Decimal("0.01"),
        "success_criteria.yaml",
    )
    assert (found["user_satisfaction"].limit, found["user_satisfaction"].source) == (
        Decimal("4.8"),
        "canary.yaml",
    )
    assert found["conversion_rate"].limit == Decimal("0.02")


def test_phases_of_one_file_do_not_silence_another():
    canary = "canary: {success_criteria: {business_metrics: [{name: revenue, threshold: -0.1}]}}"
    criteria = criteria_in(canary=canary)
    assert limits(criteria, "during")["revenue", "live"] == Decimal("0.1")
    assert limits(criteria, "post")["revenue", "live"] == 0


def test_comparing_with_the_live_slot_can_be_declared_or_left_out():
    config, _ = composed(
        "success_criteria: {performance: {error_rate: 0.03}}",
        service=SERVICE[:-1] + ", judge: {against_live: false}}",
    )
    assert not [one for one in criteria_of(config).criteria if one.against == "live"]


def test_a_declared_limit_takes_the_place_of_a_default_also_a_looser_one():
    config, _ = composed("success_criteria: {performance: {error_rate: 0.03}}")
    assert limits(criteria_of(config))["error_rate", "limit"] == Decimal("0.03")
    assert config.judge.error_rate == Decimal("0.03")


def test_a_limit_that_holds_in_some_phases_leaves_the_default_in_the_others():
    text = """
success_criteria: {performance: {error_rate: 0.03}}
monitoring: {during_deployment: {metrics: [deployment_progress]}}
"""
    config, _ = composed(text, SERVICE[:-1] + ", judge: {against_live: false}}")
    criteria = criteria_of(config)
    assert limits(criteria, "during")["error_rate", "limit"] == Decimal("0.01")
    assert limits(criteria, "post")["error_rate", "limit"] == Decimal("0.03")
    assert limits(criteria, "extended")["error_rate", "limit"] == Decimal("0.03")


def test_refused_connections_have_no_limit_of_their_own_unless_it_is_declared():
    config, _ = composed()
    assert config.judge.connection_errors is None
    for phase in ALL_PHASES:
        assert ("connection_errors", "limit") not in limits(criteria_of(config), phase)


def test_a_metric_of_elsewhere_is_not_asked_for_as_many_samples_as_requests():
    service = (
        f"service: {{name: {NAME}, metrics: "
        "{response_time_p95: {namespace: Mine, metric: Latency}}}"
    )
    rules = criteria_in(None, service).rules
    assert rules["response_time_p95"].min_samples is None
    assert rules["response_time_p99"].min_samples == 20


def test_what_service_judge_says_is_a_criterion_like_any_other():
    service = f"service: {{name: {NAME}, judge: {{connection_errors: 3, min_requests: 50}}}}"
    config, _ = composed("success_criteria: {}", service)
    criteria = criteria_of(config)
    assert limits(criteria)["connection_errors", "limit"] == 2
    assert config.judge.connection_errors == 3
    assert ("connection_errors", "limit") not in limits(criteria, "extended")
    assert criteria.rule("error_rate").min_samples == 50


def test_comparisons_can_be_written_out():
    text = """
success_criteria:
  performance:
    throughput: {threshold: 0.95, comparison: greater_than_baseline}
    error_rate: {threshold: 0.01, comparison: less_than}
    response_time_p95: {threshold: 1.2, comparison: less_than_live}
"""
    found = limits(criteria_in(text))
    assert found["throughput", "baseline"] == Decimal("0.05")
    assert found["error_rate", "limit"] == Decimal("0.01")
    assert found["response_time_p95", "live"] == Decimal("0.2")
    assert found["response_time_p95", "limit"] == 2000, "the absolute default stays"


def test_a_misspelt_metric_of_a_canary_file_is_an_error():
    text = "canary: {success_criteria: {business_metrics: [{name: conversion_rat, threshold: 1}]}}"
    (found,) = problems_of(text)
    assert found.field == "canary.success_criteria.business_metrics.0.name"
    assert "did you mean conversion_rate?" in found.way_out


def test_an_own_metric_is_checked_when_its_service_is_known():
    text = "alerts: {critical: [queue_age > 60]}\nsuccess_criteria: {metrics: {queue_age: 30}}"
    (warning,) = read_document(text).warnings
    assert "service.metrics has to declare it" in warning
    with pytest.raises(InvalidDocument) as caught:
        composed(text)
    assert {problem.line for problem in caught.value.problems} == {1, 2}
    service = (
        f"service: {{name: {NAME}, metrics: {{queue_age: "
        "{namespace: Mine, metric: QueueAge, worse: up, min_samples: 3}}}"
    )
    criteria = criteria_in(text, service)
    assert limits(criteria)["queue_age", "limit"] == 30
    assert criteria.rule("queue_age").min_samples == 3


def test_the_direction_of_an_own_metric_decides_which_limit_is_stricter():
    service = (
        f"service: {{name: {NAME}, success_criteria: {{metrics: {{stock: 50}}}}, metrics: "
        "{stock: {namespace: Mine, metric: Stock, worse: down}}}"
    )
    found = limits(criteria_in("success_criteria: {metrics: {stock: 70}}", service))
    assert found["stock", "limit"] == 70


def test_what_nobody_can_read_is_not_asked_and_said():
    config, warnings = composed(service=f"service: {{name: {NAME}}}")
    assert all(one.metric != "database_connections" for one in criteria_of(config).criteria)
    assert any("database_connections: not judged" in warning for warning in warnings)


def test_a_metric_that_no_phase_names_is_said():
    text = """
success_criteria: {system: {cpu_usage: 80}}
monitoring: {during_deployment: {metrics: [error_rates]}, post_deployment: {metrics: [performance]}}
"""
    assert composed(text)[1] == ("cpu_usage: not judged; monitoring names it in no phase",)


def test_the_levels_of_a_scan_can_be_set_and_the_stricter_of_two_files_wins():
    text = "success_criteria: {security: {vulnerability_scan: {high: 2, medium: 10}}}"
    service = (
        f"service: {{name: {NAME}, success_criteria: "
        "{security: {vulnerability_scan: {critical: 1, high: 1}, sbom: pass}}}"
    )
    gates = {gate.name: gate.findings for gate in criteria_in(text, service).gates}
    assert gates == {"vulnerability_scan": {"CRITICAL": 0, "HIGH": 1, "MEDIUM": 10}, "sbom": {}}


def test_the_criteria_of_all_files_are_not_for_users_to_write():
    (found,) = problems_of(f"service:\n  name: {NAME}\n  criteria: {{}}\n")
    assert (found.line, found.field) == (3, "service.criteria")


def test_without_apply_the_criteria_come_from_the_sections_themselves():
    config = ServiceConfig.model_validate(
        {
            "name": NAME,
            "success_criteria": {"system": {"cpu_usage": 70}},
            "rollback_triggers": ["error_rate > 0.1"],
        }
    )
    criteria = criteria_of(config)
    assert limits(criteria)["cpu_usage", "limit"] == 70
    assert criteria.conditions[0].role == "trigger"
    assert {one.phases for one in criteria.criteria if one.source == "default"} == {ALL_PHASES}


def test_a_duration_of_a_phase_never_leaves_the_extended_watch_shorter():
    config, _ = composed("monitoring: {post_deployment: {duration: 48h}}")
    assert config.deployment.extended_watch == timedelta(hours=48)
    config, _ = composed("monitoring: {post_deployment: {extended_monitoring: 10m}}")
    assert config.deployment.watch == timedelta(minutes=10)


def test_the_settings_of_a_decision_have_their_defaults():
    deployment = DeploymentConfig()
    assert (deployment.early_advance, deployment.pass_score) == (False, None)
    assert deployment.baseline == timedelta(minutes=5)


def test_a_pass_score_is_part_of_the_criteria():
    service = f"service: {{name: {NAME}, deployment: {{pass_score: 80}}}}"
    assert criteria_in(None, service).pass_score == 80


def expressions_of(document):
    """Every text under a key of triggers, conditions or alerts."""
    for key, value in document.items() if isinstance(document, dict) else ():
        if key in ("rollback_triggers", "rollback_conditions", "critical", "warning"):
            yield from value
        else:
            yield from expressions_of(value)


@pytest.mark.parametrize("path", sorted(SPEC.glob("*.yaml")), ids=lambda path: path.name)
def test_every_condition_in_the_files_of_the_specification_can_be_read(path):
    for text in expressions_of(yaml.safe_load(path.read_text())):
        parse(text)


def test_applying_it_keeps_the_other_files_and_the_same_again_changes_nothing(applied, tmp_path):
    file = tmp_path / "criteria.yaml"
    file.write_text(FILE)
    first = applied.apply(file, service=NAME, by="jo")
    assert first.changed
    config = applied.store.get_config(NAME).config
    assert limits(criteria_of(config), "post")["cpu_usage", "limit"] == 80
    assert {gate.source for gate in criteria_of(config).gates} == {"criteria.yaml"}
    again = applied.apply(FILE, service=NAME, by="jo")
    assert (again.changed, again.version) == (False, first.version)
    applied.apply(CANARY, service=NAME, by="jo")
    merged = criteria_of(applied.store.get_config(NAME).config)
    assert {one.role for one in merged.conditions} == {"trigger", "critical", "warning"}


def test_a_file_without_a_service_anywhere_is_refused(greenlane):
    with pytest.raises(InvalidInput, match="--service"):
        greenlane.apply(FILE, by="jo")
