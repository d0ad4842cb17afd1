"""The documents of a restore: what is asked for, what goes from state to state, what is kept."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from greenlane.deployments.storing.shapes import OnceWhy, StoredModel
from greenlane.deployments.storing.stored import as_stored
from greenlane.migrations.databases.model import Database
from greenlane.migrations.guarding.model import Trouble
from greenlane.migrations.validating.model import Phase

RESTORE_PATTERN = r"^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$"
TABLE_PATTERN = r'^[^."\s\x00]{1,63}\.[^."\x00]{1,63}$'

Source = Literal["marker", "snapshot"]
Question = Literal["approve", "writers"]
"""`approve`: whether to go back at all. `writers`: whether the old one is still written to."""

Says = Literal["approve", "salvage", "refuse", "stopped", "left_running", "expired"]
"""`salvage`: the new one is for copying rows back from, not to be used. `left_running`: what is
written to the old one until its clients have moved is lost as well. `expired`: nobody said
anything in time."""

Stage = Literal["restore", "verify", "approve", "writers", "cut_over", "finish"]
Outcome = Literal["cut_over", "salvage", "refused", "expired", "aborted", "failed"]
Standing = Literal["running", "dead", Outcome]


class RestoreRequest(BaseModel):
    """What somebody asks for: a new database as it was before one run of a migration.

    Args:
        restore: an id, for requests that may be repeated: the new database is named after it.
        database: its name.
        run: the run of a migration whose backup it goes back to.
        source: `marker` for point-in-time recovery, `snapshot` for the run's snapshot; by default
            what the run has kept.
        mode: `salvage` ends with a new database beside the old one, from which tables are copied
            back. `cutover` asks for approval to use it in the place of the old one, and may follow
            under the same id: it finds the new database.
        tables: `schema.table`, compared between then and now, and those to copy back.
        verify: queries of one boolean that must say true in the new database.
        least_rows: by `schema.table`, how many rows there must be in the new database.
        expected_seconds: how long restoring may take, where nobody has measured it yet.
        approval_seconds: how long the approval is waited for.
        writers_seconds: how long it is waited for that writers are stopped.
        writes_secret: whether the new host is also written into the secret of the database.
        requested_by: who asks.
        reason: why; the approver reads it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    restore: str = Field(pattern=RESTORE_PATTERN)
    database: str
    run: str
    source: Source | None = None
    mode: Literal["cutover", "salvage"] = "salvage"
    tables: tuple[Annotated[str, Field(pattern=TABLE_PATTERN)], ...] = Field((), max_length=20)
    verify: tuple[str, ...] = Field((), max_length=20)
    least_rows: dict[Annotated[str, Field(pattern=TABLE_PATTERN)], Annotated[int, Field(ge=0)]] = (
        Field(default_factory=dict, max_length=20)
    )
    expected_seconds: int | None = Field(None, ge=60, le=7 * 86400)
    approval_seconds: int = Field(4 * 3600, ge=60, le=3 * 86400)
    writers_seconds: int = Field(3600, ge=60, le=86400)
    writes_secret: bool = False
    requested_by: str = Field(min_length=1, max_length=200)
    reason: str = Field(min_length=1, max_length=2000)

    @model_validator(mode="after")
    def _salvages_something(self) -> Self:
        if self.mode == "salvage" and not self.tables:
            raise ValueError(
                "mode salvage copies tables back: name them in tables, or choose mode cutover"
            )
        return self

    @property
    def counted(self) -> tuple[str, ...]:
        """The tables that are looked at, each once, in the order in which they are named."""
        return tuple(dict.fromkeys((*self.tables, *self.least_rows)))


class Point(StoredModel):
    """The moment that is gone back to.

    Args:
        source: how.
        at: the moment: what was committed later is not in the new database.
        lsn: the position in the WAL at about that time, where the run has kept one.
        snapshot: its ARN.
        version: the engine's, of the snapshot.
        run: the run before whose first statement it is.
    """

    source: Source
    at: AwareDatetime
    lsn: str | None = None
    snapshot: str | None = None
    version: str | None = None
    run: str


class Rto(StoredModel):
    """How long restoring takes, until the new database is available.

    Args:
        seconds: None where nobody knows.
        basis: `measured` is the longest of the last restores of this database.
        samples: how many were measured.
    """

    seconds: float | None
    basis: Literal["measured", "declared", "unknown"]
    samples: int = 0


class LostRun(StoredModel):
    """A run of a migration that the new database does not have."""

    run: str
    phase: Phase
    standing: str
    started_at: AwareDatetime


class Step(StoredModel):
    """One step of the runbook, and who takes it."""

    title: str
    who: Literal["greenlane", "people"]


class RestorePlan(StoredModel):
    """What a restore will do, made before anything is changed.

    Args:
        point: where it goes back to.
        kind: a cluster or an instance.
        old: the identifier of the database that is there.
        new: that of the new one, the same each time the restore is repeated.
        members: identifiers of the instances of a new Aurora cluster; its writer is the first.
        lost_runs: runs that the new one does not have.
        rto: how long it takes.
        not_copied: what the old one has and the new one will not.
        deletion_protection: whether both are protected from being deleted.
        steps: what happens, in order.
    """

    point: Annotated[Point, as_stored(Point)]
    kind: Literal["cluster", "instance"]
    old: str
    new: str
    members: tuple[str, ...] = ()
    lost_runs: tuple[LostRun, ...] = ()
    rto: Rto
    not_copied: tuple[str, ...] = ()
    deletion_protection: bool = False
    steps: tuple[Step, ...] = ()


class Restored(StoredModel):
    """The new database, available.

    Args:
        host: its writer's.
        seconds: how long it took; None where an execution before this one has begun it.
        unlike: what RDS made otherwise than in the old one.
    """

    host: str
    port: int
    arn: str
    at: AwareDatetime
    seconds: float | None
    unlike: tuple[str, ...] = ()


class ColumnShape(StoredModel):
    """A column: its type as PostgreSQL prints it, and whether it can be written to."""

    name: str
    type: str
    generated: bool = False
    identity: bool = False


class TableShape(StoredModel):
    """A table in one of the two databases.

    Args:
        rows: None where counting took too long, or where there is no such table.
        columns: none where there is no such table.
        key: the columns of its primary key.
    """

    name: str
    rows: int | None = None
    columns: tuple[ColumnShape, ...] = ()
    key: tuple[str, ...] = ()

    @property
    def exists(self) -> bool:
        """Whether the database has it."""
        return bool(self.columns)


class Looked(StoredModel):
    """What the look into both databases has found.

    Args:
        untrue: what had to be so in the new one and is not.
        migration, phase, plan_sha: of what the ledger of the new one has done last.
        then: tables as they are in the new one.
        now: the same tables in the old one; none where it does not answer.
        old_answers: whether it does.
        wal_bytes: what was written to the WAL of the old one since the marker: rows, indexes,
            vacuum and all.
    """

    at: AwareDatetime
    untrue: tuple[str, ...] = ()
    migration: str | None = None
    phase: Phase | None = None
    plan_sha: str | None = None
    then: tuple[TableShape, ...] = ()
    now: tuple[TableShape, ...] = ()
    old_answers: bool = True
    wal_bytes: int | None = None


class Answer(StoredModel):
    """What a person has said to a question.

    Args:
        offer: of which losses, by the id that the question has.
    """

    question: Question
    says: Says
    by: str
    at: AwareDatetime
    reason: OnceWhy = ""
    offer: str = ""


class RestoreRun(StoredModel):
    """What goes from state to state; no secret is in it.

    Args:
        request: what was asked for.
        execution: the ARN of the execution that holds the lease of the database.
        epoch: of the lease.
        described: the database, as it was described when the restore began.
        plan: what will be done.
        stage: what comes next; while people are waited for, what they are asked.
        resumed: whether an execution before this one has begun it.
        restored: the new database, once it is available; what an execution before this one had.
        looked: what it is like.
        approval, writers: what people have said.
        cutting: whether the cutover has begun, so that clients may be on their way.
        cut: what it has written.
        outcome: how it ended.
        failure: why, as the state machine reports it.
    """

    schema_version: int = 1
    request: Annotated[RestoreRequest, as_stored(RestoreRequest)]
    execution: str
    epoch: int
    described: Annotated[Database, as_stored(Database)]
    plan: RestorePlan
    started_at: AwareDatetime
    stage: Stage = "restore"
    resumed: bool = False
    approval_seconds: int
    writers_seconds: int
    restored: Restored | None = None
    looked: Looked | None = None
    approval: Answer | None = None
    writers: Answer | None = None
    cutting: bool = False
    cut: tuple[str, ...] = ()
    outcome: Outcome | None = None
    failure: Trouble | None = None

    @property
    def database(self) -> str:
        """The database's name."""
        return self.request.database

    @property
    def restore(self) -> str:
        """The restore's id."""
        return self.request.restore


class RestoreRecord(StoredModel):
    """What is kept of a restore, for listing and for the estimate of the next one.

    Args:
        seconds: how long restoring took, until the new database was available.
        run: all of it, for what is printed of it.
    """

    schema_version: int = 1
    restore: str
    database: str
    service: str
    standing: Standing
    execution: str
    epoch: int = 0
    requested_by: str
    reason: str
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    seconds: float | None = None
    failure: str = ""
    state: RestoreRun | None = None
