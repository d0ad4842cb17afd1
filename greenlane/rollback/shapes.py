"""What others send when something is wrong, in the shapes they send it. Keys we need, no others.

EventBridge wraps an alarm's change in `detail`; the alarm's own Lambda action says the same under
`alarmData`; SNS carries other words for it as JSON text; Alertmanager sends alerts by the group, as
Grafana does. Who can write any JSON writes a `Webhook`.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)
from pydantic.alias_generators import to_camel, to_pascal
from pydantic_core import to_json

from greenlane.deployments.model import Slot

ALARM = "CloudWatch Alarm State Change"
ECS = "ECS Deployment State Change"

Instant = Annotated[
    AwareDatetime,
    Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC)),
]
"""With its zone, and of an age in which one can count on with it: Go's zero time is none."""

Name = Annotated[str, Field(min_length=1, max_length=255)]


def _can_be_handed_on(value: Any) -> Any:
    """Half of a character, which JSON can say, cannot be written again."""
    to_json(value)  # raises a ValueError
    return value


Plain = Annotated[Any, AfterValidator(_can_be_handed_on)]


class _Shape(BaseModel):
    """Somebody else's document: keys we do not know are theirs."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel)


class Place(_Shape):
    """Where an event comes from."""

    account: str = Field(validation_alias=AliasChoices("account", "accountId"))
    region: str


class AlarmStatus(_Shape):
    """The state an alarm changed to, and when."""

    value: Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
    reason: str = ""
    timestamp: Instant


class AlarmChange(_Shape):
    """An alarm of any kind: metric, metric math or composite (`configuration.alarmRule`)."""

    alarm_name: Name
    state: AlarmStatus
    configuration: Plain = None


class AlarmEvent(Place):
    """EventBridge's `CloudWatch Alarm State Change`."""

    id: str
    detail: AlarmChange


class AlarmAction(Place):
    """What the alarm's direct Lambda action gives the function."""

    alarm_data: AlarmChange


class EcsDetail(_Shape):
    """The deployment of an ECS service that changed."""

    event_name: str
    deployment_id: Name
    updated_at: Instant | None = None
    reason: str = ""


class EcsEvent(Place):
    """EventBridge's `ECS Deployment State Change`; `resources[0]` is the ECS service."""

    id: str
    time: Instant
    resources: tuple[str, ...] = Field(min_length=1)
    detail: EcsDetail


class AlarmMessage(BaseModel):
    """The JSON text of an alarm's SNS message. `Trigger` is absent from a composite alarm's."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_pascal)

    alarm_name: Name
    alarm_arn: str
    new_state_value: Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
    new_state_reason: str = ""
    state_change_time: Instant
    trigger: Plain = None


class SnsBody(BaseModel):
    """One SNS message."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_pascal)

    message_id: str = ""
    message: str


class SnsRecord(BaseModel):
    """One record of the event that SNS gives a function."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_pascal)

    event_source: Literal["aws:sns"]
    sns: SnsBody


class SnsEvent(BaseModel):
    """What SNS gives a function."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_pascal)

    records: tuple[SnsRecord, ...]


class AlertLabels(BaseModel):
    """Labels by which an alert says whom it is about; all others are the user's own."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    alertname: Name = "alert"
    greenlane_service: Name | None = None
    greenlane_slot: Slot | None = None


class Alert(_Shape):
    """One alert of a group."""

    status: Literal["firing", "resolved"]
    labels: AlertLabels
    annotations: dict[str, str] = Field(default_factory=dict)
    starts_at: Instant
    fingerprint: str = ""

    @property
    def said(self) -> str:
        """What people wrote about it."""
        found = (self.annotations.get(key) for key in ("summary", "description", "message"))
        return next((text for text in found if text), "firing")


class AlertmanagerBody(_Shape):
    """What Alertmanager posts to a webhook; each alert is read by itself.

    Grafana's alerts are of the same shape, and its version is "1":
    https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/
    """

    version: Literal["4", "1"] = Field(description='"4" is Alertmanager\'s, "1" Grafana\'s.')
    alerts: tuple[Any, ...] = Field(
        description="Those that are `firing` and have the label `greenlane_service` count; "
        "`greenlane_slot` is for what is about one slot only."
    )


def _written(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError('write text, such as "2026-03-02T09:00:00Z" or "1772442000"')
    return value


class Webhook(BaseModel):
    """That something is wrong with a service, from whoever can send this much JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="RollbackWebhook")

    service: Name = Field(examples=["claude-manager"])
    reason: str = Field(
        examples=["8 percent of the orders fail"],
        description="For people: what is wrong. Its first 2000 characters are kept.",
    )
    deployment_id: Name | None = Field(
        None, description="Which deployment is meant; the service's latest if left out."
    )
    source: Annotated[str, Field(max_length=64)] | None = Field(
        None, examples=["Datadog"], description="Who sends it, for people."
    )
    at: Annotated[Instant, BeforeValidator(_written, json_schema_input_type=str)] | None = Field(
        None,
        examples=["2026-03-02T09:00:00Z"],
        description="Since when it is wrong: with an offset, or seconds or milliseconds of Unix "
        "time as text. What began before the deployment did is no reason to take it back. Now if "
        "left out.",
    )


def dimensions_of(trigger: Any) -> list[dict[str, str]]:
    """The metric dimensions in an SNS message's `Trigger`, each as `{name: value}`.

    There they are lists of `{"name": ..., "value": ...}`, in EventBridge's events mappings.
    """
    found: list[dict[str, str]] = []
    open_ends = [trigger]
    while open_ends:
        part = open_ends.pop()
        if isinstance(part, list):
            open_ends += part
        elif isinstance(part, dict):
            name, value = part.get("name"), part.get("value")
            if isinstance(name, str) and isinstance(value, str):
                found.append({name: value})
            open_ends += [one for one in part.values() if isinstance(one, dict | list)]
    return found
