"""When a test is looked at, and when it is watched. Pure; no I/O.

Looks are due at whole multiples of `look_interval` after the start, and once more when
`maximum_duration` is over. One that was missed is taken late and not made up for: the next one is
the next multiple. Everything is counted from what is stored, so whoever asks gets the same answer.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.experiments.model import Experiment
from greenlane.experiments.records import ENDS, Look

LONGEST_WAIT = timedelta(days=7)
"""The workflow looks at the table at least so often, and ends for a test that is over."""

MOST_ROUNDS = 1000
"""Of one execution, some nine events each; Step Functions ends one that has 25,000."""

Next = Literal["conclude", "wait", "over"]


class ExperimentRun(StoredModel):
    """What goes from state to state of the workflow.

    Args:
        test: its name.
        run: which of its runs.
        next: what comes next.
        wait_seconds: after how long, where that is `wait`.
        rounds: how often this execution has judged.
    """

    schema_version: int = 1
    test: str
    run: int
    next: Next = "wait"
    wait_seconds: int = 0
    rounds: int = 0


def next_look(test: Experiment, started: datetime, looks: Sequence[Look]) -> datetime | None:
    """When the next look is due; None after the last one.

    Args:
        test: its definition.
        started: when the first user could take part.
        looks: those that were taken, oldest first.
    """
    if looks and is_over(looks):
        return None
    before = looks[-1].snapshot.at if looks else started
    taken = max(before - started, timedelta(0)) // test.look_interval
    due = started + (taken + 1) * test.look_interval
    if test.maximum_duration is None:
        return due
    return min(due, started + test.maximum_duration)


def is_over(looks: Sequence[Look]) -> bool:
    """Whether the last look ended the test, by its verdict or by its time."""
    return bool(looks) and (looks[-1].verdict in ENDS or looks[-1].final)


def watch_due(test: Experiment, started: datetime, watched: datetime | None) -> datetime:
    """When the next watch is due: a while after the start, or after the last one."""
    return (started if watched is None else max(started, watched)) + test.watch_interval


def whole_seconds(wait: timedelta) -> int:
    """A wait in whole seconds, rounded up: nothing is early, and nothing turns without a pause."""
    return max(math.ceil(min(wait, LONGEST_WAIT).total_seconds()), 1)
