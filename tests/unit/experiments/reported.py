"""Tests whose looks were taken day by day, for reports: one of each end."""

import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from greenlane.experiments.decision import decide
from greenlane.experiments.model import Experiment
from greenlane.experiments.records import ENDS, EpochCounts, Look, Snapshot
from greenlane.experiments.report.segments import SegmentsRead
from greenlane.experiments.running.ending import said
from greenlane.experiments.running.watching import watch
from greenlane.experiments.statistics.moments import Moments
from greenlane.experiments.storing.state import Ending, StoredEpoch, StoredTest, Watch
from tests.unit.experiments.experimenting import START, experiment, moments, succeeded

Case = tuple[StoredTest, list[Look], Watch | None, SegmentsRead | None]


class Story:
    """Users who come each day, and what they do.

    Args:
        test: its definition.
        rates: of each proportion, by metric and variant.
        means: of each mean, likewise.
        daily: users of each day, all variants together.
        seed: of chance.
        tilt: so many of a hundred users of the first variant are lost on the way.
    """

    def __init__(
        self,
        test: Experiment,
        rates: dict[str, dict[str, float]],
        means: dict[str, dict[str, float]] | None = None,
        *,
        daily: int = 1500,
        seed: int = 5,
        tilt: float = 0.0,
    ) -> None:
        self.test, self.rates, self.means, self.daily = test, rates, means or {}, daily
        self.chance, self.tilt = random.Random(seed), tilt
        self.weights = [{name: float(share) for name, share in test.variants.items()}]
        self.users: list[dict[str, int]] = [dict.fromkeys(test.variants, 0)]
        self.sums: list[dict[tuple[str, str], Moments]] = [{}]

    def reweigh(self, **weights: float) -> None:
        """Other weights from now on."""
        self.weights.append(weights)
        self.users.append(dict.fromkeys(weights, 0))
        self.sums.append({})

    def day(self) -> None:
        """Let users come for a day."""
        names = list(self.test.variants)
        first = names[0]
        for name in self.chance.choices(names, list(self.weights[-1].values()), k=self.daily):
            if name == first and self.chance.random() < self.tilt:
                continue
            self.users[-1][name] += 1
            for metric, by in self.rates.items():
                if self.chance.random() < by.get(name, 0.0):
                    self._add(metric, name, succeeded(1))
            for metric, by in self.means.items():
                value = round(self.chance.lognormvariate(0, 0.5) * by.get(name, 0.0), 2)
                self._add(metric, name, moments([value]))

    def _add(self, metric: str, variant: str, more: Moments) -> None:
        sums = self.sums[-1]
        sums[metric, variant] = sums.get((metric, variant), Moments()) + more

    def snapshot(self, days: float) -> Snapshot:
        """What is known after so many days."""
        names = {metric for sums in self.sums for metric, _ in sums}
        return Snapshot(
            at=START + timedelta(days=days),
            started=START,
            epochs=tuple(
                EpochCounts(
                    planned={name: int(share * 10_000) for name, share in weights.items()},
                    users=dict(users),
                )
                for weights, users in zip(self.weights, self.users, strict=True)
            ),
            moments={
                metric: {
                    variant: tuple(sums.get((metric, variant), Moments()) for sums in self.sums)
                    for variant in self.test.variants
                }
                for metric in sorted(names)
            },
        )

    def looks(
        self, days: int = 14, then: Callable[["Story", int], None] = lambda story, day: None
    ) -> list[Look]:
        """A look each day, until one ends the test."""
        found: list[Look] = []
        for day in range(1, days + 1):
            then(self, day)
            self.day()
            found.append(decide(self.test, self.snapshot(day), found))
            if found[-1].verdict in ENDS:
                break
        return found


def stored(story: Story, looks: Sequence[Look], verdict: Ending | None = None) -> StoredTest:
    """The test as it is stored after its looks; `verdict` where something else ended it."""
    last = looks[-1] if looks else None
    ended = verdict or (last.verdict if last is not None and last.verdict in ENDS else None)
    epochs = tuple(
        StoredEpoch(
            number=number,
            since=START + timedelta(days=3 * number),
            weights={name: share for name, share in weights.items()},
            slices=(),
        )
        for number, weights in enumerate(story.weights)
    )
    at = last.snapshot.at + timedelta(seconds=4) if last is not None else START
    keys: dict[str, Any] = {}
    if ended is not None:
        keys = {
            "status": "concluded",
            "verdict": ended,
            "ended_at": at,
            "reason": said(ended, last.reason) if verdict is None and last else "a better idea",
            "serve": last.reason.treatment if ended == "ship" and last else None,
            "ended_by": "greenlane" if verdict is None else "ada",
        }
    return StoredTest(
        **{
            "name": "checkout_optimization",
            "definition": story.test,
            "status": "running",
            "salt": "s",
            "started_at": START,
            "epochs": epochs,
            "at": at,
            **keys,
        }
    )


RATES = {
    "conversion_rate": {"control": 0.100, "treatment": 0.128},
    "error_rate": {"control": 0.004, "treatment": 0.005},
    "cart_abandonment_rate": {"control": 0.6, "treatment": 0.59},
}
MEANS = {
    "revenue_per_visitor": {"control": 3.1, "treatment": 3.4},
    "seconds_to_pay": {"control": 40.0, "treatment": 41.0},
}
METRICS = ["conversion_rate", "revenue_per_visitor", "cart_abandonment_rate"]
GUARDRAILS = [
    "error_rate < 0.01",
    {"name": "seconds_to_pay", "kind": "mean", "direction": "lower", "below": 90},
    {"name": "cart_abandonment_rate", "margin": 0.1},
]


def checkout(**keys: Any) -> Experiment:
    return experiment(
        **{
            "description": "A shorter checkout: one page in the place of three.",
            "metrics": METRICS,
            "guardrail_metrics": GUARDRAILS,
            "whole_weeks": True,
            **keys,
        }
    )


def shipped() -> Case:
    story = Story(checkout(), RATES, MEANS)
    looks = story.looks()
    parts = {}
    for seed, name in enumerate(("desktop", "mobile")):
        part = Story(story.test, RATES, daily=700, seed=40 + seed)
        for _ in range(len(looks)):
            part.day()
        parts[name] = part.snapshot(len(looks))
    read = SegmentsRead(at=looks[-1].snapshot.at + timedelta(seconds=5), snapshots=parts)
    return stored(story, looks), looks, None, read


def harmful() -> Case:
    rates = RATES | {"error_rate": {"control": 0.004, "treatment": 0.03}}
    story = Story(checkout(), rates, MEANS)
    looks = story.looks()
    return stored(story, looks), looks, None, None


def uneven() -> Case:
    story = Story(checkout(), RATES, MEANS, tilt=0.12)
    looks = story.looks()
    return stored(story, looks), looks, None, None


def useless() -> Case:
    same = {"conversion_rate": {"control": 0.1, "treatment": 0.08}}
    story = Story(checkout(guardrail_metrics=[]), same, MEANS)
    looks = story.looks()
    return stored(story, looks), looks, None, None


def undecided() -> Case:
    test = checkout(variants={"control": 40, "treatment": 30, "bolder": 30})
    rates = {
        "conversion_rate": {"control": 0.1, "treatment": 0.103, "bolder": 0.105},
        "error_rate": {"control": 0.004, "treatment": 0.004, "bolder": 0.004},
    }
    story = Story(test, rates, daily=1200)
    looks = story.looks()
    return stored(story, looks), looks, None, None


def running() -> Case:
    story = Story(checkout(), {**RATES, "conversion_rate": {"control": 0.1, "treatment": 0.105}})
    looks = story.looks(6)
    story.day()
    return stored(story, looks), looks, watch(story.test, story.snapshot(6.4)), None


def reweighed() -> Case:
    story = Story(checkout(), RATES, MEANS)

    def then(story: Story, day: int) -> None:
        if day == 4:
            story.reweigh(control=30, treatment=70)

    looks = story.looks(6, then)
    return stored(story, looks, "stopped"), looks, None, None


def unseen() -> Case:
    story = Story(checkout(), RATES)
    return stored(story, []), [], None, None


def lower_is_better() -> Case:
    test = checkout(
        metrics=["cart_abandonment_rate"],
        success_criteria={"cart_abandonment_rate": {"minimum_lift": 0.05}},
        guardrail_metrics=[],
    )
    rates = {"cart_abandonment_rate": {"control": 0.6, "treatment": 0.54}}
    story = Story(test, rates)
    looks = story.looks()
    return stored(story, looks), looks, None, None


def silent() -> Case:
    story = Story(checkout(maximum_duration="3d"), {})
    looks = story.looks(3)
    return stored(story, looks), looks, None, None


AFRESH: dict[str, Callable[[], Case]] = {
    one.__name__: one
    for one in (
        *(shipped, harmful, uneven, useless, undecided, running, reweighed, unseen),
        *(lower_is_better, silent),
    )
}
"""Each takes its looks again."""

CASES: dict[str, Callable[[], Case]] = {name: cache(one) for name, one in AFRESH.items()}
"""The same, whose looks were taken once."""
