"""A store and clocks for the tests of who reads snapshots."""

import gzip
import json
from typing import Any

from greenlane.flags import FeatureFlagManager
from greenlane.flags.reading.reader import Reader
from tests.unit.flags.flagging import NOW, flag, rule


class Time:
    """Both of a sandbox's clocks; a frozen one finds its monotonic clock where it was."""

    def __init__(self) -> None:
        self.wall, self.running = NOW, 0.0

    def clock(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.running

    def passes(self, seconds: float, *, frozen: bool = False) -> None:
        self.wall += seconds
        self.running += 0 if frozen else seconds


def body(version: int = 1, flags: dict[str, Any] | None = None, **more: Any) -> bytes:
    """A snapshot as it is stored; the flag `f` is on for everybody."""
    snapshot = {
        "format": 1,
        "version": version,
        "environment": "production",
        "segments": {},
        "flags": {"f": flag(rule())} if flags is None else flags,
    }
    # The same bytes at each call: some are the names of tests.
    return gzip.compress(json.dumps(snapshot | more).encode(), mtime=0)


class Shelf:
    """A source in memory that counts what it is asked, and fails while `broken` is set."""

    def __init__(self, **snapshots: bytes) -> None:
        self.versions: dict[str, int] = {}
        self.bodies: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []
        self.broken: Exception | None = None
        for name, found in snapshots.items():
            self.put(1, found, name)

    def put(self, version: int, found: bytes, name: str = "production") -> None:
        self.versions[name], self.bodies[name] = version, (version, found)

    def version(self, environment: str) -> int | None:
        self.asked.append(f"version {environment}")
        if self.broken is not None:
            raise self.broken
        return self.versions.get(environment)

    def snapshot(self, environment: str) -> tuple[int, bytes] | None:
        self.asked.append(f"snapshot {environment}")
        if self.broken is not None:
            raise self.broken
        return self.bodies.get(environment)


def managing(flags: dict[str, Any]) -> FeatureFlagManager:
    """A manager of these flags that stay as they are."""
    return FeatureFlagManager(Reader(Shelf(production=body(1, flags)), "production"))
