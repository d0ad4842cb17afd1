"""Slack: a message of blocks, by a bot's token or an incoming webhook.

Limits, from https://docs.slack.dev/reference/block-kit/blocks: a header of 150 characters, a
section's text of 3000, 10 fields of 2000, 10 elements of a context, 50 blocks; and, measured by
others (slackapi/bolt-js issue 2509), 13,000 characters in all blocks together.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from urllib.parse import urlsplit

from greenlane.people.announcement import Announcement
from greenlane.people.channel import Edges, Message, Told, Untold, check_status
from greenlane.people.posting import Answer
from greenlane.people.wording import CUT, clip, is_link, one_line, units

API = "https://slack.com/api/chat.postMessage"
WEBHOOK_HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")

_SIGNS = {"critical": "🔴", "error": "🟠", "warning": "🟡", "info": "🔵"}
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_SHORT = 80
_AGAIN = frozenset(
    {
        "ratelimited",
        "rate_limited",
        "message_limit_exceeded",
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
        "team_added_to_org",
        "rollup_error",
        "unreadable_answer",
    }
)
_BAD_TOKEN = frozenset({"invalid_auth", "not_authed", "token_expired", "token_revoked"})


@dataclass(frozen=True)
class Slack:
    """One channel of a workspace.

    Args:
        channel: `#name` or an id; an incoming webhook has a channel of its own.
        secret: of a bot's token, or of an incoming webhook's address.
    """

    channel: str
    secret: str
    name: str = "slack"

    def message(self, news: Announcement, earlier: Sequence[Told]) -> Message | None:
        """All news is told."""
        del earlier
        return Message("post", payload(news) | {"channel": self.channel})

    def send(self, message: Message, edges: Edges) -> str:
        """See `Channel`."""
        value = edges.vault.get(self.secret)
        answer = _post(value, message.body, edges)
        if _error_of(answer) in _BAD_TOKEN or answer.status in (401, 403):
            fresh = edges.vault.renewed(self.secret, value)
            answer = answer if fresh is None else _post(fresh, message.body, edges)
        error = _error_of(answer)
        if 200 <= answer.status < 300 and error:
            raise Untold(f"Slack says {error}", again=error in _AGAIN)
        check_status(answer, said=error)
        return ""


def _post(secret: str, body: dict[str, Any], edges: Edges) -> Answer:
    if not secret.startswith("https://"):
        headers = {"Authorization": f"Bearer {secret}"}
        return edges.post(API, json.dumps(body).encode(), headers)
    if urlsplit(secret).hostname not in WEBHOOK_HOSTS:
        raise Untold("the secret is an address, but not of a Slack webhook", again=False)
    rest = {key: value for key, value in body.items() if key != "channel"}
    return edges.post(secret, json.dumps(rest).encode(), {})


def _error_of(answer: Answer) -> str:
    """Slack's own word for what is wrong, from either of its two ways to answer; else nothing."""
    text = answer.body[:2000].decode("utf-8", "replace").strip()
    if text == "ok":
        return ""
    try:
        document = json.loads(text)
        if isinstance(document, dict) and document.get("ok") is True:
            return ""
        text = str(document["error"])
    except (ValueError, KeyError, TypeError):
        # A webhook answers in plain text; what is neither is not Slack's.
        pass
    return text if re.fullmatch(r"[a-z_]{3,60}", text) else "unreadable_answer"


def payload(news: Announcement) -> dict[str, Any]:
    """The message without its channel: fallback text and blocks."""
    short, long = _by_length(news.details)
    sign = "🟢" if news.settled and news.severity == "info" else _SIGNS[news.severity]
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _plain(f"{sign} {news.subject}", 150)},
        {"type": "section", "fields": [_field(name, value) for name, value in short]},
    ]
    if long:
        text = "\n".join(
            f"*{escaped(name, 80)}:* {escaped(value, 1200)}" for name, value in long.items()
        )
        blocks.append({"type": "section", "text": _mrkdwn(_cut_lines(text, 2500))})
    if news.way_out is not None:
        text = f"*What to do:* {escaped(news.way_out, 1500)}"
        blocks.append({"type": "section", "text": _mrkdwn(text)})
    blocks.append({"type": "context", "elements": _context(news)})
    return {
        "text": escaped(f"{sign} {news.subject}", 300),
        "blocks": blocks,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _by_length(details: dict[str, str]) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Up to ten short details for a table of two columns, and the rest."""
    short = [(name, value) for name, value in details.items() if units(value) <= _SHORT][:10]
    shown = {name for name, _ in short}
    return short, {name: value for name, value in details.items() if name not in shown}


def _field(name: str, value: str) -> dict[str, Any]:
    return _mrkdwn(f"*{escaped(name, 80)}*\n{escaped(value or '-', 400)}")


def _context(news: Announcement) -> list[dict[str, Any]]:
    at = news.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    elements = [_mrkdwn(at), _mrkdwn(news.severity)]
    for name, where in list(news.links.items())[:4]:
        label = escaped(one_line(name.replace("|", "/"), 40), 60)
        if is_link(where) and len(where) <= 500:
            elements.append(_mrkdwn(f"<{escaped(where, 700)}|{label}>"))
        else:
            elements.append(_mrkdwn(f"{label}: {escaped(where, 300)}"))
    return elements


def _plain(text: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": escaped(one_line(text, limit), limit), "emoji": False}


def _mrkdwn(text: str) -> dict[str, Any]:
    # `verbatim`: Slack must not make links and mentions of words that look like them.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def escaped(text: str, limit: int) -> str:
    """Text that cannot address anybody: `<!channel>` is shown, not obeyed.

    Cut to `limit` as it is written, never inside an entity.
    """
    written = text.translate(_ENTITIES)
    if units(written) <= limit:
        return written
    cut = clip(written, limit).removesuffix(CUT)
    return re.sub(r"&[a-z]{0,3}$", "", cut) + CUT


def _cut_lines(text: str, limit: int) -> str:
    """Whole lines only, for each is escaped by itself."""
    kept: list[str] = []
    room = limit
    for line in text.split("\n"):
        room -= units(line) + 1
        if room < 2:
            return "\n".join([*kept, CUT])
        kept.append(line)
    return "\n".join(kept)
