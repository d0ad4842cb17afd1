"""Durations as people write them: `30s`, `5m`, `2h`, `14d`, or a sum such as `1h30m`."""

import re
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
LONGEST_SECONDS = 3653 * 86400

_WHOLE = re.compile(r"(?:\d+[smhdw])+")
_PART = re.compile(r"(\d+)([smhdw])")


def parse_seconds(text: str) -> int:
    """The number of seconds that a duration such as `1h30m` means.

    Raises:
        ValueError: it is not a sum of whole numbers with a unit each, or more than 10 years.
    """
    if not _WHOLE.fullmatch(text.strip()):
        raise ValueError("write a duration such as 30s, 5m, 2h, 1h30m or 14d")
    seconds = sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if seconds > LONGEST_SECONDS:
        raise ValueError("a duration may be at most 10 years")
    return seconds


def format_seconds(seconds: float) -> str:
    """The shortest way to write a span of seconds, largest unit first: 5400 is `1h30m`."""
    rest = round(seconds)
    if rest <= 0:
        return "0s"
    text = ""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            text += f"{count}{unit}"
    return text


@lru_cache(maxsize=1024)
def _from_text(text: str) -> timedelta:
    # Stored documents hold the same few, and are read again and again.
    return timedelta(seconds=parse_seconds(text))


def _to_timedelta(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        result = value
    elif isinstance(value, bool):
        raise ValueError("write a duration such as 30s, 5m or 2h")
    elif isinstance(value, str):
        result = _from_text(value)
    elif value == 0:
        result = timedelta(0)
    else:
        raise ValueError("a duration needs a unit, such as 30s, 5m or 2h")
    if result < timedelta(0):
        raise ValueError("a duration cannot be negative")
    return result


Duration = Annotated[
    timedelta,
    BeforeValidator(_to_timedelta),
    PlainSerializer(lambda value: format_seconds(value.total_seconds()), return_type=str),
    WithJsonSchema({"type": "string", "examples": ["30s", "5m", "2h"]}),
]
