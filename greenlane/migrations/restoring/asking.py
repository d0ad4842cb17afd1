"""The two questions of a restore, by callbacks whose time may run out.

Who answers writes the answer and then reads the token; who asks keeps the token and then reads the
answer. Whoever comes second sees the other's write. What a token is answered with decides nothing:
the answer in the table does, and it is read again before the cutover.
"""

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from greenlane.deployments.stepping.baking import answer as answer_token
from greenlane.durations import format_seconds
from greenlane.errors import NotTold, UnknownRestore
from greenlane.migrations.restoring.deciding import after_answer
from greenlane.migrations.restoring.journal import (
    hold,
    keep,
    note,
    record_of,
    refuse_if_aborted,
    tell,
)
from greenlane.migrations.restoring.model import Answer, Question, RestoreRun
from greenlane.migrations.restoring.planning import offer_of
from greenlane.migrations.restoring.runtime import RestoreRuntime
from greenlane.migrations.restoring.wording import facts_of, listed


class AskEvent(BaseModel):
    """A task token, when the workflow began to wait with it, and which attempt that was."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    token: str
    entered: datetime
    attempt: int = 0
    question: Question
    run: RestoreRun

    @property
    def begun(self) -> datetime:
        """What orders attempts, which share the time of the entry; it has milliseconds only."""
        return self.entered + timedelta(microseconds=min(self.attempt, 999))


def ask_about_restore(event: AskEvent, runtime: RestoreRuntime) -> None:
    """Keep the token, and tell people what is asked of them and what it costs.

    Raises:
        FenceLost: another execution has the lease.
        NotTold: nobody could be told; nothing is cut over.
    """
    run, question = event.run, event.question
    if hold(run, runtime) is not None:
        answer_token(runtime.stepfunctions, event.token, "a person ended it")
        return
    offer = offer_of(run)
    asked = runtime.restores.ask(run.restore, question, offer, event.token, event.begun)
    if asked.answer is not None and asked.offer == offer:
        answer_token(runtime.stepfunctions, event.token, "it was answered")
        return
    keep(run, runtime)  # what was looked at is read by whoever decides
    now = runtime.clock.now()
    seconds = run.approval_seconds if question == "approve" else run.writers_seconds
    told = tell(
        runtime,
        record_of(run, now, "running"),
        "restore_approval" if question == "approve" else "restore_writers",
        _SUBJECTS[question].format(database=run.database),
        facts=facts_of(run, now)
        | {"offer": offer, "until": f"{format_seconds(seconds)} from now, then it ends"}
        | _said_before(run),
        way_out=ways_out(question, run, offer),
    )
    if not told:
        raise NotTold(f"{run.restore}: the topic did not take the question")
    note(runtime, run.restore, "asked", question=question, offer=offer)


_SUBJECTS: dict[Question, str] = {
    "approve": "{database}: use the new database in the place of the old one?",
    "writers": "{database}: stop what writes to the old one, and say so",
}


def ways_out(question: Question, run: RestoreRun, offer: str) -> str:
    """What can be said to a question, as commands, the one that loses least first. Pure."""
    start = f"greenlane migrations restore answer {run.restore} --offer {offer}"
    if question == "approve":
        return listed(
            (
                _salvage(run, start),
                f"go back with all of it and lose what is named: `{start} approve --reason ...`",
                f"neither: `{start} refuse`",
            )
        )
    return listed(
        (
            f"stop every service, job and person that writes to {run.plan.old}; Greenlane stops "
            "none of them",
            f"then: `{start} stopped`",
            f"or accept that what is written until clients have moved is lost as well: "
            f"`{start} left_running`",
            f"or not after all: `{start} refuse`",
        )
    )


def _salvage(run: RestoreRun, start: str) -> str:
    """The way that loses least comes first, and can be looked at before anything is decided."""
    if not run.request.tables:
        return f"only copy tables back, which none were named for: `{start} salvage`, then by hand"
    return (
        f"only copy {', '.join(run.request.tables)} back: `greenlane migrations restore salvage "
        f"{run.restore}` prints the statements, then `{start} salvage`; nothing is lost then"
    )


def _said_before(run: RestoreRun) -> dict[str, str]:
    if run.approval is None:
        return {}
    return {"approved by": f"{run.approval.by}: {run.approval.reason}".rstrip(": ")}


def heed_restore(run: RestoreRun, runtime: RestoreRuntime) -> RestoreRun:
    """What follows from the answer to the question that was asked, or from there being none.

    Raises:
        FenceLost: another execution has the lease.
        Aborted: a person ended the restore.
    """
    refuse_if_aborted(run, runtime)
    question: Question = "writers" if run.stage == "writers" else "approve"
    said = _answer(run, question, runtime)
    note(runtime, run.restore, "answered", **said.model_dump(mode="json"))
    after = after_answer(run, said)
    keep(after, runtime)
    return after


def _answer(run: RestoreRun, question: Question, runtime: RestoreRuntime) -> Answer:
    """The answer; from now on there is one, so that none comes later."""
    nobody = Answer(
        question=question,
        says="expired",
        by="nobody",
        at=runtime.clock.now(),
        offer=offer_of(run),
    )
    try:
        asked = runtime.restores.answer(run.restore, nobody)
    except UnknownRestore:
        return nobody  # the time ran out before it could be asked
    if asked.answer is None or asked.offer != nobody.offer:
        return nobody
    return asked.answer
