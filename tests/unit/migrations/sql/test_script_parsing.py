import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.migrations.sql.parsing import (
    InvalidSql,
    is_reserved,
    parse_expression,
    parse_script,
    plpgsql_of,
)


def places(text: str) -> list[tuple[int, int, str]]:
    return [(one.line, one.column, one.text) for one in parse_script(text).statements]


def test_each_statement_has_its_text_and_its_place() -> None:
    found = parse_script("SELECT 1;\n  ALTER TABLE a ADD COLUMN b int ;\n\nDROP TABLE c", "0001")

    assert [one.text for one in found.statements] == [
        "SELECT 1",
        "ALTER TABLE a ADD COLUMN b int",
        "DROP TABLE c",
    ]
    assert [(one.line, one.column) for one in found.statements] == [(1, 1), (2, 3), (4, 1)]
    assert [one.kind for one in found.statements] == [
        "select_stmt",
        "alter_table_stmt",
        "drop_stmt",
    ]
    assert [one.index for one in found.statements] == [0, 1, 2]


def test_columns_are_counted_in_characters_not_in_bytes() -> None:
    assert places("SELECT 'äöü€😀'; SELECT 2") == [
        (1, 1, "SELECT 'äöü€😀'"),
        (1, 17, "SELECT 2"),
    ]


def test_comments_before_a_statement_are_not_part_of_it() -> None:
    text = "-- first; not a statement\n/* and\n /* nested */ more; */\nSELECT 1; -- after\nSELECT 2"

    assert places(text) == [(4, 1, "SELECT 1"), (5, 1, "SELECT 2")]


def test_a_comment_within_a_statement_stays_in_it() -> None:
    assert places("SELECT /* one; */ 1") == [(1, 1, "SELECT /* one; */ 1")]


@pytest.mark.parametrize("text", ["", "  \n\t", ";", ";;\n;", "-- nothing", "/* nothing */\n;"])
def test_a_script_without_statements_is_empty(text: str) -> None:
    assert parse_script(text).statements == ()


def test_empty_statements_between_others_are_left_out() -> None:
    assert places(";;SELECT 1;;\n;SELECT 2;") == [(1, 3, "SELECT 1"), (2, 2, "SELECT 2")]


def test_line_ends_and_a_byte_order_mark_change_nothing() -> None:
    unix = parse_script("SELECT 1;\nSELECT 2;\n")

    for other in (
        "SELECT 1;\r\nSELECT 2;\r\n",
        "SELECT 1;\rSELECT 2;\r",
        "\ufeffSELECT 1;\nSELECT 2;\n",
    ):
        assert parse_script(other) == unix
        assert parse_script(other).sha256 == unix.sha256


def test_a_semicolon_in_a_string_or_a_body_ends_nothing() -> None:
    text = "SELECT 'a;b'; DO $x$ BEGIN PERFORM 1; END $x$; SELECT $$;$$"

    assert [one for _, _, one in places(text)] == [
        "SELECT 'a;b'",
        "DO $x$ BEGIN PERFORM 1; END $x$",
        "SELECT $$;$$",
    ]


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("SELEKT 1", 1, 1),
        ("SELECT 1;\nALTER TABEL a", 2, 7),
        ("SELECT 'äöü'; SELEKT", 1, 15),
        ("SELECT 1\r\nFRM a b c", 2, 5),
        ("SELECT (", 1, 9),
        ("\n\nCREATE TABLE (", 3, 14),
    ],
)
def test_an_error_names_its_place(text: str, line: int, column: int) -> None:
    with pytest.raises(InvalidSql) as caught:
        parse_script(text, "0007_names.sql")

    assert (caught.value.line, caught.value.column) == (line, column)
    assert str(caught.value).startswith(f"line {line}: 0007_names.sql: ")
    assert f"(column {column})" in str(caught.value)


def test_an_unended_string_is_an_error_with_a_place() -> None:
    with pytest.raises(InvalidSql, match="unterminated quoted string"):
        parse_script("SELECT 1;\nSELECT 'a")


def test_a_zero_byte_is_refused_where_it_stands() -> None:
    with pytest.raises(InvalidSql, match="zero byte") as caught:
        parse_script("SELECT 1;\nSEL\0ECT 2")

    assert (caught.value.line, caught.value.column) == (2, 4)


def test_a_cosmetic_edit_keeps_the_fingerprint_and_not_the_checksum() -> None:
    one = parse_script("ALTER TABLE a ADD COLUMN b integer DEFAULT 1;")
    two = parse_script("-- why\nalter table a\n  add column b integer default 2;")
    other = parse_script("ALTER TABLE a ADD COLUMN c integer DEFAULT 1;")

    assert one.sha256 != two.sha256
    assert one.fingerprint == two.fingerprint
    assert one.fingerprint != other.fingerprint


@given(
    st.lists(st.sampled_from(["SELECT 1", "DROP TABLE a", "SELECT 'ä;'", "VACUUM b"]), max_size=8)
)
def test_what_is_joined_by_semicolons_comes_apart_again(statements: list[str]) -> None:
    found = parse_script(" ;\n-- next\n".join(statements))

    assert [one.text for one in found.statements] == statements


def error_of(text: str) -> InvalidSql | None:
    try:
        script = parse_script(text)
    except InvalidSql as problem:
        return problem
    assert all(one.text in script.text for one in script.statements)
    return None


@given(st.text())
def test_any_text_is_a_script_or_an_error_with_a_place(text: str) -> None:
    problem = error_of(text)

    if problem is not None:
        lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
        assert problem.line is not None
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1


@pytest.mark.parametrize("text", ["1, 2", "1 FROM a; SELECT 2", "1; DROP TABLE a", ""])
def test_what_is_not_one_expression_is_refused(text: str) -> None:
    with pytest.raises(InvalidSql):
        parse_expression(text)


def test_an_expression_is_read_as_a_tree() -> None:
    assert parse_expression("lower(a) || 'x'")["a_expr"]["kind"] == "AEXPR_OP"


def test_key_words_are_postgresqls_own() -> None:
    assert [word for word in ("user", "order", "table", "name", "orders") if is_reserved(word)] == [
        "user",
        "order",
        "table",
    ]


def test_plpgsql_is_read_or_refused() -> None:
    assert "PLpgSQL_function" in str(plpgsql_of("DO $$ BEGIN PERFORM 1; END $$"))
    with pytest.raises(InvalidSql):
        plpgsql_of("DO $$ BEGIN PERFORM 1 END $$")
