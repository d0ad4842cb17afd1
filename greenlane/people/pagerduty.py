"""PagerDuty: an alert that is triggered, and resolved when its deployment has ended well.

Limits, from https://developer.pagerduty.com/docs/events-api-v2-overview: a summary of 1024
characters, a key of 255, an event of 512 KB. 202 means taken, 400 is for good, 429 and 5xx are
tried again. A trigger with the key of an open alert joins it, so nobody is paged twice; a resolve
without an open alert is dropped.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from greenlane.people.announcement import Announcement
from greenlane.people.channel import Edges, Message, Told, check_status
from greenlane.people.posting import Answer
from greenlane.people.wording import clip, is_link, one_line

ENDPOINTS = {
    "us": "https://events.pagerduty.com/v2/enqueue",
    "eu": "https://events.eu.pagerduty.com/v2/enqueue",
}
ServiceRegion = Literal["us", "eu"]


@dataclass(frozen=True)
class PagerDuty:
    """One integration of a PagerDuty service.

    Args:
        secret: of the routing key.
        region: where the PagerDuty account lives.
    """

    secret: str
    region: ServiceRegion = "us"
    name: str = "pagerduty"

    def message(self, news: Announcement, earlier: Sequence[Told]) -> Message | None:
        """Critical news triggers; the good end of what was triggered before resolves."""
        action = decide(news, earlier)
        if action is None:
            return None
        return Message(action, triggered(news) if action == "trigger" else resolved(news))

    def send(self, message: Message, edges: Edges) -> str:
        """See `Channel`."""
        key = edges.vault.get(self.secret)
        answer = self._post(key, message, edges)
        if answer.status in (400, 401, 403):
            fresh = edges.vault.renewed(self.secret, key)
            answer = answer if fresh is None else self._post(fresh, message, edges)
        check_status(answer, said=_said(answer))
        return str(message.body["dedup_key"])

    def _post(self, key: str, message: Message, edges: Edges) -> Answer:
        body = json.dumps({"routing_key": key} | message.body, ensure_ascii=False).encode()
        return edges.post(ENDPOINTS[self.region], body, {})


def decide(news: Announcement, earlier: Sequence[Told]) -> Literal["trigger", "resolve"] | None:
    """What the news does to the deployment's alert. Pure.

    A rollback that ended well closes the alert of a rollback that could not go on. One that
    nobody was paged for is news by itself, if it is critical.

    Args:
        news: the news.
        earlier: what was sent of the same deployment, oldest first.
    """
    if any(told.settled and told.at > news.at for told in earlier):
        return None  # it comes late: the deployment has ended since
    before = [told for told in earlier if told.at <= news.at and told.state != "refused"]
    open_alert = bool(before) and before[-1].action == "trigger"
    if news.settled and open_alert and before[-1].state == "sent":
        return "resolve"
    if news.severity == "critical":
        return "trigger"
    # Whether the trigger was taken is not known; a resolve too many does no harm.
    return "resolve" if news.settled and open_alert else None


def triggered(news: Announcement) -> dict[str, Any]:
    """The event that opens an alert, or adds to the open one; without its routing key."""
    links = [
        {"href": where, "text": one_line(name, 100)}
        for name, where in list(news.links.items())[:10]
        if is_link(where)
    ]
    texts = {name: where for name, where in news.links.items() if not is_link(where)}
    details = news.details | texts
    if news.way_out is not None:
        details["what to do"] = news.way_out
    return {
        "event_action": "trigger",
        "dedup_key": _key(news),
        "client": "Greenlane",
        "links": links,
        "payload": {
            "summary": one_line(news.subject, 1024),
            "source": one_line(f"{news.service} in {news.region}", 255),
            "severity": news.severity,
            "timestamp": news.at.isoformat(),
            "component": one_line(news.service, 255),
            "group": "greenlane",
            "class": news.kind,
            "custom_details": {
                one_line(name, 100): clip(value, 2000) for name, value in list(details.items())[:40]
            },
        },
    }


def resolved(news: Announcement) -> dict[str, Any]:
    """The event that closes the alert; without its routing key."""
    return {"event_action": "resolve", "dedup_key": _key(news)}


def _key(news: Announcement) -> str:
    return one_line(news.incident, 255)


def _said(answer: Answer) -> str:
    """PagerDuty's own reasons, when it gives any.

    Whole, for the sender hides the key in them: half of it would not be known.
    """
    try:
        document = json.loads(answer.body)
        reasons = [document["message"], *document.get("errors", [])]
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
    return "; ".join(str(reason) for reason in reasons)
