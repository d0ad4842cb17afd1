"""Warning alerts: people are told, and nothing else happens."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from greenlane.health.alarm_definitions import slot_of
from greenlane.people.announcement import announce, publication
from greenlane.runtime import Runtime


class _Configuration(BaseModel):
    """The alarm's configuration, as far as it is told."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    description: str = ""

    @property
    def expression(self) -> str:
        """The condition: a description begins with it."""
        return self.description.partition(": ")[0]


class RedWarning(BaseModel):
    """A warning alert of a service that turned red."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    service: str
    name: str
    reason: str = ""
    at: datetime
    configuration: _Configuration = Field(default_factory=_Configuration)

    @property
    def slot(self) -> str | None:
        """The slot that its alarm's name says; None of the whole service."""
        return slot_of(self.name)


def tell_warning(event: RedWarning, runtime: Runtime) -> None:
    """Publish it for whoever hears of the service.

    Raises:
        botocore.exceptions.ClientError: the topic did not take it; EventBridge's call is repeated.
    """
    whose = " ".join(part for part in (event.service, event.slot) if part)
    facts = {
        "slot": event.slot,
        "alarm": event.name,
        "reason": event.reason,
        "about": event.configuration.description,
    }
    topic = runtime.settings.topic_arn
    news = announce(
        kind="warning_alert",
        severity="warning",
        service=event.service,
        region=topic.split(":")[3],
        subject=f"Warning: {event.configuration.expression or event.name} on {whose}",
        occasion=f"{event.name} {event.at.isoformat()}",
        facts={name: value for name, value in facts.items() if value},
        at=runtime.clock.now(),
    )
    runtime.sns.publish(TopicArn=topic, **publication(news))
