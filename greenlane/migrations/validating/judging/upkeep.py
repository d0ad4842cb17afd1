"""VACUUM, ANALYZE, CLUSTER, REINDEX, REFRESH and LOCK TABLE."""

from typing import Any

from greenlane.migrations.sql.names import relation_name
from greenlane.migrations.sql.parsing import Node
from greenlane.migrations.validating.judging.rows import read_below
from greenlane.migrations.validating.model import LockMode
from greenlane.migrations.validating.verdict import Verdict

_MODES = tuple(LockMode)


def option(node: Node, name: str, place: str = "options") -> bool:
    """Whether an option of a statement is on: given alone, or as true, on or 1."""
    for one in node.get(place, ()):
        element = one["def_elem"]
        if element["defname"] == name:
            return _is_on(element.get("arg"))
    return False


def _is_on(argument: Any) -> bool:
    if argument is None:
        return True
    if "boolean" in argument:
        return bool(argument["boolean"].get("boolval"))
    if "integer" in argument:
        return bool(argument["integer"].get("ival"))
    return str(argument.get("string", {}).get("sval", "")).lower() in ("true", "on", "1")


def vacuum(verdict: Verdict, node: Node) -> None:
    """VACUUM and ANALYZE, of one table, several, or all."""
    is_vacuum = bool(node.get("is_vacuumcmd"))
    full = is_vacuum and option(node, "full")
    tables = [verdict.key(relation_name(one["vacuum_relation"])) for one in node.get("rels", ())]
    if is_vacuum:
        verdict.alone()
    mode = LockMode.ACCESS_EXCLUSIVE if full else LockMode.SHARE_UPDATE_EXCLUSIVE
    for key in tables:
        verdict.lock(key, mode, family=True)
        if full:
            verdict.rewrite(key, family=True)
            verdict.find("vacuum-full", key, cost=verdict.writing(key))
    if not tables:
        verdict.certain = False
        if full:
            verdict.find("vacuum-full", what="VACUUM FULL of every table")


def cluster(verdict: Verdict, node: Node) -> None:
    """CLUSTER of one table, or of all that were clustered before."""
    if "relation" not in node:
        verdict.alone()
        verdict.certain = False
        verdict.find("cluster", what="CLUSTER of every table that was clustered before")
        return
    key = verdict.key(relation_name(node))
    verdict.lock(key, LockMode.ACCESS_EXCLUSIVE)
    verdict.rewrite(key)
    verdict.find("cluster", key, cost=verdict.writing(key))


def reindex(verdict: Verdict, node: Node) -> None:
    """REINDEX of an index, a table, a schema or the database."""
    concurrent = option(node, "concurrently", "params")
    kind = str(node.get("kind", "REINDEX_OBJECT_INDEX")).removeprefix("REINDEX_OBJECT_")
    if concurrent or kind in ("SCHEMA", "DATABASE", "SYSTEM"):
        verdict.alone()
    if kind in ("SCHEMA", "DATABASE", "SYSTEM"):
        verdict.certain = False
        if not concurrent:
            verdict.find("reindex-not-concurrent", what=f"REINDEX {kind}")
        return
    name = relation_name(node)
    if kind == "INDEX":
        found = verdict.world.index_of(name)
        key = found[0] if found else None
    else:
        key = verdict.key(name)
    if key is None:
        verdict.certain = False
        if not concurrent:
            verdict.find("reindex-not-concurrent")
        return
    mode = LockMode.SHARE_UPDATE_EXCLUSIVE if concurrent else LockMode.SHARE
    verdict.lock(key, mode, family=kind == "TABLE")
    if not concurrent:
        verdict.scan(key, family=kind == "TABLE")
        verdict.find("reindex-not-concurrent", key, cost=verdict.reading(key))


def refresh(verdict: Verdict, node: Node) -> None:
    """REFRESH MATERIALIZED VIEW: its readers wait unless it is CONCURRENTLY."""
    key = verdict.key(relation_name(node))
    concurrent = bool(node.get("concurrent"))
    verdict.lock(key, LockMode.EXCLUSIVE if concurrent else LockMode.ACCESS_EXCLUSIVE)
    if not node.get("skip_data"):
        read_below(verdict, key)
    if not concurrent:
        verdict.rewrite(key)
        verdict.find("refresh-not-concurrent", key, cost="the time of its query")


def lock(verdict: Verdict, node: Node) -> None:
    """LOCK TABLE: the runner takes locks by itself."""
    mode = _MODES[int(node["mode"]) - 1]
    for one in node["relations"]:
        key = verdict.key(relation_name(one["range_var"]))
        verdict.lock(key, mode, family=True)
        if mode.blocks_writes:
            verdict.find("lock-table", key)
