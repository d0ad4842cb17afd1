import asyncio
from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest

from greenlane.flags import feature_flag
from tests.unit.flags.flagging import flag, rule
from tests.unit.flags.reading import managing

ON = managing({"f": flag(rule())})


class Wrong(Exception):
    pass


@feature_flag("f", manager=ON)
def echo() -> Generator[Any, Any, str]:
    got = []
    try:
        for _ in range(3):
            try:
                got.append((yield len(got)))
            except Wrong:
                got.append("caught")
    finally:
        CLOSED.append("generator")
    return repr(got)


@feature_flag("f", manager=ON)
async def async_echo() -> AsyncGenerator[Any, Any]:
    got = []
    try:
        for _ in range(3):
            try:
                got.append((yield len(got)))
            except Wrong:
                got.append("caught")
        yield repr(got)
    finally:
        CLOSED.append("async generator")


CLOSED: list[str] = []


def test_generators_take_values_and_exceptions_and_return() -> None:
    generator = echo()
    assert [next(generator), generator.send("a"), generator.throw(Wrong())] == [0, 1, 2]
    with pytest.raises(StopIteration) as ended:
        generator.send("b")
    assert ended.value.value == "['a', 'caught', 'b']"

    CLOSED.clear()
    unfinished = echo()
    next(unfinished)
    unfinished.close()
    assert CLOSED == ["generator"]


def test_asynchronous_generators_take_values_and_exceptions_too() -> None:
    async def driven() -> list[Any]:
        generator = async_echo()
        found = [await anext(generator), await generator.asend("a")]
        found += [await generator.athrow(Wrong()), await generator.asend("b")]
        with pytest.raises(StopAsyncIteration):
            await anext(generator)
        CLOSED.clear()
        unfinished = async_echo()
        await anext(unfinished)
        await unfinished.aclose()
        return found

    assert asyncio.run(driven()) == [0, 1, 2, "['a', 'caught', 'b']"]
    assert CLOSED == ["async generator"]
