"""What the person who deploys may choose, read once from the context of `cdk.json`."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from greenlane.deployments.workload import Capacity, SlotName, TaskShape


class _Frozen(BaseModel):
    """A value that never changes, and that refuses a key it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ServiceSettings(_Frozen):
    """One service that Greenlane deploys, whoever owns its infrastructure.

    `ecs_services` are the names of the two slots' ECS services and `task_family` the family of
    their task definitions: the only ones Greenlane may change; by default those of our sample,
    `<name>-<slot>` and `<name>`.
    `task_roles` are the names of the roles its tasks run under: the only roles Greenlane may pass.
    `log_group` is where its containers write, by default that of our sample, `/ecs/<name>`.
    `alarms` are the names of the alarms that start the way back, on either slot's target group; by
    default those of our sample, `<name>-<slot>-<kind>`.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}[a-z0-9]$")
    cluster: str
    container: str
    port: int = Field(ge=1, le=65535)
    repository: str
    ecs_services: dict[SlotName, str] | None = None
    task_family: str | None = None
    task_roles: tuple[str, ...] = Field(min_length=1)
    log_group: str | None = None
    alarms: tuple[str, ...] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _both_slots(self) -> Self:
        if self.ecs_services is not None and set(self.ecs_services) != {"blue", "green"}:
            raise ValueError(
                f"ecs_services: name blue's and green's, found only {sorted(self.ecs_services)}"
            )
        return self

    def ecs_service(self, slot: SlotName) -> str:
        """The name of a slot's ECS service."""
        return self.ecs_services[slot] if self.ecs_services else f"{self.name}-{slot}"

    @property
    def family(self) -> str:
        """The family of its task definitions."""
        return self.task_family or self.name

    @property
    def logs(self) -> str:
        """The log group of its containers."""
        return self.log_group or f"/ecs/{self.name}"


class AlarmThresholds(_Frozen):
    """Above which numbers a slot is bad, over periods of 60 s."""

    error_rate_percent: float = Field(default=5, gt=0, le=100)
    request_floor: int = Field(default=20, ge=1)
    p95_seconds: float = Field(default=5, gt=0)
    p99_seconds: float = Field(default=8, gt=0)
    connection_errors: int = Field(default=5, ge=1)


class SampleSettings(_Frozen):
    """The blue/green environment of the sample service.

    `certificate_arn` moves production to an HTTPS listener, HTTP then redirects.
    `test_listener_cidr` is who may reach the test listener; none by default.
    `alertmanager_port` is where an Alertmanager inside the VPC listens; none is reached by default;
    `prometheus_port` is the same for a Prometheus.
    `shape` and `capacity` are data for the next deployment, see `Workload`.
    """

    service: str
    shape: TaskShape = TaskShape()
    capacity: Capacity = Capacity(min_tasks=2, max_tasks=10)
    certificate_arn: str | None = None
    test_listener_cidr: str | None = None
    alertmanager_port: int | None = Field(default=None, ge=1, le=65535)
    prometheus_port: int | None = Field(default=None, ge=1, le=65535)
    rule_priority: int = Field(default=100, ge=1, le=50000)
    rule_paths: tuple[str, ...] = Field(default=("/*",), min_length=1, max_length=5)
    alarms: AlarmThresholds = AlarmThresholds()
    cpu_target_percent: float = Field(default=60, gt=0, le=100)
    requests_per_task_target: int = Field(default=1000, ge=1)


_REGION = r"^[a-z]{2}(-[a-z]+)+-\d$"
_EVENT_SOURCE = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$"


class FlagSettings(_Frozen):
    """Feature flags and their HTTP API.

    Each of `environments` is a stage of the API, with a key and a usage plan of its own: lookups
    there are evaluated in that environment. `lookups_per_second` and `lookups_at_once` are a key's
    limits. `origin` is which pages may look flags up, `*` for any. `disabled_value` says what a
    flag that is off is told with: nothing, as the protocol has it, or its `off` variant's value,
    for old clients. `sampled` is the share of lookups, 0 to 1, that is counted in metrics.
    `recorded` is the share of hours, 0 to 1, in which a lookup function writes down which flags it
    is asked for, for `greenlane flags stale`.
    `replicas` are further Regions that have the table, for services that ask there; in these
    `is_replica` is true, for the table is there already.
    `own_log_role` is false where the account has a role for API Gateway's logs
    already; there is one for all APIs of an account and Region.
    """

    environments: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,50}$")], ...] = Field(
        default=("production",), min_length=1, max_length=8
    )
    lookups_per_second: float = Field(default=100, gt=0, le=10_000)
    lookups_at_once: int = Field(default=200, ge=1, le=5_000)
    origin: str = Field(default="*", pattern=r"^(\*|https?://[A-Za-z0-9.:-]+)$")
    disabled_value: Literal["omit", "off-variant"] = "omit"
    sampled: float = Field(default=0, ge=0, le=1)
    recorded: float = Field(default=1, ge=0, le=1)
    replicas: tuple[Annotated[str, Field(pattern=_REGION)], ...] = Field(default=(), max_length=10)
    own_log_role: bool = True
    is_replica: bool = False

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.environments)) != len(self.environments):
            raise ValueError(f"environments: each name once, not {self.environments}")
        if len(set(self.replicas)) != len(self.replicas):
            raise ValueError(f"replicas: each Region once, not {self.replicas}")
        return self


_EC2_ID = r"([0-9a-f]{8}|[0-9a-f]{17})"


class DatabaseAccess(_Frozen):
    """A database that migrations may change, as permissions have to name it.

    The rest about it is in the file of databases that `greenlane apply` takes.
    `cluster` is the identifier of its Aurora or Multi-AZ cluster, or `instance` that of its RDS
    instance: what is backed up. With IAM's tokens, `resource_id` (`cluster-...` or `db-...`) and
    `user` are whom it is signed in to as; otherwise `secret` is the name of the one that says so.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}[a-z0-9]$")
    cluster: str | None = Field(default=None, pattern=r"^[A-Za-z][A-Za-z0-9-]{0,62}$")
    instance: str | None = Field(default=None, pattern=r"^[A-Za-z][A-Za-z0-9-]{0,62}$")
    resource_id: str | None = Field(default=None, pattern=r"^(cluster|db)-[A-Z0-9]+$")
    user: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.-]{1,63}$")
    secret: str | None = Field(default=None, pattern=r"^[A-Za-z0-9/_+=.@!-]{1,256}$")

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.cluster is not None and self.instance is not None:
            raise ValueError(f"instance: name {self.name}'s cluster or its instance, not both")
        if (self.resource_id is None) != (self.user is None):
            raise ValueError(f"user: {self.name} needs resource_id and user together")
        if (self.resource_id is None) == (self.secret is None):
            raise ValueError(
                f"secret: name resource_id and user of {self.name}, or its secret, not both"
            )
        return self


class MigrationSettings(_Frozen):
    """The databases that migrations may change, and the network in which all are reached.

    One function sees one network: databases elsewhere are reached from it through peering, or not
    at all. `subnet_ids` need a gateway endpoint for S3 in their route tables, which is free, and
    with secrets a way to Secrets Manager; `security_group_ids` must let out to both and to the
    databases, which let them in.
    """

    subnet_ids: tuple[Annotated[str, Field(pattern=rf"^subnet-{_EC2_ID}$")], ...] = Field(
        min_length=1, max_length=16
    )
    security_group_ids: tuple[Annotated[str, Field(pattern=rf"^sg-{_EC2_ID}$")], ...] = Field(
        min_length=1, max_length=5
    )
    databases: tuple[DatabaseAccess, ...] = Field(min_length=1, max_length=50)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        names = [database.name for database in self.databases]
        if len(set(names)) != len(names):
            raise ValueError(f"databases: each name once, not {names}")
        return self


class RegionsSettings(_Frozen):
    """The Regions that rollouts go through, the same in each of them.

    `home` is where the coordinator is, `standby` where another one is that takes over when home is
    lost; `regions` are all Regions of all rollouts. `stacks` says whether the stacks of one Region
    are made, or at home those of all Regions, so that one `cdk deploy --all` deploys to each.
    """

    home: str = Field(pattern=_REGION)
    standby: str | None = Field(default=None, pattern=_REGION)
    regions: tuple[Annotated[str, Field(pattern=_REGION)], ...] = Field(min_length=1, max_length=40)
    stacks: Literal["here", "everywhere"] = "here"

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.regions)) != len(self.regions):
            raise ValueError(f"regions: each Region once, not {self.regions}")
        if self.standby == self.home:
            raise ValueError(f"standby: {self.home} is home already; name another Region")
        return self

    def stacks_fit(self, region: str) -> bool:
        """Whether an app of that Region may make these stacks."""
        return self.stacks == "here" or region == self.home

    @property
    def coordinators(self) -> tuple[str, ...]:
        """The Regions in which there is a coordinator."""
        return (self.home,) if self.standby is None else (self.home, self.standby)

    @property
    def everywhere(self) -> tuple[str, ...]:
        """All Regions that have to do with rollouts."""
        return tuple(dict.fromkeys((*self.coordinators, *self.regions)))


class PipelineSettings(_Frozen):
    """The example pipeline of one service.

    `connection_arn` is of the connection to where the source is, `repository` its name there
    (`owner/name`), with a Dockerfile at its top. `approvers` get mail when a person is asked.
    `strategy` is the service's own by default. `elsewhere` has further Regions that get the
    version after another approval, with a bucket for artifacts in each.
    """

    service: str
    connection_arn: str = Field(
        pattern=r"^arn:[\w-]+:(codestar-connections|codeconnections):[\w-]+:\d{12}:connection/.+$"
    )
    repository: str = Field(pattern=r"^[^/\s]+(/[^/\s]+)+$")
    branch: str = "main"
    approvers: tuple[str, ...] = ()
    strategy: Literal["blue_green", "canary", "linear", "all_at_once"] | None = None
    elsewhere: dict[Annotated[str, Field(pattern=_REGION)], str] = {}


class Settings(_Frozen):
    """Everything that can be chosen.

    `validation_network` names the service in whose VPC validation runs, the first one by default:
    one function sees one VPC, so services side by side on one balancer share it.
    `operators` are addresses that get mail about everything: every service, and Greenlane's own
    trouble.
    Without `migrations` there is no workflow for databases, and no function in their network.
    Without `regions` there is no coordinator of several Regions.
    `request_sources` are those whose events are taken as requests: whoever may put events with
    such a source on the default bus may deploy.
    With `webhooks` monitoring may start the way back over the HTTP API, by a secret.
    Without `pipeline` there is no example pipeline.
    """

    region: str = Field(default="eu-west-1", pattern=_REGION)
    log_retention_days: Literal[1, 7, 14, 30, 90, 180, 365, 731] = 30
    services: tuple[ServiceSettings, ...] = Field(min_length=1)
    validation_network: str | None = None
    operators: tuple[str, ...] = ()
    sample: SampleSettings | None = None
    flags: FlagSettings = FlagSettings()
    migrations: MigrationSettings | None = None
    regions: RegionsSettings | None = None
    request_sources: tuple[Annotated[str, Field(pattern=_EVENT_SOURCE)], ...] = ()
    webhooks: bool = False
    pipeline: PipelineSettings | None = None

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        names = [service.name for service in self.services]
        if len(set(names)) != len(names):
            raise ValueError(f"services: each name once, not {names}")
        for field, name in (
            ("validation_network", self.validation_network),
            ("sample.service", self.sample and self.sample.service),
            ("pipeline.service", self.pipeline and self.pipeline.service),
        ):
            if name is not None and name not in names:
                raise ValueError(f"{field}: {name!r} is not one of services: {names}")
        if self.region in self.flags.replicas:
            raise ValueError(f"flags.replicas: {self.region} has the table already; leave it out")
        if self.regions is not None and self.region not in self.regions.everywhere:
            raise ValueError(f"regions: {self.region} is none of them; name it, or leave them out")
        if self.regions is not None and not self.regions.stacks_fit(self.region):
            raise ValueError(f"regions.stacks: everywhere is for home, {self.regions.home}")
        if self.sample is not None and len(self.service(self.sample.service).task_roles) < 2:
            raise ValueError("services.task_roles: the sample has two, its tasks' and ECS's own")
        if any(source.startswith("aws.") for source in self.request_sources):
            raise ValueError("request_sources: only AWS itself puts events of aws.; name your own")
        if self.pipeline is not None and self.region in self.pipeline.elsewhere:
            raise ValueError(f"pipeline.elsewhere: {self.region} is where it runs; leave it out")
        return self

    @property
    def network_service(self) -> str:
        """The service in whose VPC validation runs."""
        return self.validation_network or self.services[0].name

    @property
    def coordinates(self) -> bool:
        """Whether this Region has a coordinator of rollouts."""
        return self.regions is not None and self.region in self.regions.coordinators

    def service(self, name: str) -> ServiceSettings:
        """The service of that name.

        Raises:
            KeyError: no such service.
        """
        for service in self.services:
            if service.name == name:
                return service
        raise KeyError(name)

    @classmethod
    def from_context(cls, context: Any) -> Self:
        """Check the value of the context key `greenlane`.

        Raises:
            pydantic.ValidationError: names each key that is wrong.
        """
        return cls.model_validate(context or {})

    def elsewhere(self) -> tuple["Settings", ...]:
        """The settings of the stacks in further Regions, which the same app makes.

        Names of roles are an account's, not a Region's, so further Regions have their own. What
        there is once stays here: the pipeline, and the networks of databases.
        """
        if self.regions is None or self.regions.stacks == "here":
            return ()
        return tuple(
            self._in(region) for region in self.regions.everywhere if region != self.region
        )

    def _in(self, region: str) -> "Settings":
        services = tuple(
            service.model_copy(
                update={"task_roles": tuple(f"{role}-{region}" for role in service.task_roles)}
            )
            for service in self.services
        )
        has_flags = region in self.flags.replicas
        flags = self.flags.model_copy(update={"replicas": (), "is_replica": has_flags})
        changed = {"region": region, "services": services, "flags": flags}
        return self.model_copy(update={**changed, "pipeline": None, "migrations": None})
