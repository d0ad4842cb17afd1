"""What z must reach at a look, by either rule, and evidence that holds at any moment.

With a `maximum_duration` a test is group-sequential (`boundaries`); without one it has a confidence
sequence: Waudby-Smith et al., arXiv 2103.06476, equation 9, the normal mixture of Robbins that
GrowthBook and Eppo use too. Both are one number at each look, the critical value of |z|, so every
test and interval of `comparison` serves both.

Sample ratios are watched by the multinomial e-process of Lindon and Malek (arXiv 2011.03567);
guardrails by the e-processes of `greenlane.health.sequential`, which also judge deployments.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from greenlane.experiments.statistics.special import chi_square_sf
from greenlane.health.sequential import Count, Pair, Worse, against_limit, against_live, mixed

CONCENTRATION = 10_000
"""How close to the planned shares the alternatives of a wrong split are; larger is closer."""

PER_EXPOSURE = 1_000_000
"""A rate of events is a share of so many instants of each unit of exposure (Poisson's limit)."""

CERTAIN = 1e6
"""The log e-value of what cannot be chance, such as users of a variant that nobody was to get."""

Shares = Mapping[str, int]
"""By variant: users, or buckets."""


def mixing(planned: float, alpha: float) -> float:
    """The rho squared at which the sequence is narrowest: at so many users."""
    return (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / planned


def critical_at(users: float, planned: float, alpha: float) -> float:
    """The critical |z| of a confidence sequence.

    Args:
        users: of both arms together, now.
        planned: users of both arms at which it should be narrowest.
        alpha: of all looks together, however many.
    """
    grown = users * mixing(planned, alpha)
    return math.sqrt(2 * (grown + 1) / grown * math.log(math.sqrt(grown + 1) / alpha))


def p_at(z: float, users: float, planned: float, alpha: float) -> float:
    """The p-value that goes with `critical_at`: valid at every look, 1 where nothing is shown."""
    grown = users * mixing(planned, alpha)
    return min(1.0, math.exp(0.5 * math.log1p(grown) - grown * z * z / (2 * (grown + 1))))


class Epoch(NamedTuple):
    """Users between two changes of weights.

    Args:
        planned: buckets of each variant.
        users: exposed ones of each variant.
    """

    planned: Shares
    users: Shares


class SampleRatio(NamedTuple):
    """Whether users came as they were planned.

    Args:
        log_e: evidence against it, at any moment; e is at least 1/alpha for at most alpha of tests.
        p_value: 1/e, at most 1.
        chi_square_p: of one look, for comparison with other tools; no alarm rests on it.
    """

    log_e: float
    p_value: float
    chi_square_p: float


def sample_ratio(epochs: Sequence[Epoch]) -> SampleRatio:
    """The evidence that users did not come as planned, over all epochs: their e-values multiply."""
    log_e, chi_square, degrees = 0.0, 0.0, 0
    for planned, users in epochs:
        whole, everyone = sum(planned.values()), sum(users.values())
        names = [name for name, buckets in planned.items() if buckets > 0]
        if any(count for name, count in users.items() if name not in names):
            return SampleRatio(CERTAIN, 0.0, 0.0)
        shares = [planned[name] / whole for name in names]
        counts = [users.get(name, 0) for name in names]
        log_e += log_e_of_shares(counts, shares)
        if everyone:
            degrees += len(names) - 1
            for count, share in zip(counts, shares, strict=True):
                chi_square += (count - everyone * share) ** 2 / (everyone * share)
    p_value = math.exp(-max(0.0, log_e))
    return SampleRatio(log_e, p_value, chi_square_sf(chi_square, degrees) if degrees else 1.0)


def log_e_of_shares(
    counts: Sequence[int], shares: Sequence[float], concentration: float = CONCENTRATION
) -> float:
    """The log e-value of counts against shares: a Dirichlet mixture over their likelihood."""
    found = math.lgamma(concentration) - math.lgamma(concentration + sum(counts))
    for count, share in zip(counts, shares, strict=True):
        prior = concentration * share
        found += math.lgamma(prior + count) - math.lgamma(prior) - count * math.log(share)
    return found


def log_e_of_harm(epochs: Sequence[tuple[Count, Count]], permitted: float, worse: Worse) -> float:
    """The evidence that a treatment's users do something at a worse rate than permitted.

    Of users who did it, assignment alone says which part is the treatment's, however they came and
    whenever they did it. So it is exact from the first user on, for any split and any rate.

    Args:
        epochs: treatment and control: `samples` are their buckets, `events` users who did it.
        permitted: relative worsening, as a ratio.
        worse: the direction that harms.
    """
    pairs = [Pair(candidate, live) for candidate, live in epochs]
    return mixed([against_live(pairs, permitted, worse, independent=math.inf)])


def log_e_of_limit(counts: Count, limit: float, worse: Worse) -> float:
    """The evidence that a share is beyond a limit, at any moment."""
    return mixed([against_limit(counts, limit, worse)])
