"""Everything that the live system says about the candidate, as one verdict."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.deployments.declaring.applied_alarms import parts_among
from greenlane.deployments.model import CheckResult, Plan, Record, Verdict
from greenlane.deployments.plan import carries, share_of
from greenlane.deployments.reaching import traffic
from greenlane.errors import WeightsDrifted
from greenlane.health.alarms import changed_alarms, read_alarms
from greenlane.health.candidate import judge_candidate
from greenlane.health.findings import joined
from greenlane.health.judge import judge_alarms, worst
from greenlane.health.shadow import shadowed
from greenlane.runtime import Runtime


def examine(runtime: Runtime, plan: Plan, record: Record) -> Verdict:
    """The verdict on the candidate since its weight took effect.

    Weights, capacity, alarms, and the numbers of the whole minutes since the first weight reached
    every node of the balancer. A read that fails is a hold: unknown is not OK.

    Of a version that was good before (`undo`), before promotion, only its health is asked: its
    numbers would take minutes that the version that serves now may not be good for. In shadow mode
    the numbers are told and decide nothing.

    Args:
        runtime: the clients and the clock.
        plan: what was planned.
        record: where the deployment stands.

    Raises:
        WeightsDrifted: somebody else changed the live weights.
    """
    checks: list[CheckResult] = []
    with _unknown_is_hold(checks, "weights and targets"):
        checks += _slots(runtime, plan, record)
    with _unknown_is_hold(checks, "alarms"):
        checks += _alarms(runtime, plan)
    if plan.request.undo and plan.steps[record.step].kind != "watch":
        return worst(checks)
    # What was read in part, or not at all, holds there as well.
    judged = judge_candidate(runtime, plan, record)
    return joined(shadowed(judged) if plan.config.deployment.shadow else judged, checks)


@contextmanager
def _unknown_is_hold(checks: list[CheckResult], name: str) -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        checks.append(CheckResult(name=name, verdict="hold", reason=f"not read: {error}"))


def _slots(runtime: Runtime, plan: Plan, record: Record) -> list[CheckResult]:
    """The weights are ours, and the candidate's healthy targets carry its share."""
    rule = traffic.read_rule(runtime.elbv2, plan.workload.listener_rule_arn)
    percent = rule.percent(plan.workload)
    if percent is None or percent[plan.candidate] != record.weight:
        raise WeightsDrifted(
            f"somebody changed the live weights: {rule.weights}; expected the candidate "
            f"{plan.candidate} at {record.weight} percent"
        )
    health = traffic.slot_health(runtime.elbv2, plan.target_group(plan.candidate))
    healthy = len(health.healthy)
    needed = share_of(plan.full_capacity, record.weight)
    if carries(healthy, capacity=plan.full_capacity, weight=record.weight):
        return [CheckResult(name="healthy_targets", verdict="pass", value=healthy, limit=needed)]
    return [
        CheckResult(
            name="healthy_targets",
            verdict="hold" if healthy else "fail",
            value=healthy,
            limit=needed,
            reason=f"{healthy} healthy targets, {record.weight} percent needs {needed}",
        )
    ]


def _alarms(runtime: Runtime, plan: Plan) -> list[CheckResult]:
    """The candidate's alarms fail, the live slot's hold: its trouble is not the candidate's.

    An alarm that was changed meanwhile, or of which a part was, holds too: whoever planned counted
    on what it was.
    """
    ours, theirs = plan.candidate_alarms, plan.workload.slots[plan.live].alarms
    parts = parts_among(plan.alarm_definitions, plan.service)
    alarms = read_alarms(runtime.cloudwatch, (*ours, *theirs, *parts))
    below = alarms[len(ours) + len(theirs) :]
    checks = judge_alarms(alarms[: len(ours)], red_means="fail")
    checks += judge_alarms([part for part in below if part.missing], red_means="hold")
    checks += [
        CheckResult(name=name, verdict="hold", reason="its definition changed since planning")
        for name in changed_alarms(alarms, plan.alarm_definitions)
    ]
    if plan.request.despite_alarms is None:
        # Otherwise the live slot is ill, and this deployment was sent as the cure.
        checks += judge_alarms(alarms[len(ours) : len(ours) + len(theirs)], red_means="hold")
    if checks:
        return checks
    return [CheckResult(name="alarms", verdict="pass")]
