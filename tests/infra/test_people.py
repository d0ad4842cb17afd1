"""How news gets from the topic to people, in the template."""

import json
from typing import Any

from tests.infra.conftest import Assembly, Template
from tests.infra.test_permissions import allowed

TOPIC = "greenlane-notifications"


def subscription(product: Template) -> dict[str, Any]:
    topic = {"Ref": product.only("AWS::SNS::Topic", TopicName=TOPIC).logical_id}
    return dict(product.only("AWS::SNS::Subscription", TopicArn=topic).properties)


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
    assert readers == ["greenlane-notify-people-eu-west-1"]


def test_who_tells_people_can_change_nothing_that_serves(assembly: Assembly) -> None:
    may = allowed(assembly, "greenlane-notify-people-eu-west-1")

    touched = {action.partition(":")[0] for action in may}
    assert touched == {"dynamodb", "lambda", "logs", "secretsmanager", "sqs", "ssm", "xray"}
    (called,) = may["lambda:InvokeFunction"]
    assert called.endswith(":function:greenlane-post-alerts")


def test_the_function_inside_the_network_may_do_nothing_in_aws(assembly: Assembly) -> None:
    may = allowed(assembly, "greenlane-post-alerts-eu-west-1")

    assert {action.partition(":")[0] for action in may} == {"ec2", "logs", "xray"}


def test_no_secret_is_in_the_templates(assembly: Assembly) -> None:
    for template in assembly.templates.values():
        assert template.resources("AWS::SecretsManager::Secret") == []
        assert "resolve:secretsmanager" not in json.dumps(template.body)
