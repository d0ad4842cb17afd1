"""What a look sees: bounds, effects of all metrics, guardrails. What follows is in `decision`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from greenlane.experiments.guarding import guard
from greenlane.experiments.model import Experiment
from greenlane.experiments.records import Guarded, HonestEffect, Look, Snapshot
from greenlane.experiments.statistics.boundaries import (
    LARGEST_BOUND,
    LEAST_GROWTH,
    Bounded,
    honest,
    is_a_look,
    next_bound,
)
from greenlane.experiments.statistics.comparison import Epochs, compare, information
from greenlane.experiments.statistics.effects import Effect
from greenlane.experiments.statistics.moments import UNIT
from greenlane.experiments.statistics.multiplicity import holm
from greenlane.experiments.statistics.sequential import critical_at
from greenlane.experiments.statistics.special import normal_isf, two_sided

FEWEST_EVENTS = 5
"""Successes and failures of each arm, below which a confidence sequence of shares decides nothing:
it rests on a limit that is not reached yet."""

MOST_LOOKS = 60
"""Behind an honest effect; with more, the first are taken for never having been near their bounds,
which O'Brien and Fleming's are made for."""


@dataclass
class Measured:
    """What a look sees; see `greenlane.experiments.records.Look` for the names."""

    final: bool = False
    bounds: dict[str, Bounded] = field(default_factory=dict)
    critical: dict[str, float] = field(default_factory=dict)
    effects: dict[str, dict[str, Effect]] = field(default_factory=dict)
    crossed: dict[str, int] = field(default_factory=dict)
    guardrails: tuple[Guarded, ...] = ()
    too_few: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def measure(test: Experiment, snapshot: Snapshot, looks: Sequence[Look]) -> Measured:
    """See all there is to see."""
    found = Measured(final=_tau(test, snapshot) >= 1)
    enough = all(snapshot.users(name) >= test.minimum_sample_size for name in test.variants)
    for treatment in test.treatments:
        epochs = snapshot.pairs(test.primary_metric.name, test.control_variant, treatment)
        bound = _bound(test, snapshot, looks, treatment, epochs) if enough else None
        if bound is not None and _few_events(test, epochs):
            found.too_few[treatment] = f"fewer than {FEWEST_EVENTS} users of an arm did it, or not"
            bound = None
        if bound is not None:
            found.bounds[treatment] = bound
        found.critical[treatment] = bound.bound if bound is not None else LARGEST_BOUND
    _primary(test, snapshot, looks, found)
    _others(test, snapshot, found)
    found.guardrails = guardrails(test, snapshot, found.bounds)
    return found


def _tau(test: Experiment, snapshot: Snapshot) -> float:
    if test.maximum_duration is None:
        return 0.0
    return max(0.0, (snapshot.at - snapshot.started) / test.maximum_duration)


def alpha_of(test: Experiment) -> float:
    """The level of one treatment: Bonferroni over all of them."""
    return float(test.criterion.significance_level) / len(test.treatments)


def _bound(
    test: Experiment,
    snapshot: Snapshot,
    looks: Sequence[Look],
    treatment: str,
    epochs: Epochs,
) -> Bounded | None:
    """What |z| must reach now; None where this moment is no look of its own."""
    known = information(epochs)
    if known <= 0:
        return None
    alpha = alpha_of(test)
    if test.maximum_duration is None:
        users = sum(arm.users for pair in epochs for arm in pair)
        planned = 2 * test.minimum_sample_size
        return Bounded(0.0, known, critical_at(users, planned, alpha))
    taken = [look.bounds[treatment] for look in looks if treatment in look.bounds]
    tau = min(1.0, _tau(test, snapshot))
    if not is_a_look(taken, tau, known):
        return None
    return next_bound(taken, tau, known, alpha)


def _few_events(test: Experiment, epochs: Epochs) -> bool:
    if test.maximum_duration is not None or test.primary_metric.kind != "proportion":
        return False
    for side in (0, 1):
        users = sum(pair[side].users for pair in epochs)
        events = sum(pair[side].moments.y for pair in epochs) // UNIT
        if min(events, users - events) < FEWEST_EVENTS:
            return True
    return False


def _primary(test: Experiment, snapshot: Snapshot, looks: Sequence[Look], found: Measured) -> None:
    metric = test.primary_metric
    effects = {}
    found.crossed = dict(looks[-1].crossed) if looks else {}
    for treatment in test.treatments:
        epochs = snapshot.pairs(metric.name, test.control_variant, treatment)
        effect = compare(metric, epochs, found.critical[treatment])
        effects[treatment] = effect
        better = (effect.difference or 0.0) * (-1 if metric.direction == "lower" else 1) > 0
        if treatment in found.bounds and effect.significant and better:
            found.crossed.setdefault(treatment, len(looks) + 1)
    found.effects[metric.name] = effects


def _others(test: Experiment, snapshot: Snapshot, found: Measured) -> None:
    """Secondary metrics: Holm's steps over all of them, at the level that this look has."""
    strictest = max(found.critical.values())
    level = two_sided(strictest) * len(test.treatments)
    asked = [
        (metric, treatment, snapshot.pairs(metric.name, test.control_variant, treatment))
        for metric in test.metrics
        if metric.name != test.primary_metric.name
        for treatment in test.treatments
    ]
    first = [compare(metric, epochs, strictest) for metric, _, epochs in asked]
    judged = iter(holm([one.p_value for one in first if one.p_value is not None], level))
    for (metric, treatment, epochs), effect in zip(asked, first, strict=True):
        if effect.p_value is not None:
            effect = compare(metric, epochs, next(judged).critical)
        found.effects.setdefault(metric.name, {})[treatment] = effect
        if effect.outcome != "compared":
            found.notes.append(f"{metric.name} of {treatment}: {effect.outcome}")


def guardrails(
    test: Experiment, snapshot: Snapshot, bounds: Mapping[str, Bounded]
) -> tuple[Guarded, ...]:
    """Each guardrail of each treatment.

    Args:
        test: its definition.
        snapshot: what is known now.
        bounds: of this look; a margin is shown to be kept at a look, and at no other moment.
    """
    family = len(test.guardrail_metrics) * len(test.treatments)
    guarded = []
    for treatment in test.treatments:
        both = (test.control_variant, treatment)
        planned = [
            (epoch.planned.get(both[0], 0), epoch.planned.get(both[1], 0))
            for epoch in snapshot.epochs
        ]
        bound = bounds.get(treatment)
        guarded += [
            guard(
                guardrail,
                treatment,
                snapshot.pairs(guardrail.name, *both),
                planned,
                level=float(test.guardrail_significance_level) / family,
                critical=bound.bound if bound is not None else None,
                expected=test.minimum_sample_size,
            )
            for guardrail in test.guardrail_metrics
        ]
    return tuple(guarded)


def honest_effect(
    test: Experiment, treatment: str | None, measured: Measured, looks: Sequence[Look]
) -> HonestEffect | None:
    """The effect of the look that decided, without the luck of having ended just then."""
    name = test.primary_metric.name
    if treatment is None or treatment not in measured.bounds:
        return None
    number = measured.crossed.get(treatment, len(looks) + 1)
    effect = measured.effects[name][treatment]
    bounds = [look.bounds[treatment] for look in looks[:number] if treatment in look.bounds]
    if number <= len(looks):
        effect = looks[number - 1].effects[name][treatment]
    else:
        bounds.append(measured.bounds[treatment])
    if effect.difference is None or effect.p_value is None or not effect.error:
        return None
    # As a normal z of the same p-value: looks are on that scale, whatever test it was.
    tail = max(effect.p_value / 2, 1e-300)
    z = math.copysign(max(0.0, normal_isf(tail)), effect.difference)
    bounds = _spaced(bounds)[-MOST_LOOKS:]
    alpha = alpha_of(test)
    middle, low, high = (honest(bounds, z, share) for share in (0.5, alpha / 2, 1 - alpha / 2))
    return HonestEffect(
        look=number,
        difference=middle * effect.error,
        difference_interval=(low * effect.error, high * effect.error),
        lift=middle * effect.error / effect.control if effect.control and effect.lift else None,
    )


def _spaced(bounds: Sequence[Bounded]) -> list[Bounded]:
    """Looks of a confidence sequence may come without news; of those that do, the last one."""
    kept: list[Bounded] = []
    for one in bounds:
        if kept and one.information < kept[-1].information * LEAST_GROWTH:
            if one is not bounds[-1]:
                continue
            kept.pop()
        kept.append(one)
    return kept
