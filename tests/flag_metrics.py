"""What CloudWatch tells of the service in `tests/flag_town.py`."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.builders import GROUPS

if TYPE_CHECKING:
    from tests.flag_town import Town


class Metrics:
    """Alarms, and the metrics that the levels make."""

    def __init__(self, town: "Town") -> None:
        self._town = town

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._town.alarms, operation)

    def get_metric_data(
        self,
        MetricDataQueries: list[dict[str, Any]],  # noqa: N803
        StartTime: datetime,  # noqa: N803
        EndTime: datetime,  # noqa: N803
        **_: Any,
    ) -> dict[str, Any]:
        self._town.note_level()
        now = self._town.kernel.now()
        minutes = []
        at = StartTime
        while at < EndTime and (at + timedelta(minutes=1) <= now or self._town.begun_minutes):
            if not self._town.silent(at):
                minutes.append(at)
            at += timedelta(minutes=1)
        results = []
        for query in MetricDataQueries:
            known = self._points(query["MetricStat"], minutes)
            results.append(
                {
                    "Id": query["Id"],
                    "StatusCode": "Complete",
                    "Timestamps": [at for at, _ in known],
                    "Values": [value for _, value in known],
                }
            )
        return {"MetricDataResults": results}

    def _points(
        self, stat: dict[str, Any], minutes: list[datetime]
    ) -> list[tuple[datetime, float]]:
        """The minutes of which there is a value."""
        metric = stat["Metric"]["MetricName"]
        dimensions = {one["Name"]: one["Value"] for one in stat["Metric"]["Dimensions"]}
        group = dimensions.get("TargetGroup")
        if group is not None and group != GROUPS["blue"].rsplit(":", 1)[-1]:
            return []  # nothing reaches the other slot
        points = [(at, self._value(metric, dimensions, stat["Stat"], at)) for at in minutes]
        return [(at, value) for at, value in points if value is not None]

    def _value(
        self, metric: str, dimensions: dict[str, str], stat: str, at: datetime
    ) -> float | None:
        town = self._town
        share = float(town.level_at(at, dimensions.get("Flag", "checkout"))) / 100
        harm = town.harm if town.harmful(at) else 0.0
        if metric == "CheckoutFailed":
            on = dimensions["Variant"] == "on"
            samples = round(town.requests * (share if on else 1 - share))
            if not samples:
                return None
            failing = round(samples * (town.floor + (harm if on else 0.0)))
            return samples if stat == "SampleCount" else failing / samples
        if metric == "user_complaints" and dimensions["Slot"] == "blue":
            return town.requests * (share * harm if stat == "Sum" else 1)
        if "TargetGroup" not in dimensions:
            return None
        over = at + timedelta(minutes=1) <= town.kernel.now()
        requests = town.requests if over else town.requests // 10
        errors = round(requests * (town.floor + share * harm))
        return {
            "RequestCount": float(requests),
            "HTTPCode_Target_2XX_Count": float(requests - errors),
            "HTTPCode_Target_5XX_Count": float(errors) or None,
        }.get(metric)
