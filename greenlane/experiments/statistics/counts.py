"""Independent events: two rates, exactly, by the share of all events that one arm has.

Given their sum, the treatment's events are binomial, with a share that depends on the ratio of the
rates only (Przyborowski and Wilenski 1940). The test is twice the smaller tail, and the interval
is Clopper and Pearson's of that share: both are one thing.

Events of one user are rarely independent; a mean is the right kind then.
"""

from greenlane.experiments.statistics.effects import Effect, Interval, agreeing, shown
from greenlane.experiments.statistics.special import beta_odds, beta_tails, two_sided


def compare_counts(
    control: tuple[int, float],
    treatment: tuple[int, float],
    users: tuple[int, int],
    critical: float,
) -> Effect:
    """The exact conditional test of two rates.

    Args:
        control: events and exposure (users, or hours), above 0.
        treatment: likewise.
        users: of both, for the record.
        critical: of a normal |z|; the test uses its level.

    Returns:
        An effect whose statistic is that of the score test. It has an interval of the lift only:
        no exact one of the difference is free of the control's unknown rate.
    """
    (xc, ec), (xt, et) = control, treatment
    rate, other = xc / ec, xt / et
    level = two_sided(critical)
    difference = other - rate
    pooled = (xc + xt) / (ec + et)
    error = (pooled * (1 / ec + 1 / et)) ** 0.5
    share, rest = et / (ec + et), ec / (ec + et)
    p_value = 1.0
    if xc + xt:
        at_most = beta_tails(xt + 1, xc, share, rest)[1] if xc else 1.0
        at_least = beta_tails(xt, xc + 1, share, rest)[0] if xt else 1.0
        p_value = min(1.0, 2 * min(at_most, at_least))
    significant = p_value <= level
    of_lift = lift_of_counts(control, treatment, level) if xc else None
    return Effect(
        "compared",
        "exact conditional",
        users,
        control=rate,
        treatment=other,
        statistic=difference / error if error else 0.0,
        p_value=p_value,
        level=level,
        significant=significant,
        difference=difference,
        lift=other / rate - 1 if xc else None,
        lift_interval=shown(agreeing(of_lift, significant, difference)),
        error=error,
    )


def lift_of_counts(
    control: tuple[int, float], treatment: tuple[int, float], level: float
) -> Interval:
    """The lifts that the exact test does not reject at a level; events of the control above 0."""
    (xc, ec), (xt, et) = control, treatment
    low = -1.0
    if xt:
        low = beta_odds(level / 2, xt, xc + 1, upper=False) * ec / et - 1
    return Interval(low, beta_odds(level / 2, xt + 1, xc, upper=True) * ec / et - 1)
