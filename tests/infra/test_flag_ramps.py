"""What switches flags off, what ramps them, and what these may touch."""

import json

from infra.nag import as_finding
from tests.infra.conftest import Template


def test_the_rule_goes_by_the_reserved_prefix_of_alarms_that_stop_flags(product: Template) -> None:
    rule = product.only("AWS::Events::Rule", Name="greenlane-flag-alarm-claude-manager").properties

    assert rule["EventPattern"]["detail"] == {
        "alarmName": [{"prefix": "greenlane-flag.claude-manager.trigger."}],
        "state": {"value": ["ALARM"]},
    }
    (target,) = rule["Targets"]
    assert "StopFlags" in target["Arn"]["Ref"]
    said = json.loads(
        target["InputTransformer"]["InputTemplate"].replace("<", '"<').replace(">", '>"')
    )
    assert said["service"] == "claude-manager"
    assert set(said) == {"service", "name", "reason", "at"}


def test_no_alarm_of_a_flag_starts_the_way_back_of_a_deployment(product: Template) -> None:
    rule = product.only("AWS::Events::Rule", Name="greenlane-alarm-claude-manager").properties

    names = rule["EventPattern"]["detail"]["alarmName"]
    prefixes = [one["prefix"] for one in names if isinstance(one, dict)]
    ours = "greenlane-flag.claude-manager.trigger.blue.0123456789ab"
    assert not any(ours.startswith(prefix) for prefix in prefixes)


def test_functions_of_flags_write_no_deployment_and_no_alarm_of_others(product: Template) -> None:
    for function in ("judge-flag", "raise-flag", "stop-flags", "tick-flags"):
        role = product.only("AWS::IAM::Role", RoleName=f"greenlane-{function}-eu-west-1")
        for policy in role.properties["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                actions, resources = statement["Action"], as_finding(statement["Resource"])
                listed = [actions] if isinstance(actions, str) else actions
                if any(action.startswith("dynamodb:Put") for action in listed):
                    assert "Flags" in resources
                if "cloudwatch:PutMetricAlarm" in listed:
                    assert resources.endswith(":alarm:greenlane-flag.*")
