"""Bringing the idle slot up: scale-in rests, revision, capacity, stability."""

from greenlane.deployments import fleet, scaling, traffic
from greenlane.deployments.fence import fenced, still_wanted
from greenlane.deployments.journal import note
from greenlane.deployments.model import Deployment, Plan, Probe, Record
from greenlane.deployments.phases import Phase
from greenlane.errors import NotStable, UnstableCandidate
from greenlane.runtime import Runtime

PREPARING = frozenset({Phase.PLANNING, Phase.PREPARING})


def prepare_slot(deployment: Deployment, runtime: Runtime) -> Deployment:
    """Suspend scale-in, register the revision once, bring the slot to the live slot's capacity.

    Raises:
        FenceLost: this deployment no longer owns the service.
    """
    record = fenced(runtime, deployment, PREPARING)
    still_wanted(runtime, record)
    plan = runtime.store.plan(deployment.deployment_id)
    record = _rest_scale_in(runtime, plan, record)
    record = _register(runtime, plan, record)
    assert record.task_definition is not None, "registered just now"

    live = fleet.read_service(
        runtime.ecs, plan.workload.cluster, plan.workload.slots[plan.live].service
    )
    capacity = max(live.desired, plan.full_capacity)
    if plan.workload.capacity is not None:
        capacity = max(capacity, plan.workload.capacity.min_tasks)
    note(
        runtime,
        deployment.deployment_id,
        "slot starting",
        slot=plan.candidate,
        task_definition=record.task_definition,
        tasks=capacity,
    )
    fenced(runtime, deployment, PREPARING)
    started = fleet.set_service(
        runtime.ecs,
        plan.workload.cluster,
        plan.workload.slots[plan.candidate].service,
        desired=capacity,
        task_definition=record.task_definition,
    )
    changes = {
        "primary_deployment": started.primary_id,
        "stable_by": record.stable_by
        or runtime.clock.now() + plan.config.deployment.stability_timeout,
    }
    runtime.store.update(record, changes, phases=PREPARING)
    return deployment


def _rest_scale_in(runtime: Runtime, plan: Plan, record: Record) -> Record:
    """Record what the scalable targets look like, once, and only then suspend them."""
    changes: dict[str, object] = {"phase": Phase.PREPARING, "updated_at": runtime.clock.now()}
    if not record.scaling_rests:
        changes["scaling"] = scaling.read_scaling(runtime.autoscaling, plan.workload)
        changes["scaling_rests"] = True
    record = runtime.store.update(record, changes, phases=PREPARING)
    scaling.suspend_scale_in(runtime.autoscaling, record.scaling)
    return record


def _register(runtime: Runtime, plan: Plan, record: Record) -> Record:
    if record.task_definition is not None:
        return record
    if plan.request.task_definition is not None:
        wanted = fleet.read_task_definition(runtime.ecs, plan.request.task_definition)
        arn = str(wanted["taskDefinitionArn"])
    else:
        assert plan.image is not None, "planning resolved the image"
        running = fleet.read_task_definition(runtime.ecs, plan.live_task_definition)
        body = fleet.next_revision(
            running, container=plan.container, image=plan.image, shape=plan.workload.shape
        )
        arn = fleet.register_once(runtime.ecs, body, plan.deployment_id)
    return runtime.store.update(record, {"task_definition": arn}, phases=PREPARING)


def check_stability(deployment: Deployment, runtime: Runtime) -> Deployment:
    """Whether the candidate is up: our revision, all tasks running, every target healthy.

    Raises:
        NotStable: not yet; the workflow asks again.
        UnstableCandidate: ECS gave up on it, or the deadline passed.
    """
    record = fenced(runtime, deployment, PREPARING)
    still_wanted(runtime, record)
    plan = runtime.store.plan(deployment.deployment_id)
    missing, health = _missing(runtime, plan, record)
    if missing is not None:
        if record.stable_by is not None and runtime.clock.now() >= record.stable_by:
            raise UnstableCandidate(f"not stable within the deadline: {missing}")
        raise NotStable(missing)
    note(runtime, deployment.deployment_id, "slot stable", tasks=len(health.healthy))
    settle = plan.config.deployment.alarm_settle
    runtime.store.update(record, {"settled_by": runtime.clock.now() + settle}, phases=PREPARING)
    probe = Probe(
        targets=tuple(f"http://{address}" for address in health.healthy),
        tests=plan.config.validation,
        warm_up=plan.config.warm_up,
    )
    return deployment.model_copy(update={"probe": probe})


def _missing(runtime: Runtime, plan: Plan, record: Record) -> tuple[str | None, traffic.SlotHealth]:
    """What keeps the slot from being stable, in words; None when it is."""
    resources = plan.workload.slots[plan.candidate]
    service = fleet.read_service(runtime.ecs, plan.workload.cluster, resources.service)
    health = traffic.SlotHealth()
    if service.primary_task_definition != record.task_definition:
        return "the service's primary deployment is not ours yet", health
    if record.primary_deployment and service.primary_id != record.primary_deployment:
        raise UnstableCandidate(
            f"somebody else deployed to {resources.service}: its primary deployment is "
            f"{service.primary_id}, ours was {record.primary_deployment}"
        )
    if service.primary_state == "FAILED":
        raise UnstableCandidate(f"ECS gave up starting tasks of {record.task_definition}")
    if service.desired < plan.full_capacity:
        return f"{service.desired} tasks are wanted, {plan.full_capacity} carry the traffic", health
    if service.running != service.desired or service.pending:
        return f"{service.running} of {service.desired} tasks run", health
    health = traffic.slot_health(runtime.elbv2, resources.target_group_arn)
    if health.others or len(health.healthy) < service.desired:
        return f"{len(health.healthy)} of {service.desired} targets are healthy", health
    revisions = fleet.revisions_by_address(runtime.ecs, plan.workload.cluster, resources.service)
    for target in health.healthy:
        found = revisions.get(target.rsplit(":", 1)[0])
        if found != record.task_definition:
            return f"the target {target} runs {found or 'an unknown task'}", health
    return None, health
