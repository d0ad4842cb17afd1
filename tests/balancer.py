"""One listener rule in memory: what deployments and rollbacks ask of Elastic Load Balancing.

A call to moto's takes some 2.5 ms, and its making ten. This one is compared with moto in
`test_fake_balancer.py`, and refuses what AWS refuses to write and moto takes: `ModifyRule` is the
call that moves traffic.
"""

import re
from collections.abc import Sequence
from typing import Any

from tests.builders import GROUPS, RULE_ARN
from tests.fakes import client, error
from tests.table_values import copied

Action = dict[str, Any]
Pairs = Sequence[dict[str, str]]

_ATTRIBUTES = {
    "deregistration_delay.timeout_seconds": "300",
    "stickiness.enabled": "false",
    "stickiness.type": "lb_cookie",
}
_MOST_TAGS, _MOST_GROUPS, _LARGEST_WEIGHT, _LONGEST_STICKINESS = 50, 5, 999, 7 * 24 * 3600
_TAG_KEY, _TAG_VALUE = re.compile(r"[\w\s.:/=+@-]{1,128}"), re.compile(r"[\w\s.:/=+@-]{0,256}")


class Balancer:
    """A boto3 `elbv2` client with one rule over both slots, all of it on blue.

    Args:
        world: where `targets` has each slot's targets and their health, as the test sets them.
    """

    def __init__(self, world: Any) -> None:
        self._world = world
        # Whoever checks calls against botocore's model finds it here as in any other client.
        self.meta, self.exceptions = client("elbv2").meta, client("elbv2").exceptions
        self._tags: dict[str, str] = {}
        self._attributes = {arn: dict(_ATTRIBUTES) for arn in GROUPS.values()}
        self._actions: list[Action] = []
        weighted = [
            {"TargetGroupArn": GROUPS["blue"], "Weight": 100},
            {"TargetGroupArn": GROUPS["green"], "Weight": 0},
        ]
        forward = {"Type": "forward", "ForwardConfig": {"TargetGroups": weighted}}
        self.modify_rule(RuleArn=RULE_ARN, Actions=[forward])

    def describe_rules(self, *, RuleArns: Sequence[str]) -> Any:
        self._check_rules("DescribeRules", RuleArns)
        rule = {
            "RuleArn": RULE_ARN,
            "Priority": "100",
            "Conditions": [{"Field": "path-pattern", "Values": ["/*"]}],
            "Actions": copied(self._actions),
            "IsDefault": False,
        }
        return {"Rules": [rule]}

    def modify_rule(self, *, RuleArn: str, Actions: Sequence[Action]) -> Any:
        """All of the rule's actions, or none when one of them is wrong."""
        self._check_rules("ModifyRule", [RuleArn])
        if [action["Type"] for action in Actions] != ["forward"]:
            # AWS takes more kinds; no rule of a `World` has any.
            raise error("InvalidLoadBalancerAction", "ModifyRule")
        self._actions = [self._forward(copied(action)) for action in Actions]
        return self.describe_rules(RuleArns=[RuleArn])

    def _forward(self, action: Action) -> Action:
        config = action["ForwardConfig"]
        groups = config["TargetGroups"]
        arns = [group["TargetGroupArn"] for group in groups]
        for arn in arns:
            self._check_group("ModifyRule", arn)
        if not 1 <= len(arns) <= _MOST_GROUPS or len(set(arns)) < len(arns):
            raise error("ValidationError", "ModifyRule")
        for group in groups:
            group.setdefault("Weight", 1)
            if not 0 <= group["Weight"] <= _LARGEST_WEIGHT:
                raise error("ValidationError", "ModifyRule")
        sticky = config.setdefault("TargetGroupStickinessConfig", {"Enabled": False})
        if sticky["Enabled"] and not 1 <= sticky.get("DurationSeconds", 0) <= _LONGEST_STICKINESS:
            raise error("ValidationError", "ModifyRule")
        return action

    def describe_tags(self, *, ResourceArns: Sequence[str]) -> Any:
        self._check_rules("DescribeTags", ResourceArns)
        tags = [{"Key": key, "Value": value} for key, value in self._tags.items()]
        return {"TagDescriptions": [{"ResourceArn": RULE_ARN, "Tags": tags}]}

    def add_tags(self, *, ResourceArns: Sequence[str], Tags: Pairs) -> Any:
        self._check_rules("AddTags", ResourceArns)
        tags = self._tags | {tag["Key"]: tag["Value"] for tag in Tags}
        if len(tags) > _MOST_TAGS:
            raise error("TooManyTags", "AddTags")
        if not all(_TAG_KEY.fullmatch(key) and _TAG_VALUE.fullmatch(tags[key]) for key in tags):
            raise error("ValidationError", "AddTags")
        self._tags = tags
        return {}

    def remove_tags(self, *, ResourceArns: Sequence[str], TagKeys: Sequence[str]) -> Any:
        self._check_rules("RemoveTags", ResourceArns)
        for key in TagKeys:
            self._tags.pop(key, None)
        return {}

    def describe_target_group_attributes(self, *, TargetGroupArn: str) -> Any:
        self._check_group("DescribeTargetGroupAttributes", TargetGroupArn)
        found = self._attributes[TargetGroupArn]
        return {"Attributes": [{"Key": key, "Value": value} for key, value in found.items()]}

    def modify_target_group_attributes(self, *, TargetGroupArn: str, Attributes: Pairs) -> Any:
        self._check_group("ModifyTargetGroupAttributes", TargetGroupArn)
        given = {pair["Key"]: pair["Value"] for pair in Attributes}
        if given.keys() - _ATTRIBUTES.keys():
            raise error("ValidationError", "ModifyTargetGroupAttributes")
        self._attributes[TargetGroupArn] |= given
        return {"Attributes": list(Attributes)}

    def describe_target_health(self, *, TargetGroupArn: str) -> Any:
        self._check_group("DescribeTargetHealth", TargetGroupArn)
        (slot,) = (slot for slot, arn in GROUPS.items() if arn == TargetGroupArn)
        entries = [
            {"Target": {"Id": address, "Port": 8000}, "TargetHealth": {"State": state}}
            for address, state in self._world.targets[slot].items()
        ]
        return {"TargetHealthDescriptions": entries}

    def _check_rules(self, operation: str, arns: Sequence[str]) -> None:
        if list(arns) != [RULE_ARN]:
            raise error("RuleNotFound", operation)

    def _check_group(self, operation: str, arn: str) -> None:
        if arn not in self._attributes:
            raise error("TargetGroupNotFound", operation)
