"""Scripts in their context: what came before, what the catalog knows, what a transaction holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.labelled_statements import DATA, FILES, load
from greenlane.migrations.catalog.model import Catalog, Column, Constraint, Index, Table
from greenlane.migrations.sql.parsing import parse_script
from greenlane.migrations.validating import assess, problems
from greenlane.migrations.validating.model import PHASES, Assessment, LockMode
from greenlane.migrations.validating.rewriting import rewrite
from greenlane.migrations.validating.rules import RULES

EVERY_KIND = DATA / "every-kind.sql"
SCRIPTS = [case.sql for file in FILES for case in load(file).cases]


def catalog(rows: int | None = None, size: int = 0, **parts: object) -> Catalog:
    """A table `orders` with an integer key and a text column."""
    table = {
        "schema_name": "public",
        "name": "orders",
        "columns": (
            Column(name="id", type="integer", not_null=True),
            Column(name="code", type="character varying(20)"),
        ),
        "indexes": (
            Index(name="orders_pkey", definition="", columns=("id",), unique=True, primary=True),
        ),
        "rows": rows,
        "bytes": size,
        **parts,
    }
    return Catalog(version=150018, tables={"public.orders": Table.model_validate(table)})


def one(sql: str, known: Catalog | None = None) -> Assessment:
    (found,) = assess(parse_script(sql), known)
    return found


def rules(found: Assessment, *severities: str) -> list[str]:
    return [each.rule for each in found.findings if each.severity in (severities or ("block",))]


def locks(found: Assessment) -> dict[str, LockMode]:
    return {each.table: each.mode for each in found.locks}


def test_a_table_of_a_script_before_is_new_but_has_a_lock_to_take() -> None:
    before = parse_script("CREATE TABLE notes (id bigint, body text)")
    script = parse_script("CREATE INDEX ON notes (body); ALTER TABLE notes ADD PRIMARY KEY (id)")

    index, key = assess(script, None, before=[before])

    assert (rules(index), rules(key)) == ([], [])
    assert locks(index) == {"notes": LockMode.SHARE}
    assert locks(key) == {"notes": LockMode.ACCESS_EXCLUSIVE}


def test_a_table_of_an_earlier_phase_is_in_use() -> None:
    earlier = parse_script("CREATE TABLE notes (id bigint, body text)")

    (index,) = assess(parse_script("CREATE INDEX ON notes (body)"), None, earlier=[earlier])

    assert rules(index) == ["index-not-concurrent"]


def test_a_table_of_the_script_itself_has_no_lock_to_take() -> None:
    _, index = assess(parse_script("CREATE TABLE notes (a int); CREATE INDEX ON notes (a)"), None)

    assert (index.locks, index.findings) == ((), ())


def test_a_table_that_is_made_and_gone_again_is_in_use_if_it_comes_back() -> None:
    script = parse_script("CREATE TABLE a (b int); ALTER TABLE a RENAME TO c; DROP TABLE c")

    assert [each.findings for each in assess(script, None)] == [(), (), ()]


def test_if_not_exists_on_a_table_that_is_there_makes_nothing_new() -> None:
    script = parse_script(
        "CREATE TABLE IF NOT EXISTS orders (id int); CREATE INDEX ON orders (code)"
    )

    assert rules(assess(script, catalog())[1]) == ["index-not-concurrent"]


def test_a_check_that_a_script_before_validated_proves_not_null() -> None:
    add = "ALTER TABLE orders ADD CONSTRAINT there CHECK (code IS NOT NULL) NOT VALID"
    validate = "ALTER TABLE orders VALIDATE CONSTRAINT there"
    last = parse_script("ALTER TABLE orders ALTER COLUMN code SET NOT NULL")

    for known in (None, catalog()):
        (proven,) = assess(last, known, earlier=[parse_script(f"{add}; {validate}")])
        (unproven,) = assess(last, known, earlier=[parse_script(add)])

        assert (rules(proven), proven.scans) == ([], ())
        assert rules(unproven) == ["not-null-scan"]


def test_a_script_that_ran_before_the_catalog_was_read_changes_nothing_again() -> None:
    before = parse_script("CREATE TABLE orders (id integer)")

    (index,) = assess(parse_script("CREATE INDEX ON orders (code)"), catalog(), before=[before])

    assert rules(index) == ["index-not-concurrent"]


def test_not_null_on_a_column_that_no_version_in_use_knows_belongs_to_contract() -> None:
    add = parse_script(
        "ALTER TABLE orders ADD COLUMN note text; ALTER TABLE orders ADD CONSTRAINT there "
        "CHECK (note IS NOT NULL) NOT VALID; ALTER TABLE orders VALIDATE CONSTRAINT there"
    )
    last = parse_script("ALTER TABLE orders ALTER COLUMN note SET NOT NULL")

    (found,) = assess(last, catalog(), before=[add])

    assert found.phase == "contract"
    assert rules(found, "warn") == ["column-must-be-given"]


def test_a_default_lets_versions_that_do_not_know_the_column_go_on() -> None:
    add = parse_script("ALTER TABLE orders ADD COLUMN note text DEFAULT 'x'")
    last = parse_script("ALTER TABLE orders ALTER COLUMN note SET NOT NULL")

    assert assess(last, catalog(), before=[add])[0].phase == "expand"


def test_a_small_table_is_warned_of_where_only_time_is_lost() -> None:
    small = catalog(rows=200, size=16384)
    scan = "ALTER TABLE orders ALTER COLUMN code SET NOT NULL"

    assert rules(one(scan, small)) == []
    assert rules(one(scan, small), "warn") == ["not-null-scan"]
    assert rules(one(scan, catalog(rows=2_000_000, size=2**28))) == ["not-null-scan"]
    assert rules(one(scan, catalog(rows=None))) == ["not-null-scan"]
    assert rules(one("TRUNCATE orders", small)) == ["truncate"]


def test_an_update_of_a_small_table_is_one_transaction() -> None:
    sql = "UPDATE orders SET code = 'x' WHERE code = 'y'"

    small, large = one(sql, catalog(rows=50)), one(sql, catalog(rows=5_000_000))

    assert (small.runs_as, small.phase) == ("transaction", "expand")
    assert (large.runs_as, large.phase) == ("backfill", "migrate")


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("UPDATE orders SET code = o.code FROM orders o WHERE o.id = orders.id + 1", "FROM"),
        ("UPDATE orders SET code = 'x' RETURNING id", "returns rows"),
        ("WITH x AS (SELECT 1) UPDATE orders SET code = 'x'", "WITH"),
    ],
)
def test_an_update_that_cannot_be_sliced_says_why(sql: str, why: str) -> None:
    found = one(sql, catalog())

    assert rules(found) == ["update-not-sliceable"]
    assert why in found.findings[0].message
    assert found.runs_as == "transaction"


def test_a_table_without_a_primary_key_cannot_be_filled_in_slices() -> None:
    found = one("UPDATE orders SET code = 'x'", catalog(indexes=()))

    assert rules(found) == ["update-not-sliceable"]
    assert "no primary key" in found.findings[0].message


@pytest.mark.parametrize(
    ("where", "bounded"),
    [
        ("id = 3", True),
        ("3 = id AND code > 'a'", True),
        ("id IN (1, 2)", True),
        ("id = ANY ('{1,2}')", True),
        ("id = 1 OR id = 2", True),
        ("id = 1 OR code = 'x'", False),
        ("id > 3", False),
        ("id = orders.id", False),
        ("id = (SELECT max(id) FROM orders)", False),
        ("id BETWEEN 1 AND 2", False),
        ("NOT id = 3", False),
        ("code = 'x'", False),
    ],
)
def test_only_constants_for_a_whole_key_bound_an_update(where: str, bounded: bool) -> None:
    found = one(f"UPDATE orders SET code = 'x' WHERE {where}", catalog())

    assert (found.runs_as == "transaction") is bounded


def test_what_cannot_run_in_a_transaction_runs_alone() -> None:
    alone = (
        "CREATE INDEX CONCURRENTLY i ON orders (code)",
        "DROP INDEX CONCURRENTLY i",
        "REINDEX INDEX CONCURRENTLY i",
        "VACUUM orders",
        "ALTER TABLE orders DETACH PARTITION p CONCURRENTLY",
    )
    assert {one(sql).runs_as for sql in alone} == {"alone"}


def test_a_validation_runs_alone_so_that_its_lock_is_not_held_with_others() -> None:
    assert one("ALTER TABLE orders VALIDATE CONSTRAINT c").runs_as == "alone"


def test_locks_come_strongest_first_and_then_by_name() -> None:
    found = one("DROP TABLE b, a, c")
    mixed = one("ALTER TABLE b ADD COLUMN x int REFERENCES a")

    assert [each.table for each in found.locks] == ["a", "b", "c"]
    assert [each.table for each in mixed.locks] == ["b", "a"]


def test_a_finding_names_rule_lock_cost_and_safe_form() -> None:
    found = one("\n\nCREATE INDEX i ON orders (code)", catalog(rows=5_000_000, size=2**30))

    (finding,) = found.findings
    assert finding.rule == "index-not-concurrent"
    assert (finding.line, finding.statement, finding.table) == (3, 0, "public.orders")
    assert finding.lock == LockMode.SHARE
    assert finding.cost == "a scan of about 5,000,000 rows (1,024 MB)"
    assert "CONCURRENTLY" in finding.safe_form


def test_the_same_is_said_once() -> None:
    found = one("DROP TABLE IF EXISTS a, b")

    assert rules(found, "info") == ["exists-check"]


def test_a_long_statement_under_a_lock_of_its_transaction_is_found() -> None:
    found = assess(
        parse_script(
            "BEGIN; ALTER TABLE orders ADD COLUMN note text; "
            "ALTER TABLE items VALIDATE CONSTRAINT c; COMMIT; "
            "ALTER TABLE items VALIDATE CONSTRAINT d"
        ),
        catalog(),
    )

    assert "locks-add-up" in rules(found[2])
    assert rules(found[4]) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("BEGIN UPDATE orders SET code = 'x' WHERE id = 3; END", []),
        ("BEGIN PERFORM 1; COMMIT; END", ["transaction-control"]),
        ("BEGIN EXECUTE 'SELECT 1'; END", ["opaque-code"]),
        ("BEGIN IF EXISTS (SELECT 1 FROM orders) THEN TRUNCATE orders; END IF; END", ["truncate"]),
        ("DECLARE r record; BEGIN FOR r IN SELECT 1 LOOP DELETE FROM orders; END LOOP; END",
         ["delete-all-rows"]),
        ("BEGIN CREATE INDEX CONCURRENTLY i ON orders (code); END",
         ["concurrently-in-transaction"]),
        ("this is no PL/pgSQL", ["opaque-code"]),
    ],
)  # fmt: skip
def test_a_do_block_is_looked_into(body: str, expected: list[str]) -> None:
    assert rules(one(f"DO $$ {body} $$", catalog())) == expected


def test_a_do_block_in_another_language_is_opaque() -> None:
    found = one("DO LANGUAGE plpython3u $$ pass $$")

    assert rules(found) == ["opaque-code"]
    assert not found.certain


def test_a_statement_that_no_rule_knows_is_stopped() -> None:
    found = one("PREPARE x AS SELECT 1")

    assert rules(found) == ["not-judged"]
    assert not found.certain


def test_what_the_server_is_too_old_for_is_told_with_the_release() -> None:
    found = one("ALTER TABLE orders ADD CONSTRAINT n NOT NULL code NOT VALID", catalog())

    assert "needs-newer-server" in rules(found)
    assert "since 18" in found.findings[0].message
    assert rules(one("ALTER TABLE orders ADD CONSTRAINT n NOT NULL code NOT VALID")) == []


def test_a_phase_that_is_too_early_is_told_with_its_reason() -> None:
    found = assess(parse_script("SELECT 1;\nALTER TABLE orders DROP COLUMN code"), catalog())

    (problem,) = problems(found, "migrate")
    assert (problem.rule, problem.line, problem.statement) == ("phase-too-early", 2, 1)
    assert "contract, not to migrate (drop-column)" in problem.message
    assert problems(found, "contract") == ()


def test_a_rename_is_followed() -> None:
    script = parse_script(
        "ALTER TABLE orders RENAME COLUMN code TO label; ALTER TABLE orders RENAME TO purchases; "
        "ALTER TABLE purchases ALTER COLUMN label TYPE varchar(80)"
    )

    last = assess(script, catalog())[2]
    assert (rules(last), last.rewrites) == ([], ())
    assert locks(last) == {"public.purchases": LockMode.ACCESS_EXCLUSIVE}


def test_names_are_looked_up_along_the_search_path() -> None:
    sales = catalog().tables["public.orders"].model_copy(update={"schema_name": "sales"})
    known = Catalog(version=150018, tables={"sales.orders": sales}, search_path=("sales", "public"))

    assert locks(one("ALTER TABLE orders ADD COLUMN a int", known)) == {
        "sales.orders": LockMode.ACCESS_EXCLUSIVE
    }
    assert locks(one('ALTER TABLE "public".orders ADD COLUMN a int', known)) == {
        "public.orders": LockMode.ACCESS_EXCLUSIVE
    }


def test_partitions_are_locked_with_their_table_unless_only_it_is_meant() -> None:
    columns = (Column(name="a", type="integer"),)
    parent = Table(
        schema_name="public",
        name="events",
        kind="partitioned",
        columns=columns,
        partitions=("public.p",),
    )
    part = Table(schema_name="public", name="p", columns=parent.columns, parent="public.events")
    known = Catalog(version=150018, tables={"public.events": parent, "public.p": part})

    assert set(locks(one("ALTER TABLE events ALTER a SET DEFAULT 1", known))) == {
        "public.events",
        "public.p",
    }
    assert set(locks(one("ALTER TABLE ONLY events ALTER a SET DEFAULT 1", known))) == {
        "public.events"
    }
    assert one("ALTER TABLE events ALTER a SET NOT NULL", known).scans == ("public.p",)


def test_a_foreign_key_that_is_dropped_with_its_table_locks_the_other_table() -> None:
    key = Constraint(
        name="fk",
        kind="foreign",
        definition="",
        columns=("id",),
        references="public.customers",
    )

    found = one("DROP TABLE orders", catalog(constraints=(key,)))

    assert set(locks(found)) == {"public.orders", "public.customers"}
    assert "also locks public.customers" in found.findings[0].message


@pytest.mark.parametrize("version", [None, 150018, 180000])
def test_a_statement_of_every_kind_is_judged_and_rewritten_without_an_error(
    version: int | None,
) -> None:
    known = Catalog(version=version) if version else None
    statements = parse_script(EVERY_KIND.read_text()).statements

    for statement in statements:
        script = parse_script(statement.text)
        (found,) = assess(script, known)
        assert Assessment.model_validate_json(found.model_dump_json()) == found
        done = rewrite(script, known)
        assert done.files or done.notes, statement.text
        for sql in done.files.values():
            assert parse_script(sql).statements, statement.text
    assert len(statements) > 250


@given(st.lists(st.sampled_from(SCRIPTS), min_size=1, max_size=6), st.booleans())
def test_any_scripts_in_any_order_are_judged_whole(scripts: list[str], known: bool) -> None:
    *before, last = [parse_script(sql) for sql in scripts]
    half = len(before) // 2

    found = assess(last, catalog() if known else None, earlier=before[:half], before=before[half:])

    assert [each.statement for each in found] == list(range(len(last.statements)))
    for each in found:
        assert {finding.rule for finding in each.findings} <= set(RULES)
        assert not set(each.scans) & set(each.rewrites)
        modes = [lock.mode for lock in each.locks]
        assert modes == sorted(modes, reverse=True)
        for phase in PHASES:
            early = PHASES.index(phase) < PHASES.index(each.phase)
            assert bool(problems([each], phase)) is early


@given(st.sampled_from(SCRIPTS))
def test_the_same_script_is_judged_the_same_again(sql: str) -> None:
    script, known = parse_script(sql), catalog()

    assert assess(script, known) == assess(script, known)
