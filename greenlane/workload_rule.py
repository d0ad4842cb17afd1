"""The production listener rule as a custom resource: created once, its actions never updated.

A rule in a template would be put back to the template's weights by the next change to it, and by
the rollback of a failed update. So the template holds a custom resource, and this is what it does:

=======  ===========================================================================
Create   creates the rule with 100 to blue and 0 to green, or adopts the rule that has the
         listener's priority already, if it names both target groups; actions untouched
Update   writes conditions and priority; a changed listener or target group is refused, for it
         would take a write of the actions
Delete   removes the rule when no owner is left and it was created here
=======  ===========================================================================

Owners are tags on the rule, one for each logical resource. A resource renamed in a template is
created (adopting) before its old name is deleted, and the rollback of that deletes the new name:
in both cases one owner is left, so the live rule stays. A rule that was adopted from somebody else
is never deleted. Every request can be repeated.
"""

import json
import logging
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from greenlane.aws import client

LOGGER = logging.getLogger(__name__)
OWNER_TAG = "greenlane:owner/"
CREATED_TAG = "greenlane:created-by"
NO_RULE = "no-rule"
ANSWER_ATTEMPTS = 3
ANSWER_TIMEOUT_SECONDS = 5.0
# CloudFormation refuses answers above 4 KiB; the reason is what may be long.
REASON_CHARACTERS = 1000


class RuleRefused(Exception):
    """What the template asks for would touch, or take over, traffic that is not its own."""


@dataclass(frozen=True)
class RuleProperties:
    """What the template says of the rule; CloudFormation sends each scalar as a string."""

    listener_arn: str
    priority: int
    paths: tuple[str, ...]
    blue: str
    green: str

    @classmethod
    def parse(cls, properties: Mapping[str, Any]) -> "RuleProperties":
        """Read the resource's properties.

        Raises:
            RuleRefused: one is missing or is not what it should be.
        """
        try:
            groups = properties["TargetGroups"]
            return cls(
                listener_arn=str(properties["ListenerArn"]),
                priority=int(properties["Priority"]),
                paths=tuple(str(path) for path in properties["Paths"]),
                blue=str(groups["blue"]),
                green=str(groups["green"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RuleRefused(f"properties of the rule: {error!r}") from error

    @property
    def conditions(self) -> list[dict[str, Any]]:
        """As the ELB API takes them."""
        return [
            {"Field": "path-pattern", "PathPatternConfig": {"Values": list(self.paths)}},
        ]

    @property
    def first_actions(self) -> list[dict[str, Any]]:
        """The actions of a new rule: both target groups, everything to blue."""
        return [
            {
                "Type": "forward",
                "ForwardConfig": {
                    "TargetGroups": [
                        {"TargetGroupArn": self.blue, "Weight": 100},
                        {"TargetGroupArn": self.green, "Weight": 0},
                    ]
                },
            }
        ]


def answer_cloudformation(event: Mapping[str, Any]) -> None:
    """Do what the request asks, and tell CloudFormation, whatever happened.

    Raises:
        OSError: the answer could not be delivered; Lambda runs the request again.
    """
    answer = {
        "Status": "SUCCESS",
        "PhysicalResourceId": event.get("PhysicalResourceId") or NO_RULE,
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
    }
    try:
        rule_arn = serve(event)
        answer["PhysicalResourceId"] = rule_arn
        answer["Data"] = {"RuleArn": rule_arn}
    except Exception as error:  # unanswered, the stack would wait for its time-out
        LOGGER.exception("%s of the listener rule failed", event.get("RequestType"))
        answer["Status"] = "FAILED"
        answer["Reason"] = f"{type(error).__name__}: {error}"[:REASON_CHARACTERS]
    _put(str(event["ResponseURL"]), answer)


def serve(event: Mapping[str, Any]) -> str:
    """Serve one request and return the physical id: the rule's ARN, the same for all its life.

    Args:
        event: a custom resource request: `RequestType`, `StackId`, `LogicalResourceId`,
            `ResourceProperties`, and, except for Create, `PhysicalResourceId`.

    Raises:
        RuleRefused: the template asks for what only Greenlane may change.
        ClientError: ELB refused.
    """
    owner = f"{OWNER_TAG}{event['LogicalResourceId']}"
    stack = str(event["StackId"])
    match event["RequestType"]:
        case "Create":
            return _create(RuleProperties.parse(event["ResourceProperties"]), owner, stack)
        case "Update":
            rule_arn = str(event["PhysicalResourceId"])
            _update(rule_arn, RuleProperties.parse(event["ResourceProperties"]))
            return rule_arn
        case "Delete":
            rule_arn = str(event["PhysicalResourceId"])
            _delete(rule_arn, owner)
            return rule_arn
        case other:
            raise RuleRefused(f"RequestType {other!r} is not Create, Update or Delete")


def _create(wanted: RuleProperties, owner: str, stack: str) -> str:
    elb = client("elbv2")
    existing = _at_priority(wanted)
    if existing is None:
        created = elb.create_rule(
            ListenerArn=wanted.listener_arn,
            Priority=wanted.priority,
            Conditions=wanted.conditions,
            Actions=wanted.first_actions,
            Tags=[{"Key": CREATED_TAG, "Value": stack}, {"Key": owner, "Value": stack}],
        )
        return str(created["Rules"][0]["RuleArn"])
    if _target_groups(existing) != {wanted.blue, wanted.green}:
        raise RuleRefused(
            f"priority {wanted.priority} of {wanted.listener_arn} belongs to a rule that does not "
            f"forward to both slots; let it name both target groups, or choose another priority"
        )
    rule_arn = str(existing["RuleArn"])
    elb.add_tags(ResourceArns=[rule_arn], Tags=[{"Key": owner, "Value": stack}])
    return rule_arn


def _update(rule_arn: str, wanted: RuleProperties) -> None:
    elb = client("elbv2")
    try:
        rule = elb.describe_rules(RuleArns=[rule_arn])["Rules"][0]
    except elb.exceptions.RuleNotFoundException as error:
        raise RuleRefused(
            f"{rule_arn} is gone, and a new one would need to know which slot is live: create it "
            f"by hand, forwarding to both target groups, and give the resource a new logical id"
        ) from error
    if _target_groups(rule) != {wanted.blue, wanted.green}:
        raise RuleRefused("a template cannot change the target groups of the live rule")
    if not rule_arn.startswith(wanted.listener_arn.replace(":listener/", ":listener-rule/") + "/"):
        raise RuleRefused(
            "a template cannot move the live rule to another listener (a certificate is chosen "
            "when the environment is created)"
        )
    if _paths(rule) != set(wanted.paths):
        elb.modify_rule(RuleArn=rule_arn, Conditions=wanted.conditions)
    if rule["Priority"] != str(wanted.priority):
        elb.set_rule_priorities(RulePriorities=[{"RuleArn": rule_arn, "Priority": wanted.priority}])


def _delete(rule_arn: str, owner: str) -> None:
    if rule_arn == NO_RULE:  # the id of a Create that failed before it had a rule
        return
    elb = client("elbv2")
    try:
        described = elb.describe_tags(ResourceArns=[rule_arn])["TagDescriptions"]
        tags = {tag["Key"] for tag in described[0]["Tags"]}
        if owner not in tags:
            LOGGER.warning("%s is not a rule of %s: left as it is", rule_arn, owner)
            return
        others = {tag for tag in tags if tag.startswith(OWNER_TAG)} - {owner}
        if others or CREATED_TAG not in tags:
            elb.remove_tags(ResourceArns=[rule_arn], TagKeys=[owner])
        else:
            elb.delete_rule(RuleArn=rule_arn)
    except ClientError as error:
        if error.response["Error"]["Code"] != "RuleNotFound":
            raise


def _at_priority(wanted: RuleProperties) -> Mapping[str, Any] | None:
    """The rule that has the priority, if any; a listener has at most 100 rules by default."""
    pages = (
        client("elbv2").get_paginator("describe_rules").paginate(ListenerArn=wanted.listener_arn)
    )
    for page in pages:
        for rule in page["Rules"]:
            if rule["Priority"] == str(wanted.priority):
                found: Mapping[str, Any] = rule
                return found
    return None


def _target_groups(rule: Mapping[str, Any]) -> set[str]:
    return {
        group["TargetGroupArn"]
        for action in rule["Actions"]
        if action["Type"] == "forward"
        for group in action.get("ForwardConfig", {}).get("TargetGroups", ())
    }


def _paths(rule: Mapping[str, Any]) -> set[str]:
    return {
        path
        for condition in rule["Conditions"]
        if condition["Field"] == "path-pattern"
        for path in condition.get("PathPatternConfig", {}).get("Values", ())
    }


def _put(url: str, answer: Mapping[str, Any]) -> None:
    """Send the answer to the presigned URL, which accepts no content type."""
    request = urllib.request.Request(
        url, data=json.dumps(answer).encode(), method="PUT", headers={"Content-Type": ""}
    )
    for attempt in range(1, ANSWER_ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_SECONDS):
                return
        except OSError as error:  # urllib's own errors are among these
            LOGGER.warning("answer %d of %d: %s", attempt, ANSWER_ATTEMPTS, error)
            if attempt == ANSWER_ATTEMPTS:
                raise
