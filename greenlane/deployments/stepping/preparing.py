"""Bringing the idle slot up: scale-in rests, revision, capacity, stability."""

from greenlane.deployments.model import Deployment, Plan, Probe, Record
from greenlane.deployments.phases import Phase
from greenlane.deployments.reaching import fleet, scaling, traffic
from greenlane.deployments.stepping.fence import fenced, still_wanted
from greenlane.deployments.stepping.scale_in import LANDS_WITHIN, under_way
from greenlane.deployments.storing.journal import note
from greenlane.errors import FenceLost, NotStable, UnstableCandidate
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
    record = _rest_scale_in(runtime, deployment, plan, record)
    record = _register(runtime, plan, record)
    assert record.task_definition is not None, "registered just now"

    live = fleet.read_service(
        runtime.ecs, plan.workload.cluster, plan.workload.slots[plan.live].service
    )
    capacity = max(live.desired, _least(plan))
    note(
        runtime,
        deployment.deployment_id,
        "slot starting",
        slot=plan.candidate,
        task_definition=record.task_definition,
        tasks=capacity,
    )
    anew = _begun_before(runtime, plan, record)
    fenced(runtime, deployment, PREPARING)
    started = fleet.set_service(
        runtime.ecs,
        plan.workload.cluster,
        plan.workload.slots[plan.candidate].service,
        desired=capacity,
        task_definition=record.task_definition,
        force=anew,
    )
    # What the deployment before asked for may take tasks once more; that is not ours to answer for.
    asked = under_way(record, plan.candidate, runtime.clock.now())
    begins = runtime.clock.now() if asked is None else asked.at + LANDS_WITHIN
    changes = {
        "primary_deployment": started.primary_id,
        "stable_by": record.stable_by or begins + plan.config.deployment.stability_timeout,
    }
    runtime.store.update(record, changes, phases=PREPARING)
    return deployment


def _least(plan: Plan) -> int:
    """How many tasks the candidate has at least before it gets traffic."""
    declared = plan.workload.capacity
    return max(plan.full_capacity, declared.min_tasks if declared is not None else 0)


def _begun_before(runtime: Runtime, plan: Plan, record: Record) -> bool:
    """Whether an earlier deployment brought this very revision to the slot, and not to its end.

    ECS has counted its failures, or given up: told the same again, it would not begin anew. A
    revision that we registered ourselves was begun by nobody else.
    """
    if record.primary_deployment is not None or plan.request.task_definition is None:
        return False
    resources = plan.workload.slots[plan.candidate]
    idle = fleet.read_service(runtime.ecs, plan.workload.cluster, resources.service)
    same = idle.primary_task_definition == record.task_definition
    return same and idle.primary_state != "COMPLETED"


def _rest_scale_in(runtime: Runtime, deployment: Deployment, plan: Plan, record: Record) -> Record:
    """Record what the scalable targets look like, once, and only then suspend them."""
    changes: dict[str, object] = {"phase": Phase.PREPARING, "updated_at": runtime.clock.now()}
    if record.scaling_rests:
        record = runtime.store.update(record, changes, phases=PREPARING)
    else:
        changes["scaling"] = scaling.read_scaling(runtime.autoscaling, plan.workload)
        changes["scaling_rests"] = True
        record = _record_once(runtime, deployment, record, changes)
    scaling.suspend_scale_in(runtime.autoscaling, record.scaling)
    return record


def _record_once(
    runtime: Runtime, deployment: Deployment, record: Record, changes: dict[str, object]
) -> Record:
    """Keep what another run of this function has recorded: it may have suspended them since."""
    try:
        return runtime.store.update(
            record, changes, phases=PREPARING, where={"scaling_rests": False}
        )
    except FenceLost:
        fresh = fenced(runtime, deployment, PREPARING)
        if not fresh.scaling_rests:
            raise
        return fresh


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
    resources = plan.workload.slots[plan.candidate]
    service = fleet.read_service(runtime.ecs, plan.workload.cluster, resources.service)
    missing, health = _missing(runtime, plan, record, service)
    if missing is not None:
        if record.stable_by is not None and runtime.clock.now() >= record.stable_by:
            raise UnstableCandidate(f"not stable within the deadline: {missing}")
        if service.primary_task_definition == record.task_definition:
            _raise_again(runtime, deployment, plan, service)
        raise NotStable(missing)
    asked = under_way(record, plan.candidate, runtime.clock.now())
    if asked is not None:
        until = (asked.at + LANDS_WITHIN).isoformat(timespec="seconds")
        raise NotStable(
            f"the deployment before asked for {asked.tasks} tasks, which may land until {until}"
        )
    note(runtime, deployment.deployment_id, "slot stable", tasks=len(health.healthy))
    settle = plan.config.deployment.alarm_settle
    runtime.store.update(record, {"settled_by": runtime.clock.now() + settle}, phases=PREPARING)
    probe = Probe(
        targets=tuple(f"http://{address}" for address in health.healthy),
        tests=plan.config.validation,
        warm_up=plan.config.warm_up,
    )
    return deployment.model_copy(update={"probe": probe})


def _raise_again(
    runtime: Runtime, deployment: Deployment, plan: Plan, service: fleet.ServiceState
) -> None:
    """Undo what the end of the deployment before wrote late: fewer tasks, scaling given back.

    Raises:
        FenceLost: this deployment no longer owns the service; nothing was raised.
    """
    tasks = _least(plan)
    if service.desired >= tasks:
        return
    note(runtime, plan.deployment_id, "slot raised", slot=plan.candidate, tasks=tasks)
    record = fenced(runtime, deployment, PREPARING)
    scaling.suspend_scale_in(runtime.autoscaling, record.scaling)
    fleet.set_service(runtime.ecs, plan.workload.cluster, service.name, desired=tasks)


def _missing(
    runtime: Runtime, plan: Plan, record: Record, service: fleet.ServiceState
) -> tuple[str | None, traffic.SlotHealth]:
    """What keeps the slot from being stable, in words; None when it is."""
    resources = plan.workload.slots[plan.candidate]
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
    if service.desired < _least(plan):
        return f"{service.desired} tasks are wanted, {_least(plan)} carry the traffic", health
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
