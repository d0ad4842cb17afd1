"""How documents become DynamoDB items and come back. Pure; no I/O.

A record's fields that conditions and expressions look at are attributes of their own; nested
documents are JSON text, so that version N - 1 of the code can carry along what it does not know.
"""

import json
from collections.abc import Collection
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from greenlane.deployments.model import Record
from greenlane.deployments.phases import Phase

Item = dict[str, dict[str, Any]]

_JSON_FIELDS = frozenset(
    {"recipe", "trigger", "signal", "scaling", "scaled_in", "stickiness", "drift", "shifts"}
)

# Of our own: to ask pydantic for the fields takes longer than to read one.
_FIELDS = tuple(Record.model_fields)
_KNOWN = frozenset(_FIELDS)


def instant(moment: datetime) -> str:
    """An instant as text that sorts by time: UTC, microseconds, always the same width."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def attribute(name: str, value: Any) -> dict[str, Any]:
    """One field of a `Record` as a DynamoDB attribute value."""
    if name in _JSON_FIELDS:
        return {"S": json.dumps(to_jsonable_python(value))}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, Enum):
        return {"S": str(value.value)}
    if isinstance(value, int | Decimal):
        return {"N": str(value)}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, datetime):
        return {"S": instant(value)}
    if isinstance(value, tuple | list):
        return {"L": [{"S": str(part)} for part in value]}
    raise TypeError(f"{name}: no DynamoDB shape for {type(value).__name__}")


def plain(name: str, value: dict[str, Any]) -> Any:
    """The inverse of `attribute`."""
    if name in _JSON_FIELDS:
        return json.loads(value["S"])
    ((kind, content),) = value.items()
    if kind == "N":
        return int(content)
    if kind == "L":
        return [part["S"] for part in content]
    return content


def record_key(service: str) -> Item:
    """The key of a service's one record."""
    return {"pk": {"S": f"SERVICE#{service}"}, "sk": {"S": "RECORD"}}


def record_item(record: Record) -> Item:
    """A record as the item to put; fields that are None are absent."""
    fields = {
        name: attribute(name, value)
        for name in _FIELDS
        if (value := getattr(record, name)) is not None
    }
    return record_key(record.service) | fields


def record_from(item: Item) -> Record:
    """The record that an item holds."""
    return Record.model_validate(
        {name: plain(name, value) for name, value in item.items() if name in _KNOWN}
    )


def phase_list(values: Item, phases: Collection[Phase]) -> str:
    """The placeholders of an `IN (...)` over phases, whose values are added to an expression's."""
    placeholders = []
    for number, phase in enumerate(sorted(phases)):
        placeholders.append(f":phase{number}")
        values[placeholders[-1]] = {"S": phase.value}
    return ", ".join(placeholders)


def body_item(pk: str, sk: str, body: BaseModel, **extra: dict[str, Any]) -> Item:
    """A document stored whole, as JSON text in `body`."""
    return {"pk": {"S": pk}, "sk": {"S": sk}, "body": {"S": body.model_dump_json()}} | extra
