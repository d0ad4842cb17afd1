"""flag_rollout.asl.json, run as it is: what goes where, how often, and at what price."""

import json

import pytest

from tests.faults.kernel import Kernel
from tests.faults.machine import Execution, Failed, Run
from tests.faults.machine import load as simulated
from tests.workflows.machines import ROLE, Raised, definition

ASK = {"flag": "checkout", "environment": "production", "ramp_id": "r"}
STEP = ["Judge", "IsJudged", "Raise", "IsRaised", "Interval"]


@pytest.fixture
def rollout(machines):
    """The machine; `run` starts it and waits for its end."""
    name = "greenlane-flag-rollout"
    known = {one["name"] for one in machines.sfn.list_state_machines()["stateMachines"]}
    if name not in known:
        text = definition("flag_rollout", "greenlane-noted")
        machines.sfn.create_state_machine(name=name, roleArn=ROLE, definition=text)
    (arn,) = [
        one["stateMachineArn"]
        for one in machines.sfn.list_state_machines()["stateMachines"]
        if one["name"] == name
    ]

    def run():
        answer = machines.sfn.start_execution(stateMachineArn=arn, input=json.dumps(ASK))
        return machines.ended(answer["executionArn"])

    machines.rollout = run
    return machines


def climbing(steps, failures=None):
    """Functions of a ramp of so many steps, for both interpreters."""
    left = {"steps": steps}
    planned = {name: list(errors) for name, errors in (failures or {}).items()}

    def call(module, event):
        if planned.get(module):
            raise Failed(planned[module].pop(0), "by the test")
        if module == "raise_flag":
            left["steps"] -= 1
            return event | {"next": "wait", "wait_seconds": 300}
        return event | {"next": "raise" if left["steps"] else "over", "level": "5"}

    return call


def stubs(call):
    def answer(module):
        def invoke(event):
            try:
                return call(module, event)
            except Failed as failure:
                raise Raised(failure.error, failure.cause) from None

        return invoke

    return {module: answer(module) for module in ("judge_flag", "raise_flag")}


def test_a_ramp_goes_up_step_by_step_and_is_over(rollout):
    rollout.functions.answers = stubs(climbing(3))
    ran = rollout.rollout()
    assert (ran.status, ran.states) == ("SUCCEEDED", [*STEP * 3, "Judge", "IsJudged", "Over"])
    assert rollout.functions.given("judge_flag")[0] == ASK
    assert rollout.functions.given("raise_flag")[0] == ASK | {"next": "raise", "level": "5"}


def test_twenty_steps_cost_about_a_hundred_transitions(rollout):
    rollout.functions.answers = stubs(climbing(20))
    ran = rollout.rollout()
    assert ran.transitions == 20 * len(STEP) + 3
    assert len(ran.events) < 420


@pytest.mark.parametrize(
    "failures",
    [
        {},
        {"judge_flag": ["ReadTimeoutError"] * 3},
        {"judge_flag": ["Sandbox.Timedout"] * 9},
        {"raise_flag": ["FlagConflict"] * 2},
        {"raise_flag": ["ThrottlingException"] * 8},
        {"judge_flag": ["InvalidInput"]},
        {"raise_flag": ["InvalidInput"]},
    ],
)
def test_both_interpreters_enter_the_same_states(rollout, failures):
    rollout.functions.answers = stubs(climbing(2, failures))
    ran = rollout.rollout()

    kernel, call = Kernel(), climbing(2, failures)

    def invoke(module, event):
        run = Run()
        try:
            run.end(kernel, answer=call(module, event))
        except Failed as failure:
            run.end(kernel, failure=failure)
        return run

    execution = Execution(
        kernel, "arn:x", simulated("flag_rollout"), ASK, calls=invoke, start=lambda *_: ""
    )
    execution.begin()
    kernel.run(1e7, lambda: execution.ended.is_set)
    kernel.close()
    assert (execution.status, execution.entered) == (ran.status, ran.states)
    assert ran.status == ("FAILED" if ["InvalidInput"] in failures.values() else "SUCCEEDED")


def test_a_function_that_never_answers_is_asked_again_for_as_long_as_it_takes(rollout):
    rollout.functions.answers = stubs(climbing(1, {"judge_flag": ["KeyError"] * 20}))
    ran = rollout.rollout()
    assert ran.status == "SUCCEEDED"
    assert ran.states.count("Later") == 2
