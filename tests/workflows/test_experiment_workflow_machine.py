"""experiment.asl.json, run as it is: what goes where, how often, and at what price."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.kernel import Kernel
from tests.faults.machine import Execution, Failed, Run
from tests.faults.machine import load as simulated
from tests.workflows.machines import ROLE, Raised, definition

ASK = {"schema_version": 1, "test": "checkout", "run": 1}
NAME = "greenlane-experiment"
LOOK = ["Judge", "IsJudged", "Interval"]
END = ["Judge", "IsJudged", "Conclude", "Over"]


@pytest.fixture
def experiment(machines):
    """The machine; `run` starts it and waits for its end."""
    known = {one["name"] for one in machines.sfn.list_state_machines()["stateMachines"]}
    if NAME not in known:
        text = definition("experiment", "greenlane-noted")
        machines.sfn.create_state_machine(name=NAME, roleArn=ROLE, definition=text)
    (arn,) = [
        one["stateMachineArn"]
        for one in machines.sfn.list_state_machines()["stateMachines"]
        if one["name"] == NAME
    ]

    def run():
        answer = machines.sfn.start_execution(stateMachineArn=arn, input=json.dumps(ASK))
        return machines.ended(answer["executionArn"])

    machines.experiment = run
    return machines


def looking(looks: int, failures: dict[str, list[str]] | None = None) -> Callable[[str, Any], Any]:
    """Functions of a test that ends with so many looks, for both interpreters."""
    left = {"looks": looks}
    planned = {name: list(errors) for name, errors in (failures or {}).items()}

    def call(module: str, event: Any) -> Any:
        if planned.get(module):
            raise Failed(planned[module].pop(0), "by the test")
        if module == "conclude_experiment":
            return event | {"next": "over"}
        left["looks"] = max(0, left["looks"] - 1)
        return event | {"next": "wait" if left["looks"] else "conclude", "wait_seconds": 3600}

    return call


def stubs(call):
    def answer(module):
        def invoke(event):
            try:
                return call(module, event)
            except Failed as failure:
                raise Raised(failure.error, failure.cause) from None

        return invoke

    return {module: answer(module) for module in ("judge_experiment", "conclude_experiment")}


def test_a_test_is_looked_at_again_and_again_and_then_concluded(experiment):
    experiment.functions.answers = stubs(looking(3))
    ran = experiment.experiment()
    assert (ran.status, ran.states) == ("SUCCEEDED", [*LOOK * 2, *END])
    assert experiment.functions.given("judge_experiment")[0] == ASK


def test_somebody_who_ended_it_ends_the_execution_at_its_next_step(experiment):
    experiment.functions.answers = {"judge_experiment": lambda event: event | {"next": "over"}}
    ran = experiment.experiment()
    assert (ran.status, ran.states) == ("SUCCEEDED", ["Judge", "IsJudged", "Over"])


def test_ninety_days_of_daily_looks_cost_three_transitions_a_day_and_few_events(experiment):
    short = looking(12)

    def call(module, event):
        answer = short(module, event)
        return answer | {"wait_seconds": 600}

    experiment.functions.answers = stubs(call)
    ran = experiment.experiment()
    assert ran.transitions == 11 * len(LOOK) + len(END)
    each = len(ran.events) / 12
    assert 90 * each < 1000  # of 25,000


@pytest.mark.parametrize(
    "failures",
    [
        {},
        {"judge_experiment": ["ReadTimeoutError"] * 3},
        {"judge_experiment": ["Sandbox.Timedout"] * 9},
        {"conclude_experiment": ["NotReconciled"] * 2},
        {"conclude_experiment": ["ThrottlingException"] * 8},
        {"judge_experiment": ["UnknownTest"]},
        {"conclude_experiment": ["InvalidInput"]},
    ],
)
def test_both_interpreters_enter_the_same_states_of_a_test(experiment, failures):
    def short(call):
        return lambda module, event: call(module, event) | {"wait_seconds": 600}

    experiment.functions.answers = stubs(short(looking(2, failures)))
    ran = experiment.experiment()

    kernel, call = Kernel(), short(looking(2, failures))

    def invoke(module, event):
        run = Run()
        try:
            run.end(kernel, answer=call(module, event))
        except Failed as failure:
            run.end(kernel, failure=failure)
        return run

    execution = Execution(
        kernel, "arn:x", simulated("experiment"), ASK, calls=invoke, start=lambda *_: ""
    )
    execution.begin()
    kernel.run(1e7, lambda: execution.ended.is_set)
    kernel.close()
    assert (execution.status, execution.entered) == (ran.status, ran.states)
    wrong = {"UnknownTest", "InvalidInput"} & {name for one in failures.values() for name in one}
    assert ran.status == ("FAILED" if wrong else "SUCCEEDED")
