"""What is told of everything at once: what is under way, and what needs a person.

It is for people and programs to look at; nothing decides by it.
"""

from datetime import datetime
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from greenlane.deployments.phases import Phase
from greenlane.experiments.storing.state import Ending
from greenlane.flags.storing.state import RampStatus
from greenlane.migrations.restoring.model import Stage as RestoreStage
from greenlane.migrations.validating.model import Phase as MigrationPhase
from greenlane.regions.coordinating.model import Phase as RolloutPhase

Kind = Literal["deployment", "rollout", "migration", "restore", "flag", "proposal"]
Part = Literal["deployments", "rollouts", "migrations", "flags", "experiments"]


class Told(BaseModel):
    """A part of the answer."""

    model_config = ConfigDict(frozen=True)


class Need(Told):
    """Something that does not go on, or is not right again, without a person."""

    kind: Kind
    name: str = Field(description="The service, the database, the flag or the proposal.")
    id: str = Field("", description="Of the deployment, rollout, run, restore or environment.")
    what: str = Field(description="What is the matter, in one line.")
    since: datetime | None = None
    do: str = Field(description="The command to begin with.")


class DeploymentUnderWay(Told):
    """A deployment that has not ended, or is still watched.

    `step` counts from 1 to `steps`, the watch left out; `weight` is the new version's, in percent.
    """

    service: str
    deployment_id: str
    phase: Phase
    strategy: str | None = None
    step: int | None = None
    steps: int | None = None
    weight: int
    since: datetime
    bake_left_seconds: int | None = Field(None, description="Never negative.")
    watched_until: datetime | None = None
    paused: bool = False
    holds: bool = Field(False, description="It waits for evidence.")
    awaits_approval: bool = False


class RollbackUnderWay(Told):
    """A deployment on its way back."""

    service: str
    deployment_id: str
    weight: int = Field(description="Percent that the new version had when it was last written.")
    since: datetime = Field(description="When it was last seen to move.")
    because: str


class RolloutUnderWay(Told):
    """A version on its way through Regions, or still watched there."""

    service: str
    rollout_id: str
    phase: RolloutPhase
    version: str
    begun: int = Field(description="Regions in which it has begun.")
    regions: int
    since: datetime
    because: str = Field("", description="Why it waits, is held or goes back.")


class MigrationUnderWay(Told):
    """A migration that runs."""

    database: str
    run: str
    phase: MigrationPhase
    undo: bool = Field(False, description="It takes back what it did.")
    progress: str = ""
    waits_for: str = ""
    paused_by: str | None = None
    since: datetime


class RestoreUnderWay(Told):
    """A database that is restored."""

    database: str
    restore: str
    mode: str
    stage: RestoreStage | None
    since: datetime


class RampUnderWay(Told):
    """A flag that gets more users step by step; levels are percent."""

    flag: str
    environment: str
    ramp: str
    status: RampStatus
    level: Decimal
    target: Decimal
    next_at: datetime | None = Field(None, description="When it is raised if it is good.")
    since: datetime
    because: str = ""


class TestUnderWay(Told):
    """An A/B test that runs."""

    __test__ = False  # for pytest: it is none of its own

    name: str
    variants: tuple[str, ...]
    traffic: Decimal = Field(description="Percent of the eligible who take part.")
    since: datetime
    ends_by: datetime | None = None
    verdict: Ending | None = None


class Untold(Told):
    """What could not be told of."""

    part: str = Field(description="A part, or one thing in it: `deployments: checkout`.")
    why: str


class Everything(Told):
    """All of it, each list in the order of names."""

    at: datetime
    needs: tuple[Need, ...] = ()
    deployments: tuple[DeploymentUnderWay, ...] = ()
    rollbacks: tuple[RollbackUnderWay, ...] = ()
    rollouts: tuple[RolloutUnderWay, ...] = ()
    migrations: tuple[MigrationUnderWay, ...] = ()
    restores: tuple[RestoreUnderWay, ...] = ()
    ramps: tuple[RampUnderWay, ...] = ()
    tests: tuple[TestUnderWay, ...] = ()
    not_deployed: tuple[Part, ...] = Field((), description="Parts whose table is not there.")
    untold: tuple[Untold, ...] = Field(
        (), description="What cannot be read, may not be, or is too much to look at."
    )

    @property
    def quiet(self) -> bool:
        """Whether nothing is under way and nobody is needed."""
        return not any(
            (
                self.needs,
                self.deployments,
                self.rollbacks,
                self.rollouts,
                self.migrations,
                self.restores,
                self.ramps,
                self.tests,
            )
        )
