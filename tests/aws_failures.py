"""What a call to DynamoDB can come to besides an answer, and callers that send the same again."""

from collections.abc import Callable
from random import Random
from threading import Lock
from typing import Any

from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError


class Crash(Exception):
    """The process went away."""


def aws_error(code: str, **members: Any) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": ""}, **members}
    return ClientError(response, "TransactWriteItems")


def canceled(*codes: str) -> ClientError:
    reasons = [{"Code": code} for code in codes]
    return aws_error("TransactionCanceledException", CancellationReasons=reasons)


LOST: dict[str, Callable[[], Exception]] = {
    "crash": Crash,
    "timeout": lambda: ReadTimeoutError(endpoint_url="https://dynamodb"),
    "unconnected": lambda: ConnectTimeoutError(endpoint_url="https://dynamodb"),
    "500": lambda: aws_error("InternalServerError"),
    "throttled": lambda: aws_error("ThrottlingException"),
}
"""What may happen before a call has its effect, or after."""

BEFORE: dict[str, Callable[[], Exception]] = {
    **LOST,
    "conflict": lambda: canceled("None", "TransactionConflict"),
}
"""What may happen before: a conflict has no effect."""

OURS = (Crash, ClientError, ReadTimeoutError, ConnectTimeoutError)


def until_it_is_in(call: Callable[[], object]) -> None:
    """What a caller does whose call failed: the same again."""
    for _ in range(50):
        try:
            call()
        except OURS:
            continue
        return
    raise AssertionError("it never got in")


class Flaky:
    """A client some of whose transactions fail, before or after their effect; safe for threads.

    Args:
        target: the client.
        share: of transactions that fail, 0 to 1.
        seed: which.
    """

    def __init__(self, target: Any, share: float, seed: int) -> None:
        self.target, self.share = target, share
        self._random, self._lock = Random(seed), Lock()

    def __getattr__(self, operation: str) -> Any:
        def call(**arguments: Any) -> Any:
            if operation != "transact_write_items":
                return getattr(self.target, operation)(**arguments)
            with self._lock:
                fails = self._random.random() < self.share
                after = self._random.random() < 0.5
                kind = self._random.choice(sorted(LOST if after else BEFORE))
            if fails and not after:
                raise BEFORE[kind]()
            answer = getattr(self.target, operation)(**arguments)
            if fails:
                raise LOST[kind]()
            return answer

        return call
