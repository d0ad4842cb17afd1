"""The second slot's ECS service and its auto scaling, like the first's. Pure.

What does not exist before its step is named by a placeholder; `steps` puts the real name there.
"""

from typing import Any

from greenlane.adopting.model import (
    OWNER_TAG,
    Before,
    Body,
    Found,
    MakeTwin,
    MirrorScaling,
    Scaling,
)

GREEN = "<the ARN of the second target group>"
GREEN_NAME = "<the full name of the second target group>"
RULE = "<the ARN of the new rule>"
VALIDATION = "<the id of the security group for validation>"

_SETTINGS = (
    "taskDefinition",
    "platformVersion",
    "placementConstraints",
    "placementStrategy",
    "networkConfiguration",
    "healthCheckGracePeriodSeconds",
    "schedulingStrategy",
    "deploymentController",
    "enableECSManagedTags",
    "propagateTags",
    "enableExecuteCommand",
    "availabilityZoneRebalancing",
)


class Twin:
    """The steps that make the second slot's service.

    Args:
        found: the first slot's.
        before: what is on record about it.
        configuration: the deployment configuration of both.
    """

    def __init__(self, found: Found, before: Before, configuration: Body) -> None:
        """See the class."""
        self._request = found.request
        self._service = found.service
        self._group = found.target_groups[0]["TargetGroupArn"]
        self._entry = found.service["loadBalancers"][0]
        self._before = before
        self._configuration = configuration

    def service(self) -> MakeTwin:
        """The ECS service, with no task: it starts the first one with a deployment."""
        body = {key: self._service[key] for key in _SETTINGS if self._service.get(key)}
        body |= self._where_it_runs()
        if self._configuration:
            body["deploymentConfiguration"] = self._configuration
        tags = [one for one in self._service.get("tags", []) if not _is_kept_apart(one["key"])]
        body |= {
            "cluster": self._request.cluster,
            "serviceName": self._request.twin_name,
            "desiredCount": 0,
            "loadBalancers": [
                {
                    "targetGroupArn": GREEN,
                    "containerName": self._entry["containerName"],
                    "containerPort": self._entry["containerPort"],
                }
            ],
            "tags": [*tags, {"key": OWNER_TAG, "value": self._request.name}],
        }
        return MakeTwin(
            because=f"create the service {self._request.twin_name} like "
            f"{self._request.ecs_service}, with no task",
            body=body,
        )

    def _where_it_runs(self) -> Body:
        """ECS takes one of the two; a service with capacity providers has no launch type."""
        more: Body = {}
        volumes = [one.get("volumeConfigurations") for one in self._service.get("deployments", [])]
        if volumes and volumes[0]:
            more["volumeConfigurations"] = volumes[0]
        providers = self._service.get("capacityProviderStrategy")
        if providers:
            return more | {"capacityProviderStrategy": providers}
        return more | {"launchType": self._service.get("launchType") or "FARGATE"}

    def scaling(self, found: Scaling) -> MirrorScaling:
        """The same limits and policies, but a minimum of 0: an idle slot runs nothing."""
        target = self._before.scaling or found.target
        mine = {
            "ServiceNamespace": "ecs",
            "ResourceId": f"service/{self._request.cluster}/{self._request.twin_name}",
            "ScalableDimension": "ecs:service:DesiredCount",
        }
        return MirrorScaling(
            because=f"give {self._request.twin_name} the same auto scaling, from 0 to "
            f"{target['MaxCapacity']} tasks",
            target=mine | {"MinCapacity": 0, "MaxCapacity": target["MaxCapacity"]},
            policies=tuple(
                mine
                | {
                    "PolicyName": policy["PolicyName"],
                    "PolicyType": policy["PolicyType"],
                    "TargetTrackingScalingPolicyConfiguration": self._renamed(
                        policy["TargetTrackingScalingPolicyConfiguration"]
                    ),
                }
                for policy in found.policies
            ),
        )

    def _renamed(self, value: Any) -> Any:
        """A policy's configuration with the second slot's names in place of the first's."""
        if isinstance(value, dict):
            return {key: self._renamed(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._renamed(one) for one in value]
        if value == self._request.ecs_service:
            return self._request.twin_name
        full_name = str(self._group).rpartition(":")[2]
        return value.replace(full_name, GREEN_NAME) if isinstance(value, str) else value


def _is_kept_apart(key: str) -> bool:
    """Whether a tag says something of one service only, or may not be set."""
    return key in (OWNER_TAG, "Deployment") or key.lower().startswith("aws:")
