"""One turn of a rollout: look, decide, write, act. What it works on comes in as two ports."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from greenlane.errors import FenceLost
from greenlane.regions.coordinating.deciding import LOOK, decide
from greenlane.regions.coordinating.fencing import is_majority
from greenlane.regions.coordinating.model import Act, Asked, RegionSeen, Rollout, Seen


class Standing(NamedTuple):
    """A rollout as it is on record, and the last wish of a person."""

    record: Rollout
    asked: Asked | None = None


class Book(Protocol):
    """Where the record of a rollout is."""

    def read(self, service: str) -> Standing | None:
        """The service's latest rollout, strongly consistent."""
        ...

    def write(self, record: Rollout) -> Rollout:
        """Write a record over the version and epoch that it has; the record as it is then.

        Raises:
            FenceLost: the record moved on.
        """
        ...


class Realm(Protocol):
    """All Regions of a rollout. Each has its turn whatever becomes of the others."""

    def look(self, record: Rollout, now: datetime) -> Mapping[str, RegionSeen]:
        """What is to be seen; a Region that does not answer is silent or left out."""
        ...

    def claim(self, record: Rollout) -> int:
        """How many Regions take the record's epoch."""
        ...

    def act(self, record: Rollout, acts: Sequence[Act]) -> Mapping[str, str]:
        """Do everything; by Region, why something could not be done."""
        ...


class Turn(NamedTuple):
    """What came of a turn.

    Args:
        before: the record at its begin.
        after: the record as it was written.
        wake_at: when the next turn is due, UTC; None when it is over.
        acts: what was done, or tried.
        failures: by Region, why something could not be done.
    """

    before: Rollout
    after: Rollout
    wake_at: datetime | None
    acts: Sequence[Act]
    failures: Mapping[str, str]


def take_turn(book: Book, realm: Realm, standing: Standing, now: datetime) -> Turn:
    """Take a rollout on by as much as may be done now.

    Repeating it, or dying in it, changes nothing that the next turn does not put right.

    Args:
        book: where the record is.
        realm: the Regions.
        standing: the record as it was read for this turn.
        now: the clock's instant, aware.

    Raises:
        FenceLost: the record moved on; nothing was done.
        Exception: what else the book raised; nothing was done but to go back.
    """
    before = standing.record
    if before.standing_in:
        realm.claim(before)  # what home has not started by then, it starts no more
    seen = Seen(regions=realm.look(before, now), asked=standing.asked)
    decision = decide(before, seen, now)
    if decision.starts:
        quorum = is_majority(realm.claim(before), len(before.regions))
        # A Region that refused knows of another coordinator: the next look says so.
        again = seen.regions if quorum else realm.look(before, now)
        seen = Seen(regions=again, asked=standing.asked, quorum=quorum)
        decision = decide(before, seen, now)
    after = decision.record
    if decision.acts or after != before:
        after = _written(book, realm, after.model_copy(update={"updated_at": now}), decision.acts)
    failures = realm.act(after, decision.acts) if decision.acts else {}
    wake = decision.wake_at
    if failures and wake is not None:
        wake = min(wake, now + LOOK)
    return Turn(before, after, wake, decision.acts, failures)


def _written(book: Book, realm: Realm, record: Rollout, acts: Sequence[Act]) -> Rollout:
    """Write the record before anything is done, but for going back: that fails open.

    Regions that go back are seen to by the next look, so a record that did not learn of it will.
    """
    try:
        return book.write(record)
    except FenceLost:
        raise
    except Exception:
        if record.phase == "rolling_back":
            realm.act(record, acts)
        raise
