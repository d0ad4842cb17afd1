"""Taking a statement's locks without making anybody wait.

`LOCK TABLE ... NOWAIT` is asked for again and again: it never queues, so nobody queues behind it.
On a table that is never free, since short transactions follow each other without a gap, that may
go on for ever; then, and only then, it waits in the queue for some milliseconds at a time. A
`lock_timeout` below `deadlock_timeout` never displaces an autovacuum, and one above it stalls
writers for a second: so an autovacuum is waited for, and its time is not counted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from greenlane.migrations.running.session import Session
from greenlane.migrations.sql.names import Name
from greenlane.migrations.sql.parsing import without_constants
from greenlane.migrations.validating.model import LockMode, TableLock

STARVED_SECONDS = 10.0
"""Asked for so long without success, while others get through: time to queue."""

SHORT_SECONDS = 2.0
"""Whoever holds a lock for longer is not waited out by queueing for milliseconds."""

TIMED_MS = (50, 100, 200)
POLL_SECONDS = (0.05, 0.15)
BACKOFF_SECONDS = (1.0, 4.0)
TOLD_CHARACTERS = 100

_CONFLICTS = {
    # PostgreSQL documentation, table 13.2: which modes exclude each other.
    LockMode.ACCESS_SHARE: {8},
    LockMode.ROW_SHARE: {7, 8},
    LockMode.ROW_EXCLUSIVE: {5, 6, 7, 8},
    LockMode.SHARE_UPDATE_EXCLUSIVE: {4, 5, 6, 7, 8},
    LockMode.SHARE: {3, 4, 6, 7, 8},
    LockMode.SHARE_ROW_EXCLUSIVE: {3, 4, 5, 6, 7, 8},
    LockMode.EXCLUSIVE: {2, 3, 4, 5, 6, 7, 8},
    LockMode.ACCESS_EXCLUSIVE: {1, 2, 3, 4, 5, 6, 7, 8},
}

_HOLDERS = """
SELECT l.pid, l.mode, coalesce(a.backend_type, '') AS backend, coalesce(a.state, '') AS state,
  coalesce(a.application_name, '') AS application, coalesce(a.usename, '') AS who,
  coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::float8 AS seconds,
  coalesce(a.query, '') AS query, n.nspname || '.' || c.relname AS relation
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND n.nspname || '.' || c.relname = ANY(%(tables)s)
"""


@dataclass(frozen=True)
class Blocker:
    """Somebody who holds what a statement needs.

    Args:
        seconds: since its transaction began; 0 where this user may not see that.
        told: who it is and what it does, in words, without values.
        autovacuum: whether it is one.
        wraparound: whether that one cannot be cancelled by anybody's waiting.
    """

    pid: int
    seconds: float
    told: str
    autovacuum: bool = False
    wraparound: bool = False


@dataclass(frozen=True)
class Attempt:
    """The next try. Args: timeout_ms: None for NOWAIT; pause_seconds: before it."""

    pause_seconds: float
    timeout_ms: int | None = None


class LockWait:
    """How long a statement has asked for its locks.

    Args:
        counted: seconds of slices before, of which an autovacuum's are none.
        now: when this slice began to ask.
    """

    def __init__(self, counted: float, now: datetime) -> None:
        """See the class."""
        self.counted = counted
        self.asked = 0.0
        self._last = now

    def note(self, now: datetime, found: Sequence[Blocker]) -> None:
        """Another try met these."""
        seconds = (now - self._last).total_seconds()
        self._last = now
        self.asked += seconds
        if not any(one.autovacuum for one in found):
            self.counted += seconds


def next_attempt(
    waited_seconds: float, tries: int, blockers: Sequence[Blocker], chance: float
) -> Attempt:
    """Decide how to ask again.

    Args:
        waited_seconds: so far, without what was an autovacuum's.
        tries: that waited in the queue, so far.
        blockers: seen at the last try; none where they were gone when looked for.
        chance: between 0 and 1, so that two do not keep time.
    """
    long = any(one.autovacuum or one.seconds > SHORT_SECONDS for one in blockers)
    if waited_seconds < STARVED_SECONDS or long:
        return Attempt(_between(POLL_SECONDS, chance))
    return Attempt(
        _between(BACKOFF_SECONDS, chance) if tries else _between(POLL_SECONDS, chance),
        TIMED_MS[min(tries, len(TIMED_MS) - 1)],
    )


def lockable(session: Session, locks: Iterable[TableLock]) -> set[str]:
    """Those tables that LOCK TABLE takes, by the names in `locks`.

    No sequence or materialised view is one, nor another's table that a foreign key points to, on
    which this user may only REFERENCES: those are left to the statement itself.
    """
    query = (
        "SELECT n.nspname || '.' || c.relname AS name FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') "
        "AND n.nspname || '.' || c.relname = ANY(%(tables)s) "
        "AND has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE')"
    )
    tables = [one.table for one in locks]
    return {row["name"] for row in session.rows(query, {"tables": tables})} if tables else set()


def lock_text(locks: Iterable[TableLock], lockable: set[str], timeout_ms: int | None) -> list[str]:
    """Statements that take locks in order.

    Args:
        locks: of one statement.
        lockable: tables that LOCK TABLE takes.
        timeout_ms: how long each may be waited for; None for not at all.
    """
    nowait = "" if timeout_ms else " NOWAIT"
    return [
        f"LOCK TABLE ONLY {table_name(one.table)} IN {one.mode} MODE{nowait}"
        for one in locks
        if one.table in lockable
    ]


def table_name(key: str) -> Name:
    """Of a key of the catalog."""
    schema, _, name = key.partition(".")
    return Name(schema, name)


def blockers(session: Session, locks: Iterable[TableLock]) -> list[Blocker]:
    """Who holds what these locks cannot be taken beside, the longest transaction first."""
    wanted = {one.table: _CONFLICTS[one.mode] for one in locks}
    if not wanted:
        return []
    found: dict[int, Blocker] = {}
    for row in session.rows(_HOLDERS, {"tables": list(wanted)}):
        if _mode(row["mode"]) in wanted[row["relation"]]:
            found[row["pid"] or 0] = _blocker(row)
    return sorted(found.values(), key=lambda one: -one.seconds)


def keeps_readers_out(session: Session) -> str:
    """Who has locked a table so that nobody may even read it, in words."""
    rows = session.rows(
        "SELECT DISTINCT l.pid, l.relation::regclass::text AS name, "
        "coalesce(a.application_name, '') AS application FROM pg_locks l "
        "JOIN pg_class c ON c.oid = l.relation AND c.relkind IN ('r', 'p', 'm') "
        "LEFT JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.mode = 'AccessExclusiveLock' "
        "AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid() AND l.database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1, 2 LIMIT 3"
    )
    held = [f"pid {row['pid']} ({row['application']}) holds {row['name']}" for row in rows]
    return f"a table cannot be read: {'; '.join(held) or 'somebody who is gone again'}"


def told(found: Sequence[Blocker]) -> str:
    """Those who hold it, in words."""
    return "; ".join(one.told for one in found[:3]) or "somebody who is gone again"


def _mode(name: str) -> int:
    """Of pg_locks' `AccessExclusiveLock`; 0 for a kind that no table lock is."""
    flat = name.removesuffix("Lock").lower()
    return next((int(one) for one in LockMode if one.name.replace("_", "").lower() == flat), 0)


def _blocker(row: dict[str, Any]) -> Blocker:
    autovacuum = row["backend"] == "autovacuum worker"
    if row["pid"] is None:
        said = f"a prepared transaction holds {row['relation']}: commit it or roll it back"
        return Blocker(0, float("inf"), said)
    who = row["application"] or row["who"] or row["backend"] or "a session"
    query = without_constants(row["query"])[:TOLD_CHARACTERS]
    said = f"pid {row['pid']} ({who}, {row['state'] or 'unseen'}"
    if row["seconds"]:
        said += f", in a transaction for {row['seconds']:.1f} s"
    said += f") holds {row['relation']}" + (f": {query}" if query else "")
    return Blocker(
        pid=row["pid"],
        seconds=row["seconds"],
        told=said,
        autovacuum=autovacuum,
        wraparound=autovacuum and "(to prevent wraparound)" in row["query"],
    )


def _between(ends: tuple[float, float], chance: float) -> float:
    low, high = ends
    return low + (high - low) * chance
