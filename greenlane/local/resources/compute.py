"""ECS, its images and its scaling.

CloudFormation's handler of `AWS::ECS::Service` writes the service's whole description when any
property of it changes, which is how a template puts back a task definition or a desired count
that something else has changed since. The emulation does the same, the stricter reading.
"""

from greenlane.local.resolve import Live
from greenlane.local.resources.kinds import (
    Properties,
    ResourceType,
    Site,
    camel,
    chosen,
    given_tags,
    tags,
)


def _cluster(site: Site, properties: Properties) -> Live:
    cluster = site.client("ecs").create_cluster(
        clusterName=properties.get("ClusterName") or site.name(255),
        **given_tags(properties, camel_case=True),
        settings=camel(properties.get("ClusterSettings", [])),
    )["cluster"]
    return Live(cluster["clusterName"], {"Arn": cluster["clusterArn"]})


def _update_cluster(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    site.client("ecs").update_cluster(
        cluster=live.physical_id, settings=camel(new.get("ClusterSettings", []))
    )
    return live


def _delete_cluster(site: Site, live: Live, properties: Properties) -> None:
    site.client("ecs").delete_cluster(cluster=live.physical_id)


def _task_definition(site: Site, properties: Properties) -> Live:
    given = camel({key: value for key, value in properties.items() if key != "Tags"})
    given.setdefault("family", site.name(255))
    registered = site.client("ecs").register_task_definition(
        **given, **given_tags(properties, camel_case=True)
    )
    arn = registered["taskDefinition"]["taskDefinitionArn"]
    return Live(arn, {"TaskDefinitionArn": arn})


def _retag_definition(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    site.client("ecs").tag_resource(resourceArn=live.physical_id, tags=tags(new, "key", "value"))
    return live


def _delete_task_definition(site: Site, live: Live, properties: Properties) -> None:
    site.client("ecs").deregister_task_definition(taskDefinition=live.physical_id)


def _service(site: Site, properties: Properties) -> Live:
    given = camel({key: value for key, value in properties.items() if key != "Tags"})
    given.setdefault("serviceName", site.name(255))
    given.setdefault("desiredCount", 1)
    service = site.client("ecs").create_service(**given, **given_tags(properties, camel_case=True))[
        "service"
    ]
    attributes = {"Name": service["serviceName"], "ServiceArn": service["serviceArn"]}
    return Live(service["serviceArn"], attributes)


def _update_service(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    # What UpdateService does not take can only be given at the creation.
    fixed = {*_SERVICE_IDENTITY, "Tags", "SchedulingStrategy", "DeploymentController"}
    given = camel({key: value for key, value in new.items() if key not in fixed})
    ecs = site.client("ecs")
    ecs.update_service(cluster=new.get("Cluster", "default"), service=live.physical_id, **given)
    if old.get("Tags") != new.get("Tags"):
        ecs.tag_resource(resourceArn=live.physical_id, tags=tags(new, "key", "value"))
    return live


def _delete_service(site: Site, live: Live, properties: Properties) -> None:
    site.client("ecs").delete_service(
        cluster=properties.get("Cluster", "default"), service=live.physical_id, force=True
    )


_SERVICE_IDENTITY = ("Cluster", "ServiceName", "LaunchType", "Role")


def _repository(site: Site, properties: Properties) -> Live:
    given = chosen(properties, "RepositoryName", "ImageTagMutability")
    scanning = properties.get("ImageScanningConfiguration", {})
    repository = site.client("ecr").create_repository(
        repositoryName=given.get("RepositoryName", site.name(256).lower()),
        imageTagMutability=given.get("ImageTagMutability", "MUTABLE"),
        imageScanningConfiguration={"scanOnPush": bool(scanning.get("ScanOnPush"))},
        tags=tags(properties),
    )["repository"]
    attributes = {"Arn": repository["repositoryArn"], "RepositoryUri": repository["repositoryUri"]}
    return Live(repository["repositoryName"], attributes)


def _update_repository(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    site.client("ecr").put_image_tag_mutability(
        repositoryName=live.physical_id, imageTagMutability=new.get("ImageTagMutability", "MUTABLE")
    )
    return live


def _delete_repository(site: Site, live: Live, properties: Properties) -> None:
    site.client("ecr").delete_repository(repositoryName=live.physical_id)


_TARGET = ("ServiceNamespace", "ResourceId", "ScalableDimension")


def _scalable_target(site: Site, properties: Properties) -> Live:
    _register(site, properties)
    parts = [properties[name] for name in ("ResourceId", "ScalableDimension", "ServiceNamespace")]
    return Live("|".join(parts))


def _register(site: Site, properties: Properties) -> None:
    names = ("MinCapacity", "MaxCapacity", "RoleARN", "SuspendedState")
    site.client("application-autoscaling").register_scalable_target(
        **chosen(properties, *_TARGET, *names)
    )


def _update_scalable_target(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    _register(site, new)
    return live


def _delete_scalable_target(site: Site, live: Live, properties: Properties) -> None:
    site.client("application-autoscaling").deregister_scalable_target(
        **chosen(properties, *_TARGET)
    )


def _policy(site: Site, properties: Properties) -> Live:
    arn = _put_policy(site, properties)
    return Live(arn, {"Arn": arn})


def _put_policy(site: Site, properties: Properties) -> str:
    names = (
        "PolicyName",
        "PolicyType",
        "TargetTrackingScalingPolicyConfiguration",
        "StepScalingPolicyConfiguration",
    )
    arn: str = site.client("application-autoscaling").put_scaling_policy(
        **chosen(properties, *names), **_policy_target(properties)
    )["PolicyARN"]
    return arn


def _policy_target(properties: Properties) -> dict[str, str]:
    if "ScalingTargetId" in properties:
        resource, dimension, namespace = properties["ScalingTargetId"].split("|")
        return dict(zip(_TARGET, (namespace, resource, dimension), strict=True))
    return chosen(properties, *_TARGET)


def _update_policy(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    _put_policy(site, new)
    return live


def _delete_policy(site: Site, live: Live, properties: Properties) -> None:
    site.client("application-autoscaling").delete_scaling_policy(
        PolicyName=properties["PolicyName"], **_policy_target(properties)
    )


TYPES = {
    "AWS::ApplicationAutoScaling::ScalableTarget": ResourceType(
        _scalable_target, _delete_scalable_target, _update_scalable_target, frozenset(_TARGET)
    ),
    "AWS::ApplicationAutoScaling::ScalingPolicy": ResourceType(
        _policy, _delete_policy, _update_policy, frozenset({"PolicyName", "ScalingTargetId"})
    ),
    "AWS::ECR::Repository": ResourceType(
        _repository,
        _delete_repository,
        _update_repository,
        frozenset({"RepositoryName"}),
        "RepositoryName",
    ),
    "AWS::ECS::Cluster": ResourceType(
        _cluster, _delete_cluster, _update_cluster, frozenset({"ClusterName"}), "ClusterName"
    ),
    "AWS::ECS::Service": ResourceType(
        _service, _delete_service, _update_service, frozenset(_SERVICE_IDENTITY), "ServiceName"
    ),
    # A changed definition is a new revision; only its tags can be changed.
    "AWS::ECS::TaskDefinition": ResourceType(
        _task_definition,
        _delete_task_definition,
        _retag_definition,
        frozenset(
            {
                "ContainerDefinitions",
                "Cpu",
                "EphemeralStorage",
                "ExecutionRoleArn",
                "Family",
                "Memory",
                "NetworkMode",
                "RequiresCompatibilities",
                "RuntimePlatform",
                "TaskRoleArn",
                "Volumes",
            }
        ),
    ),
}
