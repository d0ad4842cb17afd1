"""What a scene did, read from outside: at the balancer, at the clients, at the AWS endpoint."""

import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from greenlane.deployments.model import HistoryEvent, Plan, Record
from greenlane.local.context import ApiCall
from greenlane.local.demo.scenes import Scene
from greenlane.local.loadgen import Snapshot
from greenlane.local.stage import Stage

TAKE_BACK = "greenlane-take-traffic-back"
MOST_CALLS_BEFORE_MODIFY_RULE = 2
MOST_SECONDS_TO_MODIFY_RULE = 2.0


@dataclass(frozen=True)
class Share:
    """The candidate's share of the requests while one weight was in force."""

    weight: int
    requests: int
    candidate_requests: int

    @property
    def observed(self) -> float:
        """Percent."""
        return 100 * self.candidate_requests / self.requests if self.requests else 0.0

    @property
    def within_3_standard_errors(self) -> bool:
        """Whether the share is what the weight says, as far as so many requests can tell."""
        ratio = self.weight / 100
        error = 100 * math.sqrt(ratio * (1 - ratio) / self.requests) if self.requests else 100.0
        return abs(self.observed - self.weight) <= 3 * error


@dataclass
class Result:
    """Everything measured about one scene. Seconds are real unless `virtual` says otherwise."""

    scene: Scene
    deployment_id: str
    outcome: str
    reason: str
    seconds: float
    virtual_seconds: float
    shares: list[Share]
    requests: dict[str, dict[str, int]]
    failures: dict[str, int]
    aws_calls: int
    transitions: int
    rollback_transitions: int
    trigger: str | None = None
    calls_before_modify_rule: list[str] = field(default_factory=list)
    alarm_to_modify_rule_seconds: float | None = None
    alarm_to_no_traffic_seconds: float | None = None
    broken: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For `summary.json`."""
        return {
            "scene": self.scene.name,
            "title": self.scene.title,
            "deployment_id": self.deployment_id,
            "strategy": self.scene.strategy,
            "version": self.scene.version,
            "behaviour": self.scene.behaviour,
            "outcome": self.outcome,
            "reason": self.reason,
            "steps": [
                {
                    "weight": share.weight,
                    "observed_percent": round(share.observed, 3),
                    "requests": share.requests,
                    "within_3_standard_errors": share.within_3_standard_errors,
                }
                for share in self.shares
            ],
            "client_requests_by_version": self.requests,
            "client_failures": self.failures,
            "seconds": round(self.seconds, 2),
            "virtual_seconds": round(self.virtual_seconds, 1),
            "aws_calls": self.aws_calls,
            "state_transitions": self.transitions,
            "rollback_state_transitions": self.rollback_transitions,
            "trigger": self.trigger,
            "aws_calls_before_modify_rule": self.calls_before_modify_rule,
            "seconds_from_alarm_to_modify_rule": _rounded(self.alarm_to_modify_rule_seconds),
            "seconds_from_alarm_to_no_traffic": _rounded(self.alarm_to_no_traffic_seconds),
            "promises_broken": self.broken,
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def measure(
    stage: Stage,
    scene: Scene,
    *,
    deployment_id: str,
    began: float,
    ended: float,
    traffic: Snapshot,
    tables_before: int,
) -> Result:
    """Read everything about a scene that ran from `began` to `ended` (real Unix times)."""
    record = stage.greenlane.store.record(stage.workload.service)
    if record is None:
        raise LookupError(f"{stage.workload.service} has no record")
    plan = stage.greenlane.store.plan(deployment_id)
    history = stage.greenlane.store.history(deployment_id)
    outcome = stage.greenlane.outcome(stage.workload.service, deployment_id)
    clock = stage.cloud.clock
    calls = [call for call in stage.cloud.context.calls if began <= call.at <= ended]
    result = Result(
        scene=scene,
        deployment_id=deployment_id,
        outcome=outcome.name if outcome else "unfinished",
        reason=outcome.reason if outcome else "",
        seconds=ended - began,
        virtual_seconds=(ended - began) * clock.scale,
        shares=_shares(stage, plan, tables_before),
        requests=traffic.by_version(scene.name),
        failures=_failures(traffic, scene.name),
        aws_calls=sum(call.caller.startswith("greenlane-") for call in calls),
        transitions=_transitions(stage, record.execution),
        rollback_transitions=_transitions(stage, record.rollback_execution),
    )
    if record.trigger is not None:
        result.trigger = f"{record.trigger.kind} {record.trigger.name}".strip()
        _measure_way_back(stage, plan, record, calls, result)
    result.broken = broken_promises(result, history)
    return result


def _transitions(stage: Stage, execution: str | None) -> int:
    return stage.cloud.transitions(execution) if execution else 0


def _failures(traffic: Snapshot, phase: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for count in traffic.counts:
        if count.phase == phase and not count.ok:
            key = f"{count.version or 'no version'}: {count.outcome}"
            found[key] = found.get(key, 0) + count.count
    return found


def _shares(stage: Stage, plan: Plan, tables_before: int) -> list[Share]:
    """One entry for each weight that was in force, in order, equal neighbours joined."""
    rule = plan.workload.listener_rule_arn
    names = {
        slot: resources.target_group_arn.split("/")[1]
        for slot, resources in plan.workload.slots.items()
    }
    shares: list[Share] = []
    for table, requests in stage.cloud.parts["elb"].journal.shares(rule):
        if table.sequence <= tables_before or rule not in table.weights:
            continue
        weight = round(table.weights[rule].get(names[plan.candidate], 0.0))
        total = requests[names["blue"]] + requests[names["green"]]
        ours = requests[names[plan.candidate]]
        if shares and shares[-1].weight == weight:
            total += shares[-1].requests
            ours += shares[-1].candidate_requests
            shares.pop()
        shares.append(Share(weight=weight, requests=total, candidate_requests=ours))
    return shares


def _measure_way_back(
    stage: Stage, plan: Plan, record: Record, calls: list[ApiCall], result: Result
) -> None:
    """From the alarm's own instant to the write, and to the balancer sending nothing."""
    way_back: list[ApiCall] = sorted(
        (call for call in calls if call.caller == TAKE_BACK), key=lambda call: call.at
    )
    names = [call.operation for call in way_back]
    if "ModifyRule" not in names:
        return
    first = names.index("ModifyRule")
    result.calls_before_modify_rule = names[:first]
    trigger = record.trigger
    if trigger is None or trigger.kind != "alarm" or trigger.at is None:
        return
    alarmed = _real(stage, trigger.at)
    result.alarm_to_modify_rule_seconds = way_back[first].at - alarmed
    bad = plan.target_group(plan.candidate).split("/")[1]
    last = stage.cloud.parts["elb"].journal.last_request(bad)
    if last is not None:
        result.alarm_to_no_traffic_seconds = last - alarmed


def _real(stage: Stage, virtual: datetime) -> float:
    """The real Unix time at a virtual instant."""
    clock = stage.cloud.clock
    return clock.origin.timestamp() + (virtual - clock.origin).total_seconds() / clock.scale


def broken_promises(result: Result, history: list[HistoryEvent]) -> list[str]:
    """What the scene promised and did not keep, in words."""
    scene = result.scene
    broken = []
    if result.outcome != scene.ending:
        broken.append(f"ended {result.outcome} instead of {scene.ending}: {result.reason}")
    if scene.good and result.failures:
        broken.append(f"clients lost requests: {result.failures}")
    for share in result.shares:
        if not share.within_3_standard_errors:
            broken.append(
                f"at {share.weight} percent the balancer sent {share.observed:.2f} percent "
                f"of {share.requests} requests"
            )
    if scene.good and scene.strategy == "canary" and result.transitions > scene.most_transitions:
        holds = sum(
            event.kind == "decided" and str(event.detail.get("why", "")).startswith("hold")
            for event in history
        )
        # A hold for missing evidence is one more turn of Route, Bake and Judge.
        if result.transitions > scene.most_transitions + 3 * holds:
            broken.append(f"{result.transitions} state transitions, {holds} holds")
    if scene.by_alarm:
        broken += _broken_by_alarm(result)
    return broken


def _broken_by_alarm(result: Result) -> list[str]:
    broken = []
    seconds = result.alarm_to_modify_rule_seconds
    if seconds is None:
        broken.append(f"the way back began with {result.trigger} instead of an alarm")
    elif seconds > MOST_SECONDS_TO_MODIFY_RULE:
        broken.append(f"{seconds:.2f} s from the alarm to ModifyRule")
    if len(result.calls_before_modify_rule) > MOST_CALLS_BEFORE_MODIFY_RULE:
        broken.append(f"calls before ModifyRule: {result.calls_before_modify_rule}")
    return broken
