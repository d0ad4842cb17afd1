"""Log lines as kinds of message: what differs from request to request is replaced. Pure; no I/O.

Two lines are the same kind when they differ only in instants, numbers, ids, addresses or secrets.
The replaced text is all that a report shows of a line, so what could name a person or open a door
is not in it.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable

from greenlane.incidents.report_model import LogLine, LogMessage, Logs, LogsRead
from greenlane.incidents.wording import one_line

LOOKS_LIKE_AN_ERROR = (
    "error|exception|fatal|critical|panic|traceback|fail|timeout|timed out|refused|killed|"
    "out of memory|unavailable"
)
"""What makes a line worth reading, as a regular expression without regard to case."""

LISTED = 10
"""How many new kinds of message a report lists."""

_ERROR = re.compile(LOOKS_LIKE_AN_ERROR, re.IGNORECASE)
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_MESSAGE_KEYS = ("message", "msg", "error", "exception", "event", "log")

# In this order: what is more particular first.
_REPLACED: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), "<token>"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b"), "<key>"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), r"\1 <secret>"),
    (
        re.compile(
            r"(?i)([\w-]*(?:authorization|token|secret|passw(?:or)?d|pwd|api[-_]?key|cookie|"
            r"credential|session)[\w-]*)([\"']?\s*[:=]\s*)"
            r"(?!<)(?:\"[^\"]*\"|'[^']*'|[^\s,;&\"'}]+)"
        ),
        r"\1\2<secret>",
    ),
    (re.compile(r"\b([a-z][a-z0-9+.-]*://)[^\s/@]*@"), r"\1<secret>@"),
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s?#\"']*)[?#][^\s\"']*"), r"\1?<query>"),
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "<email>"),
    (
        re.compile(
            r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
            r"|\b\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d(?: [+-]\d{4})?"
        ),
        "<time>",
    ),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "<uuid>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), "<address>"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "<hex>"),
    (re.compile(r"\b(?=[a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{8,}\b"), "<hex>"),
    (re.compile(r"\b(?=\w*\d)(?=\w*[A-Za-z])\w{20,}\b"), "<id>"),
    (re.compile(r"(?<![A-Za-z_<])[+-]?\d+(?:\.\d+)?"), "<n>"),
)


def kind_of(message: str) -> str:
    """The kind of message that a line is: `order <n> failed for <email>`."""
    text = _ANSI.sub("", _inner(message))
    for pattern, replacement in _REPLACED:
        text = pattern.sub(replacement, text)
    return one_line(text, 300)


def _inner(message: str) -> str:
    """What a line of JSON says; any other line as it is."""
    if not message.lstrip().startswith("{"):
        return message
    try:
        document = json.loads(message)
    except ValueError:
        return message
    if not isinstance(document, dict):
        return message
    return next((str(document[key]) for key in _MESSAGE_KEYS if document.get(key)), message)


def looks_like_an_error(message: str) -> bool:
    """Whether a line is worth reading; the queries ask for the same."""
    return _ERROR.search(message) is not None


def new_messages(read: LogsRead) -> Logs:
    """The kinds of message that the new version wrote and the other side did not, ranked."""
    candidate = _counted(read.candidate)
    reference = set(_counted(read.reference))
    new = [message for text, message in candidate.items() if text not in reference]
    ranked = sorted(new, key=lambda message: (-message.count, message.text))
    return Logs(
        groups=read.groups,
        compared_with=read.compared_with,
        lines_read=len(read.candidate),
        known_messages=len(candidate) - len(new),
        new=tuple(ranked[:LISTED]),
        more=max(len(ranked) - LISTED, 0),
        notes=read.notes,
    )


def _counted(lines: Iterable[LogLine]) -> dict[str, LogMessage]:
    counts: Counter[str] = Counter()
    streams: defaultdict[str, set[str]] = defaultdict(set)
    for line in lines:
        if looks_like_an_error(line.message):
            kind = kind_of(line.message)
            counts[kind] += 1
            streams[kind].add(line.stream)
    return {
        kind: LogMessage(text=kind, count=count, tasks=len(streams[kind]))
        for kind, count in counts.items()
    }
