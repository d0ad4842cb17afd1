"""The edge to the load balancer: the one listener rule that carries the traffic.

`ModifyRule` replaces the whole action list and knows no condition and no token: the last writer
wins. So every write here sends the complete list, both weights in one call, and every caller
holds the fence of the service's record.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from pydantic import BaseModel, ConfigDict

from greenlane.deployments.model import Plan, Recipe, Slot, other
from greenlane.deployments.workload import Workload
from greenlane.errors import Refused

Action = dict[str, Any]


class LiveRule(BaseModel):
    """The listener rule as the balancer has it now."""

    model_config = ConfigDict(frozen=True)

    arn: str
    actions: list[Action]

    @property
    def weights(self) -> dict[str, int]:
        """Weight by target-group ARN; {} when the rule forwards nowhere."""
        for action in self.actions:
            if action["Type"] == "forward":
                groups = action.get("ForwardConfig", {}).get("TargetGroups", [])
                return {group["TargetGroupArn"]: group.get("Weight", 1) for group in groups}
        return {}

    @property
    def stickiness(self) -> dict[str, Any] | None:
        """The rule's own stickiness when it is on; None when it is off."""
        for action in self.actions:
            if action["Type"] == "forward":
                config = action.get("ForwardConfig", {}).get("TargetGroupStickinessConfig", {})
                return dict(config) if config.get("Enabled") else None
        return None

    def percent(self, workload: Workload) -> dict[Slot, int] | None:
        """Percent of traffic by slot; None when the rule does not name exactly both slots."""
        weights = self.weights
        by_slot: dict[Slot, int] = {
            slot: weights.get(resources.target_group_arn, -1)
            for slot, resources in workload.slots.items()
        }
        total = sum(weights.values())
        if len(weights) != len(by_slot) or min(by_slot.values()) < 0 or total <= 0:
            return None
        if any(weight * 100 % total for weight in by_slot.values()):
            return None
        return {slot: weight * 100 // total for slot, weight in by_slot.items()}


def read_rule(elbv2: Any, rule_arn: str) -> LiveRule:
    """The rule as it is now.

    Raises:
        Refused: it is its listener's default rule.
        botocore.exceptions.ClientError: `RuleNotFound`, there is no such rule; or another.
    """
    (rule,) = elbv2.describe_rules(RuleArns=[rule_arn])["Rules"]
    if rule.get("IsDefault"):
        raise Refused(
            f"the listener rule {rule_arn} is its listener's default rule; name a rule of its own"
        )
    return LiveRule(arn=rule_arn, actions=rule["Actions"])


def actions_with(
    rule: LiveRule, weights: Mapping[str, int], *, keep_stickiness: bool
) -> list[Action]:
    """The rule's complete action list with other weights; everything else is kept.

    The OIDC client secret is never returned by the API, so the kept action says that the stored
    one stays in use. Without `keep_stickiness` the rule's own stickiness is switched off, since a
    sticky client ignores weights.
    """
    if sum(weights.values()) <= 0:
        raise ValueError(f"the sum of weights must be more than 0: {dict(weights)}")
    actions = []
    for before in deepcopy(rule.actions):
        action = before
        if action["Type"] == "authenticate-oidc":
            action["AuthenticateOidcConfig"].pop("ClientSecret", None)
            action["AuthenticateOidcConfig"]["UseExistingClientSecret"] = True
        if action["Type"] == "forward":
            action = _forward(action, weights, keep_stickiness=keep_stickiness)
        actions.append(action)
    return actions


def _forward(action: Action, weights: Mapping[str, int], *, keep_stickiness: bool) -> Action:
    config: dict[str, Any] = {
        "TargetGroups": [
            {"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()
        ]
    }
    stickiness = action.get("ForwardConfig", {}).get("TargetGroupStickinessConfig")
    if stickiness is not None and keep_stickiness:
        config["TargetGroupStickinessConfig"] = stickiness
    else:
        config["TargetGroupStickinessConfig"] = {"Enabled": False}
    forward: Action = {"Type": "forward", "ForwardConfig": config}
    if "Order" in action:
        forward["Order"] = action["Order"]
    return forward


def with_stickiness(rule: LiveRule, config: Mapping[str, Any]) -> list[Action]:
    """The rule's complete action list with its weights as they are and this stickiness."""
    actions = actions_with(rule, rule.weights, keep_stickiness=True)
    for action in actions:
        if action["Type"] == "forward":
            action["ForwardConfig"]["TargetGroupStickinessConfig"] = dict(config)
    return actions


def split(plan: Plan, candidate_percent: int) -> dict[str, int]:
    """Weights by target group that give the candidate so many percent of the traffic."""
    return {
        plan.target_group(plan.live): 100 - candidate_percent,
        plan.target_group(plan.candidate): candidate_percent,
    }


def recipe_for(rule: LiveRule, workload: Workload, good: Slot, capacity: int) -> Recipe:
    """The `ModifyRule` body that puts all traffic on `good`, stickiness dropped."""
    good_group = workload.slots[good].target_group_arn
    bad_group = workload.slots[other(good)].target_group_arn
    weights = {good_group: 100, bad_group: 0}
    return Recipe(
        rule_arn=rule.arn,
        good_slot=good,
        good_target_group=good_group,
        bad_target_group=bad_group,
        capacity=capacity,
        actions=actions_with(rule, weights, keep_stickiness=False),
        stickiness=rule.stickiness,
    )


def write_actions(elbv2: Any, rule_arn: str, actions: list[Action]) -> None:
    """Replace the rule's actions with one `ModifyRule`."""
    elbv2.modify_rule(RuleArn=rule_arn, Actions=actions)


class SlotHealth(BaseModel):
    """Targets of one slot by health, as addresses `ip:port`; `starting` are among the `others`."""

    model_config = ConfigDict(frozen=True)

    healthy: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    starting: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """All registered targets that are not draining."""
        return len(self.healthy) + len(self.others)


def slot_health(elbv2: Any, target_group_arn: str) -> SlotHealth:
    """The health of a slot's targets as the balancer sees it; draining targets do not count."""
    answer = elbv2.describe_target_health(TargetGroupArn=target_group_arn)
    healthy: list[str] = []
    others: list[str] = []
    starting: list[str] = []
    for entry in answer["TargetHealthDescriptions"]:
        target, state = entry["Target"], entry["TargetHealth"]["State"]
        if state in ("draining", "unhealthy.draining"):
            continue
        address = f"{target['Id']}:{target['Port']}"
        (healthy if state == "healthy" else others).append(address)
        if state == "initial":
            starting.append(address)
    return SlotHealth(healthy=tuple(healthy), others=tuple(others), starting=tuple(starting))


def has_target_stickiness(elbv2: Any, target_group_arn: str) -> bool:
    """Whether the target group pins clients to single targets."""
    answer = elbv2.describe_target_group_attributes(TargetGroupArn=target_group_arn)
    return any(
        attribute["Key"] == "stickiness.enabled" and attribute["Value"] == "true"
        for attribute in answer["Attributes"]
    )
