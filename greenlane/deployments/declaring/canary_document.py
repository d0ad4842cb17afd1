"""What a file says under `canary:`."""

from decimal import Decimal
from typing import Self

from pydantic import Field, ValidationError, model_validator

from greenlane.deployments.declaring.config import (
    BusinessMetric,
    DeploymentConfig,
    Monitoring,
    Notifications,
    Step,
)
from greenlane.deployments.declaring.criteria_document import MillisecondsNumber, RatioNumber
from greenlane.deployments.storing.shapes import Document
from greenlane.durations import Duration


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


class CanaryCriteria(Document):
    """What a stage must show: error rate as a ratio, response time in ms."""

    error_rate_threshold: RatioNumber | None = None
    response_time_p95_threshold: MillisecondsNumber | None = None
    business_metrics: tuple[BusinessMetric, ...] = ()

    @property
    def limits(self) -> dict[str, Decimal]:
        """The absolute limits by metric."""
        given = {
            "error_rate": self.error_rate_threshold,
            "response_time_p95": self.response_time_p95_threshold,
        }
        return {metric: limit for metric, limit in given.items() if limit is not None}


class CanaryDocument(Document):
    """The part of a file under `canary:`; what it leaves out stays as the service's file says."""

    name: str | None = None
    traffic_policy: TrafficPolicy = TrafficPolicy()
    success_criteria: CanaryCriteria = CanaryCriteria()
    rollback_triggers: tuple[str, ...] = ()
    monitoring: Monitoring = Monitoring()
    notifications: Notifications = Notifications()
