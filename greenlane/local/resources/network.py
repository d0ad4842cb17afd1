"""VPCs, subnets and security groups: they exist and have ids; packets do not obey them."""

from typing import Any

from greenlane.local.resolve import Live
from greenlane.local.resources.kinds import Properties, ResourceType, Site, chosen, tags


def _tagged(site: Site, identifier: str, properties: Properties) -> None:
    if properties.get("Tags"):
        site.client("ec2").create_tags(Resources=[identifier], Tags=tags(properties))


def _retag(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    _tagged(site, live.physical_id, new)
    return live


def _create_vpc(site: Site, properties: Properties) -> Live:
    ec2 = site.client("ec2")
    vpc = ec2.create_vpc(**chosen(properties, "CidrBlock", "InstanceTenancy"))["Vpc"]
    identifier = vpc["VpcId"]
    for name in ("EnableDnsSupport", "EnableDnsHostnames"):
        if name in properties:
            value: Any = {"Value": bool(properties[name])}
            ec2.modify_vpc_attribute(VpcId=identifier, **{name: value})
    _tagged(site, identifier, properties)
    groups = ec2.describe_security_groups(
        Filters=[
            {"Name": "vpc-id", "Values": [identifier]},
            {"Name": "group-name", "Values": ["default"]},
        ]
    )["SecurityGroups"]
    attributes = {
        "VpcId": identifier,
        "CidrBlock": vpc["CidrBlock"],
        "DefaultSecurityGroup": groups[0]["GroupId"] if groups else "",
    }
    return Live(identifier, attributes)


def _delete_vpc(site: Site, live: Live, properties: Properties) -> None:
    site.client("ec2").delete_vpc(VpcId=live.physical_id)


def _create_subnet(site: Site, properties: Properties) -> Live:
    ec2 = site.client("ec2")
    given = chosen(properties, "VpcId", "CidrBlock", "AvailabilityZone")
    subnet = ec2.create_subnet(**given)["Subnet"]
    identifier = subnet["SubnetId"]
    if "MapPublicIpOnLaunch" in properties:
        ec2.modify_subnet_attribute(
            SubnetId=identifier,
            MapPublicIpOnLaunch={"Value": bool(properties["MapPublicIpOnLaunch"])},
        )
    _tagged(site, identifier, properties)
    names = ("SubnetId", "VpcId", "CidrBlock", "AvailabilityZone")
    return Live(identifier, {name: subnet[name] for name in names})


def _delete_subnet(site: Site, live: Live, properties: Properties) -> None:
    site.client("ec2").delete_subnet(SubnetId=live.physical_id)


def _create_group(site: Site, properties: Properties) -> Live:
    identifier = site.client("ec2").create_security_group(
        GroupName=properties.get("GroupName") or site.name(255),
        Description=properties["GroupDescription"],
        VpcId=properties["VpcId"],
    )["GroupId"]
    _tagged(site, identifier, properties)
    return Live(identifier, {"GroupId": identifier, "VpcId": properties["VpcId"]})


def _delete_group(site: Site, live: Live, properties: Properties) -> None:
    site.client("ec2").delete_security_group(GroupId=live.physical_id)


TYPES = {
    "AWS::EC2::VPC": ResourceType(
        _create_vpc, _delete_vpc, _retag, frozenset({"CidrBlock", "InstanceTenancy"})
    ),
    "AWS::EC2::Subnet": ResourceType(
        _create_subnet,
        _delete_subnet,
        _retag,
        frozenset({"VpcId", "CidrBlock", "AvailabilityZone"}),
    ),
    # Its rules are not written: nothing would obey them.
    "AWS::EC2::SecurityGroup": ResourceType(
        _create_group,
        _delete_group,
        _retag,
        frozenset({"GroupName", "GroupDescription", "VpcId"}),
        "GroupName",
    ),
}
