"""Watches as they are taken: read, kept, and acted on at once when they say so.

A watch that finds a wrong split or harm takes a look at the same moment, which says the same; so
every end that rests on what was counted is in a look, with all it saw.
"""

from collections.abc import Sequence

from greenlane.errors import InvalidInput
from greenlane.experiments.records import Reason
from greenlane.experiments.running.ending import end, end_by_look, said
from greenlane.experiments.running.executions import let_go
from greenlane.experiments.running.looking_after import keep
from greenlane.experiments.running.red_alarms import alarmed
from greenlane.experiments.running.runtime import ExperimentRuntime
from greenlane.experiments.running.settling import settle
from greenlane.experiments.running.timing import is_over
from greenlane.experiments.running.watching import watch
from greenlane.experiments.storing.state import Ending, StoredTest, Watch
from greenlane.logs import logger


def watch_over(runtime: ExperimentRuntime, test: StoredTest, services: Sequence[str]) -> Watch:
    """Take a watch of a test that runs, keep it, and end the test if it says so.

    Args:
        runtime: the clients and the clock.
        test: it runs.
        services: the names of all services.

    Raises:
        ClientError: the table, or CloudWatch, did not answer.
        Refused: others kept the end from being written; the tick tries again within a minute.
        NotReconciled: it was ended, and not all of what follows was done.
    """
    seen = watch(test.definition, runtime.snapshot(test, runtime.clock.now()))
    if seen.verdict is None and (reason := alarmed(runtime, test, seen, services)) is not None:
        seen = seen.model_copy(update={"verdict": "rollback", "reason": reason})
        runtime.experiments.keep_watch(test.name, test.run, seen)
        _end_without_look(runtime, test, "rollback", reason, "an alarm")
        return seen
    runtime.experiments.keep_watch(test.name, test.run, seen)
    if seen.verdict is not None and seen.reason is not None:
        logger.warning("a watch", test=test.name, run=test.run, verdict=seen.verdict)
        _end_by_numbers(runtime, test, seen, seen.verdict, seen.reason)
    return seen


def ended_by_its_looks(runtime: ExperimentRuntime, test: StoredTest) -> bool:
    """End a test that runs though its last look ended it; whether there is such a look.

    What a watch found is in a look for good, even where a later watch would not find it.

    Raises:
        ClientError: the table did not answer.
        Refused: others kept the end from being written; try again.
        NotReconciled: it was ended, and not all of what follows was done.
    """
    looks = runtime.experiments.looks(test.name, test.run)
    if not is_over(looks):
        return False
    ended = end_by_look(runtime, test, looks[-1])
    if ended.here:
        rest(runtime, ended.test)
    return True


def _end_without_look(
    runtime: ExperimentRuntime, test: StoredTest, verdict: Ending, reason: Reason, by_what: str
) -> None:
    ended = end(runtime, test, verdict, said(verdict, reason), by_what)
    if ended.here:
        rest(runtime, ended.test)


def _end_by_numbers(
    runtime: ExperimentRuntime, test: StoredTest, seen: Watch, verdict: Ending, reason: Reason
) -> None:
    looks = runtime.experiments.looks(test.name, test.run)
    if not is_over(looks):
        if looks and seen.at < looks[-1].snapshot.at:
            return  # a look of a later moment knows more; the next watch sees whether it still is
        try:
            keep(runtime, test, looks, seen.snapshot)
        except InvalidInput as error:
            # Harm is not served on because what shows it does not fit into the table.
            logger.error("a look was not kept", test=test.name, error=str(error))
            _end_without_look(runtime, test, verdict, reason, "a watch")
            return
    ended_by_its_looks(runtime, test)


def rest(runtime: ExperimentRuntime, test: StoredTest) -> None:
    """End the execution of a test that is over, and do what follows from its end."""
    try:
        settle(runtime, test)
    finally:
        # An execution that is left alone wakes for its next look, sees this, and ends.
        let_go(runtime, test)
