"""The step of the workflow that looks: a look when it is due, and when the next one is.

It reads what is stored and keeps what it saw on the condition that nobody else did. So a step that
is repeated, or done by two executions at once, comes to the same looks.
"""

from datetime import timedelta

from greenlane.experiments.decision import decide
from greenlane.experiments.records import Look, Snapshot
from greenlane.experiments.running.runtime import ExperimentRuntime
from greenlane.experiments.running.timing import (
    MOST_ROUNDS,
    ExperimentRun,
    is_over,
    next_look,
    whole_seconds,
)
from greenlane.experiments.storing.state import StoredTest
from greenlane.logs import logger


def judge_experiment(run: ExperimentRun, runtime: ExperimentRuntime) -> ExperimentRun:
    """Take the look that is due, if one is.

    Returns:
        The run with what comes next: `conclude` after a look that ended the test, `over` when
        somebody else ended it.

    Raises:
        UnknownTest: there is no such test.
        OutOfBudget: what was counted does not fit together.
        ClientError: the table did not answer.
    """
    test = runtime.experiments.test(run.test)
    if test.run != run.run or test.status != "running" or test.started_at is None:
        return run.model_copy(update={"next": "over", "wait_seconds": 0})
    looks = runtime.experiments.looks(test.name, test.run)
    now = runtime.clock.now()
    due = next_look(test.definition, test.started_at, looks)
    if due is not None and due <= now:
        looks = [*looks, keep(runtime, test, looks, runtime.snapshot(test, now))]
        due = next_look(test.definition, test.started_at, looks)
    if due is None or is_over(looks):
        return run.model_copy(update={"next": "conclude", "wait_seconds": 0})
    rounds = run.rounds + 1
    if rounds >= MOST_ROUNDS:
        # The minute tick starts another execution, which has all of its history before it.
        return run.model_copy(update={"next": "over", "wait_seconds": 0, "rounds": rounds})
    wait = whole_seconds(max(due - runtime.clock.now(), timedelta(0)))
    return run.model_copy(update={"next": "wait", "wait_seconds": wait, "rounds": rounds})


def keep(
    runtime: ExperimentRuntime, test: StoredTest, looks: list[Look], snapshot: Snapshot
) -> Look:
    """Take one look and keep it; the one that is stored, where another was faster.

    Raises:
        Refused: the test had ended by its looks before.
        InvalidInput: the snapshot is older than the last look.
    """
    look = decide(test.definition, snapshot, looks)
    kept = runtime.experiments.keep_look(test.name, test.run, look)
    logger.info("look", test=test.name, run=test.run, number=kept.number, verdict=kept.verdict)
    return kept
