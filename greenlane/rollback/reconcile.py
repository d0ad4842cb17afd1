"""What events lost: every minute, look at each service and act on what is found.

Execution events are best effort, alarm events at least once. So the reconciler starts what nobody
started: the way back of a dead deployment, the end of one that died after promotion, a rollback
whose own execution died, a rollback for an alarm that is red with no event seen. It never frees a
lease itself. What somebody else changed it tells once, and leaves.
"""

import json
from collections.abc import Sequence
from datetime import timedelta

from botocore.exceptions import ClientError

from greenlane.deployments.model import Deployment, Record, Trigger
from greenlane.deployments.phases import DIES_BACKWARD, DIES_FORWARD, LEASED, Phase
from greenlane.deployments.reaching.stickiness import give_back_when_due
from greenlane.deployments.stepping.decide import watch_until
from greenlane.deployments.stepping.every_service import for_every_service
from greenlane.deployments.stepping.finishing import let_go
from greenlane.deployments.stepping.judging import Tick
from greenlane.deployments.storing.journal import note_best_effort, summarise, tell
from greenlane.errors import FenceLost, NotReconciled
from greenlane.health.alarms import AlarmState, read_alarms
from greenlane.rollback.drift import SECOND_LOOK
from greenlane.rollback.extended import judged_bad
from greenlane.rollback.model import ROLLBACK_DIED, RollbackRequest
from greenlane.rollback.noticing import notice_drift
from greenlane.rollback.settle import empty_later
from greenlane.rollback.telling_again import tell_again
from greenlane.runtime import Runtime

LATE = timedelta(minutes=10)
"""How long after `max_duration` an execution that neither ends nor goes back counts as stuck."""

EVENT_OVERDUE = timedelta(seconds=60)
"""An alarm red for longer than this should have triggered by its event."""

JUDGED_WITHIN = timedelta(seconds=25)
"""Later in a run no watch is judged: with all that may hang there, 60 seconds would not do."""

MANY_COMPLETIONS = 3
"""So many executions in a row that died after promotion are worth a page."""

_ALARMED = frozenset({Phase.SHIFTING, Phase.PROMOTED, Phase.WATCHING, Phase.RETIRED})
"""Where a red alarm may go unnoticed: before traffic, the first shift reads them all itself."""

_GUARDED = _ALARMED | {Phase.PLANNING, Phase.PREPARING}
"""Where it matters what the alarms say."""


def reconcile_all(tick: Tick, runtime: Runtime) -> None:
    """Look at each service.

    Raises:
        NotReconciled: one of them could not be looked at. All have had their turn; an alarm on
            the function's errors tells people when that lasts.
    """
    problems = reconcile(tick, runtime)
    if problems:
        raise NotReconciled("; ".join(problems))


def reconcile(tick: Tick, runtime: Runtime) -> list[str]:
    """Look at each service; what went wrong with which of them."""
    del tick
    latest = runtime.clock.now() + JUDGED_WITHIN

    def look(service: str) -> None:
        record = runtime.store.record(service)
        if record is None:
            return
        try:
            _reconcile(runtime, record)
        finally:
            tell_again(runtime, record)
            # Last, and whatever else went wrong: reading a day of metrics may take long.
            if runtime.clock.now() < latest:
                _judge_the_watch(runtime, record)

    return for_every_service(runtime, look, failed="not reconciled")


def _reconcile(runtime: Runtime, record: Record) -> None:
    if record.phase in LEASED and _dead(runtime, record, _owner(record)):
        _revive(runtime, record)
        return
    if record.phase in DIES_BACKWARD and runtime.clock.now() >= record.deadline + LATE:
        reason = f"max_duration passed at {record.deadline.isoformat()} and nothing ended it"
        _start_rollback(runtime, record, name="overdue", reason=reason)
        return
    alarms = _alarms(runtime, record)
    if record.phase in _ALARMED and _missed_alarm(runtime, record, alarms):
        return
    record = notice_drift(runtime, record, alarms)
    _finish(runtime, record)


def _judge_the_watch(runtime: Runtime, record: Record) -> None:
    """The numbers of the extended watch."""
    bad = judged_bad(runtime, record) if record.phase is Phase.WATCHING else None
    if bad is not None:
        _start_rollback(runtime, record, name="judged bad", reason=bad)


def _finish(runtime: Runtime, record: Record) -> None:
    """Go on with what nobody finished, at the end of a deployment or of its watch."""
    if record.phase in (Phase.WATCHING, Phase.RETIRED) and record.scaling_rests:
        _finish_letting_go(runtime, record)
        return
    if record.phase in (Phase.ROLLED_BACK, Phase.REFUSED) and record.scaling_rests:
        # A refused deployment may have inherited what the one before had not given back yet.
        empty_later(runtime, record)
        return
    try:
        give_back_when_due(runtime, record)
    finally:
        # A setting that cannot be given back keeps no watch from ending.
        if record.phase is Phase.WATCHING:
            _retire(runtime, record)


def _alarms(runtime: Runtime, record: Record) -> list[AlarmState]:
    """The alarms that may start the way back now; none where they do not count."""
    over = record.watch_until is not None and runtime.clock.now() >= record.watch_until
    if over or record.phase not in _GUARDED:
        return []
    return read_alarms(runtime.cloudwatch_quick, record.trigger_alarms)


def _dead(runtime: Runtime, record: Record, execution: str | None) -> bool:
    """Whether the owner's execution was found ended at two looks, 60 s apart."""
    status = _status(runtime, execution)
    now = runtime.clock.now()
    if status in ("RUNNING", "PENDING_REDRIVE"):
        if record.observed_dead_at is not None:
            runtime.store.update(record, {"observed_dead_at": None}, phases={record.phase})
        return False
    if record.observed_dead_at is None:
        runtime.store.update(record, {"observed_dead_at": now}, phases={record.phase})
        return False
    return now >= record.observed_dead_at + SECOND_LOOK


def _owner(record: Record) -> str | None:
    """The execution that should be at work on the record."""
    rolling_back = record.phase is Phase.ROLLING_BACK
    return record.rollback_execution if rolling_back else record.execution


def _status(runtime: Runtime, execution: str | None) -> str:
    if execution is None:
        return "UNKNOWN"
    try:
        answer = runtime.stepfunctions.describe_execution(executionArn=execution)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
            return "UNKNOWN"
        raise
    return str(answer["status"])


def _revive(runtime: Runtime, record: Record) -> None:
    """Go back, or forward if the deployment was promoted already."""
    reason = f"the execution of {record.deployment_id} died in {record.phase.value}"
    if _status(runtime, _owner(record)) == "UNKNOWN":
        reason = f"no execution holds the lease of {record.deployment_id} in {record.phase.value}"
    if record.phase in DIES_FORWARD:
        _complete(runtime, record, reason)
        return
    name = ROLLBACK_DIED if record.phase is Phase.ROLLING_BACK else "died"
    _start_rollback(runtime, record, name=name, reason=reason)


def _start_rollback(runtime: Runtime, record: Record, *, name: str, reason: str) -> None:
    note_best_effort(runtime, record.deployment_id, "reconciler rolls back", reason=reason)
    trigger = Trigger(kind="reconciler", name=name, reason=reason, at=runtime.clock.now())
    request = RollbackRequest(
        trigger=trigger, service=record.service, deployment_id=record.deployment_id
    )
    runtime.stepfunctions.start_execution(
        stateMachineArn=runtime.settings.rollback_machine_arn,
        input=request.model_dump_json(exclude_none=True),
    )


def _complete(runtime: Runtime, record: Record, reason: str) -> None:
    """Start a forward execution that goes on with the watch, under the next epoch."""
    note_best_effort(runtime, record.deployment_id, "reconciler completes", reason=reason)
    plan = runtime.store.plan(record.deployment_id)
    name = f"{record.deployment_id}-{record.epoch + 1}"[-80:]
    machine = runtime.settings.deployment_machine_arn
    execution = f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
    changes = {
        "epoch": record.epoch + 1,
        "execution": execution,
        "observed_dead_at": None,
        "completions": record.completions + 1,
    }
    record = runtime.store.update(record, changes, phases=DIES_FORWARD)
    if record.completions == MANY_COMPLETIONS:
        _page_incomplete(runtime, record, reason)
    left = timedelta(seconds=1)
    until = watch_until(plan, record)
    if until is not None:
        left = max(until - runtime.clock.now(), left)
    state = Deployment(
        deployment_id=record.deployment_id,
        service=record.service,
        epoch=record.epoch,
        step=len(plan.steps) - 1,
        next="bake",
        bake_seconds=int(left.total_seconds()),
    )
    runtime.stepfunctions.start_execution(
        stateMachineArn=machine, name=name, input=json.dumps(state.model_dump(mode="json"))
    )


def _page_incomplete(runtime: Runtime, record: Record, reason: str) -> None:
    """What died so often dies of something that only a person can mend."""
    tell(
        runtime,
        f"PAGE: Greenlane cannot complete the deployment of {record.service}",
        record.service,
        kind="still_trying",
        deployment=record.deployment_id,
        occasion="incomplete",
        reason=f"all traffic is on {record.candidate}, and {reason}, time and again",
        way_out="look at its failed executions; the reconciler goes on trying",
    )


def _missed_alarm(runtime: Runtime, record: Record, alarms: Sequence[AlarmState]) -> bool:
    """Start the rollback of an alarm whose event never came."""
    now = runtime.clock.now()
    for alarm in alarms:
        since = alarm.since
        if not alarm.red or since is None or since < record.started_at:
            continue
        if now >= since + EVENT_OVERDUE:
            _start_rollback(
                runtime, record, name=alarm.name, reason=f"red without an event: {alarm.reason}"
            )
            return True
    return False


def _finish_letting_go(runtime: Runtime, record: Record) -> None:
    """The forward execution died between freeing the lease and giving auto scaling back."""
    if not _dead(runtime, record, record.execution):
        return
    plan = runtime.store.plan(record.deployment_id)
    floor = plan.config.deployment.warm_floor if record.phase is Phase.WATCHING else 0
    let_go(runtime, plan, record, floor=floor)
    note_best_effort(runtime, record.deployment_id, "reconciler let the old slot go")


def _retire(runtime: Runtime, record: Record) -> None:
    """The extended watch is over: the old slot is let go. The phase moves first.

    Not while somebody else has changed the weights: the old slot may have traffic again.
    """
    if record.watch_until is not None and runtime.clock.now() < record.watch_until:
        return
    if any(found.kind == "weights" for found in record.drift or ()):
        return
    plan = runtime.store.plan(record.deployment_id)
    try:
        record = runtime.store.update(
            record,
            # Until the old slot is let go, the next look goes on where this one may die.
            {"phase": Phase.RETIRED, "scaling_rests": True, "updated_at": runtime.clock.now()},
            phases={Phase.WATCHING},
        )
    except FenceLost:
        return
    let_go(runtime, plan, record, floor=0)
    note_best_effort(runtime, record.deployment_id, "watch ended")
    summarise(runtime, plan, record)
