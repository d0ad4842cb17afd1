"""Reading everything that a report is made of. What cannot be read becomes a gap with its reason.

Only the plan and the history must be there: without them there is nothing to report.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from greenlane.clock import Clock
from greenlane.deployments.looking.status import version_of
from greenlane.deployments.model import DeploymentSummary, Plan, Record, Slot
from greenlane.deployments.phases import Phase
from greenlane.deployments.reaching import fleet, traffic
from greenlane.deployments.storing.store import DynamoStore
from greenlane.errors import UnknownDeployment
from greenlane.health.metrics import METRIC_LAG, MinuteOfTraffic, read_traffic
from greenlane.incidents.log_queries import read_logs
from greenlane.incidents.report_cause import alarm_facts, facts_from_event
from greenlane.incidents.report_model import AlarmFacts, Evidence, Gap, LogsRead
from greenlane.incidents.report_timeline import Milestones, milestones
from greenlane.incidents.report_traffic import window
from greenlane.incidents.task_reading import ids_of, read_tasks, why_stopped
from greenlane.incidents.wording import one_line
from greenlane.logs import logger

Value = TypeVar("Value")

_OF_THE_LIST = 200
"""Among how many deployments of the service this one and the one before are looked for."""


class NotThere(Exception):
    """Why something is not there to be read, in words."""


@dataclass
class Sources:
    """Where a report is read from; without `logs`, it has no log messages."""

    store: DynamoStore
    ecs: Any
    elbv2: Any
    cloudwatch: Any
    logs: Any
    clock: Clock
    sleep: Callable[[float], None] = field(default=time.sleep)


def gather(sources: Sources, deployment_id: str, configuration: Any = None) -> Evidence:
    """Read everything about one deployment, as it stands now.

    Args:
        sources: the clients and the clock.
        deployment_id: whose report it will be.
        configuration: the alarm's own, if its event started the rollback.

    Raises:
        UnknownDeployment: it has no plan: it was refused, or is not known.
        botocore.exceptions.ClientError: the table did not answer.
    """
    store = sources.store
    plan = store.plan(deployment_id)
    record = store.record(plan.service)
    found = Evidence(
        as_of=sources.clock.now(),
        plan=plan,
        record=record if record is not None and record.deployment_id == deployment_id else None,
        history=tuple(store.history(deployment_id)),
    )
    return _Reading(sources, found, configuration).all()


class _Reading:
    """One pass over all sources."""

    def __init__(self, sources: Sources, found: Evidence, configuration: Any) -> None:
        self.sources, self.found, self.configuration = sources, found, configuration
        self.plan: Plan = found.plan
        self.gaps: list[Gap] = []

    def all(self) -> Evidence:
        """The evidence, complete but for its gaps."""
        listed = self._try("the list of deployments", self._listed) or []
        self._know(
            summary=next((it for it in listed if self._is_this(it)), None),
            previous=self._try("the deployment before", lambda: self._previous(listed)),
            look=self._try("the latest look", lambda: self.sources.store.last_look(self._id)),
        )
        times = milestones(self.found)
        start, end = window(times.started_at, times.ended_at, self.found.as_of - METRIC_LAG)
        self._know(window_start=start, window_end=end)
        self._read_definitions()
        self._know(
            percent=self._try("the live weights", self._percent),
            alarm=self._try("the alarm's definition", lambda: self._alarm(times)),
            traffic=self._try("metrics", lambda: self._traffic(start, end)),
        )
        tasks = self._try("the new version's tasks", self._tasks) or []
        self._know(
            stopped=why_stopped(tasks),
            logs=self._try("log messages", lambda: self._logs(start, end, ids_of(tasks))),
        )
        return self.found.model_copy(update={"gaps": tuple(self.gaps)})

    @property
    def _id(self) -> str:
        return self.plan.deployment_id

    def _know(self, **found: Any) -> None:
        self.found = self.found.model_copy(update=found)

    def _try(self, what: str, read: Callable[[], Value]) -> Value | None:
        """What was read, or None and a gap."""
        try:
            return read()
        except Exception as error:  # a report with a gap is worth more than none
            logger.warning("left out of the report", what=what, error=str(error))
            kind = "" if isinstance(error, NotThere) else f"{type(error).__name__}: "
            self.gaps.append(Gap(what=what, why=one_line(f"{kind}{error}", 300)))
            return None

    def _listed(self) -> list[DeploymentSummary]:
        return self.sources.store.deployments(self.plan.service, _OF_THE_LIST)

    def _is_this(self, summary: DeploymentSummary) -> bool:
        return summary.deployment_id == self._id

    def _previous(self, listed: list[DeploymentSummary]) -> Plan | None:
        """The plan of the deployment before this one; the list has the newest first."""
        places = [index for index, summary in enumerate(listed) if self._is_this(summary)]
        for summary in listed[places[0] + 1 :] if places else []:
            if summary.phase is not Phase.REFUSED:
                return self.sources.store.plan(summary.deployment_id)
        return None

    def _read_definitions(self) -> None:
        before = self._try(
            "the old task definition", lambda: self._definition(self.plan.live_task_definition)
        )
        revision = self._revision()
        after = None
        if revision is not None:
            after = self._try("the new task definition", lambda: self._definition(revision))
        self._know(definition_before=before, definition_after=after)
        if before is not None:
            name = self._try("the old version's name", lambda: self._name_of(before))
            self._know(version_before=name)

    def _definition(self, name: str) -> dict[str, Any]:
        return fleet.read_task_definition(self.sources.ecs, name)

    def _revision(self) -> str | None:
        """The new version's task definition; None if it was never registered."""
        known: Record | DeploymentSummary | None = self.found.record or self.found.summary
        if known is not None and known.task_definition is not None:
            return known.task_definition
        started = [event for event in self.found.history if event.kind == "slot starting"]
        revision = started[-1].detail.get("task_definition") if started else None
        return str(revision) if revision else None

    def _name_of(self, definition: dict[str, Any]) -> str | None:
        """What people called the version when they deployed it."""
        brought_by = fleet.tag_of(definition)
        if brought_by is None:
            return None
        try:
            request = self.sources.store.plan(brought_by).request
        except UnknownDeployment:
            return None  # it came with something else than Greenlane
        return request.version or (version_of(request.image) if request.image else None)

    def _percent(self) -> dict[Slot, int] | None:
        """The live weights, while they are this deployment's own."""
        if self.found.record is None:
            return None
        rule = traffic.read_rule(self.sources.elbv2, self.plan.workload.listener_rule_arn)
        percent = rule.percent(self.plan.workload)
        if percent is None:
            raise NotThere("the rule does not forward to both slots any more")
        return percent

    def _alarm(self, times: Milestones) -> AlarmFacts | None:
        trigger = times.trigger
        if trigger is None or trigger.kind not in ("alarm", "reconciler"):
            return None
        workload = self.plan.workload
        ours = {*workload.alarms, *(n for slot in workload.slots.values() for n in slot.alarms)}
        if trigger.kind == "reconciler" and trigger.name not in ours:
            return None
        known = facts_from_event(trigger.name, self.configuration)
        try:
            answer = self.sources.cloudwatch.describe_alarms(
                AlarmNames=[trigger.name], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
            )
        except Exception:
            if known is None:
                raise
            return known  # its event said most of it
        for alarm in answer.get("MetricAlarms", []) + answer.get("CompositeAlarms", []):
            return alarm_facts(alarm)
        if known is None:
            raise NotThere(f"there is no alarm {trigger.name} any more")
        return known

    def _traffic(
        self, start: datetime, end: datetime
    ) -> dict[Slot, tuple[MinuteOfTraffic, ...]] | None:
        if end <= start:
            raise NotThere("no whole minute has passed yet")
        read = read_traffic(self.sources.cloudwatch, self.plan.workload, start=start, end=end)
        if not any(read.values()):
            raise NotThere(
                "CloudWatch has no minute of that time; it keeps them for 15 days, and none "
                "without requests"
            )
        return {slot: tuple(minutes) for slot, minutes in read.items()}

    def _tasks(self) -> list[dict[str, Any]]:
        revision = self._revision()
        if revision is None:
            return []
        workload = self.plan.workload
        service = workload.slots[self.plan.candidate].service
        return read_tasks(self.sources.ecs, workload.cluster, service, revision)

    def _logs(self, start: datetime, end: datetime, tasks: set[str]) -> LogsRead:
        if self.sources.logs is None:
            raise NotThere("they take too long for this answer")
        before, after = self.found.definition_before, self.found.definition_after
        if before is None or after is None:
            raise NotThere("the task definition that says where they are could not be read")
        return read_logs(
            self.sources.logs,
            self.plan,
            before=before,
            after=after,
            tasks=tasks,
            start=start,
            end=end,
            sleep=self.sources.sleep,
        )
