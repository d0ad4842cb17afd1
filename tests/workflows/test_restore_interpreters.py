"""restore.asl.json as it is, on the local cloud's Step Functions and on the simulated ones."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.kernel import Kernel
from tests.faults.machine import Execution, Failed, Run
from tests.faults.machine import load as simulated
from tests.workflows.machines import ROLE, Raised, definition

NAME = "greenlane-restore"
GIVEN = {"request": {"restore": "fix-1"}}
SOON = {"approval_seconds": 7200, "writers_seconds": 7200}
BEGIN = ["Take", "Restore", "Verify", "Route"]
END = ["Finish", "Tell", "HowEnded"]
ASKED = ["Approve", "Heed", "Route"]
CUT = [*BEGIN, *ASKED, "Writers", "Heed", "Route", "PrepareCutover", "CutOver", *END]

Call = Callable[[str, Any], Any]


def functions(
    answers: dict[str, str], failures: dict[str, list[str]], mode: str = "cutover"
) -> Call:
    """Functions that answer as they are told, for both interpreters.

    Args:
        answers: to each question what follows from it: a stage, or an outcome.
        failures: by function, the errors that its next calls end with.
        mode: what is asked for.
    """
    planned = {name: list(errors) for name, errors in failures.items()}

    def call(module: str, event: Any) -> Any:
        if planned.get(module):
            raise Raised(planned[module].pop(0))
        match module:
            case "take_restore":
                return {"stage": "restore", "outcome": None} | SOON
            case "verify_restore" if mode == "salvage":
                return event | {"stage": "finish", "outcome": "salvage"}
            case "verify_restore":
                return event | {"stage": "approve"}
            case "heed_restore":
                next_ = answers[event["stage"]]
                ended = {"stage": "finish", "outcome": next_, "failure": FAILURE}
                return event | ({"stage": next_} if next_ in ("writers", "cut_over") else ended)
            case "cut_over_restore":
                return event | {"outcome": "cut_over"}
            case "finish_restore" if event.get("outcome") is None:
                return event | {"outcome": "failed"}
        return event

    return call


FAILURE = {"Error": "ApprovalMissing", "Cause": "nobody answered"}
YES = {"approve": "writers", "writers": "cut_over"}
WAYS: list[tuple[str, dict[str, Any], list[str], str, str | None]] = [
    ("cutover", {"answers": YES}, [*CUT, "Done"], "SUCCEEDED", None),
    (
        "salvage",
        {"answers": {}, "mode": "salvage"},
        [*BEGIN, *END, "Done"],
        "SUCCEEDED",
        None,
    ),
    (
        "refused",
        {"answers": {"approve": "refused"}},
        [*BEGIN, *ASKED, *END, "Failed"],
        "FAILED",
        "ApprovalMissing",
    ),
    (
        "nobody answers",
        {"answers": {"approve": "expired"}, "silent": True},
        [*BEGIN, *ASKED, *END, "Failed"],
        "FAILED",
        "ApprovalMissing",
    ),
    (
        "taken already",
        {"answers": {}, "failures": {"take_restore": ["MigrationInFlight"]}},
        ["Take", "Refused"],
        "FAILED",
        "MigrationInFlight",
    ),
    (
        "rds takes its time",
        {"answers": YES, "failures": {"restore_database": ["NotFinished"] * 12}},
        [*CUT, "Done"],
        "SUCCEEDED",
        None,
    ),
    (
        "not told",
        {"answers": YES, "failures": {"ask_about_restore": ["NotTold"] * 7}},
        [*BEGIN, "Approve", *END, "Failed"],
        "FAILED",
        "NotTold",
    ),
    (
        "ended by a person",
        {"answers": YES, "failures": {"prepare_cutover": ["Aborted"]}},
        [*CUT[: CUT.index("CutOver")], *END, "Failed"],
        "FAILED",
        "Aborted",
    ),
    (
        "lost lease",
        {"answers": YES, "failures": {"cut_over_restore": ["FenceLost"]}},
        [*CUT[: CUT.index("Finish")], "Superseded"],
        "FAILED",
        "FenceLost",
    ),
    (
        "no table",
        {"answers": YES, "failures": {"finish_restore": ["ClientError"] * 20}},
        [*CUT[: CUT.index("Tell")], "Unreleased"],
        "FAILED",
        "ClientError",
    ),
]


@pytest.fixture
def start(machines: Any) -> Callable[[], Any]:
    """Starts the machine on the local cloud and waits for its end."""
    known = {
        one["name"]: one["stateMachineArn"]
        for one in machines.sfn.list_state_machines()["stateMachines"]
    }
    if NAME not in known:
        text = definition("restore", "greenlane-noted")
        made = machines.sfn.create_state_machine(name=NAME, roleArn=ROLE, definition=text)
        known[NAME] = made["stateMachineArn"]

    def run() -> Any:
        answer = machines.sfn.start_execution(stateMachineArn=known[NAME], input=json.dumps(GIVEN))
        return machines.ended(answer["executionArn"])

    return run


MODULES = (
    *("take_restore", "restore_database", "verify_restore", "ask_about_restore", "heed_restore"),
    *("prepare_cutover", "cut_over_restore", "finish_restore", "tell_restore"),
)


@pytest.mark.parametrize(("name", "how", "states", "status", "error"), WAYS, ids=lambda it: it)
def test_both_interpreters_go_the_same_way(
    machines: Any,
    start: Callable[[], Any],
    name: str,
    how: dict[str, Any],
    states: list[str],
    status: str,
    error: str | None,
) -> None:
    del name
    silent = how.get("silent", False)
    call = functions(how["answers"], how.get("failures", {}), how.get("mode", "cutover"))

    def asked(event: Any) -> None:
        call("ask_about_restore", event)
        if not silent:
            machines.sfn.send_task_success(taskToken=event["token"], output="{}")

    for module in MODULES:
        machines.functions.answers[module] = lambda event, module=module: call(module, event)
    machines.functions.answers["ask_about_restore"] = asked
    real = start()
    kernel = Kernel()
    again = functions(how["answers"], how.get("failures", {}), how.get("mode", "cutover"))
    other = simulate(kernel, again, silent)
    kernel.close()

    assert (real.states, real.status, real.error) == (states, status, error)
    assert (other.entered, other.status, other.error or None) == (states, status, error)


def simulate(kernel: Kernel, call: Call, silent: bool) -> Execution:
    """The same by the interpreter of the fault tests."""
    execution: Execution

    def calls(module: str, event: Any) -> Run:
        run = Run()

        def body() -> None:
            try:
                answer = call(module, event)
            except Raised as raised:
                run.end(kernel, failure=Failed(raised.name, raised.message))
                return
            if module == "ask_about_restore" and not silent:
                execution.answer(event["token"], None)
            run.end(kernel, answer=answer)

        kernel.spawn(module, body)
        return run

    execution = Execution(
        kernel, "arn:restore", simulated("restore"), GIVEN, calls=calls, start=lambda *_: ""
    )
    execution.begin()
    kernel.run(14 * 86400, lambda: execution.status != "RUNNING")
    return execution
