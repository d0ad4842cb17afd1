"""Who changed which flag, when and why: one entry for each version, each chained to the one before.

An entry's `hash` is the SHA-256 of the entry without it, as JSON with its keys in the order in
which they are stored, and the entry names the hash of the one before as `previous`. So an entry
that is changed, or taken out from between others, breaks the chain. The newest hash also stands in
the table's `head`, and an entry has the digest of the document that it led to, so what is changed
beside Greenlane is found too.

Somebody who may write the table can write a chain anew. Keep `greenlane flags audit --verify`'s
newest hash elsewhere to find that.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from greenlane.deployments.storing.shapes import OnceWhy, StoredModel
from greenlane.flags.storing.state import json_text

GENESIS = "0" * 64
"""What the first entry names as the one before it."""


class FlagChange(StoredModel):
    """One thing before and after, as JSON; None is "not there".

    `key` is a flag's, `segment:<name>` or `approvals:`.
    """

    key: str
    before: Any = None
    after: Any = None


class AuditEntry(StoredModel):
    """What one version changed.

    `id` is of the request that wrote it, `digest` of the document it led to (SHA-256, hex).
    `proposal` is the change that a second person approved, `author` who had proposed it.
    """

    version: int
    id: str
    at: datetime
    by: str
    reason: OnceWhy = ""
    author: str | None = None
    proposal: str | None = None
    changes: tuple[FlagChange, ...] = ()
    digest: str = ""
    previous: str = GENESIS
    hash: str = Field("", description="of all other fields")

    def hashed(self) -> "AuditEntry":
        """The same entry with its hash."""
        return self.model_copy(update={"hash": hash_of(self.model_dump(mode="json"))})


def hash_of(entry: Mapping[str, Any]) -> str:
    """The hash of an entry as it is stored, keys of later versions included."""
    return digest_of({key: value for key, value in entry.items() if key != "hash"})


def digest_of(value: Any) -> str:
    """SHA-256, hex, of a value as JSON without spaces.

    The order of keys counts: the variants of a split are in one.
    """
    return hashlib.sha256(json_text(value).encode("utf-8", "surrogatepass")).hexdigest()


class Verified(StoredModel):
    """What a look at the whole chain found; `problems` is empty when all is well."""

    entries: int
    newest: str
    problems: tuple[str, ...] = ()


def broken(raw: Iterable[Mapping[str, Any]], version: int, newest: str) -> Iterator[str]:
    """What is wrong with a chain.

    Args:
        raw: all entries as they are stored, oldest first.
        version: of the head: how many entries there are.
        newest: the hash that the head has.
    """
    expected, previous = 1, GENESIS
    for entry in raw:
        number = entry.get("version")
        if not isinstance(number, int) or number < expected:
            yield f"version {number}: it is out of order"
            continue
        if number > expected:
            yield f"version {_span(expected, number - 1)}: the entry is missing"
        if entry.get("hash") != hash_of(entry):
            yield f"version {number}: the entry was changed after it was written"
        if number == expected and entry.get("previous") != previous:
            yield f"version {number}: it does not follow the entry before it"
        expected, previous = number + 1, str(entry.get("hash"))
    if expected <= version:
        yield f"version {_span(expected, version)}: the entry is missing"
    elif expected > version + 1:
        yield f"version {expected - 1}: the newest entry is ahead of the flags, at {version}"
    elif previous != newest:
        yield f"version {version}: the newest entry is not the one that the flags were written with"


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first} to {last}"
