from hypothesis import given
from hypothesis import strategies as st

from greenlane.migrations.sql.names import (
    Name,
    listed_name,
    literal,
    object_name,
    quoted,
    relation_name,
)
from greenlane.migrations.sql.parsing import parse_expression, parse_script

NAMES = st.text(
    st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), min_size=1, max_size=20
).filter(lambda name: len(name.encode()) <= 63)
"""PostgreSQL cuts longer names off, and a script has no carriage returns."""
WORDS = st.sampled_from(["user", "select", "left", "order", "name", "a1", "A1", "orders", "между"])


def relation(sql: str) -> Name:
    return relation_name(parse_script(sql).statements[0].node)


@given(NAMES | WORDS)
def test_a_quoted_name_is_read_as_the_same_name(name: str) -> None:
    assert relation(f"ALTER TABLE {quoted(name)} ADD COLUMN a int") == Name(None, name)


@given(NAMES | WORDS, NAMES | WORDS)
def test_a_name_with_its_schema_is_read_as_the_same(schema: str, name: str) -> None:
    made = Name(schema, name)

    assert relation(f"ALTER TABLE {made} ADD COLUMN {quoted(name)} int") == made


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40))
def test_a_literal_is_read_as_the_same_text(text: str) -> None:
    constant = parse_expression(literal(text))["a_const"]

    assert constant["sval"].get("sval", "") == text.replace("\r\n", "\n").replace("\r", "\n")


def test_plain_names_stay_plain_and_others_are_quoted() -> None:
    assert quoted("orders_2") == "orders_2"
    assert quoted("Orders") == '"Orders"'
    assert quoted("order") == '"order"'
    assert quoted('a"b') == '"a""b"'
    assert quoted("2nd") == '"2nd"'


def test_names_are_folded_as_postgresql_folds_them() -> None:
    assert relation('ALTER TABLE Sales."Orders" ADD a int') == Name("sales", "Orders")


def test_a_schema_is_added_only_where_there_is_none() -> None:
    assert Name(None, "a").within("public") == Name("public", "a")
    assert Name("sales", "a").within("public") == Name("sales", "a")


def test_the_objects_of_a_drop_have_names_of_every_shape() -> None:
    def names(sql: str) -> list[Name]:
        return [object_name(one) for one in parse_script(sql).statements[0].node["objects"]]

    assert names("DROP TABLE a, s.b") == [Name(None, "a"), Name("s", "b")]
    assert names("DROP TYPE s.mood") == [Name("s", "mood")]
    assert names("DROP FUNCTION s.f(integer), g()") == [Name("s", "f"), Name(None, "g")]
    assert names("DROP SCHEMA s") == [Name(None, "s")]
    assert names("DROP CAST (integer AS s.mood)") == [Name("pg_catalog", "int4")]
    assert names("DROP TRIGGER t ON s.a") == [Name("a", "t")]


def test_a_large_object_has_its_number_for_a_name() -> None:
    node = parse_script("ALTER LARGE OBJECT 5 OWNER TO x").statements[0].node

    assert object_name(node["object"]) == Name(None, "5")


def test_a_name_of_three_parts_keeps_schema_and_name() -> None:
    items = [{"string": {"sval": one}} for one in ("shop", "public", "orders")]

    assert listed_name(items) == Name("public", "orders")
