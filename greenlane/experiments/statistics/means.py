"""Means, ratios of totals and CUPED: Welch's test, and Fieller's interval of the lift.

Sources: Welch 1947; Fieller 1954; ratios by the delta method, Deng et al. 2018; CUPED, Deng et al.
2013. Variances are exact until their last division, see `moments`.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from greenlane.experiments.statistics.effects import Effect, Interval, agreeing, shown
from greenlane.experiments.statistics.moments import (
    UNIT,
    Moments,
    covariance,
    mean,
    spread,
    variance,
)
from greenlane.experiments.statistics.special import t_isf, t_sf, two_sided


class Estimate(NamedTuple):
    """A number, the variance of that estimate, and the degrees of freedom of that variance."""

    value: float
    variance: float
    degrees: float
    users: int


def of_mean(users: int, moments: Moments) -> Estimate:
    """The mean of y over users; at least 2 of them."""
    spread_of_one = variance(users, moments.y, moments.yy)
    return Estimate(mean(users, moments.y), spread_of_one / users, users - 1, users)


def of_ratio(users: int, moments: Moments) -> Estimate | None:
    """The sum of y over the sum of z, by the delta method; None where z adds up to 0.

    The variance is that of y - R z over users, with R exact: nothing cancels.
    """
    if moments.z == 0:
        return None
    ratio = Fraction(moments.y, moments.z)
    yy = spread(users, moments.y, moments.y, moments.yy)
    zz = spread(users, moments.z, moments.z, moments.zz)
    yz = spread(users, moments.y, moments.z, moments.yz)
    whole = (yy - 2 * ratio * yz + ratio * ratio * zz) / ((users - 1) * moments.z**2)
    return Estimate(moments.y / moments.z, float(whole), users - 1, users)


def slope_of(arms: Sequence[tuple[int, Moments]]) -> Fraction:
    """CUPED's theta, cov(y, z) / var(z), pooled over arms; 0 where the covariate never varies.

    Args:
        arms: users and sums of each arm.
    """
    yz, zz = Fraction(0), Fraction(0)
    for users, moments in arms:
        yz += covariance(users, moments) * (users - 1)
        whole = spread(users, moments.z, moments.z, moments.zz)
        zz += Fraction(whole, users * UNIT**2)
    return yz / zz if zz else Fraction(0)


def of_cuped(users: int, moments: Moments, theta: Fraction, everywhere: Fraction) -> Estimate:
    """The mean of y, less what the covariate foretold of it.

    Args:
        users: of this arm.
        moments: with the covariate as z.
        theta: see `slope_of`.
        everywhere: the mean of the covariate over all arms.
    """
    adjusted = Fraction(moments.y, users * UNIT)
    adjusted -= theta * (Fraction(moments.z, users * UNIT) - everywhere)
    yy = spread(users, moments.y, moments.y, moments.yy)
    zz = spread(users, moments.z, moments.z, moments.zz)
    yz = spread(users, moments.y, moments.z, moments.yz)
    whole = (yy - 2 * theta * yz + theta * theta * zz) / (users * users * (users - 1) * UNIT**2)
    return Estimate(float(adjusted), float(whole), users - 1, users)


def stratified(parts: Sequence[tuple[float, Estimate]]) -> Estimate:
    """One estimate from those of several epochs, each with a share that all arms have in common.

    After a change of weights the arms' users come from other days in other parts; adding them up
    would compare days (Simpson). With common shares it does not.

    Args:
        parts: share and estimate of each epoch; the shares add up to 1.
    """
    if len(parts) == 1:
        return parts[0][1]
    spreads = [share * share * one.variance for share, one in parts]
    whole = math.fsum(spreads)
    below = math.fsum(
        part * part / one.degrees for part, (_, one) in zip(spreads, parts, strict=True) if part
    )
    return Estimate(
        math.fsum(share * one.value for share, one in parts),
        whole,
        whole * whole / below if below else math.inf,
        sum(one.users for _, one in parts),
    )


def welch(control: Estimate, treatment: Estimate, critical: float, test: str) -> Effect:
    """Welch's test, the interval of the difference, and Fieller's of the lift.

    Args:
        control: at least one of both has a variance.
        treatment: see above.
        critical: of a normal |z|; the test uses the t of the same level.
        test: what to call it.
    """
    spreads = control.variance, treatment.variance
    users = control.users, treatment.users
    if sum(spreads) <= 0:
        return Effect("no_variance", test, users, control.value, treatment.value)
    level = two_sided(critical)
    degrees = sum(spreads) ** 2 / math.fsum(
        part * part / one.degrees
        for part, one in zip(spreads, (control, treatment), strict=True)
        if part
    )
    error = math.sqrt(sum(spreads))
    difference = treatment.value - control.value
    t = difference / error
    limit = t_isf(level / 2, degrees)
    significant = abs(t) >= limit
    of_difference = Interval(difference - limit * error, difference + limit * error)
    of_lift = fieller(control, treatment, limit)
    return Effect(
        "compared",
        test,
        users,
        control=control.value,
        treatment=treatment.value,
        statistic=t,
        p_value=min(1.0, 2 * t_sf(abs(t), degrees)),
        level=level,
        significant=significant,
        difference=difference,
        difference_interval=shown(agreeing(of_difference, significant, difference)),
        lift=difference / control.value if of_lift is not None else None,
        lift_interval=shown(agreeing(of_lift, significant, difference)),
        error=error,
    )


def fieller(control: Estimate, treatment: Estimate, limit: float) -> Interval | None:
    """The lifts r - 1 with |m_t - r m_c| at most `limit` standard errors (Fieller 1954).

    None where the control's mean is not shown to be above 0 at the same limit: any lift would do.
    """
    c, t = control.value, treatment.value
    square = limit * limit
    a = c * c - square * control.variance
    if c <= 0 or a <= 0:
        return None
    b = c * t
    inner = b * b - a * (t * t - square * treatment.variance)
    width = math.sqrt(max(0.0, inner))
    return Interval((b - width) / a - 1, (b + width) / a - 1)
