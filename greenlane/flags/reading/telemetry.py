"""Tells of evaluations: one line in CloudWatch's embedded metric format for each batch of them.

Names are those of OpenFeature's conventions: `feature_flag.key`, `feature_flag.result.variant`,
`feature_flag.result.reason`, `feature_flag.set.id`, `feature_flag.version`. A line goes to standard
output, which Lambda and the ECS log driver take to CloudWatch; nothing waits for a network.

A part of the evaluations is counted, and each counts for as many as it stands for. What is known of
a user is never written.
"""

from __future__ import annotations

import json
import os
import sys
import time
from threading import Lock

TYPE_CHECKING = False  # `typing` itself costs more to import than all of this module
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from greenlane.flags.evaluating.evaluation import Evaluation

NAMESPACE = "Greenlane/Flags"
METRIC, ERRORS = "Evaluations", "EvaluationErrors"
KEY, VARIANT, REASON = (
    "feature_flag.key",
    "feature_flag.result.variant",
    "feature_flag.result.reason",
)
SET, VERSION, ERROR_TYPE = "feature_flag.set.id", "feature_flag.version", "error.type"

MOST_KINDS = 2_000
"""Different (flag, variant, reason) between two flushes; what goes beyond is written at once."""


class Telemetry:
    """Counts evaluations of one environment, and writes the counts now and then.

    Args:
        environment: `feature_flag.set.id`.
        sampled: the share of evaluations that is counted, 0 to 1. 0 is off. Each is taken by
            chance, one in `1 / sampled`, rounded: 0.3 counts as a third. Taking every third would
            count one flag alone where requests ask for three, and too much where processes are
            short-lived.
        flush_seconds: how long counts wait at most while evaluations go on; the rest is written by
            `flush`. 0 writes each at once, which suits a function that may be frozen.
        write: takes a line without its end.
        clock: Unix seconds.
        draw: a number from 0 to 1, by chance.

    Raises:
        InvalidInput: a share outside 0 to 1.
    """

    def __init__(
        self,
        environment: str,
        *,
        sampled: float = 0.0,
        flush_seconds: float = 60.0,
        write: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.time,
        draw: Callable[[], float] | None = None,
    ) -> None:
        """See the class."""
        if not 0 <= sampled <= 1:
            from greenlane.errors import InvalidInput  # not on the way of a lookup

            raise InvalidInput("sampled", sampled, "give a share from 0 to 1")
        self.environment, self.on = environment, sampled > 0
        self._every = round(1 / sampled) if sampled else 0
        self._flush_seconds, self._clock = flush_seconds, clock
        self._write = write or _to_standard_output
        self._draw = draw or _chance(self._every)
        self._begin()

    def _begin(self) -> None:
        self._lock, self._process = Lock(), os.getpid()
        self._counts: dict[tuple[str, str, str, str, int], int] = {}
        self._since = self._clock()

    def tell(self, found: Evaluation, version: int) -> None:
        """Count one evaluation, if it is its turn.

        Args:
            found: what was evaluated.
            version: of the flags.
        """
        if not self.on or self._draw() * self._every >= 1:
            return
        self._after_fork()
        with self._lock:
            kind = (found.key, found.variant or "", found.reason, found.error or "", version)
            self._counts[kind] = self._counts.get(kind, 0) + self._every
            now = self._clock()
            old = not 0 <= now - self._since < self._flush_seconds
            counts = self._taken(now) if old or len(self._counts) >= MOST_KINDS else {}
        self._out(counts, now)

    def flush(self) -> None:
        """Write what was counted since the last time."""
        self._after_fork()
        with self._lock:
            now = self._clock()
            counts = self._taken(now)
        self._out(counts, now)

    def _after_fork(self) -> None:
        # What was counted before is the other process's, and so may be the lock.
        if self._process != os.getpid():
            self._begin()

    def _taken(self, now: float) -> dict[tuple[str, str, str, str, int], int]:
        counts, self._counts, self._since = self._counts, {}, now
        return counts

    def _out(self, counts: dict[tuple[str, str, str, str, int], int], now: float) -> None:
        for (key, variant, reason, error, version), count in counts.items():
            self._write(_line(self.environment, key, variant, reason, error, version, count, now))


def _line(
    environment: str,
    key: str,
    variant: str,
    reason: str,
    error: str,
    version: int,
    count: int,
    now: float,
) -> str:
    # By flag and variant: one number for a ramp's dashboard, and few enough to pay for.
    metrics: list[dict[str, Any]] = [{"Name": METRIC, "Unit": "Count"}]
    told: dict[str, Any] = {
        KEY: key,
        # OpenFeature's reasons are lower-case there, upper-case in answers.
        REASON: reason.lower(),
        VARIANT: variant or "default",
        SET: environment,
        VERSION: str(version),
        METRIC: count,
    }
    if error:
        metrics.append({"Name": ERRORS, "Unit": "Count"})
        told |= {ERRORS: count, ERROR_TYPE: error.lower()}
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [[SET, KEY, VARIANT]],
        "Metrics": metrics,
    }
    about = {"Timestamp": int(now * 1000), "CloudWatchMetrics": [directive]}
    return json.dumps({"_aws": about, **told}, separators=(",", ":"))


def _chance(every: int) -> Callable[[], float]:
    if every <= 1:
        return lambda: 0.0
    import random  # most processes count nothing

    return random.random


def _to_standard_output(line: str) -> None:
    sys.stdout.write(f"{line}\n")
