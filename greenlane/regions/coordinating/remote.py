"""The edge to one Region: what is to be seen of a service there, and what it is told to do.

Everything is read and done through that Region's own endpoints, with short limits: a Region that
is down must not hold up the others.
"""

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from greenlane import aws
from greenlane.clock import Clock
from greenlane.deployments.declaring.applied_alarms import counted_on
from greenlane.deployments.model import DeploymentRequest, Record, Slot
from greenlane.deployments.phases import LEASED, LET_GO, REVERSIBLE, Phase
from greenlane.deployments.reaching.workloads import read_workload
from greenlane.deployments.signals import send_signal
from greenlane.deployments.storing.store import DynamoStore
from greenlane.deployments.workload import Workload
from greenlane.errors import FenceLost, GreenlaneError, IncompleteRead, SignalRefused
from greenlane.health.alarm_definitions import with_alarms
from greenlane.health.alarms import read_alarms
from greenlane.logs import logger
from greenlane.regions.coordinating.fences import Fences
from greenlane.regions.coordinating.measuring import PERIOD, over_limits, requests_in
from greenlane.regions.coordinating.model import ExecutionState, RegionSeen, RegionState, Rollout

LIVE_SHARE_OF = timedelta(minutes=15)
"""How far back the live traffic of a Region is counted."""

BY = "greenlane regions"

RUNS_ALREADY = "is what runs already"
"""What a Region's planning says to a version that it has."""

SERVING = frozenset({Phase.SHIFTING, Phase.PROMOTED, Phase.WATCHING})
"""The candidate has traffic, and its numbers count."""

TROUBLE = (ClientError, BotoCoreError, GreenlaneError)
"""What a call to a Region may end with."""

UNREADABLE = (*TROUBLE, ValueError)
"""The same, or what is there was written by a later version."""

LONGEST_SAID = 500
"""Characters of what a Region says: forty of them have to fit into one record."""

Found = TypeVar("Found")

_REFUSALS = frozenset({"Refused", "DeploymentInFlight", "InvalidInput", "UnknownService"})


class Machines(NamedTuple):
    """The ARNs of the state machines of deployments and rollbacks in one Region."""

    deployment: str
    rollback: str


class Condition(NamedTuple):
    """How a Region is, whatever is deployed; None is not known.

    Args:
        red: alarms of what serves.
        requests: within `LIVE_SHARE_OF`.
    """

    red: tuple[str, ...] | None
    requests: int | None


def client_of(region: str) -> Callable[[str], Any]:
    """Makes clients of a Region; two attempts of a few seconds have to do."""

    def make(service: str) -> Any:
        return aws.client(service, read_timeout_seconds=4.0, attempts=2, region=region)

    return make


class RemoteRegion:
    """One Region, as a coordinator reaches it.

    Args:
        table: the name of its table of deployments.
        machines: its state machines.
        client: makes a client by its service's name.
        clock: tells the instant.
    """

    def __init__(
        self, table: str, machines: Machines, client: Callable[[str], Any], clock: Clock
    ) -> None:
        """See the class."""
        self._table, self._machines, self._client, self._clock = table, machines, client, clock

    @cached_property
    def _store(self) -> DynamoStore:
        return DynamoStore(self._client("dynamodb"), self._table)

    @cached_property
    def fences(self) -> Fences:
        """Its fences."""
        return Fences(self._client("dynamodb"), self._table)

    # Looking

    def look(self, rollout: Rollout, one: RegionState) -> RegionSeen:
        """What is to be seen of a rollout here.

        Its metrics and its plan may be unreadable: then nothing is concluded from them, for a
        Region that answers is not silent.

        Raises:
            ClientError: it does not answer, or refuses.
            BotoCoreError: it does not answer.
        """
        fence = self.fences.read(rollout.service)
        record = self._store.record(rollout.service)
        if record is not None and record.deployment_id == rollout.rollout_id:
            trigger = record.trigger.reason if record.trigger else ""
            # On the way back numbers decide nothing, and would only take time.
            forward = rollout.phase != "rolling_back"
            return RegionSeen(
                phase=record.phase,
                execution="running",
                said=(record.reason or trigger)[:LONGEST_SAID],
                promoted_at=record.promoted_at,
                digest=_or("", lambda: self._digest(rollout, record)) if forward else "",
                fence=fence,
                requests=_or(None, lambda: self._since_promoted(record, one)) if forward else None,
                over=_or("", lambda: self._over(rollout, record)) if forward else "",
            )
        begun = one.state != "waiting" or fence.rollout_id == rollout.rollout_id
        execution, said = self._execution(rollout.rollout_id) if begun else ("none", "")
        return RegionSeen(
            latest=record.deployment_id if record is not None else "",
            busy=record is not None and record.phase in LEASED,
            execution=execution,
            said=said,
            fence=fence,
        )

    def condition(self, service: str) -> Condition:
        """How what serves here is: its alarms and its traffic.

        Raises:
            ClientError: it does not answer, or refuses.
            BotoCoreError: it does not answer.
            GreenlaneError: its service is not described, or its alarms are not as applied.
        """
        config = self._store.get_config(service)
        workload = config.config.workload
        if workload is None or not config.workload_declared:
            workload = read_workload(self._client("ssm"), service)
        cloudwatch = self._client("cloudwatch")
        workload = with_alarms(workload, counted_on(cloudwatch, config.config, workload))
        names = _alarms_of(workload, self._store.record(service))
        alarms = read_alarms(cloudwatch, names)
        # One that is missing says nothing of whether the service is well.
        known = not any(alarm.missing for alarm in alarms)
        red = tuple(alarm.name for alarm in alarms if alarm.red) if known else None
        end = self._clock.now()
        try:
            requests = requests_in(
                cloudwatch, workload, workload.slots, start=end - LIVE_SHARE_OF, end=end
            )
        except IncompleteRead:
            return Condition(red, None)
        return Condition(red, requests)

    def _since_promoted(self, record: Record, one: RegionState) -> int | None:
        if one.bake_requests is None or record.promoted_at is None:
            return None
        end = self._clock.now()
        if end - record.promoted_at < PERIOD:
            return 0
        workload = self._store.plan(record.deployment_id).workload
        return requests_in(
            self._client("cloudwatch"),
            workload,
            (record.candidate,),
            # The period in which the candidate got all of the traffic is left out.
            start=record.promoted_at + PERIOD,
            end=end,
        )

    def _digest(self, rollout: Rollout, record: Record) -> str:
        """The digest under which the Region found the version.

        A task definition is each Region's own, and what was refused ships nothing.
        """
        if rollout.request.task_definition or record.phase is Phase.REFUSED:
            return ""
        image = self._store.plan(record.deployment_id).image or ""
        return image.partition("@")[2]

    def _over(self, rollout: Rollout, record: Record) -> str:
        """Which limit of the rollout is exceeded."""
        if record.phase not in SERVING or (rollout.error_rate, rollout.p95_ms) == (None, None):
            return ""
        workload = self._store.plan(record.deployment_id).workload
        return over_limits(
            self._client("cloudwatch"),
            workload,
            record.candidate,
            error_rate=rollout.error_rate,
            p95_ms=rollout.p95_ms,
            seconds=rollout.over_seconds,
            now=self._clock.now(),
        )

    def _execution(self, name: str) -> tuple[ExecutionState, str]:
        arn = f"{self._machines.deployment.replace(':stateMachine:', ':execution:')}:{name}"
        try:
            found = self._client("stepfunctions").describe_execution(executionArn=arn)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
                raise
            return "none", ""
        status, error_name = found["status"], found.get("error", "")
        if status in ("RUNNING", "PENDING_REDRIVE"):
            return "running", ""
        if status == "SUCCEEDED":
            return "succeeded", ""
        said = f"{error_name or status}: {found.get('cause', '')}"[:LONGEST_SAID]
        if error_name == "Refused" and RUNS_ALREADY in said:
            return "already", said
        return ("refused" if error_name in _REFUSALS else "failed"), said

    # Acting

    def claim(self, rollout: Rollout) -> bool:
        """Take the rollout's epoch; whether it did."""
        return self.fences.order(rollout.service, "claim", rollout.epoch, rollout.rollout_id)

    def start(self, rollout: Rollout, request: DeploymentRequest) -> None:
        """Order `go` and start the deployment. Repeating it starts nothing more.

        Raises:
            FenceLost: a later coordinator spoke here, or the rollout went back.
            ClientError: it does not answer, or refuses.
        """
        if not self.fences.order(rollout.service, "go", rollout.epoch, rollout.rollout_id):
            raise FenceLost(f"the region does not take epoch {rollout.epoch} any more")
        asked = request.model_copy(
            update={
                "deployment_id": rollout.rollout_id,
                "rollout_epoch": rollout.epoch,
                "rollout_digest": rollout.digest or None,
            }
        )
        self._start(
            self._machines.deployment,
            rollout.rollout_id,
            {
                "deployment": {"deployment_id": rollout.rollout_id, "service": rollout.service},
                "request": asked.model_dump(mode="json", exclude_none=True),
            },
        )

    def take_back(self, rollout: Rollout, at: datetime) -> None:
        """Order `back`, and start the way back of what runs here, to the version it had.

        The order is written first, so that what is not seen here yet is never started. Where the
        table does not answer, or its record cannot be read, the way back is started all the same:
        it has ways of its own to find what to put back, and acts for this deployment only.

        Raises:
            ClientError: it does not answer, or refuses.
        """
        untold: Exception | None = None
        try:
            self.fences.order(rollout.service, "back", rollout.epoch, rollout.rollout_id)
        except TROUBLE as error:
            untold = error
        if self._may_have_way_back(rollout):
            self._start_way_back(rollout, at)
        if untold is not None:
            raise untold  # the order is repeated

    def _may_have_way_back(self, rollout: Rollout) -> bool:
        try:
            record = self._store.record(rollout.service)
        except UNREADABLE as error:
            logger.warning("goes back unread", rollout=rollout.rollout_id, error=repr(error))
            return True
        ours = record is not None and record.deployment_id == rollout.rollout_id
        return ours and record is not None and record.phase in REVERSIBLE

    def _start_way_back(self, rollout: Rollout, at: datetime) -> None:
        body = {
            "service": rollout.service,
            "deployment_id": rollout.rollout_id,
            # A Region may run an earlier Greenlane: only kinds that it knows reach it.
            "trigger": {
                "kind": "person",
                "name": BY,
                "reason": f"all regions go back: {rollout.cause}"[:1000],
                "at": at.isoformat(),
            },
        }
        name = f"{rollout.rollout_id[-50:]}-regions-{int(at.timestamp())}"
        self._start(self._machines.rollback, name, body)

    def signal(self, rollout: Rollout, what: str) -> None:
        """Let what runs here stand still, or go on; too late is fine.

        Raises:
            ClientError: it does not answer, or refuses.
        """
        try:
            send_signal(
                self._store,
                self._client("stepfunctions"),
                self._clock,
                service=rollout.service,
                name="pause" if what == "pause" else "resume",
                by=BY,
            )
        except SignalRefused as error:
            logger.info("nothing to pause or to resume", rollout=rollout.rollout_id, why=str(error))

    def _start(self, machine: str, name: str, body: dict[str, Any]) -> None:
        try:
            self._client("stepfunctions").start_execution(
                stateMachineArn=machine, name=name, input=json.dumps(body, sort_keys=True)
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise


def _alarms_of(workload: Workload, record: Record | None) -> Sequence[str]:
    """The alarms of the slot that serves, and of the whole service."""
    if record is None:
        slots: tuple[Slot, ...] = ("blue", "green")
    else:
        slots = (record.candidate if record.phase in LET_GO else record.live,)
    return [*(name for slot in slots for name in workload.slots[slot].alarms), *workload.alarms]


def _or(nothing: Found, read: Callable[[], Found]) -> Found:
    """What was read; nothing where it cannot be."""
    try:
        return read()
    except UNREADABLE as error:
        logger.warning("nothing is concluded from what cannot be read", error=repr(error))
        return nothing
