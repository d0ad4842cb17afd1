"""What people and pipelines send about A/B tests, and what they are told."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from greenlane.deployments.storing.shapes import Document
from greenlane.experiments.model import Experiment, Holdout, Layer, Name, Ramp
from greenlane.experiments.records import Look
from greenlane.experiments.storing.state import (
    AuditedChange,
    Ending,
    Part,
    SharedParts,
    Status,
    StoredEpoch,
    StoredTest,
)
from greenlane.flags.definitions.model import Condition, Percentage
from greenlane.flags.storing.state import as_written

MOST_ENTRIES = 100
"""Audit entries or looks in one answer, at most."""

LAST_NUMBER = 999_999_999
"""Of a run or a look."""

MOST_SHARDS = 64

Why = Annotated[str, Field(max_length=500, description="For the audit.")]
Yes = Annotated[bool, Field(strict=True)]


class TestReason(Document):
    """Why somebody decides."""

    reason: Why = ""


class PutTest(TestReason):
    """A test, with the layers, holdouts and segments that it names, as a file has them."""

    experiment: Experiment
    layers: dict[Name, Layer] = Field(default_factory=dict, max_length=50)
    holdouts: dict[Name, Holdout] = Field(default_factory=dict, max_length=50)
    segments: dict[str, Condition] = Field(default_factory=dict, max_length=100)
    start: Annotated[Yes, Field(description="Begin it, where it is a draft.")] = False
    again: Annotated[Yes, Field(description="Begin it again, where it ended.")] = False


class CreateTest(PutTest):
    """A new test, under its name."""

    name: Name


class StartTest(TestReason):
    """How a test begins."""

    shards: Annotated[int, Field(strict=True, ge=1, le=MOST_SHARDS)] | None = Field(
        None, description="Of its counters: more than 8 where hundreds of events come each second."
    )
    again: Annotated[Yes, Field(description="Begin it again, where it ended.")] = False


class StopTest(Document):
    """How a person ends a test, whatever its numbers say."""

    reason: str = Field(min_length=1, max_length=500, description="For the audit; needed here.")
    serve: Name | None = Field(
        None, description="What those have from now on who are eligible; the control if left out."
    )
    run: int | None = Field(
        None,
        ge=1,
        strict=True,
        description="The run that is meant; a conflict if another one is there. Any if left out.",
    )


class ChangeTest(TestReason):
    """What may change while a test runs; at least one of the three."""

    weights: dict[Name, Percentage] | None = Field(
        None,
        min_length=2,
        max_length=20,
        examples=[{"control": 30, "treatment": 70}],
        description="Percent of all variants, adding up to 100.",
    )
    traffic: Percentage | None = Field(None, description="Percent of the eligible; only upward.")
    ramp: Ramp | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.weights is None and self.traffic is None and self.ramp is None:
            raise ValueError("weights: write these, or traffic, or ramp")
        return self


class _Query(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TestAuditQuery(_Query):
    """How much of the audit."""

    limit: int = Field(50, ge=1, le=MOST_ENTRIES)


class LooksQuery(_Query):
    """Which looks, oldest first."""

    run: int | None = Field(None, ge=1, le=LAST_NUMBER, description="The latest if left out.")
    after: int = Field(0, ge=0, le=LAST_NUMBER, description="Looks with a higher number.")
    limit: int = Field(20, ge=1, le=MOST_ENTRIES)


class ResultsQuery(_Query):
    """Of whom."""

    segment: str | None = Field(
        None, min_length=1, max_length=64, description="Declared by the test; all if left out."
    )


class IfTest(BaseModel):
    """Only if the test is as it was seen."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    if_match: str | None = Field(
        None,
        alias="If-Match",
        pattern=r'^(\*|"[0-9]{1,15}")$',
        description="The ETag of the test as it was seen, or `*` for any that is there.",
    )


class TestPreconditions(IfTest):
    """Only if the test is as it was seen, or only if it is not there."""

    if_none_match: str | None = Field(
        None,
        alias="If-None-Match",
        pattern=r"^\*$",
        description="`*`: only if there is no such test yet.",
    )


class TestView(BaseModel):
    """A test: what was written, and what became of it. `version` is its ETag without quotes.

    `experiment` is as a file has it, with the weights and the traffic of now. Together with `salt`,
    `holdouts`, `layer` and the slices of `epochs` it says who gets what, see docs/experiments.md.
    """

    name: str
    version: int
    status: Status
    run: int
    control: str
    experiment: dict[str, Any]
    salt: str
    holdouts: tuple[Part, ...]
    layer: Part | None
    epochs: tuple[StoredEpoch, ...]
    started_at: datetime | None
    ended_at: datetime | None
    verdict: Ending | None
    serve: str | None
    reason: str = Field(description="Of the end, in words.")
    execution: str | None
    by: str = Field(description="Who changed it last.")
    at: datetime | None
    change_reason: str = Field(description="The reason that they gave.")

    @classmethod
    def of(cls, test: StoredTest) -> "TestView":
        """A test as it is stored."""
        same = {name: getattr(test, name) for name in cls.model_fields if name != "experiment"}
        return cls(experiment=as_written(test.as_it_is()), **same)


class TestSummary(BaseModel):
    """A test among others. `weights` are percent, as they are now."""

    name: str
    version: int
    status: Status
    run: int
    description: str
    control: str
    weights: dict[str, Decimal]
    traffic: Decimal
    started_at: datetime | None
    ended_at: datetime | None
    verdict: Ending | None
    serve: str | None
    by: str
    at: datetime | None

    @classmethod
    def of(cls, test: StoredTest) -> "TestSummary":
        """A test as it is stored."""
        own = {"description", "weights", "traffic"}
        same = {name: getattr(test, name) for name in cls.model_fields if name not in own}
        now = test.as_it_is()
        return cls(description=now.description, weights=now.variants, traffic=now.traffic, **same)


class TestList(BaseModel):
    """All tests by name, with what they share; `version` is that of all together."""

    version: int
    tests: tuple[TestSummary, ...]
    shared: SharedParts


class TestAudit(BaseModel):
    """What was changed, newest first; `more` when older ones were left out."""

    entries: tuple[AuditedChange, ...]
    more: bool


class LooksPage(BaseModel):
    """Looks, oldest first; `next` is the `after` of the next page."""

    run: int
    looks: tuple[Look, ...]
    next: int | None = None
