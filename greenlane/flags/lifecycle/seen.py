"""When a flag was last evaluated, and which variants it served: for finding flags nobody needs.

Counting happens in memory and costs a dictionary's entry. What is written is one small item per
flag and environment, at most once an hour from each process, some of the time only where `sample`
says so; a write that fails is forgotten. So it is never in the way of an evaluation.

The item, key `seen#<environment>`, `<flag>`: `first` (a day), `last` (an hour, as
`2026-11-24T13`), `count` (as far as it was sampled), and for each variant `variant:<name>`, the
day on which it was served last; `variant:-` is the code's own default. Days are UTC.

Imports nothing heavy: the lookup function uses it.
"""

from __future__ import annotations

import random
import time

TYPE_CHECKING = False  # `typing` itself costs more to import than all of this module
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

PREFIX, VARIANT, DEFAULT = "seen#", "variant:", "-"

MOST_FLAGS = 5000
"""Flags that are counted; what goes beyond is none that somebody defined."""

MOST_AT_ONCE = 3
"""Writes of one `flush`: what is left waits for the next."""


class Seen:
    """Counts evaluations, and writes them now and then.

    Args:
        write: sends one `UpdateItem`; it is given all its parameters but the table's name. It
            must have a short timeout.
        environment: whose evaluations these are.
        sample: the share of hours, 0 to 1, in which a flag is written from this process.
        clock: Unix seconds.
        draw: a number from 0 to 1, by chance.
    """

    def __init__(
        self,
        write: Callable[[Mapping[str, Any]], object],
        environment: str,
        *,
        sample: float = 1.0,
        clock: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """See the class."""
        self._write = write
        self.environment = environment
        self._sample = sample
        self._clock = clock
        self._draw = draw
        self._counts: dict[str, dict[str, int]] = {}
        self._hours: dict[str, str] = {}
        self.failed = 0

    def note(self, key: str, variant: str | None) -> None:
        """Count one evaluation of a flag that is defined; None is the code's own default."""
        if key not in self._counts and len(self._counts) >= MOST_FLAGS:
            return
        counts = self._counts.setdefault(key, {})
        name = DEFAULT if variant is None else variant
        counts[name] = counts.get(name, 0) + 1

    def flush(self, most: int = MOST_AT_ONCE) -> int:
        """Write what is due, and say how many items that were; it never raises.

        Call it where nobody waits: after the answer, or from a thread of its own.
        """
        hour = _hour(self._clock())
        written = 0
        for key in [key for key in list(self._counts) if self._hours.get(key) != hour]:
            if written >= most:
                break
            self._hours[key] = hour
            if self._draw() >= self._sample:
                continue  # the counts stay, for the next hour
            counts = self._counts.pop(key, None)
            if counts is None:
                continue  # another thread took it
            written += 1
            try:
                self._write(update_of(self.environment, key, counts, hour))
            except Exception:
                # Knowing when a flag was used is worth no failed request, and no second try.
                self.failed += 1
        return written


def update_of(environment: str, key: str, counts: Mapping[str, int], hour: str) -> dict[str, Any]:
    """The parameters of `UpdateItem`, but for the table's name.

    Args:
        environment: its name.
        key: the flag's.
        counts: evaluations by variant.
        hour: such as `2026-11-24T13`.
    """
    names = {"#last": "last", "#first": "first", "#count": "count"}
    sets = [
        "#last = :hour",
        "#first = if_not_exists(#first, :day)",
        "#count = if_not_exists(#count, :zero) + :more",
    ]
    for number, variant in enumerate(list(counts)):
        names[f"#v{number}"] = VARIANT + variant
        sets.append(f"#v{number} = :day")
    return {
        "Key": {"pk": {"S": PREFIX + environment}, "sk": {"S": key}},
        "UpdateExpression": "SET " + ", ".join(sets),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": {
            ":hour": {"S": hour},
            ":day": {"S": hour[:10]},
            ":zero": {"N": "0"},
            ":more": {"N": str(sum(counts.values()))},
        },
    }


def boto_writer(client: Any, table: str) -> Callable[[Mapping[str, Any]], object]:
    """How boto3 sends what `Seen` writes; the client's timeouts are the caller's choice."""
    return lambda update: client.update_item(TableName=table, **update)


def _hour(now: float) -> str:
    return time.strftime("%Y-%m-%dT%H", time.gmtime(now))
