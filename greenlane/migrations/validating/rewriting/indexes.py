"""Indexes that are built, dropped and built anew without stopping writers."""

from typing import Any

from greenlane.migrations.catalog.model import Index
from greenlane.migrations.sql.names import Name, object_name, relation_name
from greenlane.migrations.sql.parsing import Node, sql_of
from greenlane.migrations.validating.judging.constraints import name_of, named
from greenlane.migrations.validating.rewriting import partitions
from greenlane.migrations.validating.rewriting.model import Draft, Kept, altered, without


def index(draft: Draft, node: Node) -> None:
    """CREATE INDEX becomes CONCURRENTLY, and never IF NOT EXISTS."""
    key = draft.world.key(relation_name(node))
    if draft.world.table(key).kind == "partitioned":
        partitions.index(draft, node)
        return
    if node.get("if_not_exists"):
        draft.note(
            "IF NOT EXISTS is left out: beside CONCURRENTLY it takes an INVALID index for a good "
            "one, and the ledger knows what ran"
        )
    made = {**without(node, "if_not_exists"), "concurrent": True}
    draft.add(sql_of("index_stmt", made))


def drop(draft: Draft, node: Node) -> None:
    """DROP INDEX becomes CONCURRENTLY, each in a statement of its own."""
    if node.get("remove_type") != "OBJECT_INDEX" or node.get("behavior") == "DROP_CASCADE":
        raise Kept
    for item in node["objects"]:
        found = draft.world.index_of(object_name(item))
        if found is not None and draft.world.table(found[0]).kind == "partitioned":
            raise Kept
        draft.add(sql_of("drop_stmt", {**node, "objects": [item], "concurrent": True}))


def reindex(draft: Draft, node: Node) -> None:
    """REINDEX becomes CONCURRENTLY."""
    if node.get("kind") in ("REINDEX_OBJECT_SYSTEM",):
        raise Kept
    on = {"def_elem": {"defname": "concurrently", "defaction": "DEFELEM_UNSPEC"}}
    draft.add(sql_of("reindex_stmt", {**node, "params": [*node.get("params", ()), on]}))


def refresh(draft: Draft, node: Node) -> None:
    """REFRESH becomes CONCURRENTLY where the view has a unique index on plain columns."""
    key = draft.world.key(relation_name(node))
    indexes = draft.world.table(key).indexes
    if node.get("skip_data") or not any(_identifies(one) for one in indexes):
        raise Kept
    draft.add(sql_of("refresh_mat_view_stmt", {**node, "concurrent": True}))


def _identifies(one: Index) -> bool:
    plain = not one.has_expressions and one.predicate is None
    return one.unique and one.valid and plain and bool(one.columns)


def unique(draft: Draft, relation: Node, node: Node) -> None:
    """ADD UNIQUE and PRIMARY KEY: the index first, CONCURRENTLY, then the constraint over it."""
    name = relation_name(relation)
    key = draft.world.key(name)
    if draft.world.table(key).kind == "partitioned":
        raise Kept
    constraint = name_of(node, name.name)
    columns = [_element(one) for one in named(node, "keys")]
    made: dict[str, Any] = {
        "idxname": constraint,
        "relation": relation,
        "access_method": "btree",
        "index_params": columns,
        "unique": True,
        "concurrent": True,
        "nulls_not_distinct": bool(node.get("nulls_not_distinct")),
    }
    if node.get("including"):
        made["index_including_params"] = [_element(one) for one in named(node, "including")]
    if node.get("options"):
        made["options"] = node["options"]
    if node.get("indexspace"):
        made["table_space"] = node["indexspace"]
    draft.add(sql_of("index_stmt", made))
    moved = ("keys", "including", "options", "indexspace", "nulls_not_distinct")
    used = {**without(node, *moved), "conname": constraint}
    used["indexname"] = constraint
    draft.add(altered(relation, {"subtype": "AT_AddConstraint", "def": {"constraint": used}}))


def _element(column: str) -> dict[str, Any]:
    return {
        "index_elem": {
            "name": column,
            "ordering": "SORTBY_DEFAULT",
            "nulls_ordering": "SORTBY_NULLS_DEFAULT",
        }
    }


def sequence_name(table: Name, column: str) -> Name:
    """As `serial` names its sequence."""
    return Name(table.schema, f"{table.name}_{column}_seq")
