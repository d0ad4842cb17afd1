"""Two proportions: the score test, its intervals by inversion, and Fisher's for small counts.

The interval of the difference is Mee's (1984), that of the ratio Koopman's (1984), both as
Miettinen and Nurminen (1985) compute them, without their factor N / (N - 1), so that they invert
the pooled z-test itself.
"""

import math
from collections.abc import Callable

from greenlane.experiments.statistics.effects import Effect, Interval, agreeing, shown
from greenlane.experiments.statistics.special import log_binomial, root, two_sided

FEWEST_EXPECTED = 5
"""In each cell, below which the exact test must reject too."""


def compare_proportions(
    control: tuple[int, int], treatment: tuple[int, int], critical: float
) -> Effect:
    """The score test of two proportions.

    Where fewer than 5 are expected in a cell, the p-value is the larger of the score test's and
    of Fisher's (twice its smaller tail), and an interval that only the score test would keep off 0
    is stretched to it.

    Args:
        control: successes and users, at least one user.
        treatment: likewise.
        critical: of |z|, at this look.
    """
    (xc, nc), (xt, nt) = control, treatment
    pc, pt = xc / nc, xt / nt
    difference = pt - pc
    pooled = (xc + xt) / (nc + nt)
    error = math.sqrt(pooled * (1 - pooled) * (1 / nc + 1 / nt))
    level = two_sided(critical)
    z = difference / error if error else 0.0
    p_value, significant, test = two_sided(z), abs(z) >= critical, "score"
    fewest = min(xc + xt, nc + nt - xc - xt) * min(nc, nt) / (nc + nt)
    if fewest < FEWEST_EXPECTED:
        exact = fisher(control, treatment)
        p_value, test = max(p_value, exact), "score and Fisher"
        significant = significant and exact <= level
    of_difference = score_interval(control, treatment, critical)
    of_lift = score_lift(control, treatment, critical) if xc else None
    return Effect(
        "compared",
        test,
        (nc, nt),
        control=pc,
        treatment=pt,
        statistic=z,
        p_value=p_value,
        level=level,
        significant=significant,
        difference=difference,
        difference_interval=shown(agreeing(of_difference, significant, difference)),
        lift=pt / pc - 1 if xc else None,
        lift_interval=shown(agreeing(of_lift, significant, difference)),
        error=error,
    )


def score_interval(
    control: tuple[int, int], treatment: tuple[int, int], critical: float
) -> Interval:
    """All differences of proportions that the score test does not reject."""
    (xc, nc), (xt, nt) = control, treatment
    pc, pt = xc / nc, xt / nt

    def z(delta: float) -> float:
        one, two = _constrained(xc, nc, xt, nt, delta)
        spread = one * (1 - one) / nc + two * (1 - two) / nt
        away = pt - pc - delta
        if spread <= 0:
            return math.copysign(math.inf, away) if abs(away) > 1e-12 else 0.0
        return away / math.sqrt(spread)

    return _inverted(z, pt - pc, -1.0, 1.0, critical)


def _inverted(
    z: Callable[[float], float], estimate: float, least: float, most: float, critical: float
) -> Interval:
    """Where a falling statistic is `critical` below and above its zero at the estimate."""

    def limited(number: float) -> float:
        return max(-1e6, min(1e6, number))

    low = root(lambda at: limited(z(at)) - critical, least, estimate)
    high = root(lambda at: limited(z(at)) + critical, estimate, most)
    return Interval(low, high)


def _constrained(xc: int, nc: int, xt: int, nt: int, delta: float) -> tuple[float, float]:
    """The likeliest proportions of control and treatment that differ by delta: a cubic's root.

    Names as in Miettinen and Nurminen's appendix.
    """
    n = nc + nt
    l2 = (nt + 2 * nc) * delta - n - xc - xt
    l1 = (nc * delta - n - 2 * xc) * delta + xc + xt
    l0 = xc * delta * (1 - delta)
    third = l2 / (3 * n)
    q = third**3 - l1 * l2 / (6 * n * n) + l0 / (2 * n)
    p = math.copysign(math.sqrt(max(0.0, third * third - l1 / (3 * n))), q)
    found = -third
    if p != 0.0:
        angle = (math.pi + math.acos(max(-1.0, min(1.0, q / p**3)))) / 3
        found += 2 * p * math.cos(angle)
    one = max(0.0, -delta, min(1.0, 1.0 - delta, found))
    return one, max(0.0, min(1.0, one + delta))


def score_lift(control: tuple[int, int], treatment: tuple[int, int], critical: float) -> Interval:
    """All lifts (ratio of proportions, less 1) that the score test does not reject.

    Args:
        control: successes and users, at least one success.
        treatment: successes and users.
        critical: of |z|.
    """
    (xc, nc), (xt, nt) = control, treatment
    pc, pt = xc / nc, xt / nt

    def z(log_ratio: float) -> float:
        ratio = math.exp(log_ratio)
        a = (nc + nt) * ratio
        b = nt * ratio + xt + nc + xc * ratio
        inner = math.sqrt(max(0.0, b * b - 4 * a * (xc + xt)))
        one = min(1.0, 2 * (xc + xt) / (b + inner))
        two = min(1.0, ratio * one)
        spread = two * (1 - two) / nt + ratio * ratio * one * (1 - one) / nc
        away = pt - ratio * pc
        if spread <= 0:
            return math.copysign(math.inf, away) if abs(away) > 1e-12 else 0.0
        return away / math.sqrt(spread)

    middle = math.log(pt / pc) if xt else -60.0
    found = _inverted(z, middle, -60.0, 60.0, critical)
    low = math.expm1(found.low) if xt else -1.0
    return Interval(low, math.expm1(found.high) if found.high < 59 else math.inf)


def fisher(control: tuple[int, int], treatment: tuple[int, int]) -> float:
    """Fisher's exact test, central: twice the smaller tail, at most 1."""
    (xc, nc), (xt, nt) = control, treatment
    total = xc + xt
    lowest, highest = max(0, total - nc), min(total, nt)

    def tail(step: int) -> float:
        """P(at most xt) for -1, P(at least xt) for 1: from xt outwards, until nothing is added."""
        found = term = math.exp(_log_hypergeometric(xt, nt, total - xt, nc))
        x = xt
        while lowest <= x + step <= highest and term > found * 1e-18:
            if step > 0:
                term *= (nt - x) / (x + 1) * ((total - x) / (nc - total + x + 1))
            else:
                term *= x / (nt - x + 1) * ((nc - total + x) / (total - x + 1))
            x += step
            found += term
        return found

    return min(1.0, 2 * min(tail(-1), tail(1)))


def _log_hypergeometric(xt: int, nt: int, xc: int, nc: int) -> float:
    """From three binomials of one p, as Loader does; any p between 0 and 1 would do."""
    p = (xt + xc) / (nt + nc)
    q = (nt + nc - xt - xc) / (nt + nc)
    if p in (0.0, 1.0):
        return 0.0
    both = log_binomial(xt, nt - xt, p, q) + log_binomial(xc, nc - xc, p, q)
    return both - log_binomial(xt + xc, nt + nc - xt - xc, p, q)
