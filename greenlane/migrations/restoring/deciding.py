"""What a restore does next, after each of its steps. Pure; no I/O."""

from greenlane.errors import Aborted, ApprovalMissing, Refused, ValidationFailed
from greenlane.migrations.guarding.model import Trouble
from greenlane.migrations.restoring.model import (
    Answer,
    Looked,
    Outcome,
    Question,
    RestoreRun,
)
from greenlane.migrations.restoring.planning import offer_of
from greenlane.people.wording import clip

_LONGEST_CAUSE = 8000
"""Characters; what goes from state to state is 256 KiB at most."""


def after_look(run: RestoreRun, looked: Looked) -> RestoreRun:
    """A database that is not what it should be is not offered to anybody."""
    run = run.model_copy(update={"looked": looked})
    if looked.untrue:
        return _end(run, "failed", ValidationFailed, "; ".join(looked.untrue))
    if run.request.mode == "salvage":
        return run.model_copy(update={"stage": "finish", "outcome": "salvage"})
    return run.model_copy(update={"stage": "approve"})


def after_answer(run: RestoreRun, answer: Answer) -> RestoreRun:
    """What an answer leads to; none but `approve`, and then one about writers, to a cutover."""
    run = run.model_copy(update={"approval" if answer.question == "approve" else "writers": answer})
    match answer.says:
        case "approve":
            return run.model_copy(update={"stage": "writers"})
        case "stopped" | "left_running":
            return run.model_copy(update={"stage": "cut_over"})
        case "salvage":
            return run.model_copy(update={"stage": "finish", "outcome": "salvage"})
        case "refuse":
            why = f"{answer.by} refused it: {answer.reason or 'no reason given'}"
            return _end(run, "refused", Aborted, why)
    return _end(run, "expired", ApprovalMissing, f"nobody answered in time: {answer.question}")


def unapproved(run: RestoreRun, approval: Answer | None, writers: Answer | None) -> str:
    """Why a cutover may not be; empty when both questions are answered for this very offer.

    Args:
        run: the restore.
        approval: the answer to whether to go back, as the table has it.
        writers: that to whether the old one is still written to.
    """
    offer = offer_of(run)
    needed: tuple[tuple[Question, Answer | None, tuple[str, ...]], ...] = (
        ("approve", approval, ("approve",)),
        ("writers", writers, ("stopped", "left_running")),
    )
    for question, answer, sayings in needed:
        if answer is None:
            return f"nobody has answered: {question}"
        if answer.says not in sayings or answer.question != question:
            return f"{answer.by} said {answer.says}"
        if answer.offer != offer:
            return f"{answer.by} answered to {answer.offer}, and this is {offer}"
    return ""


def ended(run: RestoreRun) -> RestoreRun:
    """The restore with an outcome that fits its failure."""
    if run.outcome is not None:
        return run
    failure = run.failure or Trouble(Error="States.Unknown", Cause="it ended without a reason")
    failure = Trouble(Error=failure.Error, Cause=clip(failure.Cause, _LONGEST_CAUSE))
    outcome: Outcome = "aborted" if failure.Error == Aborted.__name__ else "failed"
    return run.model_copy(update={"outcome": outcome, "failure": failure, "stage": "finish"})


def refusal(why: str) -> Refused:
    """The error of a cutover that nobody has approved."""
    return Refused(f"it is not cut over: {why}")


def _end(run: RestoreRun, outcome: Outcome, error: type[Exception], why: str) -> RestoreRun:
    failure = Trouble(Error=error.__name__, Cause=clip(why, _LONGEST_CAUSE))
    return run.model_copy(update={"stage": "finish", "outcome": outcome, "failure": failure})
