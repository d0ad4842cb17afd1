"""How A/B tests lie in the table. Pure; no I/O.

Everything but the counters is keyed by the run, so that a test that is begun again finds nothing
of before. `digest` is of a user under the run's salt (`greenlane.experiments.dealing.unit_digest`).

==================================  ==============================  ===============================
pk                                  sk                              what
==================================  ==============================  ===============================
``tests``                           ``test#<name>``                 version, status, run, body:
                                                                    gzipped JSON of `StoredTest`
``tests``                           ``shared``                      body: gzipped JSON of
                                                                    `SharedParts`
``snapshot#tests``                  ``version``                     version of all tests
``snapshot#tests``                  ``snapshot``                    version, body: gzipped JSON,
                                                                    see `dealing`
``audit#<name>``                    ``<version>``                   body: gzipped JSON of an
                                                                    `AuditedChange`
``looks#<name>#<run>``              ``<number>``                    body: gzipped JSON of a `Look`
``looks#<name>#<run>``              ``guard``                       body: gzipped JSON of a `Watch`
``user#<name>#<run>#<digest>``      ``user``                        see `counting.people`
``event#<name>#<run>#<digest>``     ``<metric>#<digest of its id>``  that it was here; `expires_at`
``count#<name>#<run>#<shard>``      ``<epoch>#<variant>``           users and sums, see
                                                                    `counting.counters`
``count#<name>#<run>#<shard>``      ``<epoch>#<variant>#h#<metric>``  a quantile's histogram
``count#<name>#<run>#<shard>``      ``...#s#<segment>...``          both, of one segment's users
==================================  ==============================  ===============================

Snapshots are laid out as those of flags are, under the "environment" `tests`: whatever reads the
one (`StdlibSource`, `BotoSource`) reads the other.
"""

import gzip
import json
from datetime import datetime
from typing import Any

from greenlane.deployments.storing.items import Item
from greenlane.deployments.storing.shapes import StoredModel
from greenlane.errors import InvalidInput
from greenlane.experiments.storing.compiling import compile_tests
from greenlane.experiments.storing.state import AuditedChange, SharedParts, StoredTests
from greenlane.flags.storing.state import json_text
from greenlane.problems import Excerpt

TESTS = "tests"
TEST, SHARED = "test#", "shared"
SNAPSHOT, VERSION = "snapshot", "version"
EVERYBODY = "tests"
"""The "environment" of the snapshot."""

SHARED_AUDIT = "shared parts:"
"""Under which layers and holdouts have their audit; no test has such a name."""

GUARD = "guard"

LARGEST_BYTES = 400 * 1024 - 2048
"""What an item's body may have: DynamoDB's limit, less its other attributes."""

ROOM = 40 * 1024
"""Of the snapshot, kept free of new tests: an end must fit whatever else does not. The first half
of it is for changes of tests that are there, all of it for ends."""


def packed(value: Any, what: str, way_out: str) -> bytes:
    """A value as gzipped JSON, the same bytes for the same value.

    Raises:
        InvalidInput: it does not fit into one item; `what` names it.
    """
    body = gzip.compress(json_text(value).encode("utf-8", "surrogatepass"), mtime=0)
    if len(body) > LARGEST_BYTES:
        found = Excerpt(f"{len(body)} bytes, compressed")
        raise InvalidInput(what, found, f"at most {LARGEST_BYTES} fit into the table: {way_out}")
    return body


def unpacked(item: Item) -> Any:
    """The value that an item's body holds."""
    return json.loads(gzip.decompress(bytes(item["body"]["B"])))


def key(pk: str, sk: str) -> Item:
    """An item's key."""
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def audit_key(name: str, version: int) -> Item:
    """The key of the entry of one version of a test."""
    return key(f"audit#{name}", f"{version:012d}")


def look_key(name: str, run: int, number: int) -> Item:
    """The key of one look of a run."""
    return key(looks_of(name, run), f"{number:06d}")


def looks_of(name: str, run: int) -> str:
    """The partition of a run's looks."""
    return f"looks#{name}#{run}"


def counters_of(name: str, run: int, shard: int) -> str:
    """The partition of one shard of a run's counters."""
    return f"count#{name}#{run}#{shard}"


def content(part: StoredModel | None) -> Any:
    """All of a test or of the shared parts that a change can change, as JSON."""
    return None if part is None else part.model_dump(mode="json", exclude={"execution"})


def head_item(before: int, after: int) -> tuple[Item, str, Item | None]:
    """The item that every change must find as it read it."""
    item = key(f"{SNAPSHOT}#{EVERYBODY}", VERSION) | {"version": {"N": str(after)}}
    if before == 0:
        return item, "attribute_not_exists(pk)", None
    return item, "version = :before", {":before": {"N": str(before)}}


def snapshot_item(before: StoredTests, after: StoredTests) -> Item:
    """What everybody deals from.

    Raises:
        InvalidInput: it does not fit, or would leave no room for the ends of tests that run.
    """
    body = packed(compile_tests(after), "ab_tests", _FULL)
    most = LARGEST_BYTES - _room_left(before, after)
    if len(body) > most:
        found = Excerpt(f"{len(body)} bytes, compressed")
        said = f"tests are never forgotten, and at most {most} leave room for their ends: {_FULL}"
        raise InvalidInput("ab_tests", found, said)
    version = {"N": str(after.version)}
    return key(f"{SNAPSHOT}#{EVERYBODY}", SNAPSHOT) | {"version": version, "body": {"B": body}}


_FULL = (
    "begin a test that ended again with the new definition, under its old name (`--again`), rather "
    "than add one; or target by fewer conditions"
)


def _room_left(before: StoredTests, after: StoredTests) -> int:
    """What a change must leave of the snapshot, in bytes: an end nothing, a new test the most."""
    if after.tests.keys() - before.tests.keys():
        return ROOM
    going = (one for one in after.tests.values() if one.status != "concluded")
    changed = any(test is not before.tests[test.name] for test in going)
    return ROOM // 2 if changed else 0


def shared_item(shared: SharedParts) -> Item:
    """Layers and holdouts; raises `InvalidInput` when they do not fit."""
    body = packed(content(shared), "layers and holdouts", "write fewer of them")
    return key(TESTS, SHARED) | {"body": {"B": body}}


def audit_item(
    name: str,
    version: int,
    ours: str,
    said: tuple[str, str, datetime],
    before: StoredModel | None,
    after: StoredModel,
) -> Item:
    """The entry of one change; raises `InvalidInput` when it does not fit.

    Args:
        name: of the test, or `SHARED_AUDIT`.
        version: with the change.
        ours: the id of the request.
        said: who, why, when.
        before: what was there; None if nothing was.
        after: what is there now.
    """
    by, reason, at = said
    entry = AuditedChange(
        version=version,
        id=ours,
        at=at,
        by=by,
        reason=reason,
        before=content(before),
        after=content(after),
    )
    body = packed(entry.model_dump(mode="json"), f"the change of {name}", "change less at a time")
    return audit_key(name, version) | {"body": {"B": body}}
