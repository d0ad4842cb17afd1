"""CloudWatch's alarms in memory, as a client: the local cloud's own, which knows composites."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from greenlane.local.alarms_api import Alarms
from greenlane.local.cloudwatch_store import MetricStore
from greenlane.local.operations import AwsError
from tests.builders import SettableClock

PREFIX = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:"


class AlarmClient:
    """The operations of boto3's client that keep alarms; `calls` are the writes, in order."""

    def __init__(self) -> None:
        self.alarms = Alarms(MetricStore(), SettableClock(), PREFIX, _nothing, _nothing)
        self.calls: list[tuple[str, str]] = []
        self.dashboards: dict[str, str] = {}
        self.faults: list[str] = []

    @property
    def names(self) -> set[str]:
        return set(self.alarms.alarms)

    def put_dashboard(self, **body: Any) -> dict[str, Any]:
        self.dashboards[body["DashboardName"]] = body["DashboardBody"]
        return {"DashboardValidationMessages": []}

    def put_metric_alarm(self, **body: Any) -> None:
        self._write("put_metric_alarm", body["AlarmName"], body)

    def put_composite_alarm(self, **body: Any) -> None:
        self._write("put_composite_alarm", body["AlarmName"], body)

    def delete_alarms(self, **body: Any) -> None:
        self._write("delete_alarms", ", ".join(body["AlarmNames"]), body)

    def tag_resource(self, ResourceARN: str, Tags: list[dict[str, str]]) -> None:  # noqa: N803
        self.calls.append(("tag_resource", ResourceARN.removeprefix(PREFIX)))
        alarm = self.alarms.tagged(ResourceARN)
        assert alarm is not None
        alarm.tags.update({tag["Key"]: tag["Value"] for tag in Tags})

    def describe_alarms(self, **arguments: Any) -> dict[str, Any]:
        return self.alarms.describe_alarms(arguments)

    def get_paginator(self, operation: str) -> "AlarmClient":
        assert operation == "describe_alarms"
        return self

    def paginate(self, **arguments: Any) -> Iterator[dict[str, Any]]:
        answer = self.describe_alarms(**arguments, MaxRecords=5)
        yield answer
        while "NextToken" in answer:
            answer = self.describe_alarms(**arguments, MaxRecords=5, NextToken=answer["NextToken"])
            yield answer

    def _write(self, operation: str, name: str, body: dict[str, Any]) -> None:
        if self.faults:
            code = self.faults.pop(0)
            if code:
                raise ClientError({"Error": {"Code": code, "Message": "no"}}, operation)
        self.calls.append((operation, name))
        try:
            getattr(self.alarms, operation)(body)
        except AwsError as error:
            raise ClientError(
                {"Error": {"Code": "ValidationError", "Message": str(error)}}, operation
            ) from error


def _nothing(*_: Any) -> None: ...
