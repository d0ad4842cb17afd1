"""What looks after A/B tests, what has them watched at once, and what these may touch."""

import json

from infra.nag import as_finding
from tests.infra.conftest import Template

FUNCTIONS = ("judge-experiment", "conclude-experiment", "stop-experiments", "tick-experiments")


def test_the_rule_goes_by_the_alarms_that_apply_keeps_for_the_service(product: Template) -> None:
    rule = product.only(
        "AWS::Events::Rule", Name="greenlane-experiment-alarm-claude-manager"
    ).properties

    assert rule["EventPattern"]["detail"] == {
        "alarmName": [
            {"prefix": "greenlane.claude-manager.trigger."},
            {"prefix": "greenlane.claude-manager.critical."},
        ],
        "state": {"value": ["ALARM"]},
    }
    (target,) = rule["Targets"]
    assert "StopExperiments" in target["Arn"]["Ref"]
    said = json.loads(
        target["InputTransformer"]["InputTemplate"].replace("<", '"<').replace(">", '>"')
    )
    assert said["service"] == "claude-manager"
    assert set(said) == {"service", "name", "reason", "at"}


def test_functions_of_tests_write_tests_flags_and_reports_and_nothing_else(
    product: Template,
) -> None:
    for function in FUNCTIONS:
        role = product.only("AWS::IAM::Role", RoleName=f"greenlane-{function}-eu-west-1")
        for policy in role.properties["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                actions, resources = statement["Action"], as_finding(statement["Resource"])
                listed = [actions] if isinstance(actions, str) else actions
                if {"dynamodb:PutItem", "dynamodb:UpdateItem"} & set(listed):
                    assert "Flags" in resources or "Experiments" in resources
                if "s3:PutObject" in listed:
                    assert resources.endswith("/experiments/*")
                assert not [one for one in listed if one.startswith("elasticloadbalancing:")]
                assert "cloudwatch:PutMetricAlarm" not in listed


def test_only_the_tick_starts_executions_and_only_of_tests(product: Template) -> None:
    for function in FUNCTIONS:
        role = product.only("AWS::IAM::Role", RoleName=f"greenlane-{function}-eu-west-1")
        statements = [
            statement
            for policy in role.properties["Policies"]
            for statement in policy["PolicyDocument"]["Statement"]
        ]
        starts = [one for one in statements if "states:StartExecution" in json.dumps(one["Action"])]
        assert bool(starts) == (function == "tick-experiments")
        assert all(as_finding(one["Resource"]).endswith("greenlane-experiment") for one in starts)
