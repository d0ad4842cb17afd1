"""What people and pipelines send about rollouts, and what they are told."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from greenlane.deployments.declaring.config import SERVICE_NAME_PATTERN, Step, ValidationTest
from greenlane.deployments.shipped_with import ReleaseMigrations
from greenlane.deployments.storing.shapes import Document
from greenlane.deployments.storing.shapes import Why as AnyWhy
from greenlane.durations import Duration
from greenlane.http.listing import MOST_LISTED, EventsPage
from greenlane.pipelines.request import APPLIED
from greenlane.regions.coordinating.model import Asked, Phase, Rollout, State
from greenlane.regions.coordinating.requesting import LONGEST_REASON
from greenlane.regions.declaring.model import Type
from greenlane.regions.planning.model import Policy

Why = Annotated[str, Field(min_length=3, max_length=LONGEST_REASON)]
RolloutId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$")]


def _given_or_applied(value: Any) -> Any:
    if value != APPLIED and not (isinstance(value, dict) and value):
        raise ValueError(f"write {APPLIED}, or a mapping with the Regions")
    return value


class StartRollout(Document):
    """A version for all Regions: exactly one of `version`, `image` and `task_definition`.

    The keys are those of a pipeline's request.
    """

    service: str = Field(pattern=SERVICE_NAME_PATTERN, examples=["claude-manager"])
    version: str | None = Field(None, description="A tag in each Region's repository.")
    image: str | None = Field(None, description="Full reference with a tag or a digest.")
    task_definition: str | None = Field(None, description="family:revision or ARN.")
    container: str | None = Field(None, description="Whose image is replaced.")
    steps: tuple[Step, ...] | None = Field(None, description="Of each Region.")
    bake: Duration | None = None
    validation: tuple[ValidationTest, ...] | None = Field(
        None, description="Instead of the configured tests."
    )
    despite_alarms: AnyWhy | None = Field(None, description="Why red alarms are passed.")
    migrations: ReleaseMigrations | None = Field(None, description="Those of its database.")
    strategy: Type | None = Field(
        None, description="How it goes through the Regions; what their file says if left out."
    )
    regions: Annotated[
        Annotated[dict[str, Any], Field(min_length=1)] | Literal["applied"],
        BeforeValidator(_given_or_applied),
    ] = Field(
        "applied",
        examples=[{"eu-west-1": {"traffic_percentage": 100}}],
        description="By name, or a whole file of Regions with `regions` as one of its keys; "
        "`applied` is the file that was applied for the service.",
    )
    policy: Policy = "balanced"
    despite_hold: Why | None = Field(
        None, description="Why a version is deployed again that went back before."
    )
    despite_windows: Why | None = Field(None, description="Why all windows are set aside.")
    despite_freezes: Why | None = Field(None, description="Why all freezes are set aside.")


class Wish(Document):
    """What somebody wants of a rollout."""

    reason: str = Field("", max_length=LONGEST_REASON, description="For the history.")
    rollout_id: RolloutId | None = Field(
        None, description="The one that is meant; a conflict if it is not the service's latest."
    )


class CloseRollout(Wish):
    """That what is left is done by hand."""

    reason: str = Field(
        min_length=1, max_length=LONGEST_REASON, description="What was done; needed here."
    )


class RolloutsQuery(BaseModel):
    """A part of the list, by the services' names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(20, ge=1, le=MOST_LISTED)
    after: str | None = Field(
        None, pattern=SERVICE_NAME_PATTERN, description="`next` of the page before."
    )


class RolloutSummary(BaseModel):
    """A service's latest rollout among others. `names` is its version, image or task definition."""

    service: str
    rollout_id: str
    names: str
    phase: Phase
    type: Type
    regions: dict[str, State]
    blocked: str
    held_for: str
    cause: str
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, record: Rollout) -> "RolloutSummary":
        """A record in short."""
        request = record.request
        named = request.version or request.image or request.task_definition or ""
        own = {"names", "regions"}
        same = {name: getattr(record, name) for name in cls.model_fields if name not in own}
        regions = {name: one.state for name, one in record.regions.items()}
        return cls(names=named, regions=regions, **same)


class RolloutList(BaseModel):
    """The latest rollout of each service; `next` is the `after` of the next page."""

    rollouts: tuple[RolloutSummary, ...]
    next: str | None = None


class RolloutView(BaseModel):
    """A service's latest rollout.

    Args:
        rollout: its record, with each Region.
        wish: what a person wants of it that was not heeded yet.
        waits_until: the latest instant at which its coordinator looks again, UTC.
    """

    rollout: Rollout
    wish: Asked | None = None
    waits_until: datetime | None = None


class WishTaken(BaseModel):
    """What was asked, and of which rollout; it is heeded within minutes."""

    rollout_id: str
    asked: str


class RolloutHistory(EventsPage):
    """What happened in a rollout, oldest first; `next` is the `after` of the next page."""

    rollout_id: str
