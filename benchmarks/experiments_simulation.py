"""Simulated A/B tests: how often each rule is wrong, and how soon it is right.

Every rule is the product's: bounds of `boundaries`, critical values of `sequential`, Fisher's
consent for small counts. Beside them stands what the spec's sample does, a fixed-horizon test at
every look. Binomial counts come one by one where few are expected, else from a rounded normal.
"""

import math
import random
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field

from greenlane.experiments.looking import FEWEST_EVENTS
from greenlane.experiments.statistics.boundaries import Bounded, honest, is_a_look, next_bound
from greenlane.experiments.statistics.proportions import compare_proportions
from greenlane.experiments.statistics.sequential import (
    Epoch,
    critical_at,
    log_e_of_harm,
    sample_ratio,
)
from greenlane.experiments.statistics.special import normal_isf
from greenlane.health.sequential import Count

ALPHA = 0.05
Z = normal_isf(ALPHA / 2)
SPLITS = ((50, 50), (90, 10), (95, 5))
RATES = (0.001, 0.01, 0.1, 0.5)
LOOKS = (20, 200, 2000)
RULES = (
    "spec: peek with a fixed test",
    "group-sequential",
    "confidence sequence",
    "harm e-process",
)
HONEST = "group-sequential, honest effect"
PER_LOOK = 20
MEASURED_USERS = PER_LOOK * 2000


def binomial(chance: random.Random, count: int, rate: float) -> int:
    """So many of `count`, each with this rate."""
    if rate > 0.5:
        return count - binomial(chance, count, 1 - rate)
    if count * rate > 50:
        drawn = chance.gauss(count * rate, math.sqrt(count * rate * (1 - rate)))
        return max(0, min(count, round(drawn)))
    if count < 30:
        return sum(chance.random() < rate for _ in range(count))
    found, at = 0, -1
    log_rest = math.log1p(-rate)
    while True:
        at += 1 + int(math.log(1 - chance.random()) / log_rest)
        if at >= count:
            return found
        found += 1


def planned_bounds(looks: int) -> dict[int, Bounded]:
    """The looks among these that spend alpha, by number from 1; information grows evenly."""
    taken: list[Bounded] = []
    found = {}
    for number in range(1, looks + 1):
        tau = number / looks
        if is_a_look(taken, tau, tau):
            taken.append(next_bound(taken, tau, tau, ALPHA))
            found[number] = taken[-1]
    return found


@dataclass
class Cell:
    """One split and rate: false alarms by rule and number of looks."""

    split: tuple[int, int]
    rate: float
    rounds: int = 0
    wrong: dict[tuple[str, int], int] = field(default_factory=dict)


def false_positives(
    split: tuple[int, int],
    rate: float,
    rounds: int,
    seed: int,
    bounds: dict[int, dict[int, Bounded]],
) -> Cell:
    """A/A tests, looked at 20, 200 and 2,000 times; each rule alarms at most once a test."""
    chance, cell = random.Random(seed), Cell(split, rate, rounds)
    share = split[1] / 100
    for _ in range(rounds):
        users, events = [0, 0], [0, 0]
        alarmed: set[tuple[str, int]] = set()
        for number in range(1, 2001):
            treated = binomial(chance, PER_LOOK, share)
            for arm, count in ((0, PER_LOOK - treated), (1, treated)):
                users[arm] += count
                events[arm] += binomial(chance, count, rate)
            for looks in LOOKS:
                if number % (2000 // looks) == 0:
                    at = number * looks // 2000
                    alarmed |= _alarms(users, events, split, looks, bounds[looks].get(at), alarmed)
        for one in alarmed:
            cell.wrong[one] = cell.wrong.get(one, 0) + 1
    return cell


def _alarms(
    users: list[int],
    events: list[int],
    split: tuple[int, int],
    looks: int,
    bound: Bounded | None,
    alarmed: set[tuple[str, int]],
) -> set[tuple[str, int]]:
    if not min(users):
        return set()
    found = set()
    pooled = sum(events) / sum(users)
    error = math.sqrt(pooled * (1 - pooled) * (1 / users[0] + 1 / users[1]))
    z = abs(events[1] / users[1] - events[0] / users[0]) / error if error else 0.0
    if z >= Z:
        found.add((RULES[0], looks))
    both = (events[0], users[0]), (events[1], users[1])
    if (
        bound is not None
        and z >= bound.bound
        and compare_proportions(*both, bound.bound).significant
    ):
        found.add((RULES[1], looks))
    fewest = min(min(e, u - e) for e, u in zip(events, users, strict=True))
    if z >= 2.5 and fewest >= FEWEST_EVENTS and (RULES[2], looks) not in alarmed:
        critical = critical_at(sum(users), MEASURED_USERS, ALPHA)
        if z >= critical and compare_proportions(*both, critical).significant:
            found.add((RULES[2], looks))
    if z > 1 and (RULES[3], looks) not in alarmed:
        counted = [(Count(split[1], events[1]), Count(split[0], events[0]))]
        if log_e_of_harm(counted, 0.0, "up") >= -math.log(ALPHA):
            found.add((RULES[3], looks))
    return found


@dataclass
class Power:
    """One rule over 20 daily looks: how often and after how many days it finds an effect.

    `called` is the estimate over the truth, in the mean of the tests that were called; `median` is
    its median over all tests.
    """

    rule: str
    found: float
    days: float
    called: float
    median: float


def power(rounds: int, seed: int, honest_rounds: int) -> list[Power]:
    """500 users an arm and day, 10 percent, and the lift that one look finds in 80 percent."""
    bounds = list(planned_bounds(20).values())
    limits: dict[str, list[float]] = {
        "one look at day 20": [math.inf] * 19 + [Z],
        "spec: peek with a fixed test": [Z] * 20,
        "group-sequential": [one.bound for one in bounds],
        "confidence sequence": [critical_at(1000 * day, 20_000, ALPHA) for day in range(1, 21)],
    }
    found = {rule: [0.0, 0.0] for rule in limits}
    # Of each test, the estimate over the truth at its end, and whether it was called.
    ends: dict[str, list[tuple[float, bool]]] = {rule: [] for rule in (*limits, HONEST)}
    true = 0.1 * 0.122
    chance = random.Random(seed)
    for _ in range(rounds):
        days = list(_days(chance, 0.1, 0.1 + true))
        for rule, limit in limits.items():
            crossed = [day for day, seen in enumerate(days) if abs(seen[0]) >= limit[day]]
            last = crossed[0] if crossed else 19
            z, difference, error = days[last]
            found[rule][0] += bool(crossed) and z > 0
            found[rule][1] += last + 1
            ends[rule].append((difference / true, bool(crossed)))
            if rule == "group-sequential" and len(ends[HONEST]) < honest_rounds:
                mended = honest(bounds[: last + 1], z) * error / true
                ends[HONEST].append((mended, bool(crossed)))
    found[HONEST] = found["group-sequential"]
    return [
        Power(
            rule,
            hits / rounds,
            days_seen / rounds,
            statistics.fmean(ratio for ratio, called in ends[rule] if called),
            statistics.median(ratio for ratio, _ in ends[rule]),
        )
        for rule, (hits, days_seen) in found.items()
    ]


def _days(
    chance: random.Random, control: float, treatment: float
) -> Iterator[tuple[float, float, float]]:
    xc = xt = 0
    for day in range(1, 21):
        n = 500 * day
        xc += binomial(chance, 500, control)
        xt += binomial(chance, 500, treatment)
        pooled = (xc + xt) / (2 * n)
        error = math.sqrt(pooled * (1 - pooled) * 2 / n)
        yield (xt - xc) / n / error, (xt - xc) / n, error


def skewed(rounds: int, seed: int) -> dict[str, float]:
    """A/A of revenue: 3 percent pay, lognormal (sigma 1); 200 looks, 20,000 users an arm."""
    chance = random.Random(seed)
    bounds = planned_bounds(200)
    wrong = dict.fromkeys(RULES[:3], 0)
    for _ in range(rounds):
        sums = [[0.0, 0.0], [0.0, 0.0]]
        alarmed = set()
        for look in range(1, 201):
            for arm in sums:
                for _ in range(binomial(chance, 100, 0.03)):
                    paid = chance.lognormvariate(3, 1)
                    arm[0] += paid
                    arm[1] += paid * paid
            n = 100 * look
            means = [arm[0] / n for arm in sums]
            spread = sum((arm[1] - arm[0] ** 2 / n) / (n - 1) / n for arm in sums)
            z = abs(means[1] - means[0]) / math.sqrt(spread) if spread > 0 else 0.0
            bound = bounds.get(look)
            if z >= Z:
                alarmed.add(RULES[0])
            # The product asks for 1,000 users an arm, as the spec does.
            if n >= 1000 and bound is not None and z >= bound.bound:
                alarmed.add(RULES[1])
            if n >= 1000 and z >= critical_at(2 * n, 2000, ALPHA):
                alarmed.add(RULES[2])
        for rule in alarmed:
            wrong[rule] += 1
    return {rule: count / rounds for rule, count in wrong.items()}


def ratio_alarms(rounds: int, seed: int) -> tuple[float, float]:
    """Right splits called wrong at 0.01 over 200 looks, and 50.5/49.5 found by 200,000 users."""
    chance = random.Random(seed)
    shares = []
    for share in (0.5, 0.505):
        alarms = 0
        for _ in range(rounds):
            one = users = 0
            for _ in range(200):
                one += binomial(chance, 1000, share)
                users += 1000
                epoch = Epoch({"a": 1, "b": 1}, {"a": one, "b": users - one})
                if sample_ratio([epoch]).p_value <= 0.01:
                    alarms += 1
                    break
        shares.append(alarms / rounds)
    return shares[0], shares[1]


def harm_detected(rounds: int, seed: int) -> int:
    """Median requests until 1 to 3 percent of errors is shown, at a canary of 10 percent."""
    chance = random.Random(seed)
    found = []
    for _ in range(rounds):
        events, requests = [0, 0], 0
        while requests < 60_000:
            requests += 50
            treated = binomial(chance, 50, 0.1)
            events[0] += binomial(chance, 50 - treated, 0.01)
            events[1] += binomial(chance, treated, 0.03)
            counted = [(Count(10, events[1]), Count(90, events[0]))]
            if log_e_of_harm(counted, 0.0, "up") >= -math.log(ALPHA):
                break
        found.append(requests)
    return sorted(found)[len(found) // 2]
