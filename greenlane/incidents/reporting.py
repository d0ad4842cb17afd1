"""The report at the end of a rollback: gathered, composed, written, and noted in the history.

It comes after everything else, and nothing waits for it: whatever goes wrong here is logged, and
the rollback's outcome is what it was.
"""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, Field

from greenlane.deployments.model import DeploymentSummary, StoredModel
from greenlane.deployments.storing.journal import note_best_effort
from greenlane.errors import UnknownDeployment
from greenlane.incidents.report_compose import compose
from greenlane.incidents.report_gather import Sources, gather
from greenlane.incidents.report_model import Evidence
from greenlane.incidents.report_place import Format
from greenlane.incidents.report_store import write_report
from greenlane.incidents.report_timeline import last_of
from greenlane.logs import logger
from greenlane.rollback.model import RollbackRequest
from greenlane.runtime import Runtime

REPORT_WRITTEN = "report written"
_ENDS = ("rolled back", "held", "succeeded")


class ReportEvent(BaseModel):
    """What the rollback machine knows at its end.

    `state` is its state document: a rollback, or, where going back never worked, the request.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    request: RollbackRequest
    execution: str
    state: Any = Field(None, description="as the last state left it")


class Reported(StoredModel):
    """What was written, and where; `keys` by format."""

    deployment_id: str
    bucket: str
    keys: dict[Format, str]


def report_incident(event: ReportEvent, runtime: Runtime) -> Reported | None:
    """Write the report of the deployment that went back; None when there is nothing to write.

    Raises:
        botocore.exceptions.ClientError: the table or S3 did not answer; the workflow tries again
            and then goes on without.
    """
    bucket = runtime.settings.incidents_bucket
    deployment_id = _deployment_of(event, runtime) if bucket else None
    if deployment_id is None:
        logger.warning("no report", bucket=bucket)
        return None
    try:
        evidence = gather(sources_of(runtime), deployment_id, event.request.configuration)
    except UnknownDeployment as error:
        logger.warning("no report", error=str(error))
        return None
    account = runtime.settings.topic_arn.split(":")[4]
    keys = write_report(runtime.s3, bucket, account, compose(evidence))
    if not _noted(evidence):
        note_best_effort(runtime, deployment_id, REPORT_WRITTEN, bucket=bucket, keys=keys)
        remember(runtime, evidence.summary, keys)
    return Reported(deployment_id=deployment_id, bucket=bucket, keys=keys)


def sources_of(runtime: Runtime) -> Sources:
    """Where a function reads from."""
    return Sources(
        store=runtime.store,
        ecs=runtime.ecs,
        elbv2=runtime.elbv2,
        cloudwatch=runtime.cloudwatch,
        logs=runtime.logs,
        clock=runtime.clock,
    )


def _deployment_of(event: ReportEvent, runtime: Runtime) -> str | None:
    """The deployment that this execution took back; not one that may have begun since."""
    state = event.state if isinstance(event.state, dict) else {}
    known = state.get("deployment_id") or event.request.deployment_id
    if known is not None:
        return str(known)
    record = runtime.store.record(event.request.service) if event.request.service else None
    if record is None or record.rollback_execution != event.execution:
        return None
    return record.deployment_id


def _noted(evidence: Evidence) -> bool:
    """Whether an earlier attempt noted this very report: nothing has ended since."""
    ended = last_of(evidence.history, _ENDS)
    noted = last_of(evidence.history, {REPORT_WRITTEN})
    return noted is not None and (ended is None or noted.at >= ended.at)


def remember(runtime: Runtime, summary: DeploymentSummary | None, keys: dict[Format, str]) -> None:
    """Put the report's key into the deployment's line in its service's list, if that works."""
    if summary is None:
        return
    try:
        runtime.store.put_report(summary, keys["json"])
    except (ClientError, BotoCoreError) as error:
        logger.error("the report is not in the list", error=str(error))
