"""The CloudWatch metrics that Application Load Balancers publish each minute.

Names, units and dimension sets as in "CloudWatch metrics for your Application Load Balancer" of
the ELB user guide; the sets with an Availability Zone are left out. A count exists only in minutes
in which it was not 0; the host counts exist whenever a group in use has targets.
"""

from collections import Counter
from typing import Any

from moto.elbv2.models import ELBv2Backend

NAMESPACE = "AWS/ApplicationELB"
Datum = dict[str, Any]


def minute_metrics(minute: dict[str, Any], backend: ELBv2Backend) -> list[Datum]:
    """The `MetricData` entries (without Timestamp) of a closed minute."""
    data: list[Datum] = []
    healthy: dict[str, int] = {}
    for balancer, group, samples in minute["hosts"]:
        dimensions = [_group(group), _balancer(balancer)]
        healthy[group] = max(sample[0] for sample in samples)
        data.append(_values("HealthyHostCount", dimensions, Counter(s[0] for s in samples)))
        data.append(_values("UnHealthyHostCount", dimensions, Counter(s[1] for s in samples)))
    for balancer, group, counts in minute["groups"]:
        data += _counts([_group(group), _balancer(balancer)], counts)
        data += _per_target(balancer, group, counts, healthy.get(group, 0), backend)
    for balancer, counts in minute["balancers"]:
        data += _counts([_balancer(balancer)], counts)
    return data


def _counts(dimensions: list[dict[str, str]], counts: dict[str, Any]) -> list[Datum]:
    data = [_sum(name, dimensions, value) for name, value in counts["metrics"].items() if value]
    if counts["times"]:
        times = Counter({float(value): int(count) for value, count in counts["times"]})
        data.append(_values("TargetResponseTime", dimensions, times, "Seconds"))
    return data


def _per_target(
    balancer: str, group: str, counts: dict[str, Any], healthy: int, backend: ELBv2Backend
) -> list[Datum]:
    known = backend.target_groups.get(group)
    targets = healthy or (len(known.targets) if known is not None else 0)
    if not targets:
        return []
    value = counts["metrics"]["RequestCount"] / targets
    sets = [[_group(group)], [_group(group), _balancer(balancer)]]
    return [_sum("RequestCountPerTarget", dimensions, value) for dimensions in sets]


def _sum(name: str, dimensions: list[dict[str, str]], value: float) -> Datum:
    return {"MetricName": name, "Dimensions": dimensions, "Value": float(value), "Unit": "Count"}


def _values(
    name: str, dimensions: list[dict[str, str]], values: Counter[Any], unit: str = "Count"
) -> Datum:
    return {
        "MetricName": name,
        "Dimensions": dimensions,
        "Values": [float(value) for value in values],
        "Counts": [float(count) for count in values.values()],
        "Unit": unit,
    }


def _group(arn: str) -> dict[str, str]:
    return {"Name": "TargetGroup", "Value": arn.rpartition(":")[2]}


def _balancer(arn: str) -> dict[str, str]:
    return {"Name": "LoadBalancer", "Value": arn.partition(":loadbalancer/")[2]}
