"""What is done for A/B tests each minute, whatever else was lost.

A test that was started gets its execution, and one that died another. Watches are taken when they
are due. What follows from an end, whoever came to it, is done until it is done.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.deployments.stepping.judging import Tick
from greenlane.errors import GreenlaneError, NotReconciled
from greenlane.experiments.running.executions import keep_going
from greenlane.experiments.running.runtime import ExperimentRuntime
from greenlane.experiments.running.settling import LEFT_TO_OTHERS
from greenlane.experiments.running.timing import watch_due
from greenlane.experiments.running.watching_over import ended_by_its_looks, rest, watch_over
from greenlane.experiments.storing.state import StoredTest, owed
from greenlane.logs import logger

AT_ONCE = 5
"""Tests that are looked after beside each other."""


def tick_experiments(tick: Tick, runtime: ExperimentRuntime) -> None:
    """Look after each test.

    Raises:
        NotReconciled: one of them could not be looked after. All have had their turn; an alarm on
            the function's errors tells people when that lasts.
    """
    del tick
    tests = [test for test in runtime.experiments.tests() if _needs_us(test)]
    if not tests:
        return
    services = runtime.store.services()
    turns = [(test.name, partial(_look_after, runtime, test, services)) for test in tests]
    if len(turns) == 1:  # nobody beside whom it could be done
        problems = [_each(turns[0])]
    else:
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            problems = list(pool.map(_each, turns))
    problems = [problem for problem in problems if problem]
    if problems:
        raise NotReconciled("; ".join(problems))


def _needs_us(test: StoredTest) -> bool:
    return test.status == "running" or bool(owed(test))


def _each(turn: tuple[str, Callable[[], None]]) -> str:
    """Do one turn, in no other's way; what went wrong."""
    name, act = turn
    try:
        act()
    except (GreenlaneError, ClientError, BotoCoreError) as error:
        logger.error("a test was not looked after", test=name, error=str(error))
        return f"{name}: {type(error).__name__}"
    except Exception as error:  # such as a state of another version
        logger.exception("a test was not looked after", test=name)
        return f"{name}: {type(error).__name__}"
    return ""


def _look_after(runtime: ExperimentRuntime, test: StoredTest, services: Sequence[str]) -> None:
    if test.status != "running":
        if test.ended_at is None or runtime.clock.now() >= test.ended_at + LEFT_TO_OTHERS:
            rest(runtime, test)
        return
    try:
        keep_going(runtime, test)
    finally:
        # Where Step Functions does not answer, nobody else sees harm.
        _watch_if_due(runtime, test, services)


def _watch_if_due(runtime: ExperimentRuntime, test: StoredTest, services: Sequence[str]) -> None:
    if test.started_at is None:
        return
    last = runtime.experiments.watch(test.name, test.run)
    # A watch that found something, of a test that still runs: whoever took it could not write the
    # end. Harm does not wait for the next regular watch.
    unfinished = last is not None and last.verdict is not None
    if unfinished and ended_by_its_looks(runtime, test):
        return
    due = watch_due(test.definition, test.started_at, None if last is None else last.at)
    if unfinished or runtime.clock.now() >= due:
        watch_over(runtime, test, services)
