"""Tests as a recorder needs them, read anew every few seconds."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from greenlane.clock import Clock
from greenlane.errors import UnknownTest
from greenlane.experiments.counting.folding import Folder, Shown
from greenlane.experiments.counting.values import Recordable
from greenlane.experiments.dealing import Dealer
from greenlane.experiments.statistics.moments import millionths
from greenlane.experiments.storing.compiling import compile_test
from greenlane.experiments.storing.state import StoredTest
from greenlane.flags.definitions.compiling import compiled, in_order
from greenlane.flags.evaluating.conditions import compile_condition, reader

Find = Callable[[str], StoredTest | None]
"""Reads one test; None when there is none."""

Names = Callable[[], Collection[str]]
"""Reads the names of all tests."""

_MOST = 1000
"""Tests that are remembered, before those of too long ago are forgotten."""


class Known:
    """One test, made ready for recording.

    Args:
        test: as it is stored.
    """

    def __init__(self, test: StoredTest) -> None:
        """See the class."""
        self.test = test
        self.dealer = Dealer(test.name, compile_test(test))
        self.recordable = Recordable(test.definition)
        self.folder = Folder(test.definition, self.recordable)
        named: dict[str, Any] = {}
        for name, condition in in_order(test.conditions):
            named[name] = compile_condition(compiled(condition), named)
        self._segments = {
            name: compile_condition(compiled(condition), named)
            for name, condition in test.definition.segments.items()
        }
        self._covariates = {name: reader(name) for name in sorted(self.recordable.covariates)}

    def segments(self, context: Mapping[str, Any]) -> tuple[str, ...]:
        """Which of the test's segments somebody is in."""
        return tuple(name for name, test in self._segments.items() if test(context))

    def covariates(self, context: Mapping[str, Any]) -> dict[str, int]:
        """The covariates that the context knows, in millionths.

        Raises:
            InvalidInput: one of them is no number.
        """
        found = {name: read(context) for name, read in self._covariates.items()}
        return {
            name: millionths(value, f"context.{name}")
            for name, value in found.items()
            if value is not None
        }

    def dealt(
        self, unit: str, variant: str | None, epoch: int | None, at: datetime | None = None
    ) -> tuple[int, str, bool]:
        """By which weights somebody was dealt what, and whether he was shown another variant.

        Args:
            unit: who takes part.
            variant: that he was shown; None is what he was dealt.
            epoch: that the assignment said; None is found by the variant: the newest that held at
                that moment, or before, and deals it, else the first after. Somebody may have been
                assigned a moment before the weights changed.
            at: when it was shown; None is now.
        """
        epochs = self._epochs_at(at) if epoch is None else [epoch]
        for number in epochs:
            found = self.dealer.variant_of(unit, number)
            if variant in (None, found):
                return number, found, False
        return epochs[0], self.dealer.variant_of(unit, epochs[0]), True

    def _epochs_at(self, at: datetime | None) -> list[int]:
        """All epochs: those that had begun, the newest first, then those after."""
        begun = [one.number for one in self.test.epochs if at is None or one.since <= at]
        later = range(len(begun), len(self.test.epochs))
        return [*reversed(begun), *later]

    def explains(self, unit: str, variant: str | None, epoch: int | None) -> bool:
        """Whether some weights of these dealt this; if not, they may have changed a moment ago."""
        if epoch is not None and not 0 <= epoch < len(self.dealer.epochs):
            return False
        return not self.dealt(unit, variant, epoch)[2]

    def shown(
        self,
        unit: str,
        variant: str | None,
        epoch: int | None,
        context: Mapping[str, Any],
        at: datetime,
    ) -> Shown:
        """What somebody who takes part was shown, as it is recorded."""
        number, dealt, other = self.dealt(unit, variant, epoch, at)
        return Shown(
            variant=dealt,
            epoch=number,
            at=at,
            segments=self.segments(context),
            covariates=self.covariates(context),
            other=other,
        )


class KnownTests:
    """Tests by name, each read anew when it was read too long ago.

    Any number of threads may ask; two of them may read the same test at once.

    Args:
        find: reads one test.
        names: reads the names of all of them; asked only when there is none of a name.
        clock: the present instant.
        seconds: how long what was read is trusted, that there is no such test included.
    """

    def __init__(self, find: Find, names: Names, clock: Clock, seconds: float) -> None:
        """See the class."""
        self._find, self._names = find, names
        self._clock, self._for = clock, timedelta(seconds=seconds)
        self._found: dict[str, tuple[datetime, Known | UnknownTest]] = {}
        self._listed: tuple[datetime, Collection[str]] | None = None

    def get(self, name: str, *, anew: bool = False) -> Known:
        """One test, read now if that is asked for; raises `UnknownTest`."""
        now = self._clock.now()
        kept = self._found.get(name)
        if kept is not None and not anew and self._fresh(kept[0], now):
            found = kept[1]
        else:
            found = self._anew(name, kept[1] if kept is not None else None, now)
            self._found[name] = (now, found)
            self._forget(now)
        if isinstance(found, UnknownTest):
            # Another one each time: what is raised carries where it was raised.
            raise UnknownTest(name, found.known)
        return found

    def _fresh(self, read_at: datetime, now: datetime) -> bool:
        return read_at <= now < read_at + self._for

    def _anew(
        self, name: str, before: Known | UnknownTest | None, now: datetime
    ) -> Known | UnknownTest:
        # Whoever makes names up must not wear out the partition that all definitions lie in.
        listed = self._listed
        if listed is not None and self._fresh(listed[0], now) and name not in listed[1]:
            return UnknownTest(name, list(listed[1]))
        test = self._find(name)
        if test is None:
            names = self._names()
            self._listed = now, names
            return UnknownTest(name, list(names))
        return before if isinstance(before, Known) and before.test == test else Known(test)

    def _forget(self, now: datetime) -> None:
        """Whoever makes names up must not fill the memory."""
        if len(self._found) > _MOST:
            for name, (at, _) in list(self._found.items()):
                if not self._fresh(at, now):
                    self._found.pop(name, None)
