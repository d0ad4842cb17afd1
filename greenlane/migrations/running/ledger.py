"""What ran in a database, kept in the database itself: schema `greenlane`.

`fence` has one row, with the highest epoch of a lease that wrote here. `migrations` has a row for
each file that has begun, `statements` one for each of its statements. What a statement did and
that it is done are committed in one transaction, so the ledger never says more or less than what
is so; for statements that no transaction takes, it says that they have begun, and what was there
before.

Texts are built from literals, not parameters: they travel as one message, which the server works
off to its COMMIT whether or not this process lives.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from greenlane.errors import Refused
from greenlane.migrations.declaring.drift import AppliedMigration
from greenlane.migrations.declaring.plan import Migration
from greenlane.migrations.inverting.model import Inverse
from greenlane.migrations.running.session import ALREADY_DONE, FENCE_LOST, Session
from greenlane.migrations.sql.names import literal
from greenlane.migrations.validating.model import Assessment, RunsAs, TableLock

SCHEMA = "greenlane"
FORMAT = 1
"""Of the ledger's tables."""

State = Literal["pending", "started", "done", "undone"]

UNDONE = (
    "state = 'undone', cursor = NULL, rows = NULL, before = NULL, detached = 0, lock_wait_ms = 0"
)
"""Of a statement's row: when it runs again, it begins anew."""

_CREATE = f"""
BEGIN;
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
COMMENT ON SCHEMA {SCHEMA} IS 'Migrations that Greenlane ran in this database.';
CREATE TABLE {SCHEMA}.fence (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  format int NOT NULL,
  epoch bigint NOT NULL,
  execution text NOT NULL,
  at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE {SCHEMA}.migrations (
  id text PRIMARY KEY,
  seq bigint NOT NULL,
  phase text NOT NULL,
  sha256 text NOT NULL,
  fingerprint text NOT NULL,
  plan_sha text NOT NULL,
  execution text NOT NULL,
  state text NOT NULL CHECK (state IN ('running', 'done', 'undone')),
  started_at timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz,
  settled_at timestamptz
);
CREATE TABLE {SCHEMA}.statements (
  migration text NOT NULL REFERENCES {SCHEMA}.migrations,
  statement int NOT NULL,
  line int NOT NULL,
  sha256 text NOT NULL,
  sql text NOT NULL,
  runs_as text NOT NULL,
  locks jsonb NOT NULL,
  guarded boolean NOT NULL,
  state text NOT NULL DEFAULT 'pending'
    CHECK (state IN ('pending', 'started', 'done', 'undone')),
  cursor jsonb,
  rows bigint,
  inverse jsonb,
  before jsonb,
  undone_parts int NOT NULL DEFAULT 0,
  detached int NOT NULL DEFAULT 0,
  lock_wait_ms bigint NOT NULL DEFAULT 0,
  started_at timestamptz,
  exec_ms bigint,
  at timestamptz,
  PRIMARY KEY (migration, statement)
);
INSERT INTO {SCHEMA}.fence (format, epoch, execution) VALUES ({FORMAT}, 0, '');
COMMIT
"""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LedgerMigration(_Part):
    """A file that has begun.

    Args:
        seq: the order in which they began.
        settled: whether the phase that it was part of came to its end; a later run that fails
            leaves it alone.
    """

    id: str
    seq: int
    phase: str
    sha256: str
    fingerprint: str
    state: Literal["running", "done", "undone"]
    settled: bool


class LedgerStatement(_Part):
    """A statement of a file that has begun.

    Args:
        locks: what it locks, in the order in which the runner takes them.
        guarded: whether it must be over in a moment, and is cancelled if it is not.
        cursor: how far a backfill is.
        rows: that a backfill has changed.
        inverse: graded right before it ran.
        before: what was there then, for one that runs alone.
        undone_parts: how many statements of its inverse have run.
        detached: how often it was left to run on without a process that waits for it.
        lock_wait_ms: how long it has asked for its locks.
    """

    migration: str
    statement: int
    line: int
    sha256: str
    sql: str
    runs_as: RunsAs
    locks: tuple[TableLock, ...]
    guarded: bool
    state: State
    cursor: dict[str, Any] | None
    rows: int | None
    inverse: Inverse | None
    before: dict[str, Any] | None
    undone_parts: int
    detached: int
    lock_wait_ms: int


def exists(session: Session) -> bool:
    """Whether the database has a ledger.

    Raises:
        Refused: a newer version of Greenlane made it.
    """
    (found,) = session.rows(f"SELECT to_regclass('{SCHEMA}.fence') IS NOT NULL AS there")
    if not found["there"]:
        return False
    (row,) = session.rows(f"SELECT format FROM {SCHEMA}.fence")
    if row["format"] > FORMAT:
        raise Refused(
            f"the ledger has format {row['format']}, and this version of Greenlane knows "
            f"{FORMAT}; bring the functions up to date"
        )
    return True


def ensure(session: Session) -> None:
    """Make the ledger if there is none; only who holds the advisory lock may."""
    if not exists(session):
        session.run(_CREATE)


def migrations(session: Session) -> list[LedgerMigration]:
    """All files that have begun, in the order in which they did."""
    query = (
        "SELECT id, seq, phase, sha256, fingerprint, state, settled_at IS NOT NULL AS settled "
        f"FROM {SCHEMA}.migrations ORDER BY seq"
    )
    return [LedgerMigration(**row) for row in session.rows(query)]


def applied(rows: Iterable[LedgerMigration]) -> list[AppliedMigration]:
    """Those that stand, as drift compares them with a plan."""
    return [
        AppliedMigration(id=one.id, sha256=one.sha256, fingerprint=one.fingerprint)
        for one in rows
        if one.state != "undone"
    ]


def statements(session: Session, ids: Sequence[str]) -> list[LedgerStatement]:
    """The statements of files, in the order in which they run."""
    columns = ", ".join(f"s.{name}" for name in LedgerStatement.model_fields)
    query = (
        f"SELECT {columns} FROM {SCHEMA}.statements s JOIN {SCHEMA}.migrations m "
        "ON m.id = s.migration WHERE m.id = ANY(%(ids)s) ORDER BY m.seq, s.statement"
    )
    return [LedgerStatement(**row) for row in session.rows(query, {"ids": list(ids)})]


def begun_by(session: Session, executions: str) -> list[str]:
    """Files that executions began, by a regular expression of their ARNs; in their order."""
    query = f"SELECT id FROM {SCHEMA}.migrations WHERE execution ~ %(arns)s ORDER BY seq"
    return [str(row["id"]) for row in session.rows(query, {"arns": executions})]


def made(session: Session, ids: Sequence[str]) -> list[str]:
    """Objects that statements of these files made, and that stand."""
    query = (
        "SELECT DISTINCT jsonb_array_elements_text(inverse->'makes') AS name "
        f"FROM {SCHEMA}.statements WHERE state = 'done' AND migration = ANY(%(ids)s)"
    )
    return sorted(row["name"] for row in session.rows(query, {"ids": list(ids)}))


def owned(epoch: int) -> str:
    """A statement that fails unless this epoch is the one that may write; until the COMMIT."""
    message = f"another owner than that of epoch {epoch} writes here"
    return block(
        f"PERFORM FROM {SCHEMA}.fence WHERE epoch = {epoch} FOR SHARE; "
        f"IF NOT FOUND THEN {raised(message, FENCE_LOST)} END IF;"
    )


def block(body: str, declared: str = "") -> str:
    """A DO block of PL/pgSQL."""
    tag = "greenlane"
    while f"${tag}$" in body:
        tag += "_"
    head = f"DECLARE {declared} " if declared else ""
    return f"DO ${tag}$ {head}BEGIN {body} END ${tag}$"


def raised(message: str, sqlstate: str) -> str:
    """A RAISE of PL/pgSQL."""
    return f"RAISE EXCEPTION USING MESSAGE = {literal(message)}, ERRCODE = '{sqlstate}';"


def whole(epoch: int, *texts: str) -> str:
    """One transaction of an owner."""
    return ";\n".join(["BEGIN", owned(epoch), *texts, "COMMIT"])


def begun(
    migration: Migration, assessments: Sequence[Assessment], *, plan_sha: str, execution: str
) -> list[str]:
    """What is written when a file begins: itself, and each statement with how it runs."""
    script = migration.script
    values = (migration.id, migration.phase, script.sha256, script.fingerprint, plan_sha, execution)
    texts = ", ".join(literal(one) for one in values)
    made = [
        {
            "migration": migration.id,
            "statement": one.index,
            "line": one.line,
            "sha256": one.sha256,
            "sql": one.text,
            "runs_as": judged.runs_as,
            "locks": [lock.model_dump() for lock in judged.locks],
            "guarded": is_guarded(judged),
        }
        for one, judged in zip(script.statements, assessments, strict=True)
    ]
    names = ", ".join(made[0])
    return [
        f"INSERT INTO {SCHEMA}.migrations "
        "(id, phase, sha256, fingerprint, plan_sha, execution, seq, state) "
        f"SELECT {texts}, coalesce(max(seq), 0) + 1, 'running' FROM {SCHEMA}.migrations "
        "ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, phase = excluded.phase, "
        "sha256 = excluded.sha256, fingerprint = excluded.fingerprint, state = 'running', "
        "plan_sha = excluded.plan_sha, execution = excluded.execution, started_at = now(), "
        "finished_at = NULL, settled_at = NULL WHERE migrations.state = 'undone'",
        f"DELETE FROM {SCHEMA}.statements WHERE migration = {literal(migration.id)}",
        f"INSERT INTO {SCHEMA}.statements ({names}) SELECT {names} FROM jsonb_populate_recordset("
        f"NULL::{SCHEMA}.statements, {as_json(made)})",
    ]


def is_guarded(judged: Assessment) -> bool:
    """Whether it holds up writers, and reads and writes no rows while it does."""
    holds_up = any(lock.mode.blocks_writes for lock in judged.locks)
    return holds_up and not judged.scans and not judged.rewrites


def as_json(value: object) -> str:
    """A literal of type jsonb."""
    return f"{literal(json.dumps(value))}::jsonb"


def changed(row: LedgerStatement, sets: str, only: str = "") -> str:
    """An UPDATE of a statement's row. Args: only: a condition, such as `state <> 'done'`."""
    more = f" AND {only}" if only else ""
    return (
        f"UPDATE {SCHEMA}.statements SET {sets}, at = clock_timestamp() "
        f"WHERE migration = {literal(row.migration)} AND statement = {row.statement}{more}"
    )


def once(update: str) -> str:
    """An UPDATE that must find its row, as a statement of its own."""
    return block(
        f"{update}; IF NOT FOUND THEN {raised('it was done before', ALREADY_DONE)} END IF;"
    )


def finished(migration: str, state: Literal["done", "undone"]) -> str:
    """A file has come to its end, or is undone."""
    return (
        f"UPDATE {SCHEMA}.migrations SET state = '{state}', finished_at = now() "
        f"WHERE id = {literal(migration)}"
    )


def settled(ids: Iterable[str]) -> str:
    """The phase that these files are of is over: a later run that fails leaves them alone."""
    named = ", ".join(literal(one) for one in ids)
    return (
        f"UPDATE {SCHEMA}.migrations SET settled_at = now() "
        f"WHERE id IN ({named}) AND state = 'done' AND settled_at IS NULL"
    )
