"""SQL to statements and trees, by libpg_query through `postgast`; nothing else imports it.

`postgast` is young and has one maintainer. It is pinned, and behind these few functions, so that
another binding of the same parser can take its place. Trees are plain dicts in libpg_query's own
terms (`alter_table_stmt`, `relname`, `AT_AddColumn`), default values left out.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import postgast
from google.protobuf.json_format import MessageToDict, ParseDict

from greenlane.errors import InvalidInput

Node = Mapping[str, Any]
"""One node of a tree: its fields by libpg_query's names."""


class InvalidSql(InvalidInput):
    """PostgreSQL's grammar does not read it.

    Args:
        name: the file as its user calls it.
        line: of the error, from 1.
        column: of the error, from 1, in characters.
        near: the line of the script.
        message: what the parser says.
    """

    def __init__(self, name: str, line: int, column: int, near: str, message: str) -> None:
        """See the class."""
        self.name = name
        self.column = column
        super().__init__(name, near.strip(), f"{message} (column {column})", line=line)


@dataclass(frozen=True)
class Statement:
    """One statement of a script.

    Args:
        index: its place in the script, from 0.
        text: as it was written, without the comments before it and without the semicolon.
        line: of its first character in the script, from 1.
        column: likewise, from 1, in characters.
        kind: the name of its node, such as `alter_table_stmt`.
        node: the tree below that name.
    """

    index: int
    text: str
    line: int
    column: int
    kind: str
    node: Node = field(hash=False)

    @cached_property
    def sha256(self) -> str:
        """Of the text, for the ledger."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True)
class Script:
    r"""One SQL file.

    Args:
        name: the file as its user calls it.
        text: all of it, with `\n` for line ends and without a byte order mark.
        statements: in their order; may be empty.
    """

    name: str
    text: str
    statements: tuple[Statement, ...]

    @cached_property
    def sha256(self) -> str:
        """Of the text; the same on every machine, whatever its line ends."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def fingerprint(self) -> str:
        """The same for scripts that differ in layout, comments and constants only.

        It tells a cosmetic edit from a real one in a message; it decides nothing.
        """
        return str(postgast.fingerprint(self.text).hex)


def normalised(text: str) -> str:
    r"""Without a byte order mark, and with `\n` for line ends."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def parse_script(text: str, name: str = "script") -> Script:
    """Read a script.

    Raises:
        InvalidSql: with the place of the first error.
    """
    text = normalised(text)
    if "\0" in text:
        before = text.index("\0")
        raise _invalid(name, text, before, "a zero byte cannot be part of SQL")
    try:
        tree = postgast.parse(text)
    except postgast.PgQueryError as error:
        # PostgreSQL counts characters from 1; 0 is "nowhere", as at the end of the text.
        at = error.cursorpos - 1 if error.cursorpos else len(text)
        raise _invalid(name, text, at, str(error.message)) from error
    data = text.encode()
    found = []
    for index, raw in enumerate(tree.stmts):
        end = raw.stmt_location + raw.stmt_len if raw.stmt_len else len(data)
        start = _first_token(data[raw.stmt_location : end])
        before = len(data[: raw.stmt_location + start].decode())
        line, column = _place(text, before)
        kind = str(raw.stmt.WhichOneof("node"))
        node = MessageToDict(getattr(raw.stmt, kind), preserving_proto_field_name=True)
        written = data[raw.stmt_location + start : end].decode().rstrip().rstrip(";").rstrip()
        found.append(Statement(index, written, line, column, kind, node))
    return Script(name, text, tuple(found))


def parse_expression(text: str) -> Node:
    """The tree of one scalar expression, such as a column's default.

    Raises:
        InvalidSql: it is none.
    """
    script = parse_script(f"SELECT {text}", "expression")
    if len(script.statements) != 1 or script.statements[0].kind != "select_stmt":
        raise InvalidSql("expression", 1, 1, text, "not one expression")
    targets = script.statements[0].node.get("target_list", [])
    if len(targets) != 1:
        raise InvalidSql("expression", 1, 1, text, "not one expression")
    tree: Node = targets[0]["res_target"]["val"]
    return tree


def written_expression(tree: Node) -> str:
    """The SQL of an expression's tree: what `parse_expression` reads as the same."""
    target = {"res_target": {"val": tree}}
    select = {"target_list": [target], "limit_option": "LIMIT_OPTION_DEFAULT"}
    return sql_of("select_stmt", select).removeprefix("SELECT ")


def sql_of(kind: str, node: Node) -> str:
    """A tree as SQL again, on one line and without a semicolon; the reverse of `parse_script`.

    Args:
        kind: such as `alter_table_stmt`.
        node: the tree below that name; places in it do not matter.
    """
    tree = postgast.pg_query_pb2.ParseResult()
    ParseDict({kind: dict(node)}, tree.stmts.add().stmt)
    return str(postgast.deparse(tree))


def without_constants(text: str) -> str:
    """A query with `$1` and so on for its values; empty if it cannot be read."""
    try:
        return " ".join(str(postgast.normalize(text)).split())
    except postgast.PgQueryError:
        return ""


@lru_cache(maxsize=4096)
def is_reserved(word: str) -> bool:
    """Whether a plain lower-case word cannot stand everywhere as a name without quotes."""
    kinds = postgast.pg_query_pb2
    return postgast.scan(word).tokens[0].keyword_kind not in (
        kinds.NO_KEYWORD,
        kinds.UNRESERVED_KEYWORD,
    )


def plpgsql_of(text: str) -> list[Any]:
    """The tree of a PL/pgSQL function or DO block, as libpg_query gives it.

    Raises:
        InvalidSql: it is none.
    """
    try:
        return list(postgast.parse_plpgsql(text))
    except postgast.PgQueryError as error:
        at = error.cursorpos - 1 if error.cursorpos else 0
        raise _invalid("plpgsql", text, at, str(error.message)) from error


def _first_token(data: bytes) -> int:
    """Where the statement begins: past white space, comments and empty statements."""
    comments = {postgast.pg_query_pb2.SQL_COMMENT, postgast.pg_query_pb2.C_COMMENT}
    semicolon = postgast.pg_query_pb2.ASCII_59
    for token in postgast.scan(data.decode()).tokens:
        if token.token not in comments and token.token != semicolon:
            return int(token.start)
    return 0


def _invalid(name: str, text: str, at: int, message: str) -> InvalidSql:
    line, column = _place(text, at)
    lines = text.split("\n")
    return InvalidSql(name, line, column, lines[line - 1] if lines else "", message)


def _place(text: str, at: int) -> tuple[int, int]:
    before = text[:at]
    return before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1
