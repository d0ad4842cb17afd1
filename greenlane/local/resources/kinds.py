"""What a resource type consists of, and what its handlers get."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from greenlane.local.resolve import Live

Properties = Mapping[str, Any]


class CustomResources(Protocol):
    """Sends requests to custom resources and waits for their answers."""

    def request(self, service_token: str, request: dict[str, Any]) -> dict[str, Any]:
        """Send one request; returns the answer, whatever its status."""
        ...


@dataclass(frozen=True)
class Site:
    """Where a resource is handled.

    `client(service)` is a boto3 client that acts as CloudFormation.
    """

    client: Callable[[str], Any]
    custom: CustomResources
    region: str = ""
    stack_name: str = ""
    stack_id: str = ""
    logical_id: str = ""
    type: str = ""

    def at(self, stack: Any, logical_id: str, kind: str) -> "Site":
        """The site of one resource of a stack (anything with `name`, `id` and `region`)."""
        return replace(
            self,
            region=stack.region,
            stack_name=stack.name,
            stack_id=stack.id,
            logical_id=logical_id,
            type=kind,
        )

    def name(self, limit: int = 64) -> str:
        """The name of a resource that has none: readable and the same each time."""
        return f"{self.stack_name}-{self.logical_id}"[-limit:].lstrip("-")


Create = Callable[[Site, Properties], Live]
Update = Callable[[Site, Live, Properties, Properties], Live]
Delete = Callable[[Site, Live, Properties], None]


@dataclass(frozen=True)
class ResourceType:
    """How to create, update and delete resources of one type.

    `update(site, live, old, new)` gets all properties and writes what CloudFormation would; None
    if every change replaces the resource. A change of an `immutable` property replaces it too.
    `named_by` is the property that gives it a name of its own, if any.
    """

    create: Create
    delete: Delete
    update: Update | None = None
    immutable: frozenset[str] = frozenset()
    named_by: str = ""


def tags(properties: Properties, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """The resource's tags, in the words of the service's API."""
    return [{key: tag["Key"], value: tag["Value"]} for tag in properties.get("Tags", [])]


def given_tags(properties: Properties, camel_case: bool = False) -> dict[str, Any]:
    """The argument `Tags` (or `tags`) of an API call: none if there are none."""
    if not properties.get("Tags"):
        return {}
    return {"tags": tags(properties, "key", "value")} if camel_case else {"Tags": tags(properties)}


def chosen(properties: Properties, *names: str) -> dict[str, Any]:
    """Those of the named properties that are given."""
    return {name: properties[name] for name in names if name in properties}


# Below these, keys are the user's own and keep their spelling.
_FREE_KEYS = frozenset({"Options", "DockerLabels", "DriverOpts", "Labels"})


def camel(value: Any) -> Any:
    """The value with the first letter of each member's name in lower case, as ECS names them."""
    if isinstance(value, list):
        return [camel(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {
        key[0].lower() + key[1:]: dict(item) if key in _FREE_KEYS else camel(item)
        for key, item in value.items()
    }
