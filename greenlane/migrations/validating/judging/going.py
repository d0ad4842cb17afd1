"""DROP of anything."""

from collections.abc import Callable
from typing import Any

from greenlane.migrations.sql.names import Name, object_name
from greenlane.migrations.sql.parsing import Node
from greenlane.migrations.validating.judging.rows import relations_of
from greenlane.migrations.validating.model import LockMode
from greenlane.migrations.validating.types import printed_type
from greenlane.migrations.validating.verdict import Verdict


def drop(verdict: Verdict, node: Node) -> None:
    """DROP, of one object or several."""
    kind = str(node.get("remove_type", "OBJECT_ACCESS_METHOD")).removeprefix("OBJECT_")
    cascade = node.get("behavior") == "DROP_CASCADE"
    if node.get("missing_ok"):
        verdict.find("exists-check", what=f"DROP {kind.replace('_', ' ')} IF EXISTS")
    for item in node["objects"]:
        if kind in ("TRIGGER", "POLICY", "RULE"):
            _from_table(verdict, kind, item)
            continue
        name = object_name(item)
        handler = _KINDS.get(kind, _other)
        if kind == "INDEX":
            _index(verdict, name, concurrent=bool(node.get("concurrent")), node=node)
        elif handler is _other:
            _other(verdict, kind, name, cascade)
        else:
            handler(verdict, kind, name, cascade)
        if cascade:
            in_use = verdict.key(name) if kind in _KINDS else None
            verdict.guess(in_use)
            verdict.find("drop-cascade", in_use, what=f"DROP {kind} {name} CASCADE")


def _table(verdict: Verdict, kind: str, name: Name, cascade: bool) -> None:
    """A table goes with its partitions; foreign keys lock the tables they point to."""
    world = verdict.world
    key = verdict.key(name)
    world.table(key)
    if world.in_use(key):
        verdict.needs("contract")
    verdict.guess(key)
    for one in world.family(key):
        verdict.lock(one, LockMode.ACCESS_EXCLUSIVE)
        table = world.table(one)
        if table.parent:
            verdict.lock(table.parent, LockMode.ACCESS_EXCLUSIVE)
        for reference in table.constraints:
            if reference.kind == "foreign" and reference.references:
                verdict.lock(reference.references, LockMode.ACCESS_EXCLUSIVE)
        if cascade:
            for other in table.referenced_by:
                verdict.lock(other, LockMode.ACCESS_EXCLUSIVE, family=True)
            _dependent_views(verdict, one)
    others = sorted(one for one in verdict.locks if one not in world.family(key))
    also = f", which also locks {', '.join(others)}" if others else ""
    verdict.find("drop-table", key, what=f"DROP {kind} {name}{also}")
    for one in world.family(key):
        world.forget(one)


def _dependent_views(verdict: Verdict, key: str) -> None:
    """Views over it, and views over those."""
    for name in views_over(verdict, key):
        verdict.lock(name, LockMode.ACCESS_EXCLUSIVE)


def views_over(verdict: Verdict, key: str) -> list[str]:
    """Every view that reads a table or view, by way of other views too."""
    reads = {
        name: {str(verdict.key(one)) for one in relations_of(view.definition)}
        for name, view in verdict.world.views.items()
    }
    found, waiting = [], [key]
    while waiting:
        one = waiting.pop(0)
        over = [name for name, below in reads.items() if one in below and name not in found]
        found += over
        waiting += over
    return found


def _view(verdict: Verdict, kind: str, name: Name, cascade: bool) -> None:
    key = verdict.key(name)
    verdict.lock(key, LockMode.ACCESS_EXCLUSIVE)
    if cascade:
        _dependent_views(verdict, key)
    if verdict.world.in_use(key):
        verdict.needs("contract")
    verdict.find("drop-object", key, what=f"DROP {kind} {name}")
    verdict.world.forget(key)


def _index(verdict: Verdict, name: Name, *, concurrent: bool, node: Node) -> None:
    """Its table waits, unless it is dropped CONCURRENTLY."""
    world = verdict.world
    found = world.index_of(name)
    key, index = found if found is not None else (None, None)
    if concurrent:
        verdict.alone()
    if key is None:
        verdict.certain = False
    else:
        mode = LockMode.SHARE_UPDATE_EXCLUSIVE if concurrent else LockMode.ACCESS_EXCLUSIVE
        verdict.lock(key, mode, family=not concurrent)
    if not concurrent:
        verdict.find("drop-index-not-concurrent", key)
    if index is not None and index.unique and key is not None:
        if world.in_use(key):
            verdict.needs("contract")
        verdict.find("drop-constraint", key, what=f"DROP INDEX of the unique index {name}")
    elif index is None or index.valid:
        verdict.find("index-may-be-used", key)
    if key is not None:
        world.drop_index(key, name.name)


def _from_table(verdict: Verdict, kind: str, item: Any) -> None:
    """A trigger, policy or rule: its table is locked."""
    parts = [str(one["string"]["sval"]) for one in item["list"]["items"]]
    key = verdict.key(Name(parts[-3] if len(parts) > 2 else None, parts[-2]))
    verdict.world.table(key)
    verdict.lock(key, LockMode.ACCESS_EXCLUSIVE)
    if verdict.world.in_use(key):
        verdict.needs("contract")
    rules = {"TRIGGER": "trigger-disabled", "POLICY": "row-security", "RULE": "drop-object"}
    verdict.find(rules[kind], key, what=f"DROP {kind} {parts[-1]}")


def _other(verdict: Verdict, kind: str, name: Name, cascade: bool) -> None:
    words = kind.replace("_", " ")
    if kind in ("PUBLICATION", "SUBSCRIPTION", "FDW", "FOREIGN_SERVER", "EVENT_TRIGGER"):
        verdict.find("server-wide", what=f"DROP {words} {name}")
        return
    if kind in ("STATISTIC_EXT", "AGGREGATE", "OPERATOR", "OPCLASS", "OPFAMILY", "CAST"):
        verdict.guess()
    if kind in ("TYPE", "DOMAIN") and cascade:
        for key, table in verdict.world.tables.items():
            if any(printed_type(column.type).base == name.name for column in table.columns):
                verdict.lock(key, LockMode.ACCESS_EXCLUSIVE)
    verdict.needs("contract")
    verdict.find("drop-object", what=f"DROP {words} {name}")


_KINDS: dict[str, Callable[[Verdict, str, Name, bool], None]] = {
    "TABLE": _table,
    "FOREIGN_TABLE": _table,
    "MATVIEW": _table,
    "VIEW": _view,
}
