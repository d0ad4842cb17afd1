"""What people and pipelines send about deployments, and what they are told.

What the command line prints with `--output json` and what is told here are the same models.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    create_model,
)

from greenlane.deployments.declaring.config import SERVICE_NAME_PATTERN, Step, Strategy
from greenlane.deployments.looking.foreseeing import DAYS
from greenlane.deployments.looking.status import Outcome
from greenlane.deployments.model import (
    DeploymentRequest,
    DeploymentSummary,
    Judgement,
    Plan,
    Record,
    SignalName,
    Slot,
)
from greenlane.deployments.phases import Phase
from greenlane.deployments.storing.shapes import Document, StoredModel
from greenlane.durations import Duration
from greenlane.health.evidence import Evidence, Posted
from greenlane.health.foresight import SEES
from greenlane.health.replay import Look, StretchReplay
from greenlane.http.listing import MOST_LISTED
from greenlane.pipelines.request import DEPLOYMENT

DEPLOYMENT_ID = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$"
LAST_NUMBER = 999_999_999
FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""Between them one can count on from an instant."""

Reason = Annotated[
    StrictStr, Field(min_length=1, max_length=500, description="For the history and the messages.")
]
ServiceName = Annotated[StrictStr, Field(pattern=SERVICE_NAME_PATTERN, examples=["claude-manager"])]
DeploymentId = Annotated[StrictStr, Field(pattern=DEPLOYMENT_ID)]


class AnyKeys(BaseModel):
    """A JSON object; the reader of requests says what is wrong with its keys."""

    model_config = ConfigDict(frozen=True, extra="allow")


def _as_written(name: str) -> Any:
    field = DeploymentRequest.model_fields[name]
    return (field.annotation, field)


StartDeployment: type[BaseModel] = create_model(
    "StartDeployment",
    __base__=Document,
    __doc__="What to deploy: exactly one of image, version and task_definition.",
    **{name: _as_written(name) for name in DEPLOYMENT},
)
"""For the document of the API; `greenlane.pipelines.request.read_deployment` reads it."""


class SendSignal(Document):
    """What to tell the deployment that runs."""

    signal: SignalName
    step: Annotated[StrictInt, Field(ge=0, le=LAST_NUMBER)] | None = Field(
        None,
        description="The step that you saw, counted from 0 as in the record; at another one the "
        "signal does nothing. What is said about it counts from 1, as people do.",
    )


class RollBack(Document):
    """Why the latest deployment is taken back."""

    reason: Reason
    deployment_id: DeploymentId | None = Field(
        None, description="Only if this is still the latest deployment."
    )


class Undo(Document):
    """Which version is wanted back, and why; `to` or `steps_back`, or neither."""

    reason: Reason
    to: DeploymentId | None = Field(None, description="Back to the version of this deployment.")
    steps_back: Annotated[StrictInt, Field(ge=1, le=50)] | None = Field(
        None, description="So many good versions; 1 when left out."
    )


class JudgeAgain(Document):
    """Which criteria are asked of what was observed."""

    criteria: Annotated[StrictStr, Field(min_length=1, max_length=65_536)] | None = Field(
        None,
        description="A file's text whose criteria are asked instead of the deployment's own.",
        examples=["success_criteria:\n  error_rate: '< 0.5%'\n"],
    )


class Foresee(Document):
    """Which deployment, how much traffic to look at, and what its steps should see."""

    strategy: Strategy | None = None
    steps: tuple[Step, ...] | None = Field(None, max_length=50)
    bake: Duration | None = None
    days: Annotated[StrictInt, Field(ge=1, le=63)] = DAYS
    at: Annotated[AwareDatetime, Field(ge=FIRST, lt=LAST)] | None = Field(
        None, description="When its first weight would be written; now when left out."
    )
    sees: float = Field(SEES, gt=0, lt=1, description="The error rate that each step should see.")


class PostEvidence(Posted):
    """A result about one image of a service."""

    service: ServiceName


class _Query(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ServicesQuery(_Query):
    """Which services, by name."""

    limit: int = Field(20, ge=1, le=MOST_LISTED)
    after: str | None = Field(
        None, max_length=64, description="Names after this one: the `next` of the last page."
    )


class VerdictsQuery(_Query):
    """Which verdicts, oldest first."""

    limit: int = Field(20, ge=1, le=MOST_LISTED)
    after: int = Field(
        0, ge=0, le=LAST_NUMBER, description="Leave out so many: the `next` of the last page."
    )


class ReportQuery(_Query):
    """How the report is written."""

    format: Literal["json", "markdown"] = "json"


class EvidenceQuery(_Query):
    """Of which images, newest first."""

    service: str = Field(pattern=SERVICE_NAME_PATTERN, examples=["claude-manager"])
    digest: str | None = Field(
        None, pattern=r"^sha256:[0-9a-f]{64}$", description="Of one image only."
    )
    limit: int = Field(20, ge=1, le=MOST_LISTED)
    before: AwareDatetime | None = Field(
        None, description="Posted earlier: the `next` of the last page."
    )


class ServiceLine(StoredModel):
    """Where a service stands by its record; all but the name is null before its first deployment.

    `weight` is the candidate's, in percent; `step` counts from 0, as in the record. `outcome` is
    that of the latest deployment, null while it is under way.
    """

    service: str
    deployment_id: str | None = None
    phase: Phase | None = None
    outcome: Outcome | None = None
    live: Slot | None = None
    candidate: Slot | None = None
    step: int | None = None
    weight: int | None = None
    paused: bool | None = None
    started_at: datetime | None = None
    updated_at: datetime | None = None


class ServiceList(StoredModel):
    """Services by name; `next` is the `after` of the next page."""

    services: tuple[ServiceLine, ...]
    next: str | None = None


class DeploymentList(StoredModel):
    """A service's deployments, newest first; `next` is the `before` of the next page."""

    deployments: tuple[DeploymentSummary, ...]
    next: str | None = None


class DeploymentView(StoredModel):
    """One deployment: what it was asked to do, and what became of it.

    `plan` is null of one that was refused or is still being planned. `record` is the service's as
    long as this is its latest deployment. `judgement` is the latest verdict. `outcome` is null
    while it is under way.
    """

    deployment_id: str
    service: str
    outcome: Outcome | None = None
    record: Record | None = None
    plan: Plan | None = None
    judgement: Judgement | None = None


class VerdictList(StoredModel):
    """What the judge said of a deployment, oldest first; `next` is the `after` of the next page.

    `latest` is its latest look, which is no verdict of a step yet.
    """

    verdicts: tuple[Judgement, ...]
    latest: Judgement | None = None
    next: int | None = None


class JudgedAgain(StoredModel):
    """What a past deployment is judged to be; nothing acts.

    `passed` says whether each step would have ended with a pass, `failed` is the look at which it
    would have gone back, `looks` counts them.
    """

    stretches: tuple[StretchReplay, ...] = ()
    failed: Look | None = None
    looks: int = 0
    notes: tuple[str, ...] = ()
    passed: bool


class EvidenceList(StoredModel):
    """What was posted about a service's images, newest first.

    `next` is the `before` of the next page.
    """

    evidence: tuple[Evidence, ...]
    next: datetime | None = None
