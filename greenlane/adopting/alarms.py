"""The alarms of one slot: the same six that the sample's template declares for each.

A test compares both. They have no actions: EventBridge sees each change of state.
"""

import re
from typing import Any

from greenlane.adopting.model import OWNER_TAG, Body
from greenlane.deployments.workload import SlotName

KINDS = ("error-rate", "unanswered", "p95", "p99", "unhealthy-hosts", "connection-errors")

ERROR_RATE_PERCENT, REQUEST_FLOOR = 5, 20
P95_SECONDS, P99_SECONDS = 5, 8
CONNECTION_ERRORS = 5
PERIOD_SECONDS = 60
NAMESPACE = "AWS/ApplicationELB"

_FAILED = "IF(r >= {floor}, 100 * (FILL(c5, 0) + FILL(k, 0)) / r, 0)"
_UNANSWERED = (
    "IF(r >= {floor}, 100 * (FILL(c5, 0) + MAX([r - (FILL(c2, 0) + FILL(c3, 0) + FILL(c4, 0)"
    " + FILL(c5, 0)), FILL(k, 0)])) / r, 0)"
)
_METRICS = {
    "r": "RequestCount",
    "c2": "HTTPCode_Target_2XX_Count",
    "c3": "HTTPCode_Target_3XX_Count",
    "c4": "HTTPCode_Target_4XX_Count",
    "c5": "HTTPCode_Target_5XX_Count",
    "k": "TargetConnectionErrorCount",
}


def alarm_names(service: str, slot: SlotName) -> tuple[str, ...]:
    """The alarms of one slot, by their full names."""
    return tuple(f"{service}-{slot}-{kind}" for kind in KINDS)


def alarms_of(service: str, slot: SlotName, balancer: str, group: str) -> tuple[Body, ...]:
    """The parameters of PutMetricAlarm of all alarms of one slot.

    Args:
        service: as Greenlane calls it.
        slot: whose alarms these are.
        balancer: the CloudWatch dimension `LoadBalancer`.
        group: the CloudWatch dimension `TargetGroup`.
    """
    metrics = _Metrics(slot, balancer, group)
    bodies: dict[str, Body] = {
        "error-rate": metrics.percent(_FAILED, "failed", minutes=1),
        "unanswered": metrics.percent(_UNANSWERED, "failed or went unanswered", minutes=2),
        "p95": metrics.slow("p95", P95_SECONDS),
        "p99": metrics.slow("p99", P99_SECONDS),
        "unhealthy-hosts": metrics.count("UnHealthyHostCount", "Maximum", 1, minutes=2),
        "connection-errors": metrics.count(
            "TargetConnectionErrorCount", "Sum", CONNECTION_ERRORS, minutes=1
        ),
    }
    return tuple(
        {
            "AlarmName": f"{service}-{slot}-{kind}",
            "TreatMissingData": "notBreaching",
            "Tags": [{"Key": OWNER_TAG, "Value": service}],
            **bodies[kind],
        }
        for kind in KINDS
    )


class _Metrics:
    def __init__(self, slot: SlotName, balancer: str, group: str) -> None:
        self._slot = slot
        self._dimensions = [
            {"Name": "LoadBalancer", "Value": balancer},
            {"Name": "TargetGroup", "Value": group},
        ]

    def percent(self, expression: str, what: str, *, minutes: int) -> Body:
        used = [id for id in _METRICS if re.search(rf"\b{id}\b", expression)]
        queries: list[dict[str, Any]] = [
            {
                "Id": "expr_1",
                "Expression": expression.format(floor=REQUEST_FLOOR),
                "Label": f"{self._slot} error rate (percent)",
                "ReturnData": True,
            }
        ]
        queries += [
            {
                "Id": id,
                "MetricStat": {
                    "Metric": {
                        "Namespace": NAMESPACE,
                        "MetricName": _METRICS[id],
                        "Dimensions": self._dimensions,
                    },
                    "Period": PERIOD_SECONDS,
                    "Stat": "Sum",
                },
                "ReturnData": False,
            }
            for id in used
        ]
        return {
            "AlarmDescription": f"Percent of requests to {self._slot} that {what}",
            "Metrics": queries,
            "Threshold": ERROR_RATE_PERCENT,
            "ComparisonOperator": "GreaterThanThreshold",
            **_all_of(minutes),
        }

    def slow(self, percentile: str, seconds: float) -> Body:
        return self._plain("TargetResponseTime", percentile) | {
            "ExtendedStatistic": percentile,
            "Threshold": seconds,
            "ComparisonOperator": "GreaterThanThreshold",
            # A percentile of a handful of requests is no evidence.
            "EvaluateLowSampleCountPercentile": "ignore",
            **_all_of(2),
        }

    def count(self, metric: str, statistic: str, least: int, *, minutes: int) -> Body:
        return self._plain(metric, statistic) | {
            "Statistic": statistic,
            "Threshold": least,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            **_all_of(minutes),
        }

    def _plain(self, metric: str, statistic: str) -> Body:
        return {
            "AlarmDescription": f"{metric} ({statistic}) of {self._slot}",
            "Namespace": NAMESPACE,
            "MetricName": metric,
            "Dimensions": self._dimensions,
            "Period": PERIOD_SECONDS,
        }


def _all_of(minutes: int) -> Body:
    return {"EvaluationPeriods": minutes, "DatapointsToAlarm": minutes}
