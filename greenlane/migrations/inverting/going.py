"""Undoing DROP: what the catalog knows comes back, and rows do not."""

from collections.abc import Callable, Mapping

from greenlane.migrations.inverting import routines
from greenlane.migrations.inverting.before import Before
from greenlane.migrations.inverting.grants import only_by
from greenlane.migrations.inverting.model import (
    Inverse,
    combined,
    exact,
    none,
    nothing,
    until_written,
)
from greenlane.migrations.inverting.restoring import (
    enum_again,
    index_again,
    trigger_again,
    view_again,
)
from greenlane.migrations.sql.names import Name, listed_name, object_name
from greenlane.migrations.sql.parsing import Node

_UNKNOWN = "the catalog of before the statement does not have it"


def drop(before: Before, node: Node) -> Inverse:
    """DROP of anything."""
    kind = str(node["remove_type"]).removeprefix("OBJECT_")
    if node.get("behavior") == "DROP_CASCADE" and kind not in ("TABLE", "FOREIGN_TABLE"):
        return none("CASCADE may have taken with it what is written nowhere")
    handler = _KINDS.get(kind)
    if handler is None:
        word = kind.replace("_", " ").lower()
        return none(f"the catalog does not have what it takes to make a {word} again")
    missing_ok = bool(node.get("missing_ok"))
    return combined(handler(before, one, missing_ok) for one in node["objects"])


def _table(before: Before, item: Node, missing_ok: bool) -> Inverse:
    name = object_name(item)
    if missing_ok and before.table(name) is None:
        return nothing("there was no such table", from_catalog=True)
    return none("its rows are gone", (str(before.full(name)),))


def _index(before: Before, item: Node, missing_ok: bool) -> Inverse:
    found = before.index(object_name(item))
    if found is None:
        return (
            nothing("there was no such index", from_catalog=True) if missing_ok else none(_UNKNOWN)
        )
    table, index = found
    if table.kind == "partitioned":
        return none("the indexes of the partitions would come back under other names")
    if not index.valid:
        return nothing("it was not valid, so no query used it", from_catalog=True)
    back = index_again(table, index)
    if not index.unique:
        return exact(back, "an index is built from its table", from_catalog=True)
    why = "duplicates that were written since keep it from being unique again"
    return until_written(back, why, proof=(), from_catalog=True)


def _view(before: Before, item: Node, missing_ok: bool) -> Inverse:
    name = object_name(item)
    found = before.view(name)
    if found is None:
        return (
            nothing("there was no such view", from_catalog=True) if missing_ok else none(_UNKNOWN)
        )
    if not only_by(found.grants, found.owner):
        return none("somebody other than the owner had granted rights on it")
    why = "its query, rights and comment are known"
    return exact(view_again(found, before.table(name)), why, from_catalog=True)


def _trigger(before: Before, item: Node, missing_ok: bool) -> Inverse:
    parts = item["list"]["items"]
    of = before.full(listed_name(parts[:-1]))
    name = str(parts[-1]["string"]["sval"])
    relation = before.table(of) or before.view(of)
    triggers = relation.triggers if relation else ()
    found = next((one for one in triggers if one.name == name), None)
    if found is None:
        absent = missing_ok and relation is not None
        return nothing("there was no such trigger", from_catalog=True) if absent else none(_UNKNOWN)
    return exact(trigger_again(of, found), "its definition is known", from_catalog=True)


def _type(before: Before, item: Node, missing_ok: bool) -> Inverse:
    name = object_name(item)
    found = next(
        (
            one
            for schema in ((name.schema,) if name.schema else before.catalog.search_path)
            if (one := before.catalog.types.get(str(f"{schema}.{name.name}")))
        ),
        None,
    )
    if found is None:
        return (
            nothing("there was no such type", from_catalog=True) if missing_ok else none(_UNKNOWN)
        )
    if found.kind != "enum" or not only_by(found.grants, found.owner):
        return none(
            f"the catalog does not have what it takes to make {Name(None, name.name)} again"
        )
    return exact(enum_again(found), "its labels are known", from_catalog=True)


_KINDS: Mapping[str, Callable[[Before, Node, bool], Inverse]] = {
    "TABLE": _table,
    "FOREIGN_TABLE": _table,
    "INDEX": _index,
    "VIEW": _view,
    "MATVIEW": _view,
    "TRIGGER": _trigger,
    "TYPE": _type,
    "FUNCTION": routines.drop,
    "PROCEDURE": routines.drop,
    "ROUTINE": routines.drop,
}
