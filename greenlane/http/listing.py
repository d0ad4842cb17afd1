"""Lists and histories in DynamoDB, a page at a time.

A cursor is where the last one stands that was seen: its instant, and what lies there, in characters
that need no escape in a URL.
"""

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from greenlane.deployments.model import HistoryEvent
from greenlane.deployments.storing.items import Item
from greenlane.deployments.storing.table import DynamoTable
from greenlane.http.fitting import MOST_CHARACTERS, that_fit

MOST_LISTED = 100
"""In one answer."""

_INSTANT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
_EVENT = "EVENT#"


class EventsQuery(BaseModel):
    """A part of a history, oldest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(20, ge=1, le=MOST_LISTED)
    after: str | None = Field(
        None, pattern=rf"^{_INSTANT}_[0-9a-f]{{8}}$", description="`next` of the page before."
    )


class NewestQuery(BaseModel):
    """A part of a list, newest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(20, ge=1, le=MOST_LISTED)
    before: str | None = Field(
        None,
        pattern=rf"^{_INSTANT}_[A-Za-z0-9][A-Za-z0-9_.-]{{0,79}}$",
        description="`next` of the page before.",
    )


class EventsPage(BaseModel):
    """What happened, oldest first; `next` is the `after` of the next page."""

    events: tuple[HistoryEvent, ...]
    next: str | None = None


class Newest(NamedTuple):
    """Items, newest first; `next` is the `before` of the next page."""

    items: Sequence[Item]
    next: str | None


def events_page(table: DynamoTable, partition: str, asked: EventsQuery) -> EventsPage:
    """A page of the history in a partition.

    Args:
        table: where it is.
        partition: its `pk`, such as `ROLLOUT#shop-1`.
        asked: which page.
    """
    items = table.query(partition, _EVENT, limit=asked.limit + 1, after=_sk(_EVENT, asked.after))
    read = [HistoryEvent.model_validate_json(item["body"]["S"]) for item in items[: asked.limit]]
    events = that_fit(read)
    more = len(items) > len(events)
    return EventsPage(events=events, next=_cursor(items[len(events) - 1]) if more else None)


def newest_page(
    table: DynamoTable, partitions: Iterable[str], prefix: str, asked: NewestQuery
) -> Newest:
    """A page of what several partitions list under a prefix and an instant.

    Args:
        table: where they are.
        partitions: their `pk`, such as `DATABASE#orders`.
        prefix: of the `sk`, such as `RUN#`; an instant, `#` and an id follow.
        asked: which page.
    """
    items = [
        item
        for one in partitions
        for item in table.query(
            one, prefix, newest_first=True, limit=asked.limit + 1, after=_sk(prefix, asked.before)
        )
    ]
    items.sort(key=lambda item: str(item["sk"]["S"]), reverse=True)
    page: list[Item] = []
    left = MOST_CHARACTERS
    for item in items[: asked.limit]:
        left -= len(json.dumps(item["body"]["S"]))  # as an answer has it: letters may be escapes
        if page and left < 0:
            break
        page.append(item)
    return Newest(page, _cursor(page[-1]) if len(items) > len(page) else None)


def _sk(prefix: str, cursor: str | None) -> str | None:
    if cursor is None:
        return None
    at, _, rest = cursor.partition("_")
    return f"{prefix}{at}#{rest}"


def _cursor(item: Item) -> str:
    _, at, rest = str(item["sk"]["S"]).split("#")
    return f"{at}_{rest}"
