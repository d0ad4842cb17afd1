"""What botocore would refuse of a call is refused, in a fraction of the time that it takes.

What surely is right is found by short ways of our own, one made of each shape. The rest is left to
botocore, which knows what is wrong, if anything is.
"""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

import botocore.validate

LONGEST_NAME = 65535
_KINDS: dict[str, type] = {"S": str, "N": str, "B": bytes, "BOOL": bool, "NULL": bool}
Surely = Callable[[Any], bool]
"""Whether a value surely is as its shape has it."""


def is_value(value: Any) -> bool:
    """Whether it surely is one; what is not is left to botocore, which knows what is wrong."""
    if type(value) is not dict or len(value) != 1:
        return False
    ((kind, content),) = value.items()
    if kind == "M":
        return type(content) is dict and all(
            type(name) is str and len(name) <= LONGEST_NAME and is_value(part)
            for name, part in content.items()
        )
    if kind == "L":
        return type(content) is list and all(is_value(part) for part in content)
    return kind in _KINDS and type(content) is _KINDS[kind]


def check(arguments: dict[str, Any], shape: Any) -> None:
    """Check a call's arguments against the model of the service.

    Raises:
        ParamValidationError: with what is wrong, in botocore's words.
    """
    if not surely(shape)(arguments):
        botocore.validate.validate_parameters(arguments, shape)


@cache
def surely(shape: Any) -> Surely:
    """The short way for a shape of botocore's."""
    if shape.name == "AttributeValue":
        return is_value
    special = getattr(shape, "serialization", {})
    if special.get("jsonvalue") or special.get("hostLabel"):
        return _unsure
    kind = "number" if shape.type_name in ("integer", "long", "float", "double") else None
    return _WAYS.get(kind or shape.type_name, lambda shape: _unsure)(shape)


def _unsure(value: Any) -> bool:
    del value
    return False


def _structure(shape: Any) -> Surely:
    if shape.is_tagged_union or shape.is_document_type:
        return _unsure
    members, required = shape.members, frozenset(shape.metadata.get("required", ()))
    ways: dict[Any, Surely] = {}

    def way(value: Any) -> bool:
        if type(value) is not dict or not required <= value.keys():
            return False
        for name, part in value.items():
            if name not in ways:
                if name not in members:
                    return False
                ways[name] = surely(members[name])
            if not ways[name](part):
                return False
        return True

    return way


def _list(shape: Any) -> Surely:
    fewest, member = shape.metadata.get("min", 0), shape.member

    def way(value: Any) -> bool:
        # Asked for now, for what is in a list may have such a list in it.
        return type(value) is list and len(value) >= fewest and all(map(surely(member), value))

    return way


def _map(shape: Any) -> Surely:
    key, content = shape.key, shape.value

    def way(value: Any) -> bool:
        return (
            type(value) is dict
            and all(map(surely(key), value))
            and all(map(surely(content), value.values()))
        )

    return way


def _string(shape: Any) -> Surely:
    shortest = shape.metadata.get("min", 0)
    return lambda value: type(value) is str and len(value) >= shortest


def _number(shape: Any) -> Surely:
    least = shape.metadata.get("min", float("-inf"))
    types = (int,) if shape.type_name in ("integer", "long") else (int, float)
    return lambda value: type(value) in types and value >= least


def _of_type(*types: type) -> Callable[[Any], Surely]:
    return lambda shape: lambda value: type(value) in types


_WAYS: dict[str, Callable[[Any], Surely]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "number": _number,
    "boolean": _of_type(bool),
    "timestamp": _of_type(datetime),
    "blob": _of_type(bytes, bytearray, str),
}
