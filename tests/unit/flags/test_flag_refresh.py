"""What an event loop does while the flags are read."""

import asyncio
import threading

import pytest

from greenlane.flags import FeatureFlagManager
from greenlane.flags.reading.reader import Reader
from greenlane.flags.sdk.decorator import feature_flag
from tests.unit.flags.reading import Shelf, Time, body


class Held(Shelf):
    """A store that answers when the test says so."""

    def __init__(self) -> None:
        super().__init__(production=body())
        self.go_on = threading.Event()
        self.threads = 0

    def version(self, environment: str) -> int | None:
        self.threads += 1
        self.go_on.wait(10)
        return super().version(environment)


def manager(shelf: Shelf, at: Time | None = None) -> FeatureFlagManager:
    at = at or Time()
    reader = Reader(shelf, "production", clock=at.clock, monotonic=at.monotonic)
    return FeatureFlagManager(reader)


def test_tasks_that_wait_for_the_flags_leave_threads_for_others() -> None:
    shelf = Held()
    flags = manager(shelf)

    @feature_flag("f", manager=flags)
    async def decorated() -> int:
        return 1

    async def main() -> list[int | None]:
        tasks = [asyncio.ensure_future(decorated()) for _ in range(200)]
        await asyncio.sleep(0)
        # With all threads taken this would wait for the store, which waits for it.
        await asyncio.wait_for(asyncio.to_thread(shelf.go_on.set), 5)
        return await asyncio.gather(*tasks)

    assert asyncio.run(main()) == [1] * 200
    assert shelf.threads == 1


def test_a_cancelled_task_takes_no_other_with_it() -> None:
    shelf = Held()
    flags = manager(shelf)

    async def main() -> None:
        first, second = (asyncio.ensure_future(flags.refresh()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        shelf.go_on.set()
        await second

    asyncio.run(main())
    assert flags.is_feature_enabled("f", {}) is True


def test_each_event_loop_waits_for_itself() -> None:
    at, shelf = Time(), Shelf(production=body())
    flags = manager(shelf, at)
    for count in (1, 2):
        asyncio.run(flags.refresh())
        assert shelf.asked.count("version production") == count
        at.passes(6)
