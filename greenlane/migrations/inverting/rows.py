"""Undoing what is written in rows: only where it is in what the same plan made."""

from collections.abc import Iterator

from greenlane.migrations.inverting.before import Before, column_name
from greenlane.migrations.inverting.making import table_as
from greenlane.migrations.inverting.model import Inverse, combined, covered, none, nothing
from greenlane.migrations.sql.names import Name, relation_name
from greenlane.migrations.sql.parsing import Node
from greenlane.migrations.validating.expressions import nodes, volatility

_WRITES = ("insert_stmt", "update_stmt", "delete_stmt", "merge_stmt")
_PURE = {"count", "sum", "min", "max", "avg", "bool_and", "bool_or", "every", "array_agg"}
_COVERED = "it wrote only what the plan itself made"


def write(before: Before, kind: str, node: Node) -> Inverse:
    """INSERT, UPDATE, DELETE and MERGE, with those within it, and COPY."""
    return combined(_one(before, what, one) for what, one in _writes(kind, node))


def _writes(kind: str, node: Node) -> Iterator[tuple[str, Node]]:
    yield kind, node
    for inner in _WRITES:
        for one in nodes(node, inner):
            yield inner, one


def _one(before: Before, kind: str, node: Node) -> Inverse:
    name = before.full(relation_name(node))
    if str(name) in before.made:
        return covered([str(name)], _COVERED)
    if kind == "update_stmt":
        columns = [str(one["res_target"]["name"]) for one in node["target_list"]]
        if all(before.has_made(name, one) for one in columns):
            return covered((column_name(name, one) for one in columns), _COVERED)
        lost = tuple(column_name(name, one) for one in columns if not before.has_made(name, one))
        return none("what stood in the rows is not kept", lost)
    if kind in ("insert_stmt", "copy_stmt"):
        return none("its rows cannot be told from those of others")
    return none("the rows are gone", (str(name),))


def copy(before: Before, node: Node) -> Inverse:
    """COPY: into a table, or out of one."""
    if not node.get("is_from"):
        return nothing("it reads only")
    return write(before, "copy_stmt", node)


def truncate(before: Before, node: Node) -> Inverse:
    """TRUNCATE."""
    names = [before.full(relation_name(one["range_var"])) for one in node["relations"]]
    if node.get("behavior") == "DROP_CASCADE":
        return none("CASCADE emptied other tables too", tuple(map(str, names)))
    if all(str(one) in before.made for one in names):
        return covered(map(str, names), _COVERED)
    return none(
        "the rows are gone", tuple(str(one) for one in names if str(one) not in before.made)
    )


def select(before: Before, node: Node) -> Inverse:
    """SELECT: as a rule it reads only."""
    if "into_clause" in node:
        return table_as(before, {"into": node["into_clause"]})
    inner = [(kind, one) for kind in _WRITES for one in nodes(node, kind)]
    if inner:
        return combined(_one(before, kind, one) for kind, one in inner)
    calls = [one for one in nodes(node, "func_call") if _name(one).name not in _PURE]
    known = [volatility({"func_call": one}, before.catalog.functions) for one in calls]
    if all(one in ("immutable", "stable") for one in known):
        return nothing("it reads only")
    return none("a function that it calls may write")


def _name(call: Node) -> Name:
    parts = [str(one["string"]["sval"]) for one in call["funcname"]]
    return Name(parts[-2] if len(parts) > 1 else None, parts[-1])
