"""Statements with what PostgreSQL does and what is right to say of them, and how that is measured.

The labels are in tests/data/migrations. What a server does is measured in a transaction that is
rolled back: its locks on tables and views that were there before, the tables with a new file, and
those that were read whole. What cannot run in a transaction is run while another session holds a
lock that everything waits for, so that the lock that it asks for shows.
"""

import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import psycopg
import yaml
from pydantic import BaseModel, ConfigDict

from greenlane.migrations.catalog.model import Catalog
from greenlane.migrations.sql.parsing import parse_script
from greenlane.migrations.validating import assess, problems
from greenlane.migrations.validating.model import Assessment, Finding, LockMode

DATA = Path(__file__).parent.parent / "tests" / "data" / "migrations"
FILES = ("statements.yaml", "statements-held-out.yaml", "statements-frameworks.yaml")
MODES = {f"{''.join(part.title() for part in one.name.split('_'))}Lock": one for one in LockMode}

Connection = psycopg.Connection[Any]


class Case(BaseModel):
    """One labelled script.

    Args:
        setup: of the database that it runs in; the file's first, if left out.
        locks: measured, on tables and views that were there before, by `schema.name`, or by name in
            `public`.
        refused: a part of the error by which PostgreSQL refuses it.
        until: the server's version from which the label holds no more.
        unmeasured: why it is not run.
        zone: the session's time zone.
        needs_catalog: whether the right answer cannot be known without.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    sql: str
    setup: str = ""
    unsafe: bool
    rule: str | None = None
    phase: Literal["expand", "migrate", "contract"]
    locks: dict[str, str] = {}
    rewrites: tuple[str, ...] = ()
    scans: tuple[str, ...] = ()
    needs_catalog: bool = False
    refused: str | None = None
    until: int = 1_000_000
    unmeasured: str | None = None
    zone: str = "UTC"


class Labelled(BaseModel):
    """A file of labels.

    Args:
        first_run: of statements written after the rules: what the rules found on first sight, as
            found and all, by `unsafe` (recall) and `safe` (false alarms), with and without catalog.
        first_run_note: what was missed then.
        setups: SQL that fills a database, by name.
        cases: the statements.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    first_run: dict[str, tuple[int, int]] = {}
    first_run_note: str = ""
    setups: dict[str, str] = {}
    cases: tuple[Case, ...]


class Effect(NamedTuple):
    """What a script does: locks by table, tables written anew, tables read whole."""

    locks: dict[str, LockMode]
    rewrites: frozenset[str]
    scans: frozenset[str]


def load(file: str) -> Labelled:
    """The labels of one file, each with the setup that it runs in."""
    found = Labelled.model_validate(yaml.safe_load((DATA / file).read_text()))
    first = next(iter(found.setups))
    cases = (one.model_copy(update={"setup": one.setup or first}) for one in found.cases)
    return found.model_copy(update={"cases": tuple(cases)})


def setups() -> dict[str, str]:
    """Of all files, by name."""
    return {name: sql for file in FILES for name, sql in load(file).setups.items()}


def expected(case: Case) -> Effect:
    """As the labels say."""
    locks = {_full(table): LockMode[mode.replace(" ", "_")] for table, mode in case.locks.items()}
    return Effect(locks, frozenset(map(_full, case.rewrites)), frozenset(map(_full, case.scans)))


def _full(table: str) -> str:
    return table if "." in table else f"public.{table}"


def assessed(case: Case, catalog: Catalog | None) -> tuple[Assessment, ...]:
    """What the rules say of it, in its time zone."""
    if catalog is not None:
        catalog = catalog.model_copy(update={"time_zone": case.zone})
    return assess(parse_script(case.sql, case.id), catalog)


def told(assessments: Iterable[Assessment]) -> Effect:
    """As the assessments of a script say, taken together."""
    locks: dict[str, LockMode] = {}
    rewrites: set[str] = set()
    scans: set[str] = set()
    for one in assessments:
        for lock in one.locks:
            locks[lock.table] = max(lock.mode, locks.get(lock.table, lock.mode))
        rewrites |= set(one.rewrites)
        scans |= set(one.scans)
    return Effect(locks, frozenset(rewrites), frozenset(scans - rewrites))


def blocking(assessments: tuple[Assessment, ...]) -> list[Finding]:
    """What stops the script in front of a release, where its phase would be `expand`."""
    found = [finding for one in assessments for finding in one.findings]
    return [one for one in (*found, *problems(assessments, "expand")) if one.severity == "block"]


def needs_no_transaction(case: Case) -> bool:
    """Whether a statement of it cannot run in a transaction, so that it waits to be seen."""
    script = parse_script(case.sql, case.id)
    if script.statements[0].kind == "transaction_stmt":
        return False
    upper = case.sql.upper()
    words = ("VACUUM", "INDEX CONCURRENTLY", "CONCURRENTLY ORDERS", "DETACH PARTITION")
    concurrent = "CONCURRENTLY" in upper and "REFRESH" not in upper
    return upper.startswith("VACUUM") or (concurrent and any(one in upper for one in words))


class Measure:
    """A database that was set up, and how scripts are measured in it.

    Args:
        dsn: of a database with the case's setup.
    """

    def __init__(self, dsn: str) -> None:
        """See the class."""
        self.dsn = dsn

    def effect(self, case: Case) -> Effect:
        """What the script does; raises psycopg's error if PostgreSQL refuses it."""
        if needs_no_transaction(case):
            return self._waiting(case)
        with psycopg.connect(self.dsn) as connection:
            for setting in ("hashjoin", "mergejoin", "seqscan"):
                connection.execute(f"SET enable_{setting} = off".encode())
            connection.execute(f"SET TimeZone = '{case.zone}'".encode())
            connection.commit()
            found = self._in_transaction(connection, case)
            connection.rollback()
        return found

    def _in_transaction(self, connection: Connection, case: Case) -> Effect:
        before = _tables(connection)
        scanned = _scans(connection, before)
        filled = {name for name, size in _sizes(connection, before).items() if size}
        connection.commit()
        for statement in parse_script(case.sql, case.id).statements:
            if statement.kind != "transaction_stmt":
                connection.execute(statement.text.encode())
        locks = _locks(connection, connection.info.backend_pid, before)
        after = _files(connection, before)
        rewritten = {
            name
            for oid, (name, file) in before.items()
            if file is not None and after.get(oid) not in (None, file)
        }
        # An empty table that is written anew has an empty new file too; one emptied has not.
        emptied = rewritten if "TRUNCATE" in case.sql.upper() else rewritten & filled
        sizes = _sizes(connection, before)
        gone = {name for name in emptied if sizes[name] == 0}
        strong = {name for name, mode in locks.items() if mode >= LockMode.SHARE_UPDATE_EXCLUSIVE}
        now = _scans(connection, before)
        read = {before[oid][0] for oid, number in now.items() if number > scanned.get(oid, 0)}
        rewritten -= gone
        return Effect(locks, frozenset(rewritten), frozenset((read & strong) - rewritten - gone))

    def _waiting(self, case: Case) -> Effect:
        """Of a statement that takes its locks one after another: those that it waits for.

        A first session holds what only SHARE UPDATE EXCLUSIVE and stronger locks wait for. When
        it lets go, a second one still reads partitions, which only ACCESS EXCLUSIVE waits for.
        """
        with psycopg.connect(self.dsn) as first, psycopg.connect(self.dsn) as second:
            before = _tables(first)
            partitions = [name for (name,) in first.execute(_LOCKABLE + "AND c.relispartition")]
            tables = [name for (name,) in first.execute(_LOCKABLE)]
            first.commit()
            first.execute(f"LOCK TABLE {', '.join(tables)} IN SHARE UPDATE EXCLUSIVE MODE".encode())
            second.execute(f"LOCK TABLE {', '.join(partitions)} IN ACCESS SHARE MODE".encode())
            with psycopg.connect(self.dsn, autocommit=True) as run:
                failed: list[psycopg.Error] = []
                thread = threading.Thread(target=_quietly, args=(run, case.sql, failed))
                thread.start()
                pid = run.info.backend_pid
                locks = self._awaited(pid, before, thread)
                first.rollback()
                for table, mode in self._awaited(pid, before, thread, but=locks).items():
                    locks[table] = max(mode, locks.get(table, mode))
                second.rollback()
                thread.join(30)
            if failed:
                raise failed[0]
            after = _files(first, before)
        rewritten = {
            name
            for oid, (name, file) in before.items()
            if file is not None and after.get(oid, file) != file
        }
        return Effect(locks, frozenset(rewritten), frozenset())

    def _awaited(
        self,
        pid: int,
        before: dict[int, tuple[str, int | None]],
        thread: threading.Thread,
        but: dict[str, LockMode] | None = None,
    ) -> dict[str, LockMode]:
        """The locks that a session waits for, as soon as it waits; none if it ends before."""
        with psycopg.connect(self.dsn, autocommit=True) as watcher:
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline and thread.is_alive():
                found = _locks(watcher, pid, before, granted=False)
                if found and found != but:
                    return found
                time.sleep(0.005)
        return {}


_LOCKABLE = """
SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' """


def _quietly(connection: Connection, sql: str, failed: list[psycopg.Error]) -> None:
    try:
        connection.execute(sql.encode())
    except psycopg.Error as problem:
        failed.append(problem)


def _tables(connection: Connection) -> dict[int, tuple[str, int | None]]:
    """Tables and views by oid: their name, and their file; None for what has none."""
    rows = connection.execute(
        "SELECT c.oid, n.nspname || '.' || c.relname, CASE WHEN c.relkind IN ('r', 'm', 'p') "
        "THEN coalesce(pg_relation_filenode(c.oid)::bigint, 0) END "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p', 'm', 'f', 'v') AND n.nspname !~ '^pg_' "
        "AND n.nspname <> 'information_schema'"
    )
    return {oid: (name, file) for oid, name, file in rows}


def _files(connection: Connection, tables: dict[int, tuple[str, int | None]]) -> dict[int, Any]:
    rows = connection.execute(
        "SELECT c.oid, coalesce(pg_relation_filenode(c.oid)::bigint, 0) FROM pg_class c "
        "WHERE c.oid = ANY(%s)",
        [list(tables)],
    )
    return dict(rows.fetchall())


def _scans(connection: Connection, tables: dict[int, tuple[str, int | None]]) -> dict[int, int]:
    rows = connection.execute(
        "SELECT oid, pg_stat_get_xact_numscans(oid) FROM unnest(%s::oid[]) AS oid", [list(tables)]
    )
    return dict(rows.fetchall())


def _locks(
    connection: Connection,
    pid: int,
    tables: dict[int, tuple[str, int | None]],
    *,
    granted: bool = True,
) -> dict[str, LockMode]:
    rows = connection.execute(
        "SELECT relation, mode FROM pg_locks WHERE pid = %s AND locktype = 'relation' "
        "AND granted = %s AND relation = ANY(%s)",
        [pid, granted, list(tables)],
    )
    found: dict[str, LockMode] = {}
    for oid, mode in rows:
        name = tables[oid][0]
        found[name] = max(MODES[mode], found.get(name, MODES[mode]))
    return found


def _sizes(
    connection: Connection, tables: dict[int, tuple[str, int | None]]
) -> dict[str, int | None]:
    """In bytes, by name; None of what is gone."""
    rows = connection.execute(
        "SELECT oid, pg_relation_size(oid) FROM unnest(%s::oid[]) AS oid", [list(tables)]
    )
    return {tables[oid][0]: size for oid, size in rows}
