"""A/B tests in memory: a table, a clock, a store and a recorder, and what a test says of users."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import yaml

from greenlane.experiments.counting.events import Event, Exposure, Recorded, Seen
from greenlane.experiments.counting.known import Known
from greenlane.experiments.counting.reading import counted, read_snapshot
from greenlane.experiments.counting.recording import Recorder
from greenlane.experiments.model import Experiment, ExperimentsDocument
from greenlane.experiments.names import TABLE
from greenlane.experiments.records import Snapshot
from greenlane.experiments.statistics.moments import Moments
from greenlane.experiments.storing import keeping
from greenlane.experiments.storing.state import StoredTest
from greenlane.experiments.storing.store import DynamoExperimentStore
from tests.table import Table

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

TEST: dict[str, Any] = {
    "variants": {"control": 50, "treatment": 50},
    "metrics": ["conversion_rate"],
    "minimum_sample_size": 10,
    "maximum_duration": "14d",
}


def definition(**keys: Any) -> Experiment:
    return Experiment.model_validate({**TEST, **keys})


def document_of(text: str) -> ExperimentsDocument:
    return ExperimentsDocument.model_validate(yaml.safe_load(text))


class Hands:
    """A clock that stands until it is moved."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def go(self, **ahead: float) -> datetime:
        self.at += timedelta(**ahead)
        return self.at


class Laboratory:
    """Everything that tests of A/B tests need, over one table in memory.

    Args:
        client: what the store and the recorder talk to; the table itself if left out.
    """

    def __init__(self, client: Any = None) -> None:
        self.table = Table(TABLE)
        self.client = client if client is not None else self.table
        self.clock = Hands()
        self.store = DynamoExperimentStore(self.client, TABLE, sleep=lambda seconds: None)
        self.recorder = self.new_recorder()

    @classmethod
    def over(cls, other: "Laboratory") -> "Laboratory":
        """Another one of the same table and clock, whose calls never fail."""
        found = cls()
        found.table, found.clock = other.table, other.clock
        found.client = other.table
        found.store = DynamoExperimentStore(other.table, TABLE, sleep=lambda seconds: None)
        found.recorder = found.new_recorder()
        return found

    def new_recorder(self, client: Any = None) -> Recorder:
        """Another one, which has read nothing yet."""
        return Recorder(
            client or self.client,
            TABLE,
            clock=self.clock,
            known_seconds=0,
            sleep=lambda seconds: None,
        )

    def begin(self, name: str = "checkout", **keys: Any) -> StoredTest:
        """A test that runs from now on."""
        shards = keys.pop("shards", 8)
        keeping.create(self.store, name, definition(**keys), by="ada", at=self.clock.now())
        return keeping.start(self.store, name, by="ada", at=self.clock.now(), shards=shards)

    def reweigh(self, name: str = "checkout", /, **weights: int) -> StoredTest:
        given = {variant: Decimal(part) for variant, part in weights.items()}
        return keeping.change(
            self.store, name, weights=given, by="ada", at=self.clock.now(), reason="more of it"
        )

    def expose(self, unit: str, variant: str | None = None, **more: Any) -> Seen:
        test = more.pop("test", "checkout")
        return self.recorder.expose(Exposure(test, unit, variant, **more))

    def record(self, unit: str, value: Any = 1, id: str = "e1", **more: Any) -> Recorded:
        test = more.pop("test", "checkout")
        metric = more.pop("metric", "conversion_rate")
        return self.recorder.record_one(Event(test, unit, metric, value, id, **more))

    def snapshot(self, name: str = "checkout", segment: str | None = None) -> Snapshot:
        test = self.store.test(name)
        return read_snapshot(self.table, TABLE, test, self.clock.now(), segment)

    def counters(self, name: str = "checkout") -> Mapping[str, Mapping[str, int]]:
        """All that is counted, without zeros."""
        found = counted(self.table, TABLE, self.store.test(name))
        without = {key: {k: v for k, v in one.items() if v} for key, one in found.items()}
        return {key: one for key, one in without.items() if one}

    def items(self, prefix: str) -> list[dict[str, Any]]:
        """What lies in partitions that begin so."""
        return [item for item in self.table.items() if item["pk"]["S"].startswith(prefix)]


def dealt(test: StoredTest, variant: str, count: int, epoch: int = 0) -> list[str]:
    """So many users whom the weights of an epoch give this variant."""
    known = Known(test)
    found: list[str] = []
    number = 0
    while len(found) < count:
        unit = f"user-{number}"
        if known.dealer.variant_of(unit, epoch) == variant:
            found.append(unit)
        number += 1
    return found


def begun(**keys: Any) -> Laboratory:
    """A test that runs for an hour."""
    lab = Laboratory()
    lab.begin(**keys)
    lab.clock.go(hours=1)
    return lab


def in_control(lab: Laboratory, count: int = 1) -> list[str]:
    """Users of the control."""
    return dealt(lab.store.test("checkout"), "control", count)


def only(lab: Laboratory, metric: str = "conversion_rate", variant: str = "control") -> Moments:
    """The sums of a test with one epoch."""
    (moments,) = lab.snapshot().moments[metric][variant]
    return moments
