"""What people do about a restore: start it, answer its questions, end it, read the salvage."""

import json
from typing import Any, get_args

from botocore.exceptions import ClientError

from greenlane.clock import Clock
from greenlane.deployments.stepping.baking import answer as answer_token
from greenlane.errors import ApprovalRefused, InvalidInput, Refused, UnknownRestore
from greenlane.migrations.guarding.lease import Asked as AskedOfRun
from greenlane.migrations.guarding.lease import Leases
from greenlane.migrations.restoring.model import Answer, Question, RestoreRequest, Says
from greenlane.migrations.restoring.records import Restores

SAYINGS: dict[Question, tuple[Says, ...]] = {
    "approve": ("approve", "salvage", "refuse"),
    "writers": ("stopped", "left_running", "refuse"),
}
"""What can be said to each question."""


_NOT_DEPLOYED = (
    "nothing for restores is deployed in this account and Region: name the databases under "
    "`migrations` in cdk.json and deploy the stack (docs/deploying-to-aws.md), or look at "
    "--profile and --region"
)
_MOST_UNRECORDED = 20
"""Executions, one after the other, that ended before they could write anything."""


def start_restore(
    restores: Restores, stepfunctions: Any, machine: str, request: RestoreRequest
) -> str:
    """Start a restore, or go on with one that has ended; the ARN of its execution.

    The same again while it runs is the same execution.

    Args:
        restores: where restores are on record.
        stepfunctions: the client.
        machine: the ARN of the state machine of restores.
        request: what is asked for.

    Raises:
        Refused: it runs already, and was asked for otherwise; or nothing for restores is deployed.
    """
    first = _number(restores, request.restore)
    given = json.dumps({"request": request.model_dump(mode="json")})
    for number in range(first, first + _MOST_UNRECORDED):
        name = request.restore if number == 1 else f"{request.restore}-{number}"
        try:
            answer = stepfunctions.start_execution(stateMachineArn=machine, name=name, input=given)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "StateMachineDoesNotExist":
                raise Refused(_NOT_DEPLOYED) from error
            if code != "ExecutionAlreadyExists":
                raise
            arn = f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
            if stepfunctions.describe_execution(executionArn=arn)["status"] == "RUNNING":
                said = "it runs, and was asked for otherwise; wait for its end, or end it"
                raise Refused(f"{request.restore}: {said}") from error
        else:
            return str(answer["executionArn"])
    raise Refused(f"{request.restore}: too many attempts were refused; choose another id")


def _number(restores: Restores, restore: str) -> int:
    """Of the execution: 1, or one more than that of the last one, which has ended."""
    try:
        before = restores.restore(restore)
    except UnknownRestore:
        return 1
    name = before.execution.rsplit(":", 1)[-1]
    last = 1 if name == restore else int(name.rsplit("-", 1)[-1])
    return last if before.standing == "running" else last + 1


def answer_restore(
    restores: Restores,
    stepfunctions: Any,
    clock: Clock,
    *,
    restore: str,
    says: Says,
    by: str,
    reason: str = "",
    offer: str,
) -> Answer:
    """Answer the question that a restore waits with; the answer that stands then.

    Saying the same again changes nothing, and wakes a workflow that did not hear it.

    Args:
        restores: where the question is.
        stepfunctions: the client that wakes the workflow.
        clock: tells when.
        restore: the restore's id.
        says: the answer, which tells the question too; `refuse` is for the one that is open.
        by: who.
        reason: for the history; an approval needs it.
        offer: the id that the question has, for what it says would be lost.

    Raises:
        InvalidInput: there is no such answer, or an approval without a reason.
        UnknownRestore: there is none of that id.
        ApprovalRefused: nothing is asked, it is another offer, somebody has answered, or the
            restore has ended.
    """
    known = [one for sayings in SAYINGS.values() for one in sayings]
    if says not in known:
        raise InvalidInput("says", says, f"one of {', '.join(dict.fromkeys(known))}")
    if says == "approve" and not reason.strip():
        raise InvalidInput("reason", reason, "say why what is lost may be lost")
    standing_now = restores.restore(restore).standing
    if standing_now != "running":
        raise ApprovalRefused(f"{restore} has ended ({standing_now}); nobody would hear the answer")
    question = _question(restores, restore, says, offer)
    given = Answer(question=question, says=says, by=by, at=clock.now(), reason=reason, offer=offer)
    asked = restores.answer(restore, given)
    if asked.offer != offer:
        raise ApprovalRefused(
            f"{restore}: the question is about {asked.offer}, not {offer}; read it, and answer that"
        )
    standing = asked.answer
    if standing is None or (standing.says, standing.by) != (says, by):
        said = "nobody" if standing is None else f"{standing.by} said {standing.says}"
        raise ApprovalRefused(f"{restore}: it is answered already: {said}")
    if asked.token is not None:
        answer_token(stepfunctions, asked.token, f"{by} said {says}")
    return standing


def end_restore(
    leases: Leases,
    restores: Restores,
    stepfunctions: Any,
    clock: Clock,
    *,
    database: str,
    restore: str,
    by: str,
    reason: str = "",
) -> None:
    """End a restore before its cutover; the new database stays, and how it is deleted is told.

    Raises:
        SignalRefused: it does not run, or is to end already.
    """
    ask = AskedOfRun(name="abort", by=by, at=clock.now(), reason=reason)
    leases.ask(database, restore, ask)
    for question in get_args(Question):
        asked = restores.asked(restore, question)
        if asked is not None and asked.token is not None:
            answer_token(stepfunctions, asked.token, f"{by} ended it")


def _question(restores: Restores, restore: str, says: Says, offer: str) -> Question:
    """Which question is answered: that of this offer, and the later one where it is both's.

    An execution before this one may have got as far as the later question, of an offer of its own.
    """
    others: Question | None = None
    for question in ("writers", "approve"):
        asked = restores.asked(restore, question)
        if asked is None or says not in SAYINGS[question]:
            continue
        if asked.offer == offer:
            return question
        others = others or question
    if others is None:
        raise ApprovalRefused(f"{restore}: nothing is asked that {says} would answer")
    return others
