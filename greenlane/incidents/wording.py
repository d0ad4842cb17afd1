"""How a report writes instants, spans, numbers and other people's text. Pure; no I/O."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202f\u2066-\u2069\ufeff]+")
"""Control characters, and those that turn or hide text around them."""


def time_of(moment: datetime) -> str:
    """`12:07:04`, in UTC."""
    return f"{moment.astimezone(UTC):%H:%M:%S}"


def day_and_time(moment: datetime) -> str:
    """`2026-11-23 12:07:04`, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def span(seconds: float | None) -> str:
    """The two largest units: `7 min 3 s`, `2 h 5 min`; `4.2 s` or `31 ms` of short ones."""
    if seconds is None:
        return "not known"
    seconds = max(seconds, 0.0)
    if seconds < 1:
        return f"{round(seconds * 1000)} ms" if seconds else "0 s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    rest = round(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
    return " ".join(part for part in parts[:2] if part)


def count_of(value: int) -> str:
    """`12,400`."""
    return f"{value:,}"


def number(value: float | Decimal | None) -> str:
    """A number without needless digits; `?` for none."""
    if value is None:
        return "?"
    decimal = Decimal(str(value))
    text = f"{decimal:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def ratio_as_percent(ratio: float | None) -> str:
    """`8.13 %` of a ratio; `none` without one."""
    return "none" if ratio is None else f"{number(round(ratio * 100, 2))} %"


def milliseconds(value: float | None) -> str:
    """`120 ms`; `none` without one."""
    return "none" if value is None else f"{number(round(value, 1))} ms"


def one_line(text: object, limit: int = 500) -> str:
    """Other people's text on one line, without control characters, at most `limit` long."""
    clean = " ".join(_UNPRINTABLE.sub(" ", str(text)).split())
    return clean if len(clean) <= limit else f"{clean[: limit - 1]}…"


def plural(count: int, word: str) -> str:
    """`1 request`, `2 requests`."""
    return f"{count_of(count)} {word}{'' if count == 1 else 's'}"


def listing(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def sentence(text: str) -> str:
    """The same with one full stop at its end."""
    return text.rstrip(" .") + "."


def tail_of_arn(arn: str | None) -> str:
    """What tells one ARN from another: its last part; other text as it is."""
    if arn is None:
        return "none"
    return arn.rsplit("/", 1)[-1] if arn.startswith("arn:") else arn
