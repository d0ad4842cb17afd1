"""What may be recorded of a user: under which names, and which values each of them takes."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from greenlane.errors import InvalidInput
from greenlane.experiments.counting.sums import covariates_of, names_of
from greenlane.experiments.model import Experiment
from greenlane.experiments.naming import Kind
from greenlane.experiments.statistics.moments import UNIT, millionths
from greenlane.problems import suggest

AHEAD = timedelta(minutes=5)
"""How far the clock of whoever sends may be ahead of ours."""

BEHIND = timedelta(days=60)
"""How late an event of a test without an end may come: what tells that it was here before is kept
for longer than that."""


EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""Nothing is known of users from before. A year of less than four digits would be stored as text
that cannot be read again, and the first of all hours has no UTC."""


class Recordable:
    """The names that a test records; made once for each definition.

    Args:
        test: its definition.
    """

    def __init__(self, test: Experiment) -> None:
        """See the class."""
        self._test = test
        self.covariates = covariates_of(test)
        self._kinds: dict[str, set[Kind]] = {}
        for shape in test.measured.values():
            for name in names_of(shape):
                self._kinds.setdefault(name, set()).add(shape.kind)

    def is_metric(self, name: str) -> bool:
        """Whether what happens after an exposure counts under this name."""
        return name in self._kinds

    def check_variant(self, variant: str | None) -> None:
        """Refuse a variant that the test does not have."""
        if variant is not None and variant not in self._test.variants:
            known = list(self._test.variants)
            raise InvalidInput(
                "variant", variant, f"there are {', '.join(known)}{suggest(variant, known)}"
            )

    def checked(self, name: str, value: Decimal | int | float | str) -> int:
        """A value in millionths.

        Raises:
            InvalidInput: no such metric, or a value that it does not take.
            OutOfBudget: it is more than 10**9 from 0.
        """
        if name not in self._kinds and name not in self.covariates:
            known = sorted(self._kinds.keys() | self.covariates)
            near = suggest(name, known)
            raise InvalidInput("metric", name, f"this test records {', '.join(known)}{near}")
        whole = millionths(value)
        kinds = self._kinds.get(name, set())
        if "proportion" in kinds and whole not in (0, UNIT):
            said = f"{name} is a proportion: send 1 for a user who did it, or 0"
            raise InvalidInput("value", value, said)
        if "count" in kinds and (whole < 0 or whole % UNIT):
            raise InvalidInput("value", value, f"{name} is a count: send 0, 1, 2 and so on")
        if "quantile" in kinds and whole < 0:
            raise InvalidInput("value", value, f"{name} is a quantile: send a number from 0 on")
        return whole

    def check_time(self, name: str, at: datetime, now: datetime) -> None:
        """Refuse a moment that cannot be, or is too long ago to know whether it was here."""
        if at.tzinfo is None:
            raise InvalidInput("at", at.isoformat(), "write an offset, such as +00:00")
        if at > now + AHEAD:
            raise InvalidInput("at", at.isoformat(), "it is not yet; set the clock of the sender")
        if at < EARLIEST:
            raise InvalidInput("at", at.isoformat(), "it is before 2000; say when it happened")
        late = at < now - BEHIND and self._test.maximum_duration is None
        if late and name not in self.covariates:
            said = "a test without maximum_duration takes events for 60 days after they happened"
            raise InvalidInput("at", at.isoformat(), said)
