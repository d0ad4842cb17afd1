"""A world in which reports are read and written: logs, a bucket, tasks that have stopped."""

import dataclasses
import io
from datetime import datetime
from typing import Any

from greenlane.incidents.reporting import ReportEvent
from greenlane.rollback.closing import close_rollback
from greenlane.rollback.model import CloseEvent
from greenlane.rollback.settle import empty_slot, hold_traffic
from greenlane.rollback.take_back import take_traffic_back
from tests.builders import SERVICE
from tests.fakes import BACK, Spy, error
from tests.world import World

BUCKET = "greenlane-incidents-123456789012-eu-west-1"
KEY = f"incidents/{SERVICE}/d-1/report"
STOPPED_TASK = f"arn:aws:ecs:eu-west-1:123456789012:task/{SERVICE}/0a1b2c"


class Logs:
    """CloudWatch Logs Insights: answers what the test sets, after so many looks."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.asked: list[dict[str, Any]] = []
        self.looks_until_done = 1
        self.status = "Complete"
        self._looks: dict[str, int] = {}

    def start_query(self, **asked: Any) -> dict[str, Any]:
        assert asked["endTime"] >= asked["startTime"]
        self.asked.append(asked)
        return {"queryId": f"q-{len(self.asked)}"}

    def get_query_results(self, queryId: str) -> dict[str, Any]:  # noqa: N803
        self._looks[queryId] = self._looks.get(queryId, 0) + 1
        done = self._looks[queryId] >= self.looks_until_done
        rows = [
            [{"field": "@logStream", "value": stream}, {"field": "@message", "value": message}]
            for stream, message in self.lines
        ]
        return {"status": self.status if done else "Running", "results": rows}


class Bucket:
    """S3: one bucket of one account."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[str, bytes]] = {}
        self.written: list[str] = []

    def put_object(self, **given: Any) -> dict[str, Any]:
        assert given["Bucket"] == BUCKET
        assert given["ExpectedBucketOwner"] == "123456789012"
        self.objects[given["Key"]] = (given["ContentType"], given["Body"])
        self.written.append(given["Key"])
        return {}

    def get_object(self, **given: Any) -> dict[str, Any]:
        assert given["ExpectedBucketOwner"] == "123456789012"
        if given["Key"] not in self.objects:
            raise error("NoSuchKey", "GetObject")
        return {"Body": io.BytesIO(self.objects[given["Key"]][1])}


class ReportedWorld:
    """The world with what reports need besides."""

    def __init__(self, world: World) -> None:
        self.world, self.logs, self.bucket = world, Logs(), Bucket()
        runtime = world.runtime
        runtime.settings = dataclasses.replace(runtime.settings, incidents_bucket=BUCKET)
        runtime.__dict__["logs"] = Spy(world, "logs", self.logs)
        runtime.__dict__["s3"] = Spy(world, "s3", self.bucket)
        self.stopped: dict[str, str] = {}
        self._list, self._describe = world.ecs.list_tasks, world.ecs.describe_tasks
        world.ecs.list_tasks = self._list_tasks  # type: ignore[assignment,method-assign]
        world.ecs.describe_tasks = self._describe_tasks  # type: ignore[method-assign]

    def _list_tasks(self, **asked: Any) -> dict[str, Any]:
        if asked.get("desiredStatus") == "STOPPED":
            return {"taskArns": list(self.stopped)}
        return self._list(**asked)

    def _describe_tasks(self, cluster: str, tasks: list[str]) -> dict[str, Any]:
        gone = [
            {"taskArn": arn, "taskDefinitionArn": self.stopped[arn]}
            for arn in tasks
            if arn in self.stopped
        ]
        others = self._describe(cluster, [arn for arn in tasks if arn not in self.stopped])
        return {"tasks": [*gone, *others["tasks"]]}

    def log_to_cloudwatch(self) -> None:
        """Both revisions' containers write to one log group."""
        options = {"awslogs-group": f"/ecs/{SERVICE}", "awslogs-region": "eu-west-1"}
        for definition in self.world.ecs.definitions.values():
            for container in definition["taskDefinition"]["containerDefinitions"]:
                container["logConfiguration"] = {"logDriver": "awslogs", "options": options}

    def now(self) -> datetime:
        return self.world.clock.now()


def go_back(
    reported: ReportedWorld, kind: str = "alarm", *, execution: str = BACK, **trigger: Any
) -> ReportEvent:
    """A canary at ten percent goes back, from its trigger to its close; the event of the report."""
    world = reported.world
    world.clock.advance(minutes=3)
    world.traffic("blue", requests=900, errors=1)
    world.traffic("green", requests=100, errors=20, minutes=2)
    asked = world.back(kind, execution=execution, trigger=trigger)
    rollback = take_traffic_back(asked, world.runtime)
    world.clock.advance(seconds=46)
    rollback = hold_traffic(rollback, world.runtime)
    world.clock.advance(minutes=6)
    rollback = empty_slot(rollback, world.runtime)
    world.clock.advance(seconds=1)
    closed = close_rollback(CloseEvent(rollback=rollback, execution=asked.execution), world.runtime)
    world.clock.advance(seconds=4)
    assert closed is not None
    state = closed.model_dump(mode="json")
    return ReportEvent(request=asked.request, execution=asked.execution, state=state)


def crossed(value: str = "20.0") -> dict[str, str]:
    return {
        "reason": f"Threshold Crossed: 1 datapoint [{value} (23/11/26 12:02:00)] was greater than "
        "the threshold (5.0)."
    }
