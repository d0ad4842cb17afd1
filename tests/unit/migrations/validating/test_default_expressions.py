"""How volatile an expression is, and what a CHECK proves."""

import pytest

from greenlane.migrations.catalog.model import Function
from greenlane.migrations.sql.parsing import parse_expression
from greenlane.migrations.validating.expressions import (
    check_expression,
    columns_in,
    is_constant,
    proves_not_null,
    volatility,
)
from greenlane.migrations.validating.vocabulary import BUILTIN_TYPES, NOT_VOLATILE, VOLATILE
from tests.postgres import Database

EXTENSIONS = {"citext", "hstore", "ltree", "vector", "geometry", "geography"}


def made(name: str, how: str, schema: str = "public") -> Function:
    return Function.model_validate(
        {"schema_name": schema, "name": name, "arguments": "", "volatility": how}
    )


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1 + 2", "immutable"),
        ("'x'::text", "immutable"),
        ("now()", "stable"),
        ("CURRENT_DATE", "stable"),
        ("lower('X') || now()::text", "stable"),
        ("gen_random_uuid()", "volatile"),
        ("public.uuid_generate_v4()", "volatile"),
        ("coalesce(NULL, random())", "volatile"),
        ("CASE WHEN now() > '2027-01-01' THEN nextval('s') ELSE 0 END", "volatile"),
        ("own()", "stable"),
        ("sales.own()", "volatile"),
        ("two()", "volatile"),
        ("unheard_of()", None),
        ("unheard_of(random())", "volatile"),
    ],
)
def test_the_most_volatile_part_decides(expression: str, expected: str | None) -> None:
    functions = {
        "public.own": (made("own", "stable"),),
        "sales.own": (made("own", "volatile", "sales"),),
        "public.two": (made("two", "immutable"), made("two", "volatile")),
    }
    if expression == "own()":
        functions.pop("sales.own")

    assert volatility(parse_expression(expression), functions) == expected


def test_functions_are_as_volatile_as_postgresql_says(database: Database) -> None:
    rows = database.rows(
        "SELECT proname, array_agg(DISTINCT provolatile::text) FROM pg_proc "
        "WHERE pronamespace = 'pg_catalog'::regnamespace GROUP BY 1"
    )
    known = {name: set(kinds) for name, kinds in rows}

    assert [name for name in VOLATILE if "v" not in known.get(name, {"v"})] == []
    assert [name for name in NOT_VOLATILE if "v" in known.get(name, set())] == []
    assert len(NOT_VOLATILE & set(known)) > 300


def test_types_are_those_that_postgresql_has(database: Database) -> None:
    rows = database.rows(
        "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regtype(name) IS NULL",
        sorted(BUILTIN_TYPES),
    )

    assert {name for (name,) in rows} == EXTENSIONS


@pytest.mark.parametrize(
    ("definition", "proven"),
    [
        ("CHECK ((a IS NOT NULL))", True),
        ("CHECK (((a IS NOT NULL) AND (b > 0)))", True),
        ("CHECK (((b > 0) AND ((c > 0) AND (a IS NOT NULL)))) NOT VALID", True),
        ("CHECK (((a IS NOT NULL) OR (b > 0)))", False),
        ("CHECK ((NOT (a IS NULL)))", False),
        ("CHECK ((a > 0))", False),
        ("CHECK ((b IS NOT NULL))", False),
        ("UNIQUE (a)", False),
        ("CHECK (this is no SQL", False),
    ],
)
def test_only_a_check_that_implies_it_proves_a_column_not_null(
    definition: str, proven: bool
) -> None:
    assert proves_not_null(check_expression(definition), "a") is proven


def test_columns_are_found_wherever_they_stand() -> None:
    tree = parse_expression("CASE WHEN a > 0 THEN lower(t.b) ELSE (c).d END")

    assert {"a", "b", "c"} <= columns_in(tree)


@pytest.mark.parametrize(
    ("expression", "constant"),
    [("1", True), ("'a'::date", True), ("a", False), ("now()", False), ("(SELECT 1)", False)],
)
def test_a_constant_names_no_column_and_calls_nothing(expression: str, constant: bool) -> None:
    assert is_constant(parse_expression(expression)) is constant
