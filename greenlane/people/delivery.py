"""What SNS hands to the function that tells people."""

import json
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from greenlane.people.announcement import (
    OWN_TROUBLE,
    UNKNOWN,
    Announcement,
    Severity,
    announce,
)

_SEVERITIES: tuple[Severity, ...] = ("critical", "error", "warning", "info")


class _Received(BaseModel):
    """AWS adds keys as it likes."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Alarm(_Received):
    """What CloudWatch publishes when an alarm of Greenlane itself changes its state."""

    name: str = Field(alias="AlarmName", min_length=1)
    description: str | None = Field(None, alias="AlarmDescription")
    state: str = Field(alias="NewStateValue")
    reason: str = Field("", alias="NewStateReason")
    changed_at: str = Field("", alias="StateChangeTime")


class Notification(_Received):
    """One message of the topic."""

    message_id: str = Field(alias="MessageId")
    topic_arn: str = Field(alias="TopicArn")
    timestamp: datetime = Field(alias="Timestamp")
    message: str = Field(alias="Message")
    subject: str | None = Field(None, alias="Subject")
    attributes: dict[str, Any] = Field(default_factory=dict, alias="MessageAttributes")

    def announcement(self) -> Announcement:
        """What is told: our own news, an alarm of ours, or text that somebody else published.

        Whoever publishes text says in the attributes `service` and `severity` whom it is for.
        """
        try:
            return Announcement.model_validate_json(self.message)
        except ValidationError:
            pass
        try:
            return self._of_alarm(_Alarm.model_validate_json(self.message))
        except ValidationError:
            return self._of_text()

    def _of_alarm(self, alarm: _Alarm) -> Announcement:
        red = alarm.state == "ALARM"
        return announce(
            kind=OWN_TROUBLE,
            severity="critical" if red else "info",
            service=alarm.name[:200],
            region=self._region,
            subject=f"PAGE: Greenlane itself needs a person: {alarm.name}"
            if red
            else f"{alarm.name} is {alarm.state}",
            # A delivery that SNS repeats has the same instant, the next alarm another.
            occasion=f"{alarm.state} {alarm.changed_at or self.message_id}",
            facts={"alarm": alarm.name, "reason": alarm.reason},
            way_out=alarm.description,
            at=self.timestamp,
        )

    @property
    def _region(self) -> str:
        return self.topic_arn.split(":")[3]

    def _of_text(self) -> Announcement:
        subject = self.subject or self.message
        severity: Severity = "critical" if subject.startswith("PAGE:") else "warning"
        asked = self._attribute("severity")
        return announce(
            kind="notice",
            severity=next((one for one in _SEVERITIES if one == asked), severity),
            service=self._attribute("service") or UNKNOWN,
            region=self._region,
            subject=subject,
            occasion=self.message_id,
            facts={"message": self.message},
            at=self.timestamp,
        )

    def _attribute(self, name: str) -> str:
        value = self.attributes.get(name)
        text = value.get("Value") if isinstance(value, dict) else None
        return text[:100] if isinstance(text, str) else ""


class _Record(_Received):
    notification: Notification = Field(alias="Sns")


class Delivery(_Received):
    """The event; SNS puts one message into each."""

    records: tuple[_Record, ...] = Field(alias="Records")

    def announcements(self) -> list[Announcement]:
        """What is to be told."""
        return [record.notification.announcement() for record in self.records]


FUNCTION = "greenlane-notify-people"


def call_again(relay: Any, news: Announcement, topic_arn: str) -> None:
    """Call the function that tells people without the topic, and wait for it.

    Raises:
        botocore.exceptions.ClientError: it could not be called.
        botocore.exceptions.BotoCoreError: it did not answer in time.
    """
    relay.invoke(FunctionName=FUNCTION, Payload=json.dumps(_event(news, topic_arn)).encode())


def _event(news: Announcement, topic_arn: str) -> dict[str, Any]:
    notification = {
        "MessageId": news.id,
        "TopicArn": topic_arn,
        "Timestamp": news.at.isoformat(),
        "Subject": news.subject,
        "Message": news.model_dump_json(),
    }
    return {"Records": [{"Sns": notification}]}
