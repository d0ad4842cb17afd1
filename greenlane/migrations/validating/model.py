"""What is said of a statement: its locks, its cost, its phase and what is wrong with it."""

from enum import IntEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

Phase = Literal["expand", "migrate", "contract"]
PHASES: tuple[Phase, ...] = ("expand", "migrate", "contract")

RunsAs = Literal["transaction", "alone", "backfill"]
"""`transaction`: with its line of the ledger in one transaction, after `LOCK TABLE ... NOWAIT`.
`alone`: outside any transaction (CONCURRENTLY, VALIDATE CONSTRAINT, VACUUM). `backfill`: one UPDATE
of one table, run in slices of its key."""

Severity = Literal["block", "warn", "info"]


class LockMode(IntEnum):
    """PostgreSQL's table locks, the weakest first (documentation, 13.3.1)."""

    ACCESS_SHARE = 1
    ROW_SHARE = 2
    ROW_EXCLUSIVE = 3
    SHARE_UPDATE_EXCLUSIVE = 4
    SHARE = 5
    SHARE_ROW_EXCLUSIVE = 6
    EXCLUSIVE = 7
    ACCESS_EXCLUSIVE = 8

    def __str__(self) -> str:
        return self.name.replace("_", " ")

    @property
    def blocks_writes(self) -> bool:
        """Whether INSERT, UPDATE and DELETE wait for it."""
        return self >= LockMode.SHARE

    @property
    def blocks_reads(self) -> bool:
        """Whether SELECT waits for it."""
        return self == LockMode.ACCESS_EXCLUSIVE


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TableLock(_Part):
    """Args: table as `schema.name`, or as it is written where no catalog says its schema."""

    table: str
    mode: LockMode


class Finding(_Part):
    """One thing that is wrong or worth knowing.

    Args:
        rule: its name, such as `index-not-concurrent`; docs/migrations-rules.md lists all.
        severity: `block` stops a run unless a named person overrides it.
        line: in its file.
        lock: the strongest lock that it takes on a table with traffic.
        cost: what it costs while the lock is held, such as `a scan of 5,000,000 rows`.
        safe_form: how to reach the same safely, in words or as SQL.
    """

    rule: str
    severity: Severity
    line: int
    statement: int
    message: str
    table: str | None = None
    lock: LockMode | None = None
    cost: str = ""
    safe_form: str = ""


class Assessment(_Part):
    """All that is known of one statement before it runs.

    Args:
        statement: its place in its script, from 0.
        line: of its first character in the script, from 1.
        phase: the earliest phase in which it breaks no version that is still in use.
        runs_as: how the runner runs it.
        locks: on tables that existed before the script, the strongest for each, in the order in
            which they are to be taken.
        rewrites: the tables of which every row is written anew.
        scans: the tables of which every row is read under those locks.
        certain: whether the catalog was needed and there, or was not needed.
    """

    statement: int
    line: int = 1
    phase: Phase
    runs_as: RunsAs
    locks: tuple[TableLock, ...] = ()
    rewrites: tuple[str, ...] = ()
    scans: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    certain: bool = True
