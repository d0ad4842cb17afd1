"""Guardrails: whether a treatment is shown to harm, shown to be sound, or neither.

Shares and counts are held against a number, or against the control, by e-processes: exact, from
the first user on, at every look. Means and ratios have a confidence sequence, which needs some
users before it holds.
"""

import math
from collections.abc import Sequence

from greenlane.experiments.model import GuardrailShape
from greenlane.experiments.records import Guarded, Standing
from greenlane.experiments.statistics.comparison import Arm, Epochs, compare
from greenlane.experiments.statistics.means import Estimate, of_mean, of_ratio
from greenlane.experiments.statistics.moments import UNIT, Moments, together
from greenlane.experiments.statistics.quantiles import above, log_quantile
from greenlane.experiments.statistics.quantiles import together as one_histogram
from greenlane.experiments.statistics.sequential import (
    PER_EXPOSURE,
    critical_at,
    log_e_of_harm,
    log_e_of_limit,
)
from greenlane.health.sequential import Count, Worse, standing

FEWEST_USERS = 100
"""Of each arm, below which a mean or a ratio breaches nothing: its sequence is not yet exact."""


def guard(
    guardrail: GuardrailShape,
    treatment: str,
    epochs: Epochs,
    planned: Sequence[tuple[int, int]],
    *,
    level: float,
    critical: float | None,
    expected: int,
) -> Guarded:
    """One guardrail of one treatment, now.

    Args:
        guardrail: what is healthy.
        treatment: its name.
        epochs: control and treatment, for each epoch.
        planned: buckets of control and treatment, for each epoch.
        level: how often a healthy treatment may be called harmful, over all looks.
        critical: of |z| at this look, for showing that a margin is kept; None where it takes none.
        expected: users of each arm at which a sequence should be narrowest.
    """
    if guardrail.margin is not None:
        return _against_control(guardrail, treatment, epochs, planned, level, critical, expected)
    return _against_limit(guardrail, treatment, epochs, level, expected)


def _against_limit(
    guardrail: GuardrailShape, treatment: str, epochs: Epochs, level: float, expected: int
) -> Guarded:
    limit = float(guardrail.limit)
    sign = "<" if guardrail.below is not None else ">"
    worse: Worse = "up" if sign == "<" else "down"
    found, value, evidence, needed = _limited(
        guardrail, [pair[1] for pair in epochs], limit, worse, level, expected
    )
    everywhere = False
    if found == "breached" and value is not None:
        other, there, _, _ = _limited(
            guardrail, [pair[0] for pair in epochs], limit, worse, level, expected
        )
        if other == "breached" and there is not None:
            everywhere = there >= value if worse == "up" else there <= value
    return Guarded(
        metric=guardrail.name,
        treatment=treatment,
        condition=f"{guardrail.name} {sign} {guardrail.limit}",
        standing=found,
        value=value,
        evidence=evidence,
        needed=needed,
        everywhere=everywhere,
    )


def _limited(
    guardrail: GuardrailShape,
    arms: Sequence[Arm],
    limit: float,
    worse: Worse,
    level: float,
    expected: int,
) -> tuple[Standing, float | None, float | None, float | None]:
    """Standing, value, evidence, and what the evidence must reach."""
    users, seen = sum(arm.users for arm in arms), sum(arm.seen for arm in arms)
    if users == 0 or seen == 0 or seen > users:
        return "no_data", None, None, None
    moments = together(arm.moments for arm in arms)
    if guardrail.kind == "mean" or guardrail.is_ratio:
        return _mean_limited(guardrail, users, moments, limit, worse, level, expected)
    if guardrail.kind == "quantile":
        histogram: dict[int, int] = {}
        for arm in arms:
            histogram = one_histogram(histogram, arm.histogram)
        share = float(guardrail.quantile or 0)
        counts, bound = Count(seen, above(histogram, limit)), 1 - share
        value = math.exp(log_quantile(histogram, share))
    elif guardrail.kind == "count":
        counts = Count(users * PER_EXPOSURE, moments.y // UNIT)
        bound, value = limit / PER_EXPOSURE, counts.events / users
    else:
        counts, bound = Count(users, moments.y // UNIT), limit
        value = counts.events / users
    log_e = log_e_of_limit(counts, bound, worse)
    found = standing(counts, bound, worse, log_e=log_e, level=level)
    return found, value, log_e, -math.log(level)


def _mean_limited(
    guardrail: GuardrailShape,
    users: int,
    moments: Moments,
    limit: float,
    worse: Worse,
    level: float,
    expected: int,
) -> tuple[Standing, float | None, float | None, float | None]:
    if users < FEWEST_USERS:
        return "unproven", None, None, None
    estimate: Estimate | None
    estimate = of_ratio(users, moments) if guardrail.is_ratio else of_mean(users, moments)
    if estimate is None:
        return "no_data", None, None, None
    away = estimate.value - limit if worse == "up" else limit - estimate.value
    if estimate.variance <= 0:
        return "unproven", estimate.value, None, None
    z, needed = away / math.sqrt(estimate.variance), critical_at(users, expected, level)
    found: Standing = "breached" if z >= needed else "ok" if z <= -needed else "unproven"
    return found, estimate.value, z, needed


def _against_control(
    guardrail: GuardrailShape,
    treatment: str,
    epochs: Epochs,
    planned: Sequence[tuple[int, int]],
    level: float,
    critical: float | None,
    expected: int,
) -> Guarded:
    margin = float(guardrail.margin or 0)
    worse: Worse = "up" if guardrail.direction == "lower" else "down"
    users = sum(min(arm.users for arm in pair) for pair in epochs)
    both = sum(arm.users for pair in epochs for arm in pair)
    sequence = critical_at(both, 2 * expected, level) if both else None
    shown = compare(guardrail, epochs, sequence or 1.0)
    result: Standing = "unproven" if margin else "ok"
    evidence, needed = None, None
    if shown.outcome != "compared":
        result = "unproven" if shown.outcome == "no_variance" else "no_data"
    elif guardrail.kind in ("proportion", "count"):
        counted = [
            (
                Count(buckets[1], pair[1].moments.y // UNIT),
                Count(buckets[0], pair[0].moments.y // UNIT),
            )
            for buckets, pair in zip(planned, epochs, strict=True)
        ]
        evidence, needed = log_e_of_harm(counted, margin, worse), -math.log(level)
        result = "breached" if evidence >= needed else result
    elif users >= FEWEST_USERS:
        evidence, needed = shown.statistic, sequence
        result = "breached" if _beyond(shown.lift_interval, margin, worse) else result
        if shown.lift_interval is None and not margin and shown.significant:
            harms = (shown.difference or 0) > 0 if worse == "up" else (shown.difference or 0) < 0
            result = "breached" if harms else result
    if result == "unproven" and shown.outcome == "compared" and critical is not None:
        kept = compare(guardrail, epochs, critical)
        result = "ok" if _within(kept.lift_interval, margin, worse) else "unproven"
    return Guarded(
        metric=guardrail.name,
        treatment=treatment,
        condition=f"{guardrail.name} at most {guardrail.margin} worse than control",
        standing=result,
        value=shown.lift,
        evidence=evidence,
        needed=needed,
    )


def _beyond(
    interval: tuple[float | None, float | None] | None, margin: float, worse: Worse
) -> bool:
    """Whether all of an interval of lifts is worse than permitted."""
    if interval is None:
        return False
    low, high = interval
    if worse == "up":
        return low is not None and low > margin
    return high is not None and high < -margin


def _within(
    interval: tuple[float | None, float | None] | None, margin: float, worse: Worse
) -> bool:
    """Whether all of an interval of lifts is better than the margin."""
    if interval is None:
        return False
    low, high = interval
    if worse == "up":
        return high is not None and high < margin
    return low is not None and low > -margin
