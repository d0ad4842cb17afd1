"""Runs the real `.asl.json` files in virtual time: the part of the language that they use.

Anything else in a file is an error here. `tests/workflows/test_simulated_interpreter.py` runs the
same executions on the local cloud's Step Functions and compares the states that were entered.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.kernel import Kernel, Signal

Document = dict[str, Any]
INVOKE = "arn:aws:states:::lambda:invoke.waitForTaskToken"
START = "arn:aws:states:::states:startExecution"
_KNOWN = {
    "Task": {
        *("Type", "Comment", "Resource", "TimeoutSeconds", "TimeoutSecondsPath", "Parameters"),
        *("ResultPath", "Retry", "Catch", "Next", "End"),
    },
    "Choice": {"Type", "Comment", "Choices", "Default"},
    "Pass": {"Type", "Comment", "Parameters", "Next"},
    "Wait": {"Type", "Comment", "Seconds", "SecondsPath", "Next"},
    "Fail": {"Type", "Comment", "Error", "Cause", "ErrorPath", "CausePath"},
    "Succeed": {"Type", "Comment"},
}


class Failed(Exception):
    """A state's error, by the name that Retry and Catch look for."""

    def __init__(self, error: str, cause: str = "") -> None:
        super().__init__(error)
        self.error, self.cause = error, cause


class Stopped(Exception):
    """`StopExecution` was called."""


def load(name: str) -> Document:
    """A machine's states as the file has them, checked to hold nothing unknown."""
    found: Document = json.loads(Path(f"statemachines/{name}.asl.json").read_text())
    for key, state in found["States"].items():
        unknown = set(state) - _KNOWN[state["Type"]]
        assert not unknown, f"{name}.{key}: the interpreter does not know {unknown}"
    return found


def module_of(placeholder: str) -> str:
    """`${ShiftTrafficArn}` names the function `shift_traffic`."""
    name = placeholder.removeprefix("${").removesuffix("Arn}")
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def look_up(path: str, data: Any, context: Document) -> Any:
    """What a path such as `$.failure.Error` or `$$.Task.Token` names."""
    found = context if path.startswith("$$") else data
    for step in path.lstrip("$").split(".")[1:]:
        if not isinstance(found, dict) or step not in found:
            raise Failed("States.ParameterPathFailure", f"{path} is not in the input")
        found = found[step]
    return found


def fill(template: Any, data: Any, context: Document) -> Any:
    """A `Parameters` template with its `.$` fields filled in."""
    if isinstance(template, dict):
        return {
            key.removesuffix(".$"): look_up(value, data, context)
            if key.endswith(".$")
            else fill(value, data, context)
            for key, value in template.items()
        }
    return template


class Execution:
    """One execution of a machine.

    Args:
        kernel: the time it runs in.
        arn: its ARN.
        states: the machine, from `load`.
        given: its input.
        calls: runs a function: `calls(module, event)` sets the signal it returns when it has
            answered; see `functions.Run`.
        start: starts another machine: `start(placeholder, input)`.
    """

    def __init__(
        self,
        kernel: Kernel,
        arn: str,
        states: Document,
        given: Document,
        *,
        calls: Callable[[str, Document], "Run"],
        start: Callable[[str, Document], str],
    ) -> None:
        self.arn, self.given, self.status = arn, given, "RUNNING"
        self.error, self.cause, self.entered = "", "", list[str]()
        self.token: str | None = None
        self.ended = Signal()
        self.then: list[Callable[[], None]] = []
        self.began_at, self.ended_at = kernel.seconds, -1e9
        self._kernel, self._states, self._calls, self._start = kernel, states, calls, start
        self._stop, self._tokens = Signal(), 0
        self._callbacks: dict[str, Callback] = {}
        self._waits: Signal | None = None

    def begin(self) -> None:
        """Let it run."""
        self._kernel.spawn(self.arn, self._main)

    def stop(self, error: str, cause: str) -> None:
        """`StopExecution`: whatever waits is woken; a function that runs, runs on."""
        if self.status == "RUNNING":
            self._end("ABORTED", error, cause)
            self._kernel.set(self._stop)
            if self._waits is not None:
                self._kernel.set(self._waits)

    def answer(self, token: str, failure: Failed | None) -> bool:
        """`SendTaskSuccess` or `SendTaskFailure`; False when nobody waits for the token."""
        callback = self._callbacks.get(token)
        if callback is None or callback.answered or self.status != "RUNNING":
            return False
        callback.answered, callback.failure = True, failure
        self._kernel.set(callback.woken)
        return True

    def _end(self, status: str, error: str = "", cause: str = "") -> None:
        self.status, self.error, self.cause = status, error, cause
        self.ended_at = self._kernel.seconds
        self._kernel.set(self.ended)
        for follow in self.then:
            self._kernel.after(0, follow)

    def _main(self) -> None:
        name, data = self._states["StartAt"], self.given
        try:
            while name is not None:
                name, data = self._enter(name, data)
            if self.status == "RUNNING":
                self._end("SUCCEEDED")
        except Failed as failure:
            if self.status == "RUNNING":
                self._end("FAILED", failure.error, failure.cause)
        except Stopped:
            pass

    def _enter(self, name: str, data: Any) -> tuple[str | None, Any]:
        if self._stop.is_set:
            raise Stopped
        self.entered.append(name)
        state = self._states["States"][name]
        context: Document = {
            "Execution": {"Id": self.arn, "Input": self.given},
            "State": {"EnteredTime": self._kernel.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")},
        }
        match state["Type"]:
            case "Task":
                return self._task(state, data, context)
            case "Choice":
                return self._choice(state, data), data
            case "Pass":
                return state["Next"], fill(state["Parameters"], data, context)
            case "Wait":
                path = state.get("SecondsPath")
                self._pause(float(state["Seconds"] if path is None else look_up(path, data, {})))
                return state["Next"], data
            case "Succeed":
                return None, data
            case _:
                error = look_up(state["ErrorPath"], data, {}) if "ErrorPath" in state else None
                cause = look_up(state["CausePath"], data, {}) if "CausePath" in state else None
                raise Failed(error or state["Error"], cause or state.get("Cause", ""))

    def _choice(self, state: Document, data: Any) -> str:
        for rule in state["Choices"]:
            key = rule["Variable"].removeprefix("$.")
            if "IsPresent" in rule and (key in data) == rule["IsPresent"]:
                return str(rule["Next"])
            if "StringEquals" in rule and data.get(key) == rule["StringEquals"]:
                return str(rule["Next"])
        return str(state["Default"])

    def _task(self, state: Document, data: Any, context: Document) -> tuple[str | None, Any]:
        retried: dict[int, int] = {}
        while True:
            context["State"]["RetryCount"] = sum(retried.values())
            try:
                result = self._attempt(state, data, context)
                return state.get("Next"), _placed(state.get("ResultPath", "$"), data, result)
            except Failed as failure:
                pause = _retry(state, failure.error, retried)
                if pause is None:
                    return _caught(state, data, failure)
                self._pause(pause)

    def _attempt(self, state: Document, data: Any, context: Document) -> Any:
        self._tokens += 1
        context = context | {"Task": {"Token": f"{self.arn}#{self._tokens}"}}
        given = fill(state["Parameters"], data, context) if "Parameters" in state else data
        if state["Resource"] == START:
            arn = self._start(state["Parameters"]["StateMachineArn"], given["Input"])
            return {"ExecutionArn": arn}
        if state["Resource"] == INVOKE:
            return self._callback(state, data, given, context["Task"]["Token"])
        limit = float(state["TimeoutSeconds"])
        return self._invoke(module_of(state["Resource"]), given, limit)

    def _invoke(self, module: str, given: Document, limit: float) -> Any:
        run = self._calls(module, given)
        if not self._await(run.ended, limit):
            raise Failed("States.Timeout")
        if run.failure is not None:
            raise run.failure
        return run.answer

    def _callback(self, state: Document, data: Any, given: Document, token: str) -> None:
        """Wait for the token's answer; the time runs from the start of its function."""
        deadline = self._kernel.seconds + float(look_up(state["TimeoutSecondsPath"], data, {}))
        callback = self._callbacks[token] = Callback()
        run = self._calls(module_of(given["FunctionName"]), given["Payload"])
        try:
            while not callback.answered:
                if run.failure is not None:
                    raise run.failure
                callback.woken = Signal()
                if not run.ended.is_set:
                    run.listeners.append(callback.woken)
                if not self._await(callback.woken, deadline - self._kernel.seconds):
                    raise Failed("States.Timeout")
            if callback.failure is not None:
                raise callback.failure
        finally:
            del self._callbacks[token]

    def _pause(self, seconds: float) -> None:
        self._await(Signal(), seconds)

    def _await(self, signal: Signal, seconds: float) -> bool:
        """Wait, unless the execution is stopped."""
        self._waits = signal
        found = self._kernel.wait(signal, max(seconds, 0))
        self._waits = None
        if self._stop.is_set:
            raise Stopped
        return found


class Callback:
    """A token that somebody waits for."""

    def __init__(self) -> None:
        self.woken = Signal()
        self.answered = False
        self.failure: Failed | None = None


class Run:
    """A function's run as its caller sees it."""

    def __init__(self) -> None:
        self.ended = Signal()
        self.answer: Any = None
        self.failure: Failed | None = None
        self.listeners: list[Signal] = []
        self.then: list[Callable[[], None]] = []

    def end(self, kernel: Kernel, answer: Any = None, failure: Failed | None = None) -> None:
        """It has answered, or its process is gone."""
        if not self.ended.is_set:
            self.answer, self.failure = answer, failure
            kernel.set(self.ended)
            for signal in self.listeners:
                kernel.set(signal)
            for follow in self.then:
                kernel.after(0, follow)


def _matches(names: list[str], error: str) -> bool:
    return error in names or "States.ALL" in names


def _retry(state: Document, error: str, retried: dict[int, int]) -> float | None:
    """Seconds until the next attempt, by the first rule that names the error; None for none."""
    for number, rule in enumerate(state.get("Retry", [])):
        if not _matches(rule["ErrorEquals"], error):
            continue
        done = retried.get(number, 0)
        if done >= rule.get("MaxAttempts", 3):
            return None
        retried[number] = done + 1
        pause = rule.get("IntervalSeconds", 1) * rule.get("BackoffRate", 2.0) ** done
        return float(min(pause, rule.get("MaxDelaySeconds", pause)))
    return None


def _caught(state: Document, data: Any, failure: Failed) -> tuple[str, Any]:
    for rule in state.get("Catch", []):
        if _matches(rule["ErrorEquals"], failure.error):
            output = {"Error": failure.error, "Cause": failure.cause}
            return rule["Next"], _placed(rule.get("ResultPath", "$"), data, output)
    raise failure


def _placed(path: str | None, data: Any, result: Any) -> Any:
    if path is None:
        return data
    if path == "$":
        return result
    return data | {path.removeprefix("$."): result}
