"""A flag store in memory, flags to put into it, and a client that fails when a test says so."""

from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from greenlane.flags.definitions.document import read_flags
from greenlane.flags.names import TABLE
from greenlane.flags.storing.state import StoredFlag, StoredFlags, StoredSegment
from greenlane.flags.storing.store import DynamoFlagStore, Edit
from tests.table import Table

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Failing:
    """A client whose next calls fail, before their effect or after it, and that counts them.

    `between` is called before each transaction: what somebody else does in that moment.
    """

    def __init__(self, target: Any) -> None:
        self.target = target
        self.calls: list[str] = []
        self.before: dict[int, Exception] = {}
        self.after: dict[int, Exception] = {}
        self.between: Callable[[], object] | None = None
        self._lock = Lock()

    def __getattr__(self, operation: str) -> Any:
        def call(**arguments: Any) -> Any:
            with self._lock:
                number = len(self.calls)
                self.calls.append(operation)
            if self.between is not None and operation == "transact_write_items":
                between, self.between = self.between, None
                between()
            if number in self.before:
                raise self.before[number]
            answer = getattr(self.target, operation)(**arguments)
            if number in self.after:
                raise self.after[number]
            return answer

        return call


def memory_store(client: Any = None, **more: Any) -> DynamoFlagStore:
    return DynamoFlagStore(client or Table(TABLE), TABLE, sleep=lambda seconds: None, **more)


def flags_from(text: str) -> Edit:
    """An edit that puts what a file says."""
    document = read_flags(text)

    def edit(flags: StoredFlags) -> StoredFlags:
        for key, flag in document.feature_flags.items():
            before = flags.flags.get(key) or StoredFlag(flag=flag)
            flags = flags.with_flag(key, before.model_copy(update={"flag": flag}))
        segments = {name: StoredSegment(condition=one) for name, one in document.segments.items()}
        approvals = flags.approvals
        if document.approvals is not None:
            update = {"environments": document.approvals.environments}
            approvals = approvals.model_copy(update=update)
        return flags.model_copy(
            update={"segments": {**flags.segments, **segments}, "approvals": approvals}
        )

    return edit


def put(store: DynamoFlagStore, text: str, by: str = "ada", reason: str = "") -> Any:
    return store.change(flags_from(text), by=by, reason=reason, at=NOW)


def percentage(key: str, value: int) -> str:
    return f"feature_flags: {{{key}: {{percentage: {value}}}}}"
