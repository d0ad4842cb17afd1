"""The edge to CloudWatch in one Region: how many requests there are, and how they end."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from greenlane.deployments.model import Slot
from greenlane.deployments.workload import Workload
from greenlane.errors import IncompleteRead
from greenlane.health.metrics import METRIC_LAG, MINUTE, read_traffic, whole_minutes

PERIOD = timedelta(minutes=5)
"""Of the sums; a start is taken back to a whole one."""

FEWEST = 20
"""Requests below which nothing is said of their errors and times."""


def requests_in(
    cloudwatch: Any, workload: Workload, slots: Iterable[Slot], *, start: datetime, end: datetime
) -> int:
    """The requests that slots got in [start, end), to whole periods.

    A metric of a load balancer is absent where it was zero, so no answer counts as none.

    Raises:
        botocore.exceptions.ClientError: CloudWatch did not answer; nothing is known.
        IncompleteRead: CloudWatch answered in part only.
    """
    seconds = int(PERIOD.total_seconds())
    first = start - timedelta(seconds=start.timestamp() % seconds)
    queries = [_query(workload, slot, seconds) for slot in slots]
    total, token = 0.0, dict[str, str]()
    while True:
        answer = cloudwatch.get_metric_data(
            MetricDataQueries=queries, StartTime=first, EndTime=end, **token
        )
        for result in answer["MetricDataResults"]:
            if result.get("StatusCode", "Complete") not in ("Complete", "PartialData"):
                raise IncompleteRead(f"{result['Id']}: {result['StatusCode']}")
            total += sum(result["Values"])
        if not answer.get("NextToken"):
            return round(total)
        token = {"NextToken": answer["NextToken"]}


def over_limits(
    cloudwatch: Any,
    workload: Workload,
    slot: Slot,
    *,
    error_rate: Decimal | None,
    p95_ms: int | None,
    seconds: int,
    now: datetime,
) -> str:
    """Which limit a slot has exceeded all through the last minutes, in words; nothing for none.

    Errors are what the judge of deployments counts as such. Fewer than `FEWEST` requests say
    nothing.

    Args:
        cloudwatch: the client.
        workload: whose.
        slot: which slot.
        error_rate: a ratio; None for any.
        p95_ms: milliseconds; None for any.
        seconds: how many of the last ones, to whole minutes.
        now: the clock's instant.

    Raises:
        botocore.exceptions.ClientError: CloudWatch did not answer; nothing is known.
        IncompleteRead: CloudWatch answered in part only.
    """
    if error_rate is None and p95_ms is None:
        return ""
    length = timedelta(seconds=max(seconds, 60))
    start, end = whole_minutes(now - METRIC_LAG - length - MINUTE, now - METRIC_LAG)
    minutes = read_traffic(cloudwatch, workload, start=start, end=end)[slot]
    requests = sum(minute.requests for minute in minutes)
    if requests < FEWEST:
        return ""
    failed = sum(
        minute.server_errors + minute.connection_errors + max(0, minute.requests - minute.answered)
        for minute in minutes
    )
    rate = min(Decimal(failed) / requests, Decimal(1))
    if error_rate is not None and rate > error_rate:
        return f"error_rate {rate:.4f} is above the rollout's {error_rate}"
    times = [minute.p95_ms for minute in minutes if minute.p95_ms is not None]
    if p95_ms is not None and times and min(times) > p95_ms:
        return f"response_time_p95 {min(times):.0f} ms is above the rollout's {p95_ms} ms"
    return ""


def _query(workload: Workload, slot: Slot, seconds: int) -> dict[str, Any]:
    dimensions = [
        {"Name": "TargetGroup", "Value": workload.slots[slot].target_group_full_name},
        {"Name": "LoadBalancer", "Value": workload.load_balancer_full_name},
    ]
    metric = {
        "Namespace": "AWS/ApplicationELB",
        "MetricName": "RequestCount",
        "Dimensions": dimensions,
    }
    return {
        "Id": f"requests_{slot}",
        "MetricStat": {"Metric": metric, "Period": seconds, "Stat": "Sum"},
        "ReturnData": True,
    }
