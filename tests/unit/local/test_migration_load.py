import time
from collections.abc import Iterator

import psycopg
import pytest

from benchmarks.migration_load import (
    RATE,
    SETTINGS,
    Transaction,
    build_table,
    measure,
    read_log,
    summary,
)
from greenlane.local.postgres import LocalPostgres

ROWS = 2000


@pytest.fixture(scope="module")
def server() -> Iterator[LocalPostgres]:
    with LocalPostgres.start(SETTINGS, tmpfs_bytes=2**28) as server:
        build_table(server, "pattern", ROWS)
        yield server


def test_the_table_has_the_rows_and_what_the_scenarios_need_of_it(server: LocalPostgres) -> None:
    with psycopg.connect(server.dsn("pattern")) as connection:
        found = connection.execute(
            b"SELECT count(*), max(id), count(email), count(DISTINCT reference),"
            b" count(*) FILTER (WHERE customer_id IN (SELECT id FROM customers)) FROM orders"
        ).fetchone()

    assert found == (ROWS,) * 5


def test_a_lock_is_seen_as_its_waiters_feel_it_and_not_in_the_baseline(
    server: LocalPostgres,
) -> None:
    dsn = server.create_database("locked", template="pattern")

    def lock() -> None:
        with psycopg.connect(dsn) as connection:
            connection.execute("LOCK TABLE orders")
            time.sleep(0.8)

    found = measure(server, "locked", ROWS, lock, baseline_seconds=1.0)

    assert found.seconds >= 0.8
    assert 700 < found.during.longest_ms < 1000 * found.seconds + 1000
    # Due in the first 0.7 seconds; those that find all clients waiting count too.
    assert found.during.slow > 0.7 * RATE * 0.6
    assert found.during.failed == 0
    assert found.baseline.longest_ms < found.during.longest_ms
    assert found.baseline.transactions == pytest.approx(RATE, rel=0.5)


def test_clients_that_meet_an_error_count_as_failed_transactions(server: LocalPostgres) -> None:
    dsn = server.create_database("renamed", template="pattern")

    def rename() -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("ALTER TABLE orders RENAME COLUMN status TO state")
        time.sleep(0.2)

    found = measure(server, "renamed", ROWS, rename, baseline_seconds=0.5)

    assert found.during.failed == 8
    assert found.baseline.failed == 0


def test_what_the_work_raises_is_raised_and_ends_the_load(server: LocalPostgres) -> None:
    server.create_database("broken", template="pattern")

    def fail() -> None:
        raise ValueError("the work is broken")

    with pytest.raises(ValueError, match="the work is broken"):
        measure(server, "broken", ROWS, fail, baseline_seconds=0.1)

    # Refused as long as anybody is connected.
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("DROP DATABASE broken")


def test_a_log_is_read_with_its_failed_transactions() -> None:
    log = "0 1 2500 2 100 250000 12\n7 1 deadlock 0 101 0 0\n3 9 980 1 102 500000 0\n"

    assert read_log(log) == [
        Transaction(100.25, 2.5),
        Transaction(101.0, None),
        Transaction(102.5, 0.98),
    ]


def test_a_summary_has_those_that_were_due_or_ran_between_two_times() -> None:
    transactions = [
        Transaction(9.9, 5.0),  # ended before
        Transaction(10.1, 400.0),  # due before, ended in it
        Transaction(10.5, 50.0),
        Transaction(10.6, None),
        Transaction(25.0, 6000.0),  # due in it, ended after
        Transaction(25.0, 100.0),  # due after
    ]

    found = summary(transactions, 10.0, 20.0, aborted=2)

    assert (found.transactions, found.failed, found.slow) == (6, 3, 2)
    assert (found.longest_ms, found.p99_ms) == (6000.0, 6000.0)


def test_of_a_hundred_transactions_the_p99_is_the_last_but_one() -> None:
    transactions = [Transaction(1.0, float(number)) for number in range(1, 101)]

    assert summary(transactions, 0.0, 2.0).p99_ms == 99.0
    assert summary([], 0.0, 2.0).longest_ms == 0.0
