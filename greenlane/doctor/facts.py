"""What the doctor looked at, as plain data, and what it has to say of it."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from greenlane.deployments.declaring.config import ServiceConfig
from greenlane.deployments.model import Slot
from greenlane.deployments.workload import Workload

Severity = Literal["error", "warning", "note"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Finding(_Frozen):
    """One thing that is not as it should be.

    `error`: deployments are refused, or the way back would not work. `warning`: it works, but not
    as well as you think. `note`: worth knowing, or not looked at.
    """

    check: str
    severity: Severity
    subject: str
    what: str
    way_out: str = ""


class Alarm(_Frozen):
    """An alarm that starts the way back; `state` is MISSING when there is none of that name."""

    name: str
    slot: Slot | None
    state: str
    treat_missing: str = "missing"
    composite: bool = False
    actions: tuple[str, ...] = ()


class TargetGroup(_Frozen):
    """A slot's target group: its attributes and its health check, as the API has them."""

    attributes: dict[str, str] = Field(default_factory=dict)
    health_check: dict[str, Any] = Field(default_factory=dict)


class Subscription(_Frozen):
    """One target of one event rule."""

    rule: str
    target: str
    dead_letter_queue: bool


class Ownership(_Frozen):
    """A resource that a CloudFormation stack owns, and the properties its template gives it."""

    stack: str
    logical_id: str
    type: str
    properties: dict[str, Any] = Field(default_factory=dict)


class Denial(_Frozen):
    """An action that one of Greenlane's roles may not do on what it deploys."""

    role: str
    action: str
    resource: str


Part = Literal[
    "alarms",
    "dead-letter queues",
    "permissions",
    "repository",
    "rule",
    "services",
    "stacks",
    "target groups",
]
"""What is read by itself: it answers, or it does not, for all checks that need it."""


class Facts(_Frozen):
    """Everything that was read. `unread` says what could not be, by part, and why."""

    config: ServiceConfig
    workload: Workload
    shortest_bake_seconds: int
    alarms: tuple[Alarm, ...] = ()
    groups: dict[Slot, TargetGroup] = Field(default_factory=dict)
    services: dict[Slot, dict[str, Any]] = Field(default_factory=dict)
    stickiness: dict[str, Any] | None = None
    weights: dict[str, int] = Field(default_factory=dict)
    subscriptions: tuple[Subscription, ...] = ()
    owners: dict[str, Ownership] = Field(default_factory=dict)
    denied: tuple[Denial, ...] = ()
    scan_on_push: bool | None = None
    unread: Mapping[Part, str] = Field(default_factory=dict)
