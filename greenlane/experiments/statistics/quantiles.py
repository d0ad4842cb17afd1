"""Quantiles over users, from counts in buckets whose bounds grow by 2 percent.

A histogram adds up like a sum, so it is as exact under retries and shards; what it says of a value
is exact to 1 percent. The interval of one quantile is Woodruff's (1952): those of the shares
q plus and minus its standard error. Two quantiles are compared by their ratio, on logarithms.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate

from greenlane.experiments.statistics.effects import Effect, Interval, agreeing, shown
from greenlane.experiments.statistics.special import two_sided

GROWTH = 1.02
"""The upper bound of a bucket over its lower one."""

_LOG_GROWTH = math.log(GROWTH)
_WOODRUFF = 1.959963984540054
"""Standard errors at which the shape around a quantile is read."""

SMALLEST, LARGEST = 1e-6, 1e9
ZERO = -10_000
"""The bucket of values below the smallest one that is told from 0."""

Histogram = Mapping[int, int]
"""Users by bucket. Bucket b holds values above 1.02**b, up to 1.02**(b + 1)."""


def bucket_of(value: float) -> int:
    """The bucket of a user's value.

    Raises:
        ValueError: it is below 0, above 10**9, or no number.
    """
    if not 0 <= value <= LARGEST:
        raise ValueError("a value of a quantile is between 0 and 10**9")
    if value < SMALLEST:
        return ZERO
    return math.ceil(math.log(value) / _LOG_GROWTH) - 1


def change_of_buckets(before: float | None, after: float) -> dict[int, int]:
    """What the counts grow by when a user's value goes from one to the other."""
    new = bucket_of(after)
    if before is None:
        return {new: 1}
    old = bucket_of(before)
    return {} if old == new else {old: -1, new: 1}


def together(first: Histogram, second: Histogram) -> dict[int, int]:
    """Both in one."""
    return {key: first.get(key, 0) + second.get(key, 0) for key in first.keys() | second.keys()}


def log_quantile(histogram: Histogram, share: float) -> float:
    """The logarithm of the value that this share of users does not exceed.

    Args:
        histogram: with at least one user.
        share: 0 to 1.
    """
    return log_quantiles(histogram, (share,))[0]


def log_quantiles(histogram: Histogram, shares: Sequence[float]) -> list[float]:
    """The logarithms of several quantiles; see `log_quantile`."""
    keys = sorted(key for key, count in histogram.items() if count)
    seen = list(accumulate(histogram[key] for key in keys))
    found = []
    for share in shares:
        wanted = share * seen[-1]
        at = min(bisect_left(seen, wanted), len(keys) - 1)
        key, before = keys[at], seen[at - 1] if at else 0
        inside = (wanted - before) / (seen[at] - before)
        found.append(math.log(SMALLEST) if key == ZERO else (key + inside) * _LOG_GROWTH)
    return found


def above(histogram: Histogram, limit: float) -> int:
    """Users whose value may be above a limit: those of the limit's own bucket count as above."""
    first = bucket_of(limit)
    return sum(count for key, count in histogram.items() if key >= first)


def compare_quantiles(
    control: Histogram, treatment: Histogram, share: float, critical: float
) -> Effect:
    """The ratio of two quantiles.

    Args:
        control: with at least one user.
        treatment: likewise.
        share: which quantile, such as 0.95.
        critical: of |z|.

    Returns:
        An effect with an interval of the lift only. `too_few` where a quantile's own interval would
        leave the sample: 0.95 needs 73 users, 0.99 needs 381.
    """
    users = sum(control.values()), sum(treatment.values())
    values, spread = [], 0.0
    for histogram, count in zip((control, treatment), users, strict=True):
        away = _WOODRUFF * math.sqrt(share * (1 - share) / count)
        if share - away <= 0 or share + away >= 1:
            return Effect("too_few", "Woodruff", users)
        value, low, high = log_quantiles(histogram, (share, share - away, share + away))
        values.append(value)
        wide = high - low
        # Users in one bucket are not all alike: at least a bucket's own spread.
        spread += max((wide / (2 * _WOODRUFF)) ** 2, _LOG_GROWTH**2 / 12)
    error = math.sqrt(spread)
    away = values[1] - values[0]
    z = away / error
    significant = abs(z) >= critical
    ends = [math.expm1(max(-700.0, min(700.0, away + side * critical * error))) for side in (-1, 1)]
    one, two = math.exp(values[0]), math.exp(values[1])
    return Effect(
        "compared",
        "Woodruff",
        users,
        control=one,
        treatment=two,
        statistic=z,
        p_value=two_sided(z),
        level=two_sided(critical),
        significant=significant,
        difference=two - one,
        lift=math.expm1(away),
        lift_interval=shown(agreeing(Interval(ends[0], ends[1]), significant, away)),
        error=error * one,
    )
