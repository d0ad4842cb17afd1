"""A bake: a callback whose time-out is the normal way on.

The sender of a signal writes the signal and then reads the token; the bake stores its token and
then reads signal and alarms. Whoever comes second sees the other's write, so none gets lost.
"""

import json
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict

from greenlane.deployments.model import Deployment, Plan, PlannedStep, Record
from greenlane.deployments.phases import Phase
from greenlane.deployments.stepping.fence import fenced
from greenlane.health.alarms import read_alarms
from greenlane.health.metrics import METRIC_LAG, MINUTE, whole_minutes
from greenlane.logs import logger
from greenlane.runtime import Runtime

BAKING = frozenset({Phase.SHIFTING, Phase.PROMOTED})

LATE = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})
"""What Step Functions says to an answer that comes too late; that is normal."""


class BakeEvent(BaseModel):
    """A task token with the state it belongs to, when the workflow entered that, which attempt.

    An execution that began before an upgrade may not say when.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    token: str
    deployment: Deployment
    entered: datetime | None = None
    attempt: int = 0

    @property
    def begun(self) -> datetime | None:
        """What orders bakes: the entry, and among its attempts, which share its time, the attempt.

        Step Functions tells times by the millisecond, so attempts fit in between.
        """
        if self.entered is None:
            return None
        return self.entered + timedelta(microseconds=min(self.attempt, 999))


def start_bake(event: BakeEvent, runtime: Runtime) -> None:
    """Keep the token under the fence; answer at once if something already decides.

    Raises:
        FenceLost: this deployment no longer owns the service, or its workflow went on.
    """
    deployment = event.deployment
    record = fenced(runtime, deployment, BAKING)
    plan = runtime.store.plan(deployment.deployment_id)
    record = runtime.store.update(
        record,
        {
            "bake_token": event.token,
            "bake_step": deployment.step,
            "bake_entered": event.begun,
            "bake_until": _until(runtime, plan, record, deployment),
        },
        phases=BAKING,
        # One that starts late, after the machine went on without it, belongs to a step gone by,
        # or to an earlier bake of this step, or its write landed after that of the next attempt:
        # its token is dead, and with it in the record no signal would end the bake.
        where={"step": deployment.step},
        at_most={"bake_entered": event.begun} if event.begun is not None else None,
    )
    reason = _decided_already(runtime, plan, record)
    if reason is not None:
        answer(runtime.stepfunctions, event.token, reason)


def _until(runtime: Runtime, plan: Plan, record: Record, deployment: Deployment) -> datetime:
    """The step's absolute deadline; a repeated or resumed bake keeps the first one."""
    if record.bake_step == deployment.step and record.bake_until is not None:
        return record.bake_until
    step = plan.steps[deployment.step]
    begun = record.promoted_at if step.kind == "watch" else record.shifted_at
    return bake_until(plan, step, begun or runtime.clock.now())


def bake_until(plan: Plan, step: PlannedStep, begun: datetime) -> datetime:
    """When a bake that began then may end.

    A bake is a minimum: it also needs one whole minute of metrics since the weight has reached
    every node of the balancer, or the judgement could only hold. A bake of 0 waits for nothing.
    """
    declared = begun + timedelta(seconds=step.bake_seconds)
    if step.bake_seconds == 0 or step.kind == "watch":
        return declared
    first_minute, _ = whole_minutes(begun + plan.config.deployment.propagation, begun)
    return max(declared, first_minute + MINUTE + METRIC_LAG)


def _decided_already(runtime: Runtime, plan: Plan, record: Record) -> str | None:
    """A reason to end the bake before it began; None to let time pass."""
    fresh = runtime.store.record(record.service)
    if fresh is None or fresh.epoch != record.epoch:
        return "the record moved on"
    signal = fresh.signal
    if signal is not None and signal.reaches(fresh.step):
        return f"signal {signal.name}"
    step = plan.steps[fresh.step]
    if fresh.fast_track and step.kind != "watch":
        return "a person said promote all the way"
    waits = fresh.hold_until is not None or fresh.paused or step.approval
    if step.bake_seconds == 0 and not waits:
        return "a bake of 0"
    try:
        alarms = read_alarms(runtime.cloudwatch, plan.candidate_alarms)
    except (ClientError, BotoCoreError) as error:
        # The token is kept, the alarm's event does not need us, and the next look is a minute away.
        logger.warning("alarms not read", error=str(error))
        return None
    red = [alarm.name for alarm in alarms if alarm.red]
    return f"alarms are red: {', '.join(red)}" if red else None


def answer(stepfunctions: Any, token: str, reason: str) -> bool:
    """End a bake early; False when it had ended already."""
    try:
        stepfunctions.send_task_success(taskToken=token, output=json.dumps({"reason": reason}))
    except ClientError as error:
        if error.response["Error"]["Code"] in LATE:
            logger.info("the bake had ended already", reason=reason)
            return False
        raise
    return True


def fail(stepfunctions: Any, token: str, error: str, cause: str) -> bool:
    """End a bake as failed, by the name of one of our errors; False when it had ended already."""
    try:
        stepfunctions.send_task_failure(taskToken=token, error=error, cause=cause[:30000])
    except ClientError as late:
        if late.response["Error"]["Code"] in LATE:
            logger.info("the bake had ended already", error=error)
            return False
        raise
    return True
