"""From one schema to another, and what is asked on the way."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from greenlane.migrations.planning.model import NotPlannable, PlannedChange
from greenlane.migrations.planning.schemas import AmbiguousRename, backward_compatible_migration
from greenlane.migrations.sql.parsing import InvalidSql
from tests.databases import make_roles, statements_of
from tests.effort import part
from tests.postgres import Database, MakeDatabase
from tests.unit.migrations.planning.carrying_out import (
    assert_nothing_stops,
    carry_out,
    catalog_of,
    loosely,
)

DATA = yaml.safe_load(
    (Path(__file__).parents[3] / "data" / "migrations" / "schemas.yaml").read_text()
)
BASE: str = DATA["base"]
CASES: list[dict[str, Any]] = DATA["cases"]


def changed(case: dict[str, Any]) -> str:
    text = BASE
    for old, new in case.get("change", {}).items():
        assert old in text, old
        text = text.replace(old, new)
    return f"{text}\n{case.get('more', '')}"


def schema_of(database: Database) -> list[str]:
    """Without the names that NOT NULL has since PostgreSQL 18, of which DDL rarely speaks."""
    named = re.compile(r" CONSTRAINT \w+_not_null\d* NOT NULL")
    return [named.sub(" NOT NULL", one) for one in statements_of(database.schema())]


def build_base(database: Database) -> None:
    make_roles(database)
    database.execute(BASE, DATA["rows"])


def made(make_database: MakeDatabase, script: str) -> Database:
    database = make_database(make_roles)
    database.execute(script)
    return database


def planned(case: dict[str, Any], old: str = BASE) -> PlannedChange:
    return backward_compatible_migration(
        old, changed(case), renames=case.get("renames"), fills=case.get("fills")
    )


@pytest.mark.parametrize("case", part(CASES, 2), ids=lambda one: one["id"])
def test_a_plan_between_two_schemas_ends_at_the_new_one_and_keeps_old_queries_alive(
    make_database: MakeDatabase, case: dict[str, Any]
) -> None:
    database = make_database(build_base)
    wanted = made(make_database, changed(case))
    catalog = database.as_built(catalog_of)

    change = planned(case)
    carry_out(database, change)

    found, expected = schema_of(database), schema_of(wanted)
    if case.get("loosely"):
        found, expected = loosely(found), loosely(expected)
    assert found == expected
    assert bool(change.files) == (case["id"] != "nothing")
    if change.files:
        assert_nothing_stops(change.files, catalog)


@pytest.mark.parametrize(
    "case",
    part([one for one in CASES if not one.get("loosely")], 4, 1),
    ids=lambda one: one["id"],
)
def test_what_a_database_dumps_is_a_schema_like_any_other(
    make_database: MakeDatabase, case: dict[str, Any]
) -> None:
    database = make_database(build_base)
    wanted = made(make_database, changed(case))

    change = backward_compatible_migration(
        database.as_built(Database.schema),
        wanted.schema(),
        renames=case.get("renames"),
        fills=case.get("fills"),
    )
    carry_out(database, change)

    assert schema_of(database) == schema_of(wanted)


def test_a_column_that_goes_while_one_like_it_comes_is_a_question() -> None:
    new = BASE.replace("name varchar(40)", "full_name varchar(40)").replace(
        "lower(name)", "lower(full_name)"
    )

    with pytest.raises(AmbiguousRename) as asked:
        backward_compatible_migration(BASE, new)

    assert "is it renamed?" in str(asked.value)
    assert "renames={'public.people.name': 'full_name'}, or None to drop it" in str(asked.value)


def test_a_table_that_goes_while_one_like_it_comes_is_a_question() -> None:
    change = backward_compatible_migration(
        "CREATE TABLE notes (id integer, body text);",
        "CREATE TABLE remarks (id integer, body text, at date);",
    )

    assert "public.notes goes, and public.remarks has all its columns" in change.questions[0]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "born date,",
            "born date, stars integer NOT NULL,",
            "rows that are there need a value; answer with fills={'public.people.stars': '...'}",
        ),
        ("born date,", "born date, number serial,", "it would write every row anew"),
        ("'new', 'paid'", "'paid', 'new'", "labels of an enum can be added"),
        (
            "score integer NOT NULL DEFAULT 0",
            "score bigint NOT NULL DEFAULT 1",
            "change its type in one plan, and the rest in a next one",
        ),
        ("born date,", "born date GENERATED ALWAYS AS (now()) STORED,", "cannot change in place"),
        (
            "CREATE TABLE notes",
            "INSERT INTO cities VALUES (1); CREATE TABLE notes",
            "a schema says what there is, as DDL",
        ),
        ("CREATE TABLE notes (", "CREATE TABLE notes (LIKE cities, ", "instead of LIKE"),
    ],
)
def test_what_is_not_planned_is_refused_with_what_to_do(old: str, new: str, said: str) -> None:
    assert old in BASE

    with pytest.raises(NotPlannable) as refused:
        backward_compatible_migration(BASE, BASE.replace(old, new))

    assert said in str(refused.value)


@pytest.mark.parametrize("answers", [{"people.nme": "x"}, {"persons.name": None}])
def test_an_answer_about_no_column_is_refused(answers: dict[str, str | None]) -> None:
    with pytest.raises(NotPlannable, match="neither schema has such a column"):
        backward_compatible_migration(BASE, BASE, renames=answers)


def test_a_column_that_a_view_shows_is_not_taken_from_under_it() -> None:
    view = "CREATE VIEW names AS SELECT name FROM people;"

    with pytest.raises(NotPlannable, match=r"view public\.names would keep it"):
        backward_compatible_migration(
            f"{BASE}\n{view}",
            f"{BASE.replace('name varchar', 'whole varchar').replace('(name)', '(whole)')}\n"
            "CREATE VIEW names AS SELECT whole AS name FROM people;",
            renames={"people.name": "whole"},
        )


def test_a_schema_that_is_no_sql_is_refused_with_the_place() -> None:
    with pytest.raises(InvalidSql) as wrong:
        backward_compatible_migration(BASE, "CREATE TABLE t (\n  id integr,,\n);")

    assert (wrong.value.name, wrong.value.line) == ("new_schema", 2)
