"""Statements run forward and back on a real PostgreSQL."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from benchmarks.live_catalog import live_catalog
from greenlane.migrations.catalog.model import Catalog
from greenlane.migrations.inverting import grade_inverse
from greenlane.migrations.inverting.model import GRADES, Inverse
from greenlane.migrations.sql.parsing import parse_script
from tests.databases import build_shop, facts, run
from tests.effort import part
from tests.postgres import Database, MakeDatabase

T = TypeVar("T")
DATA = yaml.safe_load(
    (Path(__file__).parents[3] / "data" / "migrations" / "inverses.yaml").read_text()
)
CASES: list[dict[str, Any]] = DATA["cases"]
RUN = [one for one in CASES if one["grade"] != "none"]
NONE = [one for one in CASES if one["grade"] == "none"]
WRITES = {
    "add-column": "UPDATE notes SET author = 'x' WHERE body = 'b3'",
    "add-column-default": "UPDATE notes SET stars = 4 WHERE body = 'b3'",
    "add-two-one-there": "INSERT INTO customers (name, zip) VALUES ('x', '1')",
    "create-table": "INSERT INTO lines VALUES (1, 1)",
    "create-partition": "INSERT INTO events VALUES ('2027-03-01', 'x')",
    "drop-not-null": "INSERT INTO customers (name) VALUES (NULL)",
    "drop-check": "INSERT INTO customers (name, score) VALUES ('x', -1)",
}


def makes_what_it_loses(inverse: Inverse) -> bool:
    """Whether it is about what was made, which is then what can be lost."""
    return inverse.grade == "exact_until_written"


def catalog_of(database: Database) -> Catalog:
    with database.connect() as connection:
        return live_catalog(connection)


def now(database: Database, case: dict[str, Any], ask: Callable[[Database], T]) -> T:
    """What is so before the case's own statement, but after its first ones."""
    return ask(database) if case.get("first") else database.as_built(ask)


def grade(database: Database, case: dict[str, Any]) -> Inverse:
    (statement,) = parse_script(case["sql"]).statements
    return grade_inverse(statement, now(database, case, catalog_of))


@pytest.mark.parametrize("case", part(RUN, 5), ids=lambda one: one["id"])
def test_a_statement_and_its_inverse_leave_schema_and_rows_as_they_were(
    make_database: MakeDatabase, case: dict[str, Any]
) -> None:
    database = make_database(build_shop)
    run(database, case.get("first", ()))
    before = now(database, case, facts)
    inverse = grade(database, case)
    assert inverse.grade == case["grade"], inverse.why
    assert list(inverse.loses) == case.get(
        "loses", list(inverse.makes) if makes_what_it_loses(inverse) else []
    )
    run(database, [case["sql"]])
    assert (facts(database) != before) == case.get("acts", True)

    if inverse.grade == "exact_until_written" and inverse.proof is not None:
        assert all(database.rows(one) == [(True,)] for one in inverse.proof)
    run(database, inverse.sql)

    after = facts(database)
    if case.get("schema", True):
        assert after.schema == before.schema
    if case.get("rows", True):
        assert after.rows == before.rows
    assert {table: len(rows) for table, rows in after.rows.items()} == {
        table: len(rows) for table, rows in before.rows.items()
    }


@pytest.mark.parametrize("case", NONE, ids=lambda one: one["id"])
def test_what_nothing_undoes_is_said_to_be_so(
    make_database: MakeDatabase, case: dict[str, Any]
) -> None:
    database = make_database(build_shop)
    run(database, case.get("first", ()))

    inverse = grade(database, case)

    assert (inverse.grade, inverse.sql) == ("none", ())
    assert list(inverse.loses) == case.get("loses", list(inverse.loses))
    assert inverse.why
    run(database, [case["sql"]])  # PostgreSQL takes it


@pytest.mark.parametrize("name", WRITES)
def test_the_proof_says_no_once_somebody_has_written(
    make_database: MakeDatabase, name: str
) -> None:
    (case,) = [one for one in CASES if one["id"] == name]
    database = make_database(build_shop)
    inverse = grade(database, case)
    run(database, [case["sql"]])

    database.execute(WRITES[name])

    assert inverse.proof is not None
    assert [database.rows(one) for one in inverse.proof].count([(False,)]) == 1


def test_the_set_has_statements_of_every_grade_and_every_kind() -> None:
    grades = [one["grade"] for one in CASES]

    assert len(CASES) == len({one["id"] for one in CASES})
    assert len(RUN) >= 150
    assert {grade: grades.count(grade) > 5 for grade in GRADES} == dict.fromkeys(GRADES, True)
