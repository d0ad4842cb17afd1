"""Syntax that the server of the catalog does not have."""

from collections.abc import Callable
from typing import NamedTuple

from greenlane.migrations.sql.names import relation_name
from greenlane.migrations.sql.parsing import Node
from greenlane.migrations.validating.expressions import nodes
from greenlane.migrations.validating.verdict import Verdict


class Since(NamedTuple):
    """Args: version as `server_version_num`; what it brought; whether a statement uses it."""

    version: int
    what: str
    uses: Callable[[Verdict, Node], bool]


def check(verdict: Verdict, node: Node) -> None:
    """Say what of a statement the server does not know; nothing without a catalog."""
    catalog = verdict.world.catalog
    if catalog is None:
        return
    for one in _FEATURES:
        if catalog.version < one.version and one.uses(verdict, node):
            release = one.version // 10_000
            what = f"{one.what}, which PostgreSQL has since {release}"
            verdict.find("needs-newer-server", what=what)


def _subcommand(kind: str) -> Callable[[Verdict, Node], bool]:
    return lambda _, node: any(one["alter_table_cmd"]["subtype"] == kind for one in _commands(node))


def _commands(node: Node) -> list[Node]:
    found = node.get("cmds", [])
    return found if isinstance(found, list) else []


def _constraints(node: Node) -> list[Node]:
    return list(nodes(node, "constraint"))


def _foreign_key_of_partitions(verdict: Verdict, node: Node) -> bool:
    if not _commands(node) or "relation" not in node:
        return False
    table = verdict.world.tables.get(verdict.key(relation_name(node)))
    return (
        table is not None
        and table.kind == "partitioned"
        and any(
            one["contype"] == "CONSTR_FOREIGN" and one.get("skip_validation")
            for one in _constraints(_commands_only(node))
        )
    )


def _commands_only(node: Node) -> Node:
    return {"cmds": _commands(node)}


_FEATURES = (
    Since(
        140_000,
        "DETACH PARTITION CONCURRENTLY",
        lambda _, node: any(one.get("concurrent") for one in nodes(node, "partition_cmd")),
    ),
    Since(150_000, "MERGE", lambda verdict, _: verdict.statement.kind == "merge_stmt"),
    Since(150_000, "SET ACCESS METHOD", _subcommand("AT_SetAccessMethod")),
    Since(
        150_000,
        "NULLS NOT DISTINCT",
        lambda _, node: (
            bool(node.get("nulls_not_distinct"))
            or any(one.get("nulls_not_distinct") for one in _constraints(node))
        ),
    ),
    Since(170_000, "SET EXPRESSION", _subcommand("AT_SetExpression")),
    Since(
        180_000,
        "a virtual generated column",
        lambda _, node: any(one.get("generated_kind") == "v" for one in _constraints(node)),
    ),
    Since(
        180_000,
        "a named NOT NULL constraint",
        lambda _, node: any(
            one["alter_table_cmd"].get("def", {}).get("constraint", {}).get("contype")
            == "CONSTR_NOTNULL"
            for one in _commands(node)
        ),
    ),
    Since(180_000, "a foreign key NOT VALID of a partitioned table", _foreign_key_of_partitions),
)
