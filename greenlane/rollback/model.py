"""The documents of a rollback: what starts it, and what goes from function to function."""

import json
import re
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from greenlane.deployments.model import SCHEMA, Recipe, Slot, StoredModel, Trigger

Action = Literal["none", "abandon", "settle", "raise", "held"]

_TARGET_GROUP = re.compile(r'"TargetGroup": ?"(targetgroup/[^"]+)"')


class RollbackRequest(BaseModel):
    """What starts a rollback, whoever sends it: EventBridge, a Catch, a person, the reconciler.

    EventBridge knows the service, the rule and the target groups; the others the deployment.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    trigger: Trigger
    service: str | None = None
    deployment_id: str | None = None
    listener_rule_arn: str | None = None
    target_groups: dict[Slot, str] = Field(default_factory=dict)
    configuration: Any = Field(None, description="the alarm's own, as the event has it")
    recipe: Recipe | None = None

    @field_validator("trigger", mode="before")
    @classmethod
    def _read_cause(cls, trigger: Any) -> Any:
        """A function's error arrives as JSON text in `Cause`; its message is the reason."""
        if not isinstance(trigger, dict) or not isinstance(trigger.get("reason"), str):
            return trigger
        try:
            cause = json.loads(trigger["reason"])
        except ValueError:
            return trigger
        if isinstance(cause, dict) and "errorMessage" in cause:
            return trigger | {"reason": str(cause["errorMessage"])}
        return trigger

    def alarm_slot(self) -> Slot | None:
        """The slot whose target group the alarm's metrics name, for when the table is down."""
        found = set(_TARGET_GROUP.findall(json.dumps(self.configuration)))
        for slot, arn in self.target_groups.items():
            if arn.rsplit(":", 1)[-1] in found:
                return slot
        return None


class RollbackEvent(BaseModel):
    """The first function's input: the request and the execution's own ARN."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    request: RollbackRequest
    execution: str


class Rollback(StoredModel):
    """The state document of a rollback."""

    schema_version: int = SCHEMA
    service: str
    deployment_id: str | None = None
    epoch: int = 0
    execution: str
    action: Action
    reason: str = ""
    trigger: Trigger
    fenced: bool = True
    forward_execution: str | None = None
    recipe: Recipe | None = None
    capacity: int = 1
    bad_at_most: int = Field(100, description="percent the bad slot may keep while the good grows")
    took_back_at: datetime | None = None
    request: RollbackRequest | None = Field(None, description="kept while the fence is unwritten")


class CloseEvent(BaseModel):
    """The last function's input; `failure` is set when a state failed for good."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rollback: Rollback | None = None
    request: RollbackRequest | None = None
    execution: str
    held: bool = False
    failure: dict[str, Any] | None = None
