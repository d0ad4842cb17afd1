"""CloudFormation's intrinsic functions, parameters and conditions, with values of the local cloud.

See docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html.
"""

import base64
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from greenlane.local.context import ACCOUNT_ID
from greenlane.local.errors import DeploymentFailed

_SUBSTITUTION = re.compile(r"\$\{(!?)([^}]*)\}")
_DYNAMIC = re.compile(r"\{\{resolve:(ssm|ssm-secure|secretsmanager):([^}]+)\}\}")
_ZONES = ("a", "b", "c")


class _NoValue:
    """`AWS::NoValue`: the property is as if it were not there."""


NO_VALUE = _NoValue()


@dataclass
class Live:
    """What exists of a resource: `Ref` gives `physical_id`, `Fn::GetAtt` one of `attributes`."""

    physical_id: str
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass
class Resolver:
    """Resolves the values of one template.

    Args:
        template: the template, as JSON.
        parameters: its parameters' values, resolved.
        resources: what exists of its resources, by logical id; grows while it is deployed.
        pseudo: the values of `AWS::StackName`, `AWS::StackId` and `AWS::Region`.
        exports: what other stacks exported.
        lookup: the value of a dynamic reference, from its service and its path.
    """

    template: Mapping[str, Any]
    parameters: Mapping[str, Any]
    resources: Mapping[str, Live]
    pseudo: Mapping[str, str]
    exports: Mapping[str, Any]
    lookup: Callable[[str, str], str]

    def resolve(self, value: Any) -> Any:
        """The value with every function in it replaced by what it gives.

        Raises:
            DeploymentFailed: a name is unknown, or the function is.
        """
        if isinstance(value, str):
            return _DYNAMIC.sub(lambda match: self.lookup(match.group(1), match.group(2)), value)
        if isinstance(value, list):
            items = [self.resolve(item) for item in value]
            return [item for item in items if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Ref":
                return self.ref(argument)
            if name.startswith("Fn::"):
                return self._function(name, argument)
            if name == "Condition" and isinstance(argument, str):
                return self.condition(argument)
        members = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in members.items() if item is not NO_VALUE}

    def ref(self, name: str) -> Any:
        """What `Ref` gives: of a resource, a parameter or a pseudo parameter."""
        if name in self.resources:
            return self.resources[name].physical_id
        if name in self.parameters:
            return self.parameters[name]
        constants = {
            "AWS::AccountId": ACCOUNT_ID,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::NotificationARNs": [],
            "AWS::NoValue": NO_VALUE,
            **self.pseudo,
        }
        if name not in constants:
            raise DeploymentFailed(f"Ref: nothing is called {name!r}")
        return constants[name]

    def condition(self, name: str) -> bool:
        """Whether a named condition of the template holds."""
        conditions = self.template.get("Conditions", {})
        if name not in conditions:
            raise DeploymentFailed(f"the template has no condition {name!r}")
        return bool(self.resolve(conditions[name]))

    def _function(self, name: str, argument: Any) -> Any:
        if name == "Fn::GetAtt":
            return self._attribute(argument)
        if name == "Fn::Sub":
            return self._substituted(argument)
        if name == "Fn::If":
            chosen = argument[1] if self.condition(argument[0]) else argument[2]
            return self.resolve(chosen)
        arguments = self.resolve(argument)
        functions: dict[str, Callable[[Any], Any]] = {
            "Fn::Join": lambda given: given[0].join(_text(part) for part in given[1]),
            "Fn::Select": lambda given: given[1][int(given[0])],
            "Fn::Split": lambda given: given[1].split(given[0]),
            "Fn::FindInMap": self._mapped,
            "Fn::ImportValue": self._imported,
            "Fn::GetAZs": lambda given: [f"{given or self.ref('AWS::Region')}{z}" for z in _ZONES],
            "Fn::Base64": lambda given: base64.b64encode(given.encode()).decode(),
            "Fn::Cidr": _subnets,
            "Fn::Equals": lambda given: given[0] == given[1],
            "Fn::And": all,
            "Fn::Or": any,
            "Fn::Not": lambda given: not given[0],
            "Fn::Contains": lambda given: given[1] in given[0],
        }
        if name not in functions:
            raise DeploymentFailed(f"the local cloud does not know the function {name}")
        return functions[name](arguments)

    def _attribute(self, argument: Any) -> Any:
        name, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        attribute = self.resolve(attribute)
        if name not in self.resources:
            raise DeploymentFailed(f"Fn::GetAtt: nothing is called {name!r}")
        attributes = self.resources[name].attributes
        if attribute not in attributes:
            raise DeploymentFailed(f"{name} has no attribute {attribute!r}, only {[*attributes]}")
        return attributes[attribute]

    def _substituted(self, argument: Any) -> str:
        text, given = (argument, {}) if isinstance(argument, str) else argument
        values = self.resolve(given)

        def word(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return "${" + name + "}"
            if name in values:
                return _text(values[name])
            if "." in name and not name.startswith("AWS::"):
                return _text(self._attribute(name))
            return _text(self.ref(name))

        return str(self.resolve(_SUBSTITUTION.sub(word, text)))

    def _mapped(self, given: list[Any]) -> Any:
        mapping, top, second, *default = given
        found = self.template.get("Mappings", {}).get(mapping, {}).get(top, {})
        if second in found:
            return found[second]
        if default:
            return default[0]["DefaultValue"]
        raise DeploymentFailed(f"Fn::FindInMap: {mapping} has no {top}.{second}")

    def _imported(self, name: str) -> Any:
        if name not in self.exports:
            raise DeploymentFailed(f"no stack exports {name!r}")
        return self.exports[name]


def references(value: Any) -> Iterator[str]:
    """The logical ids (and other names) that a value refers to."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "Ref":
                yield item
            elif key == "Fn::GetAtt":
                yield item.split(".")[0] if isinstance(item, str) else item[0]
            elif key == "Fn::Sub":
                text = item if isinstance(item, str) else item[0]
                yield from (name.split(".")[0] for _, name in _SUBSTITUTION.findall(text))
            yield from references(item)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _subnets(given: list[Any]) -> list[str]:
    block, count, *rest = given
    network = ipaddress.ip_network(block)
    bits = int(rest[0]) if rest else 8
    prefix = network.max_prefixlen - bits
    found = network.subnets(new_prefix=prefix)
    return [str(next(found)) for _ in range(int(count))]
