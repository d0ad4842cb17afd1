"""What a user declares about a service: the shapes under `service:` in YAML.

Every model forbids unknown keys and is frozen; a stored copy is read less strictly, see
`greenlane.deployments.storing.stored`. Percent is 0..100, ratio 0..1, durations carry their unit in
the text (`5m`).
"""

import re
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from greenlane.deployments.declaring.criteria_document import (
    Alerts,
    DuringDeployment,
    MillisecondsNumber,
    PostDeployment,
    PreDeployment,
    RatioNumber,
    SuccessCriteria,
)
from greenlane.deployments.storing.shapes import Document as Document
from greenlane.deployments.storing.stored import is_stored
from greenlane.deployments.workload import Workload
from greenlane.durations import Duration
from greenlane.health.criteria import Criteria
from greenlane.health.declared import DatabaseSettings, DeclaredMetrics

Strategy = Literal["blue_green", "canary", "linear", "all_at_once"]
NoEvidencePolicy = Literal["rollback", "pause", "advance"]

SERVICE_NAME_PATTERN = r"^[a-z][a-z0-9-]{0,30}[a-z0-9]$"


def _step_from_number(value: Any) -> Any:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return {"weight": value}
    return value


class StepConfig(Document):
    """One step: the candidate's share of traffic, how long it bakes, whether a person approves.

    In YAML either a mapping or just the weight.
    """

    weight: int = Field(ge=0, le=100, description="percent of traffic for the candidate")
    bake: Duration | None = Field(None, description="the strategy's own bake when left out")
    approval: bool = Field(False, description="wait for `greenlane promote` after the bake")


Step = Annotated[
    StepConfig, BeforeValidator(_step_from_number, json_schema_input_type=StepConfig | int)
]


def check_weights(weights: Sequence[int]) -> None:
    """Whether weights in percent make a rollout: rising, from at least 1 to 100.

    Raises:
        ValueError: they do not.
    """
    for before, after in pairwise(weights):
        if after <= before:
            raise ValueError(
                f"steps: weights must rise from step to step, but {after} follows {before}"
            )
    if not weights or weights[0] == 0:
        raise ValueError("steps: the first weight must be at least 1 percent")
    if weights[-1] != 100:
        raise ValueError(f"steps: the last weight must be 100 percent, not {weights[-1]}")


class DeploymentConfig(Document):
    """How a new version replaces the live one."""

    strategy: Strategy = "blue_green"
    steps: tuple[Step, ...] | None = Field(None, min_length=1, max_length=50)
    bake: Duration | None = Field(None, description="of each step that does not say its own")
    final_bake: Duration | None = Field(None, description="at 100 percent, after the last step")
    linear_step: int = Field(10, ge=1, le=100, description="percent added by each linear step")
    max_duration: Duration = timedelta(hours=6)
    baseline: Duration = Field(
        timedelta(minutes=5), description="before the deployment: what is normal"
    )
    early_advance: bool = Field(
        False, description="a step may end before its bake, once its evidence suffices"
    )
    judge_mode: Literal["enforce", "shadow"] = Field(
        "enforce", description="in shadow, criteria and conditions are judged and never act"
    )
    pass_score: Decimal | None = Field(
        None, ge=0, le=100, description="percent of the criteria's weight that must pass"
    )
    max_hold: Duration = timedelta(minutes=30)
    on_no_evidence: NoEvidencePolicy = "rollback"
    approval_timeout: Duration = timedelta(hours=24)
    watch: Duration = Field(timedelta(minutes=30), description="after promotion, old slot warm")
    extended_watch: Duration = Field(timedelta(hours=24), description="counted from promotion")
    warm_floor: int = Field(1, ge=0, description="tasks of the old slot during extended_watch")
    stability_timeout: Duration = timedelta(minutes=15)
    propagation: Duration = Field(
        timedelta(seconds=30), description="how long the balancer may serve by old weights"
    )
    drain_deadline: Duration = timedelta(minutes=5)
    alarm_settle: Duration = Field(
        timedelta(minutes=5), description="how long an idle slot's red alarm may take to turn OK"
    )
    keep_revisions: int = Field(5, ge=1, le=50)

    @field_validator("pass_score")
    @classmethod
    def _some_score(cls, score: Decimal | None, info: ValidationInfo) -> Decimal | None:
        if score == 0 and not is_stored(info):
            raise ValueError("0 is reached by every version; write 1 to 100, or leave it out")
        return score

    @property
    def shadow(self) -> bool:
        """Whether what the numbers say is only told."""
        return self.judge_mode == "shadow"

    @model_validator(mode="after")
    def _weights_rise_to_100(self, info: ValidationInfo) -> Self:
        if self.steps is not None and not is_stored(info):
            check_weights([step.weight for step in self.steps])
        return self

    @model_validator(mode="after")
    def _extended_watch_covers_watch(self, info: ValidationInfo) -> Self:
        if self.extended_watch < self.watch and not is_stored(info):
            raise ValueError("extended_watch: cannot be shorter than watch")
        return self


class JudgeConfig(Document):
    """When the evidence says go back, and how much of it is needed."""

    error_rate: RatioNumber = Field(Decimal("0.01"), description="ratio; fails above")
    response_time_p95: MillisecondsNumber = Field(Decimal(2000), description="ms; fails above")
    connection_errors: int | None = Field(
        None, ge=1, description="per minute; fails from here on; not judged when left out"
    )
    against_live: bool = Field(
        True, description="also compare errors and p95 with the live slot in the same minutes"
    )
    min_requests: int = Field(20, ge=1, description="of the candidate, in one step")


_SECRET_HEADER = re.compile(r"authorization|cookie|token|secret|password|api-?key", re.IGNORECASE)


def _carries_no_secret(name: str, info: ValidationInfo) -> str:
    if _SECRET_HEADER.search(name) and not is_stored(info):
        raise ValueError(
            "what it carries would be written in the plan and in the execution's history; test a "
            "path that needs no secret, or use a hook, which keeps its own"
        )
    return name


HeaderName = Annotated[str, AfterValidator(_carries_no_secret)]


class ValidationTest(Document):
    """One HTTP request to each task of the idle slot before it gets traffic."""

    name: str = Field(min_length=1, max_length=80)
    path: str = Field("/health", pattern=r"^/")
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    headers: dict[HeaderName, str] = Field(default_factory=dict)
    body: str | None = None
    expect_status: int = Field(200, ge=100, le=599)
    expect_body: str | None = Field(None, description="a substring of the body")
    expect_json: dict[str, Any] | None = Field(
        None, description="a subset of the body, or `a.b` paths with their values"
    )
    max_latency: Decimal = Field(Decimal(5000), gt=0, description="ms")
    retries: int = Field(2, ge=0, le=20)


class WarmUp(Document):
    """Requests that fill caches and pools before traffic; it fails when most of them do."""

    paths: tuple[Annotated[str, Field(pattern=r"^/")], ...] = (
        "/health",
        "/api/v1/status",
        "/metrics",
    )
    requests: int = Field(10, ge=0, le=1000, description="for each path and task")
    concurrency: int = Field(4, ge=1, le=50)


HookArn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:.+$")]


class Hooks(Document):
    """The user's own Lambda functions; one that fails, or answers `fail`, fails its phase.

    A hook receives `{deployment_id, service, phase, step, weight, candidate, image}` and answers
    `{"verdict": "pass" | "fail" | "hold", "reason": "..."}`.
    """

    pre_traffic: tuple[HookArn, ...] = ()
    step: tuple[HookArn, ...] = ()
    post_traffic: tuple[HookArn, ...] = ()


class RunTask(Document):
    """A task of the new revision that must exit with 0 before traffic moves."""

    command: tuple[str, ...] = Field(min_length=1)
    timeout: Duration = timedelta(minutes=10)


class BusinessMetric(Document):
    """A business number; a negative threshold is the permitted relative change."""

    name: str
    threshold: Decimal

    @model_validator(mode="after")
    def _not_all_may_be_lost(self, info: ValidationInfo) -> Self:
        if self.threshold <= -1 and not is_stored(info):
            raise ValueError("threshold: a change is above -1; write -0.02 for 2 percent")
        return self


def _channel_name(name: str, info: ValidationInfo) -> str:
    if not is_stored(info) and not re.fullmatch(r"#?[^\s#@<>&]{1,80}", name):
        raise ValueError("write a channel's name such as #deployments, or its id")
    return name


def _base_address(url: str, info: ValidationInfo) -> str:
    if not is_stored(info) and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", url):
        raise ValueError(
            "write a base address such as http://alertmanager:9093, without user and password"
        )
    return url


SecretId = Annotated[
    str,
    Field(
        pattern=r"^(arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:)?"
        r"greenlane/[A-Za-z0-9/_+=.@-]{1,480}$"
    ),
]
"""A secret by name or ARN; the functions may read those whose name begins with `greenlane/`."""


class Webhook(Document):
    """An address of the user's own that is told everything, as signed JSON."""

    url: str = Field(pattern=r"^https://[^\s/?#@]+([/?]\S*)?$", max_length=2000)
    secret: SecretId | None = Field(None, description="key of the signature")


class Notifications(Document):
    """Who is told. The secrets are `greenlane/<service>/<channel>` unless they are named."""

    slack_channel: Annotated[str, AfterValidator(_channel_name)] | None = None
    email_list: tuple[str, ...] = ()
    pagerduty_integration: bool = Field(False, description="critical news pages")
    slack_secret: SecretId | None = Field(None, description="a bot's token or a webhook's address")
    pagerduty_secret: SecretId | None = Field(None, description="the routing key")
    pagerduty_region: Literal["us", "eu"] = Field("us", description="of the PagerDuty account")
    opscenter: bool = Field(False, description="critical news becomes an OpsItem")
    webhook: Webhook | None = None


class Monitoring(Document):
    """Where a team's own monitoring lives."""

    prometheus_endpoint: str | None = None
    grafana_dashboard: str | None = Field(None, description="a uid or an address, for links")
    dashboard: bool = Field(True, description="`apply` keeps one in CloudWatch")
    alert_manager: Annotated[str, AfterValidator(_base_address)] | None = None
    alert_manager_network: Literal["vpc", "internet"] = Field(
        "vpc", description="from where alert_manager is reached"
    )
    pre_deployment: PreDeployment | None = None
    during_deployment: DuringDeployment | None = None
    post_deployment: PostDeployment | None = None


def _is_ours(criteria: Criteria | None, info: ValidationInfo) -> Criteria | None:
    if criteria is not None and not is_stored(info):
        raise ValueError("`apply` writes this key; declare success_criteria instead")
    return criteria


class ServiceConfig(Document):
    """Everything that is declared about one service."""

    name: str = Field(pattern=SERVICE_NAME_PATTERN)
    container: str | None = Field(None, description="whose image is replaced; sidecars are kept")
    repository: str | None = Field(
        None, description="ECR repository that `--version` names a tag of"
    )
    workload: Workload | None = Field(
        None, description="read from /greenlane/workloads/<name> when left out"
    )
    deployment: DeploymentConfig = DeploymentConfig()
    judge: JudgeConfig = JudgeConfig()
    validation: tuple[ValidationTest, ...] = ()
    warm_up: WarmUp = WarmUp()
    hooks: Hooks = Hooks()
    run_task: RunTask | None = None
    success_criteria: SuccessCriteria = SuccessCriteria()
    business_metrics: tuple[BusinessMetric, ...] = ()
    rollback_triggers: tuple[str, ...] = ()
    alerts: Alerts = Alerts()
    metrics: DeclaredMetrics = Field(default_factory=dict)
    database: DatabaseSettings | None = None
    monitoring: Monitoring = Monitoring()
    notifications: Notifications = Notifications()
    criteria: Annotated[Criteria | None, AfterValidator(_is_ours)] = Field(
        None, description="those of all files, joined by `apply`"
    )
