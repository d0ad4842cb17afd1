"""The data plane: balancer nodes that learn weights late, and what clients get from them.

Requests flow at a constant rate. Between two changes nothing varies, so what happened is summed
span by span into minutes, as the balancer's metrics have them.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from tests.faults.kernel import Kernel

SLOTS = ("blue", "green")
NODES = 3
COOKIES = 0.5


@dataclass
class Minute:
    """What one slot answered in a minute; fractions of requests are kept."""

    requests: float = 0.0
    errors: float = 0.0
    resets: float = 0.0


@dataclass
class Losses:
    """Requests that failed, by whose fault."""

    without_target: float = 0.0
    bad_version: float = 0.0
    dead_task: float = 0.0


@dataclass
class Traffic:
    """What the nodes do with requests.

    Args:
        kernel: the time.
        serving: targets of a slot now, as (good, bad, dead but not noticed).
        per_second: requests.
        error_ratio: of a bad version's answers.
    """

    kernel: Kernel
    serving: Callable[[str], tuple[int, int, int]]
    per_second: float = 20.0
    error_ratio: float = 0.25
    minutes: dict[int, dict[str, Minute]] = field(
        default_factory=lambda: defaultdict(lambda: {slot: Minute() for slot in SLOTS})
    )
    lost: Losses = field(default_factory=Losses)
    nodes: list[dict[str, float]] = field(
        default_factory=lambda: [{"blue": 1.0, "green": 0.0} for _ in range(NODES)]
    )
    learned: Callable[[], None] = lambda: None
    _since: float = 0.0
    _writes: int = 0
    _known: list[int] = field(default_factory=lambda: [0] * NODES)

    def write(self, weights: dict[str, int], delays: list[float], *, sticky: bool) -> None:
        """Nodes learn new weights, each after its delay, and never go back to older ones."""
        self._writes += 1
        for node, delay in enumerate(delays):
            self.kernel.after(delay, partial(self._learn, node, self._writes, weights, sticky))

    def _learn(self, node: int, number: int, weights: dict[str, int], sticky: bool) -> None:
        """Half of the clients hold a cookie; as long as it counts, they stay where they are."""
        if number <= self._known[node]:
            return
        self.settle()
        self._known[node] = number
        stay = COOKIES if sticky else 0.0
        total = sum(weights.values())
        self.nodes[node] = {
            slot: stay * share + (1 - stay) * weights[slot] / total
            for slot, share in self.nodes[node].items()
        }
        self.learned()

    def share(self, slot: str) -> float:
        """The most that any node sends to a slot now, 0..1."""
        return max(shares[slot] for shares in self.nodes)

    def settle(self) -> None:
        """Sum up what happened since the last change; call it before each."""
        begun, self._since = self._since, self.kernel.seconds
        while begun < self._since:
            minute = int(begun // 60)
            ended = min(self._since, (minute + 1) * 60.0)
            self._span(self.minutes[minute], ended - begun)
            begun = ended

    def _span(self, minute: dict[str, Minute], seconds: float) -> None:
        for shares in self.nodes:
            for slot, share in shares.items():
                sent = self.per_second * seconds / NODES * share
                if not sent:
                    continue
                good, bad, dead = self.serving(slot)
                count = good + bad + dead
                if not count:
                    self.lost.without_target += sent
                    continue
                failed, reset = sent * bad / count * self.error_ratio, sent * dead / count
                minute[slot].requests += sent
                minute[slot].errors += failed
                minute[slot].resets += reset
                self.lost.bad_version += failed
                self.lost.dead_task += reset
