"""What SNS hands to the function that tells people."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from greenlane.people.announcement import Announcement, Severity, announce

_SEVERITIES: tuple[Severity, ...] = ("critical", "error", "warning", "info")


class _Received(BaseModel):
    """AWS adds keys as it likes."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Notification(_Received):
    """One message of the topic."""

    message_id: str = Field(alias="MessageId")
    topic_arn: str = Field(alias="TopicArn")
    timestamp: datetime = Field(alias="Timestamp")
    message: str = Field(alias="Message")
    subject: str | None = Field(None, alias="Subject")
    attributes: dict[str, Any] = Field(default_factory=dict, alias="MessageAttributes")

    def announcement(self) -> Announcement:
        """What is told: our own news, or the text that somebody else published.

        Whoever publishes text says in the attributes `service` and `severity` whom it is for.
        """
        try:
            return Announcement.model_validate_json(self.message)
        except ValidationError:
            return self._of_text()

    def _of_text(self) -> Announcement:
        subject = self.subject or self.message
        severity: Severity = "critical" if subject.startswith("PAGE:") else "warning"
        asked = self._attribute("severity")
        return announce(
            kind="notice",
            severity=next((one for one in _SEVERITIES if one == asked), severity),
            service=self._attribute("service") or "unknown",
            region=self.topic_arn.split(":")[3],
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
