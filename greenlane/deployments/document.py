"""From the files that `greenlane apply` takes to the configuration of one service.

The kind of a file is its top-level key. `service:` declares everything about a service. `canary:`
names no service; it is bound to one and lies over what the service's own file says. Applying a
file replaces the earlier file of its kind and leaves the other kind as it is, so both texts are
kept (`Sources`) and the configuration is always made anew from them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from greenlane.deployments.config import (
    BusinessMetric,
    DeploymentConfig,
    Document,
    Monitoring,
    Notifications,
    ServiceConfig,
    Step,
)
from greenlane.deployments.model import DeploymentRequest
from greenlane.deployments.plan import plan_steps
from greenlane.documents import Source, load, validate
from greenlane.durations import Duration, format_seconds
from greenlane.errors import InvalidInput
from greenlane.problems import Excerpt, InvalidDocument, suggest

Kind = Literal["service", "canary"]

NOT_YET = {
    "feature_flags": "feature flags",
    "ab_tests": "A/B tests",
    "regions": "regions",
    "success_criteria": "success criteria",
}
"""Top-level keys of files that a later version will read, and what such a file declares."""

ALARMED = {
    "error_rate": Decimal("0.05"),
    "response_time_p95": Decimal(5000),
    "response_time_p99": Decimal(8000),
}
"""Metrics that the workload's CloudWatch alarms watch, with the limits the templates give them."""

_METRICS = (
    *ALARMED,
    "throughput_degradation",
    "cpu_usage",
    "memory_usage",
    "disk_usage",
    "database_connections",
    "user_complaints",
)
_TRIGGER = re.compile(r"([a-z_][a-z0-9_]*)\s*(>=|>|<=|<)\s*(-?\d{1,12}(?:\.\d{1,12})?)")


def parse_trigger(text: str) -> tuple[str, str, Decimal]:
    """The metric, comparison and limit of a trigger such as `error_rate > 0.05`.

    Raises:
        ValueError: it is not of that form, or no such metric exists.
    """
    found = _TRIGGER.fullmatch(text.strip())
    if found is None:
        raise ValueError("write a trigger as METRIC > NUMBER, such as error_rate > 0.05")
    metric, comparison, limit = found.groups()
    if metric not in _METRICS:
        hint = suggest(metric, _METRICS)
        raise ValueError(f"the metrics are {', '.join(_METRICS)}{hint}")
    return metric, comparison, Decimal(limit)


def _known_trigger(text: str) -> str:
    parse_trigger(text)
    return text


class TrafficPolicy(Document):
    """The stages of a canary: percent of traffic, and how long each bakes."""

    stages: tuple[Step, ...] | None = Field(None, min_length=1, max_length=50)
    stage_duration: Duration | None = None
    max_duration: Duration | None = None

    @model_validator(mode="after")
    def _stages_are_steps(self) -> Self:
        try:
            DeploymentConfig(steps=self.stages)
        except ValidationError as error:
            reason = str(error.errors()[0]["ctx"]["error"])
            raise ValueError(f"stages: {reason.removeprefix('steps: ')}") from None
        return self


class SuccessCriteria(Document):
    """What a stage must show: error rate as a ratio, response time in ms."""

    error_rate_threshold: Decimal | None = Field(None, ge=0, le=1)
    response_time_p95_threshold: Decimal | None = Field(None, gt=0)
    business_metrics: tuple[BusinessMetric, ...] = ()


class CanaryDocument(Document):
    """The part of a file under `canary:`; what it leaves out stays as the service's file says."""

    name: str | None = None
    traffic_policy: TrafficPolicy = TrafficPolicy()
    success_criteria: SuccessCriteria = SuccessCriteria()
    rollback_triggers: tuple[Annotated[str, AfterValidator(_known_trigger)], ...] = ()
    monitoring: Monitoring = Monitoring()
    notifications: Notifications = Notifications()


class SourceText(BaseModel):
    """A file as it was applied."""

    model_config = ConfigDict(frozen=True)

    name: str
    text: str


class Sources(BaseModel):
    """The files that make a service's configuration: at most one of each kind."""

    model_config = ConfigDict(frozen=True)

    service: SourceText | None = None
    canary: SourceText | None = None


@dataclass(frozen=True)
class Checked:
    """A file that was read without a problem.

    `service` is the service's name where the file says it. `warnings` say what is kept but has no
    effect in this version.
    """

    kind: Kind
    source: SourceText
    service: str | None
    config: ServiceConfig | None
    canary: CanaryDocument | None
    warnings: tuple[str, ...]


def read_document(text: str, name: str = "document") -> Checked:
    """Read a file of either kind, without a service or a cloud.

    Raises:
        InvalidDocument: with everything that is wrong, or because this version does not read
            this kind of file.
    """
    source = load(text, name)
    kind = _kind(source)
    kept = SourceText(name=name, text=text)
    if kind == "canary":
        canary = validate(CanaryDocument, source, ("canary",))
        merged = overlay(canary, ServiceConfig(name="any-service"))
        _check_duration(source, ("canary", "traffic_policy", "max_duration"), merged)
        return Checked(kind, kept, None, None, canary, _warnings(merged))
    config = validate(ServiceConfig, source, ("service",))
    _check_triggers(source, config.rollback_triggers)
    _check_duration(source, ("service", "deployment", "max_duration"), config)
    return Checked(kind, kept, config.name, config, None, _warnings(config))


def compose(sources: Sources, base: ServiceConfig) -> tuple[ServiceConfig, tuple[str, ...]]:
    """The configuration that the files make together, and its warnings.

    Args:
        sources: the files.
        base: what a canary file lies over when there is no service file.
    """
    config = base
    if sources.service is not None:
        checked = read_document(sources.service.text, sources.service.name)
        config = checked.config or base
    if sources.canary is not None:
        canary = read_document(sources.canary.text, sources.canary.name).canary
        config = overlay(canary or CanaryDocument(), config)
        check_fits(config, DeploymentRequest(service=config.name, version="any"))
    return config, _warnings(config)


def overlay(canary: CanaryDocument, base: ServiceConfig) -> ServiceConfig:
    """Lay a canary file over a service's own configuration.

    The canary's stages and durations replace the service's steps. Where both declare a limit for
    one metric, the stricter wins. Lists are joined, and the canary's contacts win.
    """
    policy, criteria = canary.traffic_policy, canary.success_criteria
    shift: dict[str, Any] = {"strategy": "canary"}
    if base.deployment.strategy != "canary":
        shift["steps"] = None
    if policy.stages is not None:
        shift["steps"] = policy.stages
    if policy.stage_duration is not None:
        shift["bake"] = policy.stage_duration
    if policy.max_duration is not None:
        shift["max_duration"] = policy.max_duration
    limits = {}
    for name, limit in (
        ("error_rate", criteria.error_rate_threshold),
        ("response_time_p95", criteria.response_time_p95_threshold),
    ):
        if limit is not None:
            declared = name in base.judge.model_fields_set
            limits[name] = min(limit, getattr(base.judge, name)) if declared else limit
    return base.model_copy(
        update={
            "deployment": base.deployment.model_copy(update=shift),
            "judge": base.judge.model_copy(update=limits),
            "business_metrics": _stricter(base.business_metrics, criteria.business_metrics),
            "rollback_triggers": tuple(
                dict.fromkeys((*base.rollback_triggers, *canary.rollback_triggers))
            ),
            "monitoring": _laid_over(base.monitoring, canary.monitoring),
            "notifications": _laid_over(base.notifications, canary.notifications),
        }
    )


def _laid_over(below: Any, above: Any) -> Any:
    return below.model_copy(update={key: getattr(above, key) for key in above.model_fields_set})


def _stricter(*lists: Sequence[BusinessMetric]) -> tuple[BusinessMetric, ...]:
    """All metrics by name; of one named twice, the higher threshold: less loss, a higher floor."""
    kept: dict[str, BusinessMetric] = {}
    for metric in (metric for metrics in lists for metric in metrics):
        other = kept.get(metric.name)
        if other is None or metric.threshold > other.threshold:
            kept[metric.name] = metric
    return tuple(kept.values())


def check_fits(config: ServiceConfig, request: DeploymentRequest) -> None:
    """Refuse a deployment whose bakes alone outlast `max_duration`: it could never succeed.

    Raises:
        InvalidInput: naming `max_duration`.
    """
    steps = [step for step in plan_steps(config.deployment, request) if step.kind != "watch"]
    bakes = sum(step.bake_seconds for step in steps)
    limit = config.deployment.max_duration
    if timedelta(seconds=bakes) >= limit:
        raise InvalidInput(
            "max_duration",
            Excerpt(format_seconds(limit.total_seconds())),
            f"the bakes alone take {format_seconds(bakes)}; allow more, or bake less",
        )


def _check_duration(source: Source, path: tuple[str, ...], config: ServiceConfig) -> None:
    try:
        check_fits(config, DeploymentRequest(service=config.name, version="any"))
    except InvalidInput as error:
        problem = InvalidInput(
            ".".join(path), error.value, error.way_out, line=source.line(tuple(path))
        )
        raise InvalidDocument(source.name, [problem]) from None


def _check_triggers(source: Source, triggers: Sequence[str]) -> None:
    problems = []
    for number, text in enumerate(triggers):
        try:
            parse_trigger(text)
        except ValueError as error:
            line = source.line(("service", "rollback_triggers", number))
            where = f"service.rollback_triggers.{number}"
            problems.append(InvalidInput(where, text, str(error), line=line))
    if problems:
        raise InvalidDocument(source.name, problems)


def _kind(source: Source) -> Kind:
    """What a file declares, by its top-level key; one kind in one file."""
    found: list[Kind] = [kind for kind in ("service", "canary") if kind in source.data]
    if len(found) == 1 and len(source.data) == 1:
        return found[0]
    problems = []
    later = [key for key in NOT_YET if key in source.data]
    if later and not found:
        problems.append(
            InvalidInput(
                later[0],
                Excerpt(f"a file of {NOT_YET[later[0]]}"),
                "this kind of file is not supported yet; "
                "this version reads files with the key service or canary",
                line=source.line((later[0],)),
            )
        )
        raise InvalidDocument(source.name, problems)
    for key in source.data:
        if key in found[:1]:
            continue
        known = ("service", "canary", *NOT_YET)
        way_out = (
            "one file declares one kind; move it to a file of its own"
            if key in known
            else f"a file begins with the key service or canary{suggest(key, known)}"
        )
        problems.append(InvalidInput(key, Excerpt("this key"), way_out, line=source.line((key,))))
    if not problems:
        raise InvalidDocument(
            source.name,
            [InvalidInput("file", Excerpt("an empty mapping"), "begin with the key service")],
        )
    raise InvalidDocument(source.name, problems)


def _warnings(config: ServiceConfig) -> tuple[str, ...]:
    """What is kept but has no effect in this version, said plainly."""
    said = []
    if config.business_metrics:
        names = ", ".join(metric.name for metric in config.business_metrics)
        said.append(f"business_metrics ({names}): kept, but not judged by this version")
    for text in config.rollback_triggers:
        metric, comparison, limit = parse_trigger(text)
        if metric not in ALARMED:
            said.append(f"rollback_triggers ({text}): kept, but does not pull in this version")
        elif comparison != ">" or limit != ALARMED[metric]:
            said.append(
                f"rollback_triggers ({text}): kept; what pulls is the workload's CloudWatch "
                f"alarm, at {metric} > {ALARMED[metric]} unless you set it otherwise"
            )
    if config.monitoring.prometheus_endpoint is not None:
        said.append("monitoring.prometheus_endpoint: kept, but not used by this version")
    return tuple(said)
