"""Names that PostgreSQL chooses where a statement gives none.

As `makeObjectName`, `ChooseRelationName`, `ChooseIndexName` and `ChooseConstraintName` do
(src/backend/commands/indexcmds.c, src/backend/catalog/pg_constraint.c, 15 to 18), and
`FigureColname` (src/backend/parser/parse_target.c) for the parts of an expression's index.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from greenlane.migrations.sql.names import listed_name

MAX_BYTES = 63
"""NAMEDATALEN, less the zero at the end."""


def chosen_name(first: str, second: str, label: str, taken: Collection[str]) -> str:
    """The first free one of `first_second_label`, `first_second_label1` and so on.

    Args:
        first: the table.
        second: its columns, joined; may be empty.
        label: such as `idx` or `check`.
        taken: names in use.
    """
    number = 0
    while True:
        name = _object_name(first, second, f"{label}{number or ''}")
        if name not in taken:
            return name
        number += 1


def joined(columns: Sequence[str]) -> str:
    """The middle of a name: columns joined, no longer than a name may be."""
    text = b""
    for column in columns:
        text += (b"_" if text else b"") + column.encode()
        if len(text) > MAX_BYTES:
            break
    return text.decode(errors="ignore")


def index_columns(elements: Sequence[Mapping[str, Any]]) -> list[str] | None:
    """What an index calls its columns; None where the rules here do not know.

    Args:
        elements: `index_elem` nodes, those of INCLUDE too.
    """
    names: list[str] = []
    for element in elements:
        name = element.get("name") or _expression_name(element.get("expr", {}))
        if name is None:
            return None
        tried, number = name, 0
        while tried in names:
            number += 1
            tail = str(number)
            tried = _clipped(name.encode(), MAX_BYTES - len(tail)) + tail
        names.append(tried)
    return names


def _object_name(first: str, second: str, label: str) -> str:
    one, two = first.encode(), second.encode()
    room = MAX_BYTES - len(label) - 1 - (1 if second else 0)
    lengths = [len(one), len(two)]
    while sum(lengths) > room:
        lengths[0 if lengths[0] > lengths[1] else 1] -= 1
    parts = [_clipped(one, lengths[0])]
    if second:
        parts.append(_clipped(two, lengths[1]))
    return "_".join([*parts, label])


def _clipped(data: bytes, size: int) -> str:
    return data[:size].decode(errors="ignore")


def _expression_name(tree: Mapping[str, Any]) -> str | None:
    """As PostgreSQL names the column of an expression; `expr` where nothing suggests a name."""
    ((kind, node),) = tree.items()
    match kind:
        case "column_ref":
            return str(node["fields"][-1].get("string", {}).get("sval", "")) or None
        case "func_call":
            return listed_name(node["funcname"]).name
        case "type_cast":
            inner = _expression_name(node["arg"])
            return listed_name(node["type_name"]["names"]).name if inner == "expr" else inner
        case "collate_clause":
            return _expression_name(node["arg"])
        case "coalesce_expr":
            return "coalesce"
        case "min_max_expr":
            return "greatest" if node.get("op") == "IS_GREATEST" else "least"
        case "a_expr":
            return "nullif" if node.get("kind") == "AEXPR_NULLIF" else "expr"
        case "bool_expr" | "null_test" | "boolean_test" | "a_const":
            return "expr"
        case _:
            return None
