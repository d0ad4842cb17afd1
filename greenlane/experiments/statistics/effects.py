"""What a comparison of a treatment with the control says, in one shape for every kind of metric.

One critical value per look decides, and both intervals invert that same test. So `significant`,
the interval of the difference and that of the lift cannot say different things.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

Outcome = Literal["compared", "empty_arm", "not_sent", "not_exposed", "no_variance", "too_few"]
"""`compared`, or why not: an arm without users (or with one, where a variance is needed); a metric
that nobody sent; more users with the metric than were exposed; all values alike in both arms, so
that no test says how far chance goes; fewer users than a quantile needs."""

NARROWEST = 1e-300


class Interval(NamedTuple):
    """From `low` to `high`; an end that is not known is infinite and shown as None."""

    low: float
    high: float


@dataclass(frozen=True)
class Effect:
    """One metric of one treatment against the control, at one critical value.

    Args:
        outcome: what became of it; without `compared`, numbers may be None.
        test: the name of the test.
        users: of control and of the treatment.
        control: its estimate: a rate, a mean, a ratio, a quantile.
        treatment: likewise.
        statistic: signed, positive where the treatment's is larger.
        p_value: two-sided, of a single look.
        level: what `p_value` is held against at this look, after all corrections.
        significant: whether p_value <= level.
        difference: treatment minus control.
        difference_interval: at `level`.
        lift: treatment / control - 1; None where the control cannot be told from 0.
        lift_interval: at `level`.
        error: the standard error behind `statistic`, in units of the difference.
    """

    outcome: Outcome
    test: str
    users: tuple[int, int]
    control: float | None = None
    treatment: float | None = None
    statistic: float | None = None
    p_value: float | None = None
    level: float | None = None
    significant: bool = False
    difference: float | None = None
    difference_interval: tuple[float | None, float | None] | None = None
    lift: float | None = None
    lift_interval: tuple[float | None, float | None] | None = None
    error: float | None = None


def shown(interval: Interval | None) -> tuple[float | None, float | None] | None:
    """An interval with None for an end that is infinite."""
    if interval is None:
        return None
    low, high = (end if math.isfinite(end) else None for end in interval)
    return low, high


def agreeing(interval: Interval | None, significant: bool, sign: float) -> Interval | None:
    """The interval, with 0 outside when the effect is significant and inside when it is not.

    Where a second, exact test kept the first from rejecting 0, the interval is stretched to it;
    where rounding puts an end on the wrong side, the end moves to it.

    Args:
        interval: of the first test.
        significant: what both tests say.
        sign: of the effect.
    """
    if interval is None:
        return None
    low, high = interval
    if not significant:
        return Interval(min(low, 0.0), max(high, 0.0))
    if sign > 0:
        return Interval(max(low, NARROWEST), max(high, NARROWEST))
    return Interval(min(low, -NARROWEST), min(high, -NARROWEST))
