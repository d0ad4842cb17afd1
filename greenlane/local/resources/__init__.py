"""How each CloudFormation resource type is brought into the local cloud."""

from greenlane.local.resources import (
    balancing,
    compute,
    custom,
    functions,
    gateway,
    identity,
    monitoring,
    network,
    orchestration,
    secrets,
    storage,
)
from greenlane.local.resources.kinds import ResourceType, Site

# Types without local effect: nothing is created for them, `Ref` gives their logical id.
NOT_EMULATED = frozenset(
    {
        # Packets do not flow through the emulated network.
        "AWS::EC2::InternetGateway",
        "AWS::EC2::NatGateway",
        "AWS::EC2::EIP",
        "AWS::EC2::Route",
        "AWS::EC2::RouteTable",
        "AWS::EC2::SecurityGroupEgress",
        "AWS::EC2::SecurityGroupIngress",
        "AWS::EC2::SubnetRouteTableAssociation",
        "AWS::EC2::VPCEndpoint",
        "AWS::EC2::VPCGatewayAttachment",
        "AWS::EC2::FlowLog",
        # Permissions are not enforced.
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Policy",
        "AWS::Lambda::Permission",
        "AWS::S3::BucketPolicy",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
        # The role by which API Gateway writes logs; the local one writes a file.
        "AWS::ApiGateway::Account",
        # Says something about the template only.
        "AWS::CDK::Metadata",
    }
)

_TYPES: dict[str, ResourceType] = {
    **balancing.TYPES,
    **compute.TYPES,
    **functions.TYPES,
    **gateway.TYPES,
    **identity.TYPES,
    **monitoring.TYPES,
    **network.TYPES,
    **orchestration.TYPES,
    **secrets.TYPES,
    **storage.TYPES,
}


def type_of(name: str) -> ResourceType | None:
    """How to handle a type, or None if the local cloud does not know it."""
    if name.startswith("Custom::") or name == "AWS::CloudFormation::CustomResource":
        return custom.CUSTOM
    return _TYPES.get(name)


__all__ = ["NOT_EMULATED", "ResourceType", "Site", "type_of"]
