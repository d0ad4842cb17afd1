"""What reaches the function that makes requests of other shapes of trigger."""

import json
from typing import Any

from infra.nag import as_finding
from tests.infra.conftest import Template

FUNCTION = "NormaliseTriggerFunction"


def topic(product: Template) -> str:
    return product.only("AWS::SNS::Topic", TopicName="greenlane-alarms").logical_id


def test_the_topic_for_alarms_calls_the_published_version(product: Template) -> None:
    subscription = product.only("AWS::SNS::Subscription", TopicArn={"Ref": topic(product)})

    assert subscription.properties["Protocol"] == "lambda"
    assert subscription.properties["Endpoint"]["Ref"].startswith(f"{FUNCTION}CurrentVersion")
    kept = json.dumps(subscription.properties["RedrivePolicy"])
    assert "Undelivered" in kept


def test_alarms_of_this_account_may_publish_and_nothing_goes_without_tls(
    product: Template,
) -> None:
    policy = product.only("AWS::SNS::TopicPolicy", Topics=[{"Ref": topic(product)}])
    statements = {one["Sid"]: one for one in policy.properties["PolicyDocument"]["Statement"]}

    alarms = statements["AlarmsOfThisAccount"]
    assert alarms["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert alarms["Action"] == "sns:Publish"
    assert alarms["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    (other,) = set(statements) - {"AlarmsOfThisAccount"}
    assert statements[other]["Effect"] == "Deny"
    assert statements[other]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def permissions(product: Template) -> dict[str, dict[str, Any]]:
    """Who may invoke the function, by principal."""
    return {
        found.properties["Principal"]: dict(found.properties)
        for found in product.resources("AWS::Lambda::Permission")
        if FUNCTION in json.dumps(found.properties["FunctionName"])
    }


def test_alarms_of_this_account_may_call_the_function_whatever_its_version(
    product: Template,
) -> None:
    may = permissions(product)["lambda.alarms.cloudwatch.amazonaws.com"]

    assert "CurrentVersion" not in json.dumps(may["FunctionName"])
    assert may["SourceAccount"] == {"Ref": "AWS::AccountId"}
    assert as_finding(may["SourceArn"]).endswith("cloudwatch:eu-west-1:<AWS::AccountId>:alarm:*")
    assert set(permissions(product)) == {
        "lambda.alarms.cloudwatch.amazonaws.com",
        "sns.amazonaws.com",
        "events.amazonaws.com",
    }


def test_only_the_failed_deployments_of_the_two_slots_are_triggers(product: Template) -> None:
    rule = product.only("AWS::Events::Rule", Name="greenlane-ecs-claude-manager").properties
    pattern = rule["EventPattern"]

    assert pattern["source"] == ["aws.ecs"]
    assert pattern["detail-type"] == ["ECS Deployment State Change"]
    assert pattern["detail"] == {"eventName": ["SERVICE_DEPLOYMENT_FAILED"]}
    assert [as_finding(arn).rsplit(":", 1)[-1] for arn in pattern["resources"]] == [
        "service/claude-manager/claude-manager-blue",
        "service/claude-manager/claude-manager-green",
    ]
    (target,) = rule["Targets"]
    assert target["Arn"]["Ref"].startswith(f"{FUNCTION}CurrentVersion")


def test_a_trigger_that_failed_is_tried_for_ten_minutes_and_then_kept(product: Template) -> None:
    configs = [
        found.properties
        for found in product.resources("AWS::Lambda::EventInvokeConfig")
        if FUNCTION in json.dumps(found.properties["FunctionName"])
    ]

    assert len(configs) == 2, "the published version, and the one that alarms name"
    for config in configs:
        assert config["MaximumEventAgeInSeconds"] == 600
        assert config["MaximumRetryAttempts"] == 2
        assert "Undelivered" in json.dumps(config["DestinationConfig"]["OnFailure"])
