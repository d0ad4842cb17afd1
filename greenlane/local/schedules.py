"""Rules with `rate(...)` schedules, fired on the virtual clock."""

import re
import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.events.models import EventsBackend, Rule, events_backends

from greenlane.local.context import ACCOUNT_ID, LocalContext
from greenlane.local.events import EventBridge
from greenlane.local.patches import Patches

_RATE = re.compile(r"^rate\((\d+) (minute|minutes|hour|hours|day|days)\)$")
_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400}
_LOOK_SECONDS = 0.05
# A function that hangs keeps its rule from firing for so many real seconds only.
_PATIENCE_SECONDS = 10.0


class Schedules:
    """Fires each enabled scheduled rule, first one period after it was seen.

    AWS may run two firings of one rule at once. Here a firing waits while the rule's last one is
    still being delivered, or its function runs: in compressed time a machine that is busy would
    start more and more processes of functions that are due each minute.
    """

    def __init__(self, context: LocalContext, events: EventBridge) -> None:
        """See the class."""
        self._context = context
        self._events = events
        self._due: dict[str, tuple[str, datetime]] = {}
        self._delivering: dict[str, list[threading.Thread]] = {}
        self._closing = threading.Event()
        self._patches = Patches()
        self._thread = threading.Thread(target=self._run, name="schedules")

    def start(self) -> None:
        """Begin to look for due rules; from now on PutRule refuses what we cannot fire."""
        original = EventsBackend.put_rule

        def put_rule(backend: EventsBackend, *positional: Any, **named: Any) -> Any:
            expression = named.get("scheduled_expression")
            if expression and not _RATE.match(expression):
                raise JsonRESTError(
                    "ValidationException",
                    f"The local cloud fires rate(...) schedules only, not {expression}.",
                )
            return original(backend, *positional, **named)

        self._patches.set(EventsBackend, "put_rule", put_rule)
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._closing.set()
        self._patches.undo()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._closing.wait(_LOOK_SECONDS):
            backend = events_backends[ACCOUNT_ID][self._context.region]
            for bus in list(backend.event_buses.values()):
                for rule in list(bus.rules.values()):
                    if rule.scheduled_expression and rule.state == "ENABLED":
                        self._look(rule, rule.scheduled_expression)

    def _look(self, rule: Rule, wanted: str) -> None:
        now = self._context.clock.now()
        period = timedelta(seconds=period_seconds(wanted))
        expression, due = self._due.get(rule.arn, ("", now))
        if expression != wanted:
            self._due[rule.arn] = (wanted, now + period)
            return
        busy = any(thread.is_alive() for thread in self._delivering.get(rule.arn, []))
        if now < due or busy:
            return
        missed = (now - due) // period
        self._due[rule.arn] = (expression, due + (missed + 1) * period)
        event = self._event(rule, now)
        self._delivering[rule.arn] = self._events.deliver(rule, event, _PATIENCE_SECONDS)

    def _event(self, rule: Rule, now: datetime) -> dict[str, Any]:
        return {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": ACCOUNT_ID,
            "time": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": self._context.region,
            "resources": [rule.arn],
            "detail": {},
        }


def period_seconds(expression: str) -> float:
    """The virtual seconds of a `rate(...)` expression.

    Raises:
        ValueError: it is not one.
    """
    match = _RATE.match(expression)
    if match is None:
        raise ValueError(f"{expression!r} is no rate(...) expression")
    return float(int(match.group(1)) * _SECONDS[match.group(2).rstrip("s")])
