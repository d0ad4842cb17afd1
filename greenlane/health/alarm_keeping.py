"""The edge where `apply` keeps the alarms of a service's conditions as they are declared.

Repeating it is safe: an alarm that is as it should be is not written again, and whatever was left
half-way is finished by the next run.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.health.alarm_definitions import (
    FAMILY,
    MARK,
    AlarmDefinition,
    AlarmPlan,
    prefix_of,
)
from greenlane.health.alarms import as_applied

WRITES_A_SECOND = 3
"""CloudWatch's quota of PutMetricAlarm, for all of an account's Region together."""
PATIENCE = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds to wait when it is used up by others; the client has tried several times by then."""

_THROTTLED = frozenset({"Throttling", "ThrottlingException"})

_REFUSED = frozenset(
    {"ValidationError", "InvalidParameterValue", "InvalidParameterCombination", "MissingParameter"}
)

Pause = Callable[[float], None]
Alarm = Mapping[str, Any]


@dataclass(frozen=True)
class KeptAlarms:
    """What was written and deleted, by name, and what a person should know.

    `failed` says that CloudWatch refused something, so that not all is as it should be.
    """

    written: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    failed: bool = False


def keep_alarms(
    cloudwatch: Any,
    wanted: AlarmPlan,
    service: str,
    version: int,
    *,
    in_use_by: str | None = None,
    watched_by: str | None = None,
    pause: Pause = time.sleep,
    family: str = FAMILY,
) -> KeptAlarms:
    """Write the alarms that are missing or different, and delete those no longer declared.

    It stops at what CloudWatch refuses, except among alarms of flags, and never takes anything
    back.

    Args:
        cloudwatch: the client.
        wanted: all alarms of the service.
        service: its name.
        version: of the configuration that declares them.
        in_use_by: the deployment that is in flight. It counts on the alarms as they are, so what
            exists stays until it has ended.
        watched_by: the deployment in its extended watch. Only what it counts on is not deleted: a
            next deployment, which may be the cure, needs the alarms as they are declared now.
        pause: how to wait some seconds.
        family: how the names of these alarms begin.
    """
    failed = False
    keeper = _Keeper(cloudwatch, service, version, in_use_by, watched_by, pause, family)
    try:
        keeper.keep(wanted)
    except (ClientError, BotoCoreError) as error:
        failed = True
        keeper.warnings.append(
            f"alarms: not all are written yet, and a deployment is refused until they are; apply "
            f"again: {error}"
        )
    return KeptAlarms(
        tuple(keeper.written),
        tuple(keeper.deleted),
        tuple(keeper.warnings),
        failed or keeper.refused,
    )


class _Keeper:
    """One run, with what it has done so far."""

    def __init__(
        self,
        cloudwatch: Any,
        service: str,
        version: int,
        in_use_by: str | None,
        watched_by: str | None,
        pause: Pause,
        family: str,
    ) -> None:
        self._cloudwatch, self._in_use_by, self._pause = cloudwatch, in_use_by, pause
        self._service, self._version = service, version
        self._family, self._prefix = family, prefix_of(service, family=family)
        self._kept_for = in_use_by or watched_by
        self.written: list[str] = []
        self.deleted: list[str] = []
        self.warnings: list[str] = []
        self.refused = False

    def keep(self, wanted: AlarmPlan) -> None:
        found = self._found()
        waiting = []
        for alarm in wanted.alarms:
            there = found.get(alarm.name)
            if there is None:
                self._write_unless_refused(alarm)
            elif MARK not in there.get("AlarmDescription", ""):
                self.warnings.append(
                    f"alarms: {alarm.name} is somebody else's and stays as it is; rename it"
                )
            elif _differs(alarm, there):
                if self._in_use_by and alarm.name.startswith(self._prefix):
                    waiting.append(alarm.name)
                else:
                    self._write_unless_refused(alarm, there["AlarmArn"])
        names = {alarm.name for alarm in wanted.alarms}
        left = [
            alarm
            for name, alarm in found.items()
            if name not in names and MARK in alarm.get("AlarmDescription", "")
        ]
        if self._kept_for and left:
            waiting += [str(alarm["AlarmName"]) for alarm in left]
        else:
            self._delete(left)
        if waiting:
            self.warnings.append(
                f"alarms: {len(waiting)} stay as they are while {self._kept_for} counts on them; "
                "apply again when it has ended"
            )

    def _found(self) -> dict[str, Alarm]:
        """All alarms that bear the service's names, by name."""
        summaries = [f"{self._service}-{role}" for role in ("critical", "warning")]
        pages = self._cloudwatch.get_paginator("describe_alarms")
        kinds = ["MetricAlarm", "CompositeAlarm"]
        found: dict[str, Alarm] = {}
        asked: list[dict[str, Any]] = [{"AlarmNamePrefix": self._prefix}]
        if self._family == FAMILY:
            # Only alarms of deployments have summaries.
            asked.append({"AlarmNames": summaries})
        for chosen in asked:
            for page in pages.paginate(AlarmTypes=kinds, **chosen):
                for alarm in _alarms_on(page):
                    found[alarm["AlarmName"]] = alarm
        return found

    def _write_unless_refused(self, alarm: AlarmDefinition, arn: str | None = None) -> None:
        try:
            self._write(alarm, arn)
        except ClientError as error:
            # Alarms of flags belong to many: what is wrong with one leaves the others theirs.
            if self._family == FAMILY or error.response["Error"]["Code"] not in _REFUSED:
                raise
            self.refused = True
            self.warnings.append(f"alarms: {alarm.name} was refused: {error}")

    def _write(self, alarm: AlarmDefinition, arn: str | None = None) -> None:
        """Create an alarm, or change the one with this ARN; its tags say by which version."""
        tags = [
            {"Key": "greenlane:service", "Value": self._service},
            {"Key": "greenlane:role", "Value": alarm.role},
            {"Key": "greenlane:version", "Value": str(self._version)},
        ]
        body = dict(alarm.body) if arn else {**alarm.body, "Tags": tags}
        put = "put_composite_alarm" if alarm.composite else "put_metric_alarm"
        self._patiently(put, **body)
        if arn:  # tags are taken with a new alarm only
            self._patiently("tag_resource", ResourceARN=arn, Tags=tags)
        self.written.append(alarm.name)

    def _delete(self, alarms: Iterable[Alarm]) -> None:
        """Composites first, one by one: CloudWatch deletes no alarm that another is made of."""
        left = {alarm["AlarmName"]: alarm.get("AlarmRule", "") for alarm in alarms}
        above = [name for name, rule in left.items() if rule]
        # A summary is made of the others.
        above.sort(key=lambda name: name.startswith(self._prefix))
        single = [name for name, rule in left.items() if not rule]
        batches = [[name] for name in above]
        batches += [single[first : first + 100] for first in range(0, len(single), 100)]
        for batch in batches:
            self._patiently("delete_alarms", AlarmNames=batch)
            self.deleted += batch

    def _patiently(self, operation: str, **parameters: Any) -> None:
        """A write within the quota, again for a while when others have used it up."""
        for seconds in (*PATIENCE, None):
            self._pause(1 / WRITES_A_SECOND)
            try:
                getattr(self._cloudwatch, operation)(**parameters)
                return
            except ClientError as error:
                if seconds is None or error.response["Error"]["Code"] not in _THROTTLED:
                    raise
                self._pause(seconds)


def _differs(alarm: AlarmDefinition, there: Alarm) -> bool:
    """Whether an alarm is red at other times than it should be, or says something else."""
    return (
        as_applied(alarm.body) != as_applied(there)
        or alarm.body["AlarmDescription"] != there["AlarmDescription"]
    )


def _alarms_on(page: Mapping[str, Any]) -> Iterator[Alarm]:
    yield from page.get("MetricAlarms", [])
    yield from page.get("CompositeAlarms", [])
