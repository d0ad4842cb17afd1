"""Comments and rights in a schema: kept by themselves, and with the columns that they are about."""

from typing import Any

from greenlane.migrations.inverting.grants import PRIVILEGES
from greenlane.migrations.planning.described import Schema
from greenlane.migrations.planning.objects import key_of, other_key
from greenlane.migrations.sql.names import listed_name, quoted, relation_name
from greenlane.migrations.sql.parsing import Statement


def comment(schema: Schema, statement: Statement) -> None:
    """Kept by itself, and with the part of a table that it is about."""
    node = statement.node
    kind = str(node["objtype"]).removeprefix("OBJECT_")
    field = {"COLUMN": "columns", "INDEX": "indexes", "TABCONSTRAINT": "constraints"}.get(kind)
    key = str(other_key(statement))
    schema.keep(key, statement)
    if field is None:
        return
    place, name = _owner(schema, field, node["object"]["list"]["items"])
    if place is not None:
        schema.commented[key] = place
        schema.update(place, field, name, {"comment": node.get("comment")})


def _owner(schema: Schema, field: str, items: list[Any]) -> tuple[str | None, str]:
    """The table of a part that a comment names, and the part."""
    if field == "indexes":
        name = listed_name(items).name
        keys = (
            key
            for key, one in schema.tables.items()
            if name in [index.name for index in one.indexes]
        )
        return next(keys, None), name
    return key_of(listed_name(items[:-1])), str(items[-1]["string"]["sval"])


def grant(schema: Schema, statement: Statement) -> None:
    """Kept by itself; rights on columns with these too, for a column that takes another's place."""
    schema.keep(str(other_key(statement)), statement)
    node = statement.node
    letters = {word: letter for letter, word in PRIVILEGES.items()}
    for item in node.get("objects", ()):
        for privilege in node.get("privileges", ()):
            right = letters.get(str(privilege["access_priv"].get("priv_name", "")).upper())
            if "range_var" not in item or right is None or not node.get("is_grant"):
                continue
            key = key_of(relation_name(item["range_var"]))
            for one in privilege["access_priv"].get("cols", ()):
                name = str(one["string"]["sval"])
                column = schema.tables[key].column(name) if key in schema.tables else None
                roles = [str(who["role_spec"].get("rolename", "")) for who in node["grantees"]]
                items = tuple(f"{quoted(role) if role else ''}={right}/" for role in roles)
                if column is not None:
                    schema.update(key, "columns", name, {"grants": (*column.grants, *items)})
