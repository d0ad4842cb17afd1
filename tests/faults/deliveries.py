"""What EventBridge, SNS and alarms deliver: late, twice, out of order, or not at all."""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.builders import GROUPS, RULE_ARN, SERVICE
from tests.fakes import REGION, Topic
from tests.faults.conditions import Conditions
from tests.faults.kernel import Kernel
from tests.faults.machine import Execution
from tests.faults.watch import alarm_configuration, slot_of

ACCOUNT = "123456789012"
EVENT_SECONDS = 0.5
TWICE = 0.3
ENDED_BADLY = ("FAILED", "ABORTED", "TIMED_OUT")
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:greenlane-notifications"
Document = dict[str, Any]


class Deliveries:
    """The event rules, the topics and their subscriptions.

    Args:
        kernel: the time.
        seed: decides what comes late, twice or never.
        conditions: how late that may be.
        start: starts the rollback machine with an input.
        hand_over: runs a function as SNS and EventBridge do.
        lose_events: whether events of ended executions get lost.
    """

    def __init__(
        self,
        kernel: Kernel,
        seed: int,
        conditions: Conditions,
        *,
        start: Callable[[Document], Any],
        hand_over: Callable[[str, Document], None],
        lose_events: bool,
    ) -> None:
        self._kernel, self._conditions = kernel, conditions
        self._dice = random.Random(f"{seed} triggers")
        # Its own, so that what people are told changes nothing else in a run.
        self._news_dice = random.Random(f"{seed} news")
        self._start, self._hand_over, self._lose_events = start, hand_over, lose_events
        self._numbers = 0
        self.heard_at: float | None = None
        """When the event of the alarm that rang last comes; None if it never does."""

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def ended(self, execution: Execution, name: str) -> None:
        """The rule on ended deployments; its events are best effort."""
        if execution.status not in ENDED_BADLY or self._lose_events:
            return
        trigger = {
            "kind": "execution",
            "name": execution.status,
            "reason": "the deployment's execution ended",
            "at": self._kernel.now().isoformat(),
        }
        given = {"trigger": trigger, "deployment_id": name}
        self._kernel.after(EVENT_SECONDS, lambda: self._start(given))

    def rang(self, alarm: Document) -> None:
        """The rule on alarms, and the alarm's own topic."""
        given = {
            "trigger": {
                "kind": "alarm",
                "name": alarm["AlarmName"],
                "reason": alarm["StateReason"],
                "at": alarm["StateTransitionedTimestamp"].isoformat(),
            },
            "service": SERVICE,
            "listener_rule_arn": RULE_ARN,
            "target_groups": GROUPS,
            "configuration": alarm_configuration(alarm["AlarmName"]),
        }
        late = self._dice.uniform(EVENT_SECONDS, self._conditions.alarm_delay_seconds)
        self.heard_at = None
        if self._dice.random() >= self._conditions.alarms_lost:
            self.heard_at = self._kernel.seconds + late
            self._kernel.after(late, lambda: self._start(given))
            if self._dice.random() < TWICE:
                self._kernel.after(self._dice.uniform(0, 90), lambda: self._start(given))
        if self._conditions.alarms_by_sns:
            self.alarm_message(alarm)

    def alarm_message(self, alarm: Document) -> None:
        """An alarm that publishes to `greenlane-alarms`."""
        message = {
            "AlarmName": alarm["AlarmName"],
            "AlarmArn": alarm["AlarmArn"],
            "NewStateValue": alarm["StateValue"],
            "NewStateReason": alarm["StateReason"],
            "StateChangeTime": alarm["StateTransitionedTimestamp"].isoformat(),
            "Trigger": {
                "Dimensions": [
                    {"name": "TargetGroup", "value": GROUPS[slot_of(alarm["AlarmName"])]}
                ]
            },
        }
        record = {"MessageId": f"m-{self._number()}", "Message": json.dumps(message)}
        self._normalise({"Records": [{"EventSource": "aws:sns", "Sns": record}]})

    def alarm_action(self, alarm: Document) -> None:
        """An alarm whose action is the function itself."""
        changed = {
            "alarmName": alarm["AlarmName"],
            "state": {
                "value": alarm["StateValue"],
                "reason": alarm["StateReason"],
                "timestamp": alarm["StateTransitionedTimestamp"].isoformat(),
            },
            "configuration": alarm_configuration(alarm["AlarmName"]),
        }
        self._normalise({"accountId": ACCOUNT, "region": REGION, "alarmData": changed})

    def ecs_failed(self, service_arn: str, deployment_id: str) -> None:
        """The rule on ECS deployments that failed."""
        detail = {
            "eventName": "SERVICE_DEPLOYMENT_FAILED",
            "deploymentId": deployment_id,
            "updatedAt": self._kernel.now().isoformat(),
            "reason": "ECS deployment circuit breaker: tasks failed to start.",
        }
        self._normalise(
            {
                "id": f"ecs-{self._number()}",
                "detail-type": "ECS Deployment State Change",
                "source": "aws.ecs",
                "account": ACCOUNT,
                "region": REGION,
                "time": self._kernel.now().isoformat(),
                "resources": [service_arn],
                "detail": detail,
            }
        )

    def alerts(self, **labels: str) -> None:
        """An Alertmanager that posts one alert to the function."""
        alert = {
            "status": "firing",
            "labels": {"alertname": "TooManyErrors"} | labels,
            "annotations": {"summary": "too many errors"},
            "startsAt": self._kernel.now().isoformat(),
            "fingerprint": f"f-{self._number()}",
        }
        self._normalise({"version": "4", "alerts": [alert]})

    def _normalise(self, document: Document) -> None:
        def deliver() -> None:
            self._hand_over("normalise_trigger", document)

        late = self._dice.uniform(EVENT_SECONDS, self._conditions.alarm_delay_seconds)
        self._kernel.after(late, deliver)
        if self._dice.random() < TWICE:
            self._kernel.after(self._dice.uniform(0, 90), deliver)

    def told(self, published: Document) -> None:
        """The subscription of `notify_people`: at least once."""
        sns = {
            "MessageId": f"m-{self._number()}",
            "TopicArn": TOPIC,
            "Timestamp": _instant(self._kernel.now()),
            "Subject": published["Subject"],
            "Message": json.loads(published["Message"])["lambda"],
            "MessageAttributes": {
                name: {"Type": "String", "Value": value["StringValue"]}
                for name, value in published["MessageAttributes"].items()
            },
        }
        event = {"Records": [{"EventSource": "aws:sns", "Sns": sns}]}
        self._kernel.after(EVENT_SECONDS, lambda: self._hand_over("notify_people", event))
        if self._news_dice.random() < TWICE:
            later = self._news_dice.uniform(0, 90)
            self._kernel.after(later, lambda: self._hand_over("notify_people", event))


class News(Topic):
    """A boto3 `sns` client: the topic, and who is subscribed to it."""

    def __init__(self, told: Callable[[Document], None]) -> None:
        super().__init__()
        self._told = told

    def publish(self, **arguments: Any) -> None:  # type: ignore[override]
        super().publish(**arguments)
        self._told(self.published[-1])


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
