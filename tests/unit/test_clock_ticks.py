"""The seconds that go on as the clock of the process does."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from greenlane import clock


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = clock.current_clock()
    yield
    clock.set_clock(before)


@pytest.mark.parametrize(
    ("chosen", "seconds"),
    [(clock.SystemClock(), 7.0), (clock.ScaledClock(datetime.now(UTC), scale=60), 420.0)],
    ids=["of the machine", "compressed"],
)
def test_ticks_pass_as_the_seconds_of_the_clock_that_was_chosen(
    monkeypatch: pytest.MonkeyPatch, chosen: clock.Clock, seconds: float
) -> None:
    clock.set_clock(chosen)
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    before = clock.ticks()
    monkeypatch.setattr(time, "monotonic", lambda: 107.0)

    assert clock.ticks() - before == seconds
