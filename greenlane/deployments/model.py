"""The documents of a deployment: request, plan, record, state and history.

`Record` is the one item that decides (lease, owner, epoch, phase). `Deployment` is the small
document that travels through the state machine. `Plan` is the snapshot of everything the
deployment was asked to do, kept beside its history.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from greenlane.deployments.declaring.config import (
    SERVICE_NAME_PATTERN,
    ServiceConfig,
    Step,
    Strategy,
    ValidationTest,
    WarmUp,
    check_weights,
)
from greenlane.deployments.phases import Phase
from greenlane.deployments.shipped_with import ReleaseMigrations
from greenlane.deployments.storing.shapes import StoredModel as StoredModel
from greenlane.deployments.storing.shapes import Why
from greenlane.deployments.storing.stored import as_stored, is_stored
from greenlane.deployments.workload import Workload
from greenlane.durations import Duration
from greenlane.health.observed import Baseline

SCHEMA = 1
"""Version of `Record`, `Plan` and `Deployment`. A reader of version N also reads N - 1."""

Slot = Literal["blue", "green"]
SignalName = Literal["pause", "resume", "promote", "promote_all", "abort"]
VerdictName = Literal["pass", "fail", "hold"]


def other(slot: Slot) -> Slot:
    """The slot that is not this one."""
    return "green" if slot == "blue" else "blue"


class Model(BaseModel):
    """Frozen; unknown keys are errors at the edges where people write them."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DeploymentRequest(Model):
    """What somebody asks for: exactly one of image, version or task definition."""

    service: str = Field(pattern=SERVICE_NAME_PATTERN)
    image: str | None = Field(None, description="full reference with a tag or a digest")
    version: str | None = Field(None, description="a tag in the service's repository")
    task_definition: str | None = Field(None, description="family:revision or ARN")
    container: str | None = Field(None, description="whose image is replaced")
    strategy: Strategy | None = None
    steps: tuple[Step, ...] | None = None
    bake: Duration | None = None
    validation: tuple[ValidationTest, ...] | None = Field(
        None, description="instead of the configured tests"
    )
    despite_alarms: Why | None = Field(None, description="why red alarms are ignored")
    # None and not False: an older version of the functions knows no such key.
    undo: Literal[True] | None = Field(
        None, description="back to a version that was good: no waiting for evidence"
    )
    migrations: ReleaseMigrations | None = Field(None, description="those of its database")
    rollout_epoch: int | None = Field(
        None, ge=1, description="of the coordinator of a rollout through several Regions"
    )
    rollout_digest: str | None = Field(None, description="of the image that all Regions ship")
    requested_by: str = "unknown"
    deployment_id: str | None = Field(
        None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$", description="for idempotent requests"
    )

    @model_validator(mode="after")
    def _weights_rise_to_100(self, info: ValidationInfo) -> Self:
        if self.steps is not None and not is_stored(info):
            check_weights([step.weight for step in self.steps])
        return self

    @model_validator(mode="after")
    def _names_one_thing_to_deploy(self, info: ValidationInfo) -> Self:
        if is_stored(info):
            return self
        given = [name for name in ("image", "version", "task_definition") if getattr(self, name)]
        if len(given) != 1:
            found = " and ".join(given) if given else "none of them"
            raise ValueError(
                f"name exactly one of image, version and task_definition; found {found}"
            )
        if self.image is not None and not _has_tag_or_digest(self.image):
            raise ValueError(
                f"image: {self.image!r} has neither a tag nor a digest; "
                f"write {self.image}:TAG or {self.image}@sha256:DIGEST"
            )
        return self


def _has_tag_or_digest(image: str) -> bool:
    return "@sha256:" in image or ":" in image.rsplit("/", 1)[-1]


class PlannedStep(StoredModel):
    """One step of a plan; `watch` is the one after promotion."""

    weight: int
    bake_seconds: int
    approval: bool = False
    kind: Literal["step", "final", "watch"] = "step"


class Plan(StoredModel):
    """Everything the deployment was asked to do, snapshotted when it began."""

    schema_version: int = SCHEMA
    deployment_id: str
    request: Annotated[DeploymentRequest, as_stored(DeploymentRequest)]
    config: Annotated[ServiceConfig, as_stored(ServiceConfig)]
    config_version: int
    workload: Annotated[Workload, as_stored(Workload)]
    strategy: Strategy
    steps: tuple[PlannedStep, ...]
    live: Slot
    candidate: Slot
    live_task_definition: str
    image: str | None = None
    container: str | None = None
    full_capacity: int = Field(description="tasks that carry all of the traffic")
    alarm_definitions: dict[str, str] = Field(
        default_factory=dict, description="digests of the trigger alarms, by name"
    )
    baseline: tuple[Baseline, ...] = Field(
        (), description="what the live slot was like in the minutes before"
    )
    started_at: datetime
    deadline: datetime

    @property
    def service(self) -> str:
        """The service's name."""
        return self.request.service

    @property
    def trigger_alarms(self) -> tuple[str, ...]:
        """The alarms that start the way back: the candidate's, and those of the whole service."""
        return (*self.workload.slots[self.candidate].alarms, *self.workload.alarms)

    @property
    def candidate_alarms(self) -> tuple[str, ...]:
        """The alarms that say the candidate is bad if they are red.

        Where the live slot is ill and this deployment its cure, those of the whole service may
        have been red before; only their turning red anew says something.
        """
        if self.request.despite_alarms is None:
            return self.trigger_alarms
        return self.workload.slots[self.candidate].alarms

    def target_group(self, slot: Slot) -> str:
        """The ARN of a slot's target group."""
        return self.workload.slots[slot].target_group_arn


class Recipe(StoredModel):
    """The complete `ModifyRule` body that restores the good slot."""

    rule_arn: str
    good_slot: Slot
    good_target_group: str
    bad_target_group: str
    capacity: int = Field(1, description="tasks that carry all of the traffic")
    actions: list[dict[str, Any]]
    stickiness: dict[str, Any] | None = Field(None, description="the user's own, when it was on")


class Trigger(StoredModel):
    """Why a rollback began.

    `name` is the alarm's, the alert's, the error's or the person's; of an ECS failure it is the
    id of the ECS deployment that failed. `slot` is whose trouble it tells, where that is known.
    `source` is who sent an alert that is none of your Alertmanager's.
    """

    kind: Literal["alarm", "alertmanager", "ecs", "execution", "failure", "person", "reconciler"]
    name: str = ""
    reason: str = ""
    at: datetime | None = None
    event_id: str | None = None
    slot: Slot | None = None
    source: str = ""


class Signal(StoredModel):
    """What a person asked a running deployment to do, and at which step."""

    name: SignalName
    step: int
    by: str
    at: datetime

    def reaches(self, step: int) -> bool:
        """Whether it is for that step.

        What means the deployment as a whole, abort and pause, also reaches the step after the one
        it was sent at: the shift may have been under way already.
        """
        if self.name == "abort":
            return True
        return step == self.step or (self.name == "pause" and step == self.step + 1)


class SuspendedScaling(StoredModel):
    """What a scalable target looked like before its scale-in was suspended."""

    resource_id: str
    min_capacity: int
    max_capacity: int
    dynamic_in: bool
    dynamic_out: bool
    scheduled: bool


class ScaleIn(StoredModel):
    """ECS was asked, or is about to be, for so few `tasks` of a slot; see `scale_in`."""

    slot: Slot
    tasks: int
    at: datetime


class Drift(StoredModel):
    """Something that somebody else changed: told once, never overwritten.

    `subject` is what was changed: a slot, an alarm, a scalable target, or the listener rule. Until
    a second look has found it too, it is not told.
    """

    kind: Literal["weights", "tasks", "alarm", "scaling"]
    subject: str
    what: str
    since: datetime
    told: bool = False


class Shift(StoredModel):
    """The candidate got this weight, in percent, at that time."""

    at: datetime
    weight: int


class Record(StoredModel):
    """The one item per service that decides: lease, owner, epoch, phase and what goes back."""

    schema_version: int = SCHEMA
    service: str
    deployment_id: str
    epoch: int
    phase: Phase
    live: Slot
    candidate: Slot
    started_at: datetime
    updated_at: datetime
    deadline: datetime
    step: int = 0
    weight: int = 0
    intended_weight: int | None = None
    shifted_at: datetime | None = None
    shifts: tuple[Shift, ...] = Field((), description="each change of weight, oldest first")
    full_capacity: int = 1
    recipe: Recipe | None = None
    trigger_alarms: tuple[str, ...] = ()
    execution: str | None = None
    rollback_execution: str | None = None
    previous_phase: Phase | None = None
    trigger: Trigger | None = None
    bake_token: str | None = None
    bake_step: int | None = None
    bake_entered: datetime | None = Field(None, description="when the token's state was entered")
    bake_until: datetime | None = None
    hold_until: datetime | None = None
    paused: bool = False
    approved_step: int | None = None
    signal: Signal | None = None
    promoted_at: datetime | None = None
    watch_until: datetime | None = None
    success_told: bool = False
    task_definition: str | None = None
    primary_deployment: str | None = None
    scaling: tuple[SuspendedScaling, ...] = ()
    scaling_rests: bool = False
    scaled_in: ScaleIn | None = Field(None, description="the latest one, sent or about to be")
    scaling_given_again: bool = Field(
        False, description="it was found suspended after the end, and given back once more"
    )
    stable_by: datetime | None = None
    settled_by: datetime | None = None
    fast_track: bool = False
    before_traffic_since: datetime | None = None
    gates_waived: bool = Field(False, description="the history says which gates policy passed")
    pre_task: str | None = Field(None, description="the ARN of the task before traffic")
    pre_task_done: bool = Field(False, description="it was seen to succeed")
    held_before: tuple[str, ...] = Field(
        (), description="earlier deployments that are held, until one of these succeeds"
    )
    stickiness: dict[str, Any] | None = Field(None, description="the user's own, switched off")
    stickiness_due: datetime | None = None
    observed_dead_at: datetime | None = None
    completions: int = Field(0, description="executions that went on after one had died")
    drift: tuple[Drift, ...] | None = Field(
        None, description="what others changed, while it stands"
    )
    reason: str | None = None


class Probe(StoredModel):
    """What the validation function needs: it runs inside the VPC and calls no AWS API."""

    targets: tuple[str, ...] = Field(description="http://address:port of each healthy task")
    tests: tuple[Annotated[ValidationTest, as_stored(ValidationTest)], ...] = ()
    warm_up: Annotated[WarmUp, as_stored(WarmUp)] = WarmUp()


class Deployment(StoredModel):
    """The state document: it goes from function to function through the state machine."""

    schema_version: int = SCHEMA
    deployment_id: str
    service: str
    epoch: int = 0
    step: int = 0
    next: Literal["expand", "shift", "bake", "promote", "finish"] = "shift"
    bake_seconds: int = 1
    probe: Probe | None = None
    recipe: Recipe | None = Field(None, description="the way back, for when the table is down")
    note: str | None = Field(None, description="what a function without AWS access has to tell")


class HistoryEvent(StoredModel):
    """One line of a deployment's append-only history."""

    at: datetime
    kind: str
    actor: str
    detail: dict[str, Any] = Field(default_factory=dict)


class CheckResult(StoredModel):
    """One criterion's verdict with its numbers."""

    name: str
    verdict: VerdictName
    value: Decimal | None = None
    limit: Decimal | None = None
    reason: str = ""
    source: str = Field("", description="the file that asks it")


class Verdict(StoredModel):
    """The judgement of one step: the worst of its checks."""

    verdict: VerdictName
    checks: tuple[CheckResult, ...] = ()
    requests: int = 0
    reason: str = ""
    would: VerdictName | None = Field(None, description="what the numbers say, in shadow mode")
    would_because: str = ""


class Judgement(StoredModel):
    """A verdict, and the step it was about; the latest look at a bake is kept as one."""

    at: datetime
    step: int | None
    verdict: Verdict


class DeploymentSummary(StoredModel):
    """One line in a service's list of deployments."""

    deployment_id: str
    service: str
    phase: Phase
    strategy: Strategy
    image: str | None = None
    version: str | None = Field(None, description="what was asked for, where that was a version")
    task_definition: str | None = None
    requested_by: str = "unknown"
    started_at: datetime
    ended_at: datetime | None = None
    reason: str | None = None
    report: str | None = Field(None, description="the key of its report, if one was written")
