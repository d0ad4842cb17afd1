"""EventBridge event patterns: does an event match?

The language is AWS's (docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html):
a pattern names the fields it cares about, each with a list of alternatives.
"""

import fnmatch
import operator
from collections.abc import Callable
from typing import Any

_ABSENT = object()
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}


def matches(pattern: dict[str, Any], event: Any) -> bool:
    """Whether `event` matches `pattern`.

    Raises:
        ValueError: the pattern uses an operator that EventBridge does not have.
    """
    for name, wanted in pattern.items():
        if name == "$or":
            if not any(matches(alternative, event) for alternative in wanted):
                return False
            continue
        value = event.get(name, _ABSENT) if isinstance(event, dict) else _ABSENT
        if isinstance(wanted, dict):
            if not matches(wanted, {} if value is _ABSENT else value):
                return False
        elif not any(_alternative(item, value) for item in wanted):
            return False
    return True


def _alternative(wanted: Any, value: Any) -> bool:
    """One alternative of a field; an array in the event matches when any element does."""
    if isinstance(wanted, dict) and "exists" in wanted:
        return bool(wanted["exists"]) == (value is not _ABSENT)
    if value is _ABSENT:
        return False
    if isinstance(value, list):
        return any(_alternative(wanted, element) for element in value)
    if isinstance(wanted, dict):
        ((name, operand),) = wanted.items()
        return _operation(name, operand, value)
    return type(wanted) is type(value) and bool(wanted == value) or _same_number(wanted, value)


def _same_number(wanted: Any, value: Any) -> bool:
    return _is_number(wanted) and _is_number(value) and bool(wanted == value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _operation(name: str, operand: Any, value: Any) -> bool:
    if name == "anything-but":
        if isinstance(operand, dict):
            ((inner, inner_operand),) = operand.items()
            return not _any_of(inner, inner_operand, value)
        return value not in (operand if isinstance(operand, list) else [operand])
    if name == "numeric":
        pairs = zip(operand[::2], operand[1::2], strict=True)
        return _is_number(value) and all(_COMPARE[sign](value, limit) for sign, limit in pairs)
    return _any_of(name, operand, value)


def _any_of(name: str, operand: Any, value: Any) -> bool:
    """A text operation; inside `anything-but` its operand may be a list."""
    operands = operand if isinstance(operand, list) else [operand]
    return any(_text(name, one, value) for one in operands)


def _text(name: str, operand: Any, value: Any) -> bool:
    if isinstance(operand, dict):
        return _text(name, operand["equals-ignore-case"].lower(), value.lower() if value else value)
    if name not in ("prefix", "suffix", "wildcard", "equals-ignore-case"):
        raise ValueError(f"EventBridge has no operator {name!r} in event patterns")
    if not isinstance(value, str):
        return False
    if name == "prefix":
        return bool(value.startswith(operand))
    if name == "suffix":
        return value.endswith(operand)
    if name == "equals-ignore-case":
        return bool(value.lower() == operand.lower())
    return fnmatch.fnmatchcase(value, operand.replace("[", "[[]").replace("?", "[?]"))
