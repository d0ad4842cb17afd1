"""How flags, snapshots, audit entries and proposals lie in the table. Pure; no I/O.

======================  ==================  ===================================================
pk                      sk                  what
======================  ==================  ===================================================
``flags``               ``head``            version, at, by, hash of the newest audit entry
``flags``               ``document``        version, hash, body: gzipped JSON of `StoredFlags`
``flags``               ``audit#<version>`` version, body: gzipped JSON of an `AuditEntry`
``flags``               ``proposal#<id>``   status, body: gzipped JSON of a `Proposal`
``flags``               ``turn#<ring>``     next: with whom the minute tick goes on
``snapshot#<environ.>`` ``version``         version, digest (SHA-256, hex, of the snapshot)
``snapshot#<environ.>`` ``snapshot``        version, body: gzipped JSON, see `compile_snapshot`
======================  ==================  ===================================================
"""

import gzip
import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from greenlane.deployments.storing.items import Item, instant
from greenlane.errors import FlagsTooLarge
from greenlane.flags.storing.audit import AuditEntry
from greenlane.flags.storing.state import StoredFlags, changed_keys, json_text, same
from greenlane.problems import Excerpt

FLAGS = "flags"
HEAD, DOCUMENT = "head", "document"
AUDIT, PROPOSAL, TURN = "audit#", "proposal#", "turn#"
VERSION, SNAPSHOT = "version", "snapshot"

LARGEST_BYTES = 400 * 1024 - 1024
"""What an item's body may have: DynamoDB's limit, less its other attributes."""


def packed(value: Any, what: str, most: int = LARGEST_BYTES) -> bytes:
    """A value as gzipped JSON, the same bytes for the same value.

    Raises:
        FlagsTooLarge: it does not fit into one item; `what` names it.
    """
    body = gzip.compress(_json(value), mtime=0)
    if len(body) > most:
        raise FlagsTooLarge(
            what,
            Excerpt(f"{len(body)} bytes, compressed"),
            f"at most {most} fit into the table: take out flags that are not used any "
            "more (`greenlane flags stale`), move large values out of the variants, or change "
            "fewer flags at a time",
        )
    return body


def unpacked(item: Item) -> Any:
    """The value that an item's body holds."""
    return json.loads(gzip.decompress(bytes(item["body"]["B"])))


def _json(value: Any) -> bytes:
    return json_text(value).encode("utf-8", "surrogatepass")


def key(pk: str, sk: str) -> Item:
    """An item's key."""
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def audit_key(version: int) -> str:
    """The sort key of the entry of one version."""
    return f"{AUDIT}{version:012d}"


def head_item(entry: AuditEntry) -> Item:
    """The item that every change must find as it read it."""
    return key(FLAGS, HEAD) | {
        "version": {"N": str(entry.version)},
        "at": {"S": instant(entry.at)},
        "by": {"S": entry.by},
        "hash": {"S": entry.hash},
    }


def document_item(flags: Mapping[str, Any], entry: AuditEntry, most: int) -> Item:
    """All flags, in at most so many bytes; `flags` is the JSON of `StoredFlags`."""
    return key(FLAGS, DOCUMENT) | {
        "version": {"N": str(entry.version)},
        "hash": {"S": entry.hash},
        "body": {"B": packed(flags, "feature_flags", most)},
    }


def audit_item(entry: AuditEntry) -> Item:
    """One entry."""
    body = packed(entry.model_dump(mode="json"), "this change")
    version = {"N": str(entry.version)}
    return key(FLAGS, audit_key(entry.version)) | {"version": version, "body": {"B": body}}


def snapshot_items(snapshot: Mapping[str, Any], most: int) -> tuple[Item, Item]:
    """The large item of an environment's snapshot, and the tiny one that readers ask first."""
    pk = f"{SNAPSHOT}#{snapshot['environment']}"
    version = {"N": str(snapshot["version"])}
    digest = hashlib.sha256(_json(snapshot)).hexdigest()
    body = packed(snapshot, f"feature_flags in {snapshot['environment']}", most)
    return (
        key(pk, SNAPSHOT) | {"version": version, "body": {"B": body}},
        key(pk, VERSION) | {"version": version, "digest": {"S": digest}},
    )


def moved(
    before: StoredFlags, after: StoredFlags, also: Collection[str] = ()
) -> list[dict[str, Any]]:
    """The snapshots that are not what they were, whole, by environment.

    Their versions aside: an environment in which nothing changed keeps its own. All of them, when
    they were compiled in an older way; those of `also` in any case.
    """
    changed = changed_keys(before, after)
    found = []
    anew = before.version == 0 or before.compiler < after.compiler
    for environment in after.environments:
        is_new = anew or environment in also or environment not in before.environments
        # What did not change compiles to the same: a flag is compiled from itself alone.
        was, now = (one.compiled(environment, changed) for one in (before, after))
        if is_new or not same(was | {"version": 0}, now | {"version": 0}):
            found.append(after.compiled(environment))
    return found
