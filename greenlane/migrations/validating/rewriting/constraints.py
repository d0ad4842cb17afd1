"""Constraints that are added without a scan, and validated without a lock that others wait for."""

from greenlane.migrations.sql.names import Name, quoted, relation_name
from greenlane.migrations.sql.parsing import Node
from greenlane.migrations.validating.judging.constraints import kind_of, name_of
from greenlane.migrations.validating.model import Phase
from greenlane.migrations.validating.rewriting import indexes, partitions
from greenlane.migrations.validating.rewriting.model import Draft, Kept, altered


def add(draft: Draft, relation: Node, command: Node, phase: Phase = "expand") -> None:
    """ADD CONSTRAINT, by kind."""
    node = command["def"]["constraint"]
    kind = kind_of(node)
    if node.get("skip_validation"):
        draft.add(altered(relation, command), phase=phase)
    elif "indexname" in node:
        _using_index(draft, relation, node)
    elif kind in ("UNIQUE", "PRIMARY"):
        if kind == "PRIMARY":
            for one in node.get("keys", ()):
                not_null(draft, relation, str(one["string"]["sval"]), phase)
        indexes.unique(draft, relation, node)
    elif kind in ("CHECK", "FOREIGN"):
        validated_later(draft, relation, node, phase)
    elif kind == "NOTNULL":
        for one in node.get("keys", ()):
            not_null(draft, relation, str(one["string"]["sval"]), phase)
        draft.add(altered(relation, command), phase=phase)
    else:
        raise Kept


def validated_later(draft: Draft, relation: Node, node: Node, phase: Phase = "expand") -> None:
    """A CHECK or foreign key NOT VALID, and VALIDATE CONSTRAINT."""
    name = relation_name(relation)
    table = draft.world.table(draft.world.key(name))
    catalog = draft.world.catalog
    old_server = catalog is None or catalog.version < 180_000
    if kind_of(node) == "FOREIGN" and table.kind == "partitioned" and old_server:
        partitions.foreign_key(draft, relation, node)
        return
    constraint = name_of(node, name.name)
    made = {**node, "conname": constraint, "skip_validation": True, "initially_valid": False}
    command = {"subtype": "AT_AddConstraint", "def": {"constraint": made}}
    draft.add(
        altered(relation, command),
        phase=phase,
        comment="New rows must meet it from here on; old ones are looked at by VALIDATE.",
    )
    draft.add(altered(relation, {"subtype": "AT_ValidateConstraint", "name": constraint}))


def _using_index(draft: Draft, relation: Node, node: Node) -> None:
    name = relation_name(relation)
    table = draft.world.table(draft.world.key(name))
    found = next((one for one in table.indexes if one.name == node["indexname"]), None)
    if kind_of(node) == "PRIMARY":
        if found is None:
            raise Kept
        for column in found.columns:
            not_null(draft, relation, column)
    draft.add(altered(relation, {"subtype": "AT_AddConstraint", "def": {"constraint": node}}))


def not_null(draft: Draft, relation: Node, column: str, phase: Phase = "expand") -> None:
    """SET NOT NULL by way of a validated CHECK; nothing if the column is NOT NULL already."""
    name = relation_name(relation)
    key = draft.world.key(name)
    known = draft.world.column(key, column)
    if known is not None and known.not_null:
        return
    only = "" if relation.get("inh") else "ONLY "
    table = f"{only}{_written(relation)}"
    if draft.world.proves(key, column):
        draft.add(f"ALTER TABLE {table} ALTER COLUMN {quoted(column)} SET NOT NULL", phase=phase)
        return
    check = quoted(f"{name.name}_{column}_present"[:63])
    proof = f"CHECK ({quoted(column)} IS NOT NULL)"
    draft.add(
        f"ALTER TABLE {table} ADD CONSTRAINT {check} {proof} NOT VALID",
        phase=phase,
        comment="New rows must meet it from here on; old ones are looked at by VALIDATE.",
    )
    draft.add(f"ALTER TABLE {table} VALIDATE CONSTRAINT {check}")
    draft.add(
        f"ALTER TABLE {table} ALTER COLUMN {quoted(column)} SET NOT NULL",
        comment="Without a scan: the CHECK proves it.",
    )
    draft.add(f"ALTER TABLE {table} DROP CONSTRAINT {check}")


def _written(relation: Node) -> str:
    return str(Name(relation.get("schemaname") or None, str(relation["relname"])))
