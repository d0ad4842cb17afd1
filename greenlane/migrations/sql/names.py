"""Names of tables, columns and types: from trees, and quoted as SQL needs them."""

import re
from typing import Any, NamedTuple

from greenlane.migrations.sql.parsing import Node

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
    """The name as an identifier in SQL; always in quotes unless it is plain and no key word.

    Key words are quoted by being looked up in PostgreSQL's own list.
    """
    if _PLAIN.match(name) and name not in _KEYWORDS:
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
    parts = [str(item["string"].get("sval", "")) for item in items]
    return Name(parts[-2] if len(parts) > 1 else None, parts[-1])


def object_name(item: Any) -> Name:
    """Of one object of a DROP, COMMENT or RENAME: a list, a string or a type name."""
    if "list" in item:
        return listed_name(item["list"]["items"])
    if "type_name" in item:
        return listed_name(item["type_name"]["names"])
    if "object_with_args" in item:
        return listed_name(item["object_with_args"]["objname"])
    return Name(None, str(item["string"]["sval"]))


_KEYWORDS = frozenset(
    "all analyse analyze and any array as asc asymmetric authorization between bigint binary bit "
    "boolean both case cast char character check coalesce collate collation column concurrently "
    "constraint create cross current_catalog current_date current_role current_schema "
    "current_time current_timestamp current_user dec decimal default deferrable desc distinct do "
    "else end except exists extract false fetch float for foreign freeze from full grant greatest "
    "group grouping having ilike in initially inner inout int integer intersect interval into is "
    "isnull join json json_array json_arrayagg json_exists json_object json_objectagg json_query "
    "json_scalar json_serialize json_table json_value lateral leading least left like limit "
    "localtime localtimestamp merge_action national natural nchar none normalize not notnull null "
    "nullif numeric offset on only or order out outer overlaps overlay placing position precision "
    "primary real references returning right row select session_user setof similar smallint some "
    "substring symmetric system_user table tablesample then time timestamp to trailing treat trim "
    "true union unique user using values varchar variadic verbose when where window with xmlattributes "
    "xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize "
    "xmltable".split()
)
