"""What is kept beside the flags: their audit, changes that wait for a second person, whose turn."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from greenlane.deployments.storing.items import Item
from greenlane.deployments.storing.table import DynamoTable, condition_failed
from greenlane.errors import ApprovalRefused, UnknownProposal
from greenlane.flags.lifecycle.seen import PREFIX
from greenlane.flags.lifecycle.stale import SeenFlag, seen_from
from greenlane.flags.storing.audit import GENESIS, AuditEntry, Verified, broken, digest_of
from greenlane.flags.storing.proposals import Proposal, Status
from greenlane.flags.storing.state import StoredFlags, same
from greenlane.flags.storing.stored_items import (
    AUDIT,
    DOCUMENT,
    FLAGS,
    HEAD,
    PROPOSAL,
    SNAPSHOT,
    TURN,
    VERSION,
    audit_key,
    key,
    packed,
    unpacked,
)


class FlagRecords(DynamoTable):
    """Audit entries and proposals in the table of the flags."""

    def put(self, item: Item, condition: str = "", values: Item | None = None) -> dict[str, Any]:
        """One write of a transaction."""
        put: dict[str, Any] = {"TableName": self.table, "Item": item}
        if condition:
            put["ConditionExpression"] = condition
        if values:
            put["ExpressionAttributeValues"] = values
        return {"Put": put}

    def decision(self, proposal: Proposal) -> dict[str, Any]:
        """The write that closes a proposal, unless somebody did."""
        condition, values = "#status = :waiting", {":waiting": {"S": "waiting"}}
        put = self.put(_proposal_item(proposal), condition, values)
        put["Put"]["ExpressionAttributeNames"] = {"#status": "status"}
        return put

    def audit(
        self, flag: str | None = None, before: int | None = None, limit: int = 50
    ) -> list[AuditEntry]:
        """What was changed, newest first.

        Args:
            flag: only what changed this flag (or `segment:<name>`, `approvals:`).
            before: only versions below this one, to read on.
            limit: how many at most.
        """
        found: list[AuditEntry] = []
        for item in self._entries(newest_first=True, before=before):
            entry = AuditEntry.model_validate(unpacked(item))
            if flag is None or any(change.key == flag for change in entry.changes):
                found.append(entry)
            if len(found) >= limit:
                break
        return found

    def _entries(self, *, newest_first: bool, before: int | None = None) -> Iterator[Item]:
        """Audit entries, a page at a time."""
        # No sort key of this partition comes before those of the audit.
        narrow = "begins_with(sk, :sk)" if before is None else "sk < :sk"
        bound = AUDIT if before is None else audit_key(before)
        return self._pages(narrow, bound, newest_first=newest_first)

    def _pages(
        self, narrow: str, bound: str, *, newest_first: bool, after: str | None = None
    ) -> Iterator[Item]:
        """Items beside the flags whose sort key is as `narrow` says, a page at a time.

        Args:
            narrow: the condition, of `sk` and `:sk`.
            bound: what `:sk` is.
            newest_first: in which order.
            after: the sort key after which they begin; there need not be such an item.
        """
        arguments: dict[str, Any] = {
            "TableName": self.table,
            "KeyConditionExpression": f"pk = :pk AND {narrow}",
            "ExpressionAttributeValues": {":pk": {"S": FLAGS}, ":sk": {"S": bound}},
            "ScanIndexForward": not newest_first,
            "ConsistentRead": True,
            "Limit": 50,
        }
        if after is not None:
            arguments["ExclusiveStartKey"] = key(FLAGS, after)
        while True:
            answer = self.client.query(**arguments)
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def verify(self) -> Verified:
        """Check the whole chain of the audit, and that it leads to what is stored.

        Changes that go in meanwhile are no problem: it looks again.
        """
        for _ in range(3):
            found = self._verified()
            head = self.get(FLAGS, HEAD)
            if not found.problems or head is None or head["hash"]["S"] == found.newest:
                break
        return found

    def _verified(self) -> Verified:
        head = self.get(FLAGS, HEAD)
        version = int(head["version"]["N"]) if head else 0
        newest = head["hash"]["S"] if head else GENESIS
        raw = [unpacked(item) for item in self._entries(newest_first=False)]
        problems = list(broken(raw, version, newest))
        document = self.get(FLAGS, DOCUMENT)
        body = unpacked(document) if document else None
        if raw and digest_of(body) != raw[-1].get("digest"):
            problems.append("the flags are not those that the newest entry led to")
        elif body is not None:
            problems += [
                f"the snapshot of {name} is not what the flags compile to; write it anew: "
                "`greenlane flags recompile`"
                for name in self.untrue(StoredFlags.model_validate(body))
            ]
        return Verified(entries=version, newest=newest, problems=tuple(problems))

    def untrue(self, flags: StoredFlags) -> tuple[str, ...]:
        """The environments whose snapshots are not what the flags compile to."""
        return tuple(name for name in flags.environments if not self._is_true(flags, name))

    def _is_true(self, flags: StoredFlags, environment: str) -> bool:
        pk = f"{SNAPSHOT}#{environment}"
        item, tiny = self.get(pk, SNAPSHOT), self.get(pk, VERSION)
        if item is None or tiny is None or tiny["version"] != item["version"]:
            return False
        return same(unpacked(item) | {"version": 0}, flags.compiled(environment) | {"version": 0})

    def seen(self, environment: str) -> list[SeenFlag]:
        """When flags were evaluated in an environment."""
        return [seen_from(item) for item in self.query(f"{PREFIX}{environment}", "")]

    def turn(self, ring: str) -> str:
        """With whom the minute tick goes on; nothing where it begins with the first."""
        item = self.get(FLAGS, f"{TURN}{ring}")
        return "" if item is None else item["next"]["S"]

    def next_turn(self, ring: str, name: str) -> None:
        """Keep with whom it goes on; two ticks at once only make one look again."""
        item = key(FLAGS, f"{TURN}{ring}") | {"next": {"S": name}}
        self.client.put_item(TableName=self.table, Item=item)

    def propose(self, proposal: Proposal) -> None:
        """Keep a change that waits for a second person; the same one again changes nothing."""
        try:
            self.client.put_item(
                TableName=self.table,
                Item=_proposal_item(proposal),
                ConditionExpression="attribute_not_exists(pk)",
            )
        except ClientError as error:
            # A repeat of botocore's, whose first answer was lost.
            if not condition_failed(error) or self.proposal(proposal.id) != proposal:
                raise

    def proposals(
        self,
        status: Status | None = None,
        before: str | None = None,
        limit: int | None = None,
    ) -> list[Proposal]:
        """Changes that wait for a second person, and those that were decided; newest first.

        Args:
            status: only those with this one.
            before: only those older than the one of this id, to read on.
            limit: how many at most.
        """
        after = None if before is None else f"{PROPOSAL}{before}"
        items = self._pages("begins_with(sk, :sk)", PROPOSAL, newest_first=True, after=after)
        found = (
            Proposal.model_validate(unpacked(item))
            for item in items
            if status is None or item["status"]["S"] == status
        )
        return list(islice(found, limit))

    def proposal(self, id: str) -> Proposal:
        """One of them; raises `UnknownProposal`."""
        item = self.get(FLAGS, f"{PROPOSAL}{id}")
        if item is None:
            raise UnknownProposal(id)
        return Proposal.model_validate(unpacked(item))

    def decide(self, proposal: Proposal) -> None:
        """Keep a decision that changes no flag.

        Raises:
            ApprovalRefused: it was decided before.
        """
        try:
            self.client.put_item(**self.decision(proposal)["Put"])
        except ClientError as error:
            if not condition_failed(error):
                raise
            if self.proposal(proposal.id) != proposal:
                raise ApprovalRefused(f"{proposal.id}: it was decided before") from error


def _proposal_item(proposal: Proposal) -> Item:
    body = packed(proposal.model_dump(mode="json"), "this change")
    return key(FLAGS, f"{PROPOSAL}{proposal.id}") | {
        "status": {"S": proposal.status},
        "body": {"B": body},
    }
