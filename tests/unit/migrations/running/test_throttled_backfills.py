"""Backfills that spare others: real replicas that are late, and a server that is busy."""

import itertools
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from greenlane.clock import SystemClock
from greenlane.errors import Refused
from greenlane.local.postgres import LocalPostgres
from greenlane.migrations.running import backfilling, throttling
from greenlane.migrations.running.model import Limits
from greenlane.migrations.running.psycopg_session import connector
from greenlane.migrations.running.throttling import Lateness, Load
from tests.migration_runs import Runs, made_plan, watched
from tests.postgres import SETTINGS, TMPFS_BYTES, Database

ROWS = 2000
PLAN = made_plan(("migrate", "UPDATE t SET hits = hits + 1"))
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[LocalPostgres, LocalPostgres]]:
    """A writer and its replica."""
    with LocalPostgres.start(SETTINGS, tmpfs_bytes=TMPFS_BYTES) as writer:
        yield writer, writer.replica("reader", {"wal_receiver_status_interval": "1s"})


@pytest.fixture
def filled(servers: tuple[LocalPostgres, LocalPostgres]) -> Iterator[Database]:
    writer, reader = servers
    database = Database(writer, f"shop_{next(NUMBERS)}")
    writer.create_database(database.name)
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, hits int NOT NULL DEFAULT 0)",
        f"INSERT INTO t SELECT generate_series(1, {ROWS})",
    )
    yield database
    Database(reader, "postgres").execute("SELECT pg_wal_replay_resume()")


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_ROWS", "FEWEST_ROWS", "MOST_ROWS"):
        monkeypatch.setattr(backfilling, name, 20)


def _until(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + 20
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.05)


def done(database: Database) -> int:
    return int(database.rows("SELECT count(*) FROM t WHERE hits = 1")[0][0])


def test_a_replica_that_stands_still_stops_it_within_its_limit_until_it_comes_after(
    filled: Database,
    servers: tuple[LocalPostgres, LocalPostgres],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(throttling, "PATIENCE_SECONDS", 0.6)
    replica = Database(servers[1], "postgres")
    batches = itertools.count()

    def pause(text: str) -> None:
        if "GET DIAGNOSTICS" in text and next(batches) == 3:
            replica.execute("SELECT pg_wal_replay_pause()")

    runs = Runs(filled, PLAN, replica_lag_seconds=0.3, nice=20.0)
    runs.connect = watched(runs.connect, after=pause)
    first = runs.slice("migrate")

    assert (first.outcome, first.progress.detail[:22]) == ("waiting", "the replica reader is ")
    so_far = done(filled)
    assert 4 * 20 <= so_far < ROWS
    assert runs.slice("migrate").outcome == "waiting"
    assert done(filled) == so_far

    replica.execute("SELECT pg_wal_replay_resume()")
    runs.limits = Limits()
    assert runs.phase("migrate").outcome == "done"
    assert filled.rows("SELECT hits, count(*) FROM t GROUP BY hits") == [(1, ROWS)]


def test_a_replica_that_nobody_has_seen_move_is_not_filled_away_from(
    filled: Database,
    servers: tuple[LocalPostgres, LocalPostgres],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From rest the writer has no lag on record, and each slice would begin with some rows."""
    monkeypatch.setattr(throttling, "PATIENCE_SECONDS", 0.3)
    _until(lambda: filled.rows("SELECT replay_lag FROM pg_stat_replication") == [(None,)])
    Database(servers[1], "postgres").execute("SELECT pg_wal_replay_pause()")
    result = Runs(filled, PLAN, replica_lag_seconds=10).slice("migrate")

    assert (result.outcome, result.progress.detail) == (
        "waiting", "the replica reader does not come nearer",
    )  # fmt: skip
    assert done(filled) == 0


def test_a_busy_server_is_left_alone(filled: Database) -> None:
    waits: list[float] = []
    runs = Runs(filled, PLAN, active_sessions=-1)
    runs.sleep = waits.append
    result = runs.slice("migrate")

    assert (result.outcome, "other sessions are active" in result.progress.detail) == (
        "waiting", True,
    )  # fmt: skip
    assert (done(filled), sum(waits)) == (0, pytest.approx(3.0, abs=0.2))


def test_a_read_replica_is_no_target(
    filled: Database, servers: tuple[LocalPostgres, LocalPostgres]
) -> None:
    runs = Runs(Database(servers[1], "postgres"), PLAN)

    with pytest.raises(Refused, match="read replica.*endpoint of its writer"):
        runs.slice("migrate")
    with pytest.raises(Refused, match="read replica"):
        runs.undo("migrate")
    checked = runs.check("migrate")
    assert checked.outcome == "refused"
    assert "endpoint of its writer" in checked.reasons[0]


def test_a_server_that_becomes_a_replica_in_between_is_told_so(filled: Database) -> None:
    """The error is the server's own: of a batch that may not write, as after a failover."""
    runs = Runs(filled, PLAN)
    runs.connect = watched(
        runs.connect,
        before=lambda text: (
            text.replace("BEGIN", "BEGIN READ ONLY", 1) if "GET DIAGNOSTICS" in text else None
        ),
    )

    with pytest.raises(Refused, match="by a failover; nothing was changed"):
        runs.slice("migrate")
    assert done(filled) == 0


def test_lateness_is_since_the_writer_was_where_the_replica_is() -> None:
    lateness, start = Lateness(), datetime(2030, 1, 1, tzinfo=UTC)
    for second in range(5):
        lateness.note(start + timedelta(seconds=second), 100 * second)

    now = start + timedelta(seconds=4)
    assert [lateness.of(now, at) for at in (0, 150, 399, 400, 900)] == [3.0, 2.0, 0.0, 0.0, 0.0]


def test_nobody_looks_at_each_batch(filled: Database) -> None:
    asked: list[str] = []
    with connector(filled.dsn)("greenlane") as session:
        rows = session.rows
        session.rows = lambda *given: asked.append(given[0]) or rows(*given)  # type: ignore[method-assign, func-returns-value]
        load = Load(session, SystemClock(), Limits())
        assert load.too_high(time.sleep) == ""
        first = len(asked)
        for _ in range(20):
            assert load.too_high(time.sleep) == ""
    assert len(asked) - first <= 2
