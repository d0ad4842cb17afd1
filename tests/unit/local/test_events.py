import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.local.conftest import Account

ROLE = "arn:aws:iam::123456789012:role/local"
RECORD = """
import boto3, json
def handler(event, context):
    boto3.client("sqs").send_message(
        QueueUrl=event.get("queue") or QUEUE, MessageBody=json.dumps(event))
QUEUE = __import__("os").environ.get("QUEUE")
"""


class Bus:
    """Rules, and a queue in which recorded events arrive."""

    def __init__(self, account: Account, name: Any) -> None:
        self.account = account
        self.events = account.client("events")
        self.sqs = account.client("sqs")
        self.name = name
        self.queue = self.sqs.create_queue(QueueName=f"{name}-seen")["QueueUrl"]

    def rule(
        self,
        target: dict[str, Any],
        pattern: dict[str, Any] | None = None,
        schedule: str | None = None,
    ) -> str:
        name = self.name
        given = {"EventPattern": json.dumps(pattern)} if pattern else {}
        if schedule:
            given = {"ScheduleExpression": schedule}
        arn: str = self.events.put_rule(Name=name, **given)["RuleArn"]
        self.events.put_targets(Rule=name, Targets=[{"Id": "t", **target}])
        return arn

    def received(self, count: Any = 1, queue: Any = None) -> Any:
        found = []

        def look() -> Any:
            answer = self.sqs.receive_message(
                QueueUrl=queue or self.queue,
                MaxNumberOfMessages=10,
                MessageAttributeNames=["All"],
            )
            found.extend(answer.get("Messages", []))
            return len(found) >= count

        self.account.wait_until(look)
        return found


@pytest.fixture
def bus(account: Account, request: Any) -> Iterator[Any]:
    made = Bus(account, request.node.name[:50])
    yield made
    for rule in made.events.list_rules()["Rules"]:
        made.events.remove_targets(Rule=rule["Name"], Ids=["t"])
        made.events.delete_rule(Name=rule["Name"])


def version(account: Account, name: Any, **environment: Any) -> Any:
    arn = account.function(name, RECORD, **environment)
    number = account.client("lambda").publish_version(FunctionName=name)["Version"]
    return f"{arn}:{number}"


def test_an_event_reaches_a_functions_version(account: Account, bus: Bus) -> None:
    bus.rule({"Arn": version(account, "recorder", QUEUE=bus.queue)}, {"source": ["my.app"]})
    entry = {"Source": "my.app", "DetailType": "Made", "Detail": '{"n": 1}', "Resources": ["arn:x"]}
    answer = bus.events.put_events(Entries=[entry, {**entry, "Source": "other.app"}])
    (message,) = bus.received()
    event = json.loads(message["Body"])
    assert answer["FailedEntryCount"] == 0
    assert event["id"] == answer["Entries"][0]["EventId"]
    assert (event["source"], event["detail-type"], event["detail"]) == ("my.app", "Made", {"n": 1})
    assert event["resources"] == ["arn:x"]
    assert (event["account"], event["region"]) == ("123456789012", "eu-west-1")


def test_an_invalid_entry_is_refused_alone(bus: Bus) -> None:
    entries = [
        {"Source": "a", "DetailType": "b", "Detail": "not json"},
        {"Source": "a", "DetailType": "b", "Detail": "{}"},
    ]
    answer = bus.events.put_events(Entries=entries)
    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][0]["ErrorCode"] == "MalformedDetail"


def test_an_alarms_event_starts_an_execution_with_the_transformed_input(
    account: Account, bus: Bus
) -> None:
    sfn = account.client("stepfunctions")
    definition = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
    machine = sfn.create_state_machine(
        name="rollback", roleArn=ROLE, definition=json.dumps(definition)
    )["stateMachineArn"]
    transformer = {
        "InputPathsMap": {"name": "$.detail.alarmName", "at": "$.detail.state.timestamp"},
        "InputTemplate": '{"trigger":{"kind":"alarm","name":<name>,"at":<at>},"service":"s"}',
    }
    pattern = {"source": ["aws.cloudwatch"], "detail": {"alarmName": ["s-blue-error-rate"]}}
    bus.rule({"Arn": machine, "RoleArn": ROLE, "InputTransformer": transformer}, pattern)
    account.cloud.context.put_event(
        "aws.cloudwatch",
        "CloudWatch Alarm State Change",
        {"alarmName": "s-blue-error-rate", "state": {"value": "ALARM", "timestamp": "t"}},
        [],
    )
    (execution,) = account.wait_until(
        lambda: sfn.list_executions(stateMachineArn=machine)["executions"]
    )
    found = sfn.describe_execution(executionArn=execution["executionArn"])
    assert json.loads(found["input"]) == {
        "trigger": {"kind": "alarm", "name": "s-blue-error-rate", "at": "t"},
        "service": "s",
    }


def test_executions_report_their_status_with_input_and_output(account: Account, bus: Bus) -> None:
    sfn = account.client("stepfunctions")
    definition = {
        "StartAt": "F",
        "States": {"F": {"Type": "Fail", "Error": "Refused", "Cause": "drift"}},
    }
    machine = sfn.create_state_machine(
        name="reports", roleArn=ROLE, definition=json.dumps(definition)
    )["stateMachineArn"]
    bus.rule(
        {"Arn": version(account, "recorder", QUEUE=bus.queue)},
        {"source": ["aws.states"], "detail": {"stateMachineArn": [machine]}},
    )
    execution = sfn.start_execution(stateMachineArn=machine, name="d-1", input='{"a":1}')
    events = [json.loads(message["Body"]) for message in bus.received(2)]
    by_status = {event["detail"]["status"]: event["detail"] for event in events}
    assert set(by_status) == {"RUNNING", "FAILED"}
    failed = by_status["FAILED"]
    assert failed["executionArn"] == execution["executionArn"]
    assert (failed["name"], failed["input"], failed["output"]) == ("d-1", '{"a":1}', None)
    assert (failed["error"], failed["cause"]) == ("Refused", "drift")
    assert failed["stopDate"] >= failed["startDate"]
    assert by_status["RUNNING"]["stopDate"] is None
    assert events[0]["detail-type"] == "Step Functions Execution Status Change"


def test_a_target_that_refuses_is_retried_then_dead_lettered(account: Account, bus: Bus) -> None:
    dead = bus.sqs.create_queue(QueueName="dead")["QueueUrl"]
    missing = "arn:aws:states:eu-west-1:123456789012:stateMachine:missing"
    rule = bus.rule(
        {
            "Arn": missing,
            "RoleArn": ROLE,
            "RetryPolicy": {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 600},
            "DeadLetterConfig": {"Arn": "arn:aws:sqs:eu-west-1:123456789012:dead"},
        },
        {"source": ["my.app"]},
    )
    bus.events.put_events(Entries=[{"Source": "my.app", "DetailType": "x", "Detail": '{"n": 2}'}])
    (message,) = bus.received(queue=dead)
    attributes = {key: value["StringValue"] for key, value in message["MessageAttributes"].items()}
    assert json.loads(message["Body"])["detail"] == {"n": 2}
    assert attributes.pop("ERROR_MESSAGE")
    assert attributes == {
        "RULE_ARN": rule,
        "TARGET_ARN": missing,
        "ERROR_CODE": "NO_RESOURCE",
        "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
        "RETRY_ATTEMPTS": "3",
    }


def test_a_disabled_rule_delivers_nothing(account: Account, bus: Bus) -> None:
    bus.rule({"Arn": version(account, "recorder", QUEUE=bus.queue)}, {"source": ["my.app"]})
    bus.events.disable_rule(Name=bus.name)
    bus.events.put_events(Entries=[{"Source": "my.app", "DetailType": "x", "Detail": "{}"}])
    time.sleep(0.2)
    assert "Messages" not in bus.sqs.receive_message(QueueUrl=bus.queue)


def test_a_schedule_fires_each_virtual_minute(account: Account, bus: Bus) -> None:
    began = time.monotonic()
    rule = bus.rule({"Arn": version(account, "recorder", QUEUE=bus.queue)}, None, "rate(1 minute)")
    messages = bus.received(2)
    assert 1.8 < time.monotonic() - began < 15
    event = json.loads(messages[0]["Body"])
    assert (event["source"], event["detail-type"]) == ("aws.events", "Scheduled Event")
    assert (event["resources"], event["detail"]) == ([rule], {})


def test_a_schedule_that_we_cannot_fire_is_refused(bus: Bus) -> None:
    with pytest.raises(ClientError, match="rate"):
        bus.events.put_rule(Name="cron", ScheduleExpression="cron(0 12 * * ? *)")
