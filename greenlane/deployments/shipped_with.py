"""The database migrations that a release brings along, as a deployment's request names them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from greenlane.deployments.declaring.config import SERVICE_NAME_PATTERN

ReleasePhase = Literal["expand", "migrate"]
"""A contract is none of them: it waits until nothing needs the old shape any more."""


class ReleaseMigrations(BaseModel):
    """Which phases of which plan go with a release.

    Args:
        database: its name, as it was described to Greenlane; it must be the service's own.
        plan: the checksum of the plan, which is in the bucket of plans.
        phases: `expand` is done before the first task of the new version starts, `migrate` begins
            with its first traffic.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    database: str = Field(pattern=SERVICE_NAME_PATTERN)
    plan: str = Field(pattern=r"^[0-9a-f]{64}$")
    phases: tuple[ReleasePhase, ...] = Field(("expand", "migrate"), min_length=1, max_length=2)

    @field_validator("phases")
    @classmethod
    def _in_order(cls, phases: tuple[ReleasePhase, ...]) -> tuple[ReleasePhase, ...]:
        return tuple(sorted(set(phases)))
