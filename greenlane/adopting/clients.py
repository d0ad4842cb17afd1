"""The AWS clients that an adoption speaks to, and small looks that several of its parts take."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from greenlane.adopting.model import OWNER_TAG, Body
from greenlane.deployments.connection import Connection

_TAGS_AT_ONCE = 20
"""Resources whose tags one call of the load balancer's API describes."""

_SUSPENSIONS = (
    "DynamicScalingInSuspended",
    "DynamicScalingOutSuspended",
    "ScheduledScalingSuspended",
)


class Clients:
    """The clients of one account and Region.

    Args:
        connection: where they come from.
    """

    def __init__(self, connection: Connection) -> None:
        """See the class."""
        self.connection = connection

    @cached_property
    def ecs(self) -> Any:
        """Services and task definitions."""
        return self.connection.client("ecs")

    @cached_property
    def elbv2(self) -> Any:
        """Load balancers."""
        return self.connection.client("elbv2")

    @cached_property
    def autoscaling(self) -> Any:
        """Application Auto Scaling."""
        return self.connection.client("application-autoscaling")

    @cached_property
    def cloudwatch(self) -> Any:
        """Alarms."""
        return self.connection.client("cloudwatch")

    @cached_property
    def ec2(self) -> Any:
        """Security groups."""
        return self.connection.client("ec2")

    @cached_property
    def ssm(self) -> Any:
        """Parameters."""
        return self.connection.client("ssm")

    def service(self, cluster: str, name: str) -> Body | None:
        """An ECS service that is not gone, with its tags.

        `DescribeServices` reports an unknown service in `failures`, and remembers those that were
        deleted as INACTIVE for a while.
        """
        answer = self.ecs.describe_services(cluster=cluster, services=[name], include=["TAGS"])
        found = [one for one in answer["services"] if one.get("status") != "INACTIVE"]
        return dict(found[0]) if found else None

    def target_group(self, name: str) -> Body | None:
        """A target group by its name."""
        try:
            (group,) = self.elbv2.describe_target_groups(Names=[name])["TargetGroups"]
        except ClientError as error:
            if code_of(error) != "TargetGroupNotFound":
                raise
            return None
        return dict(group)

    def attributes(self, group_arn: str) -> dict[str, str]:
        """A target group's attributes."""
        answer = self.elbv2.describe_target_group_attributes(TargetGroupArn=group_arn)
        return {one["Key"]: str(one["Value"]) for one in answer["Attributes"]}

    def rules(self, listener_arn: str) -> list[Body]:
        """All rules of a listener."""
        pages = self.elbv2.get_paginator("describe_rules").paginate(ListenerArn=listener_arn)
        return [rule for page in pages for rule in page["Rules"]]

    def rule(self, rule_arn: str) -> Body | None:
        """A rule as it is now."""
        try:
            (rule,) = self.elbv2.describe_rules(RuleArns=[rule_arn])["Rules"]
        except ClientError as error:
            if code_of(error) != "RuleNotFound":
                raise
            return None
        return dict(rule)

    def owned(self, arns: Iterable[str], name: str) -> set[str]:
        """Of the load balancer's resources, those that an adoption of the service created."""
        wanted, found = list(arns), set()
        for first in range(0, len(wanted), _TAGS_AT_ONCE):
            answer = self.elbv2.describe_tags(ResourceArns=wanted[first : first + _TAGS_AT_ONCE])
            for one in answer["TagDescriptions"]:
                if is_owned(one["Tags"], name):
                    found.add(str(one["ResourceArn"]))
        return found

    def scalable_target(self, cluster: str, service: str) -> Body | None:
        """The limits of a service's auto scaling and what of it is suspended; None without any."""
        resource = f"service/{cluster}/{service}"
        targets = self.autoscaling.describe_scalable_targets(
            ServiceNamespace="ecs", ResourceIds=[resource]
        )["ScalableTargets"]
        if not targets:
            return None
        suspended = targets[0].get("SuspendedState", {})
        return {
            "MinCapacity": targets[0]["MinCapacity"],
            "MaxCapacity": targets[0]["MaxCapacity"],
            "SuspendedState": {key: suspended.get(key, False) for key in _SUSPENSIONS},
        }

    def security_group(self, name: str, vpc_id: str) -> Body | None:
        """A security group by its name within a VPC."""
        filters = [
            {"Name": "group-name", "Values": [name]},
            {"Name": "vpc-id", "Values": [vpc_id]},
        ]
        groups = self.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
        return dict(groups[0]) if groups else None

    def alarms(self, names: Iterable[str]) -> Iterator[Body]:
        """Those of the alarms that exist."""
        wanted = list(names)
        for first in range(0, len(wanted), 100):
            answer = self.cloudwatch.describe_alarms(
                AlarmNames=wanted[first : first + 100],
                AlarmTypes=["MetricAlarm", "CompositeAlarm"],
                MaxRecords=100,
            )
            yield from answer.get("MetricAlarms", [])
            yield from answer.get("CompositeAlarms", [])

    def owns_alarm(self, arn: str, name: str) -> bool:
        """Whether an adoption of the service created an alarm."""
        return is_owned(self.cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"], name)


def is_owned(tags: Iterable[Body], name: str) -> bool:
    """Whether tags, in either of AWS's spellings, say that an adoption of the service made it."""
    return any(
        (one.get("Key", one.get("key")), one.get("Value", one.get("value"))) == (OWNER_TAG, name)
        for one in tags
    )


def code_of(error: ClientError) -> str:
    """What AWS calls an error."""
    return str(error.response["Error"]["Code"])
