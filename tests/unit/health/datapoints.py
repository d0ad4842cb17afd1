"""A CloudWatch that answers GetMetricData from points by metric, statistic and slot."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from greenlane.deployments.workload import Workload
from greenlane.local.metric_math import Range, evaluate
from tests.builders import NOW, SettableClock, workload

Points = dict[datetime, float]


def failing(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "GetMetricData")


class Cloudwatch:
    """Points by (metric, statistic, slot); slot "" is the whole service's."""

    def __init__(
        self,
        points: dict[tuple[str, str, str], Points] | None = None,
        *,
        pages: int = 1,
        status: dict[str, str] | None = None,
        messages: dict[str, list[dict[str, str]]] | None = None,
        where: Workload | None = None,
    ) -> None:
        self.points = points or {}
        self.pages, self.status, self.messages = pages, status or {}, messages or {}
        self.asked: list[dict[str, Any]] = []
        self.fails: list[Exception | None] = []
        self.general: list[dict[str, str]] = []
        self.slots = {
            value: slot
            for slot, resources in (where or workload()).slots.items()
            for value in (slot, resources.service, resources.target_group_full_name)
        }

    def get_metric_data(self, **arguments: Any) -> dict[str, Any]:
        self.asked.append(arguments)
        if self.fails and (error := self.fails.pop(0)):
            raise error
        page = int(arguments.get("NextToken", "0"))
        queries = arguments["MetricDataQueries"]
        found = {query["Id"]: self._points(query, queries) for query in queries}
        results = []
        for query in queries:
            if not query["ReturnData"]:
                continue
            points = found[query["Id"]]
            chosen = [at for number, at in enumerate(sorted(points)) if number % self.pages == page]
            name = self._name(query)
            last = page + 1 == self.pages
            results.append(
                {
                    "Id": query["Id"],
                    "StatusCode": self.status.get(name, "Complete") if last else "PartialData",
                    "Messages": self.messages.get(name, []),
                    "Timestamps": chosen,
                    "Values": [float(points[at]) for at in chosen],
                }
            )
        more = {"NextToken": str(page + 1)} if page + 1 < self.pages else {}
        return {"MetricDataResults": results, "Messages": self.general} | more

    def _name(self, query: dict[str, Any]) -> str:
        if "Expression" in query:
            return str(query["Expression"])
        return str(query["MetricStat"]["Metric"]["MetricName"])

    def _points(self, query: dict[str, Any], queries: list[dict[str, Any]]) -> Points:
        if "Expression" in query:
            ids = {
                one["Id"]: {int(at.timestamp()): v for at, v in self._stat(one).items()}
                for one in queries
                if "MetricStat" in one
            }
            times = sorted({at for series in ids.values() for at in series})
            series = evaluate(query["Expression"], ids, Range(times, 60))
            assert isinstance(series, dict)
            return {datetime.fromtimestamp(at, UTC): value for at, value in series.items()}
        return self._stat(query)

    def _stat(self, query: dict[str, Any]) -> Points:
        stat = query["MetricStat"]
        values = [one["Value"] for one in stat["Metric"]["Dimensions"]]
        slot = next((self.slots[value] for value in values if value in self.slots), "")
        return self.points.get((stat["Metric"]["MetricName"], stat["Stat"], slot), {})


def runtime(cloudwatch: Any, relay: Any = None, at: datetime = NOW) -> Any:
    clients = {"cloudwatch": cloudwatch, "cloudwatch_quick": cloudwatch, "relay": relay}
    return SimpleNamespace(**clients, clock=SettableClock(at))
