"""What stands in a migration's way in a database: rights, and what others do there."""

from collections.abc import Iterable
from dataclasses import dataclass

from greenlane.migrations.catalog.model import Catalog
from greenlane.migrations.running.locking import blockers
from greenlane.migrations.running.session import Session
from greenlane.migrations.validating.model import LockMode, TableLock

LONG_SECONDS = 60.0
"""A transaction of that age is told before a migration waits for it."""

PREPARED_SECONDS = 60.0
MOST_WAL_BYTES = 50 * 1024**3
"""That a replication slot which nobody reads may keep; filling rows makes more of it."""

_FOREIGN = """
SELECT n.nspname || '.' || c.relname AS name, pg_get_userbyid(c.relowner) AS owner, current_user
  AS who FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname || '.' || c.relname = ANY(%(tables)s) AND NOT pg_has_role(c.relowner, 'USAGE')
"""
_VACUUMED = """
SELECT a.pid, n.nspname || '.' || c.relname AS name FROM pg_stat_activity a
JOIN pg_locks l ON l.pid = a.pid AND l.granted JOIN pg_class c ON c.oid = l.relation
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE a.backend_type = 'autovacuum worker'
AND a.query LIKE '%%(to prevent wraparound)%%' AND n.nspname || '.' || c.relname = ANY(%(tables)s)
"""
_SLOTS = """
SELECT slot_name AS name, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint AS bytes
FROM pg_replication_slots WHERE NOT active AND restart_lsn IS NOT NULL
"""


@dataclass(frozen=True)
class Obstacles:
    """In words: what refuses a migration, what it waits for, and what is told besides."""

    refused: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def find_obstacles(session: Session, locks: Iterable[TableLock], catalog: Catalog) -> Obstacles:
    """What stands in the way of a migration that takes these locks."""
    strongest: dict[str, LockMode] = {}
    for one in locks:
        strongest[one.table] = max(one.mode, strongest.get(one.table, one.mode))
    if not strongest:
        return Obstacles()
    refused = [*_foreign(session, strongest), *_prepared(session, strongest), *_slots(session)]
    waits = [*_vacuumed(session, strongest), *_old(session, strongest)]
    return Obstacles(tuple(refused), tuple(waits), tuple(_invalid(strongest, catalog)))


def _foreign(session: Session, strongest: dict[str, LockMode]) -> list[str]:
    """Only the owner of a table may alter it."""
    altered = [key for key, mode in strongest.items() if mode == LockMode.ACCESS_EXCLUSIVE]
    return [
        f"{row['who']} may not alter {row['name']}, which belongs to {row['owner']}; "
        f"GRANT {row['owner']} TO {row['who']}"
        for row in session.rows(_FOREIGN, {"tables": altered})
    ]


def _prepared(session: Session, strongest: dict[str, LockMode]) -> list[str]:
    """A prepared transaction keeps its locks over everything, restarts of the server included."""
    exclusive = [TableLock(table=key, mode=LockMode.ACCESS_EXCLUSIVE) for key in strongest]
    return [one.told for one in blockers(session, exclusive) if one.pid == 0]


def _slots(session: Session) -> list[str]:
    return [
        f"nobody reads the replication slot {row['name']}, which keeps "
        f"{row['bytes'] / 1024**3:.0f} GiB of WAL: drop it, or let it catch up"
        for row in session.rows(_SLOTS)
        if row["bytes"] > MOST_WAL_BYTES
    ]


def _vacuumed(session: Session, strongest: dict[str, LockMode]) -> list[str]:
    rows = session.rows(_VACUUMED, {"tables": list(strongest)})
    return [
        f"an autovacuum to prevent wraparound is at {row['name']} (pid {row['pid']})"
        for row in rows
    ]


def _old(session: Session, strongest: dict[str, LockMode]) -> list[str]:
    locks = [TableLock(table=key, mode=mode) for key, mode in strongest.items()]
    return [
        one.told
        for one in blockers(session, locks)
        if one.pid and one.seconds > LONG_SECONDS and not one.autovacuum
    ]


def _invalid(strongest: dict[str, LockMode], catalog: Catalog) -> list[str]:
    """No migration has to wait for these, and nobody else tells of them."""
    tables = [catalog.tables[key] for key in strongest if key in catalog.tables]
    return [
        f"the index {index.name} of {table.full_name} is INVALID: every write keeps it up to date, "
        "and no query uses it; drop it"
        for table in tables
        for index in table.indexes
        if not index.valid
    ]
