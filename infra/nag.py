"""Acknowledge a cdk-nag finding at the construct it is about, with the argument beside it."""

from typing import Any

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


def acknowledge(construct: IConstruct, finding: str, reason: str) -> None:
    """Accept one finding of the AwsSolutions pack.

    Args:
        construct: what the finding is about.
        finding: the id without its pack, such as `IAM5[Resource::*]`.
        reason: why this is right here.
    """
    Validations.of(construct).acknowledge(
        Acknowledgment(id=f"AwsSolutions-{finding}", reason=reason)
    )


def as_finding(value: Any) -> str:
    """A resolved value as cdk-nag writes it: `arn:<AWS::Partition>:iam::...`.

    Raises:
        ValueError: an intrinsic function that cdk-nag does not flatten.
    """
    match value:
        case str():
            return value
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(as_finding(part) for part in parts)
    raise ValueError(f"no way to name {value!r} in a finding")
