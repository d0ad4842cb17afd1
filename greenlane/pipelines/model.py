"""What anybody may ask of Greenlane, whichever door it comes through.

A request is one mapping. Its envelope says how to carry it out: which pipeline execution it belongs
to, whether to wait, what a stopped pipeline means. The rest is its subject, one of five: a
deployment in this Region (whose keys are those of `DeploymentRequest`), a rollout through several
(`regions`), a `flag`, an `experiment`, or a phase of a `migration`.
"""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Literal, Self

from pydantic import Field, model_validator

from greenlane.deployments.declaring.config import SERVICE_NAME_PATTERN
from greenlane.deployments.model import DeploymentRequest
from greenlane.deployments.storing.shapes import Document
from greenlane.durations import Duration
from greenlane.migrations.validating.model import Phase
from greenlane.regions.declaring.model import Type
from greenlane.regions.planning.model import Policy

Kind = Literal["deployment", "rollout", "flag", "experiment", "migration"]
OnStop = Literal["abort", "leave"]

ACTION_FUNCTION = "greenlane-run-pipeline-action"
"""The function that a pipeline's Lambda action names."""

REQUEST_MACHINE = "greenlane-request"
"""The state machine that the native action, and an event, start."""

IMAGE_DEFINITIONS = "imagedefinitions.json"
"""What AWS's own ECS action calls the file with the images that a build made."""


class Envelope(Document):
    """How a request is carried out.

    Args:
        pipeline_execution_id: of the pipeline's run; the same request with the same one begins
            once.
        action: a name that tells apart two requests of one pipeline about the same thing.
        wait: `end` answers when it is over, `start` once it has begun.
        on_stop: whether what is under way is aborted when the pipeline is stopped and abandons it.
        artifact: the input artifact that files are in; needed when there are several.
        image_definitions: the file in it that names the image.
        request_file: a file in it with further keys of the request; a key given besides wins.
        requested_by: who is recorded as having asked.
    """

    pipeline_execution_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")
    action: str | None = Field(None, pattern=r"^[a-z][a-z0-9-]{0,15}$")
    wait: Literal["end", "start"] = "end"
    on_stop: OnStop = "abort"
    artifact: str | None = None
    image_definitions: str | None = None
    request_file: str | None = None
    requested_by: str | None = Field(None, min_length=1, max_length=200)


class Ramp(Document):
    """A flag that is raised in steps; percent.

    Args:
        to: how far.
        increment: with each step.
        interval: between two steps.
    """

    to: Decimal = Field(gt=0, le=100)
    increment: Decimal = Field(Decimal(5), gt=0, le=100)
    interval: Duration = timedelta(minutes=5)


class FlagAsked(Document):
    """A change of one feature flag: exactly one of `set`, `enabled` and `ramp`.

    Args:
        key: the flag.
        environment: where; everywhere if left out, which a ramp cannot.
        set: keys as in a file, such as `{"percentage": 25}`.
        enabled: switch it on, or off for everybody.
        ramp: raise it in steps.
        reason: for the audit.
    """

    key: str
    environment: str | None = None
    set: dict[str, object] | None = Field(None, min_length=1)
    enabled: bool | None = None
    ramp: Ramp | None = None
    reason: str = Field("", max_length=1000)

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        given = [name for name in ("set", "enabled", "ramp") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) if given else "none of them"
            raise ValueError(f"name exactly one of set, enabled and ramp; found {found}")
        if self.ramp is not None and self.environment is None:
            raise ValueError("environment: a ramp needs it, such as production")
        return self


class ExperimentAsked(Document):
    """What is to become of one A/B test.

    Args:
        name: the test.
        to: `start` begins a draft, `stop` ends it whatever its numbers say.
        serve: after a stop, the variant that all who are eligible get; the control if left out.
        reason: for the record; a stop needs it.
    """

    name: str
    to: Literal["start", "stop"]
    serve: str | None = None
    reason: str = Field("", max_length=1000)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.to == "stop" and not self.reason.strip():
            raise ValueError("reason: say why it is stopped; the record keeps it")
        if self.to == "start" and self.serve is not None:
            raise ValueError("serve: it goes with `to: stop`")
        return self


class MigrationAsked(Document):
    """One phase of a plan of migrations, by itself.

    Args:
        database: its name, as it was described.
        plan: the plan's checksum; the plan is kept by whoever makes it.
        phase: `expand`, `migrate` or `contract`.
        deployment: it waits while that is not well, and ends with it.
        on_failure: whether what it did is undone as far as that is exact.
        reason: for the history.
    """

    database: str = Field(pattern=SERVICE_NAME_PATTERN)
    plan: str = Field(pattern=r"^[0-9a-f]{64}$")
    phase: Phase
    deployment: str | None = None
    on_failure: Literal["undo", "leave"] = "undo"
    reason: str = ""


@dataclass(frozen=True)
class RolloutAsked:
    """A deployment through several Regions.

    Args:
        request: what each Region is asked for.
        source: the file of Regions, as text; None for the one that was applied for the service.
        name: of that file.
        kind: how it goes through them; what the file says if None.
        policy: how careful.
        despite_hold: why a version that went back before is deployed again.
    """

    request: DeploymentRequest
    source: str | None
    name: str
    kind: Type | None
    policy: Policy
    despite_hold: str | None


Subject = DeploymentRequest | RolloutAsked | FlagAsked | ExperimentAsked | MigrationAsked


@dataclass(frozen=True)
class Asked:
    """A request that was found right.

    Args:
        envelope: how to carry it out.
        subject: what to do.
        digest: of the request as it was asked; equal for equal requests, whoever asks.
        by: who asks.
    """

    envelope: Envelope
    subject: Subject
    digest: str
    by: str

    @property
    def kind(self) -> Kind:
        """What it is about."""
        match self.subject:
            case DeploymentRequest():
                return "deployment"
            case RolloutAsked():
                return "rollout"
            case FlagAsked():
                return "flag"
            case ExperimentAsked():
                return "experiment"
            case MigrationAsked():
                return "migration"

    @property
    def name(self) -> str:
        """The name of what it is about: a service, a flag, a test, a database."""
        match self.subject:
            case DeploymentRequest(service=service):
                return service
            case RolloutAsked(request=request):
                return request.service
            case FlagAsked(key=key):
                return key
            case ExperimentAsked(name=name):
                return name
            case MigrationAsked(database=database, phase=phase):
                return f"{database}-{phase}"
