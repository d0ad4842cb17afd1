"""What a rule's target receives: the event, a part of it, a constant or a transformed text.

See docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html: an unquoted
placeholder becomes a JSON value, one inside a quoted text becomes part of that text.
"""

import json
import re
from typing import Any

_STEP = re.compile(r"\.([A-Za-z0-9_\-]+)|\['([^']+)'\]|\[(\d+)\]")
_PLACEHOLDER = re.compile(r"<([A-Za-z0-9_.\-]+)>")
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')


class InvalidInput(ValueError):
    """The target's input settings do not give JSON for this event."""


def input_for(target: dict[str, Any], event: dict[str, Any], rule_arn: str) -> str:
    """The JSON text that the target of a rule receives.

    Args:
        target: a target in the shape of the PutTargets API.
        event: the event as EventBridge delivers it.
        rule_arn: for the placeholder `<aws.events.rule-arn>`.

    Raises:
        InvalidInput: the path leads nowhere, or the template does not give JSON.
    """
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        found, value = lookup(target["InputPath"], event)
        if not found:
            raise InvalidInput(f"InputPath {target['InputPath']} is not in the event")
        return json.dumps(value)
    if "InputTransformer" in target:
        return _transformed(target["InputTransformer"], event, rule_arn)
    return json.dumps(event)


def lookup(path: str, event: Any) -> tuple[bool, Any]:
    """Follow a simple JSON path (`$.detail.items[0].name`); tells whether it leads somewhere.

    Raises:
        InvalidInput: the path is not one that EventBridge takes.
    """
    if not path.startswith("$"):
        raise InvalidInput(f"{path!r} is no JSON path: it must start with $")
    position = 1
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            raise InvalidInput(f"{path!r} is no simple JSON path (from {path[position:]!r} on)")
        name, quoted, index = step.groups()
        position = step.end()
        if index is not None:
            if not isinstance(event, list) or int(index) >= len(event):
                return False, None
            event = event[int(index)]
        else:
            key = name or quoted
            if not isinstance(event, dict) or key not in event:
                return False, None
            event = event[key]
    return True, event


def _transformed(transformer: dict[str, Any], event: dict[str, Any], rule_arn: str) -> str:
    values: dict[str, Any] = {
        "aws.events.rule-arn": rule_arn,
        "aws.events.rule-name": rule_arn.rpartition("/")[2],
        "aws.events.event.ingestion-time": event["time"],
        "aws.events.event": {k: v for k, v in event.items() if k != "detail"},
        "aws.events.event.json": event,
    }
    for name, path in (transformer.get("InputPathsMap") or {}).items():
        found, value = lookup(path, event)
        if found:
            values[name] = value
    template = transformer["InputTemplate"]
    parts: list[str] = []
    position = 0
    for text in _TEXT.finditer(template):
        parts.append(_values_in(template[position : text.start()], values))
        parts.append(_words_in(text.group(), values))
        position = text.end()
    parts.append(_values_in(template[position:], values))
    result = "".join(parts)
    try:
        json.loads(result)
    except ValueError as error:
        raise InvalidInput(f"the input template gives no JSON ({error}): {result}") from error
    return result


def _values_in(text: str, values: dict[str, Any]) -> str:
    """Unquoted placeholders become JSON values; one whose path is absent becomes null."""
    return _PLACEHOLDER.sub(lambda match: json.dumps(values.get(match.group(1))), text)


def _words_in(text: str, values: dict[str, Any]) -> str:
    """Placeholders inside a quoted text become words of it; absent ones become nothing."""

    def word(match: re.Match[str]) -> str:
        value = values.get(match.group(1), "")
        plain = value if isinstance(value, str) else json.dumps(value)
        return json.dumps(plain)[1:-1]

    return _PLACEHOLDER.sub(word, text)
