"""Which channels a service's configuration asks for. Pure; no I/O."""

from collections.abc import Iterator

from greenlane.deployments.config import ServiceConfig
from greenlane.people.alertmanager import Alertmanager
from greenlane.people.announcement import Announcement
from greenlane.people.channel import Channel
from greenlane.people.opscenter import OpsCenter
from greenlane.people.pagerduty import PagerDuty
from greenlane.people.slack import Slack
from greenlane.people.webhook import WebhookChannel


def secret_name(service: str, channel: str) -> str:
    """The name of a channel's secret when the configuration names none."""
    return f"greenlane/{service}/{channel}"


def channels_of(config: ServiceConfig) -> list[Channel]:
    """The channels besides email, which is the topic's own."""
    return list(_channels(config))


def _channels(config: ServiceConfig) -> Iterator[Channel]:
    asked, name = config.notifications, config.name
    # Who must be woken comes first.
    if asked.pagerduty_integration:
        secret = asked.pagerduty_secret or secret_name(name, "pagerduty")
        yield PagerDuty(secret, asked.pagerduty_region)
    if asked.opscenter:
        yield OpsCenter()
    if config.monitoring.alert_manager is not None:
        yield Alertmanager(config.monitoring.alert_manager, config.monitoring.alert_manager_network)
    if asked.slack_channel is not None:
        yield Slack(asked.slack_channel, asked.slack_secret or secret_name(name, "slack"))
    if asked.webhook is not None:
        secret = asked.webhook.secret or secret_name(name, "webhook")
        yield WebhookChannel(asked.webhook.url, secret)


def channels_without_config(news: Announcement) -> list[Channel]:
    """Whom to tell while the configuration cannot be read.

    A page must not wait for the table: the secret that pages for this service is known by its
    name, and its being there means that somebody wants to be paged.
    """
    if news.severity != "critical" or news.service == "unknown":
        return []
    return [PagerDuty(secret_name(news.service, "pagerduty"))]


def secrets_of(config: ServiceConfig) -> dict[str, str]:
    """The secrets that must exist, by the key of the configuration that asks for each."""
    asked, name = config.notifications, config.name
    wanted = {}
    if asked.slack_channel is not None:
        wanted["slack_channel"] = asked.slack_secret or secret_name(name, "slack")
    if asked.pagerduty_integration:
        wanted["pagerduty_integration"] = asked.pagerduty_secret or secret_name(name, "pagerduty")
    if asked.webhook is not None:
        wanted["webhook"] = asked.webhook.secret or secret_name(name, "webhook")
    return wanted


def with_dashboard(news: Announcement, config: ServiceConfig) -> Announcement:
    """The announcement with a link to the team's own dashboard, if it has one."""
    dashboard = config.monitoring.grafana_dashboard
    if dashboard is None or "dashboard" in news.links:
        return news
    return news.model_copy(update={"links": news.links | {"dashboard": dashboard}})
