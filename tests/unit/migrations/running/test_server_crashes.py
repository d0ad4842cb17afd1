"""A server that is killed in the middle and comes back: what ran stands, the rest runs once."""

import itertools
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from greenlane.local.postgres import LocalPostgres
from greenlane.migrations.running import backfilling
from greenlane.migrations.running.session import ConnectionLost
from tests.migration_runs import Runs, made_plan, watched
from tests.postgres import SETTINGS, TMPFS_BYTES, Database

ROWS = 3000
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def crashing() -> Iterator[LocalPostgres]:
    """A server of this module's own."""
    with LocalPostgres.start(SETTINGS, tmpfs_bytes=TMPFS_BYTES) as server:
        yield server


@pytest.fixture
def shop(crashing: LocalPostgres) -> Database:
    database = Database(crashing, f"shop_{next(NUMBERS)}")
    crashing.create_database(database.name)
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, hits int NOT NULL DEFAULT 0, code text)",
        f"INSERT INTO t SELECT n, 0, 'c' || n FROM generate_series(1, {ROWS}) AS n",
        "CREATE TABLE seen (n int)",
        "CHECKPOINT",
    )
    return database


def test_batches_that_a_crash_takes_back_take_their_cursor_with_them(
    shop: Database, crashing: LocalPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches are committed without waiting for the disk, so the last of them may be gone."""
    for name in ("FIRST_ROWS", "FEWEST_ROWS", "MOST_ROWS"):
        monkeypatch.setattr(backfilling, name, 100)
    runs = Runs(
        shop, made_plan(("migrate", "INSERT INTO seen VALUES (1); UPDATE t SET hits = hits + 1"))
    )
    plain, batches = runs.connect, itertools.count(1)

    def crash(text: str) -> None:
        if "GET DIAGNOSTICS" in text and next(batches) in (7, 15):
            crashing.crash()

    runs.connect = watched(plain, after=crash)
    for _ in range(2):
        with pytest.raises(ConnectionLost):
            runs.phase("migrate")
        crashing.restart()
        (done,) = shop.rows("SELECT count(*), coalesce(max(id), 0) FROM t WHERE hits = 1")
        rows = shop.rows("SELECT coalesce(rows, 0) FROM greenlane.statements WHERE statement = 1")
        assert (done[0], done[1]) == (rows[0][0], rows[0][0])

    assert runs.phase("migrate").outcome == "done"
    assert shop.rows("SELECT hits, count(*) FROM t GROUP BY hits") == [(1, ROWS)]
    assert shop.rows("SELECT n FROM seen") == [(1,)]


def test_an_index_that_was_being_built_is_built_anew_and_no_other_is_left(
    shop: Database, crashing: LocalPostgres
) -> None:
    runs = Runs(shop, made_plan(("expand", "CREATE INDEX CONCURRENTLY ON t (code)")))
    ended: list[BaseException] = []

    def run() -> None:
        try:
            runs.phase("expand")
        except ConnectionLost as error:
            ended.append(error)

    with shop.connect() as reader:
        reader.execute(b"SET transaction_isolation = 'repeatable read'")
        reader.execute(b"SELECT FROM t LIMIT 1")
        runner = threading.Thread(target=run)
        runner.start()
        ends = time.monotonic() + 20
        while not runs.invalid():
            assert time.monotonic() < ends
            time.sleep(0.02)
        crashing.crash()
        runner.join()
        with pytest.raises(psycopg.OperationalError):
            reader.execute(b"SELECT 1")
    crashing.restart()

    assert len(ended) == 1
    assert len(runs.invalid()) == 1
    assert runs.phase("expand").outcome == "done"
    assert runs.invalid() == []
    assert shop.rows("SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass") == [(2,)]
