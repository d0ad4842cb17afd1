"""After the traffic went back: stop the forward machine, watch over the weights, empty the slot."""

from dataclasses import dataclass
from datetime import timedelta

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.deployments.model import Plan, Recipe, Record, Trigger, other
from greenlane.deployments.phases import LET_GO, Phase
from greenlane.deployments.reaching import fleet, scaling, traffic
from greenlane.deployments.stepping.before_traffic import stop_task
from greenlane.deployments.stepping.drain import still_served, weight_of
from greenlane.deployments.stepping.scale_in import LANDS_WITHIN, announce_scale_in, staying
from greenlane.deployments.storing.journal import note_best_effort
from greenlane.errors import FenceLost, Held, NotDrained, NotSettled
from greenlane.logs import logger
from greenlane.rollback.election import NotElected, begin
from greenlane.rollback.model import Rollback, RollbackRequest
from greenlane.rollback.take_back import put_share_back
from greenlane.runtime import Runtime

SHIFT_TIMEOUT = timedelta(seconds=15)
"""The Lambda timeout of `shift_traffic`: how late a forward write may still land."""

PREPARE_TIMEOUT = timedelta(seconds=60)
"""The Lambda timeout of those that start the idle slot's tasks: how late that may still land."""

SETTLE_FOR = SHIFT_TIMEOUT + timedelta(seconds=30)

GIVE_UP_AFTER = timedelta(hours=1)
"""A good slot that has not grown until then, or that ECS does not answer for, needs a person."""


def stop_forward(rollback: Rollback, runtime: Runtime) -> Rollback:
    """Stop the forward execution; a function of it that runs at this moment runs on.

    A deployment that called for its own rollback is ending by itself, with its own error.
    """
    execution = rollback.forward_execution
    if execution is None or rollback.trigger.kind == "failure":
        return rollback
    if rollback.trigger.kind == "execution":
        return rollback.model_copy(update={"trigger": _why_it_ended(rollback, execution, runtime)})
    try:
        runtime.stepfunctions_back.stop_execution(
            executionArn=execution,
            error="RolledBack",
            cause=f"{rollback.trigger.kind} {rollback.trigger.name}: {rollback.trigger.reason}"[
                :30000
            ],
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
            raise
    return rollback


def _why_it_ended(rollback: Rollback, execution: str, runtime: Runtime) -> Trigger:
    """The trigger, with the error that the forward execution itself ended with."""
    try:
        ended = runtime.stepfunctions_back.describe_execution(executionArn=execution)
    except ClientError as error:
        logger.warning("the ended execution cannot be read", error=str(error))
        return rollback.trigger
    known = {
        "kind": rollback.trigger.kind,
        "name": ended.get("error") or rollback.trigger.name,
        "reason": ended.get("cause") or rollback.trigger.reason,
        "at": rollback.trigger.at,
        "event_id": rollback.trigger.event_id,
    }
    return RollbackRequest.model_validate({"trigger": known}).trigger


def hold_traffic(rollback: Rollback, runtime: Runtime) -> Rollback:
    """Re-read and re-assert, until no late forward write can land any more.

    The workflow repeats it every 5 s. The fence write that failed at first is retried here until
    it succeeds; a good slot that has shrunk grows here until it carries everything.

    Raises:
        NotSettled: not yet.
        FenceLost: another rollback took over.
        Held: the good slot did not grow, or ECS did not answer, for an hour.
    """
    if rollback.action == "abandon":
        return _hold_abandoned(rollback, runtime)
    recipe, took_back_at = rollback.recipe, rollback.took_back_at
    found_fenced = rollback.fenced
    if recipe is None or took_back_at is None:
        raise FenceLost("a rollback without a recipe has nothing to hold")
    late = runtime.clock.now() >= took_back_at + GIVE_UP_AFTER
    seen = _one_round(rollback, recipe, runtime)
    rollback, record = seen.rollback, seen.record
    if seen.problem is not None or record is None:
        # Without the table it goes on: the rollback is not finished before its fence is written.
        if late and record is not None:
            raise Held(f"not everything answers: {seen.problem}") from seen.problem
        raise NotSettled(f"not everything answers: {seen.problem}") from seen.problem
    if not seen.grown:
        if late:
            raise Held(f"the good slot did not grow back within {GIVE_UP_AFTER}")
        raise NotSettled("the good slot is growing back to its capacity")
    # A forward step could pass its check until the fence was written.
    settle_for = LANDS_WITHIN if record.previous_phase in LET_GO else SETTLE_FOR
    if runtime.clock.now() < max(took_back_at, record.updated_at) + settle_for:
        raise NotSettled("a late forward write might still land")
    if rollback.action == "raise":
        # The last of the bad slot's share went back only now: its drain begins here.
        rollback = rollback.model_copy(update={"took_back_at": runtime.clock.now()})
    rollback = rollback.marked("settled", runtime.clock.now())
    # Without the table nobody knew which execution to stop.
    return rollback if found_fenced else _stop_forward_late(rollback, runtime)


def _stop_forward_late(rollback: Rollback, runtime: Runtime) -> Rollback:
    """As the workflow does it: one that cannot be stopped is fenced off, and ends by itself."""
    try:
        return stop_forward(rollback, runtime)
    except (ClientError, BotoCoreError) as error:
        logger.error("the deployment's execution was not stopped", error=str(error))
        return rollback


def _hold_abandoned(rollback: Rollback, runtime: Runtime) -> Rollback:
    """No traffic to hold; but a start of the candidate's tasks may still land."""
    try:
        record = _record(rollback, runtime)
    except (ClientError, BotoCoreError) as error:
        raise NotSettled(f"the table does not answer: {error}") from error
    if record is None:
        raise FenceLost("another rollback took over")
    if runtime.clock.now() < record.updated_at + PREPARE_TIMEOUT:
        raise NotSettled("tasks of the candidate might still be started")
    return rollback.marked("settled", runtime.clock.now())


@dataclass(frozen=True)
class _Round:
    """What one look did: `record` is None when the table did not answer."""

    rollback: Rollback
    record: Record | None
    grown: bool
    problem: Exception | None


def _one_round(rollback: Rollback, recipe: Recipe, runtime: Runtime) -> _Round:
    """Look whose it is, keep the weights, grow; the weights wait for nothing but the table.

    What has only a share yet is not kept but raised: its weights follow its size.
    """
    record: Record | None = None
    problem: Exception | None = None
    grown = rollback.action != "raise"
    try:
        rollback, record = _owned(rollback, runtime)
    except (ClientError, BotoCoreError) as error:
        problem = error
    try:
        if grown:
            _reassert(rollback, recipe, runtime)
        if record is not None:
            record = _rest_scale_in(record, runtime)
            grown = _grown(rollback, recipe, record, runtime)
            if grown and rollback.action == "raise":
                _reassert(rollback, recipe, runtime)
    except (ClientError, BotoCoreError) as error:
        problem = error
    return _Round(rollback, record, grown, problem)


def _owned(rollback: Rollback, runtime: Runtime) -> tuple[Rollback, Record]:
    """The rollback with its fence written, and its record."""
    if not rollback.fenced:
        return _fence_now(rollback, runtime)
    record = _record(rollback, runtime)
    if record is None:
        raise FenceLost("another rollback took over")
    return rollback, record


def _record(rollback: Rollback, runtime: Runtime) -> Record | None:
    """The record, if this rollback still owns it."""
    record = runtime.store.record(rollback.service)
    ours = (
        record is not None and record.phase is Phase.ROLLING_BACK and record.epoch == rollback.epoch
    )
    return record if ours else None


def _fence_now(rollback: Rollback, runtime: Runtime) -> tuple[Rollback, Record]:
    """Write the fence that the first function could not write."""
    if rollback.request is None:
        raise FenceLost("an unfenced rollback must know its request")
    try:
        record = begin(
            runtime.store,
            rollback.service,
            rollback.request,
            rollback.execution,
            runtime.clock.now(),
        )
    except NotElected as lost:
        ours = lost.record is not None and (lost.record.rollback_execution == rollback.execution)
        if not ours or lost.record is None:
            if not _gone_back_by_another(rollback, lost.record):
                raise Held(
                    "the weights were written without the table, which now says that there was "
                    "nothing to roll back: look at them"
                ) from lost
            raise FenceLost("another rollback was elected meanwhile") from lost
        record = lost.record
    known = {
        "fenced": True,
        "epoch": record.epoch,
        "deployment_id": record.deployment_id,
        "forward_execution": record.execution,
    }
    return rollback.model_copy(update=known), record


def _gone_back_by_another(rollback: Rollback, record: Record | None) -> bool:
    """Whether the weights that were written without the table are those of another rollback."""
    if record is None or rollback.recipe is None:
        return False
    ended = record.phase is Phase.ROLLED_BACK and record.live == rollback.recipe.good_slot
    return ended or record.phase is Phase.ROLLING_BACK


def _rest_scale_in(record: Record, runtime: Runtime) -> Record:
    """After the watch auto scaling works again; it must not shrink the slot that grows here."""
    if record.scaling_rests or not record.scaling:
        return record
    scaling.suspend_scale_in(runtime.autoscaling_back, record.scaling)
    return runtime.store.update(record, {"scaling_rests": True}, phases={Phase.ROLLING_BACK})


def _grown(rollback: Rollback, recipe: Recipe, record: Record, runtime: Runtime) -> bool:
    """Bring the good slot back to its capacity; shift what it carries meanwhile.

    Also for a slot of full size, which has all of the traffic: nobody knows what still lands.
    """
    if rollback.deployment_id is None:
        return True
    plan = runtime.store.plan(rollback.deployment_id)
    resources = plan.workload.slots[recipe.good_slot]
    service = fleet.read_service(runtime.ecs_back, plan.workload.cluster, resources.service)
    needed = rollback.capacity
    if rollback.action == "raise":
        # The other slot may have grown since with the traffic.
        bad = traffic.slot_health(runtime.elbv2_back, recipe.bad_target_group)
        needed = max(needed, len(bad.healthy))
    good = plan.live_task_definition
    if service.desired < needed:
        fleet.set_service(
            runtime.ecs_back,
            plan.workload.cluster,
            resources.service,
            desired=needed,
            # Naming one asks for the right to pass its roles, even if it is the same.
            task_definition=None if service.task_definition == good else good,
        )
    if rollback.action != "raise":
        # It has all of the traffic already: none of it goes back to the bad version meanwhile.
        return True
    healthy = len(traffic.slot_health(runtime.elbv2_back, recipe.good_target_group).healthy)
    stay = staying(record, recipe.good_slot, healthy, runtime.clock.now())
    if healthy and stay < needed:
        put_share_back(runtime, rollback, recipe, good=stay)
    return stay >= needed


def _reassert(rollback: Rollback, recipe: Recipe, runtime: Runtime) -> None:
    rule = traffic.read_rule(runtime.elbv2_back, recipe.rule_arn)
    if rule.weights == {recipe.good_target_group: 100, recipe.bad_target_group: 0}:
        return
    traffic.write_actions(runtime.elbv2_back, recipe.rule_arn, recipe.actions)
    if rollback.deployment_id is not None:
        note_best_effort(runtime, rollback.deployment_id, "weights reasserted", found=rule.weights)


def empty_slot(rollback: Rollback, runtime: Runtime) -> Rollback:
    """Wait until the bad slot serves nothing, then stop its tasks and give auto scaling back.

    Raises:
        NotDrained: it still serves; the workflow asks again.
        FenceLost: another rollback took over.
    """
    record = _record(rollback, runtime)
    if record is None or rollback.deployment_id is None:
        raise FenceLost("another rollback took over")
    plan = runtime.store.plan(rollback.deployment_id)
    weight = weight_of(runtime, plan, plan.candidate)
    if weight is not None:
        _put_back_again(rollback, runtime, record)
        raise NotDrained(weight)
    # It drains since the last write that took traffic from it; an abandoned slot never had any.
    since = max(filter(None, (rollback.took_back_at, record.shifted_at)), default=None)
    if since is not None:
        reason = still_served(runtime, plan, slot=plan.candidate, since=since)
        if reason is not None:
            raise NotDrained(reason)
    rollback = rollback.marked("drained", runtime.clock.now())
    _stop_tasks(runtime, plan, record)
    return rollback.marked("emptied", runtime.clock.now())


def _put_back_again(rollback: Rollback, runtime: Runtime, record: Record) -> None:
    """Somebody gave the bad slot traffic after all: a rollback overwrites that as long as it runs.

    Not while the good slot is sick: then it is better off where it is.
    """
    recipe = rollback.recipe
    if recipe is None:
        return
    health = traffic.slot_health(runtime.elbv2_back, recipe.good_target_group)
    if 2 * len(health.healthy) < rollback.capacity:
        return
    # Fenced, and before the write: from here on the slot must drain anew.
    now = {"shifted_at": runtime.clock.now()}
    runtime.store.update(record, now, phases={Phase.ROLLING_BACK})
    _reassert(rollback, recipe, runtime)


def empty_later(runtime: Runtime, record: Record) -> None:
    """Do what a rollback that ended incompletely could not: stop the bad slot's tasks.

    Raises:
        NotDrained: it may still serve.
        FenceLost: another deployment began.
    """
    plan = runtime.store.plan(record.deployment_id)
    weight = weight_of(runtime, plan, plan.candidate)
    if weight is not None:
        raise NotDrained(weight)
    if runtime.clock.now() < record.updated_at + plan.config.deployment.drain_deadline:
        raise NotDrained(f"{plan.candidate} may still serve")
    _stop_tasks(runtime, plan, record)


def _stop_tasks(runtime: Runtime, plan: Plan, record: Record) -> None:
    """Give auto scaling back and stop the bad slot; done when scaling rests no more."""
    bad = plan.workload.slots[plan.candidate].service
    announce_scale_in(runtime, record, slot=plan.candidate, tasks=0)
    stop_task(runtime, plan, record)
    scaling.give_back_as_found(runtime.autoscaling, plan.workload, record.scaling, idle=bad)
    fleet.set_service(runtime.ecs, plan.workload.cluster, bad, desired=0)
    runtime.store.update(record, {"scaling_rests": False}, phases={record.phase})
    note_best_effort(
        runtime,
        plan.deployment_id,
        "bad slot scaled down",
        slot=plan.candidate,
        good=other(plan.candidate),
    )
