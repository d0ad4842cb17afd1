"""Assign, expose, record: the one way in for whatever is told of users.

Each call writes one transaction for each user: the user's own item on its version, an item for
each event that must not be there yet, and the counters' additions (see `transacting`). So an answer
that got lost, a request that is sent twice and a crash at any point leave what one clean run would
have left.
"""

import hashlib
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from greenlane.clock import Clock
from greenlane.deployments.storing.items import Item
from greenlane.errors import CountersBusy, GreenlaneError, InvalidInput
from greenlane.experiments.counting.events import Assigned, Event, Exposure, Recorded, Seen
from greenlane.experiments.counting.known import Known, KnownTests
from greenlane.experiments.counting.making import Exposing, Recording
from greenlane.experiments.counting.people import Pending, Person, digest_of
from greenlane.experiments.counting.transacting import Transactor
from greenlane.experiments.namesakes import names_of_tests
from greenlane.experiments.statistics.moments import OutOfBudget
from greenlane.experiments.storing.state import StoredTest
from greenlane.experiments.storing.store import DynamoExperimentStore
from greenlane.problems import excerpt

MOST_EVENTS = 50
"""Of one user in one transaction; counters take at most 48 of its 100 items (see `lints`)."""

KEPT = timedelta(days=90)
"""What tells that an event was here is kept for so long after the test's latest end, or, where it
has none, after the event came."""

LONGEST_ID = 256
"""Characters of an event's id, and of a user's."""


class _Checked(NamedTuple):
    """An event that may be recorded, and the item that it leaves behind."""

    event: Pending
    mark: Item


class Recorder:
    """Records what users of all tests were shown and did.

    Any number of threads and processes may do so at once, in one Region.

    Args:
        client: a boto3 `dynamodb` client; its timeouts and retries are the caller's choice.
        table: the table of A/B tests.
        clock: the present instant.
        known_seconds: for how long a definition that was read is trusted.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        client: Any,
        table: str,
        *,
        clock: Clock,
        known_seconds: float = 5.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """See the class."""
        store = DynamoExperimentStore(client, table)
        names = partial(names_of_tests, client, table)
        self._tests = KnownTests(store.find, names, clock, known_seconds)
        self._transactor = Transactor(client, table, sleep)
        self._clock = clock

    def assign(self, test: str, context: Mapping[str, Any], *, unit: str | None = None) -> Assigned:
        """What a user gets, now. Nothing is written: showing it is told by `expose`.

        Args:
            test: its name.
            context: `targetingKey`, or the test's `unit`, and whatever targeting asks for.
            unit: who, where the context does not say.

        Raises:
            UnknownTest: there is no such test.
        """
        known = self._tests.get(test)
        user = dict(context) if unit is None else {**context, known.dealer.unit: unit}
        dealt = known.dealer.deal(user, self._clock.now().timestamp())
        if dealt.unit is not None and known.dealer.may_differ(dealt):
            person = self._transactor.person(known.test, digest_of(known.test, dealt.unit))
            if person.variant is not None:
                return Assigned(person.variant, "recorded", True, person.epoch, dealt.run)
        return Assigned(dealt.variant, dealt.why, dealt.takes_part, dealt.epoch, dealt.run)

    def expose(self, exposure: Exposure) -> Seen:
        """Record that a user was shown a variant; the first time counts.

        Raises:
            UnknownTest: there is no such test.
            InvalidInput: no such variant, no user, or a covariate that is no number.
            OutOfBudget: a sum would have too many digits; nothing was counted.
            CountersBusy: too many others write the same; send it again.
        """
        known, now = self._tests.get(exposure.test), self._clock.now()
        if exposure.run not in (None, known.test.run):
            # Whoever dealt may know of the next run already.
            known = self._tests.get(exposure.test, anew=True)
        if exposure.run not in (None, known.test.run):
            said = f"it was shown in run {exposure.run}, and run {known.test.run} is there now"
            return Seen("not_in_test", known.dealer.control, said)
        known.recordable.check_variant(exposure.variant)
        at = exposure.at or now
        known.recordable.check_time("", at, now)
        context = dict(exposure.context)
        if exposure.unit is not None:
            context[known.dealer.unit] = exposure.unit
        dealt = known.dealer.deal(context, at.timestamp())
        if known.test.status != "running":
            return Seen("not_in_test", dealt.variant, dealt.why)
        unit = dealt.unit
        if unit is None:
            said = "say who was shown it; the test tells users apart by this"
            raise InvalidInput(f"context.{known.dealer.unit}", None, said)
        _check_text("unit", unit)
        if not known.explains(unit, exposure.variant, exposure.epoch):
            # Whoever dealt may know of other weights already.
            known = self._tests.get(exposure.test, anew=True)
            dealt = known.dealer.deal(context, at.timestamp())
            if known.test.status != "running":
                return Seen("not_in_test", dealt.variant, dealt.why)
        make = Exposing(known, unit, exposure, context, at, may=dealt.takes_part)
        self._transactor.settle(
            known.test,
            digest_of(known.test, unit),
            make,
            [],
            attempt=str(uuid.uuid4()),
            expires_at=_Expiry(known.test, now),
        )
        why = {"not_in_test": dealt.why, "crossover": f"{make.variant} is on record"}
        return Seen(make.result, make.variant or dealt.variant, why.get(make.result, ""))

    def record(self, events: Sequence[Event]) -> list[Recorded]:
        """Record what users did; one answer for each event, in their order.

        Events of one user and test are written together, up to 50 at once. What is wrong with one
        is its answer (`refused`), and keeps no other from being counted.
        """
        return [_as_answer(found) for found in self._recorded(events)]

    def record_one(self, event: Event) -> Recorded:
        """Record one event, and raise what is wrong.

        Raises:
            UnknownTest: there is no such test.
            InvalidInput: no such metric or variant, or a value that the metric does not take.
            OutOfBudget: a total or a sum has too many digits; nothing was counted.
            CountersBusy: too many others write the same; send it again.
        """
        (found,) = self._recorded([event])
        if isinstance(found, GreenlaneError):
            raise found
        return found

    def _recorded(self, events: Sequence[Event]) -> list[Recorded | GreenlaneError]:
        """What became of each event, errors among that."""
        now = self._clock.now()
        found: dict[int, Recorded | GreenlaneError] = {}
        groups: dict[tuple[str, str], tuple[Known, dict[int, _Checked]]] = {}
        for number, event in enumerate(events):
            try:
                known = self._tests.get(event.test)
                if known.test.status != "running":
                    found[number] = Recorded("not_in_test", known.test.status)
                    continue
                checked = _checked(known, event, now)
            except InvalidInput as error:
                found[number] = error
                continue
            _, group = groups.setdefault((event.test, event.unit), (known, {}))
            group[number] = checked
        for (_, unit), (known, group) in groups.items():
            found |= self._of_one(known, unit, group, now)
        return [found[number] for number in range(len(events))]

    def _of_one(
        self, known: Known, unit: str, group: Mapping[int, _Checked], now: datetime
    ) -> dict[int, Recorded | GreenlaneError]:
        """Record what one user did."""
        never = known.dealer.why_never(unit)
        if never is not None:
            return dict.fromkeys(group, Recorded("not_in_test", never))
        found: dict[int, Recorded | GreenlaneError] = {}
        first: dict[str, int] = {}
        for number, one in group.items():
            if first.setdefault(one.mark["sk"]["S"], number) != number:
                found[number] = Recorded("duplicate", "it stands in this request twice")
        rest = [number for number in group if number not in found]
        for start in range(0, len(rest), MOST_EVENTS):
            chunk = rest[start : start + MOST_EVENTS]
            found |= self._chunk(known, unit, {number: group[number] for number in chunk}, now)
        return found

    def _chunk(
        self, known: Known, unit: str, group: Mapping[int, _Checked], now: datetime
    ) -> dict[int, Recorded | GreenlaneError]:
        """Record what goes into one transaction."""
        numbers, checked = list(group), list(group.values())
        make = Recording(known, unit, [one.event for one in checked])
        attempt = str(uuid.uuid4())
        try:
            told = self._transactor.settle(
                known.test,
                digest_of(known.test, unit),
                make,
                [one.mark | {"attempt": {"S": attempt}} for one in checked],
                attempt=attempt,
                expires_at=_Expiry(known.test, now),
            )
        except (CountersBusy, OutOfBudget) as error:
            return dict.fromkeys(numbers, error)
        found: dict[int, Recorded | GreenlaneError] = {**told, **make.errors}
        return {numbers[place]: one for place, one in found.items()}


class _Expiry:
    """When what is kept of users may go, in Unix seconds; None is never."""

    def __init__(self, test: StoredTest, now: datetime) -> None:
        longest = test.definition.maximum_duration
        start = test.started_at or now
        self._end = None if longest is None else start + longest
        self.mark = int(((self._end or now) + KEPT).timestamp())

    def __call__(self, person: Person) -> int | None:
        """Of a user's item. One who counts stays as long as the test may run."""
        return None if self._end is None and person.exposed_at is not None else self.mark


def _checked(known: Known, event: Event, now: datetime) -> _Checked:
    """An event, when it is one.

    Raises:
        InvalidInput: naming what is wrong.
    """
    _check_text("unit", event.unit)
    _check_text("id", event.id)
    known.recordable.check_variant(event.variant)
    value = known.recordable.checked(event.metric, event.value)
    at = event.at or now
    known.recordable.check_time(event.metric, at, now)
    digest = digest_of(known.test, event.unit)
    of_id = hashlib.sha256(event.id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    mark: Item = {
        "pk": {"S": f"event#{event.test}#{known.test.run}#{digest}"},
        "sk": {"S": f"{event.metric}#{of_id}"},
        "expires_at": {"N": str(_Expiry(known.test, now).mark)},
    }
    return _Checked(Pending(event.metric, value, at, event.variant or ""), mark)


def _check_text(field: str, text: Any) -> None:
    if not isinstance(text, str) or not 0 < len(text) <= LONGEST_ID:
        raise InvalidInput(field, excerpt(text), f"send a text of 1 to {LONGEST_ID} characters")


def _as_answer(found: Recorded | GreenlaneError) -> Recorded:
    if isinstance(found, CountersBusy):
        return Recorded("retry", str(found))
    return Recorded("refused", str(found)) if isinstance(found, GreenlaneError) else found
