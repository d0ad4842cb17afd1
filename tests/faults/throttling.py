"""Limits of an account: a bucket of calls for each service, shared by everybody in it."""

import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from tests.fakes import error
from tests.faults.kernel import Kernel

BURST = 10.0
ATTEMPTS = {"elbv2_once": 1, "elbv2_back": 2, "ecs_back": 2}
OTHERS_ATTEMPTS = 4
LONGEST_PAUSE = 20.0
READS = ("describe_", "list_")


class Buckets:
    """Tokens that come back at a rate; reads and writes of a service have a bucket each.

    Args:
        kernel: the time.
        per_second: what all functions together may call.
        seed: decides the pauses between attempts.
    """

    def __init__(self, kernel: Kernel, per_second: float, seed: int) -> None:
        self._kernel, self._rate = kernel, per_second
        self._dice = random.Random(f"{seed} throttling")
        self._left: dict[str, tuple[float, float]] = defaultdict(lambda: (BURST, 0.0))
        self.refused = 0

    def _take(self, bucket: str) -> bool:
        left, since = self._left[bucket]
        now = self._kernel.seconds
        left = min(left + (now - since) * self._rate, BURST)
        enough = left >= 1.0
        self._left[bucket] = left - enough, now
        return enough

    def over(self, service: str, name: str, target: Any) -> Any:
        """The target as a client of that name sees it: botocore tries again for a while."""
        return Throttled(self, service, ATTEMPTS.get(name, OTHERS_ATTEMPTS), target)

    def admit(self, service: str, operation: str, attempts: int) -> None:
        """Let a call through, after botocore's own pauses (`standard` mode), or refuse it."""
        bucket = f"{service} {operation.startswith(READS)}"
        for attempt in range(attempts):
            if self._take(bucket):
                return
            if attempt + 1 < attempts and self._kernel.running is not None:
                pause = self._dice.random() * min(2.0**attempt, LONGEST_PAUSE)
                self._kernel.sleep(pause)
        self.refused += 1
        raise error("ThrottlingException", operation)


class Throttled:
    """A client's target behind the account's buckets."""

    def __init__(self, buckets: Buckets, service: str, attempts: int, target: Any) -> None:
        self._buckets, self._service, self._attempts = buckets, service, attempts
        self._target = target

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            self._buckets.admit(self._service, operation, self._attempts)
            return getattr(self._target, operation)(**arguments)

        return call
