"""A limit in another unit, or one that nothing can miss, is refused; what is stored is read."""

import json

import pytest

from greenlane.deployments.declaring.config import DeploymentConfig, JudgeConfig, ServiceConfig
from greenlane.deployments.declaring.document import read_document
from greenlane.deployments.model import Plan
from greenlane.problems import InvalidDocument
from tests.builders import plan

CANARY = "canary:\n  success_criteria:\n    {}"
SERVICE = "service:\n  name: claude-manager\n  {}"
CRITERIA = "success_criteria:\n  {}"


@pytest.mark.parametrize(
    ("frame", "text", "field", "way_out"),
    [
        (SERVICE, "judge: {error_rate: 5}", "service.judge.error_rate", "0.01 is one percent"),
        (SERVICE, "judge: {error_rate: 1}", "service.judge.error_rate", "1 is never missed"),
        (SERVICE, "judge: {error_rate: -0.1}", "service.judge.error_rate", "a ratio from 0"),
        (
            SERVICE,
            "judge: {response_time_p95: 2}",
            "service.judge.response_time_p95",
            "2000 is 2 seconds",
        ),
        (
            SERVICE,
            "deployment: {pass_score: 0}",
            "service.deployment.pass_score",
            "0 is reached by every version",
        ),
        (
            SERVICE,
            "business_metrics: [{name: conversion_rate, threshold: 3}]",
            "service.business_metrics.0.threshold",
            "0.03 is 3 percent",
        ),
        (
            CANARY,
            "error_rate_threshold: 1",
            "canary.success_criteria.error_rate_threshold",
            "1 is never missed",
        ),
        (
            CANARY,
            "response_time_p95_threshold: 1.5",
            "canary.success_criteria.response_time_p95_threshold",
            "2000 is 2 seconds",
        ),
        (
            CANARY,
            "business_metrics: [{name: page_load_time, threshold: 3}]",
            "canary.success_criteria.business_metrics.0.threshold",
            "write 3000 for 3 seconds",
        ),
        (
            CRITERIA,
            "performance: {error_rate: 1}",
            "success_criteria.performance.error_rate",
            "1 is never missed",
        ),
        (
            CRITERIA,
            "business: {conversion_rate: 0}",
            "success_criteria.business.conversion_rate",
            "0 is never missed",
        ),
        (
            CRITERIA,
            "business: {conversion_rate_drop: 1}",
            "success_criteria.business.conversion_rate_drop",
            "1 is never missed",
        ),
        (
            CRITERIA,
            "business: {revenue_impact: -1}",
            "success_criteria.business.revenue_impact",
            "-1 is never missed",
        ),
        (
            CRITERIA,
            "metrics: {error_rate: 1}",
            "success_criteria.metrics.error_rate",
            "0.01 is 1 percent",
        ),
    ],
)
def test_it_is_refused_with_the_field_and_the_way_out(frame, text, field, way_out):
    with pytest.raises(InvalidDocument) as caught:
        read_document(frame.format(text), "x.yaml")
    (found,) = caught.value.problems
    assert found.field == field
    assert way_out in found.way_out
    assert found.line == frame.count("\n") + 1


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (SERVICE, "judge: {error_rate: 0, response_time_p95: 10, connection_errors: 5}"),
        (SERVICE, "deployment: {pass_score: 1}"),
        (CANARY, "error_rate_threshold: 0.99"),
        (CANARY, "business_metrics: [{name: user_satisfaction, threshold: 4.5}]"),
        (CRITERIA, "business: {revenue_impact: 0.0, conversion_rate: 1}"),
        (CRITERIA, "performance: {throughput_degradation: 0}"),
    ],
)
def test_a_strict_limit_is_none_of_these(frame, text):
    read_document(frame.format(text))


def test_what_an_older_version_accepted_and_stored_is_still_read():
    body = json.loads(plan().model_dump_json())
    body["config"]["judge"] = {
        "error_rate": "1",
        "response_time_p95": "2",
        "connection_errors": 5,
        "against_live": False,
        "min_requests": 20,
    }
    body["config"]["deployment"]["pass_score"] = "0"
    body["config"]["success_criteria"] = {
        "performance": {"error_rate": {"threshold": "1"}, "throughput_degradation": "1"},
        "business": {"conversion_rate": {"threshold": "0"}, "revenue_impact": "-1"},
    }

    read = Plan.model_validate_json(json.dumps(body)).config

    assert (read.judge.connection_errors, read.judge.response_time_p95) == (5, 2)
    assert read.deployment.pass_score == 0


def test_the_defaults_are_accepted_as_they_stand():
    assert ServiceConfig(name="claude-manager").judge == JudgeConfig()
    assert DeploymentConfig(pass_score=80).pass_score == 80
