"""One runner at a time: a session's advisory lock, and an epoch in the database that only rises.

The lock keeps apart whatever lives: another runner, or the backend of a killed one that still
works on its statement. It is only ever tried for. A session that waited for it would do so in a
transaction, and CREATE INDEX CONCURRENTLY waits for those. The epoch keeps out an owner that lost
its lease and was asleep meanwhile.
"""

from greenlane.errors import FenceLost, Refused
from greenlane.migrations.running import ledger
from greenlane.migrations.running.session import Row, Session
from greenlane.migrations.sql.names import literal

KEYS = (1196574542, 1)
"""Of the advisory lock; the first is "GREN" in ASCII, so that nobody else comes upon it."""

APPLICATION = "greenlane"

_SETTINGS = {
    # A process that hangs would keep the lock for ever.
    "idle_in_transaction_session_timeout": "10s",
    "idle_session_timeout": "90s",
    "lock_timeout": "0",
    "statement_timeout": "0",
    # Nobody hears a notice, and to a process that is gone it would end the backend in the middle.
    "client_min_messages": "error",
    # What a database or a user may have set otherwise, and a runner rests on.
    "default_transaction_isolation": "read committed",
    "standard_conforming_strings": "on",
    # Keys are kept as text and come back: no digit of them may be lost.
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    # Rows that a policy hides would be passed over in silence, by a proof too; so it is an error.
    "row_security": "off",
}


def application_name(migration: str, statement: int) -> str:
    """Of the session that works on a statement; PostgreSQL keeps 63 bytes."""
    return f"{APPLICATION}/{migration[:40]}/{statement}"


def fresh(session: Session, name: str) -> None:
    """Undo what a statement before has set in this session, and set what the next one needs."""
    sets = [f"SET {key} = '{value}'" for key, value in _SETTINGS.items()]
    sets.append(f"SET application_name = {literal(name)}")
    # PostgreSQL 17 has one more, and older servers do not know it.
    sets.append(
        "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout'"
    )
    session.run(";".join(["RESET ROLE", "RESET ALL", *sets]))


def try_lock(session: Session) -> bool:
    """Take the lock for as long as the session lives, if nobody has it; again, if it has it."""
    (row,) = session.rows(f"SELECT pg_try_advisory_lock({KEYS[0]}, {KEYS[1]}) AS taken")
    return bool(row["taken"])


def holder(session: Session) -> Row | None:
    """Who has the lock: pid, application, seconds since its statement began; None if nobody has."""
    found = session.rows(
        "SELECT l.pid, coalesce(a.application_name, '') AS application, a.state, "
        "extract(epoch FROM clock_timestamp() - a.query_start)::float8 AS seconds "
        "FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid "
        f"WHERE l.locktype = 'advisory' AND l.classid = {KEYS[0]} AND l.objid = {KEYS[1]} "
        "AND l.objsubid = 2 AND l.granted AND l.database = (SELECT oid FROM pg_database "
        "WHERE datname = current_database())"
    )
    return found[0] if found else None


def refuse_replica(session: Session) -> None:
    """A replica takes no writes, nor is a database written that somebody has set to read only.

    Raises:
        Refused: it is one of them.
    """
    (row,) = session.rows(
        "SELECT pg_is_in_recovery() AS replica, reset_val = 'on' AS frozen FROM pg_settings "
        "WHERE name = 'default_transaction_read_only'"
    )
    if row["replica"]:
        raise Refused(
            "this server is a read replica, and takes no writes; describe the database by the "
            "endpoint of its writer, and run again"
        )
    if row["frozen"]:
        raise Refused(
            "somebody has set this database or its user to read only, as a green environment is: "
            "where that is over, ALTER DATABASE ... RESET default_transaction_read_only, or ALTER "
            "ROLE, or the parameter group"
        )


def raise_epoch(session: Session, epoch: int, execution: str) -> None:
    """From now on no owner before this one writes here.

    Raises:
        FenceLost: a later one has.
    """
    found = session.rows(
        f"UPDATE {ledger.SCHEMA}.fence SET epoch = %(epoch)s, execution = %(execution)s, "
        "at = now() WHERE epoch <= %(epoch)s RETURNING epoch",
        {"epoch": epoch, "execution": execution},
    )
    if not found:
        (row,) = session.rows(f"SELECT epoch, execution FROM {ledger.SCHEMA}.fence")
        raise FenceLost(f"epoch {row['epoch']} ({row['execution']}) writes there, not {epoch}")
