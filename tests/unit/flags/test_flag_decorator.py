import asyncio
import inspect
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator, Iterator
from typing import TYPE_CHECKING, Any, assert_type

import pytest

from greenlane.errors import InvalidInput
from greenlane.flags import (
    FeatureFlagManager,
    feature_flag,
)
from greenlane.flags.reading.reader import Reader
from tests.unit.flags.flagging import flag, rule
from tests.unit.flags.reading import Shelf, body, managing

ON, OFF = {"f": flag(rule())}, {"f": flag(rule(), on=False)}


class Broken(Shelf):
    def version(self, environment: str) -> int | None:
        raise OSError("down")


NO_ANSWER = FeatureFlagManager(Reader(Broken(), "production"))
MANAGERS = pytest.mark.parametrize(
    ("asked", "on"),
    [(managing(ON), True), (managing(OFF), False), (managing({}), False), (NO_ANSWER, False)],
    ids=["on", "off", "unknown", "down"],
)


class Counted:
    """Functions of each kind that count how often they run."""

    def __init__(self, name: str) -> None:
        self.name, self.calls = name, 0

    def plain(self, a: int, *, b: int = 2) -> tuple[str, int, int]:
        self.calls += 1
        return self.name, a, b

    async def coroutine(self, a: int, *, b: int = 2) -> tuple[str, int, int]:
        await asyncio.sleep(0)
        return self.plain(a, b=b)

    def generator(self, a: int, *, b: int = 2) -> Generator[Any, Any, str]:
        yield self.plain(a, b=b)
        yield a
        return self.name

    async def async_generator(self, a: int, *, b: int = 2) -> AsyncGenerator[Any, Any]:
        yield self.plain(a, b=b)
        yield a


async def gathered(source: AsyncGenerator[Any, Any]) -> list[Any]:
    return [item async for item in source]


def run(function: Any, *arguments: Any, **named: Any) -> Any:
    """Whatever a function of any kind gives, to the end."""
    if inspect.isasyncgenfunction(function):
        return asyncio.run(gathered(function(*arguments, **named)))
    if inspect.iscoroutinefunction(function):
        return asyncio.run(function(*arguments, **named))
    found = function(*arguments, **named)
    return list(found) if inspect.isgenerator(found) else found


KINDS = ["plain", "coroutine", "generator", "async_generator"]


@MANAGERS
@pytest.mark.parametrize("kind", KINDS)
def test_exactly_one_of_both_runs_with_the_same_arguments(
    asked: FeatureFlagManager, on: bool, kind: str
) -> None:
    feature, default = Counted("feature"), Counted("default")
    decorated = feature_flag("f", getattr(default, kind), manager=asked)(getattr(feature, kind))

    found = run(decorated, 1, b=3)

    chosen = ("feature" if on else "default", 1, 3)
    assert found == ([chosen, 1] if "generator" in kind else chosen)
    assert (feature.calls, default.calls) == ((1, 0) if on else (0, 1))


@MANAGERS
@pytest.mark.parametrize("kind", KINDS)
def test_without_a_default_there_is_nothing(asked: FeatureFlagManager, on: bool, kind: str) -> None:
    feature = Counted("feature")
    decorated = feature_flag("f", manager=asked)(getattr(feature, kind))

    found = run(decorated, 1)

    if not on:
        assert found == ([] if "generator" in kind else None)
    assert feature.calls == int(on)


@pytest.mark.parametrize("kind", KINDS)
def test_a_function_stays_what_it_is(kind: str) -> None:
    original = getattr(Counted, kind)
    decorated: Any = feature_flag("f", manager=NO_ANSWER)(original)

    assert inspect.signature(decorated) == inspect.signature(original)
    assert (decorated.__name__, decorated.__wrapped__) == (kind, original)
    for is_one in (
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
    ):
        assert is_one(decorated) == is_one(original)


class Wrong(Exception):
    pass


def raising(kind: str, calls: list[str]) -> Any:
    def plain() -> Any:
        calls.append("feature")
        raise Wrong

    async def coroutine() -> Any:
        return plain()

    def generator() -> Iterator[Any]:
        yield plain()

    async def async_generator() -> AsyncGenerator[Any, None]:
        yield plain()

    return locals()[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_feature_raises_is_raised_and_never_becomes_the_default(kind: str) -> None:
    calls: list[str] = []
    decorated = feature_flag("f", lambda: calls.append("default"), manager=managing(ON))(
        raising(kind, calls)
    )

    with pytest.raises(Wrong):
        run(decorated)
    assert calls == ["feature"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_default_raises_is_raised_and_it_runs_once(kind: str) -> None:
    calls: list[str] = []
    default = raising(kind, calls)
    decorated = feature_flag("f", default, manager=managing(OFF))(raising(kind, calls))

    with pytest.raises(Wrong):
        run(decorated)
    assert calls == ["feature"]  # as the default's own function writes it: once


def failing(*arguments: Any, **named: Any) -> Any:
    raise ZeroDivisionError


def test_any_error_in_deciding_is_the_default_exactly_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []

    def feature() -> None:
        raise AssertionError("it must not run")

    asked = managing(ON)
    monkeypatch.setattr(asked, "is_feature_enabled", failing)
    for decorated in (
        feature_flag("f", lambda: calls.append("d"), manager=asked)(feature),
        feature_flag("f", lambda: calls.append("d"), manager=managing(ON), context=failing)(
            feature
        ),
    ):
        decorated()

    assert calls == ["d", "d"]


def test_an_error_in_deciding_is_told_once_and_quotes_no_user(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def leaking(user: str) -> Any:
        raise ValueError(user)

    decorated = feature_flag("leaks", manager=managing(ON), context=leaking)(lambda user: user)
    for _ in range(3):
        assert decorated("ada@example.com") is None

    assert [record.getMessage() for record in caplog.records] == [
        "flag leaks: ValueError: it could not be decided, so its default counts"
    ]


def test_an_event_loop_does_not_wait_for_a_read() -> None:
    threads: list[int] = []

    class Watched(Shelf):
        def version(self, environment: str) -> int | None:
            threads.append(threading.get_ident())
            return super().version(environment)

    asked = FeatureFlagManager(Reader(Watched(production=body(1, ON)), "production"))

    @feature_flag("f", manager=asked)
    async def feature() -> str:
        return "on"

    assert asyncio.run(feature()) == "on"
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


def test_a_default_may_be_plainer_than_the_feature() -> None:
    feature, off = Counted("feature"), managing(OFF)

    async def later(a: int) -> list[int]:
        return [a]

    def decorated(kind: str, default: Any) -> Any:
        return feature_flag("f", default, manager=off)(getattr(feature, kind))

    assert run(decorated("coroutine", lambda a: a), 1) == 1
    assert run(decorated("generator", lambda a: [a]), 1) == [1]
    assert run(decorated("generator", lambda a: None), 1) == []
    assert run(decorated("async_generator", lambda a: [a]), 1) == [1]
    assert run(decorated("async_generator", later), 1) == [1]


@pytest.mark.parametrize("wrong", [7, Counted, staticmethod(failing), classmethod(failing)])
def test_what_is_no_function_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="goes next to the function"):
        feature_flag("f")(wrong)


@pytest.mark.parametrize("key", [None, lambda cart: cart, 5])
def test_a_decorator_without_a_key_is_found_where_it_is_written(key: Any) -> None:
    with pytest.raises(TypeError, match="write @feature_flag"):
        feature_flag(key)


@pytest.mark.parametrize("default", [False, "basic", 0])
def test_a_default_behaviour_that_is_no_function_is_found_where_it_is_written(default: Any) -> None:
    with pytest.raises(TypeError, match="is no function"):
        feature_flag("f", default_behavior=default)


def test_types_are_kept_and_none_is_told_where_there_is_no_default() -> None:
    def plain(a: int, *, b: str = "") -> float:
        return a

    async def coroutine(a: int) -> str:
        return ""

    def generator(a: int) -> Generator[int, str, bool]:
        yield a
        return True

    kept, skipped = feature_flag("f", plain, manager=NO_ANSWER), feature_flag("f")
    assert kept(plain)(1) == 1
    if TYPE_CHECKING:  # mypy reads this, and nothing of it runs
        assert_type(kept(plain)(1, b="x"), float)
        _ = assert_type(kept(coroutine)(1), Coroutine[Any, Any, str])
        assert_type(skipped(plain)(1, b="x"), float | None)
        _ = assert_type(skipped(coroutine)(1), Coroutine[Any, Any, str | None])
        assert_type(skipped(generator)(1), Generator[int, str, bool | None])
        kept(plain)("x")  # type: ignore[arg-type]


def test_the_environment_must_say_whose_flags() -> None:
    with pytest.raises(InvalidInput, match="FLAGS_ENVIRONMENT"):
        FeatureFlagManager.from_environment({})
