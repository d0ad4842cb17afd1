"""The flags as this process has them: a snapshot that is looked after, and never trusted too long.

Within the TTL a lookup costs no I/O. After it, whoever asks first reads the tiny version item, and
the snapshot only when the version moved; the others wait for that. So a flag that is switched off
is off everywhere no later than the TTL plus one read.

A store that fails is asked again after another TTL. Until then, and up to a limit, answers come
from the last snapshot and say `STALE`; beyond the limit there are none, and the code's defaults
count.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from threading import Lock

from greenlane.flags.evaluating.engine import FORMAT, Engine
from greenlane.flags.evaluating.evaluation import ERROR, GENERAL, STALE, Evaluation, failed

TYPE_CHECKING = False  # `typing` itself costs more to import than all of this module
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from greenlane.flags.evaluating.conditions import Context
    from greenlane.flags.reading.sources import Source

EVERYWHERE_ELSE = "*"
"""The snapshot for an environment that no flag mentions."""

_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 31
_LONGEST_LOCK_SECONDS = 30.0


class Reader:
    """Keeps the engine of one environment up to date.

    Any number of threads may ask. Time is taken from two clocks, and the one by which more has
    passed counts: a sandbox that was frozen may find its monotonic clock where it was, and a clock
    on the wall can be set back.

    Args:
        source: where snapshots come from.
        environment: whose flags; one that no flag mentions gets those of `*`.
        ttl_seconds: how long a snapshot counts as the newest. 0 asks at each lookup.
        max_stale_seconds: how long a failing source's last snapshot is used, from the last time
            that it was known to be the newest.
        clock: Unix seconds; schedules go by it too.
        monotonic: seconds that never go back.
        on_failure: told of each failure to read; what it raises is not caught.

    Raises:
        InvalidInput: an environment without a name, or a time below 0.
    """

    def __init__(
        self,
        source: Source,
        environment: str,
        *,
        ttl_seconds: float = 5.0,
        max_stale_seconds: float = 3600.0,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        on_failure: Callable[[Exception], None] | None = None,
    ) -> None:
        """See the class."""
        _check(environment, ttl_seconds, max_stale_seconds)
        self.source, self.environment = source, environment
        self.ttl_seconds, self.max_stale_seconds = ttl_seconds, max_stale_seconds
        self.clock, self.monotonic, self.on_failure = clock, monotonic, on_failure
        self.failure: Exception | None = None
        """Why the last read failed; None when it did not."""
        self._lock, self._process = Lock(), os.getpid()
        self._expired = False
        self._loaded: Engine | None = None
        self._seen: tuple[str, int] | None = None
        self._held: tuple[str, int] | None = None
        self._good = (0.0, 0.0)
        # What is answered, and on each clock from when to when: one name, so that it is swapped
        # as one and lookups need no lock.
        self._now: tuple[Engine | None, bool, float, float, float] = (None, True, 0.0, 0.0, 0.0)

    def engine(self) -> tuple[Engine | None, bool]:
        """The engine and whether it may be out of date; it never raises for the source.

        None when nothing was ever read, or when it has become too old: the code's defaults count.
        """
        engine, stale, since, until, monotonic_until = self._now
        if since <= self.clock() < until and self.monotonic() < monotonic_until:
            return engine, stale
        return self._refreshed()

    @property
    def reads(self) -> str:
        """Whose snapshot is read: the environment's own, or that of `*`."""
        return self._held[0] if self._held is not None and self._held[0] else self.environment

    def due(self) -> bool:
        """Whether the next lookup may read the source. An event loop asks this first."""
        _, _, since, until, monotonic_until = self._now
        return not (since <= self.clock() < until and self.monotonic() < monotonic_until)

    def expire(self) -> None:
        """Let the next lookup read the source, whatever the TTL says."""
        self._expired = True
        engine, stale, *_ = self._now
        self._now = (engine, stale, 0.0, 0.0, 0.0)

    def evaluate(self, key: str, context: Context) -> Evaluation:
        """What a flag is for somebody, now; see `Engine.evaluate`. It never raises.

        Reason `STALE` when the store could not be asked, error `GENERAL` when there is no snapshot.
        """
        try:
            # As `engine` does it, without a call more: this is the way of every lookup.
            engine, stale, since, until, monotonic_until = self._now
            now = self.clock()
            if not (since <= now < until and self.monotonic() < monotonic_until):
                engine, stale = self._refreshed()
                now = self.clock()
            if engine is None:
                return failed(key, GENERAL, self._without())
            found = engine.evaluate(key, context, now)
        except Exception as error:
            # Clocks and those who are told of failures are the caller's.
            return failed(key, GENERAL, type(error).__name__)
        return as_stale(found) if stale else found

    def detailed(self, key: str, context: Context) -> tuple[Engine | None, Evaluation]:
        """As `evaluate`, with the engine that said it; raises what the clocks raise."""
        engine, stale = self.engine()
        if engine is None:
            return None, failed(key, GENERAL, self._without())
        found = engine.evaluate(key, context, self.clock())
        return engine, as_stale(found) if stale else found

    def evaluate_all(self, context: Context) -> list[Evaluation] | None:
        """Every flag, in the order of their keys; None without a snapshot."""
        engine, stale = self.engine()
        if engine is None:
            return None
        found = engine.evaluate_all(context, self.clock())
        return [as_stale(one) for one in found] if stale else found

    def _without(self) -> str:
        why = "none was ever read" if self.failure is None else type(self.failure).__name__
        return f"there is no snapshot of the flags: {why}"

    def _refreshed(self) -> tuple[Engine | None, bool]:
        if self._process != os.getpid():
            # Whoever held the lock when this process was forked is not here to release it.
            self._lock, self._process = Lock(), os.getpid()
        # While the store fails, nobody waits for somebody else's timeout: what would be answered
        # after it is what is answered now.
        waits, before = self.failure is None, self._now
        if not self._lock.acquire(timeout=_LONGEST_LOCK_SECONDS if waits else 0):
            return self._aged()
        try:
            # What somebody else has just read counts, however long that took: a slow store is not
            # asked by one after the other. What was read before `expire` does not.
            if self.due() and (self._now is before or self._expired):
                self._refresh()
            engine, stale, *_ = self._now
            return engine, stale
        finally:
            self._lock.release()

    def _refresh(self) -> None:
        # The TTL counts from before the read: what was changed while it went on may be missing.
        began = (self.clock(), self.monotonic())
        self._expired = False
        try:
            current = self._read(began)
        except Exception as error:
            # Whatever it is, a flag's lookup goes on without it.
            self._failed(error)
            return
        if not current:
            self._failed(LookupError("the snapshot of a newer version is not there yet"))
            return
        self.failure = None
        self._good = began
        self._now = self._fresh(began, self.ttl_seconds)
        if self._expired:  # while it was read
            self._now = self._fresh(began, 0.0)

    def _fresh(
        self, began: tuple[float, float], ttl: float
    ) -> tuple[Engine | None, bool, float, float, float]:
        return self._loaded, False, began[0], began[0] + ttl, began[1] + ttl

    def _failed(self, error: Exception) -> None:
        """Answers are stale from now on, and the source is asked again after a TTL."""
        self.failure = error
        wall, monotonic = self.clock(), self.monotonic()
        left = self._left(wall, monotonic)
        engine = self._loaded if left > 0 else None
        soon = min(self.ttl_seconds, left) if left > 0 else self.ttl_seconds
        self._now = (engine, True, wall, wall + soon, monotonic + soon)
        if self.on_failure is not None:
            self.on_failure(error)

    def _left(self, wall: float, monotonic: float) -> float:
        """For how many seconds the last snapshot may still be used."""
        aged = max(wall - self._good[0], monotonic - self._good[1])
        return -1.0 if self._loaded is None else self.max_stale_seconds - aged

    def _aged(self) -> tuple[Engine | None, bool]:
        """The last snapshot if it may still be used, without waiting for anybody."""
        fresh_enough = self._left(self.clock(), self.monotonic()) > 0
        return (self._loaded if fresh_enough else None), True

    def _read(self, began: tuple[float, float]) -> bool:
        """Load what the source has; whether that is the newest that it tells of."""
        name, version = self.environment, self.source.version(self.environment)
        if version is None and name != EVERYWHERE_ELSE:
            name, version = EVERYWHERE_ELSE, self.source.version(EVERYWHERE_ELSE)
        if version is None:
            self._empty()
            return True
        if self._seen == (name, version):
            return True
        found = self.source.snapshot(name)
        if found is None:
            return False
        number, body = found
        # Replicas of a table do not keep transactions whole: the version may come first.
        whole = number >= version
        if whole or self._held is None or self._held[0] != name or number > self._held[1]:
            self._loaded = self._load(body)
            self._held, self._good = (name, number), began
        if whole:
            self._seen = (name, number)
        return whole

    def _empty(self) -> None:
        """No flag was ever written, or all are gone: each is unknown."""
        if self._seen != ("", 0):
            self._loaded = self._nothing()
            self._seen = self._held = ("", 0)

    def _load(self, body: bytes) -> Any:
        """What answers out of a snapshot; another kind of reader makes something else of it."""
        snapshot = read_body(body)
        if isinstance(snapshot, dict):
            snapshot["environment"] = self.environment
        return Engine(snapshot)

    def _nothing(self) -> Any:
        """What answers where there is no snapshot."""
        nothing: dict[str, Any] = {"format": FORMAT, "version": 0, "segments": {}, "flags": {}}
        return Engine(nothing | {"environment": self.environment})


def as_stale(found: Evaluation) -> Evaluation:
    """The same answer, saying that it may be out of date; an error stays as it is."""
    return found if found.reason == ERROR else found._replace(reason=STALE)


def read_body(body: bytes) -> Any:
    """The JSON of a snapshot's body, which may be gzipped."""
    return json.loads(zlib.decompress(body, _GZIP_WINDOW) if body[:2] == _GZIP else body)


def _check(environment: object, ttl_seconds: float, max_stale_seconds: float) -> None:
    if not isinstance(environment, str) or not environment:
        raise _refused("environment", environment, "name it, such as production")
    for name, value in (("ttl_seconds", ttl_seconds), ("max_stale_seconds", max_stale_seconds)):
        if not 0 <= value < float("inf"):
            raise _refused(name, value, "give seconds, 0 or more")


def _refused(field: str, value: object, way_out: str) -> Exception:
    from greenlane.errors import InvalidInput  # not on the way of a lookup

    return InvalidInput(field, value, way_out)
