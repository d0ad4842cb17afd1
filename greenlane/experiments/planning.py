"""How many users a test needs and how long it takes, by its own criteria, before it begins.

What the metric is like without the test (its baseline) is given, or taken from what was counted of
the control of a test that runs. Pure; the numbers are `statistics.planner`'s.
"""

import math
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.errors import InvalidInput
from greenlane.experiments.assignment import level_of
from greenlane.experiments.model import Experiment
from greenlane.experiments.records import Snapshot
from greenlane.experiments.statistics.means import of_mean, of_ratio
from greenlane.experiments.statistics.moments import Moments, spread, together
from greenlane.experiments.statistics.planner import (
    WEEK,
    Design,
    Noise,
    detectable,
    means,
    proportions,
    sample_size,
)

DAY = timedelta(days=1)
MOST_LOOKS = 100
ENDLESS_LOOKS = 28
"""For the power of a test without an end: each further look would only add to it."""

LONGEST_DAYS = 3653
"""A test that needs more is not planned."""


class Baseline(NamedTuple):
    """What one user of the control is like.

    Args:
        mean: of the metric: a rate, a mean, a ratio, events per user.
        deviation: standard deviation of one user; None follows from the mean (rates and counts).
        correlation: with the covariate.
    """

    mean: float
    deviation: float | None = None
    correlation: float = 0.0


class TestPlan(StoredModel):
    """What a test needs.

    Args:
        metric: the primary one.
        baseline: of the control.
        deviation: of one user.
        lift: relative, that is to be found; positive where better.
        alpha: of all treatments together.
        power: the chance to find it.
        rule: how it is decided.
        looks: how many, for the power.
        users: needed, by variant.
        taking_part: how many eligible users come in a day and take part, once the ramp is done.
        duration: until they have come, in whole weeks where the test asks for them; None without
            `per_day`.
        maximum_duration: of the test.
        fits: whether the duration is within it; None where either is not known.
        detectable: the smallest lift that is found in `maximum_duration` with this power.
        expected: the part of the users that is seen in the mean before the end, if the effect is
            what was planned.
        notes: what a reader should know.
    """

    __test__ = False  # pytest takes its name for a test's

    metric: str
    baseline: float
    deviation: float
    lift: float
    alpha: float
    power: float
    rule: str
    looks: int
    users: dict[str, int]
    taking_part: float | None = None
    duration: timedelta | None = None
    maximum_duration: timedelta | None = None
    fits: bool | None = None
    detectable: float | None = None
    expected: float
    notes: tuple[str, ...] = ()


def plan(
    test: Experiment,
    baseline: Baseline,
    *,
    lift: float | None = None,
    power: float = 0.8,
    per_day: float | None = None,
) -> TestPlan:
    """Plan a test.

    Args:
        test: its definition.
        baseline: what the control is like.
        lift: relative, positive where better; `minimum_lift` if None.
        power: the chance to find it, such as 0.8.
        per_day: new eligible users in a day, before `traffic`, `ramp` and the layer's part.

    Raises:
        InvalidInput: a number that cannot be, or a metric that cannot be planned.
    """
    lift = _lift(test, lift)
    design = _design(test, power)
    signed = -lift if test.primary_metric.direction == "lower" else lift
    noise = _noise(test, baseline, signed)
    needed = sample_size(noise, design)
    users = _users(test, needed.control)
    days = None if per_day is None else _days(test, sum(users.values()), per_day)
    longest = test.maximum_duration
    return TestPlan(
        metric=test.primary_metric.name,
        baseline=noise.control,
        deviation=math.sqrt(noise.control_variance),
        lift=lift,
        alpha=design.alpha,
        power=power,
        rule=design.rule,
        looks=design.looks,
        users=users,
        taking_part=None if per_day is None else per_day * float(_share(test, None)),
        duration=days,
        maximum_duration=longest,
        fits=None if days is None or longest is None else days <= longest,
        detectable=None if per_day is None else _detectable(test, noise, design, per_day),
        expected=needed.expected,
        notes=tuple(_notes(test, lift, needed.control)),
    )


def measured(test: Experiment, snapshot: Snapshot) -> Baseline:
    """The baseline as the control of a test has it, all epochs in one.

    Raises:
        InvalidInput: too little was counted, or the metric is none that is planned.
    """
    shape, control = test.primary_metric, test.control_variant
    users = snapshot.users(control)
    parts = snapshot.moments.get(shape.name, {}).get(control, ())
    sums = together(parts)
    if users < 2 or not sums.seen:
        way_out = "too little was counted of the control yet; give a rate, or mean and deviation"
        raise InvalidInput("baseline", f"{users} users", way_out)
    found = of_ratio(users, sums) if shape.is_ratio else of_mean(users, sums)
    if found is None:
        raise InvalidInput("baseline", shape.name, "its denominator adds up to 0; give --mean")
    if shape.kind in ("proportion", "count"):
        return Baseline(found.value)
    covaries = shape.covariate is not None
    return Baseline(
        found.value,
        math.sqrt(found.variance * users),
        _correlation(users, sums) if covaries else 0.0,
    )


def _correlation(users: int, sums: Moments) -> float:
    yy = spread(users, sums.y, sums.y, sums.yy)
    zz = spread(users, sums.z, sums.z, sums.zz)
    yz = spread(users, sums.y, sums.z, sums.yz)
    if not yy or not zz:
        return 0.0
    found = yz / math.sqrt(yy) / math.sqrt(zz)
    return max(-0.999, min(0.999, found))


def _lift(test: Experiment, lift: float | None) -> float:
    if lift is None:
        lift = float(test.criterion.minimum_lift)
    if not 0 < lift < math.inf:
        way_out = "give the lift that is worth finding, above 0, such as 0.05 (the test asks for 0)"
        raise InvalidInput("lift", lift, way_out)
    return lift


def _design(test: Experiment, power: float) -> Design:
    weights = test.variants
    least = min(weights[name] for name in test.treatments)
    if not least:
        raise InvalidInput("variants", "0 percent", "a variant without users is never compared")
    endless = test.maximum_duration is None
    looks = ENDLESS_LOOKS
    if test.maximum_duration is not None:
        looks = max(1, min(MOST_LOOKS, test.maximum_duration // DAY))
    return Design(
        "confidence_sequence" if endless else "group_sequential",
        looks=looks,
        alpha=float(test.criterion.significance_level),
        power=power,
        treatments=len(test.treatments),
        ratio=float(least / weights[test.control_variant]),
    )


def _noise(test: Experiment, baseline: Baseline, lift: float) -> Noise:
    kind = test.primary_metric.kind
    if kind == "quantile":
        way_out = "a quantile cannot be planned; plan a mean of it, or make another metric primary"
        raise InvalidInput("primary", test.primary_metric.name, way_out)
    if kind == "proportion":
        noise = proportions(baseline.mean, lift)
        kept = 1 - baseline.correlation**2
        return noise._replace(
            control_variance=noise.control_variance * kept,
            treatment_variance=noise.treatment_variance * kept,
        )
    if kind == "count":
        noise = means(baseline.mean, math.sqrt(max(baseline.mean, 0.0)) or 1.0, lift)
        return noise._replace(treatment_variance=noise.treatment)
    if baseline.deviation is None:
        way_out = "give the standard deviation of one user (--deviation)"
        raise InvalidInput("deviation", None, way_out)
    return means(baseline.mean, baseline.deviation, lift, correlation=baseline.correlation)


def _users(test: Experiment, control: int) -> dict[str, int]:
    """By variant, in the shares of the weights; none has fewer than `minimum_sample_size`."""
    weights = test.variants
    whole = Decimal(control) / weights[test.control_variant]
    smallest = Decimal(test.minimum_sample_size) / min(one for one in weights.values() if one)
    whole = max(whole, smallest)
    return {name: math.ceil(whole * weight) for name, weight in weights.items()}


def _share(test: Experiment, elapsed: timedelta | None) -> Decimal:
    """Which part of the eligible takes part, a ratio; at the end of the ramp without `elapsed`."""
    after = DAY * LONGEST_DAYS if elapsed is None else elapsed
    share = level_of(test.ramp, test.traffic, after) / 100
    if test.layer is not None:
        share *= (test.layer.end - test.layer.start) / 100
    return share


def _came(test: Experiment, per_day: float, days: int) -> float:
    return sum(per_day * float(_share(test, DAY * day)) for day in range(days))


def _days(test: Experiment, users: int, per_day: float) -> timedelta:
    if not 0 < per_day < math.inf:
        raise InvalidInput("per_day", per_day, "it is above 0")
    came, days = 0.0, 0
    while came < users:
        if days >= LONGEST_DAYS:
            way_out = "that many users take more than ten years; a larger lift needs fewer"
            raise InvalidInput("per_day", per_day, way_out)
        came += per_day * float(_share(test, DAY * days))
        days += 1
    whole = WEEK * math.ceil(days / WEEK) if test.whole_weeks else days
    return max(DAY * whole, test.minimum_duration)


def _detectable(test: Experiment, noise: Noise, design: Design, per_day: float) -> float | None:
    if test.maximum_duration is None:
        return None
    came = _came(test, per_day, max(1, test.maximum_duration // DAY))
    control = int(came * float(test.variants[test.control_variant]) / 100)
    if control < 2:
        return None
    return detectable((noise.control, math.sqrt(noise.control_variance)), control, design)


def _notes(test: Experiment, lift: float, control: int) -> list[str]:
    notes = []
    least = float(test.criterion.minimum_lift)
    if least and lift <= least:
        notes.append(
            f"the estimate must reach minimum_lift ({least:.2%}) as well: a treatment that is "
            "just so much better ships in about half of the tests that find it"
        )
    if control < test.minimum_sample_size:
        notes.append(f"minimum_sample_size asks for more: {test.minimum_sample_size} each")
    if test.maximum_duration is None:
        notes.append("without maximum_duration a test needs some 1.7 times the users")
    if len(test.treatments) > 1:
        notes.append(f"each of {len(test.treatments)} treatments has its part of the level")
    return notes
