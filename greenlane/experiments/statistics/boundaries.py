"""Group-sequential tests: how large |z| must be at each look, so that all together keep alpha.

Alpha is spent by the calendar, after Lan and DeMets (1983), in the manner of O'Brien and Fleming:
at a share tau of the longest duration, 4 (1 - Phi(z(alpha/4) / sqrt(tau))) of it. Early looks cost
next to nothing, and the last one is nearly that of a test with one look.

Between looks the sum behind z moves like Brownian motion, by how much more information there is.
The density of what no earlier look decided is carried from look to look by Gauss and Legendre's
rule (Armitage, McPherson and Rowe 1969).
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from greenlane.experiments.statistics.special import legendre, normal_isf, normal_sf, root

LARGEST_BOUND = 8.0
"""No look asks for more: |z| above it has a probability of 1e-15."""

LEAST_GROWTH = 1.02
"""A look with less than 2 percent more information than the one before is none, and costs none."""

_FEWEST_NODES = 48
_PER_SPREAD = 1.6
"""Nodes for each standard deviation of a step; the rule is exact to 1e-10 with them."""


class Bounded(NamedTuple):
    """A look that was taken.

    Args:
        tau: the share of the longest duration that had passed, above 0, at most 1.
        information: in any unit, the same for all looks.
        bound: of |z|.
    """

    tau: float
    information: float
    bound: float


_DEPTH = 100

Density = list[tuple[float, float]]
"""Points of the sum behind z, and the probability that stands for each."""


def spent(alpha: float, tau: float) -> float:
    """How much of alpha is spent up to a share of the longest duration, two-sided."""
    if tau >= 1:
        return alpha
    return 4 * normal_sf(normal_isf(alpha / 4) / math.sqrt(tau)) if tau > 0 else 0.0


def is_a_look(looks: Sequence[Bounded], tau: float, information: float) -> bool:
    """Whether there is enough that is new; the last one, at tau 1, always counts."""
    if tau >= 1 or not looks:
        return information > 0
    return tau > looks[-1].tau and information >= looks[-1].information * LEAST_GROWTH


def next_bound(looks: Sequence[Bounded], tau: float, information: float, alpha: float) -> Bounded:
    """The bound of one more look.

    Args:
        looks: those that were taken, oldest first; they stay what they were.
        tau: now; see `is_a_look`.
        information: now. The last look may have less than 2 percent more than the one before; it is
            then taken to have that much, which asks for a little more than it need.
        alpha: of all looks together, two-sided.
    """
    if looks:
        information = max(information, looks[-1].information * LEAST_GROWTH)
    density, crossed = _carried(looks)
    left = spent(alpha, min(tau, 1.0)) - crossed
    step, width = _step(looks, information)

    def excess(bound: float) -> float:
        return 2 * _tail(density, step, bound * width) - left

    if left <= 0 or excess(LARGEST_BOUND) > 0:
        return Bounded(tau, information, LARGEST_BOUND)
    return Bounded(tau, information, root(excess, 0.0, LARGEST_BOUND))


def crossings(looks: Sequence[Bounded], drift: float) -> list[tuple[float, float]]:
    """With an effect, how likely each look is the first outside: below and above its bounds.

    Args:
        looks: oldest first.
        drift: what z is in the mean at the last look.
    """
    found = []
    density: Density = []
    for number, (_, information, bound) in enumerate(looks):
        before = looks[:number]
        step, width = _step(before, information)
        moved = _moved(before, information, drift, looks[-1].information)
        high = _tail(density, step, bound * width - moved)
        low = _tail(density, step, bound * width + moved, below=True)
        found.append((low, high))
        if number + 1 < len(looks):
            density = _next(density, step, moved, bound * width)
    return found


def power_at(looks: Sequence[Bounded], drift: float) -> float:
    """The chance to be above a bound at any of the looks, given the mean of z at the last one."""
    return sum(high for _, high in crossings(looks, drift))


def honest(looks: Sequence[Bounded], z: float, share: float = 0.5) -> float:
    """The effect, in units of z at the last look, after looks that could have ended the test.

    Median-unbiased in the stage-wise ordering (Armitage 1957; Tsiatis, Rosner and Mehta 1984):
    as often too large as too small, while z itself is too large after an early end.

    Args:
        looks: up to the one that ended the test, which may have ended it by its bound or by time.
        z: at the last of them.
        share: 0.5 for the estimate; 0.025 and 0.975 for the ends of a 95 percent interval.
    """
    sign = 1.0 if z >= 0 else -1.0
    reached = [*looks[:-1], looks[-1]._replace(bound=abs(z))]

    def more_extreme(drift: float) -> float:
        """How likely an end above is earlier, or as late and further out; minus the share."""
        return power_at(reached, drift) - wanted

    wanted = share if sign > 0 else 1 - share
    return sign * root(more_extreme, abs(z) - 12, abs(z) + 8)


def _carried(looks: Sequence[Bounded]) -> tuple[Density, float]:
    """Without an effect: the density after the looks, and how likely one of them was crossed."""
    taken = tuple(looks)
    for number in range(_DEPTH, len(taken), _DEPTH):
        _carried_over(taken[:number])  # so that the recursion stays shallow
    return _carried_over(taken)


@lru_cache(maxsize=1024)
def _carried_over(looks: tuple[Bounded, ...]) -> tuple[Density, float]:
    if not looks:
        return [], 0.0
    density, crossed = _carried_over(looks[:-1])
    _, information, bound = looks[-1]
    step, width = _step(looks[:-1], information)
    crossed += 2 * _tail(density, step, bound * width)
    return _next(density, step, 0.0, bound * width), crossed


def _step(before: Sequence[Bounded], information: float) -> tuple[float, float]:
    """The standard deviation of the next step of the sum, and of the sum after it."""
    so_far = before[-1].information if before else 0.0
    return math.sqrt(information - so_far), math.sqrt(information)


def _moved(before: Sequence[Bounded], information: float, drift: float, whole: float) -> float:
    so_far = before[-1].information if before else 0.0
    return drift * (information - so_far) / math.sqrt(whole)


def _tail(density: Density, step: float, limit: float, *, below: bool = False) -> float:
    """The probability to step above a limit, or below its negative."""
    if not density:
        return normal_sf(limit / step)
    sign = -1.0 if below else 1.0
    scale = 1 / (step * math.sqrt(2))
    erfc = math.erfc
    return 0.5 * math.fsum(mass * erfc((limit - sign * at) * scale) for at, mass in density)


def _next(density: Density, step: float, moved: float, limit: float) -> Density:
    """The density after a step, of what stays within the limits."""
    nodes = max(_FEWEST_NODES, 16 * math.ceil(_PER_SPREAD * 2 * limit / step / 16))
    factor, front = -0.5 / (step * step), 1 / (step * math.sqrt(2 * math.pi))
    starts = density or [(0.0, 1.0)]
    exp = math.exp
    found = []
    for node, weight in legendre(nodes):
        at = node * limit
        sum_ = 0.0
        for start, mass in starts:
            away = at - start - moved
            sum_ += mass * exp(factor * away * away)
        found.append((at, weight * limit * front * sum_))
    return found
