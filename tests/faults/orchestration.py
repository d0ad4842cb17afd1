"""Step Functions in virtual time: executions of the real machines, and the client of them."""

import json
import random
from collections.abc import Callable
from typing import Any

from tests.fakes import STATES, error
from tests.faults.kernel import Kernel
from tests.faults.machine import Execution, Failed, Run, load

_MACHINES = {name: load(name) for name in ("deployment", "rollback")}


class Orchestration:
    """A boto3 `stepfunctions` client over its own executions.

    Args:
        kernel: the time.
        invoke: runs a function.
        ended: called with each forward execution that has ended, and its name.
        unknown_seconds: for how long what began, or ended, may not be seen so.
        seed: decides whether it is.
    """

    def __init__(
        self,
        kernel: Kernel,
        invoke: Callable[[str, dict[str, Any]], Run],
        ended: Callable[[Execution, str], None],
        *,
        unknown_seconds: float,
        seed: int,
    ) -> None:
        self._unknown_seconds, self._dice = unknown_seconds, random.Random(f"{seed} executions")
        self._kernel, self._invoke, self._ended = kernel, invoke, ended
        self.executions: dict[str, Execution] = {}

    def start(self, machine: str, given: dict[str, Any], name: str = "") -> str:
        """Start an execution, or find the one of that name; its ARN."""
        name = name or f"e-{len(self.executions)}"
        arn = f"{STATES}:execution:greenlane-{machine}:{name}"
        if arn in self.executions:
            if self.executions[arn].given != given:
                raise error("ExecutionAlreadyExists", "StartExecution")
            return arn
        execution = Execution(
            self._kernel,
            arn,
            _MACHINES[machine],
            given,
            calls=self._invoke,
            start=lambda _, given: self.start("rollback", given),
        )
        self.executions[arn] = execution
        execution.begin()
        if machine == "deployment":
            execution.then.append(lambda: self._ended(execution, name))
        return arn

    def _found(self, arn: str) -> Execution:
        if arn not in self.executions:
            raise error("ExecutionDoesNotExist", "DescribeExecution")
        return self.executions[arn]

    def start_execution(self, stateMachineArn: str, input: str, name: str = "") -> dict[str, Any]:  # noqa: N803, A002
        machine = stateMachineArn.rsplit("-", 1)[1]
        return {"executionArn": self.start(machine, json.loads(input), name)}

    def describe_execution(self, executionArn: str) -> dict[str, Any]:  # noqa: N803
        found = self._found(executionArn)
        since = self._kernel.seconds - self._dice.uniform(0, self._unknown_seconds)
        if self._unknown_seconds and found.began_at > since:
            raise error("ExecutionDoesNotExist", "DescribeExecution")
        if self._unknown_seconds and found.ended_at > since:
            return {"status": "RUNNING"}
        return {"status": found.status, "error": found.error, "cause": found.cause}

    def stop_execution(self, executionArn: str, error: str = "", cause: str = "") -> None:  # noqa: N803
        self._found(executionArn).stop(error, cause)

    def send_task_success(self, taskToken: str, output: str) -> None:  # noqa: N803
        del output
        self._answer(taskToken, None)

    def send_task_failure(self, taskToken: str, error: str, cause: str) -> None:  # noqa: N803
        self._answer(taskToken, Failed(error, cause))

    def _answer(self, token: str, failure: Failed | None) -> None:
        if not self._found(token.split("#")[0]).answer(token, failure):
            raise error("TaskTimedOut", "SendTaskSuccess")
