"""What can go wrong with one AWS call, and which call it happens to."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Kind = Literal[
    "before", "after", "timeout", "late", "throttled", "denied", "slow", "killed", "killed_after"
]
KINDS: tuple[Kind, ...] = (
    *("before", "after", "timeout", "late", "throttled", "denied", "slow"),
    *("killed", "killed_after"),
)
"""An error without effect and one with; no answer without effect, and with one 20 s later; a burst
of throttling; a permission that is gone; an answer after 2 s; the process gone before and after."""

BURST_SECONDS, LATE_SECONDS, SLOW_SECONDS = 20.0, 20.0, 2.0


class Site(NamedTuple):
    """The n-th time that a function makes a call."""

    caller: str
    service: str
    operation: str
    number: int

    @property
    def call(self) -> tuple[str, str, str]:
        """Which call it is, whenever."""
        return self.caller, self.service, self.operation

    def __str__(self) -> str:
        return f"{self.caller} {self.service}.{self.operation} #{self.number}"


class Faults:
    """Chooses the fault of each call, and remembers every call that was made.

    `at_call` holds what else begins at the n-th call of all; `besides` is asked about the calls
    that nothing was chosen for; `phase` tells the phase on record, to be kept with each call.
    """

    def __init__(self, choose: Callable[[Site], Kind | None] | None = None) -> None:
        self._choose = choose or (lambda site: None)
        self._count: Counter[tuple[str, str, str]] = Counter()
        self._bursts: dict[tuple[str, str, str], tuple[float, Kind]] = {}
        self.sites: list[Site] = []
        self.struck: list[tuple[Site, Kind]] = []
        self.at_call: dict[int, Callable[[], None]] = {}
        self.besides: Callable[[Site], Kind | None] = lambda site: None
        self.phase: Callable[[], str] | None = None
        self.phases: list[str] = []

    def of(self, caller: str, service: str, operation: str, now: float) -> Kind | None:
        """The fault of the call that is about to be made."""
        call = caller, service, operation
        self._count[call] += 1
        site = Site(*call, self._count[call])
        self.sites.append(site)
        if self.phase is not None:
            self.phases.append(self.phase())
        if len(self.sites) in self.at_call:
            self.at_call.pop(len(self.sites))()
        until, refused = self._bursts.get(call, (-1.0, "throttled"))
        if now < until:
            return refused
        kind = self._choose(site)
        if kind is None:
            return self.besides(site)
        self.struck.append((site, kind))
        if kind in ("throttled", "denied"):
            self._bursts[call] = now + (BURST_SECONDS if kind == "throttled" else 1e9), kind
        return kind

    def calm(self) -> None:
        """Nothing goes wrong any more."""
        self._choose = self.besides = lambda site: None
        self._bursts.clear()
        self.at_call.clear()


def one(site: Site, kind: Kind) -> Faults:
    """Exactly this call fails so."""
    return Faults(lambda found: kind if found == site else None)


@dataclass
class Random:
    """Each call fails with a small chance, by seed; permissions stay."""

    seed: int
    chance: float = 0.01
    most: int = 3
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._left = self.most

    def faults(self) -> Faults:
        """The faults of one run."""
        kinds = [kind for kind in KINDS if kind != "denied"]

        def choose(_: Site) -> Kind | None:
            if self._left and self._random.random() < self.chance:
                self._left -= 1
                return self._random.choice(kinds)
            return None

        return Faults(choose)
