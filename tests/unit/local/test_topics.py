import json
from typing import Any

import pytest

from tests.unit.local.conftest import Account
from tests.unit.local.test_events import RECORD

FAIL = """
def handler(event, context):
    raise RuntimeError("no " + event["Records"][0]["Sns"]["Message"])
"""


class Topic:
    """A topic, and a queue in which what functions got arrives."""

    def __init__(self, account: Account, name: str) -> None:
        self.account, self.name = account, name
        self.sns, self.sqs = account.client("sns"), account.client("sqs")
        self.arn = self.sns.create_topic(Name=name)["TopicArn"]
        self.seen = self.sqs.create_queue(QueueName=f"{name}-seen")["QueueUrl"]
        self.lost = self.sqs.create_queue(QueueName=f"{name}-lost")["QueueUrl"]
        self.lost_arn = f"arn:aws:sqs:eu-west-1:123456789012:{name}-lost"

    def version(self, code: str = RECORD) -> str:
        arn = self.account.function(self.name, code, QUEUE=self.seen)
        number = self.account.client("lambda").publish_version(FunctionName=self.name)["Version"]
        return f"{arn}:{number}"

    def subscribe(self, endpoint: str, **attributes: str) -> None:
        self.sns.subscribe(
            TopicArn=self.arn, Protocol="lambda", Endpoint=endpoint, Attributes=attributes
        )

    def received(self, queue: str) -> Any:
        def look() -> Any:
            return self.sqs.receive_message(QueueUrl=queue).get("Messages", [])

        (message,) = self.account.wait_until(look)
        return json.loads(message["Body"])


@pytest.fixture
def topic(account: Account, request: pytest.FixtureRequest) -> Topic:
    return Topic(account, request.node.name[5:40])


def test_a_function_gets_what_was_published_and_nobody_waits_for_it(topic: Topic) -> None:
    topic.subscribe(topic.version())
    sent = topic.sns.publish(
        TopicArn=topic.arn,
        Subject="Look",
        Message=json.dumps({"default": "for people", "lambda": '{"for": "functions"}'}),
        MessageStructure="json",
        MessageAttributes={"kind": {"DataType": "String", "StringValue": "held"}},
    )

    (record,) = topic.received(topic.seen)["Records"]
    got = record["Sns"]
    assert record["EventSource"] == "aws:sns"
    assert got["MessageId"] == sent["MessageId"]
    assert (got["TopicArn"], got["Subject"]) == (topic.arn, "Look")
    assert json.loads(got["Message"]) == {"for": "functions"}
    assert got["MessageAttributes"] == {"kind": {"Type": "String", "Value": "held"}}
    assert got["Timestamp"].endswith("Z")


def test_a_subscriptions_filter_is_obeyed(topic: Topic) -> None:
    topic.subscribe(topic.version(), FilterPolicy='{"kind": ["held"]}')
    for kind in ("promoted", "held"):
        topic.sns.publish(
            TopicArn=topic.arn,
            Message=kind,
            MessageAttributes={"kind": {"DataType": "String", "StringValue": kind}},
        )

    (record,) = topic.received(topic.seen)["Records"]
    assert record["Sns"]["Message"] == "held"


def test_what_no_function_takes_is_kept(topic: Topic) -> None:
    missing = "arn:aws:lambda:eu-west-1:123456789012:function:missing"
    topic.subscribe(missing, RedrivePolicy=json.dumps({"deadLetterTargetArn": topic.lost_arn}))
    topic.sns.publish(TopicArn=topic.arn, Message="anybody?")

    (record,) = topic.received(topic.lost)["Records"]
    assert record["Sns"]["Message"] == "anybody?"


def test_what_a_function_failed_to_do_three_times_is_kept(topic: Topic) -> None:
    endpoint = topic.version(FAIL)
    topic.account.client("lambda").put_function_event_invoke_config(
        FunctionName=endpoint,
        MaximumRetryAttempts=2,
        DestinationConfig={"OnFailure": {"Destination": topic.lost_arn}},
    )
    topic.subscribe(endpoint)
    topic.sns.publish(TopicArn=topic.arn, Message="luck")

    kept = topic.received(topic.lost)
    assert kept["requestContext"]["approximateInvokeCount"] == 3
    assert kept["requestPayload"]["Records"][0]["Sns"]["Message"] == "luck"
    assert kept["responsePayload"]["errorMessage"] == "no luck"
