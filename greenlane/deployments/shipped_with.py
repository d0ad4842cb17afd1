"""The database migrations that a release brings along, as a deployment's request names them."""

import hashlib
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from greenlane.deployments.declaring.config import SERVICE_NAME_PATTERN

ReleasePhase = Literal["expand", "migrate"]
"""A contract is none of them: it waits until nothing needs the old shape any more."""

EXPANDS, EXPANDED = "database expands", "database expanded"
"""Kinds of events in a deployment's history, with the `run`."""


LONGEST_RUN = 72
"""Characters of a run's id; a deployment's own may have 80."""


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


def run_id(deployment_id: str, phase: ReleasePhase) -> str:
    """The id of a deployment's run of a phase: always the same, so that it is begun once.

    A long id is cut, and ends in its digest.
    """
    whole = f"{deployment_id}-{phase}"
    if len(whole) <= LONGEST_RUN:
        return whole
    ending = f"-{hashlib.sha256(deployment_id.encode()).hexdigest()[:8]}-{phase}"
    return deployment_id[: LONGEST_RUN - len(ending)] + ending
