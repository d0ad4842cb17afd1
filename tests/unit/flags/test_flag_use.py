import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from greenlane.errors import InvalidInput
from greenlane.flags import FeatureFlagManager
from greenlane.flags.lifecycle.seen import Seen, boto_writer
from greenlane.flags.lifecycle.use import Uses
from greenlane.flags.names import TABLE
from greenlane.flags.reading.reader import Reader
from greenlane.flags.reading.sources import BotoSource
from greenlane.flags.sdk.decorator import feature_flag
from tests.flag_store import memory_store, put
from tests.table import Table
from tests.unit.flags.flagging import flag, rule
from tests.unit.flags.reading import Shelf, Time, body

FLAGS = {"f": flag(rule()), "off": flag(on=False)}


class Threads:
    """Threads that begin when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], object]] = []

    def start(self, work: Callable[[], object]) -> Any:
        self.waiting.append(work)
        return SimpleNamespace(is_alive=lambda: bool(self.waiting))

    def run(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()


def noting(write: Callable[[Any], object]) -> tuple[FeatureFlagManager, Time, Threads]:
    at, threads = Time(), Threads()
    reader = Reader(
        Shelf(production=body(1, FLAGS)), "production", clock=at.clock, monotonic=at.monotonic
    )
    seen = Seen(write, "production", clock=at.clock)
    uses = Uses(seen, reader, monotonic=at.monotonic, start=threads.start)
    return FeatureFlagManager(reader, uses=uses), at, threads


def test_what_is_evaluated_is_written_later_and_by_another_thread() -> None:
    sent: list[Any] = []
    manager, at, threads = noting(sent.append)

    @feature_flag("f", manager=manager)
    def decorated() -> int:
        return 1

    assert decorated() == 1
    assert manager.is_feature_enabled("off", {}) is False
    assert manager.value("nobody-defined-this", "x") == "x"
    assert (sent, threads.waiting) == ([], [])
    at.passes(151)
    decorated()
    decorated()
    assert (sent, len(threads.waiting)) == ([], 1)
    threads.run()

    told = {one["Key"]["sk"]["S"]: one for one in sent}
    assert told.keys() == {"f", "off"}
    assert told["f"]["ExpressionAttributeValues"][":more"] == {"N": "3"}
    assert told["f"]["ExpressionAttributeNames"]["#v0"] == "variant:on"
    assert told["off"]["ExpressionAttributeNames"]["#v0"] == "variant:-"


def test_nothing_of_it_is_ever_in_the_way() -> None:
    def broken(update: Any) -> None:
        raise OSError("no network")

    manager, at, threads = noting(broken)
    manager.is_feature_enabled("f", {})
    at.passes(151)
    assert manager.is_feature_enabled("f", {}) is True
    threads.run()
    assert manager.uses is not None
    assert manager.uses.seen.failed == 1

    def none_left(work: Callable[[], object]) -> Any:
        raise RuntimeError("can't start new thread")

    threads.start = none_left  # type: ignore[method-assign]
    manager.uses._start = none_left
    at.passes(151)
    assert manager.is_feature_enabled("f", {}) is True


def test_an_environment_that_no_flag_names_is_noted_where_it_is_looked_for() -> None:
    table = Table(TABLE)
    store = memory_store(table)
    put(store, "feature_flags: {a: {}}")
    reader = Reader(BotoSource(table, TABLE), "qa")
    sent: list[Any] = []
    uses = Uses(Seen(sent.append, "qa"), reader, every_seconds=0)
    manager = FeatureFlagManager(reader, uses=uses)
    assert manager.is_feature_enabled("a", {})
    assert uses._thread is not None
    uses._thread.join(5)

    assert sent[0]["Key"]["pk"] == {"S": "seen#*"}


def test_counts_that_two_threads_write_are_written_once_and_break_neither() -> None:
    sent: list[Any] = []
    seen = Seen(sent.append, "production")
    first = threading.Event()

    def draw() -> float:
        # The other thread is there first, between looking and taking.
        if not first.is_set():
            first.set()
            seen._hours.clear()
            seen.flush()
        return 0.0

    seen._draw = draw
    seen.note("f", "on")
    assert seen.flush() == 0
    assert len(sent) == 1


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(InvalidInput, match="record_use"):
        FeatureFlagManager.connect("production", region="eu-west-1", record_use=share)


def test_connecting_notes_nothing_unless_it_is_asked_to() -> None:
    connect = FeatureFlagManager.connect
    assert connect("production", region="eu-west-1").uses is None
    assert connect("production", region="eu-west-1", record_use=1).uses is not None


def test_what_boto_is_given_is_an_update_of_the_table() -> None:
    asked: list[Any] = []
    client = SimpleNamespace(update_item=lambda **update: asked.append(update))
    seen = Seen(boto_writer(client, TABLE), "production")
    seen.note("f", "on")
    seen.flush()
    assert asked[0]["TableName"] == TABLE
