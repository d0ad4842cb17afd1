"""SELECT, INSERT, UPDATE, DELETE, MERGE and TRUNCATE: statements about rows."""

from functools import lru_cache
from typing import Any

from greenlane.migrations.sql.names import Name, relation_name
from greenlane.migrations.sql.parsing import InvalidSql, Node, parse_script
from greenlane.migrations.validating.expressions import is_constant, nodes
from greenlane.migrations.validating.model import LockMode
from greenlane.migrations.validating.verdict import Verdict, is_small

_WRITES = ("insert_stmt", "update_stmt", "delete_stmt", "merge_stmt")


def select(verdict: Verdict, node: Node) -> None:
    """SELECT, with what its WITH writes and what its FOR locks; also VALUES and TABLE."""
    into = node.get("into_clause")
    reads(verdict, node)
    _written_below(verdict, node)
    if into is not None:
        verdict.find("insert-many-rows", what="SELECT INTO", severity="info")


def insert(verdict: Verdict, node: Node) -> None:
    """INSERT; of rows that a query finds, one transaction however many they are."""
    key = _target(verdict, node)
    source = node.get("select_stmt", {}).get("select_stmt", {})
    if "from_clause" in source and any(True for _ in nodes(source["from_clause"], "range_var")):
        verdict.find("insert-many-rows", key)
    reads(verdict, node)
    _written_below(verdict, node)


def update(verdict: Verdict, node: Node) -> None:
    """UPDATE: of rows that a key bounds, or a backfill."""
    key = _target(verdict, node)
    reads(verdict, node)
    _written_below(verdict, node)
    if not verdict.world.in_use(key) or _bounded(verdict, key, node.get("where_clause")):
        return
    verdict.scan(key, family=True)
    verdict.needs("migrate")
    if why := _not_sliceable(verdict, key, node):
        what = f"an UPDATE of {key} that no key bounds and that cannot be sliced: {why}"
        verdict.find("update-not-sliceable", key, what=what, cost=verdict.writing(key))
        return
    verdict.runs_as = "backfill"
    verdict.find("update-all-rows", key, cost=verdict.writing(key))


def delete(verdict: Verdict, node: Node) -> None:
    """DELETE: of rows that a key bounds, or of many."""
    key = _target(verdict, node)
    reads(verdict, node)
    _written_below(verdict, node)
    if not verdict.world.in_use(key):
        return
    if "where_clause" not in node:
        verdict.scan(key, family=True)
        verdict.needs("contract")
        verdict.find("delete-all-rows", key, cost=verdict.reading(key))
    elif not _bounded(verdict, key, node["where_clause"]):
        verdict.scan(key, family=True)
        verdict.needs("migrate")
        verdict.find("delete-many-rows", key, cost=verdict.reading(key))


def merge(verdict: Verdict, node: Node) -> None:
    """MERGE: a join of the whole table with its source."""
    key = _target(verdict, node)
    reads(verdict, node)
    _written_below(verdict, node)
    kinds = {one["merge_when_clause"].get("command_type") for one in node["merge_when_clauses"]}
    if verdict.world.in_use(key) and kinds & {"CMD_UPDATE", "CMD_DELETE"}:
        if not is_small(verdict.world.tables.get(key)):
            verdict.guess(key)
        verdict.scan(key, family=True)
        verdict.needs("migrate")
        verdict.find("merge-many-rows", key, cost=verdict.reading(key))


def truncate(verdict: Verdict, node: Node) -> None:
    """TRUNCATE, with every table that CASCADE takes along."""
    cascade = node.get("behavior") == "DROP_CASCADE"
    for one in node["relations"]:
        key = verdict.key(relation_name(one["range_var"]))
        verdict.world.table(key)
        for table in _cascaded(verdict, key) if cascade else [key]:
            verdict.lock(table, LockMode.ACCESS_EXCLUSIVE, family=True)
            if verdict.world.in_use(table):
                verdict.needs("contract")
            verdict.find("truncate", table, cost="every row")
        if cascade:
            verdict.guess(key)
            if verdict.world.in_use(key):
                verdict.find("drop-cascade", key, what="TRUNCATE with CASCADE")


def _cascaded(verdict: Verdict, key: str) -> list[str]:
    found, waiting = [], [key]
    while waiting:
        one = waiting.pop(0)
        if one not in found:
            found.append(one)
            waiting.extend(verdict.world.table(one).referenced_by)
    return found


def copy(verdict: Verdict, node: Node) -> None:
    """COPY: from a client there is no client; from a file or a program, the server's."""
    if "relation" in node:
        key = verdict.key(relation_name(node))
        mode = LockMode.ROW_EXCLUSIVE if node.get("is_from") else LockMode.ACCESS_SHARE
        verdict.lock(key, mode, family=True)
    verdict.find("server-wide", what="COPY, which needs a client or the server's files")


def call(verdict: Verdict, node: Node) -> None:
    """CALL of a procedure: what it does is in its code."""
    verdict.certain = False
    verdict.find("opaque-code", what="CALL of a procedure, which may do anything")


def reads(verdict: Verdict, tree: Any) -> None:
    """ACCESS SHARE on every table and view that a tree reads, ROW SHARE on those it locks."""
    ctes = {str(one["ctename"]) for one in nodes(tree, "common_table_expr")}
    locked = _locked_names(tree)
    for one in nodes(tree, "range_var"):
        name = relation_name(one)
        if name.schema is None and name.name in ctes:
            continue
        if name.schema in ("pg_catalog", "information_schema") or _is_system(verdict, name):
            continue
        mode = LockMode.ACCESS_SHARE
        if locked is not None and (not locked or name.name in locked or _alias(one) in locked):
            mode = LockMode.ROW_SHARE
        read_table(verdict, name, mode)


def _is_system(verdict: Verdict, name: Name) -> bool:
    """PostgreSQL keeps names that begin with `pg_` for itself, but lets others use them."""
    return name.name.startswith("pg_") and not verdict.world.has(verdict.key(name))


def read_table(verdict: Verdict, name: Name, mode: LockMode = LockMode.ACCESS_SHARE) -> None:
    """A lock of a reader; through a view, on what it reads too."""
    key = verdict.key(name)
    verdict.lock(key, mode, family=True)
    read_below(verdict, key)


@lru_cache(maxsize=1024)
def relations_of(definition: str) -> frozenset[Name]:
    """The tables and views that a view's query names; none if it cannot be read."""
    try:
        below = parse_script(definition).statements
    except InvalidSql:
        return frozenset()
    return frozenset(relation_name(one) for s in below for one in nodes(s.node, "range_var"))


def read_below(verdict: Verdict, key: str) -> None:
    """What the query of a view reads, if its definition is known."""
    view = verdict.world.views.get(key)
    if view is None or not view.definition:
        return
    try:
        below = parse_script(view.definition, key).statements
    except InvalidSql:
        verdict.certain = False
        return
    for statement in below:
        reads(verdict, statement.node)


def _alias(node: Node) -> str:
    return str(node.get("alias", {}).get("aliasname", ""))


def _locked_names(tree: Any) -> set[str] | None:
    """Of FOR UPDATE and its like: empty for all tables, None without one."""
    clauses = list(nodes(tree, "locking_clause"))
    if not clauses:
        return None
    named = [one["locked_rels"] for one in clauses if one.get("locked_rels")]
    if len(named) < len(clauses):
        return set()
    return {str(one["range_var"]["relname"]) for several in named for one in several}


def _target(verdict: Verdict, node: Node) -> str:
    key = verdict.key(relation_name(node))
    verdict.world.table(key)
    verdict.lock(key, LockMode.ROW_EXCLUSIVE, family=True)
    return key


def _written_below(verdict: Verdict, node: Node) -> None:
    """Statements in WITH that write are judged as if they stood alone, but are no backfill."""
    for one in node.get("with_clause", {}).get("ctes", ()):
        query = one["common_table_expr"]["ctequery"]
        for kind in _WRITES:
            if kind in query:
                _HANDLERS[kind](verdict, query[kind])
                if verdict.runs_as == "backfill":
                    verdict.runs_as = "transaction"
                    key = verdict.key(relation_name(query[kind]))
                    what = "an UPDATE within WITH that no key bounds"
                    verdict.find("update-not-sliceable", key, what=what)


def _bounded(verdict: Verdict, key: str, where: Any) -> bool:
    """Whether few rows are found: by constants for a whole unique key, or in a small table."""
    world = verdict.world
    if is_small(world.tables.get(key)):
        return True
    if where is None:
        return False
    fixed = _fixed_columns(where)
    table = world.table(key)
    keys = [set(one.columns) for one in table.indexes if one.unique and one.columns]
    keys = [one for one in keys if one]
    if any(one <= fixed for one in keys):
        return True
    if not world.known(key):
        verdict.certain = False
        return "id" in fixed
    return False


def _fixed_columns(tree: Any) -> set[str]:
    """Columns that a condition binds to constants, whichever way it comes true."""
    joined = tree.get("bool_expr", {})
    if joined.get("boolop") == "AND_EXPR":
        return set().union(*(_fixed_columns(one) for one in joined["args"]))
    if joined.get("boolop") == "OR_EXPR":
        return set.intersection(*(_fixed_columns(one) for one in joined["args"]))
    test = tree.get("a_expr", {})
    equal = [one.get("string", {}).get("sval") for one in test.get("name", ())] == ["="]
    if not equal or test.get("kind") not in ("AEXPR_OP", "AEXPR_IN", "AEXPR_OP_ANY"):
        return set()
    for column, value in (("lexpr", "rexpr"), ("rexpr", "lexpr")):
        fields = test.get(column, {}).get("column_ref", {}).get("fields", [])
        if fields and "string" in fields[-1] and is_constant(test.get(value, {})):
            return {str(fields[-1]["string"]["sval"])}
    return set()


def _not_sliceable(verdict: Verdict, key: str, node: Node) -> str:
    """Why the runner could not run an UPDATE by ranges of its key; empty if it can."""
    if verdict.within_code or verdict.world.transaction is not None:
        return "it is within other code"
    for part, why in (
        ("from_clause", "it joins other tables in FROM"),
        ("with_clause", "it has a WITH"),
        ("returning_clause", "it returns rows"),
    ):
        if part in node:
            return why
    if next(nodes(node, "current_of_expr"), None) is not None:
        return "it follows a cursor"
    world = verdict.world
    if key in world.views:
        return "it goes through a view"
    if world.known(key) and not world.table(key).primary_key():
        return "the table has no primary key"
    verdict.guess(key)
    return ""


_HANDLERS = {
    "insert_stmt": insert,
    "update_stmt": update,
    "delete_stmt": delete,
    "merge_stmt": merge,
}
