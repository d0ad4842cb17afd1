"""Planned changes end where the plain statement would have ended, and stop nobody on the way."""

from decimal import Decimal

import psycopg
import pytest

from greenlane.migrations.planning import changes
from greenlane.migrations.planning.model import NotPlannable, PlannedChange
from tests.databases import statements_of
from tests.effort import part
from tests.postgres import Database, MakeDatabase
from tests.unit.migrations.planning.carrying_out import (
    assert_nothing_stops,
    build_people,
    carry_out,
    catalog_of,
    loosely,
)

RENAMES = ("name", "born", "city", "code", "score", "data")
RETYPES = {
    "born": "timestamp",
    "city": "bigint",
    "code": "bigint",
    "id": "bigint",
    "score": "numeric",
    "name": 'text COLLATE "C"',
}


def schema(database: Database) -> list[str]:
    return statements_of(database.schema())


def rows(database: Database, query: str) -> list[tuple[object, ...]]:
    return sorted(database.rows(query), key=str)


@pytest.mark.parametrize("column", part(RENAMES, 3))
def test_a_planned_rename_ends_as_a_rename_and_keeps_all_that_the_column_had(
    make_database: MakeDatabase, column: str
) -> None:
    database, plain = make_database(build_people), make_database(build_people)
    plain.execute(f"ALTER TABLE people RENAME COLUMN {column} TO other")
    catalog = database.as_built(catalog_of)

    change = changes.rename_column("public.people", column, "other", catalog)
    carry_out(database, change)

    assert schema(database) == schema(plain)
    query = "SELECT id, other::text FROM people"
    assert rows(database, query) == rows(plain, query)
    assert_nothing_stops(change.files, catalog)
    assert change.questions == ()


def test_a_rename_asks_for_a_comparison_in_slices_and_leaves_one_backfill(
    make_database: MakeDatabase,
) -> None:
    catalog = make_database(build_people).as_built(catalog_of)

    change = changes.rename_column("people", "name", "full_name", catalog)

    assert [(one.phase, one.name) for one in change.files] == [
        ("expand", "expand_people_full_name"),
        ("migrate", "migrate_people_full_name"),
        ("contract", "contract_people_full_name"),
    ]
    assert (
        "UPDATE public.people SET full_name = name WHERE full_name IS DISTINCT FROM name;"
        in change.files[1].sql
    )
    assert any("coalesce(full_name, name)" in one for one in change.notes)


@pytest.mark.parametrize(("column", "kind"), part(list(RETYPES.items()), 3))
def test_a_planned_change_of_a_type_ends_as_the_plain_one(
    make_database: MakeDatabase, column: str, kind: str
) -> None:
    database, plain = make_database(build_people), make_database(build_people)
    plain.execute(f"ALTER TABLE people ALTER COLUMN {column} TYPE {kind}")
    catalog = database.as_built(catalog_of)

    change = changes.change_type("public.people", column, kind.split(" ")[0], None, catalog)
    carry_out(database, change, "expand")
    for one in (database, plain):
        one.execute("INSERT INTO people (born, score) VALUES ('2001-02-03', 501)")
    carry_out(database, change, "migrate", "contract")

    assert loosely(schema(database)) == loosely(schema(plain))
    for one in (database, plain):
        one.execute("INSERT INTO people (born, name, score) VALUES ('2001-02-03', 'z', 9)")
    query = f"SELECT id, code, {column}::text, pg_typeof({column}) FROM people"
    assert rows(database, query) == rows(plain, query)
    assert_nothing_stops(change.files, catalog)


def test_a_type_that_leaves_the_rows_alone_is_changed_in_place(
    make_database: MakeDatabase,
) -> None:
    database = make_database(build_people)

    change = changes.change_type("people", "data", "json", None, database.as_built(catalog_of))

    assert [one.sql.count(";") for one in change.files] == [1]


def test_values_are_converted_as_it_is_said_while_versions_write(
    make_database: MakeDatabase,
) -> None:
    database = make_database(build_people)
    change = changes.change_type(
        "people", "score", "numeric(6,1)", "score / 10.0", database.as_built(catalog_of)
    )
    carry_out(database, change, "expand")
    database.execute("UPDATE people SET score = 77 WHERE id = 1")
    assert database.rows("SELECT score, score_new FROM people WHERE id = 1") == [
        (77, Decimal("7.7"))
    ]
    carry_out(database, change, "migrate")
    database.execute("UPDATE people SET score = 88 WHERE id = 2")

    carry_out(database, change, "contract")

    found = database.rows("SELECT score FROM people WHERE id IN (1, 2, 3) ORDER BY id")
    assert [float(one) for (one,) in found] == [7.7, 8.8, 0.3]


SPLIT = (
    [
        ("first", "text", "split_part(name, ' ', 1)"),
        ("last", "text", "nullif(substr(name, length(split_part(name, ' ', 1)) + 2), '')"),
    ],
    "concat_ws(' ', first, last)",
)


def test_a_column_is_split_without_harm_to_what_either_version_wrote(
    make_database: MakeDatabase,
) -> None:
    database = make_database(build_people)
    database.execute(
        "UPDATE people SET name = 'Ada  Byron King' WHERE id = 1",
        "UPDATE people SET name = 'Grace Hopper' WHERE id = 2",
    )
    catalog = catalog_of(database)
    change = changes.split_column("people", "name", *SPLIT, catalog)
    carry_out(database, change, "expand")
    database.execute(
        "INSERT INTO people (id, first, last) VALUES (101, 'Mary Ann', 'Lee')",  # new version
        "INSERT INTO people (id, name) VALUES (102, 'Alan Turing')",  # old version
        "UPDATE people SET last = 'Murray' WHERE id = 102",  # new
        "UPDATE people SET name = 'Jean Bartik' WHERE id = 3",  # old
    )

    carry_out(database, change, "migrate")

    query = "SELECT name, first, last FROM people WHERE id IN (1, 2, 3, 101, 102) ORDER BY id"
    assert database.rows(query) == [
        ("Ada  Byron King", "Ada", " Byron King"),  # filling did not touch it
        ("Grace Hopper", "Grace", "Hopper"),
        ("Jean Bartik", "Jean", "Bartik"),
        ("Mary Ann Lee", "Mary Ann", "Lee"),  # filling did not split it anew
        ("Alan Murray", "Alan", "Murray"),
    ]
    carry_out(database, change, "contract")
    database.execute("INSERT INTO people (first) VALUES ('Cher')")
    assert_nothing_stops(change.files, catalog)
    assert "people_name_idx" in change.questions[0]


@pytest.mark.parametrize(
    ("into", "joined", "said"),
    [
        ([("a", "text", "name ||")], "a", "syntax error"),
        ([("a", "text", "city")], "a", "city is not among name"),
        ([("a", "text", "name")], "name", "name is not among a"),
        ([("a", "text", "name || random()")], "a", "the same value each time"),
        ([("a", "text", "(SELECT name)")], "a", "all that it may look at"),
        ([("city", "text", "name")], "city", "has that column already"),
        ([], "name", "name each column once"),
    ],
)
def test_a_split_that_no_trigger_could_do_is_refused(
    make_database: MakeDatabase, into: list[tuple[str, str, str]], joined: str, said: str
) -> None:
    catalog = make_database(build_people).as_built(catalog_of)

    with pytest.raises(NotPlannable, match=said):
        changes.split_column("people", "name", into, joined, catalog)


@pytest.mark.parametrize("fill", ["'2000-01-01'", "date '1970-01-01' + id::integer"])
def test_not_null_is_reached_with_a_value_for_rows_that_have_none(
    make_database: MakeDatabase, fill: str
) -> None:
    database, plain = make_database(build_people), make_database(build_people)
    plain.execute(
        f"UPDATE people SET born = {fill} WHERE born IS NULL",
        "ALTER TABLE people ALTER COLUMN born SET NOT NULL",
    )
    if "id" not in fill:
        plain.execute(f"ALTER TABLE people ALTER COLUMN born SET DEFAULT {fill}")
    catalog = database.as_built(catalog_of)

    change = changes.set_not_null("people", "born", catalog, fill=fill)
    carry_out(database, change)

    assert schema(database) == schema(plain)
    assert rows(database, "SELECT id, born FROM people") == rows(
        plain, "SELECT id, born FROM people"
    )
    assert_nothing_stops(change.files, catalog)


def test_not_null_without_a_value_is_a_question(make_database: MakeDatabase) -> None:
    change = changes.set_not_null(
        "people", "born", make_database(build_people).as_built(catalog_of)
    )

    assert change.questions == ("which value do rows get in which born is NULL?",)


@pytest.mark.parametrize(
    ("kind", "default", "phases"),
    [
        ("integer", "7", ["expand"]),
        ("timestamptz", "now()", ["expand"]),
        ("uuid", "gen_random_uuid()", ["expand", "migrate"]),
    ],
)
def test_a_new_column_is_not_null_without_a_rewrite(
    make_database: MakeDatabase, kind: str, default: str, phases: list[str]
) -> None:
    database = make_database(build_people)
    catalog = database.as_built(catalog_of)

    change = changes.add_not_null_column("people", "added", kind, default, catalog)
    carry_out(database, change)

    (column,) = [
        one for one in catalog_of(database).tables["public.people"].columns if one.name == "added"
    ]
    assert [one.phase for one in change.files] == phases
    assert (column.not_null, column.default) == (True, default)
    assert_nothing_stops(change.files, catalog)


def test_a_column_that_goes_may_be_left_out_before(make_database: MakeDatabase) -> None:
    database, plain = make_database(build_people), make_database(build_people)
    database.execute("ALTER TABLE people ALTER COLUMN name DROP DEFAULT")
    plain.execute("ALTER TABLE people DROP COLUMN name")
    catalog = catalog_of(database)
    change = changes.drop_column("people", "name", catalog)

    carry_out(database, change, "expand")
    database.execute("INSERT INTO people (score) VALUES (1000)")
    carry_out(database, change, "contract")

    assert schema(database) == schema(plain)
    assert_nothing_stops(change.files, catalog)


def test_a_table_that_goes_is_set_aside_first(make_database: MakeDatabase) -> None:
    database = make_database(build_people)
    catalog = database.as_built(catalog_of)

    change = changes.drop_table("people", catalog)
    carry_out(database, change)

    assert database.rows("SELECT count(*) FROM greenlane_trash.people") == [(51,)]
    assert_nothing_stops(change.files, catalog)


def test_a_table_has_both_names_until_the_contract(make_database: MakeDatabase) -> None:
    database, plain = make_database(build_people), make_database(build_people)
    plain.execute("ALTER TABLE people RENAME TO persons")
    catalog = database.as_built(catalog_of)
    change = changes.rename_table("people", "persons", catalog)

    carry_out(database, change, "expand")
    for table in ("people", "persons"):
        database.execute(
            f"INSERT INTO {table} (id, name) VALUES (7, 'x') "
            "ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name || 'y'",
            f"UPDATE {table} SET score = score + 1 WHERE id = 7",
            f"DELETE FROM {table} WHERE id = 8",
            f"SET ROLE reader; SELECT count(*) FROM {table}; RESET ROLE",
        )
    carry_out(database, change, "contract")

    assert database.rows("SELECT name, score FROM persons WHERE id = 7") == [("xy", 9)]
    assert schema(database) == schema(plain)
    assert_nothing_stops(change.files, catalog)
    assert "columns of people have rights" in change.questions[0]


REFUSED = [
    (
        "code",
        "CREATE TABLE x (p integer REFERENCES people (code))",
        "foreign keys of public.x",
    ),
    ("id", "", "it is an identity"),
    ("name", "CREATE VIEW v AS SELECT name FROM people", "view public.v would keep it"),
    (
        "name",
        "ALTER TABLE people ADD l integer GENERATED ALWAYS AS (length(name)) STORED",
        "l is generated from it",
    ),
    (
        "name",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
        "CREATE TRIGGER t BEFORE UPDATE OF name ON people FOR EACH ROW EXECUTE FUNCTION f()",
        "trigger t names it",
    ),
    (
        "code",
        "ALTER TABLE people REPLICA IDENTITY USING INDEX people_code_key",
        "people_code_key is the replica identity",
    ),
    ("city", "ALTER TABLE people ADD EXCLUDE (city WITH =) WHERE (id = 1)", "excludes by it"),
    ("nam", "", "did you mean name?"),
]


@pytest.mark.parametrize(("column", "setup", "said"), REFUSED)
def test_a_column_that_nothing_can_stand_in_for_is_refused_with_the_reason(
    make_database: MakeDatabase, column: str, setup: str, said: str
) -> None:
    database = make_database(build_people)
    with database.connect() as connection:
        connection.execute(setup.encode())

    with pytest.raises(NotPlannable, match=said):
        changes.rename_column("people", column, "other", catalog_of(database))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("events_2026", "it is a partition; change public.events"),
        ("totals", "it is a materialized table"),
        ("persons", "no such table"),
    ],
)
def test_a_table_without_triggers_of_its_own_is_refused(
    make_database: MakeDatabase, table: str, said: str
) -> None:
    database = make_database(build_people)
    database.execute(
        "CREATE TABLE events (at date, kind text) PARTITION BY RANGE (at)",
        "CREATE TABLE events_2026 PARTITION OF events DEFAULT",
        "CREATE MATERIALIZED VIEW totals AS SELECT 1 AS kind",
    )
    catalog = catalog_of(database)

    with pytest.raises(NotPlannable, match=said):
        changes.rename_column(table, "kind", "sort", catalog)
    with pytest.raises(NotPlannable, match="partitioned by it"):
        changes.rename_column("events", "at", "day", catalog)


def test_a_column_of_a_partitioned_table_is_renamed(make_database: MakeDatabase) -> None:
    def build(database: Database) -> None:
        database.execute(
            "CREATE TABLE events (at date, kind text NOT NULL) PARTITION BY RANGE (at)",
            "CREATE TABLE events_2026 PARTITION OF events DEFAULT",
            "INSERT INTO events SELECT '2026-01-01', 'k' || n FROM generate_series(1, 9) AS n",
        )

    database, plain = make_database(), make_database()
    build(database)
    build(plain)
    plain.execute("ALTER TABLE events RENAME COLUMN kind TO sort")

    carry_out(database, changes.rename_column("events", "kind", "sort", catalog_of(database)))

    assert schema(database) == schema(plain)


def test_a_value_that_cannot_be_converted_is_refused_when_it_is_written(
    make_database: MakeDatabase,
) -> None:
    database = make_database(build_people)
    change = changes.change_type(
        "people", "name", "integer", "substr(name, 2)::integer", database.as_built(catalog_of)
    )
    carry_out(database, PlannedChange(files=change.files[:1]))

    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        database.execute("UPDATE people SET name = 'nobody' WHERE id = 1")
    assert any("is refused from the expand on" in one for one in change.notes)
