"""A file of events: user, metric, value, at, as CSV with these heads, or as lines of JSON."""

import csv
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from greenlane.errors import InvalidInput
from greenlane.experiments.counting.values import EARLIEST
from greenlane.problems import suggest

COLUMNS = ("user", "metric", "value", "at")
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
"""What comes later was written in another unit, and would stretch all looks to one."""


class TimedEvent(NamedTuple):
    """One line. With an empty `metric` it only says that the user was exposed."""

    line: int
    user: str
    metric: str
    value: str
    at: datetime


def read_events(path: Path) -> Iterator[TimedEvent]:
    """The events of a file, in its order.

    Args:
        path: `.csv`, or anything else with one JSON object a line. `at` is a time in ISO 8601, UTC
            where it has no zone. `metric` and `value` may be empty, or left out in JSON.

    Raises:
        InvalidInput: naming the line and what is wrong with it.
        OSError: the file cannot be read.
    """
    read = _csv if path.suffix.lower() == ".csv" else _lines
    try:
        # With the mark that spreadsheets write before the first head, or without it.
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from read(path, file)
    except UnicodeDecodeError as error:
        said = f"it is not UTF-8 ({error.reason}); save it as that"
        raise InvalidInput("--events", str(path), said) from None


def _csv(path: Path, file: TextIO) -> Iterator[TimedEvent]:
    reader = csv.DictReader(file)
    try:
        _check_heads(path, reader.fieldnames or ())
        for row in reader:
            if any(row.get(None) or ()):
                said = f"it has more than the columns {','.join(COLUMNS)}; quote what has a comma"
                raise InvalidInput(f"line {reader.line_num}", str(row[None])[:80], said)
            yield _event(reader.line_num, row)
    except csv.Error as error:
        said = f"it cannot be read as CSV ({error}); quote what has a comma, a quote or a new line"
        raise InvalidInput(f"line {reader.line_num}", str(path), said) from None


def _lines(path: Path, file: TextIO) -> Iterator[TimedEvent]:
    del path
    for number, line in enumerate(file, start=1):
        if line.strip():
            yield _event(number, _json(number, line))


def _check_heads(path: Path, heads: Any) -> None:
    for name in COLUMNS:
        if name not in heads:
            said = f"it has no column {name}; the first line is: {','.join(COLUMNS)}"
            raise InvalidInput("--events", str(path), said)
    for name in heads:
        if name not in COLUMNS:
            near = suggest(str(name), COLUMNS)
            raise InvalidInput("--events", str(name), f"there is no such column{near}")


def _json(number: int, line: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        said = 'write one object a line: {"user": "u1", "metric": "orders", "value": 1, "at": ...}'
        raise InvalidInput(f"line {number}", line.strip()[:80], said)
    for name in found:
        if name not in COLUMNS:
            raise InvalidInput(f"line {number}", name, f"no such key{suggest(name, COLUMNS)}")
    return found


def _event(number: int, row: Mapping[str, Any]) -> TimedEvent:
    user, metric = _text(row, "user"), _text(row, "metric")
    if not user:
        raise InvalidInput(f"line {number}: user", "", "say who; any text that tells users apart")
    value = row.get("value")
    text = "" if value is None else str(value)
    if metric and not text:
        raise InvalidInput(f"line {number}: value", "", "a metric needs a number, such as 1")
    return TimedEvent(number, user, metric, text, _at(number, _text(row, "at")))


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value).strip()


def _at(number: int, text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        said = "write a time such as 2026-03-02T14:05:00Z"
        raise InvalidInput(f"line {number}: at", text, said) from None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    if not EARLIEST <= at < LATEST:
        said = (
            f"it is not between {EARLIEST:%Y} and {LATEST:%Y}; write such as 2026-03-02T14:05:00Z"
        )
        raise InvalidInput(f"line {number}: at", text, said)
    return at
