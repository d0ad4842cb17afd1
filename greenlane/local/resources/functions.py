"""Lambda functions, versions, layers and their asynchronous invocation."""

from typing import Any

from greenlane.local.resolve import Live
from greenlane.local.resources.kinds import Properties, ResourceType, Site, chosen

_CONFIGURATION = (
    "Description",
    "Environment",
    "EphemeralStorage",
    "Handler",
    "KmsKeyArn",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "Role",
    "Runtime",
    "Timeout",
    "TracingConfig",
    "VpcConfig",
)


def _function(site: Site, properties: Properties) -> Live:
    client = site.client("lambda")
    function = client.create_function(
        FunctionName=properties.get("FunctionName") or site.name(),
        Code=_code(properties),
        Tags={tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])},
        **chosen(properties, *_CONFIGURATION, "Architectures", "PackageType"),
    )
    if "ReservedConcurrentExecutions" in properties:
        client.put_function_concurrency(
            FunctionName=function["FunctionName"],
            ReservedConcurrentExecutions=properties["ReservedConcurrentExecutions"],
        )
    return Live(function["FunctionName"], {"Arn": function["FunctionArn"]})


def _code(properties: Properties) -> dict[str, Any]:
    return chosen(properties["Code"], "S3Bucket", "S3Key", "S3ObjectVersion", "ImageUri")


def _update_function(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    client = site.client("lambda")
    if old["Code"] != new["Code"]:
        client.update_function_code(FunctionName=live.physical_id, **_code(new))
    given = chosen(new, *_CONFIGURATION)
    if given != chosen(old, *_CONFIGURATION):
        # A variable that is gone from the template is gone from the function.
        given.setdefault("Environment", {"Variables": {}})
        client.update_function_configuration(FunctionName=live.physical_id, **given)
    return live


def _delete_function(site: Site, live: Live, properties: Properties) -> None:
    site.client("lambda").delete_function(FunctionName=live.physical_id)


def _version(site: Site, properties: Properties) -> Live:
    version = site.client("lambda").publish_version(
        **chosen(properties, "FunctionName", "Description")
    )
    attributes = {"Version": version["Version"], "FunctionArn": version["FunctionArn"]}
    return Live(version["FunctionArn"], attributes)


def _delete_version(site: Site, live: Live, properties: Properties) -> None:
    name, _, version = live.physical_id.partition(":function:")[2].partition(":")
    site.client("lambda").delete_function(FunctionName=name, Qualifier=version)


def _layer(site: Site, properties: Properties) -> Live:
    layer = site.client("lambda").publish_layer_version(
        LayerName=properties.get("LayerName") or site.name(140),
        Content=chosen(properties["Content"], "S3Bucket", "S3Key", "S3ObjectVersion"),
        **chosen(
            properties,
            "Description",
            "LicenseInfo",
            "CompatibleRuntimes",
            "CompatibleArchitectures",
        ),
    )
    return Live(layer["LayerVersionArn"], {"LayerVersionArn": layer["LayerVersionArn"]})


def _delete_layer(site: Site, live: Live, properties: Properties) -> None:
    name, version = live.physical_id.split(":")[-2:]
    site.client("lambda").delete_layer_version(LayerName=name, VersionNumber=int(version))


def _invocation(site: Site, properties: Properties) -> Live:
    _put_invocation(site, properties)
    return Live(_qualified(properties))


def _put_invocation(site: Site, properties: Properties) -> None:
    site.client("lambda").put_function_event_invoke_config(
        FunctionName=_qualified(properties),
        **chosen(
            properties, "MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig"
        ),
    )


def _qualified(properties: Properties) -> str:
    """A name that says the version: the emulated API overlooks `Qualifier`.

    The latest one is the name alone, since it does not understand `$LATEST` in a name.
    """
    name, qualifier = str(properties["FunctionName"]), properties["Qualifier"]
    return name if qualifier == "$LATEST" else f"{name}:{qualifier}"


def _update_invocation(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    _put_invocation(site, new)
    return live


def _delete_invocation(site: Site, live: Live, properties: Properties) -> None:
    site.client("lambda").delete_function_event_invoke_config(FunctionName=live.physical_id)


TYPES = {
    "AWS::Lambda::Function": ResourceType(
        _function,
        _delete_function,
        _update_function,
        frozenset({"FunctionName", "PackageType", "Architectures"}),
        "FunctionName",
    ),
    "AWS::Lambda::Version": ResourceType(_version, _delete_version),
    "AWS::Lambda::LayerVersion": ResourceType(_layer, _delete_layer),
    "AWS::Lambda::EventInvokeConfig": ResourceType(
        _invocation,
        _delete_invocation,
        _update_invocation,
        frozenset({"FunctionName", "Qualifier"}),
    ),
}
