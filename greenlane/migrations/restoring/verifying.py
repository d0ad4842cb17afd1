"""The look into both databases, from inside their network: is the new one what it should be.

Nothing is written in either. The sessions are read only, and what takes too long is left out.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from greenlane.clock import Clock
from greenlane.errors import NotFinished
from greenlane.migrations.databases.model import Database
from greenlane.migrations.reaching.connecting import connecting
from greenlane.migrations.reaching.runtime import NetworkRuntime
from greenlane.migrations.restoring.deciding import after_look
from greenlane.migrations.restoring.model import (
    ColumnShape,
    Looked,
    Restored,
    RestoreRun,
    TableShape,
)
from greenlane.migrations.running.session import (
    QUERY_CANCELED,
    Connect,
    ConnectionLost,
    Row,
    Session,
    StatementFailed,
)
from greenlane.migrations.sql.names import Name

QUERY_MS = 20_000
"""For one query; counting a larger table is given up."""

COUNTING = timedelta(minutes=4)
"""For counting in each of the two; tables that are left then are not counted. With as many queries
as there may be, each as slow as one may be, a look stays within a function's 15 minutes."""

MOST_COLUMNS = 1000
"""Of all tables, in both; each is described by some 160 characters at most."""

_READ_ONLY = f"SET default_transaction_read_only = on; SET statement_timeout = {QUERY_MS}"

_COLUMNS = """
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
       a.attgenerated <> '' AS generated, a.attidentity <> '' AS identity
FROM pg_attribute a
WHERE a.attrelid = to_regclass(%(table)s) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""
_KEY = """
SELECT a.attname AS name
FROM pg_index i
CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = to_regclass(%(table)s) AND i.indisprimary
ORDER BY k.place
"""
_LAST_MIGRATION = """
SELECT id AS migration, phase, plan_sha FROM greenlane.migrations
WHERE state = 'done' ORDER BY seq DESC LIMIT 1
"""


def verify_restore(run: RestoreRun, runtime: NetworkRuntime) -> RestoreRun:
    """Look whether the new database answers, and compare what is in both.

    Raises:
        NotFinished: it does not answer yet, as right after it became available.
        ConnectionLost: a session ended.
    """
    if run.restored is None:
        raise NotFinished(f"{run.plan.new} is not available")
    try:
        looked = look(
            connecting(new_database(run.described, run.restored), runtime),
            connecting(run.described, runtime),
            run,
            runtime.clock,
        )
    except ConnectionLost as error:
        raise NotFinished(f"{run.plan.new} does not answer: {error.message}") from error
    return after_look(run, looked)


def new_database(described: Database, restored: Restored) -> Database:
    """The description with the new one's endpoint."""
    endpoint = described.endpoint.model_copy(update={"host": restored.host, "port": restored.port})
    return described.model_copy(update={"endpoint": endpoint})


def look(new: Connect, old: Connect, run: RestoreRun, clock: Clock) -> Looked:
    """What both databases hold.

    Args:
        new: opens sessions of the new one.
        old: opens sessions of the old one, which may not answer.
        run: with what has to be so.
        clock: the time.

    Raises:
        ConnectionLost: the new one does not answer.
    """
    request = run.request
    with new(_name(run)) as session:
        session.run(_READ_ONLY)
        untrue = list(_untrue(session, run))
        last = _last_migration(session)
        then = _shapes(session, request.counted, clock)
    untrue += [
        f"{one.name} has {one.rows if one.exists else 'no'} rows, not {least} or more"
        for one in then
        if (least := request.least_rows.get(one.name)) is not None
        and (not one.exists or (one.rows is not None and one.rows < least))
    ]
    found = {"at": clock.now(), "untrue": tuple(untrue), "then": then}
    looked = Looked.model_validate(found | last)
    try:
        with old(_name(run)) as session:
            session.run(_READ_ONLY)
            now = _shapes(session, request.counted, clock)
            wal = _wal_bytes(session, run.plan.point.lsn)
            return _small_enough(looked.model_copy(update={"now": now, "wal_bytes": wal}))
    except ConnectionLost:
        # That may be why somebody goes back; it is told, and nothing is compared.
        return _small_enough(looked.model_copy(update={"old_answers": False}))


def _small_enough(looked: Looked) -> Looked:
    """What goes from state to state is 256 KiB at most, and more would end the execution."""
    columns = sum(len(one.columns) for one in (*looked.then, *looked.now))
    if columns <= MOST_COLUMNS:
        return looked
    said = f"the tables have {columns} columns, and {MOST_COLUMNS} at most are compared; name fewer"
    return looked.model_copy(update={"then": (), "now": (), "untrue": (*looked.untrue, said)})


def _untrue(session: Session, run: RestoreRun) -> Iterator[str]:
    if session.rows("SELECT pg_is_in_recovery() AS it")[0]["it"]:
        yield "it must take writes, and is a replica"
    for query in run.request.verify:
        try:
            rows = session.rows(query)
        except ConnectionLost:
            raise
        except StatementFailed as error:
            yield f"{query}: {error.told}"
            continue
        said = next(iter(rows[0].values())) if len(rows) == 1 else f"{len(rows)} rows"
        if said is not True:
            yield f"it says {said}: {query}"


def _last_migration(session: Session) -> Row:
    """Of the ledger; nothing where there is none."""
    if session.rows("SELECT to_regclass('greenlane.migrations') IS NULL AS none")[0]["none"]:
        return {}
    rows = session.rows(_LAST_MIGRATION)
    return rows[0] if rows else {}


def _shapes(session: Session, tables: Sequence[str], clock: Clock) -> tuple[TableShape, ...]:
    until = clock.now() + COUNTING
    return tuple(_shape(session, table, count=clock.now() < until) for table in tables)


def _shape(session: Session, table: str, *, count: bool) -> TableShape:
    schema, _, bare = table.partition(".")
    given = {"table": str(Name(schema, bare))}
    columns = session.rows(_COLUMNS, given)
    if not columns:
        return TableShape(name=table)
    return TableShape(
        name=table,
        rows=_count(session, given["table"]) if count else None,
        columns=tuple(ColumnShape.model_validate(one) for one in columns),
        key=tuple(one["name"] for one in session.rows(_KEY, given)),
    )


def _count(session: Session, table: str) -> int | None:
    try:
        return int(session.rows(f"SELECT count(*) AS count FROM {table}")[0]["count"])
    except StatementFailed as error:
        if error.sqlstate != QUERY_CANCELED:
            raise
        return None


def _wal_bytes(session: Session, since: str | None) -> int | None:
    if since is None:
        return None
    query = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), %(since)s::pg_lsn) AS bytes"
    try:
        return int(session.rows(query, {"since": since})[0]["bytes"])
    except ConnectionLost:
        raise
    except StatementFailed:
        return None  # it is no writer any more, or not PostgreSQL's own WAL


def _name(run: RestoreRun) -> str:
    return f"greenlane/restore/{run.restore}"[:63]
