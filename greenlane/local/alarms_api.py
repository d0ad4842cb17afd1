"""The alarm operations of CloudWatch, the alarms' states, and what a change of state sets off."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from greenlane.clock import Clock
from greenlane.local.alarms import ALARM as IN_ALARM
from greenlane.local.alarms import INSUFFICIENT_DATA, OK, check_settings, evaluate_alarm, stamp
from greenlane.local.cloudwatch_store import MetricStore
from greenlane.local.composite_alarms import children_of, is_true
from greenlane.local.operations import AwsError, Parameters

STATES = (OK, IN_ALARM, INSUFFICIENT_DATA)
_log = logging.getLogger(__name__)
_INITIAL_REASON = "Unchecked: Initial alarm creation"
_COMPOSITE_REASON = "The rule of the composite alarm is {}true"
_ACTIONS = {OK: "OKActions", IN_ALARM: "AlarmActions", INSUFFICIENT_DATA: "InsufficientDataActions"}

PutEvent = Callable[[str, str, dict[str, Any], list[str]], None]
RunAction = Callable[[str, "Alarm", dict[str, Any]], None]
"""Runs an alarm action: its ARN, the alarm, and the event's detail."""


@dataclass
class Alarm:
    """One alarm: its settings as PutMetricAlarm or PutCompositeAlarm took them, and its state."""

    arn: str
    settings: dict[str, Any]
    configured: datetime
    changed: datetime
    value: str = INSUFFICIENT_DATA
    reason: str = _INITIAL_REASON
    reason_data: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    query_id: str = field(default_factory=lambda: str(uuid4()))

    @property
    def name(self) -> str:
        """The alarm's name."""
        return str(self.settings["AlarmName"])

    @property
    def rule(self) -> str | None:
        """The rule of a composite alarm; None of a metric alarm."""
        return self.settings.get("AlarmRule")

    @property
    def kind(self) -> str:
        """The alarm's type as `AlarmTypes` names it."""
        return "MetricAlarm" if self.rule is None else "CompositeAlarm"

    def describe(self) -> dict[str, Any]:
        """The alarm as DescribeAlarms gives it."""
        return {
            "ActionsEnabled": True,
            "OKActions": [],
            "AlarmActions": [],
            "InsufficientDataActions": [],
            **({"Dimensions": []} if self.rule is None else {}),
            **{name: value for name, value in self.settings.items() if name != "Tags"},
            "AlarmArn": self.arn,
            "AlarmConfigurationUpdatedTimestamp": self.configured,
            "StateValue": self.value,
            "StateReason": self.reason,
            "StateReasonData": self.reason_data or None,
            "StateUpdatedTimestamp": self.changed,
            "StateTransitionedTimestamp": self.changed,
        }

    def state(self) -> dict[str, Any]:
        """The state as the event's detail gives it."""
        data = {"reasonData": self.reason_data} if self.reason_data else {}
        return {
            "reason": self.reason,
            **data,
            "timestamp": stamp(self.changed),
            "value": self.value,
        }

    def configuration(self) -> dict[str, Any]:
        """The configuration as the event's detail gives it."""
        description = self.settings.get("AlarmDescription")
        said = {"description": description} if description else {}
        if self.rule is not None:
            return {**said, "alarmRule": self.rule}
        metrics = [_event_metric(query) for query in self.settings.get("Metrics") or []]
        if not metrics:
            stat = {
                "Metric": {
                    "Namespace": self.settings["Namespace"],
                    "MetricName": self.settings["MetricName"],
                    "Dimensions": self.settings.get("Dimensions") or [],
                },
                "Period": self.settings["Period"],
                "Stat": self.settings.get("Statistic") or self.settings.get("ExtendedStatistic"),
            }
            metrics = [_event_metric({"Id": self.query_id, "MetricStat": stat})]
        return {**said, "metrics": metrics}


class Alarms:
    """All alarms of one region."""

    def __init__(
        self,
        store: MetricStore,
        clock: Clock,
        arn_prefix: str,
        put_event: PutEvent,
        run_action: RunAction,
    ) -> None:
        """`arn_prefix` is `arn:aws:cloudwatch:REGION:ACCOUNT:alarm:`."""
        self._store, self._clock, self._prefix = store, clock, arn_prefix
        self._put_event, self._run_action = put_event, run_action
        self._lock = threading.RLock()
        self.alarms: dict[str, Alarm] = {}
        self.history: list[dict[str, Any]] = []

    def evaluate(self, end: int) -> None:
        """Evaluate every alarm over the periods that end at `end`, a virtual Unix second."""
        with self._lock:
            alarms = list(self.alarms.values())
        for alarm in alarms:
            if alarm.rule is not None:
                continue
            try:
                verdict = evaluate_alarm(alarm.settings, alarm.value, self._store, end)
                if verdict is not None and verdict.value != alarm.value:
                    self._change(alarm, verdict.value, verdict.reason, verdict.reason_data)
            except Exception:
                # One broken alarm, or event target, must not keep the others from being judged.
                _log.exception("alarm %s at %s", alarm.name, end)
        self._evaluate_composites()

    def put_metric_alarm(self, parameters: Parameters) -> dict[str, Any]:
        """A new alarm has INSUFFICIENT_DATA; a changed one keeps its state until evaluated."""
        check_settings(parameters)
        self._put(parameters)
        return {}

    def put_composite_alarm(self, parameters: Parameters) -> dict[str, Any]:
        """A composite alarm over alarms that exist; it is evaluated at once."""
        for child in children_of(parameters["AlarmRule"]):
            self._get(child.removeprefix(self._prefix))
        self._put(parameters)
        self._evaluate_composites()
        return {}

    def _put(self, parameters: Parameters) -> None:
        now = self._clock.now()
        name = parameters["AlarmName"]
        with self._lock:
            known = self.alarms.get(name)
            if known is not None:
                known.settings, known.configured = parameters, now
                action = "updated"
            else:
                tags = {tag["Key"]: tag["Value"] for tag in parameters.get("Tags") or []}
                alarm = Alarm(self._prefix + name, parameters, now, now, tags=tags)
                self.alarms[name] = alarm
                action = "created"
        self._note(name, "ConfigurationUpdate", f'Alarm "{name}" {action}', "{}")

    def _evaluate_composites(self) -> None:
        """Evaluate every composite alarm until none changes: one may be above another."""
        with self._lock:
            composites = [alarm for alarm in self.alarms.values() if alarm.rule is not None]
        for _ in composites:
            if not any([self._evaluate_composite(alarm) for alarm in composites]):
                return

    def _evaluate_composite(self, alarm: Alarm) -> bool:
        """Whether its state changed."""
        true = is_true(alarm.rule or "", self._state_of)
        value = IN_ALARM if true else OK
        if value == alarm.value:
            return False
        reason = _COMPOSITE_REASON.format("" if true else "not ")
        self._change(alarm, value, reason, "")
        return True

    def _state_of(self, name: str) -> str:
        """The state of an alarm, by name or ARN; one that is not there has no data."""
        alarm = self.alarms.get(name.removeprefix(self._prefix))
        return INSUFFICIENT_DATA if alarm is None else alarm.value

    def describe_alarms(self, parameters: Parameters) -> dict[str, Any]:
        """Alarms by names, prefix, state or action prefix, paged by MaxRecords."""
        names = parameters.get("AlarmNames")
        kinds = parameters.get("AlarmTypes") or ["MetricAlarm"]
        with self._lock:
            found = [
                alarm
                for _, alarm in sorted(self.alarms.items())
                if (not names or alarm.name in names)
                and alarm.name.startswith(parameters.get("AlarmNamePrefix") or "")
                and parameters.get("StateValue") in (None, alarm.value)
                and _acts(alarm, parameters.get("ActionPrefix"))
                and alarm.kind in kinds
            ]
            first = int(parameters.get("NextToken") or 0)
            last = first + int(parameters.get("MaxRecords") or 100)
            token = {"NextToken": str(last)} if last < len(found) else {}
            page = found[first:last]
        answer: dict[str, Any] = {
            f"{kind}s": [alarm.describe() for alarm in page if alarm.kind == kind]
            for kind in ("MetricAlarm", "CompositeAlarm")
        }
        return {**answer, **token}

    def set_alarm_state(self, parameters: Parameters) -> dict[str, Any]:
        """Set a state until the next evaluation; a change has all the effects of a real one."""
        alarm = self._get(parameters["AlarmName"])
        value = parameters["StateValue"]
        if value not in STATES:
            raise AwsError("ValidationError", f"StateValue {value!r} is not one of {STATES}")
        data = parameters.get("StateReasonData") or ""
        if value != alarm.value:
            self._change(alarm, value, parameters["StateReason"], data)
            self._evaluate_composites()
        return {}

    def delete_alarms(self, parameters: Parameters) -> dict[str, Any]:
        """Delete alarms; all or, if one is unknown or below another, none."""
        names = parameters["AlarmNames"]
        alarms = [self._get(name) for name in names]
        if sum(alarm.rule is not None for alarm in alarms) > 1:
            raise AwsError("ValidationError", "Only one composite alarm can be deleted at a time")
        with self._lock:
            others = [alarm for name, alarm in self.alarms.items() if name not in names]
        for other in others:
            if other.rule is not None and {*names} & {*children_of(other.rule)}:
                message = f"An alarm is in use by the composite alarm {other.name}"
                raise AwsError("ValidationError", message)
        with self._lock:
            for name in names:
                self.alarms.pop(name, None)
        return {}

    def describe_alarm_history(self, parameters: Parameters) -> dict[str, Any]:
        """State and configuration changes, newest first."""
        name, kind = parameters.get("AlarmName"), parameters.get("HistoryItemType")
        with self._lock:
            items = [
                item
                for item in self.history
                if name in (None, item["AlarmName"]) and kind in (None, item["HistoryItemType"])
            ]
        if parameters.get("ScanBy") != "TimestampAscending":
            items.reverse()
        return {"AlarmHistoryItems": items[: int(parameters.get("MaxRecords") or 100)]}

    def enable_alarm_actions(self, parameters: Parameters) -> dict[str, Any]:
        """Let alarms act again."""
        return self._set_actions(parameters, True)

    def disable_alarm_actions(self, parameters: Parameters) -> dict[str, Any]:
        """Keep alarms from acting; their events go on."""
        return self._set_actions(parameters, False)

    def tagged(self, arn: str) -> Alarm | None:
        """The alarm with an ARN, or None."""
        return self.alarms.get(arn.removeprefix(self._prefix))

    def _set_actions(self, parameters: Parameters, enabled: bool) -> dict[str, Any]:
        for name in parameters["AlarmNames"]:
            self._get(name).settings["ActionsEnabled"] = enabled
        return {}

    def _get(self, name: str) -> Alarm:
        alarm = self.alarms.get(name)
        if alarm is None:
            raise AwsError("ResourceNotFound", f"Unknown alarm: {name}")
        return alarm

    def _change(self, alarm: Alarm, value: str, reason: str, reason_data: str) -> None:
        with self._lock:
            previous = alarm.state()
            alarm.value, alarm.reason, alarm.reason_data = value, reason, reason_data
            alarm.changed = self._clock.now()
            detail = {
                "alarmName": alarm.name,
                "configuration": alarm.configuration(),
                "previousState": previous,
                "state": alarm.state(),
            }
        summary = f"Alarm updated from {previous['value']} to {value}"
        self._note(alarm.name, "StateUpdate", summary, reason_data or "{}")
        self._put_event("aws.cloudwatch", "CloudWatch Alarm State Change", detail, [alarm.arn])
        if alarm.settings.get("ActionsEnabled", True):
            for action in alarm.settings.get(_ACTIONS[value]) or []:
                self._run_action(action, alarm, detail)

    def _note(self, name: str, kind: str, summary: str, data: str) -> None:
        known = self.alarms.get(name)
        with self._lock:
            self.history.append(
                {
                    "AlarmName": name,
                    "AlarmType": known.kind if known else "MetricAlarm",
                    "Timestamp": self._clock.now(),
                    "HistoryItemType": kind,
                    "HistorySummary": summary,
                    "HistoryData": data,
                }
            )


def _acts(alarm: Alarm, prefix: str | None) -> bool:
    actions = [one for name in _ACTIONS.values() for one in alarm.settings.get(name) or []]
    return prefix is None or any(action.startswith(prefix) for action in actions)


def _event_metric(query: dict[str, Any]) -> dict[str, Any]:
    """A metric data query in the camel case of events."""
    found: dict[str, Any] = {"id": query["Id"], "returnData": query.get("ReturnData", True)}
    if query.get("Label"):
        found["label"] = query["Label"]
    stat = query.get("MetricStat")
    if not stat:
        return {**found, "expression": query["Expression"]}
    metric = stat["Metric"]
    dimensions = {one["Name"]: one["Value"] for one in metric.get("Dimensions") or []}
    named = {
        "dimensions": dimensions,
        "name": metric["MetricName"],
        "namespace": metric["Namespace"],
    }
    return {
        **found,
        "metricStat": {"metric": named, "period": int(stat["Period"]), "stat": stat["Stat"]},
    }
