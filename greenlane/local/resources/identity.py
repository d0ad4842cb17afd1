"""Roles: they exist and have ARNs; what they allow is not enforced, so policies are left out."""

import json

from greenlane.local.resolve import Live
from greenlane.local.resources.kinds import Properties, ResourceType, Site


def _role(site: Site, properties: Properties) -> Live:
    role = site.client("iam").create_role(
        RoleName=properties.get("RoleName") or f"{site.name(45)}-{site.region}",
        AssumeRolePolicyDocument=json.dumps(properties["AssumeRolePolicyDocument"]),
        Path=properties.get("Path", "/"),
    )["Role"]
    return Live(role["RoleName"], {"Arn": role["Arn"], "RoleId": role["RoleId"]})


def _update_role(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    return live  # only its policies can change, and they are not enforced


def _delete_role(site: Site, live: Live, properties: Properties) -> None:
    site.client("iam").delete_role(RoleName=live.physical_id)


TYPES = {
    "AWS::IAM::Role": ResourceType(
        _role, _delete_role, _update_role, frozenset({"RoleName", "Path"}), "RoleName"
    ),
}
