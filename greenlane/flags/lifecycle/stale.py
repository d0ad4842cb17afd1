"""Flags that should be gone: expired, not used any more, decided for everybody, or only in code.

A flag whose metadata says `permanent: true` (a kill switch, an operator's setting) may serve one
variant, or nobody, for ever; it still has to be in the code if the code is looked at.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from greenlane.deployments.storing.items import Item
from greenlane.deployments.storing.shapes import StoredModel
from greenlane.flags.lifecycle.code_scan import Scan
from greenlane.flags.lifecycle.seen import DEFAULT, PREFIX, VARIANT
from greenlane.flags.storing.state import StoredFlag

PERMANENT = "permanent"

Kind = Literal["expired", "not_evaluated", "one_sided", "not_in_code", "not_defined"]


class SeenFlag(StoredModel):
    """When a flag was evaluated in one environment; days are UTC."""

    flag: str
    environment: str
    first: date
    last: date
    count: int = 0
    variants: dict[str, date] = {}


class Finding(StoredModel):
    """One flag that somebody should do something about, and what; `places` are file:line."""

    flag: str
    kind: Kind
    said: str
    places: tuple[str, ...] = ()


def seen_from(item: Item) -> SeenFlag:
    """What an item says; see `seen`."""
    text: dict[str, Any] = {name: next(iter(value.values())) for name, value in item.items()}
    return SeenFlag(
        flag=text["sk"],
        environment=text["pk"].removeprefix(PREFIX),
        first=date.fromisoformat(text["first"]),
        last=date.fromisoformat(text["last"][:10]),
        count=int(text["count"]),
        variants={
            name.removeprefix(VARIANT): date.fromisoformat(day)
            for name, day in text.items()
            if name.startswith(VARIANT)
        },
    )


def findings(
    flags: Mapping[str, StoredFlag],
    *,
    now: datetime,
    older: timedelta,
    seen: Sequence[SeenFlag] | None = None,
    code: Scan | None = None,
) -> list[Finding]:
    """Everything that is stale, by flag.

    Args:
        flags: that are defined.
        now: the present.
        older: how long a flag may go unused, or serve one variant alone.
        seen: evaluations in all environments; None or empty when nobody recorded any, which says
            nothing about a flag.
        code: where code asks for flags; None when it was not looked at.
    """
    found: list[Finding] = []
    for key, stored in sorted(flags.items()):
        expires = stored.flag.expires
        if expires is not None and expires <= now:
            said = f"it expired on {expires:%Y-%m-%d}; take it out of the code, then delete it"
            found.append(_finding(key, "expired", said, code))
        settled = stored.at is None or stored.at <= now - older
        if seen and settled and not stored.flag.metadata.get(PERMANENT):
            found += _by_use(key, [one for one in seen if one.flag == key], now, older, code)
        if code is not None and not code.of(key):
            said = "nothing in the code asks for it; delete it"
            found.append(Finding(flag=key, kind="not_in_code", said=said))
    return found + list(_undefined(flags, code))


def _by_use(
    key: str, seen: Sequence[SeenFlag], now: datetime, older: timedelta, code: Scan | None
) -> Iterator[Finding]:
    since = (now.astimezone(UTC) - older).date()
    if not seen:
        said = f"it was never evaluated, and was not changed since {since}; delete it"
        yield _finding(key, "not_evaluated", said, code)
        return
    last = max(one.last for one in seen)
    if last < since:
        said = f"it was last evaluated on {last}; delete it"
        yield _finding(key, "not_evaluated", said, code)
        return
    served = {name for one in seen for name, day in one.variants.items() if day >= since}
    if len(served) == 1 and min(one.first for one in seen) <= since:
        (variant,) = served
        what = "the code's own default" if variant == DEFAULT else variant
        said = f"everybody got {what} since {since}; keep that path in the code, delete the flag"
        yield _finding(key, "one_sided", said, code)


def _undefined(flags: Mapping[str, StoredFlag], code: Scan | None) -> Iterator[Finding]:
    asked = {one.key for one in (code.uses if code else ()) if not one.mention}
    for key in sorted(asked - flags.keys()):
        uses = [one for one in (code.uses if code else ()) if one.key == key and not one.mention]
        if any(one.prefix for one in uses):
            if any(name.startswith(key) for name in flags):
                continue
            said = f"the code asks for flags that begin with {key}, and there are none"
        else:
            said = "the code asks for it, and nobody defined it: everybody gets the code's default"
        places = tuple(f"{one.file}:{one.line}" for one in uses)
        yield Finding(flag=key, kind="not_defined", said=said, places=places)


def _finding(key: str, kind: Kind, said: str, code: Scan | None) -> Finding:
    places = tuple(f"{one.file}:{one.line}" for one in (code.of(key) if code else ()))
    return Finding(flag=key, kind=kind, said=said, places=places)
