"""How many users a test needs, how long it takes, and what it can see, before it begins.

Power comes from the very bounds that the test will have (`boundaries`), not from a factor: a plan
and the test that follows it cannot disagree.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Literal, NamedTuple

from greenlane.errors import InvalidInput
from greenlane.experiments.statistics.boundaries import Bounded, crossings, next_bound, power_at
from greenlane.experiments.statistics.sequential import critical_at
from greenlane.experiments.statistics.special import normal_isf, root

Rule = Literal["fixed", "group_sequential", "confidence_sequence"]

WEEK = 7


class Noise(NamedTuple):
    """What one user of the control and of the treatment looks like.

    Args:
        control: mean.
        control_variance: of one user.
        treatment: mean.
        treatment_variance: of one user.
    """

    control: float
    control_variance: float
    treatment: float
    treatment_variance: float


def proportions(rate: float, lift: float) -> Noise:
    """Users who do something or do not.

    Args:
        rate: of the control, between 0 and 1.
        lift: relative, such as 0.05.

    Raises:
        InvalidInput: no such rate, or the treatment's would be none.
    """
    other = rate * (1 + lift)
    if not 0 < rate < 1:
        raise InvalidInput("rate", rate, "it is between 0 and 1")
    if not 0 < other < 1 or lift == 0:
        raise InvalidInput("lift", lift, "the treatment's rate differs, and is between 0 and 1")
    return Noise(rate, rate * (1 - rate), other, other * (1 - other))


def means(mean: float, deviation: float, lift: float, *, correlation: float = 0.0) -> Noise:
    """Users with a total each.

    Args:
        mean: of the control, above 0.
        deviation: standard deviation of one user.
        lift: relative.
        correlation: of the metric with its covariate, -1 to 1: CUPED takes its square off.

    Raises:
        InvalidInput: a number is not one of these.
    """
    if not mean > 0:
        raise InvalidInput("mean", mean, "a relative lift needs a mean above 0")
    if not deviation > 0:
        raise InvalidInput("deviation", deviation, "it is above 0")
    if lift == 0 or not math.isfinite(lift):
        raise InvalidInput("lift", lift, "it is not 0")
    if not -1 < correlation < 1:
        raise InvalidInput("correlation", correlation, "it is between -1 and 1")
    variance = deviation * deviation * (1 - correlation * correlation)
    return Noise(mean, variance, mean * (1 + lift), variance)


@dataclass(frozen=True)
class Design:
    """How the test is decided.

    Args:
        rule: one look at the end, group-sequential looks, or a confidence sequence.
        looks: evenly spaced; 1 for `fixed`.
        alpha: of all comparisons together.
        power: the chance to find the effect.
        treatments: each is compared with control at alpha over their number.
        ratio: users of one treatment for one user of the control.
    """

    rule: Rule = "group_sequential"
    looks: int = 14
    alpha: float = 0.05
    power: float = 0.8
    treatments: int = 1
    ratio: float = 1.0


class Plan(NamedTuple):
    """What is needed.

    Args:
        control: users of the control.
        treatment: users of each treatment.
        inflation: users, over those of a test with a single look.
        expected: the part of the users that is seen in the mean before the end, if the effect is
            what was planned.
    """

    control: int
    treatment: int
    inflation: float
    expected: float

    def users(self, treatments: int = 1) -> int:
        """Of all variants."""
        return self.control + treatments * self.treatment


def bounds_of(design: Design) -> list[Bounded]:
    """The looks of a design, with information that ends at 1."""
    alpha = design.alpha / design.treatments
    if design.rule == "fixed":
        return [Bounded(1.0, 1.0, normal_isf(alpha / 2))]
    looks: list[Bounded] = []
    for number in range(1, design.looks + 1):
        tau = number / design.looks
        if design.rule == "group_sequential":
            looks.append(next_bound(looks, tau, tau, alpha))
        else:
            looks.append(Bounded(tau, tau, critical_at(tau, 1.0, alpha)))
    return looks


def sample_size(noise: Noise, design: Design | None = None) -> Plan:
    """Users that find the effect with the wanted power.

    Raises:
        InvalidInput: the design is none.
    """
    design = design if design is not None else Design()
    _check(design)
    drift, expected = _needed(design)
    single, _ = _needed(Design("fixed", 1, design.alpha, design.power, design.treatments))
    difference = noise.treatment - noise.control
    spread = noise.control_variance + noise.treatment_variance / design.ratio
    control = (drift / difference) ** 2 * spread
    return Plan(
        math.ceil(control),
        math.ceil(control * design.ratio),
        (drift / single) ** 2,
        expected,
    )


def detectable(noise_of_lift: Sequence[float], users: int, design: Design | None = None) -> float:
    """The smallest relative lift of a mean that a test of this size finds.

    Args:
        noise_of_lift: mean and standard deviation of one user.
        users: of the control.
        design: how the test is decided.
    """
    design = design if design is not None else Design()
    _check(design)
    mean, deviation = noise_of_lift
    drift, _ = _needed(design)
    return drift * deviation * math.sqrt((1 + 1 / design.ratio) / users) / mean


def duration(plan: Plan, users_per_day: float, design: Design | None = None) -> timedelta:
    """Whole weeks until the users have come.

    Args:
        plan: see `sample_size`.
        users_per_day: new ones that take part, of all variants.
        design: how the test is decided.

    Raises:
        InvalidInput: nobody comes.
    """
    treatments = design.treatments if design is not None else 1
    if not users_per_day > 0:
        raise InvalidInput("users_per_day", users_per_day, "it is above 0")
    days = plan.users(treatments) / users_per_day
    return timedelta(days=WEEK * math.ceil(days / WEEK))


@lru_cache(maxsize=64)
def _needed(design: Design) -> tuple[float, float]:
    """What z must be in the mean at the last look, and the part of the users seen before the end.

    Neither depends on what is measured, so plans of many lifts ask for them once.
    """
    looks = bounds_of(design)
    drift = root(lambda at: power_at(looks, at) - design.power, 0.0, 20.0)
    return drift, _expected(looks, drift)


def _expected(looks: Sequence[Bounded], drift: float) -> float:
    left, mean = 1.0, 0.0
    for look, (low, high) in zip(looks, crossings(looks, drift), strict=True):
        mean += look.information * (low + high)
        left -= low + high
    return mean + left * looks[-1].information


def _check(design: Design) -> None:
    if not 0 < design.alpha < 1:
        raise InvalidInput("alpha", design.alpha, "it is between 0 and 1")
    if not design.alpha < design.power < 1:
        raise InvalidInput("power", design.power, "it is between alpha and 1")
    if not 1 <= design.looks <= 100:
        raise InvalidInput("looks", design.looks, "1 to 100")
    if design.treatments < 1:
        raise InvalidInput("treatments", design.treatments, "at least 1")
    if not design.ratio > 0:
        raise InvalidInput("ratio", design.ratio, "it is above 0")
