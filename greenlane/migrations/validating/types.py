"""Types by name, and what changing a column from one to another costs.

PostgreSQL leaves the rows alone when the new type stores the same bytes and no length has to be
checked: a cast that is binary coercible (`pg_cast.castmethod = 'b'`), or a length function that
simplifies itself away because the new limit is not narrower (`varchar_support`, `numeric_support`,
`TemporalSimplify`; ATColumnChangeRequiresRewrite in tablecmds.c).
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from greenlane.migrations.catalog.model import UserType
from greenlane.migrations.sql.names import listed_name
from greenlane.migrations.sql.parsing import Node
from greenlane.migrations.validating.vocabulary import ALIASES, BUILTIN_TYPES, words

SERIALS = {
    "smallserial": "smallint",
    "serial2": "smallint",
    "serial": "integer",
    "serial4": "integer",
    "bigserial": "bigint",
    "serial8": "bigint",
}

_TEMPORAL = {
    "timestamp without time zone",
    "timestamp with time zone",
    "time without time zone",
    "time with time zone",
}
_MAX_PRECISION = 6
"""Fractional digits of a second; without a precision PostgreSQL keeps as many."""

_OIDS = words("""
    oid regclass regcollation regconfig regdictionary regnamespace regoper regoperator regproc
    regprocedure regrole regtype
""")

_SAME_BYTES = {
    ("text", "character varying"),
    ("character varying", "text"),
    ("text", "character"),
    ("character varying", "character"),
    ("xml", "text"),
    ("xml", "character varying"),
    ("xml", "character"),
    ("cidr", "inet"),
    ("bit", "bit varying"),
    ("bit varying", "bit"),
    ("citext", "text"),
    ("citext", "character varying"),
    ("citext", "character"),
    ("text", "citext"),
    ("character varying", "citext"),
}
"""`pg_cast` of PostgreSQL 15 to 18 with castmethod `b`, among types of columns, and citext's."""

_OPERATOR_CLASS = {"character varying": "text", "cidr": "inet", "bit varying": "bit varying"}
"""Types whose default operator class is another type's."""


class TypeName(NamedTuple):
    """Args: schema if it was written; base as `format_type` prints it; limits; whether an array."""

    schema: str | None
    base: str
    modifiers: tuple[int, ...] = ()
    array: bool = False

    def __str__(self) -> str:
        base, rest = self.base, ""
        for tail in (" without time zone", " with time zone"):
            if self.modifiers and base.endswith(tail):
                base, rest = base.removesuffix(tail), tail
        inner = f"({','.join(map(str, self.modifiers))})" if self.modifiers else ""
        schema = f"{self.schema}." if self.schema else ""
        return f"{schema}{base}{inner}{rest}{'[]' if self.array else ''}"


def type_of(node: Node) -> TypeName:
    """Of a `type_name` node."""
    name = listed_name(node["names"])
    schema = None if name.schema == "pg_catalog" else name.schema
    base = name.name if schema else _printed_base(name.name)
    modifiers = tuple(
        int(one["a_const"]["ival"].get("ival", 0))
        for one in node.get("typmods", ())
        if "ival" in one.get("a_const", {})
    )
    if base == "interval" and modifiers:
        # The first is a mask of fields: all of them, or down to the seconds, or fewer.
        base = base if modifiers[0] & _SECOND else _FEW_FIELDS
        modifiers = modifiers[1:]
    return TypeName(schema, base, modifiers, bool(node.get("array_bounds")))


_FEW_FIELDS = "interval of few fields"
"""Such as `interval year`; what a change from or to it costs is not worth telling apart."""

_SECOND = 1 << 12
"""INTERVAL_MASK(SECOND) of timestamp.h and datetime.h."""


def _printed_base(name: str) -> str:
    """As `format_type` prints a type of PostgreSQL's own; `"char"` is another one than `char`."""
    return '"char"' if name == "char" else ALIASES.get(name, name)


_PRINTED = re.compile(
    r"(?P<head>[^(\[]+?)\s*(?:\((?P<inner>[\d, -]+)\))?(?P<tail> with.*?)?(?P<a>\[\])?\Z"
)


def printed_type(text: str) -> TypeName:
    """Of what `format_type` prints, such as `character varying(40)` or `public.mood[]`."""
    found = _PRINTED.match(text)
    if found is None:
        return TypeName(None, text)
    head = found["head"] + (found["tail"] or "")
    inner = tuple(int(one) for one in found["inner"].split(",")) if found["inner"] else ()
    schema, dot, base = head.rpartition(".")
    if base.startswith("interval "):
        base = "interval" if base.endswith("second") else _FEW_FIELDS
    plain = base if base == '"char"' else ALIASES.get(base, base.strip('"'))
    return TypeName(schema.strip('"') if dot else None, plain, inner, found["a"] is not None)


def keeps_rows(
    old: TypeName, new: TypeName, *, utc: bool, types: Mapping[str, UserType]
) -> bool | None:
    """Whether the rows stay as they are; None if a type is unknown.

    Args:
        old: of the column.
        new: as the statement gives it.
        utc: whether the session's time zone is UTC, as far as timestamps go.
        types: users' types by `schema.name`.
    """
    if old.array != new.array or _FEW_FIELDS in (old.base, new.base):
        return False
    if old.base == new.base and old.schema in (new.schema, None, "public"):
        # Elements of an array are cast one by one as soon as any of them could be too long.
        same = old.modifiers == new.modifiers or not new.modifiers
        return same if old.array else _modifiers_keep(old, new)
    if old.array:
        return False
    target = _user_type(new, types)
    if target is not None and target.kind == "domain":
        if target.constrained:
            return False
        return keeps_rows(old, printed_type(target.base or "text"), utc=utc, types=types)
    source = _user_type(old, types)
    if source is not None and source.kind == "domain" and source.base:
        base = printed_type(source.base)
        return not new.modifiers and keeps_rows(base, new, utc=utc, types=types)
    if _known(old) and _known(new):
        return _builtin_keeps(old, new, utc)
    return None if target is None and not _known(new) else False


def _modifiers_keep(old: TypeName, new: TypeName) -> bool:
    """Of the same type with other modifiers; `modifiers` are as written."""
    if old.modifiers == new.modifiers or not new.modifiers:
        # `character` without a length is one character; only its long name `bpchar` is open.
        return True
    if old.base in ("character varying", "bit varying"):
        return bool(old.modifiers) and new.modifiers[0] >= old.modifiers[0]
    if old.base == "numeric":
        scales = {(*one.modifiers, 0, 0)[1] for one in (old, new)}
        wide = old.modifiers and new.modifiers[0] >= old.modifiers[0]
        return bool(wide) and len(scales) == 1
    if old.base in _TEMPORAL or old.base == "interval":
        was = old.modifiers[0] if old.modifiers else _MAX_PRECISION
        return new.modifiers[0] >= min(was, _MAX_PRECISION)
    return False


def _builtin_keeps(old: TypeName, new: TypeName, utc: bool) -> bool:
    pair = (old.base, new.base)
    if new.modifiers and not (new.base in _TEMPORAL and new.modifiers[0] >= _MAX_PRECISION):
        # What limits the old type is forgotten in the cast: any limit is checked again.
        return False
    if {old.base, new.base} == {"timestamp without time zone", "timestamp with time zone"}:
        return utc
    if old.base in _OIDS | {"integer"} and new.base in _OIDS | {"integer"}:
        return "oid" in pair or "integer" in pair
    return pair in _SAME_BYTES


def keeps_index(old: TypeName, new: TypeName) -> bool:
    """Whether an index on the column stays, given that the rows do: its operator class must."""
    return _class_of(old) == _class_of(new)


def _class_of(one: TypeName) -> str:
    return _OPERATOR_CLASS.get(one.base, one.base)


def _known(one: TypeName) -> bool:
    return one.schema is None and one.base in BUILTIN_TYPES


def _user_type(one: TypeName, types: Mapping[str, UserType]) -> UserType | None:
    if one.schema:
        return types.get(f"{one.schema}.{one.base}")
    if one.base in BUILTIN_TYPES:
        return None
    return next((found for found in types.values() if found.name == one.base), None)


def user_type(node_or_name: TypeName, types: Mapping[str, UserType]) -> UserType | None:
    """The user's type of that name, or None for a built-in or unknown one."""
    return _user_type(node_or_name, types)


def is_builtin(one: TypeName) -> bool:
    """Whether PostgreSQL itself, or one of its own extensions, brings the type."""
    return _known(one)


def serial_of(node: Node) -> str | None:
    """The integer type behind `serial` and its like, or None."""
    name = listed_name(node["names"])
    return SERIALS.get(name.name) if name.schema in (None, "pg_catalog") else None


def column_type(column: Node) -> Any:
    """The `type_name` of a `column_def`, or None where it has none (a typed table's)."""
    return column.get("type_name")
