"""Whether a slot still serves: by weight, by propagation time, by its own requests."""

from datetime import datetime, timedelta

from greenlane.deployments.model import Plan, Slot, other
from greenlane.deployments.reaching import traffic
from greenlane.health.metrics import METRIC_LAG, read_traffic, whole_minutes
from greenlane.runtime import Runtime

_LOOK_BACK = timedelta(minutes=3)


def weight_of(runtime: Runtime, plan: Plan, slot: Slot) -> str | None:
    """What the listener rule says against stopping a slot's tasks; None when its weight is 0."""
    rule = traffic.read_rule(runtime.elbv2, plan.workload.listener_rule_arn)
    percent = rule.percent(plan.workload)
    return f"{slot} has weight: {rule.weights}" if percent is None or percent[slot] else None


def still_served(runtime: Runtime, plan: Plan, *, slot: Slot, since: datetime) -> str | None:
    """What speaks against stopping a slot's tasks, in words; None when nothing does.

    A minute without the slot's metrics counts as zero requests only when the other slot reported
    that minute, since idle metrics are absent; otherwise the drain deadline decides.

    Args:
        runtime: the clients and the clock.
        plan: what was planned.
        slot: the one to stop.
        since: when its weight became 0.
    """
    config, now = plan.config.deployment, runtime.clock.now()
    weight = weight_of(runtime, plan, slot)
    if weight is not None:
        return weight
    settled = since + config.propagation
    if now < settled:
        return f"the balancer may serve by old weights until {settled.isoformat()}"
    if now >= since + config.drain_deadline:
        return None
    start, end = whole_minutes(max(settled, now - _LOOK_BACK), now - METRIC_LAG)
    if end <= start:
        return "no whole minute since the weight took effect"
    slots = read_traffic(runtime.cloudwatch, plan.workload, start=start, end=end)
    if not any(minute.requests for minute in slots[other(slot)]):
        return (
            f"no metrics of {other(slot)} in that minute, so the absence of {slot}'s says nothing"
        )
    served = sum(minute.requests for minute in slots[slot])
    return f"{slot} served {served} requests in the last minutes" if served else None
