"""One metric of one treatment against the control, of any kind, whatever weights became."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from greenlane.experiments.statistics.counts import compare_counts
from greenlane.experiments.statistics.effects import Effect, Outcome
from greenlane.experiments.statistics.means import (
    Estimate,
    of_cuped,
    of_mean,
    of_ratio,
    slope_of,
    stratified,
    welch,
)
from greenlane.experiments.statistics.moments import UNIT, Moments
from greenlane.experiments.statistics.proportions import compare_proportions
from greenlane.experiments.statistics.quantiles import Histogram, compare_quantiles

if TYPE_CHECKING:
    # Analysis needs no pydantic: where only numbers are wanted, it imports in a third of the time.
    from greenlane.experiments.model import MetricShape


@dataclass(frozen=True)
class Arm:
    """One variant's users of one epoch (the time between two changes of weights).

    Args:
        users: exposed ones.
        moments: of the metric; empty where nobody sent it.
        histogram: of a quantile, instead.
    """

    users: int = 0
    moments: Moments = Moments()
    histogram: Histogram = field(default_factory=dict)

    @property
    def seen(self) -> int:
        """Users with the metric."""
        return self.moments.seen or sum(self.histogram.values())


Epochs = Sequence[tuple[Arm, Arm]]
"""Control and treatment, for each epoch; oldest first."""


def compare(metric: "MetricShape", epochs: Epochs, critical: float) -> Effect:
    """The effect, at one critical value.

    With one epoch: the score test of proportions, Welch's of means, ratios and CUPED, the exact
    one of counts, Woodruff's of quantiles. After a change of weights: proportions, means, ratios
    and counts by their post-stratified means; a quantile by the epoch with most users alone.

    Args:
        metric: what is compared.
        epochs: those in which both arms have users count; the others say nothing of a difference.
        critical: of a normal |z|, at this look.
    """
    told = _why_not(metric, epochs)
    both = [pair for pair in epochs if _usable(metric, *pair)]
    if told is None and not both:
        told = "empty_arm"
    if told is not None:
        return Effect(told, "", _users(epochs))
    if metric.kind == "quantile":
        control, treatment = max(both, key=lambda pair: min(pair[0].seen, pair[1].seen))
        share = float(metric.quantile or 0)
        return compare_quantiles(control.histogram, treatment.histogram, share, critical)
    if len(both) == 1 and metric.covariate is None:
        ((control, treatment),) = both
        if metric.kind == "proportion":
            return compare_proportions(_successes(control), _successes(treatment), critical)
        if metric.kind == "count":
            users = control.users, treatment.users
            one, two = ((arm.moments.y // UNIT, float(arm.users)) for arm in (control, treatment))
            return compare_counts(one, two, users, critical)
    return _by_means(metric, both, critical)


def _why_not(metric: "MetricShape", epochs: Epochs) -> Outcome | None:
    for side in (0, 1):
        if sum(pair[side].users for pair in epochs) == 0:
            return "empty_arm"
    if all(arm.seen == 0 for pair in epochs for arm in pair):
        return "not_sent"
    if any(arm.seen > arm.users for pair in epochs for arm in pair):
        return "not_exposed"
    return None


def _usable(metric: "MetricShape", control: Arm, treatment: Arm) -> bool:
    if metric.kind == "quantile":
        return bool(control.seen and treatment.seen)
    fewest = 1 if metric.kind in ("proportion", "count") and metric.covariate is None else 2
    return min(control.users, treatment.users) >= fewest


def _users(epochs: Epochs) -> tuple[int, int]:
    return sum(pair[0].users for pair in epochs), sum(pair[1].users for pair in epochs)


def _successes(arm: Arm) -> tuple[int, int]:
    return arm.moments.y // UNIT, arm.users


def _by_means(metric: "MetricShape", both: Epochs, critical: float) -> Effect:
    # The variance of one user needs two of them, also where one would do for an exact test.
    both = [pair for pair in both if min(pair[0].users, pair[1].users) >= 2]
    if not both:
        return Effect("empty_arm", "", (0, 0))
    everyone = sum(arm.users for pair in both for arm in pair)
    estimates: tuple[list[tuple[float, Estimate]], ...] = ([], [])
    for pair in both:
        share = sum(arm.users for arm in pair) / everyone
        for side, found in enumerate(_estimates(metric, pair)):
            if found is None:
                return Effect("not_sent", "ratio", _users(both))
            estimates[side].append((share, found))
    test = "ratio, delta method" if metric.is_ratio else "Welch"
    if metric.covariate is not None:
        test = "Welch, CUPED"
    control, treatment = (stratified(one) for one in estimates)
    effect = welch(control, treatment, critical, test)
    if len(both) == 1:
        return effect
    return replace(effect, test=f"{effect.test}, post-stratified")


def _estimates(metric: "MetricShape", pair: tuple[Arm, Arm]) -> list[Estimate | None]:
    if metric.is_ratio:
        return [of_ratio(arm.users, arm.moments) for arm in pair]
    if metric.covariate is None:
        return [of_mean(arm.users, arm.moments) for arm in pair]
    theta = slope_of([(arm.users, arm.moments) for arm in pair])
    users = sum(arm.users for arm in pair)
    everywhere = Fraction(sum(arm.moments.z for arm in pair), users * UNIT)
    return [of_cuped(arm.users, arm.moments, theta, everywhere) for arm in pair]


def information(epochs: Epochs) -> float:
    """How much the users of two arms can tell: 1 over what 1 / n_c + 1 / n_t comes to.

    With several epochs, of the post-stratified difference.
    """
    both = [pair for pair in epochs if pair[0].users and pair[1].users]
    everyone = sum(arm.users for pair in both for arm in pair)
    if not everyone:
        return 0.0
    spread = 0.0
    for control, treatment in both:
        share = (control.users + treatment.users) / everyone
        spread += share * share * (1 / control.users + 1 / treatment.users)
    return 1 / spread
