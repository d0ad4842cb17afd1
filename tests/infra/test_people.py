"""How news gets from the topic to people, in the template."""

import json
from typing import Any

import pytest

from greenlane.people import delivery
from tests.infra.conftest import Assembly, Template, Vary
from tests.infra.test_permissions import allowed

TOPIC = "greenlane-notifications"


def subscription(product: Template) -> dict[str, Any]:
    return dict(
        product.only(
            "AWS::SNS::Subscription", TopicArn=topic(product), Protocol="lambda"
        ).properties
    )


def topic(product: Template) -> dict[str, str]:
    return {"Ref": product.only("AWS::SNS::Topic", TopicName=TOPIC).logical_id}


def test_the_topic_calls_the_published_version_of_the_function_that_tells(
    product: Template,
) -> None:
    found = subscription(product)
    version = found["Endpoint"]["Ref"]

    assert found["Protocol"] == "lambda"
    assert version.startswith("NotifyPeopleFunctionCurrentVersion")
    assert "FilterPolicy" not in found
    (permission,) = [
        permission.properties
        for permission in product.resources("AWS::Lambda::Permission")
        if permission.properties["FunctionName"] == {"Ref": version}
    ]
    assert permission["Principal"] == "sns.amazonaws.com"
    assert permission["SourceArn"] == found["TopicArn"]


def test_what_is_not_delivered_and_what_failed_three_times_is_kept(product: Template) -> None:
    queue = product.only("AWS::SQS::Queue", QueueName="greenlane-undelivered-events").logical_id
    arn = {"Fn::GetAtt": [queue, "Arn"]}
    (asynchronous,) = [
        config.properties
        for config in product.resources("AWS::Lambda::EventInvokeConfig")
        if "NotifyPeople" in json.dumps(config.properties["FunctionName"])
    ]

    assert subscription(product)["RedrivePolicy"] == {"deadLetterTargetArn": arn}
    assert asynchronous["MaximumRetryAttempts"] == 2
    assert asynchronous["DestinationConfig"] == {"OnFailure": {"Destination": arn}}
    statements = product.only("AWS::SQS::QueuePolicy").properties["PolicyDocument"]["Statement"]
    sources = [
        statement["Condition"]["ArnEquals"]["aws:SourceArn"]
        for statement in statements
        if statement["Principal"] == {"Service": "sns.amazonaws.com"}
    ]
    assert subscription(product)["TopicArn"] in sources


def test_only_our_own_secrets_can_be_read_and_only_by_who_needs_them(assembly: Assembly) -> None:
    may = allowed(assembly, "greenlane-notify-people-eu-west-1")
    readers = [
        role.properties["RoleName"]
        for template in assembly.templates.values()
        for role in template.resources("AWS::IAM::Role")
        if "secretsmanager:" in json.dumps(role.properties)
    ]

    (secrets,) = may["secretsmanager:GetSecretValue"]
    assert secrets.endswith(":secret:greenlane/*")
    # What hears webhooks reads the one secret that they show.
    assert set(readers) == {
        "greenlane-notify-people-eu-west-1",
        "greenlane-hear-webhooks-eu-west-1",
    }


def test_who_tells_people_can_change_nothing_that_serves(assembly: Assembly) -> None:
    may = allowed(assembly, "greenlane-notify-people-eu-west-1")

    touched = {action.partition(":")[0] for action in may}
    assert touched == {"dynamodb", "lambda", "logs", "secretsmanager", "sqs", "ssm", "xray"}
    (read,) = may["ssm:GetParameter"]
    assert read.endswith(":parameter/greenlane/paging")
    (called,) = may["lambda:InvokeFunction"]
    assert called.endswith(":function:greenlane-post-alerts")


@pytest.mark.parametrize("name", ["post-alerts", "query-prometheus"])
def test_a_function_inside_the_network_may_do_nothing_in_aws(assembly: Assembly, name: str) -> None:
    may = allowed(assembly, f"greenlane-{name}-eu-west-1")

    assert {action.partition(":")[0] for action in may} == {"ec2", "logs", "xray"}


def test_no_secret_is_in_the_templates(assembly: Assembly) -> None:
    for template in assembly.templates.values():
        for secret in template.resources("AWS::SecretsManager::Secret"):
            assert "SecretString" not in secret.properties
            assert "GenerateSecretString" in secret.properties
        assert "resolve:secretsmanager" not in json.dumps(template.body)


def test_only_the_reconciler_calls_who_tells_people_past_the_topic(assembly: Assembly) -> None:
    callers = [
        role.properties["RoleName"]
        for role in assembly.product.resources("AWS::IAM::Role")
        if ':function:greenlane-notify-people"' in json.dumps(role.properties["Policies"])
    ]

    assert callers == ["greenlane-reconcile-eu-west-1"]
    assert delivery.FUNCTION == "greenlane-notify-people"
    assembly.product.only("AWS::Lambda::Function", FunctionName=delivery.FUNCTION)


def test_operators_hear_of_everything(vary: Vary, product: Template) -> None:
    told = vary(operators=["ops@example.com"]).product
    mail = told.only("AWS::SNS::Subscription", Protocol="email").properties

    assert (mail["Endpoint"], mail["TopicArn"]) == ("ops@example.com", topic(told))
    assert "FilterPolicy" not in mail
    protocols = [it.properties["Protocol"] for it in product.resources("AWS::SNS::Subscription")]
    assert set(protocols) == {"lambda"}, "nobody by default"
