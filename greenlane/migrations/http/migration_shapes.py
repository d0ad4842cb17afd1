"""What people and pipelines send about migrations and restores, and what they are told."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, StrictBool, StrictInt, StrictStr, model_validator

from greenlane.deployments.declaring.config import SERVICE_NAME_PATTERN
from greenlane.deployments.storing.shapes import Document
from greenlane.http.listing import NewestQuery
from greenlane.migrations.guarding.lease import Asked
from greenlane.migrations.guarding.model import RUN_PATTERN, Published, RunRecord
from greenlane.migrations.managing.standing import Ended
from greenlane.migrations.restoring.model import (
    TABLE_PATTERN,
    Question,
    RestoreRecord,
    Source,
)
from greenlane.pipelines.model import MigrationAsked

LONGEST_REASON = 1000
"""Characters."""

Reason = Annotated[StrictStr, Field(max_length=LONGEST_REASON, description="For the history.")]


TableName = Annotated[StrictStr, Field(pattern=TABLE_PATTERN, examples=["public.people"])]


class StartMigration(MigrationAsked):
    """One phase of a plan that is kept already, as a pipeline asks for it."""

    deployment: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$",
        description="It waits while that deployment is not well, and ends with it.",
    )
    reason: Reason = ""


class GivenReason(Document):
    """Why somebody decides."""

    reason: Reason = ""


class AbortMigration(GivenReason):
    """How a run ends before its next slice."""

    undo: StrictBool = Field(
        False, description="Undo what it did, as far as that is exact; left in place otherwise."
    )


class StartRestore(Document):
    """A new database as it was before a run of a migration, beside the one that is there."""

    run: StrictStr = Field(
        pattern=RUN_PATTERN, description="The migration's run, of which the backup is."
    )
    reason: StrictStr = Field(
        min_length=1, max_length=LONGEST_REASON, description="Why; whoever approves reads it."
    )
    mode: Literal["cutover", "salvage"] = Field(
        "salvage",
        description="`salvage` ends with the new database, from which `tables` are copied back; "
        "`cutover` asks people to use it in the old one's place.",
    )
    tables: tuple[TableName, ...] = Field(
        (), max_length=20, description="Compared, and copied back: a salvage needs some."
    )
    source: Source | None = Field(None, description="What the run has kept if left out.")
    verify: tuple[StrictStr, ...] = Field(
        (), max_length=20, description="Queries that must say true in the new database."
    )
    least_rows: dict[TableName, Annotated[StrictInt, Field(ge=0)]] = Field(
        default_factory=dict, max_length=20, description="Rows that it must have, by table."
    )
    expected_seconds: StrictInt | None = Field(
        None, ge=60, le=7 * 86400, description="Of restoring, where nobody has measured it."
    )
    approval_seconds: StrictInt = Field(
        4 * 3600, ge=60, le=3 * 86400, description="For the decision; then it ends."
    )
    writers_seconds: StrictInt = Field(
        3600, ge=60, le=86400, description="For stopping writers; then it ends."
    )
    writes_secret: StrictBool = Field(
        False, description="At a cutover, write the new host into the database's secret."
    )

    @model_validator(mode="after")
    def _salvages_something(self) -> Self:
        if self.mode == "salvage" and not self.tables:
            raise ValueError("tables: name those to copy back, or choose mode cutover")
        return self


class AnswerRestore(GivenReason):
    """What a person says to the question that a restore waits with; the first answer stands."""

    says: Literal["approve", "salvage", "refuse", "stopped", "left_running"] = Field(
        description="First `approve`, `salvage` or `refuse`; after an approval `stopped`, "
        "`left_running` or `refuse`."
    )
    offer: StrictStr = Field(
        min_length=1, max_length=200, description="What the question names, so that you answer it."
    )

    @model_validator(mode="after")
    def _says_why(self) -> Self:
        if self.says == "approve" and not self.reason.strip():
            raise ValueError("reason: say why what is lost may be lost")
        return self


class OfDatabase(NewestQuery):
    """A part of a list, newest first."""

    database: str | None = Field(
        None, pattern=SERVICE_NAME_PATTERN, description="Its name; all if left out."
    )


class MigrationList(BaseModel):
    """Runs, newest first, and what stands in each database; `next` is the `before` of the next."""

    published: tuple[Published, ...]
    runs: tuple[RunRecord, ...]
    next: str | None = None


class MigrationView(BaseModel):
    """A run of a migration.

    Args:
        run: its line; null while its workflow has not begun it, or where it never did.
        ended: how it ended; null while it runs.
        asked: what a person asks of it, while it runs.
    """

    run: RunRecord | None
    ended: Ended | None = None
    asked: Asked | None = None


class AskedOfMigration(BaseModel):
    """What was asked of a run; it heeds it at its next look, within minutes."""

    run: str
    asked: str
    undo: bool = False


class RestoreList(BaseModel):
    """Restores without what they found, newest first; `next` is the `before` of the next page."""

    restores: tuple[RestoreRecord, ...]
    next: str | None = None


class RestoreView(BaseModel):
    """A restore with all that it found.

    Args:
        restore: its line.
        question: what it waits for people to say; null when it waits for nothing.
        offer: what an answer has to name.
    """

    restore: RestoreRecord
    question: Question | None = None
    offer: str | None = None


class AskedOfRestore(BaseModel):
    """What was asked of a restore."""

    restore: str
    asked: str
