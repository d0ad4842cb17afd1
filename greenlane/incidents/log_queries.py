"""The edge to CloudWatch Logs Insights: error lines of the new version, and those to compare with.

Both versions usually write to one log group, each task to a stream of its own that ends in the
task's id. While ECS still knows the new version's tasks (about an hour after they stopped) their
streams are compared with all others; later, the time of the deployment with the time before it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from greenlane.deployments.model import Plan
from greenlane.deployments.reaching.fleet import container_of
from greenlane.incidents.log_patterns import LOOKS_LIKE_AN_ERROR
from greenlane.incidents.report_model import LogLine, LogsRead
from greenlane.incidents.wording import one_line

WAIT_SECONDS = 20.0
"""How long both queries together may take."""

LINES = 5000
"""How many lines one query gives at most."""

_MOST_TASKS = 100
_PAUSES = (0.5, 1.0, 1.5, 2.0)


class LogsUnreadable(Exception):
    """Why there is no log sample, in words."""


@dataclass(frozen=True)
class _Query:
    """One query as it was asked."""

    id: str
    is_candidate: bool


def log_group(definition: Mapping[str, Any], container: str, region: str) -> str:
    """The log group that a container writes to.

    Raises:
        LogsUnreadable: its lines do not go to CloudWatch Logs of this Region.
    """
    found = container_of(dict(definition), container).get("logConfiguration") or {}
    driver, options = found.get("logDriver", "none"), found.get("options") or {}
    if driver != "awslogs":
        raise LogsUnreadable(f"the container's log driver is {driver}, not awslogs")
    where = options.get("awslogs-region", region)
    if where != region:
        raise LogsUnreadable(f"the container writes its logs in {where}")
    return str(options["awslogs-group"])


def read_logs(
    logs: Any,
    plan: Plan,
    *,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    tasks: set[str],
    start: datetime,
    end: datetime,
    sleep: Callable[[float], None],
) -> LogsRead:
    """The error lines of the new version between its start and `end`, and those of the other side.

    Args:
        logs: a boto3 `logs` client.
        plan: what was deployed.
        before: the old version's task definition, whose log group is compared with.
        after: the new version's.
        tasks: the ids of the new version's tasks; empty when ECS does not know them any more.
        start: where the comparison begins, before the deployment's start.
        end: where both end.
        sleep: waits so many seconds.

    Raises:
        LogsUnreadable: the logs are elsewhere, or a query failed.
        botocore.exceptions.ClientError: CloudWatch Logs refused.
    """
    region = plan.workload.listener_rule_arn.split(":")[3]
    container = plan.container or plan.workload.container
    groups = [log_group(definition, container, region) for definition in (after, before)]
    chosen = sorted(tasks)[:_MOST_TASKS]
    begun = plan.started_at
    reference_end = end if chosen else begun
    queries = [
        _Query(_start(logs, groups[0], begun, end, chosen, wanted=True), True),
        _Query(_start(logs, groups[1], start, reference_end, chosen, wanted=False), False),
    ]
    notes: list[str] = []
    lines = {
        query.is_candidate: _lines(logs, query, chosen, notes, pauses)
        for query, pauses in ((query, _waits(sleep)) for query in queries)
    }
    return LogsRead(
        groups=tuple(dict.fromkeys(groups)),
        compared_with=(
            "what all other tasks wrote since half an hour before the deployment"
            if chosen
            else "what was written in the half hour before the deployment, for ECS does not know "
            "the new version's tasks any more"
        ),
        candidate=tuple(lines[True]),
        reference=tuple(lines[False]),
        notes=tuple(notes),
    )


def _start(
    logs: Any, group: str, start: datetime, end: datetime, tasks: list[str], *, wanted: bool
) -> str:
    parts = [
        "fields @timestamp, @logStream, @message",
        f"filter @message like /(?i)({LOOKS_LIKE_AN_ERROR})/",
    ]
    if tasks:
        parts.append(f"filter @logStream {'' if wanted else 'not '}like /{'|'.join(tasks)}/")
    parts += ["sort @timestamp desc", f"limit {LINES}"]
    answer = logs.start_query(
        logGroupName=group,
        startTime=int(start.timestamp()),
        endTime=int(end.timestamp()),
        queryString=" | ".join(parts),
    )
    return str(answer["queryId"])


def _waits(sleep: Callable[[float], None]) -> Iterator[None]:
    """Sleeps a little longer each time; ends when half of the whole wait is used up."""
    left, number = WAIT_SECONDS / 2, 0
    while left > 0:
        pause = min(_PAUSES[min(number, len(_PAUSES) - 1)], left)
        sleep(pause)
        left, number = left - pause, number + 1
        yield


def _lines(
    logs: Any, query: _Query, tasks: list[str], notes: list[str], pauses: Iterator[None]
) -> list[LogLine]:
    """A query's lines, without those of the wrong side; what there is when the time is up."""
    side = "the new version" if query.is_candidate else "the other side"
    while True:
        answer = logs.get_query_results(queryId=query.id)
        status = answer["status"]
        if status in ("Failed", "Cancelled", "Timeout"):
            raise LogsUnreadable(f"the query ended as {status}")
        if status == "Complete" or next(pauses, "over") == "over":
            break
    rows = [{cell["field"]: cell["value"] for cell in row} for row in answer["results"]]
    if status != "Complete":
        notes.append(f"The query over {side} was not done in time: its lines are only a part")
    elif len(rows) >= LINES:
        notes.append(f"Only the last {LINES} lines of {side} were read")
    found = [
        LogLine(
            at=row.get("@timestamp", ""),
            stream=one_line(row.get("@logStream", ""), 300),
            message=row.get("@message", "")[:4000],
        )
        for row in rows
    ]
    if not tasks:
        return found
    ours = set(tasks)
    return [
        line for line in found if (line.stream.rsplit("/", 1)[-1] in ours) == query.is_candidate
    ]
