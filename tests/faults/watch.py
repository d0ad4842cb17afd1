"""CloudWatch in virtual time: the balancer's metrics, and alarms that are evaluated each minute."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from tests.builders import GROUPS, NOW, SERVICE
from tests.faults.kernel import Kernel
from tests.faults.traffic import SLOTS, Traffic
from tests.minutes import measured, value_of

LAG_SECONDS = 3.0
FLOOR, RATIO = 20, 0.05
_MINUTE = timedelta(minutes=1)


def slot_of(alarm: str) -> str:
    """The slot that an alarm is about, by its name."""
    return next(slot for slot in SLOTS if alarm.startswith(f"{SERVICE}-{slot}-"))


def alarm_configuration(alarm: str) -> dict[str, Any]:
    """What EventBridge says of an alarm's definition."""
    dimensions = {
        "TargetGroup": GROUPS[slot_of(alarm)].rsplit(":", 1)[-1],
        "LoadBalancer": "app/claude-manager/1",
    }
    metric = {"namespace": "AWS/ApplicationELB", "name": "RequestCount", "dimensions": dimensions}
    stat = {"metric": metric, "period": 60, "stat": "Sum"}
    return {"metrics": [{"id": "m1", "metricStat": stat, "returnData": True}]}


class Watch:
    """A boto3 `cloudwatch` client.

    Args:
        kernel: the time.
        traffic: what is measured.
        rang: called with an alarm that turned red, as DescribeAlarms has it.
    """

    def __init__(
        self, kernel: Kernel, traffic: Traffic, rang: Callable[[dict[str, Any]], None]
    ) -> None:
        self.kernel, self.traffic, self.rang = kernel, traffic, rang
        self.states: dict[str, dict[str, Any]] = {}
        for slot in SLOTS:
            for kind in ("error-rate", "p95"):
                self.set_state(f"{SERVICE}-{slot}-{kind}", "OK")
        kernel.after(60 + LAG_SECONDS, self._evaluate)

    def set_state(self, name: str, state: str) -> None:
        """An alarm is so from now on, and nobody is told."""
        self.states[name] = {
            "AlarmName": name,
            "AlarmArn": f"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{name}",
            "StateValue": state,
            "StateReason": f"{name} is {state}",
            "StateTransitionedTimestamp": self.kernel.now(),
            "StateUpdatedTimestamp": self.kernel.now(),
        }

    def ring(self, name: str) -> None:
        """An alarm turns red, and says so."""
        self.set_state(name, "ALARM")
        self.rang(self.states[name])

    def _evaluate(self) -> None:
        self.kernel.after(60, self._evaluate)
        self.traffic.settle()
        minute = self.traffic.minutes[int(self.kernel.seconds // 60) - 1]
        for slot in SLOTS:
            name = f"{SERVICE}-{slot}-error-rate"
            numbers = minute[slot]
            failed = numbers.errors + numbers.resets
            red = numbers.requests >= FLOOR and failed / numbers.requests > RATIO
            was = self.states[name]["StateValue"] == "ALARM"
            if red and not was:
                self.ring(name)
            elif was and not red:
                self.set_state(name, "OK")

    def describe_alarms(self, AlarmNames: list[str], **_: Any) -> dict[str, Any]:  # noqa: N803
        return {"MetricAlarms": [self.states[name] for name in AlarmNames if name in self.states]}

    def get_metric_data(self, **arguments: Any) -> dict[str, Any]:
        """Whole minutes that have come in."""
        self.traffic.settle()
        first = _minute(arguments["StartTime"])
        last = min(_minute(arguments["EndTime"]), int((self.kernel.seconds - LAG_SECONDS) // 60))
        results = []
        for query in arguments["MetricDataQueries"]:
            short, slot = measured(query)
            points = [
                (NOW + (minute * _MINUTE), value)
                for minute in range(first, last)
                if slot and (value := self._value(short, slot, minute)) is not None
            ]
            results.append(
                {
                    "Id": query["Id"],
                    "StatusCode": "Complete",
                    "Timestamps": [at for at, _ in points],
                    "Values": [value for _, value in points],
                }
            )
        return {"MetricDataResults": results}

    def _value(self, short: str, slot: str, minute: int) -> float | None:
        numbers = self.traffic.minutes[minute][slot]
        requests, errors = round(numbers.requests), round(numbers.errors)
        resets = round(numbers.resets)
        values: dict[str, float] = {"requests": requests, "ok2": requests - errors - resets}
        values |= {"bad5": errors, "reset": resets, "p95": 0.1}
        return value_of(short, values) if requests else None


def _minute(at: datetime) -> int:
    return int((at - NOW).total_seconds() // 60)
