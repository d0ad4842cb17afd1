"""What the HTTP API takes and gives for feature flags."""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from greenlane.deployments.storing.shapes import Document
from greenlane.durations import Duration
from greenlane.flags.definitions.model import Flag, Percentage
from greenlane.flags.storing.audit import AuditEntry
from greenlane.flags.storing.proposals import Proposal, Status
from greenlane.flags.storing.state import FlagState, StoredFlag, StoredFlags, as_written

MOST_ENTRIES = 100
"""Audit entries in one answer, at most."""

LAST_VERSION = 999_999_999_999
"""The audit's entries are in the order of twelve digits."""

LONGEST_ID = 100
"""Characters of a proposal's id, at most."""

Why = Annotated[str, Field(max_length=500, description="For the audit.")]
Environment = Annotated[
    str, Field(min_length=1, max_length=100, description="Only there; everywhere when left out.")
]


class Reason(Document):
    """Why somebody decides."""

    reason: Why = ""


class Deciding(Reason):
    """Why, and where."""

    environment: Environment | None = None


class PutFlag(Reason):
    """A whole flag, as a file has it under `feature_flags`."""

    flag: Flag


class ChangeFlag(Deciding):
    """Some keys of a flag, as a file has them; null takes a key out."""

    changes: dict[str, Any] = Field(
        min_length=1, max_length=50, examples=[{"percentage": 25}], description="By key."
    )


class StartRamp(Reason):
    """A rollout in steps, up to `target` percent."""

    environment: Annotated[str, Field(min_length=1, max_length=100)]
    target: Percentage = Decimal(100)
    increment: Annotated[Percentage, Field(gt=0)] = Decimal(5)
    interval: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(seconds=300)


class _Query(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReasonQuery(_Query):
    """For methods without a body."""

    reason: Why = ""


class RampQuery(ReasonQuery):
    """Which ramp."""

    environment: Annotated[str, Field(min_length=1, max_length=100)]


class AuditQuery(_Query):
    """A part of the audit, newest first."""

    before: int | None = Field(None, ge=1, le=LAST_VERSION, description="Versions below this one.")
    limit: int = Field(50, ge=1, le=MOST_ENTRIES)


class ProposalQuery(_Query):
    """Some of the proposals, newest first."""

    status: Status | None = Field(None, description="Only these; all when left out.")
    before: Annotated[str, Field(min_length=1, max_length=LONGEST_ID)] | None = Field(
        None, description="Proposals older than the one of this id."
    )
    limit: int = Field(50, ge=1, le=MOST_ENTRIES)


class IfMatch(BaseModel):
    """Only if the flag is as it was seen."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    if_match: str | None = Field(
        None,
        alias="If-Match",
        pattern=r'^(\*|"[0-9]{1,15}")$',
        description="The ETag of the flag as it was seen, or `*` for any that is there.",
    )


class Preconditions(IfMatch):
    """Only if the flag is as it was seen, or only if it is not there."""

    if_none_match: str | None = Field(
        None,
        alias="If-None-Match",
        pattern=r"^\*$",
        description="`*`: only if there is no such flag yet.",
    )


class FlagView(BaseModel):
    """A flag, when it was last changed, and its state by environment.

    `revision` is its ETag, without the quotes.
    """

    key: str
    revision: int
    by: str
    at: str | None
    flag: dict[str, Any]
    on: dict[str, bool] = Field(description="Whether anybody can have it, by environment.")
    states: dict[str, FlagState]

    @classmethod
    def of(cls, key: str, stored: StoredFlag, flags: StoredFlags) -> "FlagView":
        """A flag of a set."""
        return cls(
            key=key,
            revision=stored.revision,
            by=stored.by,
            at=stored.at.isoformat() if stored.at is not None else None,
            flag=as_written(stored.flag),
            on={name: stored.is_on(name) for name in flags.environments},
            states=stored.states,
        )


class FlagList(BaseModel):
    """All flags at one version."""

    version: int
    environments: tuple[str, ...]
    flags: tuple[FlagView, ...]


class ChangeView(BaseModel):
    """What a change came to. With a `proposal` nothing changed yet: a second person must agree."""

    version: int
    keys: tuple[str, ...]
    environments: tuple[str, ...]
    revisions: dict[str, int] = Field(description="Of the flags that changed, by key.")
    proposal: Proposal | None = None


class AuditPage(BaseModel):
    """Some of what was changed, newest first; `next` is the `before` of the next page."""

    entries: tuple[AuditEntry, ...]
    next: int | None = None


class ProposalList(BaseModel):
    """Changes that wait for a second person, and those decided before; newest first.

    `next` is the `before` of the next page.
    """

    proposals: tuple[Proposal, ...]
    next: str | None = None
