"""A boto3 client as code sees it: each call takes time, may fail, and is looked at afterwards."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ReadTimeoutError

from tests.fakes import client, error
from tests.faults.faults import LATE_SECONDS, SLOW_SECONDS, Faults, Kind
from tests.faults.kernel import Kernel, Killed

LATENCY_SECONDS = 0.04
# A hung call costs every attempt's time-out and the pauses between them, see `greenlane.aws`.
ATTEMPT_SECONDS = {"hasty_store": 0.3, "elbv2_once": 5.0, "elbv2_back": 9.0, "sns": 7.0}
ATTEMPT_SECONDS |= {"store": 17.0, "secretsmanager": 9.0, "relay": 22.0}
ATTEMPT_SECONDS |= dict.fromkeys(("ecs_back", "autoscaling_back", "stepfunctions_back"), 9.0)
ATTEMPT_SECONDS |= dict.fromkeys(("ecr_quick", "cloudwatch_quick"), 11.0)
OTHERS_SECONDS = 45.0


class Edge:
    """One client of one function.

    Args:
        kernel: the time; calls made by no actor (a test's own) take none and never fail.
        faults: what goes wrong.
        caller: the function's module.
        name: the client's name in `Runtime`, which decides its time-out.
        service: boto3's name of the service.
        target: what answers.
        looked: called after each effect with who made which call, and when it was sent.
    """

    def __init__(
        self,
        kernel: Kernel,
        faults: Faults,
        caller: str,
        name: str,
        service: str,
        target: Any,
        looked: Callable[[str, str, float], None],
    ) -> None:
        self._kernel, self._faults, self._target, self._looked = kernel, faults, target, looked
        self._caller, self._service = caller, service
        self._seconds = ATTEMPT_SECONDS.get(name, OTHERS_SECONDS)
        known = client(service)
        self.meta, self.exceptions = known.meta, known.exceptions

    def __getattr__(self, operation: str) -> Any:
        if operation == "get_paginator":
            return lambda name: _Pages(getattr(self, name))

        def call(**arguments: Any) -> Any:
            return self._call(operation, arguments)

        return call

    def _call(self, operation: str, arguments: dict[str, Any]) -> Any:
        if self._kernel.running is None:
            return getattr(self._target, operation)(**arguments)
        sent = self._kernel.seconds
        kind = self._faults.of(self._caller, self._service, operation, sent)
        if kind == "killed":
            raise Killed
        self._kernel.sleep(self._before(kind))
        if kind in ("before", "throttled"):
            raise error("ThrottlingException", operation)
        if kind == "denied":
            raise error("AccessDeniedException", operation)
        if kind == "timeout":
            raise ReadTimeoutError(endpoint_url="https://simulated")
        if kind == "late" or self._too_slow(kind):
            self._kernel.after(
                LATE_SECONDS if kind == "late" else SLOW_SECONDS,
                lambda: self._effect(operation, arguments, sent, late=True),
            )
            raise ReadTimeoutError(endpoint_url="https://simulated")
        answer = self._effect(operation, arguments, sent)
        if kind == "killed_after":
            raise Killed
        self._kernel.sleep(LATENCY_SECONDS / 2)
        if kind == "after":
            raise ReadTimeoutError(endpoint_url="https://simulated")
        return answer

    def _too_slow(self, kind: Kind | None) -> bool:
        return kind == "slow" and self._seconds <= SLOW_SECONDS

    def _before(self, kind: Kind | None) -> float:
        """How long it takes until the effect, or until the caller gives up."""
        if kind in ("timeout", "late"):
            return self._seconds
        if kind == "slow":
            return min(SLOW_SECONDS, self._seconds)
        return LATENCY_SECONDS / 2

    def _effect(
        self, operation: str, arguments: dict[str, Any], sent: float, *, late: bool = False
    ) -> Any:
        try:
            answer = getattr(self._target, operation)(**arguments)
        except Exception:
            if late:  # nobody is there any more to be told
                return None
            raise
        self._looked(self._caller, operation, sent)
        return answer


class _Pages:
    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def paginate(self, **arguments: Any) -> list[Any]:
        return [self._call(**arguments)]
