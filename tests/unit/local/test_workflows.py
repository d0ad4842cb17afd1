"""Mends of the Step Functions API: stopping, answering, starting."""

import json
import threading
import time
from typing import Any

import pytest
from moto.stepfunctions.parser.asl.component.state.state import CommonStateField
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

from tests.unit.local.conftest import Account
from tests.unit.local.machines import LONG_WAIT, Machines

SLEEP = """
import boto3, time
def handler(event, context):
    ssm = boto3.client("ssm")
    ssm.put_parameter(Name="asleep", Value="x", Type="String")
    time.sleep(2)
    ssm.put_parameter(Name="awake", Value="x", Type="String")
"""


@pytest.fixture(scope="module")
def machines(account: Account) -> Machines:
    return Machines(account)


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


def test_an_execution_stopped_before_its_first_state_says_so_in_its_history(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = ExecutionWorker._execution_logic

    def begin_when_stopped(worker: Any) -> None:
        while worker.env.is_running():
            time.sleep(0.01)
        begin(worker)

    monkeypatch.setattr(ExecutionWorker, "_execution_logic", begin_when_stopped)
    execution = machines.start(LONG_WAIT)
    assert stopped(machines, execution)["status"] == "ABORTED"
    history = machines.sfn.get_execution_history(executionArn=execution)["events"]
    assert [event["type"] for event in history] == ["ExecutionStarted", "ExecutionAborted"]


def test_a_stop_between_two_states_aborts_and_does_not_fail(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived = threading.Event()

    def move_on_when_stopped(state: Any, env: Any) -> None:
        # What moto does, with the stop after it looked whether the execution still runs.
        arrived.set()
        while env.is_running():
            time.sleep(0.01)
        env.next_state_name = state.continue_with.next_state.name

    monkeypatch.setattr(CommonStateField, "_set_next", move_on_when_stopped)
    execution = machines.start({"First": {"Type": "Pass", "Next": "Wait"}, **LONG_WAIT})
    assert arrived.wait(60)
    assert stopped(machines, execution)["status"] == "ABORTED"
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


def test_stop_ends_every_branch_of_a_parallel_state(machines: Machines) -> None:
    branch = {"StartAt": "Wait", "States": LONG_WAIT}
    bake = {"StartAt": "Bake", "States": {"Bake": machines.callback("branch")}}
    states = {"Both": {"Type": "Parallel", "Branches": [branch, bake], "End": True}}
    execution = machines.start(states)
    token = machines.token("branch")
    assert stopped(machines, execution)["status"] == "ABORTED"
    with pytest.raises(machines.sfn.exceptions.TaskTimedOut):
        machines.sfn.send_task_success(taskToken=token, output="{}")
