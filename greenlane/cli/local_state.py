"""Finding the local cloud that runs in a directory, without importing it: that takes seconds."""

import fcntl
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True)
class LocalState:
    """What a command needs of a local cloud; `greenlane.local.daemon.DaemonState` has more."""

    endpoint_url: str
    region: str
    origin: datetime
    time_scale: float


def find_local(directory: Path) -> LocalState | None:
    """The local cloud that runs in a directory; None when none does, or it is not ready.

    A living daemon holds a lock, so what a crash left behind is not taken for one.
    """
    if not _is_locked(directory / "lock"):
        return None
    try:
        found = json.loads((directory / "state.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return LocalState(
        endpoint_url=found["endpoint_url"],
        region=found["region"],
        origin=datetime.fromisoformat(found["origin"]),
        time_scale=found["time_scale"],
    )


def _is_locked(path: Path) -> bool:
    try:
        lock = path.open(encoding="utf-8")
    except FileNotFoundError:
        return False
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
