"""The user's own rule stickiness: off while a cookie could pin clients to an emptied slot.

With rule stickiness on, weight 0 does not move a stuck client, and an emptied target group answers
it with 503 until its cookie ends. So the write that gives one slot all of the traffic switches
stickiness off; while weights are 100 and 0 it decides nothing anyway. A balancer without
stickiness neither sets nor renews the cookie, so once the cookies' own duration has passed, none is
left that could pin anybody, and the user's setting comes back.
"""

from datetime import datetime, timedelta
from typing import Any

from greenlane.deployments.model import Record
from greenlane.deployments.phases import FREE
from greenlane.deployments.reaching import traffic
from greenlane.deployments.storing.journal import note_best_effort
from greenlane.runtime import Runtime

_DEFAULT_SECONDS = 3600


def owed(config: dict[str, Any] | None, since: datetime) -> dict[str, Any]:
    """The record's changes that remember a stickiness switched off at `since`; {} without one."""
    if config is None:
        return {}
    seconds = int(config.get("DurationSeconds", _DEFAULT_SECONDS))
    return {"stickiness": config, "stickiness_due": since + timedelta(seconds=seconds)}


def give_back_when_due(runtime: Runtime, record: Record) -> bool:
    """Restore the user's stickiness once no old cookie is left; whether it was restored.

    Only while no deployment is in flight and one slot has all of the traffic: otherwise the next
    look decides.

    Raises:
        FenceLost: a deployment began in this moment.
    """
    config, due = record.stickiness, record.stickiness_due
    if config is None or due is None or record.phase not in FREE:
        return False
    if runtime.clock.now() < due:
        return False
    plan = runtime.store.plan(record.deployment_id)
    rule = traffic.read_rule(runtime.elbv2, plan.workload.listener_rule_arn)
    if sorted(rule.weights.values()) != [0, 100]:
        return False
    fence = {"updated_at": runtime.clock.now()}
    record = runtime.store.update(record, fence, phases={record.phase})
    traffic.write_actions(runtime.elbv2_once, rule.arn, traffic.with_stickiness(rule, config))
    nothing = {"stickiness": None, "stickiness_due": None}
    runtime.store.update(record, nothing, phases={record.phase})
    note_best_effort(runtime, record.deployment_id, "stickiness restored", config=config)
    return True
