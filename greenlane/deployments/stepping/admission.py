"""The first function of a deployment: look, refuse or take the lease, write the way back.

Everything that could make the deployment impossible is found here, while traffic is still
untouched: who is live is read from the listener rule, never remembered; the recipe that restores
it is written and rehearsed before any weight moves.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict

from greenlane.deployments.declaring.applied_alarms import counted_on, look_at_alarms
from greenlane.deployments.declaring.config import ServiceConfig
from greenlane.deployments.model import (
    Deployment,
    DeploymentRequest,
    Plan,
    Record,
    Slot,
    SuspendedScaling,
    other,
)
from greenlane.deployments.phases import LEASED, LET_GO, Phase
from greenlane.deployments.plan import plan_steps
from greenlane.deployments.reaching import fleet, images, traffic
from greenlane.deployments.reaching.workloads import read_workload
from greenlane.deployments.stepping.gating import refuse_failed
from greenlane.deployments.storing.journal import note, summarise, tell
from greenlane.deployments.storing.store import StoredConfig
from greenlane.deployments.workload import Workload
from greenlane.errors import DeploymentInFlight, GreenlaneError, InvalidInput, Refused
from greenlane.health.alarm_definitions import AlarmPlan, with_alarms
from greenlane.health.alarms import AlarmState
from greenlane.health.candidate import baseline_of
from greenlane.migrations.shipping.admitting import refuse_migrations, refuse_outdated_version
from greenlane.regions.coordinating.admitting import refuse_overtaken
from greenlane.runtime import Runtime

MOST_HELD = 5
"""Each is one more look when the next deployment succeeds."""


class Handle(BaseModel):
    """Which deployment an execution is about."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    deployment_id: str
    service: str


class PlanningEvent(BaseModel):
    """What starts a deployment, with the execution's own ARN."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    deployment: Handle
    request: DeploymentRequest
    execution: str


class Look(BaseModel):
    """What planning saw of the live system."""

    model_config = ConfigDict(frozen=True)

    rule: traffic.LiveRule
    live: Slot
    live_service: fleet.ServiceState
    red: tuple[AlarmState, ...]
    definitions: dict[str, str]

    @property
    def candidate(self) -> Slot:
        """The slot without traffic."""
        return other(self.live)


def plan_deployment(event: PlanningEvent, runtime: Runtime) -> Deployment:
    """Check, take the lease, write and rehearse the recipe.

    A second run (a retried function) finds the lease its own and does the same again.

    Raises:
        Refused: the live system or the request does not allow it; nothing was changed.
        InvalidInput: the request is wrong; nothing was changed.
    """
    handle = event.deployment
    try:
        plan, record, look = _admit(event, runtime)
    except (Refused, InvalidInput) as error:
        _free_own_lease(runtime, event, error)
        _remember_refusal(runtime, event, error)
        raise
    try:
        refuse_outdated_version(runtime, plan)
        refuse_overtaken(runtime, plan)
        record = _write_way_back(runtime, plan, record, look)
    except Refused as error:
        record = runtime.store.update(
            record, {"phase": Phase.REFUSED, "reason": str(error)}, phases={Phase.PLANNING}
        )
        summarise(runtime, plan, record)
        _remember_refusal(runtime, event, error)
        raise
    note(
        runtime,
        handle.deployment_id,
        "planned",
        strategy=plan.strategy,
        image=plan.image,
        live=plan.live,
        candidate=plan.candidate,
        capacity=plan.full_capacity,
        steps=[step.weight for step in plan.steps if step.kind == "step"],
        despite_alarms=plan.request.despite_alarms,
        red_alarms=[alarm.name for alarm in look.red] or None,
    )
    summarise(runtime, plan, record)
    first, asked = plan.steps[0], plan.request.migrations
    return Deployment(
        deployment_id=handle.deployment_id,
        service=handle.service,
        epoch=record.epoch,
        next="expand" if asked is not None and "expand" in asked.phases else "shift",
        bake_seconds=max(first.bake_seconds, 1),
        recipe=record.recipe,
    )


def _admit(event: PlanningEvent, runtime: Runtime) -> tuple[Plan, Record, Look]:
    """All checks, reads only; then the lease."""
    handle, request = event.deployment, event.request
    if handle.service != request.service:
        raise InvalidInput("request.service", request.service, f"must be {handle.service!r}")
    stored = runtime.store.get_config(handle.service)
    workload = stored.config.workload
    if workload is None or not stored.workload_declared:
        # Read again: a stack that changed its alarms or the tasks' shape counts from now on.
        workload = read_workload(runtime.ssm, handle.service)
    asked = counted_on(runtime.cloudwatch, stored.config, workload)
    workload = with_alarms(workload, asked)
    before = runtime.store.record(handle.service)
    ours = before is not None and before.deployment_id == handle.deployment_id
    if before is not None and not ours and before.phase in LEASED:
        raise DeploymentInFlight(
            f"{handle.service} is being deployed by {before.deployment_id} (phase "
            f"{before.phase.value}); wait for it, or end it with `greenlane abort {handle.service}`"
        )
    look = _look(runtime, workload, request, asked)
    plan = _plan(event, runtime, stored, workload, look)
    refuse_failed(runtime, plan)
    refuse_migrations(runtime, plan)
    if not request.undo:
        plan = plan.model_copy(update={"baseline": baseline_of(runtime, plan)})
    record = Record(
        service=plan.service,
        deployment_id=plan.deployment_id,
        epoch=before.epoch + 1 if before is not None and not ours else 1,
        phase=Phase.PLANNING,
        live=plan.live,
        candidate=plan.candidate,
        started_at=plan.started_at,
        updated_at=plan.started_at,
        deadline=plan.deadline,
        execution=event.execution,
        full_capacity=plan.full_capacity,
        trigger_alarms=plan.trigger_alarms,
        scaling=_inherited(before, look.live),
        held_before=_held_before(before),
        scaling_rests=before is not None and before.scaling_rests,
        scaled_in=before.scaled_in if before is not None else None,
        stickiness=before.stickiness if before is not None else None,
        stickiness_due=before.stickiness_due if before is not None else None,
    )
    if ours and before is not None:
        if before.phase not in (Phase.PLANNING, Phase.PREPARING):
            raise Refused(f"{plan.deployment_id} was planned already; it is {before.phase.value}")
        return runtime.store.plan(plan.deployment_id), before, look
    runtime.store.put_plan(plan)
    seen = before.updated_at if before is not None else None
    return plan, runtime.store.acquire(record, seen=seen), look


def _held_before(before: Record | None) -> tuple[str, ...]:
    """The deployments that wait for a cure, which this one may be; the newest few."""
    if before is None or before.phase in LET_GO:  # it succeeded
        return ()
    held = (before.deployment_id,) if before.phase is Phase.HELD else ()
    return (*before.held_before, *held)[-MOST_HELD:]


def _inherited(before: Record | None, live: Slot) -> tuple[SuspendedScaling, ...]:
    """What the deployment before recorded and has not given back, by the slots' roles of now."""
    if before is None or not before.scaling_rests:
        return ()
    if before.live == live or len(before.scaling) != 2:
        return before.scaling
    one, two = before.scaling
    return (
        one.model_copy(update={"min_capacity": two.min_capacity, "max_capacity": two.max_capacity}),
        two.model_copy(update={"min_capacity": one.min_capacity, "max_capacity": one.max_capacity}),
    )


@contextmanager
def _refused(reason: str, *codes: str) -> Iterator[None]:
    """What AWS says with one of these codes is that a name does not exist: a refusal."""
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] in codes:
            raise Refused(reason) from error
        raise


def _rule(runtime: Runtime, workload: Workload) -> traffic.LiveRule:
    arn = workload.listener_rule_arn
    missing = f"the listener rule {arn} does not exist; correct the workload's listener_rule_arn"
    with _refused(missing, "RuleNotFound", "ValidationError"):
        return traffic.read_rule(runtime.elbv2, arn)


@contextmanager
def _target_group(workload: Workload, slot: Slot) -> Iterator[str]:
    """The ARN of a slot's target group; a refusal when it turns out not to exist."""
    arn = workload.slots[slot].target_group_arn
    missing = (
        f"the target group {arn} of {slot} does not exist; correct the workload's "
        f"slots.{slot}.target_group_arn"
    )
    with _refused(missing, "TargetGroupNotFound", "ValidationError"):
        yield arn


def _look(
    runtime: Runtime, workload: Workload, request: DeploymentRequest, asked: AlarmPlan
) -> Look:
    rule = _rule(runtime, workload)
    percent = rule.percent(workload)
    if percent is None or set(percent.values()) != {0, 100}:
        raise Refused(
            f"weights: the rule's live weights are {rule.weights}, expected all traffic on one of "
            "the two slots; put them right first (`greenlane rollback` does, if it split them)"
        )
    live: Slot = "blue" if percent["blue"] == 100 else "green"
    for slot in workload.slots:
        with _target_group(workload, slot) as target_group:
            pins = traffic.has_target_stickiness(runtime.elbv2, target_group)
        if pins:
            raise Refused(
                f"stickiness: the target group of {slot} pins clients to targets, so weights "
                "would not move them; switch stickiness.enabled off (the rule's own may stay)"
            )
    parts = asked.parts(other(live))
    alarms, red = look_at_alarms(runtime.cloudwatch, workload, live, request, parts)
    missing = (
        f"cluster: there is no ECS cluster {workload.cluster!r} in this account and Region; create "
        "it, or correct the workload's cluster (`aws ecs list-clusters` lists what there is)"
    )
    with _refused(missing, "ClusterNotFoundException"):
        services = {
            slot: fleet.read_service(runtime.ecs, workload.cluster, resources.service)
            for slot, resources in workload.slots.items()
        }
    with _target_group(workload, live) as target_group:
        health = traffic.slot_health(runtime.elbv2, target_group)
    if not health.healthy and not request.despite_alarms:
        raise Refused(
            f"health: the live slot {live} has no healthy target, so there is nothing to go back "
            "to; if this deployment is the cure, say so with --despite-alarms REASON"
        )
    counted = {*workload.slots[other(live)].alarms, *workload.alarms, *parts}
    definitions = {alarm.name: alarm.definition for alarm in alarms if alarm.name in counted}
    return Look(rule=rule, live=live, live_service=services[live], red=red, definitions=definitions)


def _plan(
    event: PlanningEvent,
    runtime: Runtime,
    stored: StoredConfig,
    workload: Workload,
    look: Look,
) -> Plan:
    config, request, now = stored.config, event.request, runtime.clock.now()
    running = fleet.read_task_definition(runtime.ecs, look.live_service.task_definition)
    name = request.container or config.container or workload.container
    image = None
    if request.task_definition is None:
        container = fleet.container_of(running, name)
        image = _resolve(runtime, request, config, workload)
        if container["image"] == image:
            raise Refused(f"image: {image} is what runs already in {look.live}")
    else:
        wanted = _wanted(runtime, request.task_definition)
        image = fleet.container_of(wanted, name)["image"]
        if wanted["taskDefinitionArn"] == look.live_service.task_definition:
            raise Refused(f"task_definition: {request.task_definition} is what runs already")
    return Plan(
        deployment_id=event.deployment.deployment_id,
        request=request,
        config=config
        if request.validation is None
        else config.model_copy(update={"validation": request.validation}),
        config_version=stored.version,
        workload=workload,
        strategy=request.strategy or config.deployment.strategy,
        steps=plan_steps(config.deployment, request),
        live=look.live,
        candidate=look.candidate,
        live_task_definition=look.live_service.task_definition,
        image=image,
        container=name,
        full_capacity=max(look.live_service.desired, 1),
        alarm_definitions=look.definitions,
        started_at=now,
        deadline=now + config.deployment.max_duration,
    )


def _wanted(runtime: Runtime, name: str) -> dict[str, Any]:
    """The task definition that the request names; only an active one can be started."""
    missing = (
        f"task_definition: there is no {name!r}; register it first "
        "(`aws ecs list-task-definition-families` lists what there is)"
    )
    with _refused(missing, "ClientException", "InvalidParameterException"):
        wanted = fleet.read_task_definition(runtime.ecs, name)
    status = wanted.get("status", "ACTIVE")
    if status != "ACTIVE":
        raise Refused(
            f"task_definition: {name!r} is {status}; register it again, and name that revision"
        )
    return wanted


def _resolve(
    runtime: Runtime, request: DeploymentRequest, config: ServiceConfig, workload: Workload
) -> str:
    if request.image is not None:
        return images.resolve_image(runtime.ecr, request.image)
    assert request.version is not None, "the request's model names exactly one of the three"
    repository = config.repository or workload.repository
    return images.resolve_version(runtime.ecr, repository, request.version)


def _write_way_back(runtime: Runtime, plan: Plan, record: Record, look: Look) -> Record:
    """Recipe into the record, tags on the rule, and one rehearsal while weights are 100/0."""
    rule = traffic.read_rule(runtime.elbv2, look.rule.arn)
    if rule.weights != look.rule.weights:
        raise Refused(f"weights: the live weights changed while planning, now {rule.weights}")
    recipe = traffic.recipe_for(rule, plan.workload, plan.live, plan.full_capacity)
    record = runtime.store.update(record, {"recipe": recipe}, phases={Phase.PLANNING})
    runtime.elbv2.add_tags(
        ResourceArns=[rule.arn],
        Tags=[
            {"Key": "greenlane:deployment", "Value": plan.deployment_id},
            {"Key": "greenlane:good-target-group", "Value": recipe.good_target_group},
            {"Key": "greenlane:epoch", "Value": str(record.epoch)},
            {"Key": "greenlane:capacity", "Value": str(recipe.capacity)},
        ],
    )
    # The rehearsal writes the same body as the way back, but for the user's own stickiness.
    as_it_is = traffic.actions_with(rule, rule.weights, keep_stickiness=True)
    traffic.write_actions(runtime.elbv2_once, rule.arn, as_it_is)
    return record


def _free_own_lease(runtime: Runtime, event: PlanningEvent, error: GreenlaneError) -> None:
    """An earlier run may have taken the lease before the live system turned against it."""
    record = runtime.store.record(event.deployment.service)
    if record is None or record.deployment_id != event.deployment.deployment_id:
        return
    if record.phase is Phase.PLANNING:
        changes = {"phase": Phase.REFUSED, "reason": str(error)}
        runtime.store.update(record, changes, phases={Phase.PLANNING})


def _remember_refusal(runtime: Runtime, event: PlanningEvent, error: GreenlaneError) -> None:
    deployment_id = event.deployment.deployment_id
    detail: dict[str, Any] = {"error": type(error).__name__, "reason": str(error)}
    note(runtime, deployment_id, "refused", service=event.deployment.service, **detail)
    tell(
        runtime,
        f"Greenlane refused to deploy {event.deployment.service}",
        event.deployment.service,
        kind="refused",
        deployment=deployment_id,
        occasion="plan",
        **detail,
    )
