"""Statements without a transaction that were cut off: what they left is mended, or waited for."""

import contextlib
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from greenlane.migrations.running import alone, ledger, transactions
from greenlane.migrations.running.psycopg_session import connector
from greenlane.migrations.running.session import ConnectionLost
from tests.migration_runs import Runs, lose_response, made_plan, schema_of, watched
from tests.postgres import Database, MakeDatabase


def build(database: Database) -> None:
    database.execute(
        "CREATE TABLE orders (id int PRIMARY KEY, code text, amount int)",
        "INSERT INTO orders SELECT n, 'c' || n, n FROM generate_series(1, 2000) AS n",
        "CREATE INDEX orders_old ON orders (amount)",
        "CREATE TABLE logs (at date NOT NULL, id int NOT NULL) PARTITION BY RANGE (at)",
        "CREATE TABLE logs_20 PARTITION OF logs FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')",
        "CREATE INDEX logs_id ON logs (id)",
        "ALTER TABLE orders ADD CONSTRAINT positive CHECK (amount > 0) NOT VALID",
    )


@pytest.fixture
def shop(make_database: MakeDatabase) -> Database:
    return make_database(build)


INDEX = made_plan(("expand", "CREATE INDEX CONCURRENTLY orders_code ON orders (code)"))


def spoil(database: Database, name: str) -> None:
    """Make an index INVALID, as an attempt does that was cut off."""
    database.execute(
        f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{name}'::regclass"
    )


def indexes(database: Database) -> set[tuple[str, bool]]:
    rows = database.rows(
        "SELECT indexrelid::regclass::text, indisvalid FROM pg_index i JOIN pg_class c "
        "ON c.oid = indrelid WHERE c.relnamespace = 'public'::regnamespace"
    )
    return {(name, valid) for name, valid in rows}


def cut_off(runs: Runs, word: str, phase: str = "expand", *, after: bool = True) -> None:
    """Lose the session at a statement: after it has ended, or in its place."""

    def lose(text: str) -> None:
        if text.lstrip().startswith(word):
            lose_response(text)

    plain = runs.connect
    runs.connect = watched(plain, after=lose) if after else watched(plain, before=lose)
    with pytest.raises(ConnectionLost):
        runs.phase(phase)  # type: ignore[arg-type]
    runs.connect = plain


@contextlib.contextmanager
def reading(database: Database, table: str = "orders") -> Iterator[psycopg.Connection[object]]:
    """A transaction with a snapshot, for as long as the block."""
    with database.connect(application_name="report") as other:
        other.execute(b"SET transaction_isolation = 'repeatable read'")
        other.execute(f"SELECT FROM {table} LIMIT 1".encode())
        yield other
        other.rollback()


def test_an_invalid_index_of_that_name_is_replaced_also_where_somebody_else_left_it(
    shop: Database,
) -> None:
    shop.execute("CREATE INDEX orders_code ON orders (id)")
    spoil(shop, "orders_code")

    result = Runs(shop, INDEX).phase("expand")
    assert (result.outcome, result.failure) == ("done", None)
    assert "(code)" in shop.rows("SELECT pg_get_indexdef('orders_code'::regclass)")[0][0]
    assert ("orders_code", True) in indexes(shop)


def test_a_unique_index_that_cannot_be_leaves_nothing_invalid(shop: Database) -> None:
    shop.execute("UPDATE orders SET code = 'same' WHERE id < 3")
    before = indexes(shop)
    plan = made_plan(("expand", "CREATE UNIQUE INDEX CONCURRENTLY ON orders (code)"))
    result = Runs(shop, plan).phase("expand")

    assert result.failure is not None
    assert result.failure.error == "UniqueViolation"
    assert "(code)=(same)" in result.failure.message
    assert indexes(shop) == before


@pytest.mark.parametrize("name", ["orders_code", ""])
def test_an_attempt_that_was_cut_off_is_taken_away_and_made_once(shop: Database, name: str) -> None:
    runs = Runs(shop, made_plan(("expand", f"CREATE INDEX CONCURRENTLY {name} ON orders (code)")))
    cut_off(runs, "CREATE INDEX")
    spoil(shop, name or "orders_code_idx")

    assert runs.phase("expand").outcome == "done"
    made = {one for one in indexes(shop) if one[0].startswith("orders_code")}
    assert made == {(name or "orders_code_idx", True)}


@pytest.mark.parametrize("name", ["orders_code", ""])
def test_an_attempt_whose_answer_was_lost_is_found_done(shop: Database, name: str) -> None:
    runs = Runs(shop, made_plan(("expand", f"CREATE INDEX CONCURRENTLY {name} ON orders (code)")))
    cut_off(runs, "CREATE INDEX")
    before = shop.rows("SELECT max(indexrelid) FROM pg_index WHERE indrelid = 'orders'::regclass")
    runs.connect = watched(runs.connect, before=_must_not_create)

    with reading(shop):  # an old transaction, which making it again would have to wait for
        assert runs.phase("expand").outcome == "done"
    after = shop.rows("SELECT max(indexrelid) FROM pg_index WHERE indrelid = 'orders'::regclass")
    assert after == before


def _must_not_create(text: str) -> None:
    assert not text.startswith("CREATE INDEX"), "it ran twice"


def test_an_index_that_somebody_else_made_meanwhile_is_not_taken_for_ours(shop: Database) -> None:
    runs = Runs(shop, made_plan(("expand", "CREATE INDEX CONCURRENTLY ON orders (lower(code))")))
    cut_off(runs, "CREATE INDEX", after=False)
    shop.execute("CREATE INDEX by_hand ON orders (id)")

    assert runs.phase("expand").outcome == "done"
    assert ("orders_lower_idx", True) in indexes(shop)


def test_a_finished_index_needs_no_transaction_to_end(
    shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alone, "OLD_SECONDS", 0.0)
    runs = Runs(shop, INDEX, lock_budget_seconds=0)
    cut_off(runs, "CREATE INDEX")

    with reading(shop):
        assert runs.phase("expand").outcome == "done"


def test_an_index_that_was_finished_by_itself_counts_however_often_it_was_left(
    shop: Database,
) -> None:
    runs = Runs(shop, INDEX)
    cut_off(runs, "CREATE INDEX")
    shop.execute(f"UPDATE greenlane.statements SET detached = {transactions.MOST_DETACHED}")

    assert runs.phase("expand").outcome == "done"


def test_one_that_never_ends_is_given_up_and_may_be_run_again_by_whoever_mended_it(
    shop: Database,
) -> None:
    runs = Runs(shop, INDEX)
    cut_off(runs, "CREATE INDEX")
    spoil(shop, "orders_code")
    shop.execute(f"UPDATE greenlane.statements SET detached = {transactions.MOST_DETACHED}")

    result = runs.phase("expand")
    assert result.failure is not None
    assert result.failure.error == "NotFinished"
    assert runs.invalid() == []
    assert runs.phase("expand").outcome == "done"


def test_a_backend_that_goes_on_is_waited_for_and_never_joined(shop: Database) -> None:
    runs = Runs(shop, INDEX)
    with reading(shop) as other:
        left = runs.slice("expand", seconds=5.1)
        assert (left.outcome, "goes on with it by itself" in left.progress.detail) == (
            "waiting", True,
        )  # fmt: skip
        meanwhile = runs.slice("expand")
        assert meanwhile.outcome == "waiting"
        assert "(greenlane/0001_expand/0, active) works here for" in meanwhile.progress.detail
        assert "waiting for" in meanwhile.progress.detail
        building = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONC%'"
        assert shop.rows(building) == [(1,)]
        other.rollback()
    _until(lambda: shop.rows(building + " AND state = 'active'") == [(0,)])

    assert runs.phase("expand").outcome == "done"
    assert ("orders_code", True) in indexes(shop)
    assert shop.rows("SELECT detached FROM greenlane.statements") == [(0,)]


def _until(done: object, seconds: float = 10) -> None:
    ends = time.monotonic() + seconds
    while not done():  # type: ignore[operator]
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.mark.parametrize("role", ["postgres", "blind"])
def test_an_index_that_a_person_builds_at_this_moment_is_left_to_them(
    shop: Database, role: str
) -> None:
    """Also where the runner may not see what other sessions do."""
    runs = Runs(shop, made_plan(("expand", "CREATE INDEX CONCURRENTLY ON orders (code)")))
    if role == "blind":
        shop.execute(
            "CREATE ROLE blind LOGIN",
            f'GRANT CREATE ON DATABASE "{shop.name}" TO blind',
            "GRANT CREATE ON SCHEMA public TO blind",
            "ALTER TABLE orders OWNER TO blind",
        )
        runs.connect = connector(shop.dsn, user="blind")
    try:
        cut_off(runs, "CREATE INDEX", after=False)
        with reading(shop):
            person = threading.Thread(
                target=shop.execute, args=("CREATE INDEX CONCURRENTLY by_hand ON orders (id)",)
            )
            person.start()
            _until(lambda: ("by_hand", False) in indexes(shop))
            result = runs.slice("expand")
        person.join()

        assert result.outcome == "waiting"
        assert "public.by_hand, which is INVALID or still being built" in result.progress.detail
        assert ("by_hand", True) in indexes(shop)
    finally:
        if role == "blind":
            shop.execute("DROP OWNED BY blind CASCADE", "DROP ROLE blind")


REINDEX = made_plan(("expand", "REINDEX INDEX CONCURRENTLY orders_old"))


@pytest.mark.parametrize("was_valid", [True, False])
@pytest.mark.parametrize("left", ["orders_old_ccnew", "orders_old_ccold"])
def test_what_a_reindex_left_beside_the_index_is_taken_away(
    shop: Database, left: str, was_valid: bool
) -> None:
    if not was_valid:
        spoil(shop, "orders_old")
    runs = Runs(shop, REINDEX)
    cut_off(runs, "REINDEX", after=False)
    shop.execute("CREATE INDEX orders_old_new ON orders (amount)")
    if (
        left == "orders_old_ccold"
    ):  # it has swapped their names, and was killed before its last step
        shop.execute(
            f"ALTER INDEX orders_old RENAME TO {left}",
            "ALTER INDEX orders_old_new RENAME TO orders_old",
        )
    else:
        shop.execute(f"ALTER INDEX orders_old_new RENAME TO {left}")
    spoil(shop, left)

    assert runs.phase("expand").outcome == "done"
    assert indexes(shop) == {
        ("orders_old", True), ("orders_pkey", True), ("logs_id", True), ("logs_20_id_idx", True),
    }  # fmt: skip


def test_an_invalid_index_that_was_there_before_a_reindex_of_another_is_not_ours(
    shop: Database,
) -> None:
    shop.execute("CREATE INDEX theirs ON orders (code)")
    spoil(shop, "theirs")

    assert Runs(shop, REINDEX).phase("expand").outcome == "done"
    assert ("theirs", False) in indexes(shop)


@pytest.mark.parametrize("what", ["TABLE CONCURRENTLY logs", "INDEX CONCURRENTLY logs_id"])
def test_what_a_reindex_left_in_a_partition_is_taken_away(shop: Database, what: str) -> None:
    runs = Runs(shop, made_plan(("expand", f"REINDEX {what}")))
    cut_off(runs, "REINDEX", after=False)
    shop.execute("CREATE INDEX logs_20_id_idx_ccnew ON logs_20 (id)")
    spoil(shop, "logs_20_id_idx_ccnew")

    assert runs.phase("expand").outcome == "done"
    assert runs.invalid() == []


def _half_detached(shop: Database) -> Runs:
    plan = made_plan(("expand", "ALTER TABLE logs DETACH PARTITION logs_20 CONCURRENTLY"))
    runs = Runs(shop, plan)
    with reading(shop, "logs"):
        assert runs.slice("expand", seconds=5.1).outcome == "waiting"
        pending = "SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = 'logs_20'::regclass"
        _until(lambda: shop.rows(pending) == [(True,)])
        shop.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE query LIKE 'ALTER TABLE logs DETACH%' AND state = 'active'"
        )
    return runs


def test_a_partition_that_is_half_detached_is_detached(shop: Database) -> None:
    runs = _half_detached(shop)

    assert runs.phase("expand").outcome == "done"
    assert shop.rows("SELECT 1 FROM pg_inherits WHERE inhrelid = 'logs_20'::regclass") == []


def test_a_partition_that_is_half_detached_is_not_called_undone(shop: Database) -> None:
    runs = _half_detached(shop)

    assert "0001_expand:1 stays: DETACH" in runs.undo("expand").progress.detail
    assert shop.rows("SELECT 1 FROM pg_inherits WHERE inhrelid = 'logs_20'::regclass") == []
    assert runs.states() == [("0001_expand", 0, "done")]


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("CREATE INDEX CONCURRENTLY ON orders (code)", "CREATE"),
        ("DROP INDEX CONCURRENTLY orders_old", "DROP"),
        ("ALTER TABLE logs DETACH PARTITION logs_20 CONCURRENTLY", "ALTER"),
        ("ALTER TABLE orders VALIDATE CONSTRAINT positive", "ALTER"),
        ("REINDEX INDEX CONCURRENTLY orders_old", "REINDEX"),
    ],
)
@pytest.mark.parametrize("after", [True, False])
def test_undoing_finds_out_whether_what_was_cut_off_was_done(
    shop: Database, sql: str, word: str, after: bool
) -> None:
    before = shop.as_built(schema_of)
    runs = Runs(shop, made_plan(("expand", sql)))
    cut_off(runs, word, after=after)
    undone = runs.undo("expand").progress.detail

    if "DETACH" in sql and after:
        assert "0001_expand:1 stays" in undone
        assert runs.states() == [("0001_expand", 0, "done")]
    else:
        assert undone == "all of it is undone"
        assert schema_of(shop) == before
    assert runs.invalid() == []


def test_undoing_that_has_to_wait_for_a_transaction_answers_in_time(shop: Database) -> None:
    runs = Runs(shop, INDEX)
    cut_off(runs, "CREATE INDEX")
    spoil(shop, "orders_code")
    with reading(shop):
        result = runs.undo_slice("expand", seconds=5.1)
        assert result.outcome == "waiting"
        assert "goes on by itself" in result.progress.detail

    assert runs.undo("expand").progress.detail == "all of it is undone"
    assert {name for name, _ in indexes(shop)} & {"orders_code"} == set()


def test_an_old_transaction_is_waited_for_and_told_then_named_as_the_reason(
    shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alone, "OLD_SECONDS", 0.0)
    runs = Runs(shop, INDEX, lock_budget_seconds=5)
    with reading(shop):
        first, second = runs.slice("expand"), runs.slice("expand")

    assert (first.outcome, "(report, idle in transaction)" in first.progress.detail) == (
        "waiting", True,
    )  # fmt: skip
    assert second.failure is not None
    assert (second.failure.error, "report" in (second.failure.blocker or "")) == (
        "LockNotAvailable", True,
    )  # fmt: skip
    assert runs.invalid() == []

    with reading(shop):
        assert runs.slice("expand").outcome == "waiting"  # with all its time once more
    assert runs.phase("expand").outcome == "done"


def test_the_ledger_has_one_meaning_for_a_statement_that_begins_anew() -> None:
    cleared = {one.split(" = ")[0] for one in ledger.UNDONE.split(", ")}
    assert {"cursor", "before", "detached", "lock_wait_ms"} <= cleared


def test_if_not_exists_takes_no_invalid_index_for_a_good_one(shop: Database) -> None:
    sql = "CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_code ON orders (code)"
    shop.execute("CREATE INDEX orders_code ON orders (code)")
    spoil(shop, "orders_code")
    plan = made_plan(("expand", sql), ("expand", f"{sql};"))

    assert Runs(shop, plan).phase("expand").outcome == "done"
    assert ("orders_code", True) in indexes(shop)
