"""The one source of "now".

Domain code takes a `Clock` as an argument. Entry points (functions, the command line) ask
`current_clock()`, so that the local cloud can compress time in one place.
"""

import time
from datetime import UTC, datetime

TYPE_CHECKING = False  # a lookup of a flag imports this module, and `typing` costs more than it
if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object


class Clock(Protocol):
    """Tells the present instant."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        return datetime.now(UTC)


class ScaledClock:
    """A clock that runs `scale` times as fast as the machine's, from `origin` on.

    Args:
        origin: the instant at which both clocks showed the same, aware, in UTC.
        scale: virtual seconds for each real second; more than 0.
    """

    def __init__(self, origin: datetime, scale: float) -> None:
        """See the class."""
        if scale <= 0:
            raise ValueError(f"a clock's scale must be more than 0, not {scale}")
        self.origin = origin
        self.scale = scale

    def now(self) -> datetime:
        """The present virtual instant, aware, in UTC."""
        return self.virtual(datetime.now(UTC))

    def virtual(self, real: datetime) -> datetime:
        """The virtual instant at the real instant `real`."""
        return self.origin + (real - self.origin) * self.scale

    def real_seconds(self, virtual_seconds: float) -> float:
        """How long a span of virtual seconds lasts on the wall, in seconds."""
        return virtual_seconds / self.scale


_current: Clock = SystemClock()


def current_clock() -> Clock:
    """The clock of this process: the machine's, unless `set_clock` chose another."""
    return _current


def set_clock(clock: Clock) -> None:
    """Choose the clock of this process (the local cloud does, to compress time)."""
    global _current
    _current = clock


def ticks() -> float:
    """Seconds since some instant, which never go back and pass as those of `current_clock()` do."""
    scale = _current.scale if isinstance(_current, ScaledClock) else 1.0
    return time.monotonic() * scale
