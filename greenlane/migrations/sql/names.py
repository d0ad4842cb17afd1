"""Names of tables, columns and types: from trees, and quoted as SQL needs them."""

import re
from typing import Any, NamedTuple

from greenlane.migrations.sql.parsing import Node, is_reserved

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*\Z")


class Name(NamedTuple):
    """A name with its schema, or without where the search path decides.

    Both are as the catalog has them: folded to lower case unless they were quoted.
    """

    schema: str | None
    name: str

    def __str__(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.name)}" if self.schema else quoted(self.name)

    def within(self, schema: str) -> "Name":
        """With that schema where it has none."""
        return self if self.schema else Name(schema, self.name)


def quoted(name: str) -> str:
    """The name as an identifier in SQL: in quotes unless it is plain and no key word."""
    if _PLAIN.match(name) and not is_reserved(name):
        return name
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """The text as a string constant in SQL."""
    body = text.replace("'", "''")
    return f"E'{body.replace(chr(92), chr(92) * 2)}'" if "\\" in body else f"'{body}'"


def relation_name(node: Node) -> Name:
    """Of a `range_var`, or of what holds one under `relation`."""
    found = node.get("relation", node)
    return Name(found.get("schemaname") or None, str(found["relname"]))


def listed_name(items: list[Any]) -> Name:
    """Of a list of `string` nodes, such as a function's or a type's name."""
    if "string" not in items[-1]:
        return object_name(items[0])  # of a cast or transform, which have no name but types
    parts = [str(item["string"].get("sval", "")) for item in items if "string" in item]
    return Name(parts[-2] if len(parts) > 1 else None, parts[-1])


def object_name(item: Any) -> Name:
    """Of one object of a DROP, COMMENT or RENAME: a list, a string, a type name or a number."""
    if "list" in item:
        return listed_name(item["list"]["items"])
    if "type_name" in item:
        return listed_name(item["type_name"]["names"])
    if "object_with_args" in item:
        return listed_name(item["object_with_args"]["objname"])
    if "string" in item:
        return Name(None, str(item["string"]["sval"]))
    return Name(None, str(next(iter(item.get("integer", item.get("float", {})).values()), 0)))
