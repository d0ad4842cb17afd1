import json
import threading
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from greenlane.local.cloud import LocalCloud
from greenlane.local.errors import LocalCloudError
from greenlane.local.server import HttpReply
from tests.unit.local.conftest import Account

ONE_ATTEMPT = Config(retries={"total_max_attempts": 1})


def test_one_runs_at_a_time(account: Account, tmp_path: Path) -> None:
    with pytest.raises(LocalCloudError, match="stop it first"):
        LocalCloud(tmp_path / "other", parts=()).start()
    assert account.client("sqs").list_queues()


@pytest.mark.parametrize(
    ("service", "call", "expected"),
    [
        ("dynamodb", lambda c: c.list_tables(), ("dynamodb", "ListTables")),
        ("elbv2", lambda c: c.describe_rules(ListenerArn="x"),
         ("elasticloadbalancing", "DescribeRules")),
        ("stepfunctions", lambda c: c.list_state_machines(), ("states", "ListStateMachines")),
        ("cloudwatch", lambda c: c.describe_alarms(), ("monitoring", "DescribeAlarms")),
        ("lambda", lambda c: c.get_function(FunctionName="f"), ("lambda", "GetFunction")),
        ("lambda", lambda c: c.invoke(FunctionName="arn:aws:lambda:eu-west-1:1:function:f:1"),
         ("lambda", "Invoke")),
        ("s3", lambda c: c.put_object(Bucket="b", Key="a/b", Body=b"x"), ("s3", "PutObject")),
        ("ecs", lambda c: c.list_clusters(), ("ecs", "ListClusters")),
        ("sqs", lambda c: c.list_queues(), ("sqs", "ListQueues")),
        ("scheduler", lambda c: c.list_schedules(), ("scheduler", "ListSchedules")),
    ],
)  # fmt: skip
def test_the_journal_names_services_and_operations(
    account: Account, service: Any, call: Any, expected: Any
) -> None:
    calls = account.cloud.context.calls
    calls.clear()
    try:
        call(account.client(service))
        failed = False
    except ClientError:
        failed = True
    (found,) = calls
    assert (found.service, found.operation) == expected
    assert found.caller == "person"
    assert (found.status >= 400) == failed
    assert 0 < found.seconds < 5
    assert abs(found.at - time.time()) < 5


def test_a_caller_can_be_named(account: Account) -> None:
    account.cloud.client("sqs", caller="pipeline").list_queues()
    assert account.cloud.context.calls[-1].caller == "pipeline"
    line = (account.cloud.directory / "calls.jsonl").read_text().splitlines()[-1]
    assert json.loads(line)["caller"] == "pipeline"


def test_a_hook_before_a_call_may_answer_in_its_place(account: Account) -> Any:
    def throttle(request: Any) -> Any:
        if request.operation == "CreateQueue":
            body = json.dumps({"__type": "ThrottlingException", "message": "slow down"})
            return HttpReply(400, [("Content-Type", "application/x-amz-json-1.0")], body.encode())
        return None

    account.cloud.server.before.append(throttle)
    sqs = account.cloud.client("sqs", config=ONE_ATTEMPT)
    with pytest.raises(ClientError, match="ThrottlingException"):
        sqs.create_queue(QueueName="throttled")
    account.cloud.server.before.remove(throttle)
    assert "QueueUrls" not in sqs.list_queues(QueueNamePrefix="throttled")


def test_a_hook_after_a_call_may_lose_its_answer(account: Account) -> None:
    def lose(request: Any, reply: Any) -> None:
        if request.operation == "CreateQueue":
            raise ConnectionError
        return

    account.cloud.server.after.append(lose)
    sqs = account.cloud.client("sqs", config=ONE_ATTEMPT)
    with pytest.raises(ConnectionClosedError):
        sqs.create_queue(QueueName="lost")
    account.cloud.server.after.remove(lose)
    assert len(sqs.list_queues(QueueNamePrefix="lost")["QueueUrls"]) == 1


def test_a_conditional_write_is_won_once_however_many_try(account: Account) -> None:
    dynamodb = account.client("dynamodb")
    dynamodb.create_table(
        TableName="leases",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    won = []

    def take(name: Any) -> None:
        try:
            dynamodb.put_item(
                TableName="leases",
                Item={"pk": {"S": "service"}, "owner": {"S": name}},
                ConditionExpression="attribute_not_exists(pk)",
            )
            won.append(name)
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return

    threads = [threading.Thread(target=take, args=(str(n),)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_plain_boto3_works_with_the_endpoint(account: Account) -> None:
    client = boto3.client(
        "sts",
        endpoint_url=account.cloud.endpoint_url,
        region_name="eu-west-1",
        aws_access_key_id="anything",
        aws_secret_access_key="anything",
    )
    assert client.get_caller_identity()["Account"] == "123456789012"
    client.close()


def test_the_clock_runs_as_fast_as_asked(account: Account) -> None:
    began, virtual = time.monotonic(), account.cloud.clock.now()
    time.sleep(0.1)
    seconds = (account.cloud.clock.now() - virtual).total_seconds()
    assert seconds == pytest.approx((time.monotonic() - began) * 60, rel=0.2)
