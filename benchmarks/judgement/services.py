"""Synthetic services: requests, errors and response times of both slots, minute by minute.

A service has a daily cycle in its requests and response times, and noise. Some noise both slots
share, as with a slow database; some is a slot's own, as with a pause of one task. A healthy
candidate is drawn from the same laws as the live slot. A regression multiplies the candidate's
response times, or raises its error rate, from one step on.
"""

import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import NormalDist, median

from greenlane.health.observed import MINUTE

START = datetime(2026, 3, 2, tzinfo=UTC)
MINUTES_OF_A_DAY = 1440
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Service:
    """What a service is like.

    Args:
        name: as it is printed.
        requests: a minute, in the mean of a day.
        error_rate: usual.
        median_ms: of response times, which are log-normal.
        spread: standard deviation of their logarithm.
        cycle: relative amplitude of the day in requests; a quarter of it in response times.
        noise: of requests, from minute to minute, standard deviation of the logarithm.
        shared_times: the same of response times, both slots alike.
        own_times: the same, each slot for itself.
        shared_errors: of the error rate, both slots alike.
    """

    name: str
    requests: float
    error_rate: float = 0.001
    median_ms: float = 200.0
    spread: float = 0.5
    cycle: float = 0.4
    noise: float = 0.1
    shared_times: float = 0.08
    own_times: float = 0.03
    shared_errors: float = 0.4

    @property
    def p95_ms(self) -> float:
        """The usual p95."""
        return self.median_ms * math.exp(self.spread * _NORMAL.inv_cdf(0.95))


@dataclass(frozen=True)
class Fault:
    """What the candidate brings: an error rate of its own, and how many times slower it is."""

    error_rate: float | None = None
    slower: float = 1.0


HEALTHY = Fault()


@dataclass(frozen=True)
class SlotMinute:
    """One slot in one minute. `slow` counts requests above each threshold in ms."""

    requests: int
    errors: int
    p95_ms: float | None
    slow: dict[float, int]


@dataclass(frozen=True)
class ServiceMinute:
    """Both slots in one minute; `step` counts from 0."""

    at: datetime
    step: int
    weight: int
    candidate: SlotMinute
    live: SlotMinute


def minutes_of(
    service: Service,
    steps: list[tuple[int, int]],
    thresholds: tuple[float, ...],
    rng: random.Random,
    *,
    begun: int,
    fault: Fault = HEALTHY,
    from_step: int = 0,
) -> list[ServiceMinute]:
    """All minutes of a deployment.

    Args:
        service: what is deployed.
        steps: weight and whole judged minutes of each.
        thresholds: in ms, above which requests are counted.
        rng: the source of all chance.
        begun: at which minute of the day.
        fault: of the candidate.
        from_step: at which it begins to show.
    """
    found = []
    minute = begun
    for step, (weight, length) in enumerate(steps):
        active = fault if step >= from_step else HEALTHY
        for _ in range(length):
            found.append(minute_of(service, minute, step, weight, thresholds, rng, active))
            minute += 1
    return found


def p95_before(service: Service, begun: int, rng: random.Random) -> float:
    """The median p95 of the five minutes before a deployment, all traffic on the live slot."""
    minutes = [minute_of(service, begun - each, 0, 0, (), rng, HEALTHY) for each in range(1, 6)]
    return median(minute.live.p95_ms or service.p95_ms for minute in minutes)


def load(service: Service, minute: int) -> float:
    """The usual requests in a minute of the day."""
    return service.requests * (1 + service.cycle * _day(minute))


def _day(minute: int) -> float:
    return math.sin(2 * math.pi * minute / MINUTES_OF_A_DAY)


def minute_of(
    service: Service,
    minute: int,
    step: int,
    weight: int,
    thresholds: tuple[float, ...],
    rng: random.Random,
    fault: Fault = HEALTHY,
) -> ServiceMinute:
    """One minute of the day, at one weight."""
    day = _day(minute)
    requests = poisson(rng, load(service, minute) * rng.lognormvariate(0, service.noise))
    ours = binomial(rng, requests, weight / 100)
    middle = service.median_ms * (1 + service.cycle / 4 * day)
    middle *= rng.lognormvariate(0, service.shared_times)
    rate = min(service.error_rate * rng.lognormvariate(0, service.shared_errors), 1.0)
    candidate_rate = rate if fault.error_rate is None else fault.error_rate
    own, others = (rng.lognormvariate(0, service.own_times) for _ in range(2))
    return ServiceMinute(
        START + minute * MINUTE,
        step,
        weight,
        _slot(rng, ours, candidate_rate, middle * own * fault.slower, service.spread, thresholds),
        _slot(rng, requests - ours, rate, middle * others, service.spread, thresholds),
    )


def _slot(
    rng: random.Random,
    requests: int,
    rate: float,
    middle: float,
    spread: float,
    thresholds: tuple[float, ...],
) -> SlotMinute:
    errors = binomial(rng, requests, rate)
    if not requests:
        return SlotMinute(0, 0, None, {})
    # The slow requests above falling thresholds are nested: each splits those of the one below.
    slow: dict[float, int] = {}
    left, above = requests, 1.0
    for threshold in sorted(thresholds):
        share = 1 - _NORMAL.cdf(math.log(threshold / middle) / spread)
        left = binomial(rng, left, share / above if above > 0 else 0.0)
        above = share
        slow[threshold] = left
    rank = math.ceil(0.95 * requests)
    quantile = min(max(rng.betavariate(rank, requests - rank + 1), 1e-12), 1 - 1e-12)
    return SlotMinute(requests, errors, middle * math.exp(spread * _NORMAL.inv_cdf(quantile)), slow)


def poisson(rng: random.Random, mean: float) -> int:
    """A Poisson number; above 50 by the normal approximation."""
    if mean > 50:
        return max(round(rng.gauss(mean, math.sqrt(mean))), 0)
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        count += 1
        product *= rng.random()
    return count


def binomial(rng: random.Random, samples: int, share: float) -> int:
    """A binomial number: by waiting times while the mean is small, else the normal one."""
    if samples <= 0 or share <= 0:
        return 0
    if share >= 1:
        return samples
    if share > 0.5:
        return samples - binomial(rng, samples, 1 - share)
    mean = samples * share
    if mean > 50:
        drawn = round(rng.gauss(mean, math.sqrt(mean * (1 - share))))
        return min(max(drawn, 0), samples)
    count, position, scale = 0, 0, math.log1p(-share)
    while True:
        position += 1 + int(math.log(1 - rng.random()) / scale)
        if position > samples:
            return count
        count += 1
