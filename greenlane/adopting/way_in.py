"""Validation's way to the tasks: one permission in their security group, marked as ours."""

from botocore.exceptions import ClientError

from greenlane.adopting.clients import Clients, code_of, is_owned
from greenlane.adopting.model import OWNER_TAG, Before, Body
from greenlane.adopting.planning import validation_group_name
from greenlane.errors import Refused


def permission(port: int, source: str, name: str) -> Body:
    """What lets a security group reach the tasks of a service on a port."""
    return {
        "IpProtocol": "tcp",
        "FromPort": port,
        "ToPort": port,
        "UserIdGroupPairs": [{"GroupId": source, "Description": mark(name)}],
    }


def mark(name: str) -> str:
    """By what a permission is known as one of a service's adoption: its description."""
    return f"{OWNER_TAG}={name}"


class WayIn:
    """Takes the way in away again.

    Args:
        clients: of the account and Region.
        before: what was found.
        first_group: the ARN of the service's own target group, which says the VPC.
    """

    def __init__(self, clients: Clients, before: Before, first_group: str) -> None:
        """See the class."""
        self._clients = clients
        self._before = before
        self._first_group = first_group
        self._name = before.request.name

    def shut(self) -> bool:
        """Revoke the permission, delete the security group if it was created; False if neither.

        Raises:
            Refused: the group is still in use.
        """
        done = False
        for group in self._task_groups():
            for found in group["IpPermissions"]:
                pairs = [
                    {"GroupId": pair["GroupId"], "Description": mark(self._name)}
                    for pair in found["UserIdGroupPairs"]
                    if pair.get("Description") == mark(self._name)
                ]
                if pairs:
                    ports = {key: found[key] for key in ("IpProtocol", "FromPort", "ToPort")}
                    self._clients.ec2.revoke_security_group_ingress(
                        GroupId=group["GroupId"],
                        IpPermissions=[ports | {"UserIdGroupPairs": pairs}],
                    )
                    done = True
        return self._delete_group() or done

    def _task_groups(self) -> list[Body]:
        request = self._before.request
        service = self._clients.service(request.cluster, request.ecs_service) or {}
        network = (service.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}
        named = list(network.get("securityGroups") or ())
        if not named:
            default = self._clients.security_group("default", self._vpc())
            return [default] if default else []
        answer = self._clients.ec2.describe_security_groups(GroupIds=named)
        return list(answer["SecurityGroups"])

    def _vpc(self) -> str:
        answer = self._clients.elbv2.describe_target_groups(TargetGroupArns=[self._first_group])
        return str(answer["TargetGroups"][0]["VpcId"])

    def _delete_group(self) -> bool:
        if self._before.request.validation_group is not None:
            return False
        name = validation_group_name(self._name)
        group = self._clients.security_group(name, self._vpc())
        if group is None or not is_owned(group.get("Tags", []), self._name):
            return False
        try:
            self._clients.ec2.delete_security_group(GroupId=group["GroupId"])
        except ClientError as error:
            if code_of(error) != "DependencyViolation":
                raise
            raise Refused(
                f"the security group {name} is in use, by Greenlane's validation as it seems: take "
                "the service out of cdk.json, deploy the stack, then un-adopt again"
            ) from None
        return True
