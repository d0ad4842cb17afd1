"""What an exposure or an event makes of a user. Pure: no I/O, no clock.

An event counts if the user is exposed and it is not earlier than that. One that comes before the
exposure is known waits for it, so it does not matter in which order both arrive. There is room for
50: of a user who does more than that, and of whom no exposure is known, the oldest are taken for
earlier than it will be, as nearly always they are. What a user did
before his exposure is in no sum; records of a covariate's name are what was known before.

A user who was seen with two variants cannot be said to have had either: nothing of him is left in
any sum, and he counts no more.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from greenlane.experiments.counting.events import Recorded, Result
from greenlane.experiments.counting.people import MOST_PENDING, Passed, Pending, Person, Total
from greenlane.experiments.counting.sums import bucket_in
from greenlane.experiments.counting.values import Recordable
from greenlane.experiments.model import Experiment
from greenlane.experiments.statistics.moments import LARGEST, SCALE, UNIT, OutOfBudget

TOO_LATE = "it is a covariate: what happened after the exposure was not known before it; give `at`"


class Folded(NamedTuple):
    """A user with one event more, and what became of that.

    `kept` says whether the event must not come again: whether it changed what is known.
    """

    person: Person
    recorded: Recorded
    kept: bool


class Shown(NamedTuple):
    """What a user was shown.

    Args:
        variant: that he was dealt.
        epoch: by which weights.
        at: when, aware.
        segments: of the test's, that he is in.
        covariates: that came with it, in millionths.
        other: it was another one that he was shown: he is a crossover from the start.
    """

    variant: str
    epoch: int
    at: datetime
    segments: tuple[str, ...] = ()
    covariates: Mapping[str, int] = {}
    other: bool = False


class Folder:
    """Folds what is told of users of one test.

    Args:
        test: its definition.
        recordable: the names that it records.
    """

    def __init__(self, test: Experiment, recordable: Recordable) -> None:
        """See the class."""
        self._recordable = recordable
        self._quantiles = [one for one in test.measured.values() if one.kind == "quantile"]

    def expose(self, person: Person, shown: Shown) -> Person:
        """A user who is not exposed yet, exposed, with whatever waited for that."""
        passed = person.passed
        # A covariate must not know of what came after: then rather nothing is known.
        early = passed is None or passed.until < shown.at
        found = replace(
            person,
            variant=shown.variant,
            epoch=shown.epoch,
            exposed_at=shown.at,
            segments=shown.segments,
            before={**(person.before if early else {}), **shown.covariates},
            given=tuple(sorted(shown.covariates)),
            pending=(),
            passed=None,
        )
        believed = set() if passed is None else set(passed.variants)
        if shown.other or believed - {shown.variant}:
            return crossed(found)
        for one in person.pending:
            found = self._placed(found, one).person
        return found

    def record(self, person: Person, event: Pending) -> Folded:
        """A user with one event more.

        Raises:
            OutOfBudget: the user's total would be more than 10**9 from 0.
        """
        if person.exposed_at is not None:
            return self._placed(person, event)
        waiting = sum(abs(one.value) for one in person.pending if one.metric == event.metric)
        _check(event.metric, waiting + abs(event.value))
        person = replace(person, pending=(*person.pending, event))
        if len(person.pending) <= MOST_PENDING:
            return _kept(person, "pending")
        return self._passing(person, event)

    def _passing(self, person: Person, event: Pending) -> Folded:
        """Room for an event among those that wait: the oldest is taken for before the exposure."""
        oldest = min(person.pending, key=lambda one: one.at)
        left = tuple(one for one in person.pending if one is not oldest)
        folded = self._before(replace(person, pending=left), oldest)
        before = person.passed or Passed(oldest.at)
        believed = {*before.variants, oldest.variant} - {""}
        passed = Passed(max(before.until, oldest.at), tuple(sorted(believed)))
        recorded = folded.recorded if oldest is event else Recorded("pending")
        return Folded(replace(folded.person, passed=passed), recorded, kept=True)

    def _placed(self, person: Person, event: Pending) -> Folded:
        """An event of a user who is exposed: after that, or before."""
        if person.crossover:
            return Folded(person, Recorded("crossover"), kept=False)
        if event.variant and event.variant != person.variant:
            why = f"{person.variant} is on record"
            return Folded(crossed(person), Recorded("crossover", why), kept=False)
        if person.exposed_at is not None and event.at < person.exposed_at:
            return self._before(person, event)
        if not self._recordable.is_metric(event.metric):
            return Folded(person, Recorded("refused", TOO_LATE), kept=False)
        old = person.totals.get(event.metric, Total())
        new = Total(old.sum + event.value, old.records + 1)
        _check(event.metric, abs(new.sum))
        person = replace(person, totals={**person.totals, event.metric: new})
        return _kept(self._in_buckets(person, event.metric), "counted")

    def _before(self, person: Person, event: Pending) -> Folded:
        name = event.metric
        if name not in self._recordable.covariates or name in person.given:
            return _kept(replace(person, early=person.early + 1), "before_exposure")
        known = person.before.get(name, 0) + event.value
        _check(name, abs(known))
        return _kept(replace(person, before={**person.before, name: known}), "counted")

    def _in_buckets(self, person: Person, name: str) -> Person:
        for shape in self._quantiles:
            found = bucket_in(shape, person) if shape.name == name else None
            if found is not None:
                person = replace(person, buckets={**person.buckets, name: found})
        return person


def crossed(person: Person) -> Person:
    """A user who was seen with another variant than is on record: only that is left of him."""
    nothing = replace(person, totals={}, before={}, given=(), buckets={}, early=0, pending=())
    nothing = replace(nothing, passed=None)
    return replace(nothing, crossover=True)


def _kept(person: Person, result: Result) -> Folded:
    return Folded(person, Recorded(result), kept=True)


def _check(name: str, number: int) -> None:
    if number > LARGEST * UNIT:
        said = f"a user's total of {name} is at most 10**9; use a larger unit"
        raise OutOfBudget("value", f"{number // UNIT} and {SCALE} decimals", said)
