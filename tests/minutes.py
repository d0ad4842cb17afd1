"""A minute of a slot in numbers, and what each metric query of the product makes of it."""

from typing import Any

from tests.builders import GROUPS

_COUNTS = {
    "RequestCount": "requests",
    "HTTPCode_Target_2XX_Count": "ok2",
    "HTTPCode_Target_5XX_Count": "bad5",
    "TargetConnectionErrorCount": "reset",
}
SHORT = (*_COUNTS.values(), "p95")
"""What a minute of a slot is made of: counts, and the seconds that every answer took."""


def measured(query: dict[str, Any]) -> tuple[str, str]:
    """What a metric query of a slot asks for, and the slot; ("", "") if it is nothing we have."""
    stat = query.get("MetricStat")
    dimensions = {one["Name"]: one["Value"] for one in stat["Metric"]["Dimensions"]} if stat else {}
    slots = {arn.rsplit(":", 1)[-1]: slot for slot, arn in GROUPS.items()}
    slot = slots.get(dimensions.get("TargetGroup", ""), "")
    if stat is None or not slot:
        return "", ""
    name, statistic = stat["Metric"]["MetricName"], stat["Stat"]
    if name == "TargetResponseTime":
        return ("requests" if statistic == "SampleCount" else statistic), slot
    return _COUNTS.get(name, ""), slot


def value_of(short: str, minute: dict[str, float]) -> float | None:
    """A number of a minute in which every answer took equally long; a count of 0 is absent."""
    if short in SHORT:
        return float(minute[short]) if minute.get(short) else None
    seconds = minute.get("p95")
    if not seconds:
        return None
    if short.startswith("PR("):  # percent of the answers that took longer
        return 100.0 if seconds > float(short[3:].split(":")[0]) else 0.0
    return float(seconds) if short.startswith("p") else None
