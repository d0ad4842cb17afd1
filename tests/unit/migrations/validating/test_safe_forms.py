"""Rewritten scripts: to the same schema, and by statements that nobody waits for."""

from dataclasses import dataclass
from typing import ClassVar

import psycopg
import pytest

from benchmarks.labelled_statements import FILES, Case, load, setups
from benchmarks.live_catalog import live_catalog
from greenlane.errors import InvalidInput
from greenlane.migrations.catalog.model import Catalog, Column, Index, Table
from greenlane.migrations.sql.parsing import parse_script
from greenlane.migrations.validating import assess
from greenlane.migrations.validating.model import PHASES, Finding, LockMode, Phase
from greenlane.migrations.validating.rewriting import Rewritten, rewrite
from tests.effort import WHOLE
from tests.postgres import Database, MakeDatabase

CASES = [case for file in FILES for case in load(file).cases]
NO_SAFE_FORM = {
    # Another design is needed, or a person who knows what the data are for.
    *("add-column-generated", "add-column-constrained-domain", "exclusion-builds-index"),
    *("already-there", "needs-newer-server", "opaque-code", "server-wide", "drop-cascade"),
    *("delete-all-rows", "delete-many-rows", "merge-many-rows", "truncate", "update-not-sliceable"),
    *("vacuum-full", "cluster", "moves-storage", "type-change-dependents", "not-judged"),
    # These need a new column or table: a planner makes it.
    *("type-change-rewrites", "type-change-checks"),
    *("rename-column", "rename-table", "rename-object"),
}
OTHERWISE = {
    # An identity cannot be added to rows without writing them all: a default of a sequence.
    *("add-column-identity", "doc-add-identity-default"),
    # PostgreSQL itself leaves a CHECK of the old bounds.
    *("detach", "doc-detach"),
    # It stays NOT VALID, for validating it stops writers.
    "domain-constraint",
    # LOCK TABLE needs a transaction, and is left out.
    *("lock-table", "lock-table-share", "people-lock-first"),
}


def catalog_of(database: Database, case: Case) -> Catalog:
    with database.connect() as connection:
        found = live_catalog(connection)
    tables = {key: one.model_copy(update={"rows": None}) for key, one in found.tables.items()}
    # As on the server that the labels were written for, whichever is here.
    return found.model_copy(update={"tables": tables, "time_zone": case.zone, "version": 150018})


def stops(sql: str, catalog: Catalog | None, before: list[str]) -> list[Finding]:
    found = assess(parse_script(sql), catalog, before=[parse_script(one) for one in before])
    return [one for each in found for one in each.findings if one.severity == "block"]


def fill_shop(database: Database) -> None:
    database.execute(setups()["shop"])


def fill_app(database: Database) -> None:
    database.execute(setups()["app"])


def fill_trade(database: Database) -> None:
    database.execute(setups()["trade"])


BUILD = {"shop": fill_shop, "trade": fill_trade, "app": fill_app}


@pytest.fixture(scope="module")
def catalogs() -> dict[str, Catalog]:
    return {}


def known(case: Case, make_database: MakeDatabase, catalogs: dict[str, Catalog]) -> Catalog:
    if case.setup not in catalogs:
        catalogs[case.setup] = catalog_of(make_database(BUILD[case.setup]), case)
    return catalogs[case.setup].model_copy(update={"time_zone": case.zone})


@pytest.mark.parametrize("case", CASES, ids=[one.id for one in CASES])
def test_what_is_rewritten_is_stopped_by_no_rule(
    case: Case, make_database: MakeDatabase, catalogs: dict[str, Catalog]
) -> None:
    catalog = known(case, make_database, catalogs)

    done = rewrite(parse_script(case.sql), catalog)

    left = []
    for phase in PHASES:
        if phase in done.files:
            before = [done.files[one] for one in PHASES[: PHASES.index(phase)] if one in done.files]
            left += stops(done.files[phase], catalog, before)
    assert {one.rule for one in left} <= {one.rule for one in done.not_rewritten}


def test_every_rule_with_a_safe_form_is_rewritten(
    make_database: MakeDatabase, catalogs: dict[str, Catalog]
) -> None:
    left = {}
    for case in CASES:
        catalog = known(case, make_database, catalogs)
        rules = {one.rule for one in rewrite(parse_script(case.sql), catalog).not_rewritten}
        if rules and not rules & NO_SAFE_FORM:
            left[case.id] = rules

    assert left == {
        # A table without a key to slice by; a domain's NOT NULL; views without data or key.
        "doc-add-primary-key": {"add-column-identity", "add-column-unique"},
        "doc-domain-not-null": {"domain-constraint-scan"},
        "doc-refresh": {"refresh-not-concurrent"},
        "people-refresh": {"refresh-not-concurrent"},
        # PostgreSQL detaches none concurrently there.
        "detach-concurrently-beside-default": {"detach-not-concurrent"},
        "doc-detach-default": {"detach-not-concurrent"},
    }


REWRITTEN = [one for one in CASES if one.unsafe and not one.refused and not one.unmeasured]
OF_EACH_RULE = list({one.rule: one for one in reversed(REWRITTEN)}.values())


@pytest.mark.parametrize("case", REWRITTEN if WHOLE else OF_EACH_RULE, ids=lambda one: one.id)
def test_the_safe_form_ends_in_the_same_schema(
    case: Case, make_database: MakeDatabase, catalogs: dict[str, Catalog]
) -> None:
    script = parse_script(case.sql)
    catalog = known(case, make_database, catalogs)
    done = rewrite(script, catalog)
    if case.id in OTHERWISE or done.not_rewritten:
        return
    naive, safe = make_database(BUILD[case.setup]), make_database(BUILD[case.setup])
    naive.execute(*(one.text for one in script.statements))
    for phase in PHASES:
        run(safe, done.files.get(phase, ""), case.zone)

    assert safe.schema() == naive.schema()


def run(database: Database, sql: str, zone: str) -> None:
    """Each statement in a transaction of its own, as the runner does."""
    with database.connect(autocommit=True) as connection:
        connection.execute(f"SET TimeZone = '{zone}'".encode())
        for statement in parse_script(sql).statements:
            connection.execute(statement.text.encode())


def orders(**parts: object) -> Catalog:
    table = {
        "schema_name": "public",
        "name": "orders",
        "columns": (
            Column(name="id", type="integer", not_null=True),
            Column(name="code", type="text"),
        ),
        "indexes": (
            Index(name="orders_pkey", definition="", columns=("id",), unique=True, primary=True),
        ),
        **parts,
    }
    return Catalog(version=150018, tables={"public.orders": Table.model_validate(table)})


def statements(done: Rewritten, phase: Phase) -> list[str]:
    return [one.text for one in parse_script(done.files.get(phase, "")).statements]


def test_set_not_null_takes_four_statements() -> None:
    done = rewrite(parse_script("ALTER TABLE orders ALTER code SET NOT NULL"), orders())

    assert statements(done, "expand") == [
        "ALTER TABLE orders ADD CONSTRAINT orders_code_present CHECK (code IS NOT NULL) NOT VALID",
        "ALTER TABLE orders VALIDATE CONSTRAINT orders_code_present",
        "ALTER TABLE orders ALTER COLUMN code SET NOT NULL",
        "ALTER TABLE orders DROP CONSTRAINT orders_code_present",
    ]


def test_a_volatile_default_is_set_for_new_rows_and_filled_in_for_old_ones() -> None:
    sql = "ALTER TABLE orders ADD COLUMN token uuid NOT NULL DEFAULT gen_random_uuid()"

    done = rewrite(parse_script(sql), orders())

    assert statements(done, "expand") == [
        "ALTER TABLE orders ADD COLUMN token uuid",
        "ALTER TABLE orders ALTER COLUMN token SET DEFAULT gen_random_uuid()",
    ]
    assert statements(done, "migrate")[0] == (
        "UPDATE orders SET token = gen_random_uuid() WHERE token IS NULL"
    )
    assert len(statements(done, "migrate")) == 5
    (backfill, *_) = assess(
        parse_script(done.files["migrate"]), orders(), before=[parse_script(done.files["expand"])]
    )
    assert backfill.runs_as == "backfill"


def test_what_is_safe_stays_as_it_was_written() -> None:
    sql = "ALTER TABLE orders\n  ADD COLUMN note text, -- why\n  ADD COLUMN more text"

    done = rewrite(parse_script(sql), orders())

    assert done.files == {"expand": f"{sql};\n"}
    assert (done.notes, done.not_rewritten) == ((), ())


def test_what_runs_anyway_is_left_out_and_said() -> None:
    done = rewrite(
        parse_script("BEGIN;\nSET lock_timeout = '2s';\nDROP TABLE orders;\nCOMMIT"), orders()
    )

    assert done.files == {"contract": "DROP TABLE orders;\n"}
    assert [note.split(":")[0] for note in done.notes] == ["line 1", "line 2", "line 4"]


def test_what_follows_a_backfill_on_its_rows_follows_it_into_its_phase() -> None:
    sql = (
        "ALTER TABLE orders ADD COLUMN note text; UPDATE orders SET note = code; "
        "ALTER TABLE orders ALTER note SET NOT NULL; ALTER TABLE orders ADD COLUMN more text"
    )

    done = rewrite(parse_script(sql), orders())

    assert statements(done, "expand") == [
        "ALTER TABLE orders ADD COLUMN note text",
        "ALTER TABLE orders ADD COLUMN more text",
    ]
    assert statements(done, "migrate")[0] == "UPDATE orders SET note = code"
    assert "NOT NULL" in done.files["migrate"]


def test_what_follows_a_drop_on_its_table_stays_behind_it() -> None:
    sql = "ALTER TABLE orders DROP COLUMN code; ALTER TABLE orders ADD COLUMN code integer"

    done = rewrite(parse_script(sql), orders())

    assert list(done.files) == ["contract"]
    assert len(statements(done, "contract")) == 2


def test_a_name_that_a_server_would_choose_is_chosen_alike() -> None:
    done = rewrite(parse_script("ALTER TABLE orders ADD UNIQUE (code), ADD CHECK (id > 0)"), None)

    assert (
        "ADD CONSTRAINT orders_code_key UNIQUE USING INDEX orders_code_key" in done.files["expand"]
    )
    assert "VALIDATE CONSTRAINT orders_id_check" in done.files["expand"]


def test_quoted_names_and_schemas_stay_so() -> None:
    sql = 'CREATE INDEX "My Index" ON sales."Orders" ("Code")'

    done = rewrite(parse_script(sql), None)

    assert statements(done, "expand") == [
        'CREATE INDEX CONCURRENTLY "My Index" ON sales."Orders" USING btree ("Code")'
    ]


@dataclass(frozen=True)
class File:
    phase: Phase
    sql: str


class Plans:
    """Plans that say what they were asked."""

    files: ClassVar[tuple[File, ...]] = (
        File("expand", "ALTER TABLE orders ADD COLUMN code_new bigint;"),
        File("contract", "ALTER TABLE orders DROP COLUMN code;"),
    )
    notes = ("a trigger keeps both",)
    questions: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []

    def rename_column(self, *, table: str, old: str, new: str, catalog: Catalog) -> "Plans":
        self.asked.append((table, old, new))
        return self

    def rename_table(self, *, table: str, new: str, catalog: Catalog) -> "Plans":
        self.asked.append((table, new))
        return self

    def change_type(
        self, *, table: str, column: str, new_type: str, using: str | None, catalog: Catalog
    ) -> "Plans":
        self.asked.append((table, column, new_type, using))
        return self


def test_a_planner_is_asked_for_what_needs_a_new_column() -> None:
    plans = Plans()

    done = rewrite(
        parse_script("ALTER TABLE orders ALTER code TYPE bigint USING code::bigint"),
        orders(),
        plans,
    )

    assert plans.asked == [("public.orders", "code", "bigint", "code::bigint")]
    assert list(done.files) == ["expand", "contract"]
    assert done.notes == ("line 1: a trigger keeps both",)
    assert done.not_rewritten == ()


@pytest.mark.parametrize(
    ("sql", "asked"),
    [
        ("ALTER TABLE orders RENAME code TO label", ("public.orders", "code", "label")),
        ("ALTER TABLE orders RENAME TO purchases", ("public.orders", "purchases")),
    ],
)
def test_a_rename_is_planned_where_there_is_a_planner(sql: str, asked: tuple[str, ...]) -> None:
    plans, script = Plans(), parse_script(sql)

    done, alone = rewrite(script, orders(), plans), rewrite(script, orders())

    assert plans.asked == [asked]
    assert list(done.files) == ["expand", "contract"]
    assert alone.files == {"contract": f"{sql};\n"}
    assert len(alone.not_rewritten) == 1


class Refuses(Plans):
    def rename_column(self, *, table: str, old: str, new: str, catalog: Catalog) -> Plans:
        raise InvalidInput("column", old, "a partition key cannot be renamed")


def test_what_a_planner_refuses_stays_and_is_said_with_its_reason() -> None:
    sql = "ALTER TABLE orders RENAME code TO label"

    done = rewrite(parse_script(sql), orders(), Refuses())

    assert done.files == {"contract": f"{sql};\n"}
    assert [one.rule for one in done.not_rewritten] == ["rename-column"]
    assert "not rewritten: column: 'code'" in done.notes[0]


def test_without_a_planner_a_change_of_type_is_left_with_its_finding() -> None:
    sql = "ALTER TABLE orders ALTER id TYPE bigint"

    done = rewrite(parse_script(sql), orders())

    assert done.files == {"expand": f"{sql};\n"}
    assert [one.rule for one in done.not_rewritten] == ["type-change-rewrites"]


def test_measured_no_statement_of_a_safe_form_scans_under_a_lock_that_others_wait_for(
    make_database: MakeDatabase,
) -> None:
    """VALIDATE scans, under SHARE UPDATE EXCLUSIVE; SET NOT NULL after it does not."""
    sql = "ALTER TABLE orders ALTER COLUMN code SET NOT NULL"
    database = make_database(fill_shop)
    catalog = catalog_of(database, CASES[0])

    for statement in parse_script(rewrite(parse_script(sql), catalog).files["expand"]).statements:
        with database.connect() as connection:
            before = scans(connection)
            connection.execute(statement.text.encode())
            read = scans(connection) > before
            mode = strongest(connection)
        assert not (read and mode.blocks_writes), statement.text


def scans(connection: psycopg.Connection) -> int:
    query = b"SELECT pg_stat_get_xact_numscans('orders'::regclass)"
    return sum(number for (number,) in connection.execute(query))


def strongest(connection: psycopg.Connection) -> LockMode:
    rows = connection.execute(
        b"SELECT mode FROM pg_locks WHERE pid = pg_backend_pid() "
        b"AND relation = 'orders'::regclass AND granted"
    )
    names = {f"{one.name.replace('_', '')}LOCK": one for one in LockMode}
    return max(names[mode.upper()] for (mode,) in rows)
