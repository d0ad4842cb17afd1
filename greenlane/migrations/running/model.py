"""What a slice is asked to do, and what it answers: between the workflow and the runner."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from greenlane.migrations.validating.model import Finding, Phase


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(_Part):
    """When a slice waits, and how large its steps are.

    Args:
        replica_lag_seconds: from which on no rows are filled.
        active_sessions: of others, from which on none are either.
        lock_budget_seconds: how long one statement goes on asking for its lock.
        batch_milliseconds: how long one batch of rows should take: so long a writer of one of
            these rows may have to wait.
        nice: how long to rest after a batch, as a multiple of how long it took.
    """

    replica_lag_seconds: float = 1.0
    active_sessions: int = 50
    lock_budget_seconds: float = 600.0
    batch_milliseconds: int = 20
    nice: float = 0.0


class Override(_Part):
    """A blocking finding that a named person accepts.

    Args:
        rule: of the finding.
        statement: its place in the plan, as the finding says it; None for every statement.
        person: who decided it.
        reason: why.
    """

    rule: str
    statement: int | None = None
    person: str = Field(min_length=1)
    reason: str = Field(min_length=3)


class SliceRequest(_Part):
    """What one slice is asked to do.

    Args:
        database: its name.
        plan_sha: the plan's checksum.
        phase: which files of it.
        epoch: of the lease; the database refuses one that is lower than another that wrote there.
        execution: the ARN of who holds the lease, for the ledger.
        deadline: when the process may be ended, UTC; the slice stops well before.
        limits: what spares the database.
        overrides: findings that do not stop it.
        undo: ids of files to undo, which may be of a phase that came to its end. None named: those
            of the phase that did not.
    """

    database: str
    plan_sha: str
    phase: Phase
    epoch: int
    execution: str
    deadline: datetime
    limits: Limits = Limits()
    overrides: tuple[Override, ...] = ()
    undo: tuple[str, ...] = ()


class Progress(_Part):
    """Where a run is.

    Args:
        migration: the file's id.
        statement: its statement, from 0.
        of: how many it has.
        rows_done: by a backfill.
        rows_estimate: that it has to look at.
        rows_per_second: of the last slice.
        detail: in words, what it does or waits for.
    """

    migration: str
    statement: int
    of: int
    rows_done: int | None = None
    rows_estimate: int | None = None
    rows_per_second: float | None = None
    detail: str = ""


class Failure(_Part):
    """Why a statement failed.

    Args:
        error: SQLSTATE's name or ours.
        message: the server's.
        statement: from 0, in its file.
        line: in its file.
        blocker: who held the lock, in words.
    """

    error: str
    message: str
    statement: int
    line: int | None = None
    blocker: str | None = None


class SliceResult(_Part):
    """What a slice came to.

    Args:
        outcome: `again` at once, `waiting` for `wait_seconds`, `done` with the phase, or `failed`.
        wait_seconds: where it waits.
        progress: where it is.
        failure: where it failed.
        in_use: of undoing that is done: what stays because its proof did not say true.
    """

    outcome: Literal["again", "waiting", "done", "failed"]
    wait_seconds: float = 0
    progress: Progress
    failure: Failure | None = None
    in_use: tuple[str, ...] = ()


class CheckResult(_Part):
    """What was found before the first statement.

    Args:
        outcome: `ready`; `waiting` for what ends by itself; or `refused`.
        wait_seconds: where it waits.
        findings: of the statements that would run; a message begins with its file.
        reasons: why it waits or is refused, in words; of what is ready, what nobody could look at.
        bytes_to_scan: under locks, an estimate.
        at: the database's own time, UTC.
        lsn: the position in its WAL at that time.
    """

    outcome: Literal["ready", "waiting", "refused"]
    wait_seconds: float = 0
    findings: tuple[Finding, ...] = ()
    reasons: tuple[str, ...] = ()
    bytes_to_scan: int = 0
    at: datetime | None = None
    lsn: str | None = None
