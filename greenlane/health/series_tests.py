"""Tests on values per minute that stay valid however often one looks. Pure; no I/O.

A minute's value is one number without its sample: a gauge, a mean, a rate, a sum. What both slots
share in a minute, load or a slow database, cancels in the difference of their values, so the
difference is what is tested. As in `greenlane.health.sequential` each test is an e-process and
starts anew with each block, for a version may turn bad late.

Not Mann-Whitney: it compares two heaps of minutes as if any of them could be exchanged, but the
minutes of one day differ more than versions do; and five minutes against five cannot show
anything at the levels that a deployment needs.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from greenlane.health.sequential import log_sum

EFFECTS = 4.0
"""Variance of the mean shift under the alternative, in units of the minutes' own variance."""

LEAST_SPREAD = 0.01
"""Relative differences are never taken to vary less: equal minutes would prove too much."""

FEWEST_MINUTES = 3
"""Below which no series fails a version."""

LOSS_SCALE = 0.3
"""How large a relative loss the test of sums is most sensitive to."""

FEWEST_FOR_SUMS = 5
"""Minutes from which the variance of a sum can be estimated at all."""


class Takings(NamedTuple):
    """A sum in one minute, of each slot, and what each slot was exposed to."""

    candidate: float
    exposure: float
    live: float
    live_exposure: float


def shown_positive(blocks: Sequence[Sequence[float]], least_spread: float = LEAST_SPREAD) -> float:
    """The log e-value against "the differences are at most 0 in the mean".

    The t-test's Bayes factor with a normal prior on the effect size and the right Haar prior on
    the scale (Gonen et al. 2005; as an e-process: Perez-Ortiz et al., arXiv 2208.07610), exact for
    normal differences of unknown variance. It counts only while the mean is positive: shifting
    all differences down then only lowers it, so the whole half line is covered.

    Args:
        blocks: the minutes' differences, positive where worse than permitted; oldest first.
        least_spread: of one difference, at least.
    """
    terms = [-math.log(len(blocks) + 1)]
    count, total, squares = 0, 0.0, 0.0
    for number in range(len(blocks), 0, -1):
        for value in blocks[number - 1]:
            count += 1
            total += value
            squares += value * value
        if count >= 2 and total > 0:
            spread = max(squares - total * total / count, (count - 1) * least_spread**2)
            terms.append(_log_t_ratio(count, total, spread) - math.log(number * (number + 1)))
    return log_sum(terms)


def shown_loss(blocks: Sequence[Sequence[Takings]], permitted: float = 0.0) -> float:
    """The log e-value against "a sum per exposure is at most so much smaller than the live one".

    Takings are skewed: many small minutes, a few large ones. For what is never negative,
    E exp(-l (x - mean)) <= exp(l^2 E x^2 / 2) however heavy its upper tail is, so the sum over
    l of exp(l (expected - taken) - l^2 V / 2) is an e-process where V is the variance of what
    was expected and taken. V is estimated from the minutes and made larger, for it is estimated;
    that makes this test an approximation, kept by simulation.

    Args:
        blocks: the minutes, oldest first.
        permitted: relative loss, as a ratio.
    """
    minutes = [minute for block in blocks for minute in block]
    exposed = math.fsum(minute.live_exposure for minute in minutes)
    rate = math.fsum(minute.live for minute in minutes) / exposed if exposed else 0.0
    if len(minutes) < FEWEST_FOR_SUMS or rate <= 0:
        return 0.0
    variance = _variance_per_exposure(minutes)
    if variance <= 0:
        return 0.0
    scale = LOSS_SCALE * rate / variance
    terms = [-math.log(len(blocks) + 1)]
    missing, spread = 0.0, 0.0
    for number in range(len(blocks), 0, -1):
        for minute in blocks[number - 1]:
            share = minute.exposure / minute.live_exposure if minute.live_exposure else 0.0
            missing += (1 - permitted) * minute.live * share - minute.candidate
            spread += variance * minute.exposure * (1 + share)
        stake = -math.log(number * (number + 1))
        terms.append(_log_half_normal(missing, spread, scale) + stake)
    return log_sum(terms)


def missed_in_a_row(missed: Sequence[bool]) -> int:
    """How many of the latest judgements, without a gap, found a criterion missed."""
    run = 0
    for one in reversed(missed):
        if not one:
            break
        run += 1
    return run


def median(values: Sequence[float]) -> float:
    """The middle value; of an even number the mean of the two."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def weighted_median(values: Sequence[tuple[float, float]]) -> float | None:
    """The value that half of the weight does not exceed; None without weight."""
    half = sum(weight for _, weight in values) / 2
    seen = 0.0
    for value, weight in sorted(values):
        seen += weight
        if weight > 0 and seen >= half:
            return value
    return None


def _log_t_ratio(count: int, total: float, spread: float) -> float:
    """Log Bayes factor of t; `spread` is the sum of squares about the mean."""
    signal = total * total / count / spread
    shrunk = 1 + count * EFFECTS
    return 0.5 * (count * (math.log1p(signal) - math.log1p(signal / shrunk)) - math.log(shrunk))


def _log_half_normal(missing: float, spread: float, scale: float) -> float:
    """Log of the mean of exp(l m - l^2 V / 2) over l, half normal with this scale."""
    grown = 1 + scale * scale * spread
    z = scale * missing / math.sqrt(grown)
    below = 0.5 * math.erfc(-z / math.sqrt(2))
    if below <= 0.0:
        return -math.inf
    return math.log(2 * below) + z * z / 2 - 0.5 * math.log(grown)


def _variance_per_exposure(minutes: Sequence[Takings]) -> float:
    """Of each slot's takings about its own rate, enlarged for being an estimate."""
    squares, degrees = 0.0, 0
    for slot in (
        [(minute.candidate, minute.exposure) for minute in minutes],
        [(minute.live, minute.live_exposure) for minute in minutes],
    ):
        exposed = [(taken, exposure) for taken, exposure in slot if exposure > 0]
        rate = sum(taken for taken, _ in exposed) / (sum(each for _, each in exposed) or 1.0)
        squares += sum((taken - rate * each) ** 2 / each for taken, each in exposed)
        degrees += max(len(exposed) - 1, 0)
    return squares / degrees * (1 + 3 / math.sqrt(degrees)) if degrees else 0.0
