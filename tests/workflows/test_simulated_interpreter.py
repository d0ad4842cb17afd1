"""The simulation's interpreter and the local cloud's enter the same states."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.kernel import Kernel
from tests.faults.machine import Execution, Failed, Run, load
from tests.workflows.machines import Machines, Raised

ASK = {
    "deployment": {"deployment_id": "d", "service": "claude-manager"},
    "request": {"service": "claude-manager", "version": "1"},
}
ALARM = {"service": "claude-manager", "trigger": {"kind": "alarm", "name": "error-rate"}}
STATE = {"service": "claude-manager", "deployment_id": "d", "recipe": None, "bake_seconds": 60}
NEXT = {"judge_step": ["shift", "bake", "promote", "finish"]}


class Stubs:
    """Functions that answer, or fail so often, the same for both interpreters."""

    def __init__(self, failures: dict[str, list[str]]) -> None:
        self.failures = {name: list(errors) for name, errors in failures.items()}
        self.judged: Iterator[str] = iter(NEXT["judge_step"])

    def __call__(self, module: str, event: Any) -> Any:
        errors = self.failures.get(module)
        if errors:
            raise Failed(errors.pop(0), "by the test")
        if module == "start_bake":
            return None
        if module == "judge_step":
            return STATE | {"next": next(self.judged)}
        if module == "take_traffic_back":
            return {"service": "claude-manager", "action": "settle"}
        return event.get("rollback") if module == "close_rollback" else STATE | {"next": "shift"}


def simulated(machine: str, given: Any, failures: dict[str, list[str]]) -> tuple[str, list[str]]:
    kernel, stubs = Kernel(), Stubs(failures)

    def call(module: str, event: Any) -> Run:
        run = Run()
        try:
            run.end(kernel, answer=stubs(module, event))
        except Failed as failure:
            run.end(kernel, failure=failure)
        return run

    execution = Execution(
        kernel, "arn:x", load(machine), given, calls=call, start=lambda *_: "arn:started"
    )
    execution.begin()
    kernel.run(1e7, lambda: execution.ended.is_set)
    kernel.close()
    return execution.status, execution.entered


@pytest.mark.parametrize(
    ("machine", "failures"),
    [
        ("deployment", {}),
        ("deployment", {"plan_deployment": ["Refused"]}),
        ("deployment", {"plan_deployment": ["ClientError"] * 9}),
        ("deployment", {"check_stability": ["NotStable"] * 7}),
        ("deployment", {"shift_traffic": ["ClientError", "CapacityShort", "FenceLost"]}),
        ("deployment", {"start_bake": ["Sandbox.Timedout"] * 2}),
        ("deployment", {"judge_step": ["JudgedBad"]}),
        ("deployment", {"drain_slot": ["NotDrained"] * 3}),
        ("rollback", {}),
        ("rollback", {"take_traffic_back": ["ClientError"] * 12}),
        ("rollback", {"take_traffic_back": ["Held"]}),
        ("rollback", {"hold_traffic": ["NotSettled"] * 9 + ["FenceLost"]}),
        ("rollback", {"hold_traffic": ["ClientError"] * 9}),
        ("rollback", {"empty_slot": ["ClientError"] * 9}),
    ],
)
def test_both_interpreters_enter_the_same_states(
    machines: Machines, machine: str, failures: dict[str, list[str]]
) -> None:
    stubs = Stubs(failures)

    def answer(module: str) -> Any:
        def call(event: Any) -> Any:
            try:
                return stubs(module, event)
            except Failed as failure:
                raise Raised(failure.error, failure.cause) from None

        return call

    for module in MODULES:
        machines.functions.answers[module] = answer(module)
    given = ASK if machine == "deployment" else ALARM
    ran = machines.run(machine, given)
    assert simulated(machine, given, failures) == (ran.status, ran.states)


MODULES = (
    *("plan_deployment", "prepare_slot", "check_stability", "run_pre_traffic", "validate_slot"),
    *("shift_traffic", "start_bake", "judge_step", "promote", "drain_slot", "finish_deployment"),
    *("take_traffic_back", "stop_forward", "hold_traffic", "empty_slot", "close_rollback"),
    "report_incident",
)
