"""What a deployment works on: one service's two slots, its listener rule, its alarms.

The description is configuration, not a stack's export: whoever owns the environment writes this
JSON to the SSM parameter `/greenlane/workloads/<service>`, so that a service built without our
templates can be adopted by writing the same few lines.
"""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

SlotName = Literal["blue", "green"]


class _Frozen(BaseModel):
    """A value that never changes, and that refuses a key it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SlotResources(_Frozen):
    """One slot: its ECS service, its target group and the alarms on that target group.

    `service` is the name within the workload's cluster, `alarms` are full CloudWatch alarm names.
    """

    service: str
    target_group_arn: str
    alarms: tuple[str, ...] = Field(min_length=1)

    @property
    def target_group_full_name(self) -> str:
        """The CloudWatch dimension `TargetGroup`: `targetgroup/<name>/<id>`."""
        return self.target_group_arn.rsplit(":", 1)[-1]


class TaskShape(_Frozen):
    """What the next deployment registers, whatever the running revision says.

    Templates never touch a running task definition, so a changed size or variable travels as this
    data and takes effect with the next deployment. `cpu` is in CPU units (1024 = one vCPU),
    `memory` in MiB, both for the whole task; `environment` belongs to the named container and
    replaces its plain variables. None and absent mean "as it runs now".
    """

    cpu: int | None = Field(default=None, ge=256)
    memory: int | None = Field(default=None, ge=512)
    environment: dict[str, str] | None = None


class Capacity(_Frozen):
    """The auto scaling limits of the slot that is live, in tasks.

    The template's own limits only bootstrap the scalable targets: re-registering them would move
    the desired count, which is live state.
    """

    min_tasks: int = Field(ge=1)
    max_tasks: int = Field(ge=1)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_tasks > self.max_tasks:
            raise ValueError(f"min_tasks {self.min_tasks} is more than max_tasks {self.max_tasks}")
        return self


class Workload(_Frozen):
    """One service as Greenlane deploys it.

    `load_balancer_full_name` is the CloudWatch dimension `LoadBalancer` (`app/<name>/<id>`).
    `listener_rule_arn` is the one production rule; it always names both target groups.
    `container` is the container a deployment changes, sidecars are kept; `port` is where it
    listens; `repository` is the ECR repository in which a version is a tag. `alarms` are those that
    no single slot owns, such as a composite alarm over both: they count against the candidate.
    """

    service: str
    cluster: str
    container: str
    port: int = Field(ge=1, le=65535)
    repository: str
    load_balancer_full_name: str
    listener_arn: str
    listener_rule_arn: str
    test_listener_arn: str | None = None
    slots: dict[SlotName, SlotResources]
    shape: TaskShape = TaskShape()
    capacity: Capacity | None = None
    alarms: tuple[str, ...] = ()

    @field_validator("slots")
    @classmethod
    def _both_slots(cls, slots: dict[SlotName, SlotResources]) -> dict[SlotName, SlotResources]:
        missing = {"blue", "green"} - set(slots)
        if missing:
            raise ValueError(
                f"a workload has two slots, blue and green; missing: {sorted(missing)}"
            )
        return slots


def parameter_name(service: str) -> str:
    """The SSM parameter that holds the service's `Workload` as JSON."""
    return f"/greenlane/workloads/{service}"
