"""Exactly one result for each job, whatever happens.

A job without a result hangs its action, and a second result is an error of CodePipeline's. So the
result is put at one place, after everything else; what CodePipeline does not take as a success is
put as a failure; and that the job is answered or gone already is fine. When CodePipeline itself
does not answer, the function fails, and Lambda runs it again: all of it may be repeated.

Limits and errors are those of botocore's model of `PutJobSuccessResult` and `PutJobFailureResult`,
and of https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from botocore.exceptions import ClientError

from greenlane.logs import logger
from greenlane.pipelines.job import Job

LONGEST_SUMMARY, LONGEST_MESSAGE, LONGEST_EXTERNAL = 2048, 5000, 1500
LONGEST_VALUE = 4000
"""Characters of one output variable; all together may have 122,880 bytes, and there are a dozen."""

Failure = Literal["JobFailed", "ConfigurationError", "PermissionError", "SystemUnavailable"]

_OVER = frozenset({"InvalidJobStateException", "JobNotFoundException"})
_NOT_TAKEN = frozenset({"OutputVariablesSizeExceededException", "ValidationException"})


@dataclass(frozen=True)
class Succeeded:
    """It is over and good.

    Args:
        summary: for people.
        outputs: variables for later actions.
        external: the id of what was begun.
    """

    summary: str
    outputs: Mapping[str, str] = field(default_factory=dict)
    external: str = ""


@dataclass(frozen=True)
class Continued:
    """It is under way: CodePipeline comes again with the token.

    Args:
        summary: for people.
        token: what the next job gets.
        percent: how far it is, 0 to 100.
        external: the id of what was begun.
    """

    summary: str
    token: str
    percent: int = 0
    external: str = ""


@dataclass(frozen=True)
class Failed:
    """It is over and bad, or cannot be done.

    Args:
        message: what is wrong, and the way out.
        type: as CodePipeline has it.
        external: the id of what was begun.
    """

    message: str
    type: Failure = "JobFailed"
    external: str = ""


Answer = Succeeded | Continued | Failed


def put(codepipeline: Any, job: Job, answer: Answer) -> None:
    """Put a job's one result.

    Raises:
        ClientError, BotoCoreError: CodePipeline does not answer; nobody knows whether it has it.
    """
    try:
        _put(codepipeline, job, answer)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _NOT_TAKEN and not isinstance(answer, Failed):
            said = f"CodePipeline does not take the result ({code}): {_said(answer)}"
            put(codepipeline, job, Failed(said, external=answer.external))
        elif code in _OVER:
            logger.info("the job has its result already, or is gone", job=job.id, error=code)
        else:
            raise


def put_failure(codepipeline: Any, job: Job, answer: Failed) -> None:
    """Put a failure as a job's one result; one that has its result already keeps that.

    Raises:
        ClientError, BotoCoreError: CodePipeline does not answer; nobody knows whether it has it.
    """
    try:
        _put_failure(codepipeline, job, answer)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _OVER:
            raise
        logger.info("the job has its result already, or is gone", job=job.id)


def _put_failure(codepipeline: Any, job: Job, answer: Failed) -> None:
    message = job.redacted(answer.message)[:LONGEST_MESSAGE] or answer.type
    codepipeline.put_job_failure_result(
        jobId=job.id,
        failureDetails={"type": answer.type, "message": message, **_external(answer)},
    )


def _external(answer: Answer) -> dict[str, str]:
    if not answer.external:
        return {}
    return {"externalExecutionId": answer.external[:LONGEST_EXTERNAL]}


def _put(codepipeline: Any, job: Job, answer: Answer) -> None:
    if isinstance(answer, Failed):
        _put_failure(codepipeline, job, answer)
        return
    details: dict[str, Any] = {"summary": _said(answer)[:LONGEST_SUMMARY], **_external(answer)}
    if isinstance(answer, Continued):
        details["percentComplete"] = answer.percent
        codepipeline.put_job_success_result(
            jobId=job.id, continuationToken=answer.token, executionDetails=details
        )
        return
    details["percentComplete"] = 100
    codepipeline.put_job_success_result(
        jobId=job.id,
        executionDetails=details,
        outputVariables={name: value[:LONGEST_VALUE] for name, value in answer.outputs.items()},
    )


def _said(answer: Succeeded | Continued) -> str:
    return answer.summary or "no more is known"
