"""Where flags are kept: every change is one transaction, so nothing of it is ever there in part.

A change writes the document, its audit entry, and the snapshot of each environment that is not
what it was, on the condition that nobody else wrote since it was read. See `stored_items` for the
layout of the table. An environment's snapshot has the version that last changed it.
"""

import random
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, Protocol

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

from greenlane.deployments.storing.items import Item
from greenlane.deployments.storing.shapes import StoredModel
from greenlane.errors import (
    ApprovalRefused,
    FlagConflict,
    InvalidInput,
    Refused,
)
from greenlane.flags.lifecycle.stale import SeenFlag
from greenlane.flags.storing.audit import GENESIS, AuditEntry, FlagChange, Verified, digest_of
from greenlane.flags.storing.fitting import (
    LARGEST_BYTES,
    MOST_ENVIRONMENTS,
    ORDINARY_BYTES,
    check_room,
    that_fits,
)
from greenlane.flags.storing.proposals import Proposal, Status
from greenlane.flags.storing.records import FlagRecords
from greenlane.flags.storing.state import (
    StoredFlags,
    adds_nothing,
    changed_keys,
    named_environments,
    settled,
)
from greenlane.flags.storing.stored_items import (
    DOCUMENT,
    FLAGS,
    SNAPSHOT,
    VERSION,
    audit_item,
    audit_key,
    document_item,
    head_item,
    key,
    moved,
    snapshot_items,
    unpacked,
)

Edit = Callable[[StoredFlags], StoredFlags]

_TOO_MANY = "the flags are being changed by too many others at once; try again"

TRIES = 40
"""How often a change is made anew because other flags moved."""

REPEATS = 4
"""How often one transaction is sent when nobody knows whether it went in."""

_MAYBE = frozenset(
    {
        "InternalServerError",
        "ServiceUnavailable",
        "ThrottlingException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "TransactionInProgressException",
    }
)
_AGAIN = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})


class Changed(StoredModel):
    """What a change came to. `keys` is empty, and `entry` None, when it changed nothing."""

    version: int
    flags: StoredFlags
    keys: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    entry: AuditEntry | None = None


class FlagStore(Protocol):
    """What keeps flags."""

    def read(self, *, consistent: bool = True) -> StoredFlags:
        """All flags; an empty set at version 0 before the first change."""
        ...

    def change(
        self,
        edit: Edit,
        *,
        by: str,
        reason: str,
        at: datetime,
        touches: Mapping[str, int] | None = None,
        approves: Proposal | None = None,
    ) -> Changed:
        """Make a change, or raise `FlagConflict`; see `DynamoFlagStore`."""
        ...

    def recompile(self, *, by: str, reason: str, at: datetime) -> Changed:
        """Write the snapshots that are not what the flags compile to; see `DynamoFlagStore`."""
        ...

    def audit(
        self, flag: str | None = None, before: int | None = None, limit: int = 50
    ) -> list[AuditEntry]:
        """What was changed, newest first."""
        ...

    def verify(self) -> Verified:
        """Check the whole chain of the audit, and that it leads to what is stored."""
        ...

    def seen(self, environment: str) -> list[SeenFlag]:
        """When flags were evaluated in an environment."""
        ...

    def propose(self, proposal: Proposal) -> None:
        """Keep a change that waits for a second person."""
        ...

    def proposals(
        self, status: Status | None = None, before: str | None = None, limit: int | None = None
    ) -> list[Proposal]:
        """Those that wait, and those that were decided; newest first."""
        ...

    def proposal(self, id: str) -> Proposal:
        """One of them; raises `UnknownProposal`."""
        ...

    def decide(self, proposal: Proposal) -> None:
        """Keep a decision that changes no flag; raises `ApprovalRefused` if one was made."""
        ...


class DynamoFlagStore(FlagRecords):
    """Flags in DynamoDB.

    Args:
        client: a boto3 `dynamodb` client; its timeouts and retries are the caller's choice.
        table: the table's name.
        environments: that have a snapshot whether a flag names them or not.
        sleep: how to wait between two tries, in seconds.
    """

    def __init__(
        self,
        client: Any,
        table: str,
        *,
        environments: tuple[str, ...] = (),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """See the class."""
        super().__init__(client, table)
        self._environments = environments
        self._sleep = sleep

    def read(self, *, consistent: bool = True) -> StoredFlags:
        """All flags; an empty set at version 0 before the first change."""
        return self._read(consistent)[0]

    def _read(self, consistent: bool = True) -> tuple[StoredFlags, str]:
        """All flags, and the hash of the audit entry that led to them."""
        answer = self.client.get_item(
            TableName=self.table, Key=key(FLAGS, DOCUMENT), ConsistentRead=consistent
        )
        if "Item" not in answer:
            return StoredFlags(), GENESIS
        item = answer["Item"]
        return StoredFlags.model_validate(unpacked(item)), str(item["hash"]["S"])

    def change(
        self,
        edit: Edit,
        *,
        by: str,
        reason: str,
        at: datetime,
        touches: Mapping[str, int] | None = None,
        approves: Proposal | None = None,
    ) -> Changed:
        """Read, edit and write, anew as long as only flags that `edit` leaves alone have moved.

        Args:
            edit: from what is stored to what shall be; called once more for each try, so it has
                no effects of its own. What it raises is raised here.
            by: who.
            reason: for the audit.
            at: when.
            touches: what was looked at, with its revision (see `state`); those must not have
                moved, unless `edit` has nothing left to do. By default it is what `edit` changes,
                as it was when the change began.
            approves: the proposal that this change carries out; it is closed with it.

        Raises:
            FlagConflict: somebody else changed what this changes; nothing was written.
            ApprovalRefused: the proposal was decided in between; nothing was written.
            FlagsTooLarge: it does not fit; nothing was written.
        """
        based: dict[str, int] = dict(touches or {})
        entry = AuditEntry(
            version=0,
            id="",
            at=at,
            by=by,
            reason=reason,
            author=approves.by if approves else None,
            proposal=approves.id if approves else None,
        )
        for number in range(TRIES):
            if number:
                # Of those that met once, one must come first the next time.
                self._sleep(random.uniform(0, min(0.02 * 2**number, 0.5)))
            before, previous = self._read()
            try:
                edited = edit(before)
            except InvalidInput:
                self._check(before, based)
                raise
            wanted = changed_keys(before, edited)
            same = edited.environments == before.environments
            if not wanted and same and approves is None:
                return Changed(version=before.version, flags=before)
            self._check(before, based)
            for name in wanted:
                based.setdefault(name, before.revision(name))
            found = self._write(
                before,
                self._settled(before, edited, by, at),
                entry.model_copy(update={"previous": previous}),
                approves,
                urgent=adds_nothing(before, edited),
            )
            if found is not None:
                return found
        raise Refused(_TOO_MANY)

    def recompile(self, *, by: str, reason: str, at: datetime) -> Changed:
        """Write the snapshots anew that are not what the flags compile to; none, as a rule.

        After an upgrade that compiles otherwise the next change does that by itself.

        Args:
            by: who.
            reason: for the audit.
            at: when.

        Raises:
            FlagsTooLarge: it does not fit; nothing was written.
        """
        entry = AuditEntry(version=0, id="", at=at, by=by, reason=reason)
        for number in range(TRIES):
            if number:
                self._sleep(random.uniform(0, min(0.02 * 2**number, 0.5)))
            before, previous = self._read()
            wrong = self.untrue(before)
            if not wrong or before.version == 0:
                return Changed(version=before.version, flags=before)
            after = self._settled(before, before, by, at)
            now = entry.model_copy(update={"previous": previous})
            found = self._write(before, after, now, None, urgent=True, anew=wrong)
            if found is not None:
                return found
        raise Refused(_TOO_MANY)

    def _settled(
        self, before: StoredFlags, edited: StoredFlags, by: str, at: datetime
    ) -> StoredFlags:
        # Those of the settings never stand in the way of what people do.
        named = {*edited.environments, *named_environments(edited)}
        more = [name for name in self._environments if name not in named]
        room = MOST_ENVIRONMENTS - len(named)
        return settled(before, edited, by=by, at=at, more=tuple(more[: max(room, 0)]))

    def _check(self, now: StoredFlags, based: Mapping[str, int]) -> None:
        for name, revision in based.items():
            if now.revision(name) != revision:
                last = next(iter(self.audit(name, limit=1)), None)
                if last is None:
                    raise FlagConflict(name, "", None, now.version)
                raise FlagConflict(name, last.by, last.at, last.version)

    def _write(
        self,
        before: StoredFlags,
        after: StoredFlags,
        entry: AuditEntry,
        approves: Proposal | None,
        *,
        urgent: bool = False,
        anew: Collection[str] = (),
    ) -> Changed | None:
        """One transaction; None when somebody else was first.

        What is not `urgent` leaves room for what is. `anew` are environments whose snapshots are
        written in any case.
        """
        document = after.model_dump(mode="json")
        changes = changed_keys(before, after)
        entry = entry.model_copy(
            update={
                "version": after.version,
                "id": str(uuid.uuid4()),
                "changes": tuple(
                    FlagChange(key=name, before=old, after=new)
                    for name, (old, new) in changes.items()
                ),
                "digest": digest_of(document),
            }
        ).hashed()
        if urgent:
            entry = that_fits(entry)
        most = LARGEST_BYTES if urgent else ORDINARY_BYTES
        snapshots = moved(before, after, anew)
        items = [item for one in snapshots for item in snapshot_items(one, most)]
        writes = [
            self.put(head_item(entry), *_as_read(before.version)),
            self.put(document_item(document, entry, most)),
            self.put(audit_item(entry), "attribute_not_exists(pk)"),
            *map(self.put, items),
            *self._forgotten(before, after),
            *([self.decision(approves)] if approves is not None else []),
        ]
        if not urgent:
            check_room(writes, len(after.environments))
        if not self._send(writes, entry):
            return None
        return Changed(
            version=after.version,
            flags=after,
            keys=tuple(changes),
            environments=tuple(one["environment"] for one in snapshots),
            entry=entry,
        )

    def _forgotten(self, before: StoredFlags, after: StoredFlags) -> list[dict[str, Any]]:
        """The writes that take out the snapshots of environments that are none any more."""
        return [
            {"Delete": {"TableName": self.table, "Key": key(f"{SNAPSHOT}#{name}", part)}}
            for name in sorted({*before.environments} - {*after.environments})
            for part in (SNAPSHOT, VERSION)
        ]

    def _send(self, writes: list[dict[str, Any]], entry: AuditEntry) -> bool:
        """Whether the transaction went in; sent again while nobody knows.

        The token makes that safe for ten minutes, and the entry's id beyond.
        """
        for number in range(1, REPEATS + 1):
            try:
                self.client.transact_write_items(TransactItems=writes, ClientRequestToken=entry.id)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code == "TransactionCanceledException":
                    return self._canceled(error, entry)
                if code not in _MAYBE or number == REPEATS:
                    raise
            except (HTTPClientError, NoConnection):
                if number == REPEATS:
                    raise
            else:
                return True
            self._sleep(random.uniform(0, 0.1 * 2**number))
        raise AssertionError("the last repeat returns or raises")

    def _canceled(self, error: ClientError, entry: AuditEntry) -> bool:
        """Whether it had gone in before; False to begin again."""
        raw: Any = error.response
        codes = [reason.get("Code", "None") for reason in raw.get("CancellationReasons", [])]
        if set(codes) - {"None", "ConditionalCheckFailed"} - _AGAIN:
            raise error
        item = self.get(FLAGS, audit_key(entry.version))
        if item is not None and AuditEntry.model_validate(unpacked(item)).id == entry.id:
            return True
        if codes[:1] == ["None"] and entry.proposal and codes[-1] == "ConditionalCheckFailed":
            raise ApprovalRefused(f"{entry.proposal}: it was decided in between") from error
        return False


def _as_read(version: int) -> tuple[str, Item | None]:
    """The condition that nobody wrote since this version was read."""
    if version == 0:
        return "attribute_not_exists(pk)", None
    return "version = :before", {":before": {"N": str(version)}}
