"""The real state machines on the local cloud's Step Functions; only the functions are stubs."""

import io
import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from greenlane.local.cloud import LocalCloud
from greenlane.local.context import ACCOUNT_ID
from greenlane.local.workflows import _ended

SCALE = 7200
LONGEST_SECONDS = 120.0
"""After which a test gives up on an execution: no promise, so longer than any machine needs."""
REGION = "eu-west-1"
ROLE = "arn:aws:iam::123456789012:role/local"
FUNCTION = f"arn:aws:lambda:{REGION}:123456789012:function:"
MACHINE = f"arn:aws:states:{REGION}:123456789012:stateMachine:"
CALLS = {"deployment": "greenlane-deployment", "rollback": "greenlane-rollback"}


class Raised(Exception):
    """A function's error, by the name that a state machine sees."""

    def __init__(self, name: str, message: str = "by the test") -> None:
        self.name, self.message = name, message
        super().__init__(name)


class StubFunctions:
    """Stands in for the Lambda client that Step Functions calls."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forget everything: no function answers."""
        with self.lock:
            self.answers: dict[str, Callable[[Any], Any]] = {}
            self.failures: dict[str, list[str]] = {}
            self.always: dict[str, str] = {}
            self.calls: list[tuple[str, Any]] = []

    def count(self) -> Counter[str]:
        """How often each function was called."""
        return Counter(name for name, _ in self.calls)

    def given(self, function: str) -> list[Any]:
        """What a function was called with."""
        return [event for name, event in self.calls if name == function]

    def invoke(self, FunctionName: str, Payload: bytes, **_: Any) -> dict[str, Any]:  # noqa: N803
        name, event = FunctionName.rsplit(":", 1)[-1], json.loads(Payload)
        with self.lock:
            self.calls.append((name, event))
            planned = self.failures.get(name, [])
            error = planned.pop(0) if planned else self.always.get(name)
        try:
            if error is not None:
                raise Raised(error)
            answer, failed = self.answers[name](event), {}
        except Raised as raised:
            answer = {"errorMessage": raised.message, "errorType": raised.name, "stackTrace": []}
            failed = {"FunctionError": "Unhandled"}
        body = io.BytesIO(json.dumps(answer).encode())
        return {"StatusCode": 200, "Payload": body, "ExecutedVersion": "1"} | failed

    def close(self) -> None:
        """Nothing to close."""


class Ran:
    """An execution that has ended."""

    def __init__(self, machines: "Machines", arn: str) -> None:
        self._sfn = machines.sfn
        self.arn = arn
        found = self._sfn.describe_execution(executionArn=arn)
        self.status, self.error = found["status"], found.get("error")
        self.cause = found.get("cause")
        self.transitions = machines.cloud.transitions(arn)

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        pages = self._sfn.get_paginator("get_execution_history")
        return [event for page in pages.paginate(executionArn=self.arn) for event in page["events"]]

    @property
    def states(self) -> list[str]:
        """The states entered, in order."""
        return [
            event["stateEnteredEventDetails"]["name"]
            for event in self.events
            if event["type"].endswith("StateEntered")
        ]


class Machines:
    """Both machines, the rollback also as a stub that only takes note of what started it."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.sfn = cloud.client("stepfunctions")
        self.functions = StubFunctions()
        cloud.workflows._clients._clients[REGION, "lambda"] = self.functions
        nothing = {"StartAt": "Noted", "States": {"Noted": {"Type": "Succeed"}}}
        self._create("greenlane-noted", json.dumps(nothing))
        self._create("greenlane-deployment", definition("deployment", "greenlane-noted"))
        self._create("greenlane-rollback", definition("rollback", "greenlane-noted"))
        self._number = 0
        self._noted = 0
        self._inputs: dict[str, tuple[datetime, Any]] = {}

    def _create(self, name: str, text: str) -> None:
        self.sfn.create_state_machine(name=name, roleArn=ROLE, definition=text)

    def start(self, machine: str, given: Any) -> str:
        self._number += 1
        answer = self.sfn.start_execution(
            stateMachineArn=MACHINE + CALLS[machine],
            name=f"d-{self._number}",
            input=json.dumps(given),
        )
        return str(answer["executionArn"])

    def run(self, machine: str, given: Any) -> Ran:
        """Start an execution and wait for its end."""
        return self.ended(self.start(machine, given))

    def ended(self, arn: str) -> Ran:
        execution = stepfunctions_parser_backends[ACCOUNT_ID][REGION].describe_execution(arn)
        assert _ended(execution).wait(LONGEST_SECONDS), f"{arn} still runs"
        return Ran(self, arn)

    def rollbacks(self) -> list[Any]:
        """The inputs of the rollbacks that were started since the last question."""
        found = self.sfn.list_executions(
            stateMachineArn=MACHINE + "greenlane-noted", maxResults=1000
        )
        arns = [entry["executionArn"] for entry in found["executions"]]
        new = len(arns) - self._noted
        self._noted = len(arns)
        for arn in arns:
            if arn not in self._inputs:  # they never change
                described = self.sfn.describe_execution(executionArn=arn)
                self._inputs[arn] = (described["startDate"], json.loads(described["input"]))
        inputs = sorted((self._inputs[arn] for arn in arns), key=lambda entry: entry[0])
        return [given for _, given in inputs][len(arns) - new :]


def load(name: str) -> dict[str, Any]:
    """A state machine's file as it is."""
    found: dict[str, Any] = json.loads(Path(f"statemachines/{name}.asl.json").read_text())
    return found


def definition(name: str, rollback: str) -> str:
    """A state machine's text with stub ARNs in the place of its substitutions."""

    def arn(match: re.Match[str]) -> str:
        word = match[1]
        if word.endswith("MachineArn"):
            return MACHINE + rollback
        return FUNCTION + re.sub(r"(?<!^)([A-Z])", r"_\1", word.removesuffix("Arn")).lower()

    return re.sub(r"\$\{(\w+)\}", arn, Path(f"statemachines/{name}.asl.json").read_text())
