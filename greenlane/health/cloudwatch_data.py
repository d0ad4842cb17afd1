"""One `GetMetricData`, whatever it answers: values by query, and what is not known for sure.

Nothing is raised for what CloudWatch does: a read that failed, was throttled or came in part is
told as trouble, for the judge to hold.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

MOST_QUERIES = 500
MOST_PAGES = 50

_HARMLESS = frozenset({"ArithmeticError"})
"""Message codes that say that a point was dropped, as after a division by 0: it is absent."""

_REFUSED = frozenset(
    {"ValidationError", "InvalidParameterValue", "InvalidParameterCombination", "MissingParameter"}
)


@dataclass
class Data:
    """What came.

    Args:
        values: by query and minute.
        troubles: by query; what is missing is complete.
        refused: CloudWatch finds the request itself wrong; then nothing came.
    """

    values: dict[str, dict[datetime, float]] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)
    refused: bool = False


def get_data(
    cloudwatch: Any, queries: Sequence[Mapping[str, Any]], *, start: datetime, end: datetime
) -> Data:
    """Everything about `queries` in [start, end), over all pages."""
    returned = [str(query["Id"]) for query in queries if query.get("ReturnData", True)]
    data = Data(values={name: {} for name in returned})
    # An id that never comes up has not been answered; the last status of one that does counts.
    statuses: dict[str, str] = dict.fromkeys(returned, "no answer")
    notes: dict[str, str] = {}
    general = ""
    token: dict[str, str] = {}
    for _ in range(MOST_PAGES):
        try:
            answer = cloudwatch.get_metric_data(
                MetricDataQueries=list(queries),
                StartTime=start,
                EndTime=end,
                ScanBy="TimestampAscending",
                **token,
            )
        except (ClientError, BotoCoreError) as error:
            general = _named(error)
            data.refused = general in _REFUSED
            break
        general = general or _message(answer.get("Messages", ()))
        for result in answer["MetricDataResults"]:
            name = result["Id"]
            statuses[name] = result.get("StatusCode", "Complete")
            notes[name] = notes.get(name) or _message(result.get("Messages", ()))
            points = zip(result["Timestamps"], result["Values"], strict=True)
            data.values[name].update((at.astimezone(UTC), value) for at, value in points)
        if not answer.get("NextToken"):
            break
        token = {"NextToken": answer["NextToken"]}
    else:
        general = f"more than {MOST_PAGES} pages"
    for name, status in statuses.items():
        said = general or notes.get(name) or ("" if status == "Complete" else status)
        if said:
            data.troubles[name] = f"CloudWatch: {said}"
    return data


def _named(error: ClientError | BotoCoreError) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code") or "an error without a code")
    return type(error).__name__


def _message(messages: Iterable[Mapping[str, str]]) -> str:
    told = [one for one in messages if one.get("Code") not in _HARMLESS]
    return f"{told[0].get('Code')}: {told[0].get('Value')}"[:300] if told else ""
