"""An UPDATE of many rows, by ranges of the primary key: each row exactly once, whatever is killed.

A batch and how far it went are one statement, so they are committed together or not at all. Rows
are counted as a range is done, not by what they contain: an update that may not run twice, such as
`hits = hits + 1`, is as safe as one that may. Rows that come later than the beginning, beyond the
last key of that time, are left to whoever writes them: the schema was expanded before.
"""

from dataclasses import dataclass
from typing import Any

from greenlane.migrations.catalog.model import Table
from greenlane.migrations.running import ledger, locking
from greenlane.migrations.running.fence import application_name, fresh
from greenlane.migrations.running.ledger import LedgerStatement, as_json, changed
from greenlane.migrations.running.model import Limits
from greenlane.migrations.running.session import (
    ALREADY_DONE,
    DEADLOCK,
    LOCK_NOT_AVAILABLE,
    QUERY_CANCELED,
    ConnectionLost,
    StatementFailed,
)
from greenlane.migrations.running.slices import AGAIN, DONE, Job, Slice, Step, raise_if_lost
from greenlane.migrations.running.throttling import Load
from greenlane.migrations.running.transactions import out_of_time, write_down
from greenlane.migrations.sql.names import Name, literal, quoted, relation_name
from greenlane.migrations.sql.parsing import parse_expression, parse_script, sql_of
from greenlane.migrations.validating.model import LockMode, TableLock

FIRST_ROWS = 1000
FEWEST_ROWS, MOST_ROWS = 100, 10_000
ROW_WAIT_MS = 20
"""A batch that meets a locked row gives way: meanwhile others wait for the rows it has."""

BATCH_TIMEOUT_MS = 60_000
WAIT_SECONDS = 3.0
POLLING_SECONDS = 20.0
"""Of one slice, for a row that somebody has locked."""

Key = tuple[str, ...]


@dataclass(frozen=True)
class Rows:
    """The table of a backfill, and its primary key.

    Args:
        name: of the table.
        alias: by which the UPDATE knows it.
        columns: of the key, in its order.
        types: of these.
        estimate: rows of the table; None where it was never analysed.
    """

    name: Name
    alias: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    estimate: int | None

    @property
    def key(self) -> str:
        """Of the table, as the catalog has it."""
        return f"{self.name.schema}.{self.name.name}"

    def compared(self, operator: str, key: Key) -> str:
        """The key compared with a value of it, in SQL."""
        own = ", ".join(f"{self.alias}.{quoted(one)}" for one in self.columns)
        values = ", ".join(
            f"{literal(value)}::{kind}" for value, kind in zip(key, self.types, strict=True)
        )
        return f"({own}) {operator} ({values})" if len(key) > 1 else f"{own} {operator} {values}"

    def within(self, after: Key | None, until: Key) -> str:
        """A condition: past `after`, and up to `until` with it."""
        upper = self.compared("<=", until)
        return upper if after is None else f"{self.compared('>', after)} AND {upper}"

    def select(self, where: str, *, descending: bool = False, offset: int = 0) -> str:
        """A query for one key, in order."""
        way = " DESC" if descending else ""
        own = [f"{self.alias}.{quoted(one)}" for one in self.columns]
        listed = ", ".join(f"{one}::text AS k{number}" for number, one in enumerate(own))
        order = ", ".join(f"{one}{way}" for one in own)
        return (
            f"SELECT {listed} FROM {self.name} AS {self.alias} WHERE {where} "
            f"ORDER BY {order} LIMIT 1 OFFSET {offset}"
        )


class NotSliceable(Exception):
    """The runner cannot run this UPDATE in slices; the message says why."""


def rows_of(node: Any, table: Table | None) -> Rows:
    """What an UPDATE goes through.

    Args:
        node: its `update_stmt`.
        table: which it updates, as the catalog has it now.

    Raises:
        NotSliceable: the table has no primary key, or the UPDATE changes it.
    """
    if table is None:
        raise NotSliceable("the table is not there")
    columns = table.primary_key()
    if not columns:
        raise NotSliceable("the table has no primary key")
    written = {one["res_target"]["name"] for one in node["target_list"]}
    if both := sorted(written & set(columns)):
        raise NotSliceable(
            f"it changes {', '.join(both)} of the primary key, so rows would move while they are "
            "counted"
        )
    types = {one.name: one.type for one in table.columns}
    alias = node["relation"].get("alias", {}).get("aliasname") or table.name
    return Rows(
        name=Name(table.schema_name, table.name),
        alias=quoted(alias),
        columns=columns,
        types=tuple(types[one] for one in columns),
        estimate=table.rows,
    )


def sliced(node: Any, condition: str) -> str:
    """The UPDATE, of those rows only that also meet a condition."""
    tree = parse_expression(condition)
    where = node.get("where_clause")
    if where is not None:
        tree = {"bool_expr": {"boolop": "AND_EXPR", "args": [where, tree]}}
    return sql_of("update_stmt", {**node, "where_clause": tree})


@dataclass(frozen=True)
class Cursor:
    """How far it is; what the ledger keeps.

    Args:
        after: the last key that is done.
        until: the last key there was when it began.
        batch: rows of the next one.
        seen: rows gone through.
    """

    after: Key | None
    until: Key
    batch: int
    seen: int = 0

    def stored(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"after": self.after, "until": self.until, "batch": self.batch, "seen": self.seen}


def read_cursor(stored: dict[str, Any]) -> Cursor:
    """From what the ledger keeps."""
    after = stored["after"]
    return Cursor(
        tuple(after) if after is not None else None,
        tuple(stored["until"]),
        stored["batch"],
        stored["seen"],
    )


def next_batch(rows: int, took_ms: float, wanted_ms: float) -> int:
    """How many rows the next batch should have, for it to take the time that is wanted.

    It changes by half or to the double at most: one batch says little.
    """
    factor = max(0.5, min(2.0, wanted_ms / max(took_ms, 0.1)))
    return max(FEWEST_ROWS, min(MOST_ROWS, round(rows * factor)))


def run(slice_: Slice, job: Job) -> Step:
    """Go on with it until it is done or has failed, or time is over."""
    (statement,) = parse_script(job.sql).statements
    name = relation_name(statement.node)
    try:
        rows = rows_of(statement.node, slice_.catalog().table(name.schema, name.name))
    except NotSliceable as error:
        return job.failed("NotSliceable", str(error))
    fresh(slice_.session, application_name(job.row.migration, job.row.statement))
    one = _Backfill(slice_, job, statement.node, rows)
    cursor = one.begin() if job.row.cursor is None else read_cursor(job.row.cursor)
    return DONE if cursor is None else one.steps(cursor)


class _Backfill:
    def __init__(self, slice_: Slice, job: Job, node: Any, rows: Rows) -> None:
        self._slice, self._job, self._node, self._rows = slice_, job, node, rows
        self._session = slice_.session
        self._limits = limits_of(slice_, job.row)
        self._load = Load(self._session, slice_.clock, self._limits)

    def begin(self) -> Cursor | None:
        """Note the last key there is; None if the table is empty, and it is done."""
        last = self._session.rows(self._rows.select("true", descending=True))
        if not last:
            self._session.run(ledger.whole(self._slice.request.epoch, *self._job.record))
            self._slice.changed()
            return None
        cursor = Cursor(None, _key(last[0]), FIRST_ROWS)
        sets = f"state = 'started', rows = 0, cursor = {as_json(cursor.stored())}"
        write_down(self._slice, self._job, sets)
        return cursor

    def steps(self, cursor: Cursor) -> Step:
        """Batches, until there are no more or something says to wait."""
        wait = locking.LockWait(self._job.row.lock_wait_ms / 1000, self._slice.clock.now())
        while self._slice.left() > 0:
            if busy := self._load.too_high(self._slice.sleep):
                return Step("waiting", WAIT_SECONDS, busy)
            began = self._slice.clock.now()
            try:
                cursor = self._batch(cursor)
            except ConnectionLost:
                raise
            except StatementFailed as error:
                raise_if_lost(error)
                found = self._after(error, cursor, wait)
                if isinstance(found, Step):
                    return found
                cursor = found
                continue
            if cursor.after == cursor.until:
                self._slice.changed()
                return DONE
            wait = locking.LockWait(0, self._slice.clock.now())
            took = (self._slice.clock.now() - began).total_seconds()
            cursor = _sized(cursor, took * 1000, self._limits)
            if self._limits.nice:
                self._slice.sleep(min(took * self._limits.nice, max(0.0, self._slice.left())))
        return AGAIN

    def _batch(self, cursor: Cursor) -> Cursor:
        """One range of the key, and that it is done, in one statement."""
        ahead = self._rows.within(cursor.after, cursor.until)
        found = self._session.rows(self._rows.select(ahead, offset=cursor.batch - 1))
        until = _key(found[0]) if found else cursor.until
        done = Cursor(until, cursor.until, cursor.batch, cursor.seen + cursor.batch)
        row = self._job.row
        closing = self._job.record if until == cursor.until else ()
        sets = f"cursor = {as_json(done.stored())}, rows = coalesce(rows, 0) + changed"
        update = sliced(self._node, self._rows.within(cursor.after, until))
        body = (
            f"PERFORM set_config('lock_timeout', '{ROW_WAIT_MS}ms', true), "
            # A batch that a crash of the server takes back takes its cursor with it.
            "set_config('synchronous_commit', 'off', true); "
            f"EXECUTE {literal(update)}; GET DIAGNOSTICS changed = ROW_COUNT; "
            f"{changed(row, sets, _still_at(cursor))}; "
            f"IF NOT FOUND THEN {ledger.raised('the batch was done', ALREADY_DONE)} END IF"
        )
        # The clock of a statement is set when it begins: within the block it would come too late.
        timeout = f"SET LOCAL statement_timeout = {BATCH_TIMEOUT_MS}"
        texts = (timeout, ledger.block(f"{body};", "changed bigint;"), *closing)
        self._session.run(ledger.whole(self._slice.request.epoch, *texts))
        return done

    def _after(
        self, error: StatementFailed, cursor: Cursor, wait: locking.LockWait
    ) -> Cursor | Step:
        """A row that somebody has locked, or a deadlock: smaller, and once more."""
        if error.sqlstate == ALREADY_DONE:
            return AGAIN
        if error.sqlstate not in (LOCK_NOT_AVAILABLE, DEADLOCK, QUERY_CANCELED):
            return self._job.failed(error)
        smaller = Cursor(cursor.after, cursor.until, max(1, cursor.batch // 2), cursor.seen)
        if error.sqlstate == QUERY_CANCELED:
            if cursor.batch <= FEWEST_ROWS:
                took = f"{cursor.batch} rows took longer than {BATCH_TIMEOUT_MS / 1000:g} s"
                return self._job.failed(error, f"{took}, and were rolled back: {error.told}")
            # The next slice has to begin with the smaller one too.
            write_down(self._slice, self._job, f"cursor = {as_json(smaller.stored())}")
            return smaller
        # Who has locked a row is not to be seen; whoever writes the table longest is told.
        lock = TableLock(table=self._rows.key, mode=LockMode.EXCLUSIVE)
        found = [one for one in locking.blockers(self._session, [lock]) if not one.autovacuum]
        wait.note(self._slice.clock.now(), ())
        said = f"it waits for rows that are locked; {locking.told(found)}"
        if wait.counted > self._slice.lock_budget():
            message = f"{said}; for {wait.counted:.0f} s"
            return out_of_time(self._slice, self._job, message, locking.told(found))
        if wait.asked > POLLING_SECONDS:
            counted = int((wait.counted + WAIT_SECONDS) * 1000)
            write_down(self._slice, self._job, f"lock_wait_ms = {counted}")
            return Step("waiting", WAIT_SECONDS, said)
        self._slice.sleep(self._slice.chance.uniform(*locking.POLL_SECONDS))
        return smaller


def limits_of(slice_: Slice, row: LedgerStatement) -> Limits:
    """Those of the request, with what the file says in their place."""
    declared = slice_.plan.migration(row.migration).declared.backfill
    changes: dict[str, Any] = {}
    if declared.batch_ms is not None:
        changes["batch_milliseconds"] = declared.batch_ms
    if declared.nice is not None:
        changes["nice"] = declared.nice
    if declared.max_lag is not None:
        changes["replica_lag_seconds"] = declared.max_lag.total_seconds()
    return slice_.limits.model_copy(update=changes)


def _sized(cursor: Cursor, took_ms: float, limits: Limits) -> Cursor:
    size = next_batch(cursor.batch, took_ms, limits.batch_milliseconds)
    return Cursor(cursor.after, cursor.until, size, cursor.seen)


def _still_at(cursor: Cursor) -> str:
    """A condition: nobody else has gone on from there."""
    after = as_json(cursor.after) if cursor.after is not None else "'null'::jsonb"
    return f"state = 'started' AND cursor -> 'after' = {after}"


def _key(row: dict[str, Any]) -> Key:
    return tuple(str(row[f"k{number}"]) for number in range(len(row)))
