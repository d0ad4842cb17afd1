"""Lambda in virtual time: functions start cold, run side by side, and are killed in time."""

import importlib
import io
import json
import random
from collections import Counter, defaultdict
from typing import Any

from tests.fakes import error
from tests.faults.kernel import Kernel, Killed
from tests.faults.machine import Failed, Run

COLD_START_SECONDS = 0.4
TIMEOUTS = {"shift_traffic": 15, "take_traffic_back": 30, "run_pre_traffic": 300}
TIMEOUTS |= {
    "plan_deployment": 120,
    "validate_slot": 300,
    "judge_step": 300,
    "report_incident": 180,
    "post_alerts": 15,
}
AGAIN_AFTER_SECONDS = (60.0, 120.0)


class Invocations:
    """Runs the handlers of `functions/`.

    Args:
        kernel: the time.
        seed: decides how cold a start is, and when a duplicate comes.
    """

    def __init__(self, kernel: Kernel, seed: int) -> None:
        self._kernel, self._seed = kernel, seed
        self._dice: dict[str, random.Random] = {}
        self._count = 0
        self.repeats: set[int] = set()
        self.invoked: Counter[str] = Counter()
        self.again: dict[tuple[str, int], float] = {}
        """Seconds after which the n-th run of a function is repeated."""
        self.failed: dict[str, list[float]] = defaultdict(list)
        """When each function failed, in seconds."""

    def _dice_of(self, module: str) -> random.Random:
        """Each function's own: how often one runs changes nothing for the others."""
        return self._dice.setdefault(module, random.Random(f"{self._seed} {module}"))

    def invoke(self, module: str, event: dict[str, Any]) -> Run:
        """Run a function's real handler; some runs are duplicated, as Lambda may do."""
        self._count += 1
        if self._count in self.repeats:
            later = self._dice_of(module).uniform(0, 30)
            self._kernel.after(later, lambda: self._run(module, event))
        self.invoked[module] += 1
        again = self.again.get((module, self.invoked[module]))
        if again is not None:
            self._kernel.after(again, lambda: self._run(module, event))
        return self._run(module, event)

    def hand_over(self, module: str, event: dict[str, Any], attempt: int = 0) -> None:
        """As SNS, EventBridge and alarms call: what fails is tried twice again, later."""
        run = self.invoke(module, event)

        def again() -> None:
            if run.failure is not None and attempt < len(AGAIN_AFTER_SECONDS):
                later = AGAIN_AFTER_SECONDS[attempt]
                self._kernel.after(later, lambda: self.hand_over(module, event, attempt + 1))

        run.then.append(again)

    def every_minute(self, module: str, first: float) -> None:
        """A schedule."""

        def tick() -> None:
            self._kernel.after(60, tick)
            self.invoke(module, {})

        self._kernel.after(first, tick)

    def _run(self, module: str, event: dict[str, Any]) -> Run:
        run, handler = Run(), importlib.import_module(f"functions.{module}").handler
        text = json.dumps(event)

        def body() -> None:
            try:
                self._kernel.sleep(COLD_START_SECONDS * self._dice_of(module).random())
                answer = handler(json.loads(text), None)
            except Killed:
                run.end(self._kernel, failure=Failed("Runtime.ExitError"))
                raise
            except Exception as raised:
                self.failed[module].append(self._kernel.seconds)
                name = type(raised).__name__
                cause = json.dumps({"errorMessage": str(raised), "errorType": name})
                run.end(self._kernel, failure=Failed(name, cause))
            else:
                run.end(self._kernel, answer=json.loads(json.dumps(answer)))

        actor = self._kernel.spawn(module, body)

        def time_out() -> None:
            if not actor.ended:
                actor.kill()
                run.end(self._kernel, failure=Failed("Sandbox.Timedout"))

        self._kernel.after(TIMEOUTS.get(module, 60), time_out)
        return run


class Relay:
    """A boto3 `lambda` client: one function calls another and waits for its answer."""

    def __init__(self, kernel: Kernel, invocations: Invocations) -> None:
        self._kernel, self._invocations = kernel, invocations

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        module = FunctionName.removeprefix("greenlane-").replace("-", "_")
        if module not in ("notify_people", "post_alerts", "query_prometheus"):
            raise error("ResourceNotFoundException", "Invoke")
        run = self._invocations.invoke(module, json.loads(Payload))
        if self._kernel.running is not None:  # else the caller has given up, and it runs all alone
            self._kernel.wait(run.ended, 60)
        answer = {"Payload": io.BytesIO(json.dumps(run.answer).encode())}
        return answer | ({"FunctionError": "Unhandled"} if run.failure is not None else {})
