"""Whoever comes late writes nothing: not a statement, not a batch, not a line of the ledger."""

import contextlib
from collections.abc import Iterator

import psycopg
import pytest

from greenlane.errors import FenceLost
from greenlane.migrations.running import transactions
from greenlane.migrations.running.session import StatementFailed
from tests.migration_runs import Runs, made_plan, schema_of, watched
from tests.postgres import Database, MakeDatabase


def build(database: Database) -> None:
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, hits int NOT NULL DEFAULT 0)",
        "INSERT INTO t SELECT generate_series(1, 100)",
        "CREATE TABLE seen (n int)",
    )


@pytest.fixture
def shop(make_database: MakeDatabase) -> Database:
    return make_database(build)


PLAN = made_plan(
    ("expand", "INSERT INTO seen VALUES (1)"),
    ("expand", "CREATE INDEX CONCURRENTLY t_hits ON t (hits); ALTER TABLE t ADD COLUMN note text"),
    ("migrate", "UPDATE t SET hits = hits + 1"),
)


def everything(database: Database) -> tuple[object, ...]:
    """Rows, schema, and the ledger but for its clock."""
    ledger = "SELECT to_jsonb(s) FROM greenlane.statements s ORDER BY migration, statement"
    return (
        database.rows("SELECT * FROM t ORDER BY id"),
        database.rows("SELECT * FROM seen"),
        schema_of(database),
        database.rows(ledger),
        database.rows("SELECT to_jsonb(m) FROM greenlane.migrations m ORDER BY id"),
    )


@pytest.mark.parametrize("undo", [False, True])
@pytest.mark.parametrize("phases", [(), ("expand",), ("expand", "migrate")])
def test_a_late_slice_of_an_older_epoch_changes_nothing_at_all(
    shop: Database, phases: tuple[str, ...], undo: bool
) -> None:
    runs = Runs(shop, PLAN)
    runs.epoch = 7
    runs.slice("contract")  # there is nothing to do, but it is the owner now
    for phase in phases:
        runs.phase(phase)  # type: ignore[arg-type]
    before = everything(shop)
    runs.epoch = 6

    for phase in ("expand", "migrate"):
        with pytest.raises(FenceLost, match=r"epoch 7 \(arn:test\) writes there, not 6"):
            runs.undo_slice(phase) if undo else runs.slice(phase)  # type: ignore[arg-type]
    assert everything(shop) == before


@pytest.mark.parametrize(
    "word",
    [
        "INSERT INTO seen",
        "INSERT INTO greenlane.migrations",
        "GET DIAGNOSTICS",
        "finished_at = now()",
    ],
)
def test_an_owner_that_loses_its_lease_in_the_middle_writes_nothing_from_there_on(
    shop: Database, word: str
) -> None:
    """Even if nothing but the epoch keeps it out: its advisory lock is gone, as after a pooler."""
    runs = Runs(shop, PLAN)
    seen: list[object] = []

    def overtake(text: str) -> None:
        if word in text and not seen:
            shop.execute("UPDATE greenlane.fence SET epoch = 2, execution = 'arn:later'")
            seen.append(everything(shop))

    runs.connect = watched(runs.connect, before=overtake)
    with pytest.raises(FenceLost):
        _both_phases(runs)

    assert seen == [everything(shop)]


def _both_phases(runs: Runs) -> None:
    runs.phase("expand")
    # It is not known as small any more, so it is filled in batches.
    runs.database.execute("UPDATE pg_class SET reltuples = -1 WHERE relname = 't'")
    runs.phase("migrate")


@contextlib.contextmanager
def holding(database: Database, statement: str) -> Iterator[psycopg.Connection[object]]:
    with database.connect(application_name="cart") as other:
        other.execute(statement.encode())
        yield other
        other.rollback()


def test_a_transaction_that_waits_for_its_lock_while_another_takes_over_is_rolled_back(
    shop: Database,
) -> None:
    plan = made_plan(("expand", "ALTER TABLE t ADD COLUMN note text"))
    runs = Runs(shop, plan)
    with holding(shop, "LOCK TABLE t IN ACCESS SHARE MODE") as cart:
        tries: list[str] = []

        def overtake(text: str) -> None:
            if "ADD COLUMN" in text and "LOCK TABLE" in text:
                tries.append(text)
                if len(tries) == 3:
                    shop.execute("UPDATE greenlane.fence SET epoch = 2")
                    cart.rollback()

        runs.connect = watched(runs.connect, before=overtake)
        with pytest.raises(FenceLost):
            runs.slice("expand")

    assert len(tries) == 3
    assert "note" not in schema_of(shop)


def test_a_backend_that_goes_on_by_itself_keeps_the_next_owner_out_until_it_ends(
    shop: Database,
) -> None:
    """So its statement runs once, and whoever comes next finds its line of the ledger."""
    plan = made_plan(("expand", "INSERT INTO seen SELECT 1 FROM pg_sleep(1.5); CREATE TABLE x ()"))
    runs = Runs(shop, plan)
    assert "goes on with it by itself" in runs.slice("expand", seconds=5.1).progress.detail
    runs.epoch = 2

    waiting = runs.slice("expand")
    assert (waiting.outcome, "works here for" in waiting.progress.detail) == ("waiting", True)
    assert shop.rows("SELECT epoch FROM greenlane.fence") == [(1,)]
    assert runs.phase_later("expand").outcome == "done"
    assert shop.rows("SELECT n FROM seen") == [(1,)]
    assert shop.rows("SELECT epoch FROM greenlane.fence") == [(2,)]


def test_a_statement_that_is_left_to_itself_twice_and_ends_neither_time_is_given_up(
    shop: Database,
) -> None:
    plan = made_plan(("expand", "INSERT INTO seen SELECT 1 FROM pg_sleep(60)"))
    runs = Runs(shop, plan)
    for _ in range(transactions.MOST_DETACHED):
        assert runs.slice("expand", seconds=5.1).outcome == "waiting"
        _end(shop)
    result = runs.phase_later("expand")

    assert result.failure is not None
    assert result.failure.error == "NotFinished"
    assert "2 times it ran on by itself" in result.failure.message
    assert shop.rows("SELECT n FROM seen") == []
    again = runs.slice("expand", seconds=5.1)  # a person who runs it again is not answered at once
    assert again.outcome == "waiting"
    _end(shop)


def _end(database: Database) -> None:
    database.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE application_name LIKE 'greenlane/%' AND datname = current_database()"
    )


def test_a_line_that_the_backend_itself_has_locked_is_not_waited_for(shop: Database) -> None:
    """It has come to its own line of the ledger, so it is as good as done."""
    plan = made_plan(("expand", "INSERT INTO seen SELECT 1 FROM pg_sleep(0.8)"))
    runs = Runs(shop, plan)

    def lock(text: str) -> None:
        if "detached + 1" in text:
            held.append(shop.connect())
            held[0].execute(b"SELECT FROM greenlane.statements FOR UPDATE")

    held: list[psycopg.Connection[object]] = []
    runs.connect = watched(runs.connect, before=lock)
    assert runs.slice("expand", seconds=5.1).outcome == "waiting"
    held[0].close()
    assert runs.phase_later("expand").outcome == "done"
    assert shop.rows("SELECT n FROM seen") == [(1,)]


def test_a_lock_that_did_not_come_in_time_has_all_its_time_again_when_it_is_run_again(
    shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "POLLING_SECONDS", 0.1)
    plan = made_plan(("expand", "ALTER TABLE t ADD COLUMN note text"))
    runs = Runs(shop, plan, lock_budget_seconds=2.0)
    with holding(shop, "LOCK TABLE t IN ACCESS SHARE MODE"):
        first, second = runs.slice("expand"), runs.slice("expand")
    assert (first.outcome, second.outcome) == ("waiting", "failed")
    assert second.failure is not None
    assert "(cart, idle in transaction" in (second.failure.blocker or "")

    with holding(shop, "LOCK TABLE t IN ACCESS SHARE MODE"):
        assert runs.slice("expand").outcome == "waiting"
    assert runs.slice("expand").outcome == "done"


def test_errors_that_pass_are_asked_again_and_others_end_the_run(shop: Database) -> None:
    runs = Runs(shop, made_plan(("expand", "CREATE INDEX CONCURRENTLY t_hits ON t (hits)")))
    for sqlstate, ends in (("53200", False), ("42501", True)):

        def fail(text: str, sqlstate: str = sqlstate) -> None:
            if "SET state = 'started', before" in text:
                raise StatementFailed(sqlstate, "Condition", "said the server")

        plain = runs.connect
        runs.connect = watched(plain, before=fail)
        if ends:
            assert runs.slice("expand").outcome == "failed"
        else:
            with pytest.raises(StatementFailed):
                runs.slice("expand")
        runs.connect = plain
    assert runs.phase("expand").outcome == "done"


def test_a_statement_that_gives_the_lock_up_does_not_let_two_runners_in(shop: Database) -> None:
    plan = made_plan(("expand", "SELECT pg_advisory_unlock_all(); INSERT INTO seen VALUES (1)"))
    runs = Runs(shop, plan)
    with shop.connect(autocommit=True, application_name="second") as second:
        query = "SELECT pg_try_advisory_lock(1196574542, 1)"

        def take(text: str) -> None:
            if "unlock_all" in text:
                taken.append(second.execute(query.encode()).fetchone())

        taken: list[object] = []
        plain, runs.connect = runs.connect, watched(runs.connect, after=take)
        result = runs.slice("expand")
        assert taken == [(False,), (True,)]  # where the file began, and after the statement
        assert (result.outcome, "second" in result.progress.detail) == ("waiting", True)
        assert shop.rows("SELECT n FROM seen") == []
    runs.connect = plain
    assert runs.phase("expand").outcome == "done"
    assert shop.rows("SELECT n FROM seen") == [(1,)]


def test_a_backend_that_goes_on_by_itself_is_not_ended_by_what_nobody_hears(shop: Database) -> None:
    """A notice goes out at once, and to a client that is gone it would end its transaction."""
    shop.execute("CREATE SEQUENCE runs")
    body = (
        "PERFORM nextval('runs'), pg_sleep(0.8); RAISE WARNING 'half'; INSERT INTO seen VALUES (1);"
    )
    again = "PERFORM pg_sleep(0.1); RAISE WARNING 'whole'; PERFORM pg_sleep(0.1);"
    runs = Runs(shop, made_plan(("expand", f"DO $$ BEGIN {body} {again} END $$")))

    assert "goes on with it by itself" in runs.slice("expand", seconds=5.1).progress.detail
    assert runs.phase_later("expand").outcome == "done"
    assert shop.rows("SELECT n FROM seen") == [(1,)]
    assert shop.rows("SELECT last_value FROM runs") == [(1,)]
