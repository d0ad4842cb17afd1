"""How volatile an expression is, which columns it names, and what it proves."""

from collections.abc import Iterator, Mapping
from typing import Any

from greenlane.migrations.catalog.model import Function, Volatility
from greenlane.migrations.sql.names import Name, listed_name
from greenlane.migrations.sql.parsing import InvalidSql, Node, parse_expression
from greenlane.migrations.validating.vocabulary import NOT_VOLATILE, VOLATILE

_ORDER: tuple[Volatility, ...] = ("immutable", "stable", "volatile")


def nodes(tree: Any, kind: str) -> Iterator[Node]:
    """All nodes of that kind anywhere below the tree, outer ones first."""
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            if isinstance(found := one.get(kind), Mapping):
                yield found
            waiting.extend(reversed(list(one.values())))
        elif isinstance(one, list):
            waiting.extend(reversed(one))


def volatility(tree: Any, functions: Mapping[str, tuple[Function, ...]]) -> Volatility | None:
    """The most volatile part of an expression; None if a function in it is unknown.

    A volatile part decides, whatever else is unknown. Operators are taken for stable at most:
    only a user's own could be more.

    Args:
        tree: an expression.
        functions: users' functions by `schema.name`.
    """
    found: list[Volatility | None] = [
        "immutable",
        *(_function(listed_name(call["funcname"]), functions) for call in nodes(tree, "func_call")),
    ]
    if next(nodes(tree, "sqlvalue_function"), None) is not None:
        found.append("stable")
    if "volatile" in found:
        return "volatile"
    known = [one for one in found if one is not None]
    return None if len(known) < len(found) else max(known, key=_ORDER.index)


def _function(name: Name, functions: Mapping[str, tuple[Function, ...]]) -> Volatility | None:
    if name.schema in (None, "pg_catalog") and (built_in := _built_in(name.name)):
        return built_in
    overloads = [
        one.volatility
        for key, several in functions.items()
        for one in several
        if key.rpartition(".")[2] == name.name and name.schema in (None, one.schema_name)
    ]
    # An extension's functions may be in any schema, and no catalog need have them.
    return max(overloads, key=_ORDER.index) if overloads else _built_in(name.name)


def _built_in(name: str) -> Volatility | None:
    if name in VOLATILE:
        return "volatile"
    return "stable" if name in NOT_VOLATILE else None


def columns_in(tree: Any) -> set[str]:
    """Names of columns that an expression mentions, without their tables."""
    found = set()
    for reference in nodes(tree, "column_ref"):
        last = reference["fields"][-1]
        if "string" in last:
            found.add(str(last["string"]["sval"]))
    return found


def is_null_constant(tree: Node) -> bool:
    """Whether it is `NULL`, cast or not."""
    while "type_cast" in tree:
        tree = tree["type_cast"]["arg"]
    return bool(tree.get("a_const", {}).get("isnull"))


def is_constant(tree: Any) -> bool:
    """Whether it names no column, calls nothing and asks no table."""
    return not any(
        next(nodes(tree, kind), None)
        for kind in ("column_ref", "func_call", "sub_link", "sqlvalue_function")
    )


def proves_not_null(tree: Any, column: str) -> bool:
    """Whether a CHECK says `column IS NOT NULL`, alone or joined to more by AND.

    PostgreSQL skips the scan of SET NOT NULL where a valid CHECK implies it
    (NotNullImpliedByRelConstraints, tablecmds.c).
    """
    if not isinstance(tree, Mapping):
        return False
    joined = tree.get("bool_expr", {})
    if joined.get("boolop") == "AND_EXPR":
        return any(proves_not_null(one, column) for one in joined["args"])
    test = tree.get("null_test", {})
    if test.get("nulltesttype") != "IS_NOT_NULL":
        return False
    fields = test.get("arg", {}).get("column_ref", {}).get("fields", [])
    return bool(fields) and fields[-1].get("string", {}).get("sval") == column


def check_expression(definition: str) -> Any:
    """The tree of `CHECK (...)` as `pg_get_constraintdef` prints it; None if it is no such."""
    body = definition.strip()
    if not body.upper().startswith("CHECK"):
        return None
    body = body[len("CHECK") :].strip()
    for tail in (" NOT VALID", " NO INHERIT", " NOT ENFORCED"):
        body = body.removesuffix(tail)
    try:
        return parse_expression(body)
    except InvalidSql:
        return None
