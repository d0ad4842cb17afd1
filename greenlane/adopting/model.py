"""What is asked for, what was found, what is to be done, and what is kept on record about it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from greenlane.deployments.workload import SlotName

OWNER_TAG = "greenlane:adopted"
"""On everything that an adoption created, with the service's name: only that is ever deleted."""

Body = dict[str, Any]
"""A document in AWS's own words, carried and compared but not looked into."""

NAME = r"^[a-z][a-z0-9-]{0,30}[a-z0-9]$"


class _Frozen(BaseModel):
    """A value that never changes, and that refuses a key it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AdoptionRequest(_Frozen):
    """What a person asks for.

    `ecs_service` is the service's name in ECS and `name` what Greenlane calls it. `twin` and
    `target_group` are the names of what is created. `repository` is the ECR repository of its
    versions, by default that of the image which runs. `alarms` are existing alarms of a slot, in
    place of those that would be created for it. `validation_group` is the security group from which
    Greenlane validates; without it one is created.
    """

    name: str = Field(pattern=NAME)
    ecs_service: str
    cluster: str
    twin: str | None = None
    target_group: str | None = None
    repository: str | None = None
    validation_group: str | None = None
    alarms: dict[SlotName, tuple[str, ...]] = Field(default_factory=dict)

    @property
    def twin_name(self) -> str:
        """The ECS service of the second slot."""
        return self.twin or f"{self.ecs_service}-green"


class Rule(_Frozen):
    """A rule of a listener; `priority` is None for the default action, whose `arn` the rule has."""

    arn: str
    listener_arn: str
    priority: int | None
    conditions: tuple[Body, ...] = ()
    actions: tuple[Body, ...] = ()
    transforms: tuple[Body, ...] = ()


class Listener(_Frozen):
    """A listener with its rules in the order in which they are asked, the default one last."""

    arn: str
    port: int
    protocol: str
    rules: tuple[Rule, ...]


class Scaling(_Frozen):
    """The auto scaling of an ECS service: its limits in tasks, its policies, what is suspended."""

    target: Body
    policies: tuple[Body, ...] = ()
    scheduled: tuple[str, ...] = ()


class Taken(_Frozen):
    """A name that exists already; `ours` says that an adoption of this service created it."""

    what: str
    name: str
    arn: str
    ours: bool


class Before(_Frozen):
    """What was found before the first change, and all that is needed to put it back.

    `rule` is the one that carries the traffic from then on, as it was; a default action stays and
    gets a rule before it, so nothing of it has to be put back. `joined` says that its conditions
    change, too. `scaling` is the scalable target, `role_tag` the service's tag `Deployment`.
    """

    schema_version: int = 1
    request: AdoptionRequest
    rule: Rule
    joined: bool = False
    deployment_configuration: Body = Field(default_factory=dict)
    scaling: Body | None = None
    role_tag: str | None = None
    undoing: bool = False


class Found(_Frozen):
    """Everything that was read about one service.

    `service`, `definition`, `target_groups`, `load_balancer` and `attributes` are as AWS describes
    them. `taken` are the names of what would be created that exist; `described` says that somebody
    else wrote the workload's parameter. `before` is on record from an earlier run.
    """

    request: AdoptionRequest
    account: str
    region: str
    service: Body
    definition: Body
    target_groups: tuple[Body, ...] = ()
    attributes: dict[str, str] = Field(default_factory=dict)
    load_balancer: Body | None = None
    listeners: tuple[Listener, ...] = ()
    scaling: Scaling | None = None
    security_groups: tuple[str, ...] = ()
    taken: tuple[Taken, ...] = ()
    missing_alarms: tuple[str, ...] = ()
    described: bool = False
    owner_stacks: dict[str, str] = Field(default_factory=dict)
    before: Before | None = None

    @property
    def image(self) -> str:
        """The image that the container behind the load balancer runs."""
        (entry, *_) = self.service.get("loadBalancers") or [{}]
        for container in self.definition.get("containerDefinitions", []):
            if container["name"] == entry.get("containerName"):
                return str(container["image"])
        return ""

    @property
    def repository(self) -> str | None:
        """The ECR repository of its versions; None if the image is elsewhere and none is named."""
        if self.request.repository is not None:
            return self.request.repository
        registry, _, rest = self.image.partition("/")
        if not registry.startswith(f"{self.account}.dkr.ecr.{self.region}."):
            return None
        return rest.partition("@")[0].rpartition(":")[0] or rest.partition("@")[0]


class Refusal(_Frozen):
    """Why a service cannot be adopted: what was looked at, what was found, the way out."""

    field: str
    value: str
    way_out: str

    def __str__(self) -> str:
        return f"{self.field}: {self.value}: {self.way_out}"


class _Step(_Frozen):
    """One change; `because` says in a line what it does."""

    because: str


class MakeTargetGroup(_Step):
    """Create the second slot's target group like the first, attributes included."""

    kind: Literal["target group"] = "target group"
    name: str
    settings: Body
    attributes: dict[str, str]


class WeighRule(_Step):
    """Let an existing rule name both target groups; `conditions` only where they change."""

    kind: Literal["rule"] = "rule"
    rule_arn: str
    actions: tuple[Body, ...]
    conditions: tuple[Body, ...] | None = None


class AddRule(_Step):
    """Put a rule before a listener's default action, which stays as it is."""

    kind: Literal["new rule"] = "new rule"
    listener_arn: str
    priority: int
    conditions: tuple[Body, ...]
    actions: tuple[Body, ...]


class ChangeService(_Step):
    """Change the deployment configuration of the existing ECS service; starts no deployment."""

    kind: Literal["deployment configuration"] = "deployment configuration"
    service: str
    configuration: Body


class MakeSecurityGroup(_Step):
    """Create the security group from which the candidate is validated."""

    kind: Literal["security group"] = "security group"
    name: str
    vpc_id: str


class LetIn(_Step):
    """Let validation reach the tasks on the service's port."""

    kind: Literal["ingress"] = "ingress"
    group: str
    source: str
    port: int


class MakeTwin(_Step):
    """Create the second slot's ECS service like the first, with no task."""

    kind: Literal["service"] = "service"
    body: Body


class MirrorScaling(_Step):
    """Give the twin the same auto scaling, with a minimum of 0 tasks."""

    kind: Literal["auto scaling"] = "auto scaling"
    target: Body
    policies: tuple[Body, ...]


class MakeAlarms(_Step):
    """Create the alarms of one slot; `bodies` are the parameters of PutMetricAlarm."""

    kind: Literal["alarms"] = "alarms"
    slot: SlotName
    bodies: tuple[Body, ...]


class Describe(_Step):
    """Write the parameters by which Greenlane knows the service; the workload's comes last."""

    kind: Literal["parameters"] = "parameters"
    values: dict[str, str]


Step = Annotated[
    MakeTargetGroup
    | WeighRule
    | AddRule
    | ChangeService
    | MakeSecurityGroup
    | LetIn
    | MakeTwin
    | MirrorScaling
    | MakeAlarms
    | Describe,
    Field(discriminator="kind"),
]


class AdoptionPlan(_Frozen):
    """All that is to be done, in order, and what to know about it.

    `before` is put on record first. `settings` is the service's entry in `services` of `cdk.json`.
    What does not exist yet is named by a placeholder, see `greenlane.adopting.planning`.
    """

    before: Before
    steps: tuple[Step, ...]
    settings: Body
    warnings: tuple[str, ...] = ()


def record_name(name: str) -> str:
    """The SSM parameter with what was found before the adoption."""
    return f"/greenlane/adopted/{name}"
