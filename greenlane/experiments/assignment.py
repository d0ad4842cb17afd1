"""Who takes part in a test, and in which variant: salted SHA-256, the same in every language.

A user's bucket is a whole number from 0 to 999,999: one is 0.0001 percent. It is
`(h * 1000000) >> 64`, where h is the first 8 bytes, big endian, of SHA-256 of the length of the
salt (4 bytes, big endian), the salt, and the user, both in UTF-8.

Each question has a salt of its own, so that no answer says anything about another:

- `holdout:<salt>`: below its percentage: kept out.
- `layer:<salt>`: between the test's start and end of the layer: may take part.
- `inclusion:<salt>`: below the traffic that the ramp has reached: takes part.
- `variant:<salt>`: whose slice it is in.

So a ramp only ever adds users, and none of them changes variant by it. Nothing is asked of a store:
a record of who was assigned what makes assignments survive a change of weights, and no more.
Golden vectors are published in docs/experiments.md, and tested.
"""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Literal, NamedTuple

from greenlane.experiments.dealing import BUCKETS as BUCKETS
from greenlane.experiments.dealing import bucket as bucket
from greenlane.experiments.model import Experiment, Holdout, Layer, Ramp

PER_PERCENT = BUCKETS // 100

Why = Literal["assigned", "not_eligible", "held_out", "other_layer_place", "not_included"]


def buckets_of(percent: Decimal) -> int:
    """How many buckets a percentage of at most three decimals is; exact."""
    return int(percent * PER_PERCENT)


class Slice(NamedTuple):
    """Buckets from `start` up to, not including, `end`, that have one variant."""

    start: int
    end: int
    variant: str


Allocation = tuple[Slice, ...]
"""Slices in order, without gaps, from 0 to 1,000,000. It is part of a stored definition."""


def allocation_of(weights: Mapping[str, Decimal]) -> Allocation:
    """The slices of a new test: one for each variant with users, as listed.

    Args:
        weights: percent, adding up to 100.
    """
    slices, start = [], 0
    for variant, percent in weights.items():
        end = start + buckets_of(percent)
        if end > start:
            slices.append(Slice(start, end, variant))
        start = end
    return tuple(slices)


def reallocated(before: Allocation, weights: Mapping[str, Decimal]) -> Allocation:
    """The slices after a change of weights, moving only the users that must move.

    A variant that shrinks gives up the end of what it has; those that grow take it up in the
    order of the buckets. Nobody else moves, so the share that moves is the sum of what the
    shrinking ones lose. It depends on the slices before: they are stored, not computed again.

    Args:
        before: the slices until now.
        weights: the new ones, percent, adding up to 100; variants may be new or gone.
    """
    held = {variant: 0 for variant in weights}
    kept: list[Slice] = []
    free: list[tuple[int, int]] = []
    for start, end, variant in before:
        room = buckets_of(weights.get(variant, Decimal(0))) - held.get(variant, 0)
        keep = min(end - start, max(0, room))
        if keep:
            kept.append(Slice(start, start + keep, variant))
            held[variant] += keep
        if start + keep < end:
            free.append((start + keep, end))
    for variant, percent in weights.items():
        wanted = buckets_of(percent) - held[variant]
        while wanted:
            start, end = free.pop(0)
            taken = min(wanted, end - start)
            kept.append(Slice(start, start + taken, variant))
            wanted -= taken
            if start + taken < end:
                free.insert(0, (start + taken, end))
    return _joined(sorted(kept))


def _joined(slices: list[Slice]) -> Allocation:
    joined: list[Slice] = []
    for one in slices:
        if joined and joined[-1].variant == one.variant and joined[-1].end == one.start:
            joined[-1] = Slice(joined[-1].start, one.end, one.variant)
        else:
            joined.append(one)
    return tuple(joined)


class Assignment(NamedTuple):
    """What a user gets: a variant, or None and why not."""

    variant: str | None
    why: Why


def level_of(ramp: Ramp | None, traffic: Decimal, elapsed: timedelta) -> Decimal:
    """How many percent of the eligible take part, so long after the start.

    Args:
        ramp: its steps, each lasting an interval; None is all at once.
        traffic: what the last step leads to at most.
        elapsed: since the start of the test; nobody takes part before it.
    """
    if elapsed < timedelta(0):
        return Decimal(0)
    if ramp is None:
        return traffic
    step = min(elapsed // ramp.interval, len(ramp.steps) - 1)
    return min(traffic, ramp.steps[step])


class Assigner:
    """Answers for one test; made once, asked often.

    Args:
        name: of the test.
        test: its definition.
        allocation: the stored slices; None is those of a test whose weights never changed.
        layers: of the file, by name.
        holdouts: of the file, by name.
    """

    def __init__(
        self,
        name: str,
        test: Experiment,
        *,
        allocation: Allocation | None = None,
        layers: Mapping[str, Layer] | None = None,
        holdouts: Mapping[str, Holdout] | None = None,
    ) -> None:
        salt = test.salt or name
        self._test = test
        self._slices = allocation if allocation is not None else allocation_of(test.variants)
        self._included, self._variant = f"inclusion:{salt}", f"variant:{salt}"
        self._layer: tuple[str, int, int] | None = None
        if test.layer is not None:
            layer = (layers or {}).get(test.layer.name, Layer())
            place = buckets_of(test.layer.start), buckets_of(test.layer.end)
            self._layer = (f"layer:{layer.salt or test.layer.name}", *place)
        self._holdouts = [
            (f"holdout:{holdout.salt or key}", buckets_of(holdout.percentage))
            for key, holdout in (holdouts or {}).items()
            if not holdout.tests or name in holdout.tests
        ]

    def assign(self, unit: str, elapsed: timedelta, *, eligible: bool = True) -> Assignment:
        """The variant of a user.

        Args:
            unit: what users are told apart by, such as a user's id.
            elapsed: since the start of the test.
            eligible: whether the user meets the test's targeting.
        """
        if not eligible:
            return Assignment(None, "not_eligible")
        if any(bucket(salt, unit) < size for salt, size in self._holdouts):
            return Assignment(None, "held_out")
        if self._layer is not None:
            salt, start, end = self._layer
            if not start <= bucket(salt, unit) < end:
                return Assignment(None, "other_layer_place")
        level = level_of(self._test.ramp, self._test.traffic, elapsed)
        if bucket(self._included, unit) >= buckets_of(level):
            return Assignment(None, "not_included")
        return Assignment(self.variant_of(unit), "assigned")

    def variant_of(self, unit: str) -> str:
        """The variant that a user who takes part has; depends on nothing but the slices."""
        place = bucket(self._variant, unit)
        return next(one.variant for one in self._slices if place < one.end)
