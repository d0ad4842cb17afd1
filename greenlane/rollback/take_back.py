"""The first function of a rollback: at most two calls, then the traffic goes back.

It fails open: if the table does not answer within 300 ms, the way back comes from the execution's
input or from the tags that planning wrote on the rule.
"""

from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.deployments.model import Recipe, Record, Slot, other
from greenlane.deployments.phases import LET_GO, WITHOUT_TRAFFIC, Phase
from greenlane.deployments.reaching import traffic
from greenlane.deployments.stepping.scale_in import LANDS_WITHIN, staying, under_way
from greenlane.deployments.storing.journal import note_best_effort
from greenlane.errors import Held, OwnerUnknown, UnknownDeployment
from greenlane.logs import logger
from greenlane.rollback.election import NotElected, begin, take_over
from greenlane.rollback.model import ROLLBACK_DIED, Action, Rollback, RollbackEvent, RollbackRequest
from greenlane.runtime import Runtime

KNOWN_AFTER = timedelta(seconds=60)
"""An execution that Step Functions does not know after this was lost; before, it may be young."""


def take_traffic_back(event: RollbackEvent, runtime: Runtime) -> Rollback:
    """Elect this execution, look at the good slot, put the traffic back.

    Raises:
        Held: the trigger does not say what it is about.
        OwnerUnknown: another rollback was elected, and Step Functions does not say whether it
            still lives; the workflow asks again for some minutes and leaves it to the reconciler.
        botocore.exceptions.ClientError: the balancer refused the write, or the table did not
            answer and nothing outside it knows the way back; the workflow retries.
    """
    request = event.request
    service = request.service or _service_of(runtime, request)
    asked = runtime.clock.now()
    try:
        record = begin(runtime.hasty_store, service, request, event.execution, runtime.clock.now())
    except NotElected as lost:
        again = _second(runtime, lost.record, event)
        if again is None:
            return _nothing(event, service, lost.record)
        record = again
    except (ClientError, BotoCoreError) as error:
        recipe = request.recipe or _recipe_from_tags(runtime, request)
        if recipe is None:
            raise
        logger.error("the table did not answer; going back without it", error=str(error))
        return _without_record(event, runtime, service, recipe)
    marks = {"asked": asked, "fenced": runtime.clock.now()}
    return _with_record(event, runtime, record, marks)


def _with_record(
    event: RollbackEvent, runtime: Runtime, record: Record, marks: dict[str, datetime]
) -> Rollback:
    rollback = Rollback(
        service=record.service,
        deployment_id=record.deployment_id,
        epoch=record.epoch,
        execution=event.execution,
        action="abandon",
        trigger=record.trigger or event.request.trigger,
        forward_execution=record.execution,
        recipe=record.recipe,
        capacity=record.full_capacity,
        bad_at_most=max(record.weight, record.intended_weight or 0),
        marks=marks,
        reason=f"from {record.previous_phase.value if record.previous_phase else 'unknown'}",
    )
    if record.previous_phase in WITHOUT_TRAFFIC or record.recipe is None:
        _report(runtime, rollback, weights=None)
        return rollback
    action, weights = _put_back(runtime, rollback, record.recipe, record)
    rollback = _acted(runtime, rollback, record.recipe, action)
    _report(runtime, rollback, weights=weights, waits=_waits(record, record.recipe, runtime))
    return rollback


def _waits(record: Record, recipe: Recipe, runtime: Runtime) -> str | None:
    """Why the good slot does not get everything yet, though it looks whole."""
    asked = under_way(record, recipe.good_slot, runtime.clock.now())
    if asked is None:
        return None
    until = (asked.at + LANDS_WITHIN).isoformat(timespec="seconds")
    return (
        f"{asked.slot} was being scaled in to {asked.tasks} tasks; until {until} no more of them "
        "are counted on"
    )


def _acted(runtime: Runtime, rollback: Rollback, recipe: Recipe, action: Action) -> Rollback:
    now = runtime.clock.now()
    known: dict[str, Any] = {"action": action, "took_back_at": now}
    if action == "held":
        known["reason"] = f"the good slot {recipe.good_slot} has targets, and none is healthy"
    return rollback.model_copy(update=known).marked("written", now)


def _put_back(
    runtime: Runtime, rollback: Rollback, recipe: Recipe, record: Record | None
) -> tuple[Action, dict[str, int] | None]:
    """One look at the good slot, one `ModifyRule`; what is left to do, and the weights written.

    A good slot that was let go is measured by what the other one carries now: the capacity on
    record is that of hours ago. One whose health cannot be read is trusted, unless it was let go:
    it was healthy and has been kept so, and the other one is known to be bad (ADR 0018). Tasks
    that ECS may be about to stop are not counted (ADR 0029); without the table nobody knows.
    """
    let_go = record is not None and record.previous_phase in LET_GO
    try:
        health = traffic.slot_health(runtime.elbv2_back, recipe.good_target_group)
    except (ClientError, BotoCoreError) as error:
        if let_go:
            raise
        logger.error("the good slot's health is unknown; going back to it", error=str(error))
        traffic.write_actions(runtime.elbv2_back, recipe.rule_arn, recipe.actions)
        return "settle", {recipe.good_target_group: 100}
    # A few sick targets are no reason to leave users on a bad version, half of them are.
    full = 2 * len(health.healthy) >= rollback.capacity and health.total >= rollback.capacity
    if full and not let_go:
        traffic.write_actions(runtime.elbv2_back, recipe.rule_arn, recipe.actions)
        return "settle", {recipe.good_target_group: 100}
    if not health.healthy:
        # All there and none healthy: sick too. Let go of, or just starting: it must grow first.
        sick = bool(health.total) and not health.starting and not let_go
        return ("held" if sick else "raise"), None
    good = len(health.healthy)
    if record is not None:
        good = staying(record, recipe.good_slot, good, runtime.clock.now())
    return "raise", put_share_back(runtime, rollback, recipe, good=good)


def put_share_back(
    runtime: Runtime, rollback: Rollback, recipe: Recipe, *, good: int
) -> dict[str, int] | None:
    """The good slot has shrunk: its healthy share now, the rest once it has grown again.

    All at once when the bad slot serves nothing; and the bad slot never gets more than it had.
    The weights written, by target group; None for a share of nothing.
    """
    bad = len(traffic.slot_health(runtime.elbv2_back, recipe.bad_target_group).healthy)
    needed = max(rollback.capacity, bad)
    share = min(max(100 * good // needed, 100 - rollback.bad_at_most), 100)
    if not bad or share == 100:
        traffic.write_actions(runtime.elbv2_back, recipe.rule_arn, recipe.actions)
        return {recipe.good_target_group: 100}
    if not share:
        return None
    weights = {recipe.good_target_group: share, recipe.bad_target_group: 100 - share}
    rule = traffic.LiveRule(arn=recipe.rule_arn, actions=recipe.actions)
    traffic.write_actions(
        runtime.elbv2_back,
        recipe.rule_arn,
        traffic.actions_with(rule, weights, keep_stickiness=False),
    )
    return weights


def _second(runtime: Runtime, record: Record | None, event: RollbackEvent) -> Record | None:
    """The record, if this execution may go on with a rollback that was begun already.

    A repeated invocation of the owner goes on; another execution takes over from a dead owner.
    """
    if record is None or record.phase is not Phase.ROLLING_BACK:
        return None
    if record.rollback_execution == event.execution:
        return record
    if event.request.deployment_id not in (None, record.deployment_id):
        return None
    if record.rollback_execution is not None and _owner_lives(runtime, record, event):
        return None
    try:
        return take_over(runtime.store, record, event.execution, runtime.clock.now())
    except NotElected as lost:
        # A write whose answer was lost, then repeated, fails by its own first effect.
        ours = lost.record is not None and lost.record.rollback_execution == event.execution
        return lost.record if ours else None


def _owner_lives(runtime: Runtime, record: Record, event: RollbackEvent) -> bool:
    """Whether the execution that was elected still runs.

    Of many triggers, each that lost would page when Step Functions does not answer. They need not:
    the reconciler looks each minute whether the owner lives, and what it saw dead is dead.

    Raises:
        OwnerUnknown: Step Functions did not answer, or does not know so young an execution yet.
    """
    execution, trigger = record.rollback_execution or "", event.request.trigger
    try:
        return _alive(runtime, execution)
    except (ClientError, BotoCoreError) as error:
        if _does_not_exist(error) and runtime.clock.now() >= record.updated_at + KNOWN_AFTER:
            return False
        if (trigger.kind, trigger.name) == ("reconciler", ROLLBACK_DIED):
            return False
        raise OwnerUnknown(f"whether {execution} still lives cannot be read: {error}") from error


def _does_not_exist(error: ClientError | BotoCoreError) -> bool:
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
    return bool(code == "ExecutionDoesNotExist")


def _alive(runtime: Runtime, execution: str) -> bool:
    """Whether an execution still runs.

    One that succeeded has written the end into the record, or it left the rollback to another:
    taking over fails by its own condition in the first case, and is needed in the second.
    """
    status = runtime.stepfunctions_back.describe_execution(executionArn=execution)["status"]
    return status in ("RUNNING", "PENDING_REDRIVE")


def _nothing(event: RollbackEvent, service: str, record: Record | None) -> Rollback:
    known = (
        "it has no record"
        if record is None
        else f"{record.deployment_id} is {record.phase.value} at epoch {record.epoch}"
    )
    logger.info("nothing to roll back", service=service, record=known)
    return Rollback(
        service=service,
        execution=event.execution,
        action="none",
        trigger=event.request.trigger,
        reason=f"nothing to do: {known}",
    )


def _service_of(runtime: Runtime, request: RollbackRequest) -> str:
    """The service of a deployment named by its id alone (an execution's status event)."""
    if request.deployment_id is None:
        raise Held("the trigger names neither a service nor a deployment")
    try:
        return runtime.store.plan(request.deployment_id).service
    except UnknownDeployment:
        # It was refused before it had a plan: there is nothing to go back from.
        return "unknown"


def _without_record(
    event: RollbackEvent, runtime: Runtime, service: str, recipe: Recipe
) -> Rollback:
    """Go back by a recipe from the execution's input, or from the tags on the rule."""
    request = event.request
    rollback = Rollback(
        service=service,
        deployment_id=request.deployment_id,
        execution=event.execution,
        action="none",
        trigger=request.trigger,
        fenced=False,
        recipe=recipe,
        capacity=recipe.capacity,
        request=request,
    )
    if request.alarm_slot() == recipe.good_slot:
        reason = "the table is down, and the alarm is the good slot's own"
        return rollback.model_copy(update={"reason": reason, "fenced": True})
    rollback = rollback.model_copy(
        update={"reason": "the table was down; by the recipe outside it"}
    )
    action, _ = _put_back(runtime, rollback, recipe, record=None)
    return _acted(runtime, rollback, recipe, action)


def _recipe_from_tags(runtime: Runtime, request: RollbackRequest) -> Recipe | None:
    """The way back as planning wrote it on the rule itself, before any weight moved.

    None when the trigger names no rule, or no deployment is on the rule's tags.
    """
    arn = request.listener_rule_arn
    if arn is None:
        return None
    answer = runtime.elbv2_back.describe_tags(ResourceArns=[arn])
    tags: dict[str, Any] = {
        tag["Key"]: tag["Value"] for tag in answer["TagDescriptions"][0]["Tags"]
    }
    good = tags.get("greenlane:good-target-group")
    slots: dict[str, Slot] = {group: slot for slot, group in request.target_groups.items()}
    if good is None or good not in slots:
        return None
    rule = traffic.read_rule(runtime.elbv2_back, arn)
    slot = slots[good]
    bad = request.target_groups[other(slot)]
    weights = {good: 100, bad: 0}
    return Recipe(
        rule_arn=arn,
        good_slot=slot,
        good_target_group=good,
        bad_target_group=bad,
        capacity=int(tags.get("greenlane:capacity", "1")),
        actions=traffic.actions_with(rule, weights, keep_stickiness=False),
        stickiness=rule.stickiness,
    )


def _report(
    runtime: Runtime,
    rollback: Rollback,
    *,
    weights: dict[str, int] | None,
    waits: str | None = None,
) -> None:
    """After the traffic: a report never comes before it."""
    if rollback.deployment_id is None:
        return
    note_best_effort(
        runtime,
        rollback.deployment_id,
        "rollback began",
        action=rollback.action,
        trigger=rollback.trigger.model_dump(mode="json", exclude_none=True),
        weights=weights,
        waits=waits,
        epoch=rollback.epoch,
    )
