"""What people are told, in one shape for every channel. Pure; no I/O."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from greenlane.people.wording import clip, one_line, readable

Severity = Literal["critical", "error", "warning", "info"]

SEVERITIES: dict[str, Severity] = {
    "refused": "warning",
    "promoted": "info",
    "succeeded": "info",
    "rolled_back": "critical",
    "still_trying": "critical",
    "held": "critical",
    "drift": "error",
    "greenlane_fails": "critical",
}
"""How bad each kind of news is, unless the teller says otherwise. Critical news pages."""

UNKNOWN = "unknown"
"""The service of news whose service could not be found out; all subscriptions take it."""

OWN_TROUBLE = "greenlane_fails"
"""The kind of news that is about Greenlane itself, so about every service."""

SUBJECT_LIMIT = 99
"""SNS takes a subject of fewer than 100 characters."""

_MOST_FACTS, _LONGEST_FACT, _ALL_FACTS = 25, 2000, 12_000
_TOLD_BY_SNS = 250_000


class Announcement(BaseModel):
    """One piece of news.

    Args:
        id: the same each time the same thing is told, so that a repetition is known as one.
        kind: what happened, such as `rolled_back`.
        severity: who has to hear of it, and how soon.
        service: the service's name; `unknown` when not even that is known, and the name of the
            alarm for trouble of Greenlane itself.
        deployment_id: None for news of no deployment.
        region: the Region it happened in.
        subject: one line.
        facts: what there is to know, most important first.
        way_out: what a person can do.
        links: addresses, by what is there; one that is not `http` is shown as text.
        settled: the deployment is over and its traffic is on one good version, so that whatever
            was raised about it before may be closed.
        closes: earlier deployments of the service whose open pages this news ends.
        again: how often it was told again, because nobody was reached.
        at: when it happened.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int = 1
    id: str = Field(min_length=1, max_length=300)
    kind: str = Field(pattern=r"^[a-z][a-z_]{1,39}$")
    severity: Severity
    service: str = Field(min_length=1, max_length=200)
    deployment_id: str | None = Field(None, max_length=200)
    region: str = Field(min_length=1, max_length=60)
    subject: str = Field(min_length=1)
    facts: dict[str, str] = Field(default_factory=dict)
    way_out: str | None = None
    links: dict[str, str] = Field(default_factory=dict)
    settled: bool = False
    closes: tuple[str, ...] = ()
    again: int = 0
    at: datetime

    @property
    def incident(self) -> str:
        """What all news of one deployment has in common, for channels that join them."""
        return f"{self.deployment_id or self.service}#{self.region}"

    @property
    def details(self) -> dict[str, str]:
        """Where it happened and the facts, in the order they are read."""
        where = {"service": self.service, "region": self.region}
        if self.deployment_id is not None:
            where["deployment"] = self.deployment_id
        return where | self.facts

    def text(self) -> str:
        """The news as a person reads it in a mail."""
        parts = ["\n".join(f"{name}: {value}" for name, value in self.details.items())]
        if self.way_out is not None:
            parts.append(f"What to do: {self.way_out}")
        if self.links:
            parts.append("\n".join(f"{name}: {where}" for name, where in self.links.items()))
        return "\n\n".join(parts)


def announce(
    *,
    kind: str,
    service: str,
    region: str,
    subject: str,
    at: datetime,
    severity: Severity | None = None,
    deployment_id: str | None = None,
    occasion: object = None,
    facts: Mapping[str, Any] | None = None,
    way_out: str | None = None,
    links: Mapping[str, str] | None = None,
    settled: bool = False,
    closes: Sequence[str] = (),
) -> Announcement:
    """Make an announcement of what there is to tell, cut to what SNS carries.

    Args:
        kind: see `Announcement`, as the others that are not listed here.
        service: see there.
        region: see there.
        subject: see there; made one line.
        at: see there.
        severity: by default that of the kind, in `SEVERITIES`, or `warning`.
        deployment_id: see there.
        occasion: what tells one such news of a deployment from the next, usually the epoch; by
            default what it says.
        facts: by name; values become text.
        way_out: see there.
        links: see there.
        settled: see there.
        closes: see there.
    """
    said = _fitted(facts or {})
    which = occasion if occasion is not None else _digest([subject, said])
    return Announcement(
        id=id_of(deployment_id or service, kind, which),
        kind=kind,
        severity=severity or SEVERITIES.get(kind, "warning"),
        service=service,
        deployment_id=deployment_id,
        region=region,
        subject=one_line(subject, SUBJECT_LIMIT),
        facts=said,
        way_out=None if way_out is None else clip(readable(way_out), _LONGEST_FACT),
        links={name: clip(readable(where), _LONGEST_FACT) for name, where in (links or {}).items()},
        settled=settled,
        closes=tuple(closes),
        at=at,
    )


def id_of(about: str, kind: str, occasion: object) -> str:
    """The id of such news about a deployment, or about a service."""
    return f"{ids_of(about, kind)}{_key(str(occasion))}"


def ids_of(about: str, kind: str) -> str:
    """What the ids of all such news begin with."""
    return f"{_key(about)}.{kind}."


def closing_of(news: Announcement, deployment_id: str) -> Announcement:
    """The end of what was raised about an earlier deployment that this news makes good."""
    changes = {
        "id": f"{_key(deployment_id)}.closed.{_digest(news.id)}",
        "kind": "closed",
        "severity": "info",
        "deployment_id": deployment_id,
        "settled": True,
        "closes": (),
    }
    return news.model_copy(update=changes)


def publication(news: Announcement) -> dict[str, Any]:
    """The arguments of SNS `Publish` besides the topic.

    Subscribers read text; the function that tells the other channels gets the whole. What it is
    about is also in attributes, by which a subscription can filter.
    """
    text, whole = news.text(), news.model_dump_json()
    message = json.dumps({"default": text, "lambda": whole}, ensure_ascii=False)
    if len(message.encode()) > _TOLD_BY_SNS:  # such as thousands of quotes, each escaped twice
        message = json.dumps({"default": text[:50_000], "lambda": _without_facts(news)})
    # Whoever knew only the deployment could not say whose it is: that is for everybody.
    service = UNKNOWN if news.service == news.deployment_id else news.service
    about = {"kind": news.kind, "severity": news.severity, "service": service}
    return {
        "Subject": news.subject,
        "Message": message,
        "MessageStructure": "json",
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value} for name, value in about.items()
        },
    }


def _without_facts(news: Announcement) -> str:
    return news.model_copy(update={"facts": {}, "links": {}}).model_dump_json()


def _fitted(facts: Mapping[str, Any]) -> dict[str, str]:
    """The facts as text, none too long, and not too much in all."""
    fitted: dict[str, str] = {}
    room = _ALL_FACTS
    for name, value in list(facts.items())[:_MOST_FACTS]:
        text = clip(readable(str(value)).strip(), min(_LONGEST_FACT, max(room, 1)))
        fitted[one_line(name, 60)] = text
        room -= len(text)
    return fitted


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def _key(text: str) -> str:
    """Text that can be part of an id: itself if it is a plain word, else a digest of it."""
    return text if re.fullmatch(r"[A-Za-z0-9_.-]{1,120}", text) else _digest(text)
