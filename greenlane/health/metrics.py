"""The edge to CloudWatch: one batched read of what the balancer measured about both slots.

A metric of an Application Load Balancer exists only in minutes in which it was not zero, so an
absent count is 0 as long as the minute itself was reported at all. `RequestCount` minus the
sum of the answered classes shows what the balancer answered itself (its own 502 and 504 have no
target-group dimension): requests that hung or were reset. In one minute that difference also
holds requests that are still in flight, so only the judge, over a window, makes errors of it.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict

from greenlane.deployments.model import Slot
from greenlane.deployments.workload import Workload
from greenlane.errors import IncompleteRead

MINUTE = timedelta(minutes=1)

METRIC_LAG = timedelta(seconds=10)
"""A minute is judged this long after it closed: its metrics do not arrive all at once."""

_COUNTS = {
    "requests": "RequestCount",
    "ok2": "HTTPCode_Target_2XX_Count",
    "ok3": "HTTPCode_Target_3XX_Count",
    "ok4": "HTTPCode_Target_4XX_Count",
    "bad5": "HTTPCode_Target_5XX_Count",
    "reset": "TargetConnectionErrorCount",
}


class MinuteOfTraffic(BaseModel):
    """What one slot did in one minute. Times in milliseconds."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    requests: int = 0
    answered: int = 0
    server_errors: int = 0
    connection_errors: int = 0
    p95_ms: Decimal | None = None


Traffic = dict[Slot, list[MinuteOfTraffic]]


def whole_minutes(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """The whole minutes inside [start, end): the first edge rounded up, the last one down."""
    first = start.replace(second=0, microsecond=0)
    if first < start:
        first += MINUTE
    return first, end.replace(second=0, microsecond=0)


def read_traffic(cloudwatch: Any, workload: Workload, *, start: datetime, end: datetime) -> Traffic:
    """Both slots' minutes in [start, end), oldest first; minutes without any metric are absent.

    Raises:
        botocore.exceptions.ClientError: CloudWatch did not answer; nothing is known.
        IncompleteRead: CloudWatch answered in part only.
    """
    queries = list(_queries(workload))
    values: dict[str, dict[datetime, float]] = {query["Id"]: {} for query in queries}
    token: dict[str, str] = {}
    while True:
        answer = cloudwatch.get_metric_data(
            MetricDataQueries=queries,
            StartTime=start,
            EndTime=end,
            ScanBy="TimestampAscending",
            **token,
        )
        for result in answer["MetricDataResults"]:
            if result.get("StatusCode", "Complete") not in ("Complete", "PartialData"):
                raise IncompleteRead(f"{result['Id']}: {result['StatusCode']}")
            values[result["Id"]].update(zip(result["Timestamps"], result["Values"], strict=True))
        if not answer.get("NextToken"):
            break
        token = {"NextToken": answer["NextToken"]}
    return {slot: _minutes(values, slot) for slot in workload.slots}


def _queries(workload: Workload) -> Iterable[dict[str, Any]]:
    for slot, resources in workload.slots.items():
        dimensions = [
            {"Name": "TargetGroup", "Value": resources.target_group_full_name},
            {"Name": "LoadBalancer", "Value": workload.load_balancer_full_name},
        ]
        for short, name in _COUNTS.items():
            yield _query(f"{short}_{slot}", name, dimensions, "Sum")
        yield _query(f"p95_{slot}", "TargetResponseTime", dimensions, "p95")


def _query(
    query_id: str, name: str, dimensions: list[dict[str, str]], statistic: str
) -> dict[str, Any]:
    metric = {"Namespace": "AWS/ApplicationELB", "MetricName": name, "Dimensions": dimensions}
    return {
        "Id": query_id,
        "MetricStat": {"Metric": metric, "Period": 60, "Stat": statistic},
        "ReturnData": True,
    }


def _minutes(values: dict[str, dict[datetime, float]], slot: Slot) -> list[MinuteOfTraffic]:
    def at(short: str, moment: datetime) -> int:
        return round(values[f"{short}_{slot}"].get(moment, 0))

    moments = sorted(set().union(*(values[f"{short}_{slot}"] for short in _COUNTS)))
    p95 = values[f"p95_{slot}"]
    return [
        MinuteOfTraffic(
            at=moment,
            requests=at("requests", moment),
            answered=sum(at(short, moment) for short in ("ok2", "ok3", "ok4", "bad5")),
            server_errors=at("bad5", moment),
            connection_errors=at("reset", moment),
            p95_ms=Decimal(str(p95[moment])) * 1000 if moment in p95 else None,
        )
        for moment in moments
    ]
