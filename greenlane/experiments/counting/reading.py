"""What was counted of a test, as its analysis takes it: one query for each shard.

So it costs the same for a thousand users and for a thousand million.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from greenlane.deployments.storing.items import Item
from greenlane.deployments.storing.table import DynamoTable
from greenlane.errors import InvalidInput
from greenlane.experiments.counting.sums import (
    BEFORE_EXPOSURE,
    CROSSOVERS,
    HISTOGRAM,
    PARTS,
    SEGMENT,
    USERS,
)
from greenlane.experiments.records import EpochCounts, Snapshot
from greenlane.experiments.statistics.moments import Moments
from greenlane.experiments.storing.state import StoredEpoch, StoredTest
from greenlane.experiments.storing.stored_items import counters_of
from greenlane.problems import suggest

MOST_READS = 5
"""Of one shard; a difference that stays is no chance, and is told by whoever compares."""

Counted = Mapping[str, Mapping[str, int]]
"""Numbers by the counter's whole name (`<epoch>#<variant>...`) and their own, all shards in one."""


def read_snapshot(
    client: Any, table: str, test: StoredTest, at: datetime, segment: str | None = None
) -> Snapshot:
    """What is known of a test now.

    Crossovers are those of all users, whatever the segment.

    Args:
        client: a boto3 `dynamodb` client.
        table: the table of A/B tests.
        test: one that was started.
        at: what to call this moment; what was counted meanwhile is in it.
        segment: of these users alone; one that the definition declares.

    Raises:
        InvalidInput: the test never ran, or has no such segment.
    """
    known = list(test.definition.segments)
    if segment is not None and segment not in known:
        said = f"the test declares {', '.join(known) or 'none'}{suggest(segment, known)}"
        raise InvalidInput("segment", segment, said)
    return snapshot_of(test, counted(client, table, test), at, segment)


def before_exposure(client: Any, table: str, test: StoredTest) -> int:
    """How many events came of users before they were exposed; they are in no sum."""
    return _everywhere(counted(client, table, test), BEFORE_EXPOSURE)


def counted(client: Any, table: str, test: StoredTest) -> Counted:
    """All counters of a run, read strongly consistent, the shards added up."""
    reader = DynamoTable(client, table)
    found: dict[str, Counter[str]] = {}
    for shard in range(test.shards):
        for item in _whole(reader, counters_of(test.name, test.run, shard)):
            numbers = found.setdefault(item["sk"]["S"], Counter())
            for name, value in item.items():
                if "N" in value:
                    numbers[name] += int(value["N"])
    return found


def _whole(reader: DynamoTable, partition: str) -> list[Item]:
    """One shard, read anew while it shows a part of somebody's transaction.

    A query reads one item after the other, and what is written meanwhile may be in the second
    alone: then a quantile has more users than there are, which no transaction leaves.
    """
    items = reader.query(partition, "")
    for _ in range(MOST_READS - 1):
        if not _torn(items):
            break
        items = reader.query(partition, "")
    return items


def _torn(items: list[Item]) -> bool:
    users = {item["sk"]["S"]: int(item.get(USERS, {}).get("N", 0)) for item in items}
    for item in items:
        counter, histogram, _ = item["sk"]["S"].rpartition(HISTOGRAM)
        counts = (int(one["N"]) for one in item.values() if "N" in one)
        if histogram and sum(counts) > users.get(counter, 0):
            return True
    return False


def snapshot_of(
    test: StoredTest, counted: Counted, at: datetime, segment: str | None = None
) -> Snapshot:
    """Counters as a snapshot; pure. See `read_snapshot`."""
    if test.started_at is None or not test.epochs:
        raise InvalidInput("ab_test", test.name, "it never ran, so nothing was counted; start it")
    variants = list(test.definition.variants)
    moments: dict[str, dict[str, tuple[Moments, ...]]] = {}
    histograms: dict[str, dict[str, tuple[dict[int, int], ...]]] = {}

    def numbers(epoch: StoredEpoch, variant: str, of: str = "") -> Mapping[str, int]:
        part = "" if segment is None else f"{SEGMENT}{segment}"
        return counted.get(f"{epoch.number}#{variant}{part}{of}", {})

    for name, shape in test.definition.measured.items():
        if shape.kind == "quantile":
            histograms[name] = {
                variant: tuple(
                    _histogram(numbers(epoch, variant, f"{HISTOGRAM}{name}"))
                    for epoch in test.epochs
                )
                for variant in variants
            }
            continue
        moments[name] = {
            variant: tuple(_moments(numbers(epoch, variant), name) for epoch in test.epochs)
            for variant in variants
        }
    return Snapshot(
        at=at,
        started=test.started_at,
        epochs=tuple(
            EpochCounts(
                planned=epoch.planned(),
                users={variant: numbers(epoch, variant).get(USERS, 0) for variant in variants},
            )
            for epoch in test.epochs
        ),
        moments=moments,
        histograms=histograms,
        crossovers=_everywhere(counted, CROSSOVERS),
    )


def _moments(numbers: Mapping[str, int], metric: str) -> Moments:
    return Moments(**{part: numbers.get(f"{metric}:{part}", 0) for part in PARTS})


def _histogram(numbers: Mapping[str, int]) -> dict[int, int]:
    return dict(sorted(_buckets(numbers)))


def _buckets(numbers: Mapping[str, int]) -> Iterator[tuple[int, int]]:
    for name, count in numbers.items():
        if count:
            yield int(name.removeprefix("b")), count


def _everywhere(counted: Counted, name: str) -> int:
    return sum(numbers.get(name, 0) for numbers in counted.values())
