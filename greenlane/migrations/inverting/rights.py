"""Undoing GRANT, REVOKE and COMMENT."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from greenlane.migrations.catalog.model import Column
from greenlane.migrations.inverting import routines
from greenlane.migrations.inverting.before import (
    Before,
    column_name,
    constraint_of,
    name_of,
)
from greenlane.migrations.inverting.grants import (
    PRIVILEGES,
    Grant,
    only_by,
    read_grants,
    role_name,
)
from greenlane.migrations.inverting.model import Inverse, combined, exact, none, nothing
from greenlane.migrations.inverting.restoring import routine, set_comment
from greenlane.migrations.sql.names import Name, listed_name, object_name, quoted, relation_name
from greenlane.migrations.sql.parsing import Node

_ALL = {
    "TABLE": "arwdDxtm",
    "COLUMN": "arwx",
    "ROUTINE": "X",
}
_UNKNOWN = "the catalog of before the statement does not have it"
MAINTAIN_SINCE = 170000
"""The version that brought the privilege MAINTAIN."""


class _Target(NamedTuple):
    """An object with an access list. Args: kind as GRANT names it; columns of a table."""

    kind: str
    target: str
    owner: str
    items: tuple[str, ...]
    columns: tuple[Column, ...] = ()


def grant(before: Before, node: Node) -> Inverse:
    """GRANT and REVOKE on tables, views and functions, one after another."""
    if node.get("targtype") != "ACL_TARGET_OBJECT" or node.get("behavior") == "DROP_CASCADE":
        return none("the catalog does not tell all that it changed")
    kind = str(node["objtype"]).removeprefix("OBJECT_")
    roles: list[str | None] = []
    for one in node["grantees"]:
        role = one["role_spec"]
        if role["roletype"] not in ("ROLESPEC_CSTRING", "ROLESPEC_PUBLIC"):
            return none("who CURRENT_USER was is not written down")
        roles.append(role.get("rolename"))
    parts = []
    for item in node["objects"]:
        target = _target(before, kind, item)
        if target is None:
            return none(f"the catalog does not have the rights on this {kind.lower()}")
        if not only_by(target.items, target.owner):
            return none("somebody other than the owner had granted rights on it")
        parts += [_changed(before, node, target, role) for role in roles]
    return combined(parts)


def _target(before: Before, kind: str, item: Node) -> _Target | None:
    if kind == "TABLE" and "range_var" in item:
        name = relation_name(item["range_var"])
        if (table := before.table(name)) is not None:
            return _Target("TABLE", str(name_of(table)), table.owner, table.grants, table.columns)
        if (view := before.view(name)) is not None:
            return _Target("TABLE", str(name_of(view)), view.owner, view.grants)
    if kind in ("FUNCTION", "PROCEDURE", "ROUTINE"):
        found = routines.named(before, item["object_with_args"])
        if found is not None:
            items = found.grants or (f"=X/{quoted(found.owner)}",)
            return _Target("ROUTINE", routine(found), found.owner, items)
    return None


def _changed(before: Before, node: Node, target: _Target, role: str | None) -> Inverse:
    """Of one object and one role: what it did not have goes, what it had comes back."""
    sql: list[str] = []
    whole = {
        str(one["access_priv"]["priv_name"]).upper()
        for one in node.get("privileges", ())
        if not one["access_priv"].get("cols")
    }
    if not node.get("privileges"):
        whole = _all(before, target.kind)
    had = _of(target.items, role)
    sql += _undone(node, target, role, whole, had, "")
    for column in target.columns:
        named = {
            str(one["access_priv"].get("priv_name", "ALL")).upper()
            for one in node.get("privileges", ())
            if column.name in [str(c["string"]["sval"]) for c in one["access_priv"].get("cols", ())]
        }
        if "ALL" in named:
            named = _all(before, "COLUMN")
        if not node.get("is_grant"):
            named |= whole  # REVOKE on a table takes the same right on its columns away too.
        sql += _undone(node, target, role, named, _of(column.grants, role), column.name)
    if not sql:
        return nothing("all of it was so already", from_catalog=True)
    return exact(sql, "the rights that there were are known", from_catalog=True)


def _all(before: Before, kind: str) -> set[str]:
    letters = _ALL[kind]
    if before.catalog.version < MAINTAIN_SINCE:
        letters = letters.replace("m", "")
    return {PRIVILEGES[one] for one in letters}


def _of(items: Iterable[str], role: str | None) -> Grant:
    found = [one for one in read_grants(items) if one.who == role]
    return found[0] if found else Grant(role, frozenset(), frozenset(), "")


def _undone(
    node: Node, target: _Target, role: str | None, named: set[str], had: Grant, column: str
) -> list[str]:
    place = f" ({quoted(column)})" if column else ""
    on = f"ON {target.kind} {target.target}"

    def listed(some: Iterable[str]) -> str:
        return ", ".join(f"{one}{place}" for one in sorted(some))

    if role == target.owner:
        return []
    made = []
    if node.get("is_grant"):
        if new := named - had.privileges:
            made.append(f"REVOKE {listed(new)} {on} FROM {role_name(role)}")
        more = (named & had.privileges) - had.passed_on
        if more and node.get("grant_option"):
            made.append(f"REVOKE GRANT OPTION FOR {listed(more)} {on} FROM {role_name(role)}")
        return made
    for some, tail in (
        ((named & had.privileges) - had.passed_on, ""),
        (named & had.passed_on, " WITH GRANT OPTION"),
    ):
        if some:
            made.append(f"GRANT {listed(some)} {on} TO {role_name(role)}{tail}")
    return made


def comment(before: Before, node: Node) -> Inverse:
    """COMMENT ON: the one that was there, or none."""
    kind = str(node["objtype"]).removeprefix("OBJECT_")
    finder = _COMMENTED.get(kind)
    found = finder(before, node["object"]) if finder else None
    if found is None:
        return none(_UNKNOWN)
    words = {"TABCONSTRAINT": "CONSTRAINT", "MATVIEW": "MATERIALIZED VIEW"}
    sql = set_comment(words.get(kind, kind), *found)
    return exact([sql], "the comment that it had", from_catalog=True)


_Found = tuple[str, str | None] | None


def _relation(before: Before, item: Node) -> _Found:
    found = before.table(object_name(item)) or before.view(object_name(item))
    return (str(name_of(found)), found.comment) if found else None


def _column(before: Before, item: Node) -> _Found:
    parts = item["list"]["items"]
    table = before.table(listed_name(parts[:-1]))
    column = table.column(str(parts[-1]["string"]["sval"])) if table else None
    return (column_name(name_of(table), column.name), column.comment) if table and column else None


def _index(before: Before, item: Node) -> _Found:
    found = before.index(object_name(item))
    return (str(Name(found[0].schema_name, found[1].name)), found[1].comment) if found else None


def _constraint(before: Before, item: Node) -> _Found:
    parts = item["list"]["items"]
    table = before.table(listed_name(parts[:-1]))
    name = str(parts[-1]["string"]["sval"])
    found = constraint_of(table, name) if table else None
    return (f"{quoted(name)} ON {name_of(table)}", found.comment) if table and found else None


def _trigger(before: Before, item: Node) -> _Found:
    parts = item["list"]["items"]
    table = before.table(listed_name(parts[:-1]))
    name = str(parts[-1]["string"]["sval"])
    found = next((one for one in (table.triggers if table else ()) if one.name == name), None)
    return (f"{quoted(name)} ON {name_of(table)}", found.comment) if table and found else None


def _type(before: Before, item: Node) -> _Found:
    name = object_name(item)
    for schema in (name.schema,) if name.schema else before.catalog.search_path:
        if found := before.catalog.types.get(f"{schema}.{name.name}"):
            return str(Name(found.schema_name, found.name)), found.comment
    return None


_COMMENTED: dict[str, Callable[[Before, Node], _Found]] = {
    "TABLE": _relation,
    "VIEW": _relation,
    "MATVIEW": _relation,
    "COLUMN": _column,
    "INDEX": _index,
    "TABCONSTRAINT": _constraint,
    "TRIGGER": _trigger,
    "TYPE": _type,
    "FUNCTION": routines.set_comment,
    "PROCEDURE": routines.set_comment,
    "ROUTINE": routines.set_comment,
}
