"""What statements that no transaction takes leave behind when they fail or are killed.

CREATE INDEX CONCURRENTLY leaves an INVALID index, which every write keeps up to date and no query
uses; `IF NOT EXISTS` would take it for a good one. REINDEX CONCURRENTLY leaves one more beside the
old. DETACH PARTITION CONCURRENTLY leaves a partition that is half detached. What was there before
is written down first, so that afterwards it can be told what is new.
"""

from collections.abc import Collection, Sequence
from typing import Any, Literal

from greenlane.migrations.running.session import Row, Session
from greenlane.migrations.sql.names import Name, object_name, quoted, relation_name
from greenlane.migrations.sql.parsing import Statement

Kind = Literal["create_index", "reindex", "drop_index", "detach", "validate", "repeatable"]
Before = dict[str, Any]

_INDEXES = """
SELECT i.indexrelid::bigint AS oid, n.nspname AS schema, c.relname AS name, i.indisvalid AS valid,
  EXISTS (SELECT FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.relation = i.indrelid AND l.locktype = 'relation' AND l.granted
    AND l.mode = 'ShareUpdateExclusiveLock' AND l.pid IS DISTINCT FROM pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND a.backend_type IS DISTINCT FROM 'autovacuum worker') AS building
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid =
  c.relnamespace JOIN pg_class t ON t.oid = i.indrelid
WHERE {where} AND (t.relpersistence <> 't' OR t.relnamespace = pg_my_temp_schema())
ORDER BY i.indexrelid
"""
_FAMILY = """SELECT to_regclass(%(table)s)::oid AS oid
  UNION SELECT relid::oid FROM pg_partition_tree(to_regclass(%(table)s))"""
_OF_TABLE = f"""i.indrelid IN (
  SELECT oid FROM ({_FAMILY}) AS f
  UNION ALL SELECT c.reltoastrelid FROM pg_class c WHERE c.oid IN ({_FAMILY}))"""
_OF_INDEX = f"""i.indrelid IN (
  SELECT indrelid FROM pg_index WHERE indexrelid IN ({_FAMILY}))"""


def kind_of(statement: Statement) -> Kind:
    """Which of them it is; `repeatable` changes nothing when it runs once more."""
    node = statement.node
    if statement.kind == "index_stmt" and node.get("concurrent"):
        return "create_index"
    if statement.kind == "reindex_stmt":
        return "reindex"
    if statement.kind == "drop_stmt" and node.get("concurrent"):
        return "drop_index"
    if _detached(statement) is not None:
        return "detach"
    if _validated(statement):
        return "validate"
    return "repeatable"


def look(session: Session, statement: Statement) -> Before:
    """What is there before it runs, to be kept with it."""
    match kind_of(statement):
        case "create_index" | "reindex":
            rows = _indexes(session, statement)
            return {
                "indexes": [row["oid"] for row in rows],
                "invalid": [[row["oid"], row["name"]] for row in rows if not row["valid"]],
            }
        case "drop_index":
            return {"dropped": [str(name) for name in _dropped(session, statement)]}
        case "detach":
            return {"attached": _attachment(session, statement) is not None}
        case "validate":
            return {"validated": _is_validated(session, statement)}
    return {}


def invalid(session: Session, statement: Statement, before: Before) -> list[Row]:
    """INVALID indexes that it has left, or one of its name that somebody left before.

    Each with `building`: whether another backend, which may be building it, holds the lock of those
    who do. Locks are seen by everybody; how far others are is not.
    """
    if kind_of(statement) not in ("create_index", "reindex"):
        return []
    # An old index that REINDEX has replaced is not new; it is not valid any more, or was not before
    # and has another name now.
    known = {(oid, name) for oid, name in before.get("invalid", ())}
    named = statement.node.get("idxname")
    return [
        row
        for row in _indexes(session, statement)
        if not row["valid"] and ((row["oid"], row["name"]) not in known or row["name"] == named)
    ]


def is_done(
    session: Session, statement: Statement, before: Before, makes: Collection[str] = ()
) -> bool:
    """Whether it has done its work, though nobody wrote that down.

    Args:
        session: of the database.
        statement: which was cut off.
        before: what was there then.
        makes: objects that it was to make: an index without a name has the one that PostgreSQL
            chooses, and others may have made one meanwhile.
    """
    match kind_of(statement):
        case "create_index":
            known, named = set(before.get("indexes", ())), statement.node.get("idxname")
            return any(
                row["valid"]
                and row["oid"] not in known
                and named in (None, row["name"])
                and (not makes or str(Name(row["schema"], row["name"])) in makes)
                for row in _indexes(session, statement)
            )
        case "drop_index":
            gone = before.get("dropped", [])
            return bool(gone) and not _dropped(session, statement)
        case "detach":
            return bool(before.get("attached")) and _attachment(session, statement) is None
        case "validate":
            return before.get("validated") is False and _is_validated(session, statement) is True
    return False


def completed(session: Session, statement: Statement) -> str | None:
    """What takes the place of a statement that was cut off; None if it runs as it is."""
    if kind_of(statement) == "detach" and _attachment(session, statement) == "pending":
        found = _detached(statement)
        if found is not None:
            parent, part = found
            return f"ALTER TABLE {parent} DETACH PARTITION {part} FINALIZE"
    return None


def problem(session: Session, statement: Statement) -> str | None:
    """What is wrong after it ran without an error; None if nothing is."""
    if kind_of(statement) != "create_index":
        return None
    named = statement.node.get("idxname")
    for row in _indexes(session, statement):
        if row["name"] == named and not row["valid"]:
            return f"the index {row['schema']}.{row['name']} is not valid"
    return None


def dropping(row: Row) -> str:
    """The statement that takes an INVALID index away."""
    return f"DROP INDEX CONCURRENTLY IF EXISTS {quoted(row['schema'])}.{quoted(row['name'])}"


def told(row: Row) -> str:
    """Why an INVALID index is not taken away."""
    return (
        f"another session is at work on the table of {row['schema']}.{row['name']}, which is "
        "INVALID or still being built"
    )


def waits_for_transactions(statement: Statement) -> bool:
    """Whether it waits for every transaction that began before it."""
    return kind_of(statement) not in ("validate", "repeatable")


def _indexes(session: Session, statement: Statement) -> Sequence[Row]:
    """All indexes of the table that it is about, and of that one's TOAST table."""
    node = statement.node
    kind = node.get("kind", "REINDEX_OBJECT_INDEX")
    if statement.kind == "reindex_stmt" and kind not in (
        "REINDEX_OBJECT_INDEX",
        "REINDEX_OBJECT_TABLE",
    ):
        return session.rows(_INDEXES.format(where="n.nspname !~ '^pg_temp'"))
    by_index = statement.kind == "reindex_stmt" and kind == "REINDEX_OBJECT_INDEX"
    where = _OF_INDEX if by_index else _OF_TABLE
    return session.rows(_INDEXES.format(where=where), {"table": str(relation_name(node))})


def _dropped(session: Session, statement: Statement) -> list[Name]:
    """Those of the indexes it drops that are there, half dropped ones included."""
    names = [object_name(one) for one in statement.node["objects"]]
    return [name for name in names if _there(session, name)]


def _there(session: Session, name: Name) -> bool:
    (row,) = session.rows("SELECT to_regclass(%(name)s) IS NOT NULL AS there", {"name": str(name)})
    return bool(row["there"])


def _detached(statement: Statement) -> tuple[Name, Name] | None:
    """The parent and the partition of a DETACH PARTITION CONCURRENTLY."""
    for one in statement.node.get("cmds", ()):
        command = one["alter_table_cmd"]
        if command["subtype"] == "AT_DetachPartition":
            definition = command["def"]["partition_cmd"]
            if definition.get("concurrent"):
                return relation_name(statement.node), relation_name(definition["name"])
    return None


def _validated(statement: Statement) -> str | None:
    """The constraint of a VALIDATE CONSTRAINT."""
    for one in statement.node.get("cmds", ()):
        if one["alter_table_cmd"]["subtype"] == "AT_ValidateConstraint":
            return str(one["alter_table_cmd"]["name"])
    return None


def _is_validated(session: Session, statement: Statement) -> bool | None:
    """None where there is no such constraint."""
    rows = session.rows(
        "SELECT convalidated AS said FROM pg_constraint "
        "WHERE conrelid = to_regclass(%(table)s) AND conname = %(name)s",
        {"table": str(relation_name(statement.node)), "name": _validated(statement)},
    )
    return bool(rows[0]["said"]) if rows else None


def _attachment(session: Session, statement: Statement) -> Literal["whole", "pending"] | None:
    found = _detached(statement)
    if found is None:
        return None
    rows = session.rows(
        "SELECT inhdetachpending AS pending FROM pg_inherits "
        "WHERE inhparent = to_regclass(%(parent)s) AND inhrelid = to_regclass(%(part)s)",
        {"parent": str(found[0]), "part": str(found[1])},
    )
    if not rows:
        return None
    return "pending" if rows[0]["pending"] else "whole"
