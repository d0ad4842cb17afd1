"""The documents of a rollback: what starts it, and what goes from function to function."""

import json
import re
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from greenlane.deployments.model import SCHEMA, Recipe, Slot, StoredModel, Trigger
from greenlane.health.alarm_definitions import slot_of

Action = Literal["none", "abandon", "settle", "raise", "held"]

ROLLBACK_DIED = "rollback died"
"""The name of the reconciler's trigger when the rollback that was elected was found dead twice."""

_PARTS = {
    "asked": "notice",
    "fenced": "fence",
    "written": "traffic",
    "settled": "settle",
    "drained": "drain",
    "emptied": "scale down",
    "closed": "close",
}
"""The marks of a rollback in their order, and what took the time up to each."""

_TARGET_GROUP = re.compile(r'"TargetGroup": ?"(targetgroup/[^"]+)"')


def message_of(cause: Any) -> Any:
    """The message in a `Cause`, where a function's error is JSON text; anything else as it is."""
    if not isinstance(cause, str):
        return cause or ""
    try:
        error = json.loads(cause)
    except ValueError:
        return cause
    if isinstance(error, dict) and "errorMessage" in error:
        return str(error["errorMessage"])
    return cause


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
    def _read_failure(cls, trigger: Any) -> Any:
        """A Catch gives its whole error output, or (before that) name and cause by themselves."""
        if not isinstance(trigger, dict):
            return trigger
        failure = trigger.get("failure")
        if isinstance(failure, dict):
            # A time-out need not have a cause.
            known = {"name": failure.get("Error", ""), "reason": failure.get("Cause", "")}
            trigger = {key: value for key, value in trigger.items() if key != "failure"} | known
        return trigger | {"reason": message_of(trigger.get("reason"))}

    def alarm_slot(self) -> Slot | None:
        """The slot that it is about, for when the table is down.

        By the trigger's own word, by the name of an alarm that `apply` keeps, or by the target
        group that the alarm's metrics name.
        """
        if self.trigger.slot is not None:
            return self.trigger.slot
        if self.trigger.kind == "alarm" and slot_of(self.trigger.name) is not None:
            return slot_of(self.trigger.name)
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
    marks: dict[str, datetime] = Field(
        default_factory=dict, description="when each part was done, for the report"
    )
    request: RollbackRequest | None = Field(None, description="kept while the fence is unwritten")

    def marked(self, part: str, at: datetime) -> "Rollback":
        """The same with a part done; one that was done before keeps its instant."""
        return self.model_copy(update={"marks": {part: at} | self.marks})

    def seconds(self) -> dict[str, float] | None:
        """How long each part took that is marked, in order; None without any."""
        found: dict[str, float] = {}
        before = self.trigger.at
        if before is not None and before.tzinfo is None:
            before = None  # somebody else's clock, and nobody knows where it stands
        for part, name in _PARTS.items():
            at = self.marks.get(part)
            if at is None:
                continue
            if before is not None:
                found[name] = round(max((at - before).total_seconds(), 0.0), 3)
            before = at
        return found or None


class CloseEvent(BaseModel):
    """The last function's input.

    `failure` is set when a state failed for good, `held` when that leaves the traffic to a person,
    `trying` when a person is only told and the rollback goes on trying.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    rollback: Rollback | None = None
    request: RollbackRequest | None = None
    execution: str
    held: bool = False
    trying: bool = False
    failure: dict[str, Any] | None = None

    def what_failed(self) -> str:
        """The failure in words: `Held: the good slot did not grow`; nothing without one."""
        if self.failure is None:
            return ""
        cause = message_of(self.failure.get("Cause"))
        return f"{self.failure.get('Error', 'failed')}: {cause}"[:2000]
