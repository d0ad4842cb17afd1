"""Which channels a service's configuration asks for. Pure; no I/O."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from greenlane.deployments.declaring.config import ServiceConfig
from greenlane.people.alertmanager import Alertmanager
from greenlane.people.announcement import Announcement
from greenlane.people.channel import Channel
from greenlane.people.opscenter import OpsCenter
from greenlane.people.pagerduty import PagerDuty
from greenlane.people.slack import Slack
from greenlane.people.webhook import WebhookChannel

_Configured = PagerDuty | OpsCenter | Alertmanager | Slack | WebhookChannel
_RESOLVES = (PagerDuty, Alertmanager)


def secret_name(service: str, channel: str) -> str:
    """The name of a channel's secret when the configuration names none."""
    return f"greenlane/{service}/{channel}"


def channels_of(config: ServiceConfig) -> list[Channel]:
    """The channels besides email, which is the topic's own."""
    return list(_channels(config))


def _channels(config: ServiceConfig) -> Iterator[_Configured]:
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


def channels_of_all(configs: Iterable[ServiceConfig]) -> list[Channel]:
    """The channels of several services, each once, by names that tell whose they are."""
    found: dict[_Configured, Channel] = {}
    for config in configs:
        for channel in _channels(config):
            found.setdefault(channel, replace(channel, name=f"{channel.name}@{config.name}"))
    return list(found.values())


def waking(config: ServiceConfig) -> list[str]:
    """The names of the channels that wake people; where there is none, all of them have to do.

    Those that wake also know a repetition of their own accord.
    """
    asked = config.notifications
    wake = {
        "pagerduty": asked.pagerduty_integration,
        "opscenter": asked.opscenter,
        "alertmanager": config.monitoring.alert_manager is not None,
    }
    others = {"slack": asked.slack_channel is not None, "webhook": asked.webhook is not None}
    return _asked_for(wake) or _asked_for(others)


def _asked_for(channels: Mapping[str, bool]) -> list[str]:
    return [name for name, asked in channels.items() if asked]


def resolving(channels: Sequence[Channel]) -> list[Channel]:
    """The channels that keep something open until it is resolved."""
    return [it for it in channels if isinstance(it, _RESOLVES)]


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
