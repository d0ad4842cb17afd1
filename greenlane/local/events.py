"""EventBridge's default bus: rules, targets, retries and dead letters.

moto stores rules and targets; delivery is ours. A delivery runs beside the caller. When the
target's API refuses it, it is tried again as the target's retry policy says, in virtual time,
then sent to the target's dead-letter queue with the attributes AWS sets.
"""

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from moto.core.exceptions import AWSError, ServiceException
from moto.events.models import EventsBackend, Rule, events_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends
from moto.stepfunctions.responses import get_backend as stepfunctions_backend
from werkzeug.exceptions import HTTPException

from greenlane.local.context import ACCOUNT_ID, LocalContext
from greenlane.local.event_input import InvalidInput, input_for
from greenlane.local.event_patterns import matches
from greenlane.local.functions import Functions
from greenlane.local.patches import Patches

_log = logging.getLogger(__name__)

_DEFAULT_ATTEMPTS = 185
_DEFAULT_AGE_SECONDS = 86_400
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0
# How often a delivery that waits for its function looks whether the cloud stops.
_LOOK_SECONDS = 0.1


class EventBridge:
    """Delivers events to the targets of the rules they match."""

    def __init__(self) -> None:
        """See the class; `bind` comes before anything else."""
        self._patches = Patches()
        self._closing = threading.Event()
        self._deliveries: set[threading.Thread] = set()
        self.abroad: Callable[[str, str, dict[str, Any]], None] | None = None
        """Takes an event to a bus of another Region, by the Region's and the bus's names."""

    def bind(self, context: LocalContext, functions: Functions) -> None:
        """Say where events come from and go to (they know each other through this object)."""
        self._context = context
        self._functions = functions

    def start(self) -> None:
        """Take over moto's PutEvents."""
        bridge = self
        original = EventsBackend.put_events

        def put_events(backend: EventsBackend, events: list[dict[str, Any]]) -> Any:
            return bridge._put(backend, events, original)

        self._patches.set(EventsBackend, "put_events", put_events)

    def stop(self) -> None:
        """End the deliveries under way."""
        self._closing.set()
        self._patches.undo()
        for thread in list(self._deliveries):
            thread.join(timeout=5)

    def put_event(
        self, source: str, detail_type: str, detail: dict[str, Any], resources: list[str]
    ) -> None:
        """Put an AWS service's event on the default bus, at the present virtual instant."""
        region = self._context.region
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": detail_type,
            "source": source,
            "account": ACCOUNT_ID,
            "time": self._timestamp(self._context.clock.now()),
            "region": region,
            "resources": resources,
            "detail": detail,
        }
        self._distribute(events_backends[ACCOUNT_ID][region], "default", event)

    def receive(self, bus: str, event: dict[str, Any]) -> None:
        """Take an event from another bus: it stays as it is, its Region and its id included.

        Raises:
            ServiceException: there is no such bus.
        """
        self._distribute(events_backends[ACCOUNT_ID][self._context.region], bus, event)

    def deliver(
        self, rule: Rule, event: dict[str, Any], patience_seconds: float = 0.0
    ) -> list[threading.Thread]:
        """Deliver an event to every target of a rule, beside the caller.

        Args:
            rule: whose targets.
            event: what they get.
            patience_seconds: for so many real seconds at most a delivery lasts until the function
                that is its target has run.

        Returns:
            The deliveries under way.
        """
        targets = [dict(target) for target in list(rule.targets)]
        return [self._begin(rule, target, event, patience_seconds) for target in targets]

    def _put(self, backend: EventsBackend, events: list[dict[str, Any]], original: Any) -> Any:
        """PutEvents: moto checks the entries (with rules out of its sight), we deliver."""
        entries = original(_WithoutRules(backend), events)
        for entry, answer in zip(events, entries, strict=True):
            if "EventId" not in answer:
                continue
            given = entry.get("Time")
            instant = (
                datetime.fromtimestamp(float(given), UTC) if given else self._context.clock.now()
            )
            event = {
                "version": "0",
                "id": answer["EventId"],
                "detail-type": entry["DetailType"],
                "source": entry["Source"],
                "account": backend.account_id,
                "time": self._timestamp(instant),
                "region": backend.region_name,
                "resources": entry.get("Resources", []),
                "detail": json.loads(entry["Detail"]),
            }
            bus = backend._normalize_event_bus_arn(entry.get("EventBusName"))
            self._distribute(backend, bus, event)
        return entries

    def _distribute(self, backend: EventsBackend, bus: str, event: dict[str, Any]) -> None:
        for rule in list(backend.describe_event_bus(bus).rules.values()):
            pattern = rule.event_pattern.get_pattern() if rule.event_pattern else None
            if rule.state == "ENABLED" and pattern and matches(pattern, event):
                self.deliver(rule, event)

    def _begin(
        self, rule: Rule, target: dict[str, Any], event: dict[str, Any], patience_seconds: float
    ) -> threading.Thread:
        def work() -> None:
            try:
                ran = self._deliver(rule.arn, target, event)
                deadline = time.monotonic() + patience_seconds
                while ran is not None and time.monotonic() < deadline:
                    if ran.wait(_LOOK_SECONDS) or self._closing.is_set():
                        return
            except Exception:
                # The end of a thread: nobody is left to raise to, and the log names the target.
                _log.exception("rule %s could not deliver to %s", rule.name, target["Arn"])
            finally:
                self._deliveries.discard(threading.current_thread())

        thread = threading.Thread(target=work, name=f"rule-{rule.name}", daemon=True)
        self._deliveries.add(thread)
        thread.start()
        return thread

    def _deliver(
        self, rule_arn: str, target: dict[str, Any], event: dict[str, Any]
    ) -> threading.Event | None:
        """Deliver with retries; what tells that the function ran, if one is the target."""
        policy = target.get("RetryPolicy") or {}
        attempts = int(policy.get("MaximumRetryAttempts", _DEFAULT_ATTEMPTS))
        age = float(policy.get("MaximumEventAgeInSeconds", _DEFAULT_AGE_SECONDS))
        clock = self._context.clock
        began = clock.now()
        pause, retried = _FIRST_PAUSE_SECONDS, 0
        while True:
            try:
                return self._send(target, input_for(target, event, rule_arn))
            except InvalidInput as error:
                code, message, condition = "INVALID_JSON", str(error), ""
            except (AWSError, ServiceException, HTTPException, LookupError, OSError) as error:
                code, message, condition = _code_of(error), str(error), ""
                if retried >= attempts:
                    condition = "MaximumRetryAttempts"
                elif (clock.now() - began).total_seconds() + pause > age:
                    condition = "MaximumEventAgeInSeconds"
                elif not self._closing.wait(clock.real_seconds(pause)):
                    pause, retried = min(pause * 2, _LONGEST_PAUSE_SECONDS), retried + 1
                    continue
                else:
                    return None
            self._bury(rule_arn, target, event, (code, message, condition, retried))
            return None

    def _send(self, target: dict[str, Any], text: str) -> threading.Event | None:
        """One attempt at the target's API; what tells that a function ran."""
        arn = target["Arn"]
        send: Callable[[], Any] | None = {
            "lambda": lambda: self._functions.invoke_later(arn, text.encode()),
            # Without a name: the execution gets one.
            "states": lambda: stepfunctions_backend(ACCOUNT_ID, arn.split(":")[3]).start_execution(
                arn, "", text
            ),
            "sqs": lambda: _send_to_queue(arn, text, {}),
            "sns": lambda: sns_backends[ACCOUNT_ID][arn.split(":")[3]].publish(text, arn=arn),
            "events": lambda: self._to_bus(arn, json.loads(text)),
        }.get(arn.split(":")[2])
        if send is None:
            raise InvalidInput(f"the local cloud does not deliver events to {arn}")
        sent = send()
        return sent if isinstance(sent, threading.Event) else None

    def _to_bus(self, arn: str, event: dict[str, Any]) -> None:
        region, bus = arn.split(":")[3], arn.rpartition("/")[2]
        if region == self._context.region:
            self.receive(bus, event)
        elif self.abroad is None:
            raise InvalidInput(f"the local cloud has no {region} to deliver events to")
        else:
            self.abroad(region, bus, event)

    def _bury(
        self,
        rule_arn: str,
        target: dict[str, Any],
        event: dict[str, Any],
        failure: tuple[str, str, str, int],
    ) -> None:
        code, message, condition, retried = failure
        queue = (target.get("DeadLetterConfig") or {}).get("Arn")
        _log.error("rule %s lost an event for %s: %s %s", rule_arn, target["Arn"], code, message)
        if not queue:
            return
        attributes = {
            "RULE_ARN": rule_arn,
            "TARGET_ARN": target["Arn"],
            "ERROR_CODE": code,
            "ERROR_MESSAGE": message,
            "RETRY_ATTEMPTS": str(retried),
        }
        if condition:
            attributes["EXHAUSTED_RETRY_CONDITION"] = condition
        _send_to_queue(queue, json.dumps(event), attributes)

    @staticmethod
    def _timestamp(instant: datetime) -> str:
        return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class _WithoutRules:
    """An events backend whose buses have no rules, for moto's own checks of PutEvents."""

    def __init__(self, backend: EventsBackend) -> None:
        """See the class."""
        self._backend = backend

    def describe_event_bus(self, name: str) -> Any:
        """The bus, if it exists, with nothing on it."""
        self._backend.describe_event_bus(name)
        return self

    @property
    def rules(self) -> dict[str, Rule]:
        """None."""
        return {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


def _send_to_queue(arn: str, text: str, attributes: dict[str, str]) -> None:
    _, _, _, region, _, name = arn.split(":")
    typed = {key: {"DataType": "String", "StringValue": value} for key, value in attributes.items()}
    sqs_backends[ACCOUNT_ID][region].send_message(name, text, message_attributes=typed or None)


def _code_of(error: Exception) -> str:
    named = (getattr(error, key, "") for key in ("error_type", "code", "TYPE"))
    name = next((str(one) for one in named if one), type(error).__name__)
    absent = ("NotFound" in name, "DoesNotExist" in name, "NonExistent" in name)
    return "NO_RESOURCE" if any(absent) else "SDK_CLIENT_ERROR"
