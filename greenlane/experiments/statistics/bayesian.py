"""What the data say to someone without an opinion: how likely the treatment is the better one.

A summary to read beside the decision, and no rule to stop by: watching such a chance until it
passes 95 percent calls 43 of 100 tests without effect won (docs/experiments-benchmark.md).
"""

import math
from typing import NamedTuple

from greenlane.experiments.statistics.special import (
    beta_odds,
    beta_tails,
    legendre,
    log_binomial,
    normal_density,
    normal_sf,
)

_FEWEST_NODES = 48


class Belief(NamedTuple):
    """What is believed of the treatment.

    Args:
        chance: that it is better than the control, 0 to 1.
        expected_loss: how much worse than the control it is, in the mean, in units of the metric:
            0 where it is better. What choosing it may cost.
    """

    chance: float
    expected_loss: float


def of_proportions(
    control: tuple[int, int], treatment: tuple[int, int], *, higher: bool = True
) -> Belief:
    """Two proportions with flat priors; exact but for the quadrature (1e-9).

    Args:
        control: successes and users.
        treatment: likewise.
        higher: whether more is better.
    """
    one, two = ((float(x + 1), float(n - x + 1)) for x, n in (control, treatment))
    if not higher:
        one, two = one[::-1], two[::-1]
    chance = _exceeds(two, one)
    # E[(A - B)+] = E[A] P(B < A') - E[B] P(B' < A), where a prime is one success more.
    mean_one, mean_two = one[0] / sum(one), two[0] / sum(two)
    loss = mean_one * (1 - _exceeds(two, (one[0] + 1, one[1])))
    loss -= mean_two * (1 - _exceeds((two[0] + 1, two[1]), one))
    return Belief(chance, max(0.0, loss))


def _exceeds(two: tuple[float, float], one: tuple[float, float]) -> float:
    """P(Beta(*two) > Beta(*one)), by Gauss and Legendre over the logit of the former."""
    a, b = two
    low, high = (math.log(beta_odds(1e-13, a, b, upper=upper)) for upper in (False, True))
    total = 0.0
    # With few users the logit has long tails.
    for node, weight in legendre(_FEWEST_NODES + 4 * math.ceil(high - low)):
        at = (low + high) / 2 + node * (high - low) / 2
        x, y = 1 / (1 + math.exp(-at)), 1 / (1 + math.exp(at))
        # The density of the logit: that of the beta, times x y.
        density = math.exp(log_binomial(a, b, x, y)) * a * b / (a + b)
        total += weight * density * beta_tails(*one, x, y)[0]
    return min(1.0, total * (high - low) / 2)


def of_difference(difference: float, error: float, *, higher: bool = True) -> Belief:
    """Two means of many users, with a flat prior on their difference.

    Args:
        difference: treatment minus control.
        error: its standard error, above 0.
        higher: whether more is better.
    """
    z = (difference if higher else -difference) / error
    loss = error * (normal_density(z) - z * normal_sf(z))
    return Belief(normal_sf(-z), max(0.0, loss))
