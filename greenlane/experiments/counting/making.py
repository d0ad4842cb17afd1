"""What a call makes of a user, from whatever he is when it is his turn; see `transacting.Make`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from greenlane.errors import InvalidInput
from greenlane.experiments.counting.events import Exposed, Exposure, Recorded
from greenlane.experiments.counting.folding import crossed
from greenlane.experiments.counting.known import Known
from greenlane.experiments.counting.people import Pending, Person
from greenlane.experiments.counting.transacting import Changed
from greenlane.experiments.statistics.moments import OutOfBudget


class Exposing:
    """Exposes a user; `result` and `variant` are what became of it the last time it was called.

    Args:
        known: the test.
        unit: who.
        exposure: what was shown.
        context: what is known of the user.
        at: when.
        may: whether the user takes part, if nothing is on record.

    Raises:
        InvalidInput: there was no such epoch, or a covariate is no number.
    """

    def __init__(
        self,
        known: Known,
        unit: str,
        exposure: Exposure,
        context: Mapping[str, Any],
        at: datetime,
        *,
        may: bool,
    ) -> None:
        """See the class."""
        epochs = len(known.test.epochs)
        if exposure.epoch is not None and not 0 <= exposure.epoch < epochs:
            said = f"the test has the epochs 0 to {epochs - 1}; leave it out if it is not known"
            raise InvalidInput("epoch", exposure.epoch, said)
        self._folder, self._variant = known.folder, exposure.variant
        self._shown = None
        if may:
            self._shown = known.shown(unit, exposure.variant, exposure.epoch, context, at)
        self.result: Exposed = "not_in_test"
        self.variant: str | None = None

    def __call__(self, person: Person, ours: bool, here: frozenset[int]) -> Changed:
        """See `transacting.Make`; there are no events here."""
        if person.exposed_at is not None:
            return self._again(person, ours)
        if self._shown is None:
            self.result, self.variant = "not_in_test", None
            return Changed(person, {})
        exposed = self._folder.expose(person, self._shown)
        self.result, self.variant = "exposed", exposed.variant
        if exposed.crossover:
            self.result = "crossover"
        return Changed(exposed, {})

    def _again(self, person: Person, ours: bool) -> Changed:
        self.variant = person.variant
        if not person.crossover and self._variant in (None, person.variant):
            self.result = "exposed" if ours else "again"
            return Changed(person, {})
        self.result = "crossover"
        return Changed(person if person.crossover else crossed(person), {})


class Recording:
    """Records events of a user; `errors` are of those that were too large the last time.

    Args:
        known: the test.
        unit: who.
        events: checked ones.
    """

    def __init__(self, known: Known, unit: str, events: Sequence[Pending]) -> None:
        """See the class."""
        self._known, self._unit, self._events = known, unit, events
        self.errors: dict[int, OutOfBudget] = {}

    def __call__(self, person: Person, ours: bool, here: frozenset[int]) -> Changed:
        """See `transacting.Make`."""
        told: dict[int, Recorded] = {}
        kept: list[int] = []
        self.errors = {}
        for number, event in enumerate(self._events):
            if number in here:
                continue
            why = self._why_not(person, event)
            if why is not None:
                told[number] = Recorded("not_in_test", why)
                continue
            try:
                folded = self._known.folder.record(person, event)
            except OutOfBudget as error:
                self.errors[number] = error
                continue
            person, told[number] = folded.person, folded.recorded
            if folded.kept:
                kept.append(number)
        if person.crossover:
            # One of them told of another variant: with that, none of them counts any more.
            why = f"{person.variant} is on record"
            return Changed(person, told | dict.fromkeys(kept, Recorded("crossover", why)))
        return Changed(person, told, kept)

    def _why_not(self, person: Person, event: Pending) -> str | None:
        """Why an event cannot be of somebody who was exposed before it; None if it can."""
        exposed = person.exposed_at is not None and event.at >= person.exposed_at
        if exposed or person.crossover:
            return None
        if event.metric in self._known.recordable.covariates:
            return self._known.dealer.why_never(self._unit)
        return self._known.dealer.why_not(self._unit, event.at.timestamp())
