"""The documents of a run: what is asked for, what goes from state to state, what is kept of it."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.deployments.storing.stored import as_stored
from greenlane.migrations.databases.model import Database
from greenlane.migrations.guarding.backups import Backup
from greenlane.migrations.running.model import Failure, Limits, Override, Progress
from greenlane.migrations.validating.model import Phase

RUN_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,71}$"

_MOST_TURNS = 1_000_000

Stage = Literal["check", "run", "undo"]
"""Which of the functions in the database's network works next, when nothing is to be waited for."""

Next = Literal[
    "check", "back_up", "watch", "run", "undo", "wait", "hand_over", "publish", "release"
]

Outcome = Literal["succeeded", "failed", "undone", "stopped"]
"""`undone`: it failed, and what it did is undone. `stopped`: it was ended and left as it was."""

Standing = Literal["refused", "running", "dead", "succeeded", "failed", "undone", "stopped"]


class MigrationRequest(BaseModel):
    """What somebody asks for: one phase of one plan on one database.

    Args:
        run: an id, for requests that may be repeated.
        database: its name.
        plan_sha: the checksum of the plan, which is in the bucket of plans.
        phase: which phase of it.
        undo: ids of files of that phase, and of later ones, to undo instead of running it.
        deployment: the deployment that it belongs to: it waits while that is not well, and ends
            with it.
        overrides: findings that a named person accepts.
        accept_data_loss: objects whose data may be lost when it is undone.
        on_failure: whether what it did is undone as far as that is exact, or left in place.
        requested_by: who asks.
        reason: for the history.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str = Field(pattern=RUN_PATTERN)
    database: str
    plan_sha: str = Field(pattern=r"^[0-9a-f]{64}$")
    phase: Phase
    undo: tuple[str, ...] = ()
    deployment: str | None = None
    overrides: tuple[Override, ...] = ()
    accept_data_loss: tuple[str, ...] = ()
    on_failure: Literal["undo", "leave"] = "undo"
    requested_by: str = "unknown"
    reason: str = ""


class Trouble(StoredModel):
    """An error as the state machine hands it on."""

    Error: str = ""
    Cause: str = ""


class MigrationRun(StoredModel):
    """What goes from state to state: no secret is in it.

    Args:
        request: what was asked for.
        execution: the ARN of the execution that holds the lease.
        epoch: of the lease.
        described: the database, as it was described when the run began.
        limits: what spares it.
        owner: whom the plan says to ask.
        notify: of which ends people are told, as the plan says.
        stage: what works next when nothing is to be waited for.
        next: what comes next.
        wait_seconds: after how long, where that is `wait`.
        rounds: watches of this execution.
        turns: watches of all executions of this run.
        executions: of this run, this one included.
        begun: whether a slice has run, so that something may have changed.
        progress: of the last slice.
        waits_for: why the last check or slice waited.
        held_for: why the last watch let it wait.
        noted: of why it waits, what the history has.
        noted_stage: of the stage, what the history has.
        trouble: an error of the last slice, not looked at yet.
        troubles: slices that failed with an error, one after the other.
        backup: what there is to go back to.
        checked: what the check has found that stops nothing.
        at, lsn: the database's own time, and position in the WAL, before the first statement.
        outcome: how it ended.
        failure: why, as the state machine reports it.
        slice_failure: the same of the statement that failed.
    """

    schema_version: int = 1
    request: Annotated[MigrationRequest, as_stored(MigrationRequest)]
    execution: str
    epoch: int
    described: Annotated[Database, as_stored(Database)]
    limits: Annotated[Limits, as_stored(Limits)]
    owner: str = ""
    notify: Literal["all", "failures", "none"] = "all"
    started_at: datetime
    stage: Stage = "check"
    next: Next = "check"
    wait_seconds: int = 0
    rounds: int = 0
    turns: int = 0
    executions: int = 1
    begun: bool = False
    progress: Annotated[Progress, as_stored(Progress)] | None = None
    waits_for: str = ""
    held_for: str = ""
    noted: str = ""
    noted_stage: Stage = "check"
    trouble: Trouble | None = None
    troubles: int = 0
    backup: Backup | None = None
    checked: str = ""
    at: datetime | None = None
    lsn: str | None = None
    outcome: Outcome | None = None
    failure: Trouble | None = None
    slice_failure: Annotated[Failure, as_stored(Failure)] | None = None

    @property
    def fence(self) -> int:
        """What the database compares: it takes no slice with less than one that it took before.

        It rises with each owner of the lease and with each watch, so a call that comes late, after
        its own run has gone on or has been undone, writes nothing.
        """
        return self.epoch * _MOST_TURNS + min(self.turns, _MOST_TURNS - 1)

    @property
    def database(self) -> str:
        """The database's name."""
        return self.request.database

    @property
    def run(self) -> str:
        """The run's id."""
        return self.request.run

    @property
    def phase(self) -> Phase:
        """The phase that is run."""
        return self.request.phase


class RunRecord(StoredModel):
    """What is kept of a run, for listing: a mirror, which decides nothing.

    Args:
        standing: where it stands.
        stage: what it does, while it runs.
        waits_for: why it waits, while it does.
    """

    schema_version: int = 1
    run: str
    database: str
    service: str
    phase: Phase
    plan_sha: str
    standing: Standing
    stage: Stage = "check"
    waits_for: str = ""
    progress: Annotated[Progress, as_stored(Progress)] | None = None
    execution: str = ""
    epoch: int = 0
    deployment: str | None = None
    requested_by: str = "unknown"
    reason: str = ""
    overrides: tuple[Annotated[Override, as_stored(Override)], ...] = ()
    backup: Backup | None = None
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    failure: str = ""


class Published(StoredModel):
    """What stands in a database: what applications find in its parameter.

    Args:
        phase: the phase that was run last.
        migration: the last of its migrations.
        min_app: the oldest version of the service that may use the database; None where nobody
            said one.
        plan_sha: of that plan.
        epoch: of the run that wrote it.
    """

    schema_version: int = 1
    database: str
    phase: Phase
    migration: str
    min_app: str | None = None
    plan_sha: str
    run: str
    epoch: int
    at: datetime
