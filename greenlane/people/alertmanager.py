"""Alertmanager: alerts that fire, and are resolved when their deployment has ended well.

Alerts are known by their labels alone, so that one is resolved by the same labels with an end. An
alert without an end would be resolved after Alertmanager's `resolve_timeout`, five minutes, since
nobody repeats it; so each gets one. See https://prometheus.io/docs/alerting/latest/clients/.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from greenlane.people.announcement import Announcement, Severity
from greenlane.people.channel import Edges, Message, Told, check_status
from greenlane.people.wording import clip, is_link

PATH = "/api/v2/alerts"
FIRES = timedelta(hours=1)
FIRES_UNTIL_MENDED = timedelta(hours=24)

Network = Literal["vpc", "internet"]


@dataclass(frozen=True)
class Alertmanager:
    """A team's Alertmanager.

    Args:
        url: its base address, such as `http://alertmanager:9093`.
        network: from where it is reached: inside the VPC of the workload, or the internet.
    """

    url: str
    network: Network = "vpc"
    name: str = "alertmanager"

    def message(self, news: Announcement, earlier: Sequence[Told]) -> Message | None:
        """Whatever is worse than info fires; a good end resolves what fired before."""
        if any(told.settled and told.at > news.at for told in earlier):
            return None  # it comes late: the deployment has ended since
        before = [told for told in earlier if told.at <= news.at] if news.settled else []
        over = [_resolved(told, news) for told in still_firing(before)]
        firing = [_firing(news)] if news.severity != "info" else []
        if not over and not firing:
            return None
        return Message("fire" if firing else "resolve", over + firing)

    def send(self, message: Message, edges: Edges) -> str:
        """See `Channel`."""
        if self.network == "vpc":
            check_status(edges.inside(self.url, message.body))
        else:
            check_status(edges.post(address(self.url), json.dumps(message.body).encode(), {}))
        return ""


def address(url: str) -> str:
    """Where alerts are posted to, below an Alertmanager's base address."""
    return url.rstrip("/") + PATH


def still_firing(earlier: Sequence[Told]) -> list[Told]:
    """What fired since the last good end; what may have been taken counts."""
    since = 0
    for number, told in enumerate(earlier):
        if told.settled and told.state == "sent":
            since = number if told.action == "fire" else number + 1
    return [one for one in earlier[since:] if one.action == "fire" and one.state != "refused"]


def _firing(news: Announcement) -> dict[str, Any]:
    mended = news.severity == "critical" and not news.settled
    facts = "\n".join(f"{name}: {value}" for name, value in news.facts.items())
    annotations = {"summary": news.subject, "description": clip(facts, 4000)}
    if news.way_out is not None:
        annotations["way_out"] = news.way_out
    # Alertmanager takes names of letters, digits and underscores.
    links = {
        re.sub(r"\W", "_", f"link_{name}", flags=re.ASCII): news.links[name] for name in news.links
    }
    alert: dict[str, Any] = {
        "labels": _labels(news.kind, news.severity, news),
        "annotations": {key: value for key, value in (annotations | links).items() if value},
        "startsAt": _instant(news.at),
        "endsAt": _instant(news.at + (FIRES_UNTIL_MENDED if mended else FIRES)),
    }
    source = next((where for where in news.links.values() if is_link(where)), None)
    return alert if source is None else alert | {"generatorURL": source}


def _resolved(told: Told, news: Announcement) -> dict[str, Any]:
    return {
        "labels": _labels(told.kind, told.severity, news),
        "annotations": {"summary": news.subject},
        "startsAt": _instant(told.at),
        "endsAt": _instant(news.at),
    }


def _labels(kind: str, severity: Severity, news: Announcement) -> dict[str, str]:
    labels = {
        "alertname": "Greenlane" + "".join(word.title() for word in kind.split("_")),
        "severity": severity,
        "service": news.service,
        "region": news.region,
    }
    return labels | ({"deployment": news.deployment_id} if news.deployment_id else {})


def _instant(at: datetime) -> str:
    return at.isoformat()
