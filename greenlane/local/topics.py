"""SNS topics: what is published reaches subscribed functions, as AWS delivers it.

moto calls a function while the publisher waits, and with an event of constants. Here delivery is
asynchronous, with the message as it was published. What cannot be handed over goes to the
subscription's dead-letter queue. Other protocols are moto's.
"""

import json
import logging
from datetime import UTC
from typing import Any

from moto.core.exceptions import AWSError, ServiceException
from moto.sns.models import Subscription
from moto.sqs.models import sqs_backends
from werkzeug.exceptions import HTTPException

from greenlane.local.context import ACCOUNT_ID, LocalContext
from greenlane.local.functions import Functions
from greenlane.local.patches import Patches

_log = logging.getLogger(__name__)


class Topics:
    """Delivers to the functions that are subscribed to topics."""

    def __init__(self, context: LocalContext, functions: Functions) -> None:
        """See the class."""
        self._context = context
        self._functions = functions
        self._patches = Patches()

    def start(self) -> None:
        """Take over moto's deliveries to functions."""
        topics = self
        original = Subscription.publish

        def publish(
            subscription: Subscription, message: str, message_id: str, **about: Any
        ) -> None:
            if subscription.protocol == "lambda":
                topics._deliver(subscription, message, message_id, about)
            else:
                original(subscription, message, message_id, **about)

        self._patches.set(Subscription, "publish", publish)

    def stop(self) -> None:
        """Give moto its own back."""
        self._patches.undo()

    def _deliver(
        self, subscription: Subscription, message: str, message_id: str, about: dict[str, Any]
    ) -> None:
        attributes = about.get("message_attributes") or {}
        matcher = subscription._filter_policy_matcher
        if matcher is not None and not matcher.matches(attributes, message):
            return
        if about.get("message_structure") == "json":
            message = subscription._parse_message_structure(message, "lambda")
        event = self._event(subscription, message, message_id, about.get("subject"), attributes)
        try:
            self._functions.invoke_later(subscription.endpoint, json.dumps(event).encode())
        except (AWSError, ServiceException, HTTPException, LookupError) as error:
            _log.error(
                "%s: not delivered to %s: %s", subscription.arn, subscription.endpoint, error
            )
            _bury(subscription, event)

    def _event(
        self,
        subscription: Subscription,
        message: str,
        message_id: str,
        subject: str | None,
        attributes: dict[str, Any],
    ) -> dict[str, Any]:
        at = self._context.clock.now().astimezone(UTC).isoformat(timespec="milliseconds")
        notification = {
            "Type": "Notification",
            "MessageId": message_id,
            "TopicArn": subscription.topic_arn,
            "Subject": subject,
            "Message": message,
            "Timestamp": at.replace("+00:00", "Z"),
            "SignatureVersion": "1",
            "Signature": "",
            "SigningCertUrl": "",
            "UnsubscribeUrl": "",
            "MessageAttributes": {
                name: {"Type": one["Type"], "Value": one["Value"]}
                for name, one in attributes.items()
            },
        }
        record = {
            "EventSource": "aws:sns",
            "EventVersion": "1.0",
            "EventSubscriptionArn": subscription.arn,
            "Sns": notification,
        }
        return {"Records": [record]}


def _bury(subscription: Subscription, event: dict[str, Any]) -> None:
    policy = json.loads(subscription.attributes.get("RedrivePolicy") or "{}")
    queue = policy.get("deadLetterTargetArn")
    if queue:
        _, _, _, region, _, name = queue.split(":")
        sqs_backends[ACCOUNT_ID][region].send_message(name, json.dumps(event))
