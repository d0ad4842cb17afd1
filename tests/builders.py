"""Documents as tests need them: valid, small, every field changeable by name."""

from datetime import UTC, datetime, timedelta
from typing import Any

from greenlane.deployments.declaring.config import ServiceConfig
from greenlane.deployments.model import (
    Deployment,
    DeploymentRequest,
    Plan,
    PlannedStep,
    Record,
    Verdict,
)
from greenlane.deployments.phases import Phase
from greenlane.deployments.workload import Workload

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SERVICE = "claude-manager"
REGISTRY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
OLD_IMAGE = f"{REGISTRY}/{SERVICE}@sha256:{'a' * 64}"
NEW_IMAGE = f"{REGISTRY}/{SERVICE}@sha256:{'b' * 64}"
ARN = "arn:aws:elasticloadbalancing:eu-west-1:123456789012"
GROUPS = {
    "blue": f"{ARN}:targetgroup/claude-manager-blue/0000000000000001",
    "green": f"{ARN}:targetgroup/claude-manager-green/0000000000000002",
}
RULE_ARN = f"{ARN}:listener-rule/app/claude-manager/1/2/3"


class SettableClock:
    """A clock that moves when a test says so."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def advance(self, **span: float) -> datetime:
        self.at += timedelta(**span)
        return self.at


def workload(**changes: Any) -> Workload:
    slots = {
        slot: {
            "service": f"{SERVICE}-{slot}",
            "target_group_arn": changes.get("groups", GROUPS)[slot],
            "alarms": [f"{SERVICE}-{slot}-error-rate", f"{SERVICE}-{slot}-p95"],
        }
        for slot in ("blue", "green")
    }
    values = {
        "service": SERVICE,
        "cluster": SERVICE,
        "container": SERVICE,
        "port": 8000,
        "repository": SERVICE,
        "load_balancer_full_name": "app/claude-manager/1",
        "listener_arn": f"{ARN}:listener/app/claude-manager/1/2",
        "listener_rule_arn": RULE_ARN,
        "test_listener_arn": f"{ARN}:listener/app/claude-manager/1/3",
        "slots": slots,
    }
    changes.pop("groups", None)
    return Workload.model_validate(values | changes)


def service_config(**changes: Any) -> ServiceConfig:
    """A service whose deployments are canaries over 10, 50 and 100 percent, 5 minutes each."""
    values: dict[str, Any] = {
        "name": SERVICE,
        "workload": workload(),
        "deployment": {"strategy": "canary", "steps": [10, 50, 100]},
    }
    return ServiceConfig.model_validate(values | changes)


def request(**changes: Any) -> DeploymentRequest:
    values: dict[str, Any] = {"service": SERVICE, "image": NEW_IMAGE, "requested_by": "ada"}
    return DeploymentRequest.model_validate(values | changes)


def steps(*weights: int, bake: int = 300, final: int = 0, watch: int = 1800) -> list[PlannedStep]:
    planned = [PlannedStep(weight=weight, bake_seconds=bake) for weight in weights]
    if final:
        planned.append(PlannedStep(weight=100, bake_seconds=final, kind="final"))
    return [*planned, PlannedStep(weight=100, bake_seconds=watch, kind="watch")]


def plan(**changes: Any) -> Plan:
    config = changes.pop("config", None) or service_config()
    values: dict[str, Any] = {
        "deployment_id": "d-1",
        "request": request(),
        "config": config,
        "config_version": 1,
        "workload": config.workload,
        "strategy": "canary",
        "steps": steps(10, 50, 100),
        "live": "blue",
        "candidate": "green",
        "live_task_definition": "arn:aws:ecs:eu-west-1:123456789012:task-definition/cm:1",
        "image": NEW_IMAGE,
        "container": SERVICE,
        "full_capacity": 2,
        "started_at": NOW,
        "deadline": NOW + timedelta(hours=6),
    }
    return Plan.model_validate(values | changes)


def record(**changes: Any) -> Record:
    values: dict[str, Any] = {
        "service": SERVICE,
        "deployment_id": "d-1",
        "epoch": 1,
        "phase": Phase.SHIFTING,
        "live": "blue",
        "candidate": "green",
        "started_at": NOW,
        "updated_at": NOW,
        "deadline": NOW + timedelta(hours=6),
        "execution": "arn:aws:states:eu-west-1:123456789012:execution:greenlane-deployment:d-1",
        "full_capacity": 2,
    }
    return Record.model_validate(values | changes)


def deployment(**changes: Any) -> Deployment:
    values = {"deployment_id": "d-1", "service": SERVICE, "epoch": 1}
    return Deployment.model_validate(values | changes)


def verdict(name: str = "pass", reason: str = "") -> Verdict:
    return Verdict.model_validate({"verdict": name, "reason": reason})
