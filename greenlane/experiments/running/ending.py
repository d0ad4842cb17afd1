"""The end of a test: written once, whoever comes to it first, and carried out.

The looks say what they say; an end is written by the store on the condition that the run still
runs. From then on everybody has what the end serves: the winner, or the control.
"""

from typing import NamedTuple, cast

from greenlane.errors import Refused
from greenlane.experiments.records import Look, Reason
from greenlane.experiments.running.runtime import ExperimentRuntime
from greenlane.experiments.running.settling import settle
from greenlane.experiments.running.timing import ExperimentRun, is_over
from greenlane.experiments.storing import keeping
from greenlane.experiments.storing.state import Ending, StoredTest
from greenlane.flags.ramps.flag_writes import GREENLANE
from greenlane.logs import logger


class Ended(NamedTuple):
    """A test after an attempt to end it; `here` when it is this attempt that did."""

    test: StoredTest
    here: bool


def conclude_experiment(run: ExperimentRun, runtime: ExperimentRuntime) -> ExperimentRun:
    """End a test by its last look, and see to what follows.

    Whoever ends it does that. When it comes to nothing, the minute tick does it, as for every end.

    Raises:
        NotReconciled: something of what follows was not done.
        Refused: others kept the end from being written; try again.
        ClientError: the table did not answer.
    """
    over = run.model_copy(update={"next": "over", "wait_seconds": 0})
    test = runtime.experiments.test(run.test)
    if test.run != run.run or test.status != "running":
        return over
    looks = runtime.experiments.looks(test.name, test.run)
    if is_over(looks):
        ended = end_by_look(runtime, test, looks[-1])
        if ended.here:
            settle(runtime, ended.test)
    return over


def end_by_look(runtime: ExperimentRuntime, test: StoredTest, look: Look) -> Ended:
    """End a test as a look says that ended it; what the store has, where another was faster."""
    # A final look that says neither is called `inconclusive` by `decide`; nothing else is left.
    verdict = cast(Ending, look.verdict)
    winner = look.reason.treatment if verdict == "ship" else None
    return end(
        runtime,
        test,
        verdict,
        said(verdict, look.reason),
        f"look {look.number}",
        serve=winner,
        look=look,
    )


def end(
    runtime: ExperimentRuntime,
    test: StoredTest,
    verdict: Ending,
    reason: str,
    by_what: str,
    *,
    serve: str | None = None,
    look: Look | None = None,
) -> Ended:
    """End a run that runs.

    Args:
        runtime: the store and the clock.
        test: as it was read.
        verdict: how.
        reason: in words, for people.
        by_what: what decided it, for the audit.
        serve: the winner.
        look: that decided it.

    Raises:
        Refused: it still runs, for others kept the end from being written; try again.
        ClientError: the table did not answer.
    """
    now = runtime.clock.now()
    try:
        after = keeping.conclude(
            runtime.experiments,
            test.name,
            run=test.run,
            verdict=verdict,
            serve=serve,
            look=look,
            end_reason=reason,
            by=GREENLANE,
            reason=f"{by_what}: {verdict}: {reason}",
            at=now,
        )
    except Refused as refused:
        stored = runtime.experiments.test(test.name)
        if stored.run == test.run and stored.status == "running":
            raise
        # A person, or a watch, was faster.
        logger.info("it had ended", test=test.name, run=test.run, said=str(refused))
        return Ended(stored, here=False)
    here = after.run == test.run and after.at == now and after.by == GREENLANE
    if here:
        logger.info("ended", test=test.name, run=test.run, verdict=verdict, reason=reason)
    return Ended(after, here)


def said(verdict: str, reason: Reason) -> str:
    """A reason in words, with its numbers where the words have none."""
    number, bound = reason.number, reason.bound
    if number is None or bound is None:
        return reason.text
    match verdict:
        case "ship":
            return f"{reason.text}: {number:+.1%}"
        case "invalid":
            return f"{reason.text} (p {number:.2g}; from {bound:g} on it is no chance)"
        case "rollback":
            return f"{reason.text} (evidence {number:.3g}; {bound:.3g} is enough)"
    return reason.text
