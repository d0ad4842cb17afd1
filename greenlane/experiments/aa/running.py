"""An A/A replay from its beginning to its end: traffic in, rates out."""

from pathlib import Path
from typing import Any

from greenlane.experiments.aa.events_file import read_events
from greenlane.experiments.aa.replaying import looks_of, prepare, replay_all
from greenlane.experiments.aa.traffic import (
    Traffic,
    stored_users,
    traffic_of_events,
    traffic_of_store,
)
from greenlane.experiments.aa.verdict import SelfTest, judged
from greenlane.experiments.counting.reading import read_snapshot
from greenlane.experiments.model import Experiment
from greenlane.experiments.statistics.sequential import sample_ratio
from greenlane.experiments.storing.state import StoredTest

SALTS, USERS = 400, 20_000
"""So many replays of so many users take some 20 seconds on two idle cores."""


def of_stored(
    client: Any, table: str, test: StoredTest, *, salts: int = SALTS, users: int = USERS
) -> SelfTest:
    """Replay the users of a test as they are in the table.

    Args:
        client: a boto3 `dynamodb` client.
        table: of A/B tests.
        test: one that was started.
        salts: how often users are dealt anew.
        users: at most so many.

    Raises:
        Refused: it has too few users.
        InvalidInput: it never ran.
        ClientError: the table did not answer.
    """
    at = test.ended_at or test.started_at
    snapshot = read_snapshot(client, table, test, at) if at is not None else None
    split = None
    if snapshot is not None:
        split = sample_ratio([epoch.as_epoch() for epoch in snapshot.epochs]).p_value
    found = stored_users(client, table, test, users)
    traffic = traffic_of_store(test.definition, found, looks_of(test.definition))
    return _replayed(test.name, "the table", test.definition, traffic, salts, split)


def of_events(
    name: str,
    definition: Experiment,
    path: Path,
    *,
    salts: int = SALTS,
    users: int = USERS,
) -> SelfTest:
    """Replay the users of a file of events, measured as a test does.

    Raises:
        Refused: it has too few users.
        InvalidInput: a line is wrong.
        OSError: it cannot be read.
    """
    looks = looks_of(definition)
    traffic = traffic_of_events(definition, read_events(path), looks, users)
    return _replayed(name, str(path), definition, traffic, salts, None)


def _replayed(
    name: str,
    source: str,
    definition: Experiment,
    traffic: Traffic,
    salts: int,
    split: float | None,
) -> SelfTest:
    prepared = prepare(definition, traffic)
    return judged(name, source, prepared, replay_all(prepared, salts), split)
