"""Each mend of moto's Step Functions interpreter."""

import json
import time
from typing import Any

import pytest

from greenlane.local import LocalCloud
from tests.unit.local.conftest import Account

ROLE = "arn:aws:iam::123456789012:role/local"
CALLBACK = "arn:aws:states:::lambda:invoke.waitForTaskToken"
KEEP_TOKEN = """
import boto3
def handler(event, context):
    boto3.client("ssm").put_parameter(
        Name=event["key"], Value=event["token"], Type="String", Overwrite=True)
"""
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


SLEEP = """
import boto3, time
def handler(event, context):
    ssm = boto3.client("ssm")
    ssm.put_parameter(Name="asleep", Value="x", Type="String")
    time.sleep(2)
    ssm.put_parameter(Name="awake", Value="x", Type="String")
"""


class Machines:
    """Starts machines and waits for them."""

    def __init__(self, account: Any) -> None:
        self.account = account
        self.cloud: LocalCloud = account.cloud
        self.sfn = account.client("stepfunctions")
        self.keep = account.function("keep-token", KEEP_TOKEN)
        self.count = 0

    def create(self, states: dict[str, Any], **more: Any) -> str:
        self.count += 1
        definition = {"StartAt": next(iter(states)), "States": states, **more}
        return str(
            self.sfn.create_state_machine(
                name=f"machine-{self.count}", roleArn=ROLE, definition=json.dumps(definition)
            )["stateMachineArn"]
        )

    def start(self, states: dict[str, Any], given: Any = None, **more: Any) -> str:
        machine = self.create(states, **more)
        return str(
            self.sfn.start_execution(stateMachineArn=machine, input=json.dumps(given or {}))[
                "executionArn"
            ]
        )

    def ended(self, execution: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = self.sfn.describe_execution(executionArn=execution)
            return None if found["status"] == "RUNNING" else found

        found: dict[str, Any] = self.account.wait_until(look)
        return found

    def callback(self, key: str, **more: Any) -> dict[str, Any]:
        """A callback task that leaves its token in the parameter `key`."""
        parameters = {
            "FunctionName": self.keep,
            "Payload": {"key": key, "token.$": "$$.Task.Token"},
        }
        return {
            "Type": "Task",
            "Resource": CALLBACK,
            "Parameters": parameters,
            "End": True,
            **more,
        }

    def parameter(self, name: str) -> str:
        """The value of an SSM parameter, or nothing."""
        found = self.account.client("ssm").get_parameters(Names=[name])["Parameters"]
        return str(found[0]["Value"]) if found else ""

    def token(self, key: str, after: str = "") -> str:
        def look() -> str | None:
            value = self.parameter(key)
            return value if value != after else None

        return str(self.account.wait_until(look))


@pytest.fixture(scope="module")
def machines(account: Account) -> Any:
    account.client("dynamodb").create_table(
        TableName="attempts",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return Machines(account)


LONG_WAIT = {"Wait": {"Type": "Wait", "Seconds": 36000, "End": True}}


def stopped(machines: Machines, execution: Any, seconds: float = 5) -> Any:
    began = time.monotonic()
    machines.sfn.stop_execution(executionArn=execution, error="Aborted", cause="by a person")
    found = machines.sfn.describe_execution(executionArn=execution)
    assert time.monotonic() - began < seconds
    return found


def test_stop_ends_a_wait_at_once(machines: Machines) -> None:
    execution = machines.start(LONG_WAIT)
    found = stopped(machines, execution)
    assert (found["status"], found["error"], found["cause"]) == (
        "ABORTED",
        "Aborted",
        "by a person",
    )
    history = machines.sfn.get_execution_history(executionArn=execution)["events"]
    assert history[-1]["type"] == "ExecutionAborted"


def test_stop_ends_a_callback_at_once_and_its_token_is_dead(machines: Machines) -> None:
    states = {
        "Bake": machines.callback(
            "stop", Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
        ),
        "Caught": {"Type": "Pass", "End": True},
    }
    execution = machines.start(states)
    token = machines.token("stop")
    assert stopped(machines, execution)["status"] == "ABORTED"
    with pytest.raises(machines.sfn.exceptions.TaskTimedOut):
        machines.sfn.send_task_success(taskToken=token, output="{}")


def test_stop_ends_the_sleep_between_retries_at_once(machines: Machines) -> None:
    arn = machines.account.function("always", "def handler(e, c): raise ValueError('no')")
    retry = [{"ErrorEquals": ["ValueError"], "IntervalSeconds": 36000, "MaxAttempts": 5}]
    states = {"Try": {"Type": "Task", "Resource": arn, "Retry": retry, "End": True}}
    execution = machines.start(states)
    machines.account.wait_until(lambda: machines.cloud.transitions(execution) == 1)
    machines.account.wait_until(
        lambda: (
            machines.sfn.get_execution_history(executionArn=execution)["events"][-1]["type"]
            == "LambdaFunctionFailed"
        )
    )
    assert stopped(machines, execution)["status"] == "ABORTED"


def test_stop_does_not_wait_for_a_function_in_flight(machines: Machines) -> None:
    arn = machines.account.function("sleeper", SLEEP, timeout=10)
    execution = machines.start({"Run": {"Type": "Task", "Resource": arn, "End": True}})
    machines.account.wait_until(lambda: machines.parameter("asleep"))
    assert stopped(machines, execution)["status"] == "ABORTED"
    assert not machines.parameter("awake")
    machines.account.wait_until(lambda: machines.parameter("awake"))
    time.sleep(0.2)
    history = machines.sfn.get_execution_history(executionArn=execution)["events"]
    assert history[-1]["type"] == "ExecutionAborted"


def test_stop_right_after_start_is_not_lost(machines: Machines) -> None:
    machine = machines.create(LONG_WAIT)
    for _ in range(5):
        execution = machines.sfn.start_execution(stateMachineArn=machine)["executionArn"]
        assert stopped(machines, execution)["status"] == "ABORTED"


def test_stopping_an_ended_execution_changes_nothing(machines: Machines) -> None:
    execution = machines.start({"Done": {"Type": "Pass", "End": True}})
    assert machines.ended(execution)["status"] == "SUCCEEDED"
    assert stopped(machines, execution)["status"] == "SUCCEEDED"


def test_a_failure_keeps_error_and_cause_through_a_catch(machines: Machines) -> None:
    states = {
        "Bake": machines.callback(
            "cause",
            Catch=[{"ErrorEquals": ["StepFailed"], "ResultPath": "$.failure", "Next": "Caught"}],
        ),
        "Caught": {"Type": "Pass", "End": True},
    }
    execution = machines.start(states, {"id": 1})
    machines.sfn.send_task_failure(
        taskToken=machines.token("cause"), error="StepFailed", cause="8 % of requests failed"
    )
    output = json.loads(machines.ended(execution)["output"])
    assert output == {
        "id": 1,
        "failure": {"Error": "StepFailed", "Cause": "8 % of requests failed"},
    }


def test_a_success_goes_on_and_a_second_answer_is_refused(machines: Machines) -> None:
    execution = machines.start({"Bake": machines.callback("twice")})
    token = machines.token("twice")
    machines.sfn.send_task_success(taskToken=token, output='{"go": "on"}')
    for _ in range(2):
        with pytest.raises(machines.sfn.exceptions.TaskTimedOut):
            machines.sfn.send_task_success(taskToken=token, output="{}")
        machines.ended(execution)
    assert json.loads(machines.ended(execution)["output"]) == {"go": "on"}


def test_an_unknown_token_does_not_exist(machines: Machines) -> None:
    for send in (machines.sfn.send_task_failure, machines.sfn.send_task_success):
        more = {"output": "{}"} if send == machines.sfn.send_task_success else {}
        with pytest.raises(machines.sfn.exceptions.TaskDoesNotExist):
            send(taskToken="nobody-gave-this-out", **more)


def test_a_callback_times_out_in_virtual_time_and_its_token_dies(machines: Machines) -> None:
    states = {
        "Bake": machines.callback(
            "timeout",
            TimeoutSecondsPath="$.seconds",
            Catch=[{"ErrorEquals": ["States.Timeout"], "Next": "Over"}],
        ),
        "Over": {"Type": "Pass", "Result": "over", "End": True},
    }
    began = time.monotonic()
    execution = machines.start(states, {"seconds": 60})
    token = machines.token("timeout")
    assert machines.ended(execution)["output"] == '"over"'
    assert 0.9 < time.monotonic() - began < 10
    with pytest.raises(machines.sfn.exceptions.TaskTimedOut):
        machines.sfn.send_task_success(taskToken=token, output="{}")


def test_each_attempt_of_a_callback_has_a_token_of_its_own(machines: Machines) -> None:
    retry = [{"ErrorEquals": ["Again"], "IntervalSeconds": 1, "MaxAttempts": 2}]
    execution = machines.start({"Bake": machines.callback("again", Retry=retry)})
    first = machines.token("again")
    machines.sfn.send_task_failure(taskToken=first, error="Again")
    second = machines.token("again", after=first)
    with pytest.raises(machines.sfn.exceptions.TaskTimedOut):
        machines.sfn.send_task_success(taskToken=first, output="{}")
    machines.sfn.send_task_success(taskToken=second, output='"done"')
    assert machines.ended(execution)["output"] == '"done"'


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


def test_an_execution_without_a_name_gets_one(machines: Machines) -> None:
    machine = machines.create({"Done": {"Type": "Pass", "End": True}})
    arns = {machines.sfn.start_execution(stateMachineArn=machine)["executionArn"] for _ in range(3)}
    assert len(arns) == 3
    assert not any(arn.endswith(":None") for arn in arns)


def test_a_name_starts_once(machines: Machines) -> None:
    machine = machines.create(LONG_WAIT)
    start = {"stateMachineArn": machine, "name": "d-1", "input": "{}"}
    execution = machines.sfn.start_execution(**start)["executionArn"]
    assert machines.sfn.start_execution(**start)["executionArn"] == execution
    machines.sfn.stop_execution(executionArn=execution)
    with pytest.raises(machines.sfn.exceptions.ExecutionAlreadyExists):
        machines.sfn.start_execution(**start)


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


def test_an_execution_keeps_the_definition_it_began_with(machines: Machines) -> None:
    states = {
        "Bake": machines.callback("kept", End=False, Next="Old"),
        "Old": {"Type": "Pass", "Result": "old", "End": True},
    }
    del states["Bake"]["End"]
    machine = machines.create(states)
    execution = machines.sfn.start_execution(stateMachineArn=machine)["executionArn"]
    token = machines.token("kept")
    new = {"StartAt": "New", "States": {"New": {"Type": "Pass", "Result": "new", "End": True}}}
    machines.sfn.update_state_machine(stateMachineArn=machine, definition=json.dumps(new))
    machines.sfn.send_task_success(taskToken=token, output="{}")
    assert machines.ended(execution)["output"] == '"old"'
    again = machines.sfn.start_execution(stateMachineArn=machine)["executionArn"]
    assert machines.ended(again)["output"] == '"new"'
