"""Tests on counts that stay valid however often one looks. Pure; no I/O.

Each test is an e-process: a non-negative number that begins at 1 and whose mean is at most 1, at
every moment and at any moment that is chosen by looking, as long as the version is as good as it
should be. By Ville's inequality it then ever reaches 1/alpha with a probability of alpha at most
(Howard et al., arXiv 1810.08240). Here it is the likelihood ratio of alternatives that are worse
than permitted, mixed over how much worse, and over when it began.

Logarithms throughout. `Likelihoods` holds one log likelihood ratio for each alternative.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

Worse = Literal["up", "down"]
Standing = Literal["ok", "breached", "unproven"]
Likelihoods = Sequence[float]

STEPS_WORSE = (1.2, 1.6, 2.2, 3.2, 5.0, 10.0, 35.0)
"""How many times worse the alternatives are: odds against a limit, rate against the other slot."""

_LOG_PRIOR = tuple(math.log(share) for share in (0.08, 0.08, 0.1, 0.14, 0.32, 0.18, 0.1))
"""Most on several times worse: that is what faults look like, and where few requests suffice."""


INDEPENDENT = 100
"""The events of one minute count for at most so many independent ones against the other slot's.

A pause of one task, or one client's retries, make many events at once. 100 is what remains where
a slot's response times wander by 3 percent from minute to minute without any cause."""


A_SIGN = math.log(10) / 2
"""A log e-value from which a comparison of two noisy numbers is reason to wait: below the square
root of 10, evidence is barely worth mentioning (Jeffreys 1961)."""


class Count(NamedTuple):
    """So many events among so many samples."""

    samples: int
    events: int


class Pair(NamedTuple):
    """Both slots in the same minute; a sample is whatever exposes a slot to the event."""

    candidate: Count
    live: Count


def against_limit(counts: Count, limit: float, worse: Worse = "up") -> Likelihoods:
    """The evidence of one block of counts against "the share keeps its limit".

    For independent samples it is the ratio of Bernoulli likelihoods of p1 and of the limit p0, with
    the odds of p1 a multiple of those of p0. For a share below p0 its mean only falls, so it holds
    for every healthy share, and for one that changes from minute to minute.
    """
    samples, events = counts
    if worse == "down":
        events, limit = samples - events, 1 - limit
    if limit >= 1:
        return [0.0] * len(STEPS_WORSE)
    if limit <= 0:
        return [math.inf if events else 0.0] * len(STEPS_WORSE)
    found = []
    for step in STEPS_WORSE:
        # With odds o0 = p0 / (1 - p0): (1 - p1) / (1 - p0) = 1 / (1 + p0 (step - 1)).
        rest = -math.log1p(limit * (step - 1))
        found.append(events * math.log(step) + samples * rest)
    return found


def against_live(
    pairs: Sequence[Pair],
    permitted: float = 0.0,
    worse: Worse = "up",
    *,
    independent: float = INDEPENDENT,
) -> Likelihoods:
    """The evidence of some minutes against "the candidate's rate is at most so much worse".

    Given all events of a minute and the exposure of each slot, each event is the candidate's with
    a share that grows with its relative rate (Lindon and Malek, arXiv 2011.03567). The ratio of
    these shares' likelihoods is a^x b^y for x events of the candidate and y of the live slot. With
    n and m samples of rates p and q that is, in the mean, (1 + p (a - 1))^n (1 - q (1 - b))^m, at
    most exp(n p (a - 1) - m q (1 - b)), which is 1 where p = permitted rate and less below it. So
    it holds for Bernoulli samples of any rate, and noise that both slots share cancels.

    Each minute's ratio is taken to the power 1 / (1 + N s (1 - s) / independent), for N events
    of which the candidate's share should be s. A power below 1 of an e-value is one (Jensen).

    Args:
        pairs: one for each minute, for the exposures differ from minute to minute.
        permitted: relative worsening, as a ratio.
        worse: the direction that harms.
        independent: see `INDEPENDENT`.
    """
    ratio = 1 + permitted if worse == "up" else 1 - permitted
    found = [0.0] * len(STEPS_WORSE)
    if ratio <= 0:
        return found
    for (samples, events), (live_samples, live_events) in pairs:
        if not samples or not live_samples or not events + live_events:
            continue
        share = samples * ratio / (samples * ratio + live_samples)
        every = events + live_events
        power = 1 / (1 + every * share * (1 - share) / independent)
        for number, step in enumerate(STEPS_WORSE):
            factor = step if worse == "up" else 1 / step
            whole = math.log1p(share * (factor - 1))
            found[number] += power * (events * math.log(factor) - every * whole)
    return found


def mixed(blocks: Sequence[Likelihoods]) -> float:
    """The log e-value after all blocks: mixed over alternatives and over when it became worse.

    A version may turn bad under its third weight only. A process that began at the first would
    then have to make up for all good minutes before. So each block starts one more process, the
    k-th with a part of 1 / (k (k + 1)) of the stake; what has not started yet stays as it is. The
    mean of e-processes is one again.

    Args:
        blocks: oldest first; where they begin must not depend on the counts in them.
    """
    suffix = [0.0] * len(STEPS_WORSE)
    terms = [-math.log(len(blocks) + 1)]
    for number in range(len(blocks), 0, -1):
        stake = -math.log(number * (number + 1))
        for index, term in enumerate(blocks[number - 1]):
            suffix[index] += term
            terms.append(suffix[index] + _LOG_PRIOR[index] + stake)
    return log_sum(terms)


def log_sum(terms: Sequence[float]) -> float:
    """The logarithm of a sum, from the logarithms of its terms."""
    top = max(terms, default=-math.inf)
    if math.isinf(top):
        return top
    return top + math.log(math.fsum(math.exp(term - top) for term in terms))


def upper_bound(counts: Count, level: float) -> float:
    """The upper end of a confidence sequence: a share above it is refuted, at every look.

    It inverts the mixture of all binomials with a Beta(1/2, 1/2) prior (Robbins 1970): for a true
    share p that mixture over p's own likelihood is an e-process. The share is above the bound at
    any look with a probability of `level` at most.
    """
    samples, events = counts
    if samples == 0 or events >= samples:
        return 1.0
    low, high = events / samples, 1.0
    if _beta_mixture(counts, high) < -math.log(level):
        return 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if _beta_mixture(counts, middle) < -math.log(level):
            low = middle
        else:
            high = middle
    return high


def lower_bound(counts: Count, level: float) -> float:
    """The lower end of a confidence sequence; see `upper_bound`."""
    return 1 - upper_bound(Count(counts.samples, counts.samples - counts.events), level)


def standing(counts: Count, limit: float, worse: Worse, *, log_e: float, level: float) -> Standing:
    """Whether a limit is shown to be kept, shown to be broken, or neither.

    It is shown to be kept where the bound of `upper_bound` or `lower_bound` lies inside it.

    Args:
        counts: all that was seen.
        limit: of their share.
        worse: the direction that harms.
        log_e: the evidence against the limit, of `mixed`.
        level: how often a good version may be called bad, and how often a share at the limit or
            beyond it may be called good.
    """
    if log_e >= -math.log(level):
        return "breached"
    samples, events = counts
    inside = events < samples * limit if worse == "up" else events > samples * limit
    shown = inside and _beta_mixture(counts, limit) >= -math.log(level)
    return "ok" if shown else "unproven"


def _beta_mixture(counts: Count, share: float) -> float:
    """The log ratio of the Beta(1/2, 1/2) mixture and one binomial likelihood."""
    samples, events = counts
    others = samples - events
    if share <= 0 or share >= 1:
        impossible = events if share <= 0 else others
        if impossible:
            return math.inf
    log_beta = math.lgamma(events + 0.5) + math.lgamma(others + 0.5) - math.lgamma(samples + 1)
    known = (events * math.log(share) if events else 0.0) + (
        others * math.log1p(-share) if others else 0.0
    )
    return log_beta - math.log(math.pi) - known
