"""The edge to CloudWatch alarms: which are red, and which are missing."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict


class AlarmState(BaseModel):
    """An alarm as CloudWatch has it; `missing` when there is no such alarm."""

    model_config = ConfigDict(frozen=True)

    name: str
    state: str
    reason: str = ""
    since: datetime | None = None

    @property
    def red(self) -> bool:
        """It is in ALARM."""
        return self.state == "ALARM"

    @property
    def missing(self) -> bool:
        """There is no such alarm: nothing would trigger."""
        return self.state == "MISSING"


def read_alarms(cloudwatch: Any, names: Iterable[str]) -> list[AlarmState]:
    """The named metric alarms, in the order asked; an absent one is `missing`, not an error."""
    wanted = list(names)
    found: dict[str, AlarmState] = {}
    for first in range(0, len(wanted), 100):
        answer = cloudwatch.describe_alarms(
            AlarmNames=wanted[first : first + 100],
            AlarmTypes=["MetricAlarm", "CompositeAlarm"],
            MaxRecords=100,
        )
        for alarm in answer.get("MetricAlarms", []) + answer.get("CompositeAlarms", []):
            found[alarm["AlarmName"]] = AlarmState(
                name=alarm["AlarmName"],
                state=alarm["StateValue"],
                reason=alarm.get("StateReason", ""),
                # The other one also moves while the state stays.
                since=alarm.get("StateTransitionedTimestamp", alarm.get("StateUpdatedTimestamp")),
            )
    return [found.get(name, AlarmState(name=name, state="MISSING")) for name in wanted]
