"""What a step can see, before the deployment. Pure; no I/O.

For so many requests of each slot there is a smallest number of events that the judge fails a
version for. The smallest visible jump is the one that reaches it with a probability of `POWER`, by
the binomial tail. Events of earlier steps are left out and the live slot's are taken a standard
deviation high, so a step rather sees more than is promised.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist
from typing import NamedTuple

from greenlane.health.catalogue import CATALOGUE, Metric
from greenlane.health.criteria import Criteria, Criterion
from greenlane.health.sequential import (
    INDEPENDENT,
    Count,
    Likelihoods,
    Pair,
    against_limit,
    against_live,
    mixed,
)
from greenlane.health.slowness import counts_slow, margin, permitted_slow, slower
from greenlane.health.verdicts import ALPHA, LEAST_SAMPLES, levels_of
from greenlane.health.view import BLOCK

POWER = 0.9
"""How often a visible jump is caught within its step."""

SPREAD = 0.5
"""Standard deviation of the logarithm of response times, where it is not known."""

WANDER = 0.03
"""By how much a slot's response times differ from minute to minute without any cause."""

_BLOCK_MINUTES = round(BLOCK.total_seconds() / 60)
_NORMAL = NormalDist()


class StepTraffic(NamedTuple):
    """A step as it is planned: its weight, its whole judged minutes, the service's requests."""

    weight: int
    minutes: int
    requests_per_minute: float

    @property
    def candidate(self) -> int:
        """The candidate's requests in this step."""
        return round(self.requests_per_minute * self.minutes * self.weight / 100)

    @property
    def live(self) -> int:
        """The live slot's requests in this step."""
        return round(self.requests_per_minute * self.minutes) - self.candidate


class Usual(NamedTuple):
    """How the service is before the deployment; None is not known."""

    error_rate: float
    response_times: Mapping[str, float]
    """Milliseconds by metric, such as response_time_p95."""
    spread: float = SPREAD


class Visible(NamedTuple):
    """The smallest jumps that a step can see; None: it is blind for them.

    `error_rate` is the rate after the jump. `slowdown` is relative: 0.2 is a fifth slower.
    """

    requests: int
    error_rate: float | None
    slowdown: float | None


def visible(
    steps: Sequence[StepTraffic],
    criteria: Criteria,
    usual: Usual,
    *,
    metrics: Mapping[str, Metric] = CATALOGUE,
    alpha: float = ALPHA,
    power: float = POWER,
) -> tuple[Visible, ...]:
    """What each step can see, in their order.

    Args:
        steps: all of the plan, for every step before takes its part of the stake.
        criteria: what the judge will ask; the level of each follows from all of them.
        usual: the service as it is.
        metrics: by name.
        alpha: the judge's.
        power: how often a jump should be caught.
    """
    parts = levels_of(criteria, metrics, alpha)
    found = []
    number = 1
    for step in steps:
        searches = [
            _Search(step, criterion, metrics[criterion.metric], usual, parts, number, power)
            for criterion in criteria.in_phase("during").criteria
            if criterion.metric in parts and step.candidate >= _least(criteria, criterion.metric)
        ]
        rates = [search.error_rate() for search in searches]
        slower = [search.slowdown() for search in searches]
        found.append(
            Visible(
                step.candidate,
                min((rate for rate in rates if rate is not None), default=None),
                min((jump for jump in slower if jump is not None), default=None),
            )
        )
        number += max(math.ceil(step.minutes / _BLOCK_MINUTES), 1)
    return tuple(found)


def at_least(events: int, samples: int, share: float) -> float:
    """P(X >= events) of a binomial X: the regularised incomplete beta function."""
    if events <= 0:
        return 1.0
    if events > samples or share <= 0:
        return 0.0
    if share >= 1:
        return 1.0
    return _incomplete_beta(events, samples - events + 1, share)


class _Search:
    """One criterion in one step."""

    def __init__(
        self,
        step: StepTraffic,
        criterion: Criterion,
        metric: Metric,
        usual: Usual,
        parts: Mapping[str, float],
        number: int,
        power: float,
    ) -> None:
        self.step = step
        self.criterion = criterion
        self.metric = metric
        self.usual = usual
        self.needed = -math.log(parts[criterion.metric]) + math.log(number * (number + 1) / 2)
        self.power = power

    def error_rate(self) -> float | None:
        """The smallest error rate that this criterion catches."""
        if self.metric.name != "error_rate":
            return None
        return self._smallest_share(self.usual.error_rate, float(self.criterion.limit))

    def slowdown(self) -> float | None:
        """The smallest relative slowdown that this criterion catches."""
        usual = self.usual.response_times.get(self.metric.name)
        if usual is None or usual <= 0 or not counts_slow(self.metric):
            return None
        slow = permitted_slow(self.metric)
        if self.criterion.against == "limit":
            threshold, permitted = float(self.criterion.limit), slow
        else:
            threshold, permitted = slower(usual, margin(self.criterion.limit)), 0.0
        share = self._smallest_share(slow, permitted)
        if share is None or share >= 1:
            return None
        # The share of slower requests at which a log-normal service has moved by so much.
        spread = self.usual.spread
        quantile = _NORMAL.inv_cdf(1 - share) - _NORMAL.inv_cdf(1 - slow)
        sure = 1 + _NORMAL.inv_cdf(self.power) * WANDER * math.sqrt(2 / max(self.step.minutes, 1))
        return max(sure * threshold / usual / math.exp(spread * quantile) - 1, 0.0)

    def _smallest_share(self, usual: float, permitted: float) -> float | None:
        events = self._fewest_events(usual, permitted)
        if events is None:
            return None
        samples = self.step.candidate
        if at_least(events, samples, 1.0) < self.power:
            return None
        return _smallest(
            lambda share: at_least(events, samples, share) >= self.power, events / samples / 2, 1.0
        )

    def _fewest_events(self, usual: float, permitted: float) -> int | None:
        """The number of events from which the judge fails this criterion, in this step alone."""
        against = self.criterion.against
        if against == "live" and (self.step.live <= 0 or self.step.weight >= 100):
            return None
        samples = self.step.candidate

        def fails(events: int) -> bool:
            if against == "live":
                return self._is_proven(self._to_live(events, usual, permitted))
            limit = permitted if against == "limit" else usual * (1 + permitted)
            if self.metric.shape == "latency" and against == "baseline":
                limit = usual
            return self._is_proven(against_limit(Count(samples, events), limit))

        if not fails(samples):
            return None
        low, high = 0, samples
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if fails(middle) else (middle + 1, high)
        return high

    def _to_live(self, events: int, usual: float, permitted: float) -> Likelihoods:
        """Of all the step's minutes, which are alike."""
        minutes = max(self.step.minutes, 1)
        live = usual * self.step.live
        theirs = math.ceil(live + math.sqrt(live))
        pair = Pair(Count(self.step.candidate, events), Count(self.step.live, theirs))
        return against_live([pair], permitted, independent=INDEPENDENT * minutes)

    def _is_proven(self, likelihoods: Likelihoods) -> bool:
        # `mixed` gives one block half of the stake; the step's own part is in `needed`.
        return mixed([likelihoods]) >= self.needed


def _least(criteria: Criteria, metric: str) -> int:
    return criteria.rule(metric).min_samples or LEAST_SAMPLES


def _smallest(enough: Callable[[float], bool], low: float, high: float) -> float:
    """The smallest number in [low, high] that is enough; all above it are."""
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """I_x(a, b) by Lentz's continued fraction (Numerical Recipes, 6.4)."""
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    tiny = 1e-300
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1) or tiny)
    value = d
    for m in range(1, 1000):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / (1 + step * d or tiny)
            c = 1 + step / c or tiny
            value *= d * c
        if abs(d * c - 1) < 1e-12:
            break
    return front * value / a
