from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from greenlane.deployments.declaring.config import DeploymentConfig, JudgeConfig, ServiceConfig
from greenlane.deployments.declaring.document import Sources, SourceText, compose, read_document
from greenlane.deployments.declaring.layers import overlay
from greenlane.problems import InvalidDocument

SPEC = Path("tests/data/spec")
CANARY = (SPEC / "canary-config.yaml").read_text()
SERVICE = """
service:
  name: claude-manager
  deployment: {strategy: blue_green, bake: 3m}
  judge: {error_rate: 0.005, response_time_p95: 2500}
"""


def read_canary():
    return read_document(CANARY, "canary-config.yaml")


def merged(service=SERVICE, canary=CANARY):
    sources = Sources(
        service=SourceText(name="service.yaml", text=service) if service else None,
        canary=SourceText(name="canary.yaml", text=canary) if canary else None,
    )
    config, _ = compose(sources, ServiceConfig(name="claude-manager"))
    return config


def problem_of(text):
    with pytest.raises(InvalidDocument) as caught:
        read_document(text, "x.yaml")
    (problem,) = caught.value.problems
    return problem


def test_the_canary_file_of_the_specification_loads_as_it_stands():
    checked = read_canary()
    assert checked.kind == "canary"
    assert checked.service is None


def test_the_canary_file_becomes_steps_limits_and_deadline():
    config = merged(service=None)
    deployment = config.deployment
    assert deployment.strategy == "canary"
    assert [step.weight for step in deployment.steps] == [1, 5, 10, 25, 50, 100]
    assert deployment.bake == timedelta(minutes=5)
    assert deployment.max_duration == timedelta(hours=2)
    assert config.judge.error_rate == Decimal("0.01")
    assert config.judge.response_time_p95 == 2000
    assert [metric.name for metric in config.business_metrics] == [
        "conversion_rate",
        "user_satisfaction",
    ]
    assert config.rollback_triggers[0] == "error_rate > 0.05"
    assert config.monitoring.alert_manager == "http://alertmanager:9093"
    assert config.notifications.email_list == ("devops@terragon.ai",)


def test_what_the_canary_file_of_the_specification_says_has_its_effect():
    assert read_canary().warnings == ()


@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("ab-tests.yaml", "ab_tests"),
        ("multi-region-config.yaml", "regions"),
        ("feature-flags.yaml", "feature_flags"),
    ],
)
def test_a_file_that_is_no_services_configuration_is_sent_to_where_it_is_applied(file, key):
    problem = problem_of((SPEC / file).read_text())
    assert (problem.field, problem.line) == (key, 2)
    assert "apply it by `greenlane.apply.apply`" in problem.way_out


def test_the_stricter_limit_of_two_files_wins():
    config = merged()
    assert config.judge.error_rate == Decimal("0.005"), "the service's own is stricter"
    assert config.judge.response_time_p95 == 2000, "the canary's is stricter"


def test_a_default_is_no_declared_limit():
    config = merged(service="service: {name: claude-manager}", canary="canary: {}")
    assert config.judge == JudgeConfig()
    looser = "canary: {success_criteria: {error_rate_threshold: 0.03}}"
    assert merged(service=None, canary=looser).judge.error_rate == Decimal("0.03")


def test_a_canary_file_replaces_the_steps_of_another_strategy():
    service = "service: {name: claude-manager, deployment: {steps: [50, 100]}}"
    config = merged(service=service, canary="canary: {name: x}")
    assert config.deployment.strategy == "canary"
    assert config.deployment.steps is None


def test_a_canary_file_without_stages_keeps_the_services_own_canary_steps():
    service = "service: {name: claude-manager, deployment: {strategy: canary, steps: [50, 100]}}"
    config = merged(service=service, canary="canary: {name: x}")
    assert [step.weight for step in config.deployment.steps] == [50, 100]


def test_of_a_business_metric_named_twice_the_stricter_threshold_holds():
    service = """
service:
  name: claude-manager
  business_metrics: [{name: conversion_rate, threshold: -0.01}]
"""
    by_name = {metric.name: metric.threshold for metric in merged(service).business_metrics}
    assert by_name == {"conversion_rate": Decimal("-0.01"), "user_satisfaction": Decimal("4.5")}


def test_laying_over_keeps_what_the_canary_file_does_not_say():
    base = ServiceConfig(
        name="claude-manager", container="web", deployment=DeploymentConfig(warm_floor=3)
    )
    config = overlay(read_canary().canary, base)
    assert config.container == "web"
    assert config.deployment.warm_floor == 3


def test_what_was_composed_validates_as_a_whole():
    config = merged()
    text = config.model_dump_json()
    assert ServiceConfig.model_validate_json(text, context={"stored": True}) == config


def test_stages_that_fall_name_the_stages():
    problem = problem_of("canary:\n  traffic_policy:\n    stages: [1, 10, 5, 100]\n")
    assert (problem.line, problem.field) == (3, "canary.traffic_policy.stages")
    assert "5 follows 10" in problem.way_out


def test_bakes_that_outlast_the_deadline_are_refused():
    problem = problem_of(
        "canary:\n  traffic_policy: {stage_duration: 30m, stages: [1, 10, 100], max_duration: 1h}\n"
    )
    assert problem.field == "canary.traffic_policy.max_duration"
    assert "1h30m" in problem.way_out


def test_bakes_that_outlast_the_services_deadline_are_refused():
    problem = problem_of("service:\n  name: claude-manager\n  deployment:\n    max_duration: 20m\n")
    assert (problem.line, problem.field) == (4, "service.deployment.max_duration")
    assert "20m" in problem.way_out


@pytest.mark.parametrize("kind", ["service: {name: shop, ", "canary: {"])
def test_a_misspelt_metric_in_a_trigger_gets_the_nearest_name(kind):
    problem = problem_of(f"{kind}rollback_triggers: [error_rate > 0.05, eror_rate > 1]}}")
    assert problem.field.endswith("rollback_triggers.1")
    assert "did you mean error_rate?" in problem.way_out


@pytest.mark.parametrize("text", ["error_rate", "error_rate > x", "> 5", "a > 1 or b", ""])
def test_an_expression_is_checked_where_it_stands(text):
    problem = problem_of(f"canary:\n  rollback_triggers:\n    - '{text}'\n")
    assert (problem.line, problem.field) == (3, "canary.rollback_triggers.0")
    assert "at character" in problem.way_out


def test_a_misspelt_kind_gets_the_nearest_one():
    assert "did you mean service?" in problem_of("servcie: {name: x}").way_out


def test_one_file_declares_one_kind():
    problem = problem_of("service: {name: shop}\ncanary: {}\n")
    assert (problem.field, problem.line) == ("canary", 2)
    assert "file of its own" in problem.way_out


def test_an_empty_mapping_is_refused():
    assert problem_of("{}").field == "file"


def test_the_example_service_is_correct_and_without_warnings():
    path = Path("examples/claude_manager/greenlane.yaml")
    checked = read_document(path.read_text(), path.name)
    assert checked.service == "claude-manager"
    assert checked.warnings == ()
