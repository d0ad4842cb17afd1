"""Values of DynamoDB's attributes: what is one, how large it is, a copy of it, a sum."""

import marshal
import re
from decimal import Context, Decimal
from typing import Any, TypeVar, cast

from tests.expressions import Attributes, Literal, Path, Refusal, Scope, Value

T = TypeVar("T")

_KINDS: dict[str, Any] = {
    "S": str,
    "N": str,
    "B": bytes,
    "BOOL": bool,
    "NULL": bool,
    "L": list,
    "M": dict,
}
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
LARGEST_ITEM, LARGEST_PAGE = 400 * 1024, 1024 * 1024
DIGITS = 38
_WIDE = Context(prec=2 * DIGITS)


class Overflow(Refusal):
    """What is there already and what is added do not fit into one number."""

    def __init__(self) -> None:
        super().__init__("Number overflow. Attempting to store a number with magnitude too large")


def added(scope: Scope, path: Path, value: Literal) -> Value:
    """What ADD makes of a number; one that is not there is 0. Exact, or refused."""
    scope.require(value, ("N",), "ADD")
    found = scope.item.get(scope.name(path), {"N": "0"})
    if "N" not in found:
        raise Refusal("An operand in the update expression has an incorrect data type")
    total = _WIDE.add(Decimal(found["N"]), Decimal(scope.values[value.token]["N"]))
    total = total.normalize(_WIDE)
    if len(total.as_tuple().digits) > DIGITS:
        raise Overflow
    return {"N": f"{total:f}"}


def copied(thing: T) -> T:
    """A copy that shares nothing; `copy.deepcopy` takes twenty times as long."""
    try:
        # The second version of the format knows of no parts that are one and the same.
        return cast(T, marshal.loads(marshal.dumps(cast(Any, thing), 2)))
    except ValueError:  # there is more in it than plain values
        return _copied_by_parts(thing)


def _copied_by_parts(thing: T) -> T:
    if isinstance(thing, dict):
        return cast(T, {name: _copied_by_parts(part) for name, part in thing.items()})
    if isinstance(thing, list):
        return cast(T, [_copied_by_parts(part) for part in thing])
    return thing


def check_value(value: Value) -> None:
    """Sets are refused too: nobody stores any, so none are compared here."""
    if not isinstance(value, dict) or len(value) != 1:
        raise Refusal("Supplied AttributeValue must contain exactly one of the supported datatypes")
    ((kind, content),) = value.items()
    if kind not in _KINDS or not isinstance(content, _KINDS[kind]):
        raise Refusal(f"Supplied AttributeValue is no {kind}: {content!r}")
    if kind == "N" and not _NUMBER.fullmatch(content):
        raise Refusal(f"The parameter cannot be converted to a numeric value: {content}")
    if kind in ("L", "M"):
        for part in content.values() if kind == "M" else content:
            check_value(part)


def size(value: Any) -> int:
    """The bytes that DynamoDB counts: exact for names, strings and binaries: nearly all."""
    if isinstance(value, dict):
        return sum(len(name.encode()) + size(part) for name, part in value.items())
    if isinstance(value, list):
        return sum(1 + size(part) for part in value)
    if isinstance(value, bytes):
        return len(value)
    return len(value.encode()) if isinstance(value, str) else 1


def _at_most(item: Attributes) -> float:
    """No less than the size, for each part has its length before it here; found at once."""
    try:
        return len(marshal.dumps(item, 0))
    except ValueError:
        return float("inf")


def check_item(item: Attributes) -> None:
    for value in item.values():
        check_value(value)
    check_size(item)


def check_size(item: Attributes) -> None:
    if _at_most(item) > LARGEST_ITEM and size(item) > LARGEST_ITEM:
        raise Refusal("Item size has exceeded the maximum allowed size")
