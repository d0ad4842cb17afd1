"""A job whose runs have all died, out of memory or time say, is answered in their place.

CodePipeline invokes the action's function asynchronously. When the last of Lambda's three runs has
failed, Lambda tells another function what was asked and how it ended, and this is that: without it
the action would hang until its own timeout. The shape, called an invocation record:
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
"""

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from greenlane.logs import logger
from greenlane.pipelines.answering import Failed, put_failure
from greenlane.pipelines.continuing import read_token
from greenlane.pipelines.job import JobEvent, read_job
from greenlane.pipelines.model import ACTION_FUNCTION
from greenlane.pipelines.runtime import JobRuntime

_KIND = re.compile(r"[A-Za-z_.]{1,60}")


class _Said(BaseModel):
    """What is known of the last run; what a job's error says may quote it, so only its type."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Any = Field(None, alias="errorType", repr=False)


class DeadJob(BaseModel):
    """An invocation record of the action's function. It carries the job, credentials included."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    request: JobEvent = Field(alias="requestPayload", repr=False)
    response: _Said | None = Field(None, alias="responsePayload", repr=False)


def answer_dead_job(dead: DeadJob, runtime: JobRuntime) -> None:
    """Put the failure that the runs did not; a job that has its result already is left alone.

    Raises:
        InvalidInput: there is no job's id in it, so that nobody can be answered.
        ClientError, BotoCoreError: CodePipeline does not take the result; run it again.
    """
    job = read_job(dead.request)
    begun = read_token(job.token).about
    goes_on = f" What was begun, {begun}, goes on." if begun else ""
    kind = dead.response.kind if dead.response is not None else None
    why = f" ({kind})" if isinstance(kind, str) and _KIND.fullmatch(kind) else ""
    message = (
        f"{ACTION_FUNCTION} failed three times{why}; its log group /aws/lambda/{ACTION_FUNCTION} "
        f"says why.{goes_on} Retry the stage, which follows what was begun"
    )
    put_failure(runtime.codepipeline, job, Failed(message, "SystemUnavailable", external=begun))
    logger.error("answered for runs that died", job=job.id)
