"""Partitioned tables: index by index, key by key, and proofs before a table is attached."""

from typing import Any

from greenlane.migrations.sql.names import Name, quoted, relation_name
from greenlane.migrations.sql.parsing import Node, sql_of, written_expression
from greenlane.migrations.validating.judging.constraints import name_of
from greenlane.migrations.validating.judging.partitions import default_of, plain_key
from greenlane.migrations.validating.rewriting.model import Draft, Kept, altered, without


def index(draft: Draft, node: Node) -> None:
    """One index of the parent without rows, one of each partition CONCURRENTLY, then attached."""
    name = relation_name(node)
    if not draft.world.known(draft.world.key(name)) or node.get("concurrent"):
        raise Kept
    parent = str(node.get("idxname") or _chosen(node, name.name))
    only = without(node["relation"], "inh")
    draft.add(
        sql_of(
            "index_stmt", {**without(node, "if_not_exists"), "relation": only, "idxname": parent}
        ),
        comment="Of the parent alone, and INVALID until each partition has its own.",
    )
    for partition in _leaves(draft, name):
        own = _chosen(node, partition.name)
        if draft.world.index_of(Name(None, own)) is not None:
            own = f"{partition.name}_{parent}"[:63]
        made = {
            **without(node, "if_not_exists"),
            "idxname": own,
            "relation": _relation(partition),
            "concurrent": True,
        }
        draft.add(sql_of("index_stmt", made))
        full = Name(partition.schema, own)
        draft.add(f"ALTER INDEX {Name(name.schema, parent)} ATTACH PARTITION {full}")


def _chosen(node: Node, table: str) -> str:
    columns = [str(one["index_elem"].get("name", "expr")) for one in node["index_params"]]
    return "_".join((table, *columns, "idx"))[:63]


def _leaves(draft: Draft, name: Name) -> list[Name]:
    """The partitions of a table; those that are partitioned themselves are not gone into."""
    world = draft.world
    found = []
    for key in world.table(world.key(name)).partitions:
        table = world.table(key)
        if table.kind == "partitioned":
            raise Kept
        found.append(Name(table.schema_name or None, table.name))
    return found


def _relation(name: Name) -> dict[str, Any]:
    made: dict[str, Any] = {"relname": name.name, "inh": True, "relpersistence": "p"}
    return {**made, "schemaname": name.schema} if name.schema else made


def foreign_key(draft: Draft, relation: Node, node: Node) -> None:
    """Before PostgreSQL 18 a partitioned table cannot have it NOT VALID, but partitions can."""
    name = relation_name(relation)
    constraint = name_of(node, name.name)
    made = {**node, "conname": constraint}
    later = {**made, "skip_validation": True, "initially_valid": False}
    for partition in _leaves(draft, name):
        own = _relation(partition)
        draft.add(altered(own, {"subtype": "AT_AddConstraint", "def": {"constraint": later}}))
        draft.add(altered(own, {"subtype": "AT_ValidateConstraint", "name": constraint}))
    draft.add(
        altered(relation, {"subtype": "AT_AddConstraint", "def": {"constraint": made}}),
        comment="Without a scan: each partition has it already.",
    )


def attach(draft: Draft, relation: Node, command: Node) -> None:
    """A validated CHECK of the bounds first, so that nothing is read under the lock."""
    part = command["def"]["partition_cmd"]
    child = relation_name(part["name"])
    parent = draft.world.table(draft.world.key(relation_name(relation)))
    partitioning = plain_key(parent.partition_key)
    proof = _proof(partitioning, part["bound"]) if partitioning is not None else ""
    if not proof:
        raise Kept
    done = _shut_default(draft, relation, part["bound"])
    check = quoted(f"{child.name}_bounds"[:63])
    draft.add(
        f"ALTER TABLE {child} ADD CONSTRAINT {check} CHECK ({proof}) NOT VALID",
        comment="It proves the bounds, so that ATTACH reads no row.",
    )
    draft.add(f"ALTER TABLE {child} VALIDATE CONSTRAINT {check}")
    draft.add(altered(relation, command))
    draft.add(f"ALTER TABLE {child} DROP CONSTRAINT {check}")
    if done:
        draft.add(done)


def create(draft: Draft, node: Node) -> None:
    """CREATE TABLE ... PARTITION OF beside a default partition."""
    parents = node.get("inh_relations", ())
    if "partbound" not in node or len(parents) != 1:
        raise Kept
    done = _shut_default(draft, parents[0]["range_var"], node["partbound"])
    if not done:
        raise Kept
    draft.add(draft.statement.text)
    draft.add(done)


def _shut_default(draft: Draft, relation: Node, bound: Node) -> str:
    """Let the default partition prove that it has none of the rows; returns how that ends."""
    world = draft.world
    parent = world.key(relation_name(relation))
    default = default_of(world, parent)
    partitioning = plain_key(world.table(parent).partition_key)
    if default is None:
        return ""
    exclusion = _exclusion(partitioning, bound) if partitioning is not None else ""
    if not exclusion:
        raise Kept
    table = world.table(default)
    name = Name(table.schema_name or None, table.name)
    check = quoted(f"{table.name}_excludes"[:63])
    draft.add(
        f"ALTER TABLE {name} ADD CONSTRAINT {check} CHECK ({exclusion}) NOT VALID",
        comment="It proves that the default partition has none of the new one's rows.",
    )
    draft.add(f"ALTER TABLE {name} VALIDATE CONSTRAINT {check}")
    return f"ALTER TABLE {name} DROP CONSTRAINT {check}"


def _exclusion(partitioning: tuple[str, str], bound: Node) -> str:
    """That a row is outside the bounds, as SQL; empty if it cannot be written."""
    strategy, name = partitioning
    column = quoted(name)
    if strategy == "LIST":
        values = [written_expression(one) for one in bound.get("listdatums", ())]
        if not values or "NULL" in (one.upper() for one in values):
            return ""
        return f"{column} IS NULL OR {column} NOT IN ({', '.join(values)})"
    parts = [f"{column} IS NULL"]
    for end, sign in (("lowerdatums", "<"), ("upperdatums", ">=")):
        for one in bound.get(end, ()):
            if "a_const" not in one:
                return ""
            parts.append(f"{column} {sign} {written_expression(one)}")
    return " OR ".join(parts)


def _proof(partitioning: tuple[str, str], bound: Node) -> str:
    """What the bounds say of the key's column, as SQL; empty if it cannot be written."""
    strategy, name = partitioning
    column = quoted(name)
    parts = [f"{column} IS NOT NULL"]
    if bound.get("is_default"):
        return ""
    if strategy == "LIST":
        values = [written_expression(one) for one in bound.get("listdatums", ())]
        if "NULL" in (one.upper() for one in values):
            return ""
        return f"{parts[0]} AND {column} IN ({', '.join(values)})"
    for end, sign in (("lowerdatums", ">="), ("upperdatums", "<")):
        for one in bound.get(end, ()):
            if "a_const" not in one:
                return ""  # MINVALUE and MAXVALUE, or an expression
            parts.append(f"{column} {sign} {written_expression(one)}")
    return " AND ".join(parts)
