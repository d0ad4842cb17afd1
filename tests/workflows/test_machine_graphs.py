"""What can be said about the state machines without running them."""

import builtins
import re

import botocore.exceptions
import pytest

from greenlane import errors
from tests.workflows.machines import load

MACHINES = ["deployment", "rollback", "flag_rollout", "migration", "restore", "global_deployment"]
MACHINES += ["request"]
LAMBDA = {
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.ResourceNotReadyException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
}
STATES = {"States.ALL", "States.Timeout"}
LAST_RESORTS = {
    "deployment": {"Drain", "Finish"},
    "rollback": set(),
    "flag_rollout": set(),
    "migration": set(),
    "restore": set(),
    "global_deployment": set(),
    "request": set(),
}
"""Tasks whose unexpected errors end the execution: events and the reconciler take over."""


@pytest.fixture(params=MACHINES)
def machine(request):
    return request.param, load(request.param)


def onward(state):
    found = [state[key] for key in ("Next", "Default") if key in state]
    found += [choice["Next"] for choice in state.get("Choices", [])]
    return found + [catch["Next"] for catch in state.get("Catch", [])]


def tasks(definition):
    return {n: s for n, s in definition["States"].items() if s["Type"] == "Task"}


def test_every_state_exists_and_is_reachable(machine):
    _, definition = machine
    seen, ahead = set(), [definition["StartAt"]]
    while ahead:
        name = ahead.pop()
        assert name in definition["States"], f"{name} does not exist"
        if name not in seen:
            seen.add(name)
            ahead += onward(definition["States"][name])
    assert seen == set(definition["States"])


def test_every_state_goes_on_or_ends(machine):
    _, definition = machine
    for name, state in definition["States"].items():
        if state["Type"] in ("Succeed", "Fail"):
            assert not onward(state), name
        elif state["Type"] == "Choice":
            assert "Default" in state, f"{name} must not fail for lack of a match"
        else:
            assert ("Next" in state) != bool(state.get("End")), name


def test_every_task_is_retried_and_its_errors_are_caught(machine):
    which, definition = machine
    for name, state in tasks(definition).items():
        assert state["Retry"], name
        caught = {error for catch in state["Catch"] for error in catch["ErrorEquals"]}
        if name in LAST_RESORTS[which]:
            assert caught == {"FenceLost"}, name
        else:
            assert "States.ALL" in caught, name


def test_unknown_trouble_is_retried_everywhere(machine):
    """The names of AWS's errors are many: none may be the one that nobody thought of."""
    _, definition = machine
    for name, state in tasks(definition).items():
        last = state["Retry"][-1]
        assert last["ErrorEquals"] == ["States.ALL"], name
        # Telling people while trying must not keep the traffic waiting.
        assert last["MaxAttempts"] >= (1 if name == "PageWhileTrying" else 4), name


def test_every_error_that_is_named_exists(machine):
    _, definition = machine
    for name, state in tasks(definition).items():
        for rule in (*state["Retry"], *state["Catch"]):
            for error in rule["ErrorEquals"]:
                known = (
                    error in LAMBDA
                    or error in STATES
                    or hasattr(errors, error)
                    or hasattr(botocore.exceptions, error)
                )
                assert known, f"{name}: {error}"
                assert not hasattr(builtins, error), f"{name}: {error}"


def test_a_lost_fence_is_never_retried(machine):
    _, definition = machine
    for name, state in tasks(definition).items():
        catches = [error for catch in state["Catch"] for error in catch["ErrorEquals"]]
        if "FenceLost" in catches and name != "Validate":  # it reads no fence
            assert never_retried(state, "FenceLost"), name


def never_retried(state, error):
    for rule in state["Retry"]:
        if error in rule["ErrorEquals"] or "States.ALL" in rule["ErrorEquals"]:
            return rule["MaxAttempts"] == 0
    return True


ONCE = {
    "Expand": ["Aborted", "DeadlineExceeded", "MigrationFailed"],
    "Prepare": ["Aborted", "DeadlineExceeded"],
    "AwaitStability": ["Aborted", "DeadlineExceeded", "UnstableCandidate"],
    "BeforeTraffic": ["Aborted", "DeadlineExceeded", "ValidationFailed"],
    "Validate": ["ValidationFailed"],
    "Shift": ["Aborted", "DeadlineExceeded", "WeightsDrifted", "ValidationFailed"],
    "Bake": ["States.Timeout", "JudgedBad", "WeightsDrifted", "CapacityShort", "Aborted"],
    "Judge": [
        *("Aborted", "DeadlineExceeded", "JudgedBad", "NoEvidence", "ApprovalMissing"),
        "WeightsDrifted",
    ],
    "Promote": ["WeightsDrifted"],
}


@pytest.mark.parametrize("name", sorted(ONCE))
def test_what_was_decided_is_not_asked_again(name):
    state = load("deployment")["States"][name]
    for error in ONCE[name]:
        assert never_retried(state, error), error


def test_states_all_comes_last(machine):
    _, definition = machine
    for name, state in tasks(definition).items():
        for rules in (state["Retry"], state["Catch"]):
            for rule in rules[:-1]:
                assert "States.ALL" not in rule["ErrorEquals"], name


def test_functions_come_by_substitution_and_each_is_a_module(machine):
    _, definition = machine
    for name, state in tasks(definition).items():
        where = state["Parameters"]["FunctionName"] if "invoke" in state["Resource"] else None
        arn = where or state["Resource"]
        if arn.startswith("arn:aws:states:::states:startExecution"):
            assert state["Parameters"]["StateMachineArn"] == "${RollbackMachineArn}"
            continue
        match = re.fullmatch(r"\$\{(\w+)Arn\}", arn)
        assert match, f"{name}: {arn}"
        module = re.sub(r"(?<!^)([A-Z])", r"_\1", match[1]).lower()
        __import__(f"functions.{module}")


WAITS = {
    "flag_rollout": {"Interval", "Later"},
    "migration": {"Wait", "Later"},
    "global_deployment": {"Later"},
}
"""A ramp is made of its intervals, a migration waits for locks, replicas and people, and nobody has
a token to answer in between."""


def test_no_state_waits_by_polling(machine):
    which, definition = machine
    waiting = {n for n, s in definition["States"].items() if s["Type"] in ("Wait", "Map")}
    assert waiting == WAITS.get(which, set())
