"""The Lambda action of CodePipeline: one job in, exactly one result out."""

import traceback
from datetime import datetime, timedelta
from typing import cast

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.durations import format_seconds
from greenlane.errors import GreenlaneError, InvalidInput, NotYet
from greenlane.logs import logger
from greenlane.pipelines.answering import Answer, Continued, Failed, Succeeded, put
from greenlane.pipelines.artifacts import ArtifactDenied, Artifacts, CredentialsExpired
from greenlane.pipelines.book import End, Entry
from greenlane.pipelines.continuing import Token, read_token
from greenlane.pipelines.job import Job, JobEvent, read_job
from greenlane.pipelines.model import ACTION_FUNCTION
from greenlane.pipelines.request import parse, read_asked
from greenlane.pipelines.runtime import PipelineRuntime
from greenlane.pipelines.serving import serve

PATIENCE = timedelta(minutes=15)
"""How long AWS may not answer before the action fails; what was begun does not depend on it."""

LONGEST = timedelta(hours=23, minutes=30)
"""CodePipeline ends a Lambda action after 24 hours, and says nothing of what was under way."""

DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
BY = "codepipeline"


def run_job(event: JobEvent, runtime: PipelineRuntime) -> None:
    """Answer one job.

    Raises:
        InvalidInput: the event has no job's id, so that nobody can be answered.
        ClientError, BotoCoreError: CodePipeline does not take the result; run it again.
    """
    job = read_job(event)
    token = read_token(job.token)
    now = runtime.clock.now()
    answer: Answer
    try:
        answer = _answer(job, token, runtime, now)
    except InvalidInput as error:
        answer = Failed(str(error), "ConfigurationError")
    except CredentialsExpired:
        answer = Failed(
            "the credentials that CodePipeline gave this job for its artifacts have expired; "
            "nothing was begun by it: retry the stage"
        )
    except ArtifactDenied as error:
        answer = Failed(
            f"the job's credentials may not read the artifact {error}; look at the artifact "
            "bucket's policy and its key's",
            "PermissionError",
        )
    except (NotYet, BotoCoreError, ClientError) as error:
        answer = _in_trouble(error, token, now)
    except GreenlaneError as error:
        answer = Failed(str(error))
    except Exception as error:
        logger.error("unexpected error", job=job.id, trace=job.redacted(traceback.format_exc()))
        answer = Failed(
            f"an unexpected {type(error).__name__} in Greenlane; the log group "
            f"/aws/lambda/{ACTION_FUNCTION} has its trace. What was begun goes on: retry the stage "
            "to follow it"
        )
    put(runtime.codepipeline, job, answer)
    logger.info("answered", job=job.id, answer=type(answer).__name__)


def _answer(job: Job, token: Token, runtime: PipelineRuntime, now: datetime) -> Answer:
    files = Artifacts(job.artifacts, lambda: runtime.artifacts(job.credentials))
    asked = read_asked(parse(job.user_parameters), files, by=BY)
    entry, seen = serve(
        runtime.greenlane, runtime.requests, asked, job=job.id, continued=job.token is not None
    )
    if seen.end is not None:
        return _ended(entry, seen.end)
    if now - entry.began_at > LONGEST:
        return Failed(
            f"{entry.subject_id} is still under way after "
            f"{format_seconds(LONGEST.total_seconds())} ({seen.summary}), and goes on; this action "
            'may take 24 hours: use "wait": "start", or the Step Functions action',
            external=entry.subject_id,
        )
    percent = max(seen.percent, token.percent)
    return Continued(
        seen.summary,
        Token(about=entry.subject_id, percent=percent).text(),
        percent,
        entry.subject_id,
    )


def _ended(entry: Entry, end: End) -> Answer:
    if end.name == "succeeded":
        said = ": ".join(part for part in (entry.subject_id, end.reason or "succeeded") if part)
        return Succeeded(said, end.outputs, entry.subject_id)
    return Failed(failure_of(entry, end), external=entry.subject_id)


def failure_of(entry: Entry, end: End) -> str:
    """How something ended badly, and where to look."""
    said = f"{entry.kind} {entry.subject_id} {end.name.replace('_', ' ')}"
    if end.reason:
        said += f": {end.reason}"
    commands = {
        "deployment": f"greenlane history {entry.name}",
        "rollout": f"greenlane regions get {entry.name}",
        "migration": f"greenlane migrations get {entry.subject_id}",
    }
    command = commands.get(entry.kind)
    if end.name == "refused" or command is None:
        return f"{said}. Mend that and retry the stage, which tries it anew"
    return f"{said}. See `{command}`; retrying the stage tries it anew"


def _in_trouble(error: Exception, token: Token, now: datetime) -> Answer:
    """AWS does not answer, or says no: the first passes, the second does not."""
    if isinstance(error, ClientError) and error.response["Error"]["Code"] in DENIED:
        called = error.operation_name
        return Failed(
            f"Greenlane's function may not call {called}; deploy its stack again, and look for "
            "service control policies",
            "PermissionError",
        )
    waits = token.in_trouble(now)
    since = cast(datetime, waits.trouble_since)
    kind = type(error).__name__
    if isinstance(error, ClientError):
        kind = f"{error.operation_name}: {error.response['Error']['Code']}"
    if now - since > PATIENCE:
        about = f"; what was begun, {token.about}, goes on" if token.about else ""
        return Failed(
            f"AWS has not answered for {format_seconds((now - since).total_seconds())} ({kind})"
            f"{about}: retry the stage, which follows it",
            "SystemUnavailable",
        )
    logger.warning("AWS does not answer; the job is continued", trouble=kind)
    return Continued(f"AWS does not answer ({kind}); trying again", waits.text(), token.percent)
