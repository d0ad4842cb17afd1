"""How one file of a service lies over another. Pure; what the files judge is joined elsewhere."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from greenlane.deployments.declaring.canary_document import CanaryDocument
from greenlane.deployments.declaring.config import (
    BusinessMetric,
    DeploymentConfig,
    JudgeConfig,
    Monitoring,
    ServiceConfig,
)
from greenlane.deployments.model import DeploymentRequest
from greenlane.deployments.plan import plan_steps
from greenlane.durations import format_seconds
from greenlane.errors import InvalidInput
from greenlane.health.criteria import Criteria
from greenlane.problems import Excerpt


def overlay(canary: CanaryDocument, base: ServiceConfig) -> ServiceConfig:
    """Lay a canary file over a service's own configuration.

    The canary's stages and durations replace the service's steps. Lists are joined, and the
    canary's contacts win.
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
    deployment = base.deployment.model_copy(update=shift)
    return base.model_copy(
        update={
            "deployment": watched(deployment, canary.monitoring),
            "business_metrics": _stricter(base.business_metrics, criteria.business_metrics),
            "rollback_triggers": tuple(
                dict.fromkeys((*base.rollback_triggers, *canary.rollback_triggers))
            ),
            "monitoring": laid_over(base.monitoring, canary.monitoring),
            "notifications": laid_over(base.notifications, canary.notifications),
        }
    )


def laid_over(below: Any, above: Any) -> Any:
    """A model with the fields that another of its kind sets."""
    return below.model_copy(update={key: getattr(above, key) for key in above.model_fields_set})


def watched(deployment: DeploymentConfig, monitoring: Monitoring) -> DeploymentConfig:
    """The durations that a file's phases set; the extended watch is never the shorter one."""
    before, after = monitoring.pre_deployment, monitoring.post_deployment
    changes: dict[str, timedelta] = {}
    if before is not None and before.duration is not None:
        changes["baseline"] = before.duration
    if after is not None and after.duration is not None:
        changes["watch"] = after.duration
    if after is not None and after.extended_monitoring is not None:
        changes["extended_watch"] = after.extended_monitoring
    changed = deployment.model_copy(update=changes)
    if changed.extended_watch >= changed.watch:
        return changed
    # The file that gives one of the two means it; the other one follows.
    follows = (
        {"watch": changed.extended_watch}
        if "watch" not in changes
        else {"extended_watch": changed.watch}
    )
    return changed.model_copy(update=follows)


def as_judged(judge: JudgeConfig, criteria: Criteria) -> JudgeConfig:
    """The limits of `service.judge` as all files together say them."""
    limits = {
        one.metric: one.limit
        for one in criteria.in_phase("during").criteria
        if one.against == "limit"
    }
    changes: dict[str, Decimal | int] = {
        name: limits[name] for name in ("error_rate", "response_time_p95") if name in limits
    }
    if "connection_errors" in limits:
        changes["connection_errors"] = int(limits["connection_errors"]) + 1
    return judge.model_copy(update=changes)


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
