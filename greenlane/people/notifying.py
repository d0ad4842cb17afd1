"""Tell people: every channel by itself, each announcement once, and what became of it kept."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError

from greenlane.deployments.declaring.config import ServiceConfig
from greenlane.deployments.storing.journal import note_best_effort
from greenlane.errors import NotTold, UnknownDeployment, UnknownService
from greenlane.logs import logger
from greenlane.people import posting
from greenlane.people.announcement import OWN_TROUBLE, UNKNOWN, Announcement, closing_of
from greenlane.people.channel import Channel, Edges, Message, State, Told, Untold
from greenlane.people.delivery import Delivery
from greenlane.people.inside import hand_over
from greenlane.people.ledger import Ledger
from greenlane.people.paging_route import pagers, read_routes
from greenlane.people.routing import channels_of, channels_of_all, resolving, with_dashboard
from greenlane.people.vault import vault_of
from greenlane.people.wording import one_line
from greenlane.runtime import Runtime

CHANNEL_SECONDS = 25.0
"""All channels together; the looks at table and secrets before them leave it that much of 60."""


def notify_people(
    delivery: Delivery, runtime: Runtime, *, post: posting.Post = posting.post
) -> None:
    """Tell every configured channel what was published, except what it was told before.

    Args:
        delivery: what SNS delivered.
        runtime: where configurations and outcomes are kept.
        post: how to reach other servers.

    Raises:
        NotTold: a channel did not take it and may later; Lambda tries again.
    """
    missing = [
        problem for news in delivery.announcements() for problem in _tell(news, runtime, post)
    ]
    if missing:
        raise NotTold("; ".join(missing))


def _tell(news: Announcement, runtime: Runtime, post: posting.Post) -> list[str]:
    """Tell one announcement; what is worth another attempt."""
    edges = _edges(runtime, post)
    try:
        news, channels = _addressed(news, runtime)
    except (ClientError, BotoCoreError) as error:
        problem = f"the table: {type(error).__name__}"
        logger.error("whom to tell is not known", announcement=news.id, error=problem)
        return [problem, *_each(_sends(news, _pagers(news, runtime), edges))]
    if not channels:
        return []
    try:
        earlier = Ledger(runtime.store).earlier(news)
    except (ClientError, BotoCoreError) as error:
        # Told twice is better than not at all.
        logger.error("told without a look", announcement=news.id, error=type(error).__name__)
        return _each(_sends(news, channels, edges))
    jobs = _sends_once(news, channels, earlier, runtime, edges)
    return _each(jobs + _closes(news, channels, runtime, edges))


@dataclass(frozen=True)
class _Job:
    """What is sent to one channel; it returns the problem if it may be sent later."""

    channel: str
    send: Callable[[], str | None]


def _sends(news: Announcement, channels: Sequence[Channel], edges: Edges) -> list[_Job]:
    return [_Job(it.name, partial(_send, it, news=news, edges=edges)) for it in channels]


def _sends_once(
    news: Announcement,
    channels: Sequence[Channel],
    earlier: Sequence[Told],
    runtime: Runtime,
    edges: Edges,
) -> list[_Job]:
    send = partial(_send_once, news, earlier, runtime, edges)
    return [_Job(it.name, partial(send, it)) for it in channels]


def _closes(
    news: Announcement, channels: Sequence[Channel], runtime: Runtime, edges: Edges
) -> list[_Job]:
    """Close what is open about earlier deployments that this news makes good."""
    jobs: list[_Job] = []
    for deployment_id in news.closes:
        closing = closing_of(news, deployment_id)
        try:
            earlier = Ledger(runtime.store).earlier(closing)
        except (ClientError, BotoCoreError) as error:
            problem = f"closing {deployment_id}: {type(error).__name__}"
            jobs.append(_Job("closing", partial(str, problem)))
            continue
        jobs += _sends_once(closing, resolving(channels), earlier, runtime, edges)
    return jobs


def _edges(runtime: Runtime, post: posting.Post) -> Edges:
    return Edges(
        vault=vault_of(runtime.secretsmanager),
        post=post,
        inside=partial(hand_over, runtime),
        ssm=runtime.ssm,
        now=runtime.clock.now(),
    )


def _addressed(news: Announcement, runtime: Runtime) -> tuple[Announcement, list[Channel]]:
    """Whom the announcement is for, by the service's configuration as it is now."""
    if news.kind == OWN_TROUBLE:
        return news, channels_of_all(_configs(runtime))
    service = news.service
    try:
        if service == news.deployment_id:  # whoever told it knew no better
            service = runtime.store.plan(service).service
        config = runtime.store.get_config(service).config
    except (UnknownDeployment, UnknownService) as error:
        logger.warning("told by mail only", announcement=news.id, error=str(error))
        return news, []
    return with_dashboard(news, config), channels_of(config)


def _configs(runtime: Runtime) -> list[ServiceConfig]:
    """What every service has configured; one that cannot be read must not keep others untold."""
    found = []
    for service in runtime.store.services():
        try:
            found.append(runtime.store.get_config(service).config)
        except (UnknownService, ValidationError) as error:
            logger.error("not told", service=service, error=type(error).__name__)
    return found


def _pagers(news: Announcement, runtime: Runtime) -> list[Channel]:
    """Whom to tell while the configurations cannot be read: who pages, by what `apply` left."""
    if news.severity != "critical":
        return []
    try:
        routes = read_routes(runtime.ssm_soon)
    except (ClientError, BotoCoreError) as error:
        logger.error("the paging routes are not known", error=type(error).__name__)
        routes = {}
    return pagers(UNKNOWN if news.kind == OWN_TROUBLE else news.service, routes)


def _each(jobs: Sequence[_Job]) -> list[str]:
    """All at once, so that none waits for another; the problems of those that failed.

    One that is not done in time is left behind: its claim ends by itself before the next attempt.
    """
    pool = ThreadPoolExecutor(max_workers=len(jobs) or 1)
    sent = {pool.submit(_alone, job): job for job in jobs}
    done, late = wait(sent, timeout=CHANNEL_SECONDS)
    # In the order of the configuration, in which who must be woken comes first.
    problems = [problem for it in sent if it in done and (problem := it.result()) is not None]
    for channel in sorted(sent[it].channel for it in late):
        logger.error("not told in time", channel=channel)
        problems.append(f"{channel}: not within {CHANNEL_SECONDS:g} s")
    return problems


def _alone(job: _Job) -> str | None:
    try:
        return job.send()
    except Exception as error:
        # A fault of ours in one of them; its text may hold anything, its name does not.
        logger.error("not told", channel=job.channel, error=type(error).__name__)
        return f"{job.channel}: {type(error).__name__}"


def _send_once(
    news: Announcement,
    earlier: Sequence[Told],
    runtime: Runtime,
    edges: Edges,
    channel: Channel,
) -> str | None:
    """Send it unless it was sent, and keep what became of it; the problem if it may go later."""
    mine = [told for told in earlier if told.channel == channel.name]
    message = channel.message(news, mine)
    if message is None:
        return None
    told = Told(
        announcement_id=news.id,
        kind=news.kind,
        severity=news.severity,
        settled=news.settled,
        again=news.again,
        channel=channel.name,
        action=message.action,
        at=news.at,
    )
    ledger = Ledger(runtime.store)
    try:
        if not ledger.claim(news, told, runtime.clock.now()):
            return None
    except (ClientError, BotoCoreError) as error:
        logger.error("told without a claim", channel=channel.name, error=type(error).__name__)
    state, detail = _attempt(channel, message, edges)
    ended = told.model_copy(
        update={"state": state, "detail": detail, "ended_at": runtime.clock.now()}
    )
    _keep(news, ended, ledger, runtime)
    return f"{channel.name}: {detail}" if state == "failed" else None


def _send(channel: Channel, *, news: Announcement, edges: Edges) -> str | None:
    """Send it without the table: nobody knows whether it was sent, nor what was sent before."""
    message = channel.message(news, ())
    if message is None:
        return None
    state, detail = _attempt(channel, message, edges)
    logger.info("told without the table", channel=channel.name, state=state, detail=detail)
    return f"{channel.name}: {detail}" if state == "failed" else None


def _attempt(channel: Channel, message: Message, edges: Edges) -> tuple[State, str]:
    """Send; whatever is raised stays here, and a secret in what is said does too."""
    state: State = "sent"
    try:
        said = channel.send(message, edges)
    except Untold as error:
        state, said = "failed" if error.again else "refused", error.why
    except Exception as error:
        # Its text is not known to be free of secrets; its name is.
        state, said = "failed", type(error).__name__
    hidden = edges.vault.hide(said)
    return state, one_line(hidden, 300) if hidden else ""


def _keep(news: Announcement, told: Told, ledger: Ledger, runtime: Runtime) -> None:
    """The outcome, and its line in the deployment's history, as well as possible."""
    logger.info("told", announcement=news.id, channel=told.channel, state=told.state)
    try:
        ledger.end(news, told)
    except (ClientError, BotoCoreError) as error:
        logger.error("outcome not kept", channel=told.channel, error=type(error).__name__)
    if news.deployment_id is not None:
        note_best_effort(
            runtime,
            news.deployment_id,
            "told",
            news=news.kind,
            channel=told.channel,
            action=told.action,
            outcome=told.state,
            detail=told.detail or None,
        )
