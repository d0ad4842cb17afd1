"""Undoing RENAME and SET SCHEMA."""

from greenlane.migrations.inverting.before import Before
from greenlane.migrations.inverting.model import Inverse, exact, none, nothing
from greenlane.migrations.inverting.routines import written_type
from greenlane.migrations.sql.names import (
    Name,
    listed_name,
    object_name,
    quoted,
    relation_name,
)
from greenlane.migrations.sql.parsing import Node
from greenlane.migrations.validating.types import type_of

_RELATIONS = {
    "TABLE": "TABLE",
    "VIEW": "VIEW",
    "MATVIEW": "MATERIALIZED VIEW",
    "INDEX": "INDEX",
    "SEQUENCE": "SEQUENCE",
    "FOREIGN_TABLE": "FOREIGN TABLE",
}
_ROUTINES = ("FUNCTION", "PROCEDURE", "ROUTINE", "AGGREGATE")
_ON_TABLE = ("TRIGGER", "POLICY", "RULE")
_WHY = "a name has no data"


def rename(before: Before, node: Node) -> Inverse:
    """RENAME of anything: back to the old name, where it did anything."""
    kind = str(node["rename_type"]).removeprefix("OBJECT_")
    if node.get("missing_ok") and "relation" in node and _absent(before, relation_name(node)):
        return nothing("there was no such relation", from_catalog=True)
    old, new = str(node.get("subname", "")), quoted(str(node["newname"]))
    sql = _of_relation(before, node, kind, old, new) or _of_object(node, kind, old, new)
    return exact([sql], _WHY) if sql else none(f"nothing here undoes the RENAME of a {kind}")


def _absent(before: Before, name: Name) -> bool:
    return not before.has_relation(name) and before.index(name) is None


def _of_relation(before: Before, node: Node, kind: str, old: str, new: str) -> str | None:
    if "relation" not in node:
        return None
    of = before.full(relation_name(node))
    if kind in _RELATIONS:
        if kind == "INDEX" and (found := before.index(relation_name(node))):
            of = Name(found[0].schema_name, of.name)
        renamed = Name(of.schema, str(node["newname"]))
        return f"ALTER {_RELATIONS[kind]} {renamed} RENAME TO {quoted(of.name)}"
    back = quoted(old)
    if kind == "COLUMN":
        relation = str(node["relation_type"]).removeprefix("OBJECT_")
        return f"ALTER {_RELATIONS[relation]} {of} RENAME COLUMN {new} TO {back}"
    if kind == "ATTRIBUTE":
        return f"ALTER TYPE {relation_name(node)} RENAME ATTRIBUTE {new} TO {back}"
    if kind == "TABCONSTRAINT":
        return f"ALTER TABLE {of} RENAME CONSTRAINT {new} TO {back}"
    return f"ALTER {kind} {new} ON {of} RENAME TO {back}" if kind in _ON_TABLE else None


def _of_object(node: Node, kind: str, old: str, new: str) -> str | None:
    if kind == "SCHEMA":
        return f"ALTER SCHEMA {new} RENAME TO {quoted(old)}"
    if kind == "DOMCONSTRAINT":
        domain = object_name(node["object"])
        return f"ALTER DOMAIN {domain} RENAME CONSTRAINT {new} TO {quoted(old)}"
    if kind in ("TYPE", "DOMAIN"):
        name = object_name(node["object"])
        return (
            f"ALTER {kind} {name._replace(name=str(node['newname']))} RENAME TO {quoted(name.name)}"
        )
    if kind in _ROUTINES and not node["object"]["object_with_args"].get("args_unspecified"):
        name = listed_name(node["object"]["object_with_args"]["objname"])
        renamed = name._replace(name=str(node["newname"]))
        return f"ALTER {kind} {renamed}({_arguments(node)}) RENAME TO {quoted(name.name)}"
    return None


def _arguments(node: Node) -> str:
    given = node["object"]["object_with_args"].get("objargs", ())
    return ", ".join(written_type(type_of(one["type_name"])) for one in given)


def set_schema(before: Before, node: Node) -> Inverse:
    """SET SCHEMA: back to the one in which it was."""
    kind = str(node["object_type"]).removeprefix("OBJECT_")
    schema = str(node["newschema"])
    if kind in _RELATIONS and "relation" in node:
        name = relation_name(node)
        if _absent(before, name):
            if node.get("missing_ok"):
                return nothing("there was no such relation", from_catalog=True)
            if not name.schema:
                return none("the catalog of before the statement does not say where it was")
        of = before.full(name)
        target = f"{_RELATIONS[kind]} {Name(schema, of.name)}"
        back = of.schema
    elif kind in ("TYPE", "DOMAIN"):
        name = object_name(node["object"])
        back = before.new(name).schema
        target = f"{kind} {Name(schema, name.name)}"
    elif kind in _ROUTINES and not node["object"]["object_with_args"].get("args_unspecified"):
        name = listed_name(node["object"]["object_with_args"]["objname"])
        back = before.new(name).schema
        target = f"{kind} {Name(schema, name.name)}({_arguments(node)})"
    else:
        return none(f"nothing here undoes the SET SCHEMA of a {kind}")
    if back == schema:
        return nothing("it was in that schema already", from_catalog=True)
    return exact([f"ALTER {target} SET SCHEMA {quoted(str(back))}"], _WHY, from_catalog=True)
