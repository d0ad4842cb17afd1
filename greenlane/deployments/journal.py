"""Writing a deployment's history and its line in the service's list."""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.deployments.model import DeploymentSummary, HistoryEvent, Plan, Record
from greenlane.deployments.phases import TERMINAL, Phase
from greenlane.logs import logger
from greenlane.runtime import Runtime


def note(runtime: Runtime, deployment_id: str, kind: str, **detail: Any) -> None:
    """Append to the history; an error is the caller's, so that forward steps fail closed."""
    event = HistoryEvent(
        at=runtime.clock.now(), kind=kind, actor=runtime.actor, detail=_plain(detail)
    )
    runtime.store.append(deployment_id, event)


def note_best_effort(runtime: Runtime, deployment_id: str, kind: str, **detail: Any) -> bool:
    """Append to the history if that works; reporting never changes a traffic decision."""
    try:
        note(runtime, deployment_id, kind, **detail)
    except (ClientError, BotoCoreError) as error:
        logger.error("history not written", kind=kind, error=str(error), detail=_plain(detail))
        return False
    return True


def summarise(runtime: Runtime, plan: Plan, record: Record) -> None:
    """Bring the deployment's line in its service's list up to date, as well as possible."""
    ended = runtime.clock.now() if record.phase in TERMINAL else None
    summary = DeploymentSummary(
        deployment_id=plan.deployment_id,
        service=plan.service,
        phase=record.phase,
        strategy=plan.strategy,
        image=plan.image,
        task_definition=record.task_definition,
        requested_by=plan.request.requested_by,
        started_at=plan.started_at,
        ended_at=ended,
        reason=record.reason,
    )
    try:
        runtime.store.put_summary(summary)
    except (ClientError, BotoCoreError) as error:
        logger.error("summary not written", phase=record.phase.value, error=str(error))


def tell(runtime: Runtime, subject: str, plan_or_service: Plan | str, **detail: Any) -> None:
    """Publish to the notification topic, as well as possible.

    SNS takes a subject of fewer than 100 characters without line breaks.
    """
    service = plan_or_service if isinstance(plan_or_service, str) else plan_or_service.service
    lines = [f"{key}: {value}" for key, value in _plain({"service": service} | detail).items()]
    try:
        runtime.sns.publish(
            TopicArn=runtime.settings.topic_arn,
            Subject=" ".join(subject.split())[:99],
            Message="\n".join(lines),
        )
    except (ClientError, BotoCoreError) as error:
        logger.error("notification not sent", subject=subject, error=str(error))


def _plain(detail: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value.value if isinstance(value, Phase) else value
        for key, value in detail.items()
        if value is not None
    }
