"""Which method of a REST API a path means: API Gateway's order of precedence.

Segment by segment, a literal one comes before `{name}`, and that before `{name+}`, which takes all
that follow.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_PARAMETER = re.compile(r"^\{([^}+]+)(\+?)\}$")


@dataclass
class Node:
    """A resource: its path, its methods by name, and the resources below it."""

    path: str = "/"
    methods: dict[str, Any] = field(default_factory=dict)
    literals: "dict[str, Node]" = field(default_factory=dict)
    parameter: "tuple[str, Node] | None" = None
    rest: "tuple[str, Node] | None" = None


@dataclass(frozen=True)
class Found:
    """A resource that a path means, and its path parameters as they were sent."""

    node: Node
    parameters: Mapping[str, str]


def tree(resources: Iterable[tuple[str, Mapping[str, Any]]]) -> Node:
    """The tree of resources, from their full paths and methods."""
    root = Node()
    for path, methods in resources:
        node = root
        for part in [one for one in path.split("/") if one]:
            node = _child(node, part)
        node.path, node.methods = path, dict(methods)
    return root


def _child(node: Node, part: str) -> Node:
    path = f"{node.path.rstrip('/')}/{part}"
    parameter = _PARAMETER.match(part)
    if parameter is None:
        return node.literals.setdefault(part, Node(path))
    if parameter[2]:
        node.rest = node.rest or (parameter[1], Node(path))
        return node.rest[1]
    node.parameter = node.parameter or (parameter[1], Node(path))
    return node.parameter[1]


def find(root: Node, path: str, method: str) -> Found | None:
    """The resource that a path means and that has this method (or `ANY`), or None.

    Args:
        root: of the tree.
        path: below the stage, still percent-encoded; a slash at its end counts for nothing.
        method: the HTTP method.
    """
    return _find(root, [part for part in path.strip("/").split("/") if part], method, {})


def _find(
    node: Node, parts: Sequence[str], method: str, parameters: Mapping[str, str]
) -> Found | None:
    if not parts:
        return Found(node, parameters) if {method, "ANY"} & node.methods.keys() else None
    first, *others = parts
    if first in node.literals and (
        found := _find(node.literals[first], others, method, parameters)
    ):
        return found
    if node.parameter is not None:
        name, below = node.parameter
        if found := _find(below, others, method, {**parameters, name: first}):
            return found
    if node.rest is not None:
        name, below = node.rest
        return _find(below, (), method, {**parameters, name: "/".join(parts)})
    return None
