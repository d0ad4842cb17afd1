"""GetMetricData, GetMetricStatistics and ListMetrics over the metric store."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from greenlane.local.cloudwatch_store import MetricStore, metric_key
from greenlane.local.metric_math import MathError, Range, Series, evaluate
from greenlane.local.operations import AwsError, Parameters

MAXIMUM_DATAPOINTS = 100_800
PAGE_OF_METRICS = 500


class Queries:
    """The `MetricDataQueries` of one request or alarm, evaluated in order of need.

    Raises:
        AwsError: `ValidationError` for anything that CloudWatch would refuse.
    """

    def __init__(self, store: MetricStore, queries: Sequence[dict[str, Any]]) -> None:
        """See the class."""
        self._store = store
        self._queries = {query["Id"]: query for query in queries}
        if len(self._queries) < len(queries):
            raise AwsError("ValidationError", "The values for parameter id are not unique")
        self._metrics = [query["Id"] for query in queries if query.get("MetricStat")]
        stated = [query.get("MetricStat") or query for query in queries]
        self.period = max([int(one["Period"]) for one in stated if one.get("Period")], default=60)

    def returned(self) -> list[dict[str, Any]]:
        """The queries whose results are wanted."""
        return [query for query in self._queries.values() if query.get("ReturnData", True)]

    def value(self, query: dict[str, Any], start: int, end: int) -> list[Series]:
        """The series of one query over [start, end), in virtual Unix seconds."""
        found = self._value(query["Id"], start, end, {}, ())
        return found if isinstance(found, list) else [found]

    def _value(
        self,
        name: str,
        start: int,
        end: int,
        known: dict[str, Series],
        above: tuple[str, ...],
    ) -> Series | list[Series]:
        query = self._queries[name]
        if name in above:
            raise AwsError("ValidationError", f"The expression {name} refers to itself")
        if query.get("MetricStat"):
            return self._metric(query["MetricStat"], start, end)
        if not query.get("Expression"):
            message = f"Query {name} has neither MetricStat nor Expression"
            raise AwsError("ValidationError", message)
        for other in self._queries:
            if other not in known and other != name and _names(query["Expression"], other):
                inner = self._value(other, start, end, known, (*above, name))
                if isinstance(inner, list):
                    message = f"{other} gives several time series and cannot be used in {name}"
                    raise AwsError("ValidationError", message)
                known[other] = inner
        metrics = {
            one: self._metric(self._queries[one]["MetricStat"], start, end)
            for one in self._metrics
            if "METRICS" in query["Expression"]
        }
        span = Range(range(start, end, self.period), self.period)
        try:
            return evaluate(query["Expression"], {**metrics, **known}, span, self._metrics)
        except MathError as error:
            raise AwsError("ValidationError", f"Error in expression '{name}': {error}") from error

    def _metric(self, stat: dict[str, Any], start: int, end: int) -> Series:
        metric = stat["Metric"]
        key = metric_key(metric["Namespace"], metric["MetricName"], metric.get("Dimensions"))
        period = int(stat["Period"])
        try:
            times = range(start, end, period)
            return self._store.series(key, stat["Stat"], times, period, stat.get("Unit"))
        except ValueError as error:
            raise AwsError("ValidationError", str(error)) from error


def get_metric_data(store: MetricStore, parameters: Parameters) -> dict[str, Any]:
    """Answer GetMetricData; periods are aligned to multiples of themselves, the end excluded."""
    queries = Queries(store, parameters["MetricDataQueries"])
    start, end = _span(parameters, queries.period)
    backwards = parameters.get("ScanBy", "TimestampDescending") == "TimestampDescending"
    limit = int(parameters.get("MaxDatapoints") or MAXIMUM_DATAPOINTS)
    skip = int(parameters.get("NextToken") or 0)
    seen, results = 0, []
    for query in queries.returned():
        for series in queries.value(query, start, end):
            points = sorted(series.items(), reverse=backwards)
            page = points[max(0, skip - seen) : max(0, skip + limit - seen)]
            seen += len(points)
            results.append(
                {
                    "Id": query["Id"],
                    "Label": query.get("Label") or _label(query),
                    "Timestamps": [datetime.fromtimestamp(at, UTC) for at, _ in page],
                    "Values": [value for _, value in page],
                    "StatusCode": "Complete" if skip + limit >= seen else "PartialData",
                }
            )
    token = {"NextToken": str(skip + limit)} if seen > skip + limit else {}
    return {"MetricDataResults": results, "Messages": [], **token}


def get_metric_statistics(store: MetricStore, parameters: Parameters) -> dict[str, Any]:
    """Answer GetMetricStatistics."""
    simple = parameters.get("Statistics") or []
    extended = parameters.get("ExtendedStatistics") or []
    if not simple and not extended:
        message = "Must specify either Statistics or ExtendedStatistics"
        raise AwsError("InvalidParameterCombination", message)
    period = int(parameters["Period"])
    start, end = _span(parameters, period)
    key = metric_key(
        parameters["Namespace"], parameters["MetricName"], parameters.get("Dimensions")
    )
    points: dict[int, dict[str, Any]] = {}
    for name in [*simple, *extended]:
        times = range(start, end, period)
        for at, value in store.series(key, name, times, period, parameters.get("Unit")).items():
            point = points.setdefault(at, {"Timestamp": datetime.fromtimestamp(at, UTC)})
            if name in simple:
                point[name] = value
            else:
                point.setdefault("ExtendedStatistics", {})[name] = value
            point["Unit"] = parameters.get("Unit") or store.unit(key)
    return {"Label": parameters["MetricName"], "Datapoints": list(points.values())}


def list_metrics(store: MetricStore, parameters: Parameters) -> dict[str, Any]:
    """Answer ListMetrics; dimensions filter by name, and by value where one is given."""
    wanted = parameters.get("Dimensions") or []
    found = [
        {
            "Namespace": namespace,
            "MetricName": name,
            "Dimensions": [{"Name": one, "Value": value} for one, value in sorted(dimensions)],
        }
        for namespace, name, dimensions in store.metrics()
        if parameters.get("Namespace") in (None, namespace)
        and parameters.get("MetricName") in (None, name)
        and all(_has(dimensions, dimension) for dimension in wanted)
    ]
    first = int(parameters.get("NextToken") or 0)
    last = first + PAGE_OF_METRICS
    token = {"NextToken": str(last)} if last < len(found) else {}
    return {"Metrics": found[first:last], **token}


def seconds(moment: datetime) -> int:
    """A request's timestamp as Unix seconds; moto parses some without a zone, meaning UTC."""
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _span(parameters: Parameters, period: int) -> tuple[int, int]:
    start, end = seconds(parameters["StartTime"]), seconds(parameters["EndTime"])
    if start >= end:
        message = "The parameter StartTime must be less than the parameter EndTime."
        raise AwsError("ValidationError", message)
    return start - start % period, end


def _label(query: dict[str, Any]) -> str:
    stat = query.get("MetricStat")
    return str(stat["Metric"]["MetricName"] if stat else query["Id"])


def _has(dimensions: frozenset[tuple[str, str]], wanted: dict[str, str]) -> bool:
    return any(
        name == wanted["Name"] and wanted.get("Value") in (None, value)
        for name, value in dimensions
    )


def _names(expression: str, name: str) -> bool:
    """Whether an expression mentions an id as a whole word."""
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", expression) is not None
