"""Mends inside the interpreter: virtual time, retries, functions, nesting."""

import json
import time
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.unit.local.conftest import Account
from tests.unit.local.machines import LONG_WAIT, Machines

FAIL_TWICE = """
import boto3
class NotStable(Exception): pass
def handler(event, context):
    table = boto3.client("dynamodb")
    n = int(table.update_item(
        TableName="attempts", Key={"pk": {"S": event["key"]}}, ReturnValues="UPDATED_NEW",
        UpdateExpression="ADD n :one", ExpressionAttributeValues={":one": {"N": "1"}},
    )["Attributes"]["n"]["N"])
    if n < 3: raise NotStable(f"attempt {n}")
    return n
"""


@pytest.fixture(scope="module")
def machines(account: Account) -> Any:
    account.client("dynamodb").create_table(
        TableName="attempts",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return Machines(account)


def test_a_wait_takes_virtual_seconds(machines: Machines) -> None:
    began = time.monotonic()
    execution = machines.start({"Wait": {"Type": "Wait", "Seconds": 30, "End": True}})
    found = machines.ended(execution)
    assert 0.45 < time.monotonic() - began < 10
    assert 25 < (found["stopDate"] - found["startDate"]).total_seconds() < 600


def test_the_machines_own_timeout_is_virtual(machines: Machines) -> None:
    execution = machines.start(LONG_WAIT, TimeoutSeconds=30)
    assert machines.ended(execution)["status"] == "TIMED_OUT"


def test_retries_wait_virtual_seconds_and_count_as_transitions(machines: Machines) -> None:
    arn = machines.account.function("fail-twice", FAIL_TWICE)
    retry = [
        {"ErrorEquals": ["NotStable"], "IntervalSeconds": 15, "BackoffRate": 1, "MaxAttempts": 9}
    ]
    states = {
        "Await": {"Type": "Task", "Resource": arn, "Retry": retry, "Next": "End"},
        "End": {"Type": "Pass", "End": True},
    }
    began = time.monotonic()
    execution = machines.start(states, {"key": "retries"})
    assert machines.ended(execution)["output"] == "3"
    assert 0.5 < time.monotonic() - began < 10
    assert machines.cloud.transitions(execution) == 2 + 2


def test_a_functions_version_is_called_by_its_arn(machines: Machines) -> None:
    account = machines.account
    arn = account.function("pinned", "def handler(e, c): return 'old'")
    version = account.client("lambda").publish_version(FunctionName="pinned")["Version"]
    account.function("pinned", "def handler(e, c): return 'new'")
    states = {"Run": {"Type": "Task", "Resource": f"{arn}:{version}", "End": True}}
    assert machines.ended(machines.start(states))["output"] == '"old"'


def test_an_unhandled_error_fails_the_execution_with_the_class_name(machines: Machines) -> None:
    arn = machines.account.function("bad", "def handler(e, c): raise KeyError('weights')")
    execution = machines.start({"Run": {"Type": "Task", "Resource": arn, "End": True}})
    found = machines.ended(execution)
    assert (found["status"], found["error"]) == ("FAILED", "KeyError")
    assert json.loads(found["cause"])["errorMessage"] == "'weights'"


def test_a_missing_function_is_lambdas_error(machines: Machines) -> None:
    arn = "arn:aws:lambda:eu-west-1:123456789012:function:nobody"
    execution = machines.start({"Run": {"Type": "Task", "Resource": arn, "End": True}})
    assert machines.ended(execution)["error"] == "Lambda.ResourceNotFoundException"


def test_a_nested_execution_starts_and_is_not_awaited(machines: Machines) -> None:
    inner = machines.create(LONG_WAIT)
    states = {
        "Start": {
            "Type": "Task",
            "Resource": "arn:aws:states:::states:startExecution",
            "Parameters": {"StateMachineArn": inner, "Input": {"id.$": "$.id"}},
            "End": True,
        }
    }
    found = machines.ended(machines.start(states, {"id": "d-7"}))
    child = json.loads(found["output"])["ExecutionArn"]
    described = machines.sfn.describe_execution(executionArn=child)
    assert (described["status"], described["input"]) == ("RUNNING", '{"id":"d-7"}')
    machines.sfn.stop_execution(executionArn=child)


def test_a_map_runs_each_item_and_keeps_errors_apart(machines: Machines) -> None:
    code = "def handler(e, c): return 100 // e"
    arn = machines.account.function("divide", code)
    item = {
        "Type": "Task",
        "Resource": arn,
        "Catch": [{"ErrorEquals": ["ZeroDivisionError"], "Next": "None"}],
        "End": True,
    }
    processor = {
        "ProcessorConfig": {"Mode": "INLINE"},
        "StartAt": "Divide",
        "States": {"Divide": item, "None": {"Type": "Pass", "Result": None, "End": True}},
    }
    states = {
        "Each": {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": processor, "End": True}
    }
    found = machines.ended(machines.start(states, {"items": [1, 0, 4]}))
    assert json.loads(found["output"]) == [100, None, 25]


def test_a_wait_until_a_virtual_instant_ends_then(machines: Machines) -> None:
    began = time.monotonic()
    instant = machines.cloud.clock.now() + timedelta(seconds=60)
    states = {"Wait": {"Type": "Wait", "TimestampPath": "$.at", "End": True}}
    execution = machines.start(states, {"at": instant.strftime("%Y-%m-%dT%H:%M:%SZ")})
    assert machines.ended(execution)["status"] == "SUCCEEDED"
    assert 0.8 < time.monotonic() - began < 10


def test_states_see_virtual_time_in_the_context(machines: Machines) -> None:
    states = {
        "Look": {
            "Type": "Pass",
            "Parameters": {"entered.$": "$$.State.EnteredTime", "name.$": "$$.Execution.Name"},
            "End": True,
        }
    }
    execution = machines.start(states)
    output = json.loads(machines.ended(execution)["output"])
    entered = datetime.fromisoformat(output["entered"])
    assert abs((machines.cloud.clock.now() - entered).total_seconds()) < 600
    assert execution.endswith(output["name"])


def test_a_nested_execution_can_be_awaited(machines: Machines) -> None:
    inner = machines.create({"Done": {"Type": "Pass", "Result": {"n": 1}, "End": True}})
    states = {
        "Start": {
            "Type": "Task",
            "Resource": "arn:aws:states:::states:startExecution.sync:2",
            "Parameters": {"StateMachineArn": inner, "Input": {}},
            "OutputPath": "$.Output",
            "End": True,
        }
    }
    assert json.loads(machines.ended(machines.start(states))["output"]) == {"n": 1}
