"""What should have been counted: computed anew from everything that was ever told, by fractions.

It knows nothing of deltas, versions, shards or items, and shares no arithmetic with what it judges.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any

from greenlane.experiments.counting.events import Event
from greenlane.experiments.model import Experiment, MetricShape
from greenlane.experiments.records import Snapshot
from greenlane.experiments.statistics.quantiles import bucket_of

Key = tuple[str, str]


@dataclass
class User:
    """One user: the exposure that came first, and each event once."""

    variant: str | None = None
    epoch: int = 0
    at: datetime | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    crossover: bool = False
    events: dict[Key, Event] = field(default_factory=dict)


class Truth:
    """All users of one test."""

    def __init__(self, test: Experiment, started: datetime) -> None:
        self.test, self.started = test, started
        self.users: dict[str, User] = {}
        self.covariates = {one.covariate for one in test.metrics if one.covariate}

    def exposed(
        self,
        unit: str,
        dealt: list[tuple[datetime, str]],
        shown: str | None,
        at: datetime,
        context: Any,
    ) -> None:
        """`dealt` is since when each epoch's weights give the user what, oldest first."""
        user = self.users.setdefault(unit, User())
        if user.variant is not None:
            user.crossover |= shown not in (None, user.variant)
            return
        # Nearest first: back from the moment of the exposure, and then on from it.
        nearest = sorted(
            range(len(dealt)),
            key=lambda number: (
                dealt[number][0] > at,
                number if dealt[number][0] > at else -number,
            ),
        )
        matching = [number for number in nearest if shown in (None, dealt[number][1])]
        user.epoch = (matching or nearest)[0]
        user.variant, user.at, user.context = dealt[user.epoch][1], at, context
        user.crossover = not matching
        user.crossover |= any(self._claims_another(user, one) for one in user.events.values())

    def recorded(self, event: Event) -> None:
        user = self.users.setdefault(event.unit, User())
        assert event.at is not None
        if event.at < self.started and event.metric not in self.covariates:
            return  # nobody took part then
        user.events.setdefault((event.metric, event.id), event)
        if user.variant is not None:
            user.crossover |= self._claims_another(user, event)

    def _claims_another(self, user: User, event: Event) -> bool:
        return event.variant not in (None, user.variant)

    def check(self, found: Snapshot, early: int, segment: str | None = None) -> None:
        """Compare a snapshot, to the last digit."""
        counted = [
            user
            for user in self.users.values()
            if user.variant is not None
            and not user.crossover
            and (segment is None or user.context.get("device") == segment)
        ]
        for number, epoch in enumerate(found.epochs):
            here = [user for user in counted if user.epoch == number]
            assert epoch.users == {
                name: sum(user.variant == name for user in here) for name in self.test.variants
            }
            for name, shape in self.test.measured.items():
                for variant in self.test.variants:
                    users = [user for user in here if user.variant == variant]
                    if shape.kind == "quantile":
                        expected = Counter(
                            bucket_of(float(total))
                            for user in users
                            if (total := self._total(user, name)[0]) is not None
                        )
                        assert found.histograms[name][variant][number] == expected
                        continue
                    moments = found.moments[name][variant][number]
                    assert _as_fractions(moments) == self._moments(shape, users), (name, variant)
        assert found.crossovers == sum(user.crossover for user in self.users.values())
        if segment is None:
            assert early == sum(self._early(user) for user in counted)

    def _moments(self, shape: MetricShape, users: Iterable[User]) -> tuple[Any, ...]:
        seen, rows = 0, []
        for user in users:
            y, z, is_seen = self._numbers(shape, user)
            seen += is_seen
            rows.append((y, z))
        return (
            seen,
            sum((y for y, _ in rows), Fraction(0)),
            sum((y * y for y, _ in rows), Fraction(0)),
            sum((z for _, z in rows), Fraction(0)),
            sum((z * z for _, z in rows), Fraction(0)),
            sum((y * z for y, z in rows), Fraction(0)),
        )

    def _numbers(self, shape: MetricShape, user: User) -> tuple[Fraction, Fraction, bool]:
        if shape.kind == "ratio":
            above, below = (
                self._total(user, str(name))[0] for name in (shape.numerator, shape.denominator)
            )
            seen = above is not None or below is not None
            return above or Fraction(0), below or Fraction(0), seen
        total, records = self._total(user, shape.name)
        y = total or Fraction(0)
        if shape.kind == "proportion":
            y = min(y, Fraction(1))
        if shape.cap is not None:
            y = max(-Fraction(shape.cap), min(y, Fraction(shape.cap)))
        z = Fraction(records) if shape.per == "record" else Fraction(0)
        if shape.covariate is not None:
            z = self._known_before(user, shape.covariate)
        return y, z, total is not None

    def _total(self, user: User, name: str) -> tuple[Fraction | None, int]:
        values = [
            Fraction(str(event.value))
            for (metric, _), event in user.events.items()
            if metric == name and user.at is not None and _at(event) >= user.at
        ]
        return (sum(values, Fraction(0)) if values else None), len(values)

    def _known_before(self, user: User, covariate: str) -> Fraction:
        if covariate in user.context:
            return Fraction(str(user.context[covariate]))
        return sum(
            (
                Fraction(str(event.value))
                for (metric, _), event in user.events.items()
                if metric == covariate and user.at is not None and _at(event) < user.at
            ),
            Fraction(0),
        )

    def _early(self, user: User) -> int:
        return sum(
            user.at is not None
            and _at(event) < user.at
            and (metric not in self.covariates or metric in user.context)
            for (metric, _), event in user.events.items()
        )


def _at(event: Event) -> datetime:
    assert event.at is not None
    return event.at


def _as_fractions(moments: Any) -> tuple[Any, ...]:
    one, two = Fraction(1, 10**6), Fraction(1, 10**12)
    return (
        moments.seen,
        moments.y * one,
        moments.yy * two,
        moments.z * one,
        moments.zz * two,
        moments.yz * two,
    )
