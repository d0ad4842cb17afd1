"""Promotion and what comes after it: watch, drain, tell, let go of the old slot, clean up."""

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.deployments.model import Deployment, Plan, Record
from greenlane.deployments.phases import Phase
from greenlane.deployments.reaching import fleet, scaling, traffic
from greenlane.deployments.stepping.drain import still_served, weight_of
from greenlane.deployments.stepping.fence import fenced
from greenlane.deployments.stepping.scale_in import announce_scale_in
from greenlane.deployments.storing.journal import note, note_best_effort, summarise, tell
from greenlane.errors import FenceLost, NotDrained, WeightsDrifted
from greenlane.logs import logger
from greenlane.runtime import Runtime

RECIPE_TAGS = (
    "greenlane:deployment",
    "greenlane:good-target-group",
    "greenlane:epoch",
    "greenlane:capacity",
)
"""What planning writes on the rule, for a rollback that cannot read the table."""

AFTER_PROMOTION = frozenset({Phase.PROMOTED, Phase.WATCHING, Phase.RETIRED})


def promote(deployment: Deployment, runtime: Runtime) -> Deployment:
    """The candidate is the live slot from here on; the old one stays warm at full size.

    Raises:
        WeightsDrifted: not all of the traffic is on the candidate.
        FenceLost: this deployment no longer owns the service.
    """
    record = fenced(runtime, deployment, {Phase.SHIFTING, Phase.PROMOTED})
    plan = runtime.store.plan(deployment.deployment_id)
    percent = traffic.read_rule(runtime.elbv2, plan.workload.listener_rule_arn).percent(
        plan.workload
    )
    if percent is None or percent[plan.candidate] != 100:
        raise WeightsDrifted(f"the candidate {plan.candidate} should have all traffic: {percent}")
    if record.phase is Phase.SHIFTING:
        now = runtime.clock.now()
        changes = {
            "phase": Phase.PROMOTED,
            "step": deployment.step,
            "promoted_at": now,
            "watch_until": now + plan.config.deployment.extended_watch,
            "bake_step": None,
            "bake_until": None,
            "hold_until": None,
            "updated_at": now,
        }
        record = runtime.store.update(record, changes, phases={Phase.SHIFTING})
    note(runtime, plan.deployment_id, "promoted", slot=plan.candidate, image=plan.image)
    summarise(runtime, plan, record)
    tell(
        runtime,
        f"Greenlane promoted {plan.service}",
        plan,
        kind="promoted",
        occasion=record.epoch,
        closes=record.held_before,
        image=plan.image,
        watch=str(plan.config.deployment.watch),
    )
    watch = plan.steps[deployment.step]
    return deployment.model_copy(
        update={"next": "bake", "bake_seconds": max(watch.bake_seconds, 1)}
    )


def drain_slot(deployment: Deployment, runtime: Runtime) -> Deployment:
    """Wait until the old slot serves nothing.

    Raises:
        NotDrained: it still does, or nobody can tell yet; the workflow asks again.
    """
    record = fenced(runtime, deployment, AFTER_PROMOTION)
    plan = runtime.store.plan(deployment.deployment_id)
    shifted = record.shifted_at or record.promoted_at or record.started_at
    reason = still_served(runtime, plan, slot=plan.live, since=shifted)
    if reason is not None:
        raise NotDrained(reason)
    return deployment


def finish_deployment(deployment: Deployment, runtime: Runtime) -> Deployment:
    """Free the lease, tell, let go of the old slot, give auto scaling back, clean up.

    The phase moves first, by its condition, and ECS is asked for fewer tasks under a fence that
    says so: an alarm in that second finds either a warm slot or one that it must scale up again,
    and knows which. From the first on the deployment has succeeded, and the next one may begin,
    which takes the old slot over.

    Raises:
        FenceLost: a rollback began; the old slot is its to use.
    """
    record = fenced(runtime, deployment, AFTER_PROMOTION)
    plan = runtime.store.plan(deployment.deployment_id)
    floor = plan.config.deployment.warm_floor
    if record.phase is Phase.PROMOTED:
        record = _free_lease(runtime, plan, record)
    try:
        if not record.success_told:
            record = _tell_success(runtime, plan, record)
        let_go(runtime, plan, record, floor=floor if record.phase is Phase.WATCHING else 0)
    except FenceLost:
        following = _taken_over_by(runtime, record)
        if following is None:
            raise
        note_best_effort(
            runtime, plan.deployment_id, "next deployment took over", deployment=following
        )
    return deployment


def _free_lease(runtime: Runtime, plan: Plan, record: Record) -> Record:
    """Move the phase; a repeated write finds its own work done, for an answer may get lost."""
    deployment = plan.config.deployment
    watched = deployment.extended_watch > deployment.watch
    phase = Phase.WATCHING if deployment.warm_floor and watched else Phase.RETIRED
    changes = {"phase": phase, "bake_token": None, "updated_at": runtime.clock.now()}
    try:
        return runtime.store.update(record, changes, phases={Phase.PROMOTED})
    except FenceLost:
        fresh = runtime.store.record(record.service)
        if fresh is None or fresh.epoch != record.epoch or fresh.phase is not phase:
            raise
        return fresh


def _tell_success(runtime: Runtime, plan: Plan, record: Record) -> Record:
    """Say that it succeeded, and remember that: an end that is repeated says it once."""
    summarise(runtime, plan, record)
    note(runtime, plan.deployment_id, "succeeded", image=plan.image, phase=record.phase)
    tell(
        runtime,
        f"Greenlane deployed {plan.service}",
        plan,
        kind="succeeded",
        # One for each deployment: its end may come under an epoch of the reconciler's.
        occasion="end",
        settled=True,
        # Again, for the news of the promotion may have been lost.
        closes=record.held_before,
        image=plan.image,
    )
    return runtime.store.update(record, {"success_told": True}, phases={record.phase})


def _taken_over_by(runtime: Runtime, record: Record) -> str | None:
    """The deployment that began next; None if the record moved on in any other way."""
    fresh = runtime.store.record(record.service)
    # Its lease is the very next epoch; a rollback in between would have had that one.
    if fresh is None or fresh.deployment_id == record.deployment_id:
        return None
    return fresh.deployment_id if fresh.epoch == record.epoch + 1 else None


def let_go(runtime: Runtime, plan: Plan, record: Record, *, floor: int) -> None:
    """Scale the old slot down to `floor` tasks, give auto scaling back, tidy up.

    Raises:
        NotDrained: somebody gave the old slot traffic again.
        FenceLost: a rollback or another deployment began.
    """
    cluster, old = plan.workload.cluster, plan.workload.slots[plan.live].service
    weight = weight_of(runtime, plan, plan.live)
    if weight is not None:
        raise NotDrained(weight)
    service = fleet.read_service(runtime.ecs, cluster, old)
    if service.desired > floor:
        note(runtime, plan.deployment_id, "old slot scaled down", slot=plan.live, tasks=floor)
    runtime.store.update(record, {"updated_at": runtime.clock.now()}, phases={record.phase})
    # The limits come first: auto scaling would raise a slot below its minimum again.
    scaling.give_back(
        runtime.autoscaling, plan.workload, record.scaling, idle=old, idle_floor=floor
    )
    if service.desired > floor:
        # Those calls may have taken long: a rollback that began meanwhile needs the slot.
        announce_scale_in(runtime, record, slot=plan.live, tasks=floor)
        fleet.set_service(runtime.ecs, cluster, old, desired=floor)
    runtime.store.update(record, {"scaling_rests": False}, phases={record.phase})
    tidy(runtime, plan, active=plan.workload.slots[plan.candidate].service, standby=old)


def tidy(runtime: Runtime, plan: Plan, *, active: str, standby: str) -> None:
    """Tags and old revisions, as well as possible: neither decides anything."""
    try:
        # The way back is the record's alone from here on: the tags know nothing of the old slot's
        # size, and the next deployment writes its own.
        runtime.elbv2.remove_tags(
            ResourceArns=[plan.workload.listener_rule_arn], TagKeys=list(RECIPE_TAGS)
        )
        for name, role in ((active, "active"), (standby, "standby")):
            service = fleet.read_service(runtime.ecs, plan.workload.cluster, name)
            runtime.ecs.tag_resource(
                resourceArn=service.arn, tags=[{"key": "Deployment", "value": role}]
            )
        gone = fleet.deregister_old(
            runtime.ecs, plan.workload, keep=plan.config.deployment.keep_revisions
        )
    except (ClientError, BotoCoreError) as error:
        logger.error("not tidied up", service=plan.service, error=str(error))
        return
    if gone:
        note_best_effort(runtime, plan.deployment_id, "old revisions removed", revisions=gone)
