"""The edge to CloudWatch alarms: which are red, which are missing, which were changed."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

_DEFINING = (
    "ActionsEnabled",
    "ActionsSuppressor",
    "ActionsSuppressorExtensionPeriod",
    "ActionsSuppressorWaitPeriod",
    "AlarmRule",
    "ComparisonOperator",
    "DatapointsToAlarm",
    "Dimensions",
    "EvaluateLowSampleCountPercentile",
    "EvaluationPeriods",
    "ExtendedStatistic",
    "MetricName",
    "Metrics",
    "Namespace",
    "Period",
    "Statistic",
    "Threshold",
    "ThresholdMetricId",
    "TreatMissingData",
    "Unit",
)
"""What decides when an alarm, metric or composite, is red. Its texts and receivers do not."""

_PLAIN = (
    "AlarmRule",
    "ComparisonOperator",
    "DatapointsToAlarm",
    "EvaluationPeriods",
    "Threshold",
    "TreatMissingData",
)
"""Of these, those of the alarms that `apply` writes that are one text or number."""


class AlarmState(BaseModel):
    """An alarm as CloudWatch has it; `missing` when there is no such alarm.

    `definition` is a digest of everything that decides when it is red, `applied` one that can be
    compared with what `apply` puts.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    state: str
    reason: str = ""
    since: datetime | None = None
    definition: str = ""
    applied: str = ""

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
                definition=definition_of(alarm),
                applied=as_applied(alarm),
            )
    return [found.get(name, AlarmState(name=name, state="MISSING")) for name in wanted]


def definition_of(alarm: Mapping[str, Any]) -> str:
    """A digest of an alarm's definition, from its description by `DescribeAlarms`."""
    defining = {name: _ordered(alarm[name]) for name in _DEFINING if name in alarm}
    text = json.dumps(defining, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def as_applied(alarm: Mapping[str, Any]) -> str:
    """A digest of what makes an alarm red, the same for what was put and for what is described.

    What CloudWatch may add to a description, or leave out of it, is not part of it.
    """
    content = {
        "acts": alarm.get("ActionsEnabled", True),
        "metrics": sorted((_query(one) for one in alarm.get("Metrics") or []), key=json.dumps),
        **{name: _number_or_text(alarm[name]) for name in _PLAIN if alarm.get(name) is not None},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _number_or_text(value: Any) -> Any:
    return value if isinstance(value, str) else float(value)


def _query(query: Mapping[str, Any]) -> list[Any]:
    found: list[Any] = [query["Id"], bool(query.get("ReturnData", True)), query.get("Expression")]
    stat = query.get("MetricStat")
    if stat:
        metric = stat["Metric"]
        dimensions = sorted([one["Name"], one["Value"]] for one in metric.get("Dimensions") or [])
        found += [metric["Namespace"], metric["MetricName"], dimensions]
        found += [int(stat["Period"]), stat["Stat"]]
    return found


def _ordered(value: Any) -> Any:
    """Metrics and dimensions in one order: CloudWatch promises none, and it means nothing."""
    if isinstance(value, Mapping):
        return {key: _ordered(part) for key, part in value.items()}
    if isinstance(value, list):
        return sorted(
            (_ordered(part) for part in value), key=lambda part: json.dumps(part, sort_keys=True)
        )
    return value


def changed_alarms(alarms: Iterable[AlarmState], definitions: Mapping[str, str]) -> list[str]:
    """The names of those that exist and are not defined any more as they were.

    Args:
        alarms: as they are.
        definitions: the digests from before, by name; an alarm that is not there is not compared.
    """
    return [
        alarm.name
        for alarm in alarms
        if not alarm.missing and definitions.get(alarm.name, alarm.definition) != alarm.definition
    ]
