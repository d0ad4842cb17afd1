"""Writing a deployment's history and its line in the service's list."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.deployments.model import DeploymentSummary, HistoryEvent, Plan, Record
from greenlane.deployments.phases import TERMINAL, Phase
from greenlane.deployments.storing.store import DynamoStore
from greenlane.logs import logger
from greenlane.people.announcement import Announcement, Severity, announce, publication
from greenlane.people.pages import keep_page, went_out
from greenlane.runtime import Runtime

KeepFirst = Literal["must", "try"]


def note(runtime: Runtime, deployment_id: str, kind: str, **detail: Any) -> None:
    """Append to the history; an error is the caller's, so that forward steps fail closed."""
    _append(runtime, runtime.store, deployment_id, kind, detail)


def _append(
    runtime: Runtime, store: DynamoStore, deployment_id: str, kind: str, detail: dict[str, Any]
) -> None:
    event = HistoryEvent(
        at=runtime.clock.now(), kind=kind, actor=runtime.actor, detail=_plain(detail)
    )
    store.append(deployment_id, event)


def note_best_effort(runtime: Runtime, deployment_id: str, kind: str, **detail: Any) -> bool:
    """Append to the history if that works; reporting never changes a traffic decision."""
    return _tried(runtime, runtime.store, deployment_id, kind, detail)


def note_hastily(runtime: Runtime, deployment_id: str, kind: str, **detail: Any) -> bool:
    """The same if the table answers within 300 ms: for who has seconds to end."""
    return _tried(runtime, runtime.hasty_store, deployment_id, kind, detail)


def _tried(
    runtime: Runtime, store: DynamoStore, deployment_id: str, kind: str, detail: dict[str, Any]
) -> bool:
    try:
        _append(runtime, store, deployment_id, kind, detail)
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
        version=plan.request.version,
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


def tell(
    runtime: Runtime,
    subject: str,
    plan_or_service: Plan | str,
    *,
    kind: str = "notice",
    severity: Severity | None = None,
    deployment: str | None = None,
    occasion: object = None,
    way_out: str | None = None,
    links: Mapping[str, str] | None = None,
    settled: bool = False,
    closes: Sequence[str] = (),
    keep_first: KeepFirst | None = None,
    **detail: Any,
) -> None:
    """Publish news to the notification topic, as well as possible; it never raises.

    Subscribers of the topic read it as text; `notify_people` gets it whole and tells the channels
    that the service's configuration names. See `greenlane.people.announcement`.

    Args:
        runtime: the topic and the clock.
        subject: one line.
        plan_or_service: what it is about.
        kind: what happened, such as `rolled_back`.
        severity: by default the kind's own, in `SEVERITIES`.
        deployment: its id; by default the plan's.
        occasion: what tells one such news of a deployment from the next, usually the epoch. By
            default what it says.
        way_out: what a person can do.
        links: addresses, by what is there.
        settled: the deployment is over and its traffic is on one good version.
        closes: earlier deployments of the service whose open pages this ends.
        keep_first: keep the page of a deployment before it is published, and publish none that
            was kept before; one that cannot be kept is published if this says `try`.
        detail: what there is to know, most important first; None is left out.
    """
    service, deployment_id = plan_or_service, deployment
    if isinstance(plan_or_service, Plan):
        service = plan_or_service.service
        deployment_id = deployment or plan_or_service.deployment_id
    try:
        news = announce(
            kind=kind,
            severity=severity,
            service=str(service),
            deployment_id=deployment_id,
            region=runtime.settings.topic_arn.split(":")[3],
            subject=subject,
            occasion=occasion,
            facts=_plain(detail),
            way_out=way_out,
            links=links,
            settled=settled,
            closes=closes,
            at=runtime.clock.now(),
        )
        if keep_first is not None and news.deployment_id is not None:
            _keep_and_publish(runtime, news, news.deployment_id, keep_first)
            return
        published = publish(runtime, news)
        if news.severity == "critical" and news.deployment_id is not None:
            # For the reconciler, which tells it again if it reaches nobody.
            keep_page(runtime.hasty_store, news, published=published)
    except Exception as error:
        # Whatever it is, a report must not change what happens to the traffic.
        logger.error("notification not sent or kept", subject=subject, error=str(error))


def _keep_and_publish(
    runtime: Runtime, news: Announcement, deployment_id: str, keep_first: KeepFirst
) -> None:
    store = runtime.store if keep_first == "must" else runtime.hasty_store
    try:
        page = keep_page(store, news, published=False)
    except (ClientError, BotoCoreError) as error:
        if keep_first == "must":
            raise
        logger.error("told, but not kept", announcement=news.id, error=str(error))
        publish(runtime, news)
        return
    if page is None:
        return
    if keep_first == "must":
        known = {"news": news.kind, "because": "no page was kept"}
        note_best_effort(runtime, deployment_id, "told again", **known)
    if publish(runtime, news):
        went_out(store, page)


def publish(runtime: Runtime, news: Announcement) -> bool:
    """Publish an announcement to the topic; whether the topic took it."""
    try:
        runtime.sns.publish(TopicArn=runtime.settings.topic_arn, **publication(news))
    except (ClientError, BotoCoreError) as error:
        logger.error("notification not sent", announcement=news.id, error=str(error))
        return False
    return True


def _plain(detail: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value.value if isinstance(value, Phase) else value
        for key, value in detail.items()
        if value is not None
    }
