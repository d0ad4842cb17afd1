"""The one forward write to traffic.

Shift runs with a Lambda timeout of 15 s and an ELB client of one attempt and 5 s. It reads the
fence before the write and again after it. A write that slips past its check all the same (a
stalled call, a kill before the second read) is found and reverted by the rollback.
"""

from greenlane.deployments.model import Deployment, Plan, PlannedStep, Record, Shift
from greenlane.deployments.phases import Phase
from greenlane.deployments.reaching import traffic
from greenlane.deployments.reaching.stickiness import owed
from greenlane.deployments.stepping.baking import bake_until
from greenlane.deployments.stepping.capacity import check_capacity
from greenlane.deployments.stepping.fence import fenced, still_wanted
from greenlane.deployments.storing.journal import note
from greenlane.errors import NotStable, ValidationFailed, WeightsDrifted
from greenlane.health.alarms import read_alarms
from greenlane.runtime import Runtime

SHIFTABLE = frozenset({Phase.PREPARING, Phase.SHIFTING})


def shift_traffic(deployment: Deployment, runtime: Runtime) -> Deployment:
    """Give the candidate the weight of its step.

    Raises:
        FenceLost: a rollback began; nothing more may be written.
        WeightsDrifted: the live weights are neither the recorded nor the intended ones.
        CapacityShort: a slot's healthy targets would not carry its new share.
        NotStable: an alarm of the idle candidate is still red; wait for it to settle.
    """
    record = fenced(runtime, deployment, SHIFTABLE)
    still_wanted(runtime, record)
    plan = runtime.store.plan(deployment.deployment_id)
    step = plan.steps[deployment.step]
    rule = traffic.read_rule(runtime.elbv2, plan.workload.listener_rule_arn)
    before = _expected(rule, plan, record)
    if record.phase is Phase.PREPARING:
        _wait_for_quiet_alarms(runtime, plan, record)
    if before != step.weight:
        capacity = check_capacity(runtime, plan, record, step.weight)
        if deployment.note:
            note(runtime, plan.deployment_id, "validated", result=deployment.note)
        note(
            runtime,
            plan.deployment_id,
            "shift intended",
            step=deployment.step,
            before=before,
            weight=step.weight,
        )
        record = runtime.store.update(
            record,
            {
                "phase": Phase.SHIFTING,
                "step": deployment.step,
                "intended_weight": step.weight,
                "full_capacity": max(record.full_capacity, capacity),
                "updated_at": runtime.clock.now(),
                **(owed(rule.stickiness, runtime.clock.now()) if step.weight == 100 else {}),
            },
            phases=SHIFTABLE,
        )
        actions = traffic.actions_with(
            rule, traffic.split(plan, step.weight), keep_stickiness=step.weight < 100
        )
        traffic.write_actions(runtime.elbv2_once, rule.arn, actions)
        fenced(runtime, deployment, {Phase.SHIFTING})
    record = _settle(runtime, deployment, record, step.weight)
    note(
        runtime,
        plan.deployment_id,
        "shifted",
        step=deployment.step,
        weight=step.weight,
        part=step.kind,
    )
    return deployment.model_copy(
        update={"next": "bake", "bake_seconds": _bake_seconds(plan, record, step), "note": None}
    )


def _settle(runtime: Runtime, deployment: Deployment, record: Record, weight: int) -> Record:
    """The weight is written: record it, and begin the step's clock."""
    now, shifts = runtime.clock.now(), record.shifts
    if not shifts or shifts[-1].weight != weight:  # repeated, it took effect the first time
        shifts = (*shifts, Shift(at=now, weight=weight))
    changes = {
        "phase": Phase.SHIFTING,
        "step": deployment.step,
        "weight": weight,
        "intended_weight": None,
        "shifted_at": now,
        "shifts": shifts,
        "bake_step": None,
        "bake_until": None,
        "hold_until": None,
        "paused": False,
    }
    return runtime.store.update(record, changes, phases=SHIFTABLE)


def _bake_seconds(plan: Plan, record: Record, step: PlannedStep) -> int:
    """How long the callback may wait; Step Functions wants at least one second."""
    begun = record.shifted_at or record.updated_at
    return max(int((bake_until(plan, step, begun) - begun).total_seconds()), 1)


def _expected(rule: traffic.LiveRule, plan: Plan, record: Record) -> int:
    """The candidate's live percentage, if it is one that we wrote or were about to write."""
    percent = rule.percent(plan.workload)
    allowed = {record.weight, record.intended_weight}
    if percent is None or percent[plan.candidate] not in allowed:
        raise WeightsDrifted(
            f"somebody changed the live weights: {rule.weights}; expected the candidate "
            f"{plan.candidate} at {record.weight} percent"
        )
    return percent[plan.candidate]


def _wait_for_quiet_alarms(runtime: Runtime, plan: Plan, record: Record) -> None:
    """Validation's own requests count on the candidate's metrics: wait for OK, but not for ever."""
    alarms = read_alarms(runtime.cloudwatch, plan.candidate_alarms)
    red = [alarm.name for alarm in alarms if alarm.red]
    if not red:
        return
    names = ", ".join(red)
    if record.settled_by is not None and runtime.clock.now() >= record.settled_by:
        raise ValidationFailed(f"alarms of the idle slot stay red: {names}")
    raise NotStable(f"waiting for alarms of the idle slot: {names}")
