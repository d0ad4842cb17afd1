"""The lease of a database: one migration at a time, known by an epoch that only rises.

The item (`DATABASE#<name>`, `LEASE`) says which execution holds the database and until when. Each
owner has an epoch, which is one more than that of the owner before. The database itself remembers
the highest epoch that wrote there, so a slice of an owner that lost the lease writes nothing more:
the lease keeps migrations in turn, and the database's own fence keeps them apart.

A lease never ends by its time alone. It is taken over once it is past its time *and* the execution
that holds it is dead: until then a slice of it may still run.

What people ask of a running migration, to pause or to abort, is in the same item, so that the
renewal before each slice reads it.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal

from botocore.exceptions import ClientError

from greenlane.deployments.storing.items import Item, instant
from greenlane.deployments.storing.shapes import OnceWhy, StoredModel
from greenlane.deployments.storing.table import DynamoTable, condition_failed
from greenlane.errors import FenceLost, LeaseLingers, MigrationInFlight, SignalRefused
from greenlane.migrations.validating.model import Phase

LEASE = timedelta(minutes=20)
"""From one renewal on; a slice runs within a function that lives for at most 15 minutes."""

_TRIES = 4
"""Of taking a lease that somebody else changes meanwhile."""

_OURS = "held_by = :owner AND epoch = :epoch"


class Asked(StoredModel):
    """What a person asked of a running migration.

    `abort` stops it between two slices; `undo` says whether what it did is then undone as far as
    that is exact.
    """

    name: Literal["pause", "abort"]
    by: str
    at: datetime
    reason: OnceWhy = ""
    undo: bool = False


class Lease(StoredModel):
    """A database's lease as it stands; `held_by` is None when it is free."""

    database: str
    epoch: int
    held_by: str | None = None
    held_until: datetime | None = None
    run: str | None = None
    phase: Phase | None = None
    asked: Asked | None = None


class Leases(DynamoTable):
    """The leases in DynamoDB, in the table of deployments."""

    def read(self, database: str) -> Lease | None:
        """A database's lease, strongly consistent; None when it was never held."""
        item = self.get(*_place(database))
        return None if item is None else _lease(database, item)

    def take(
        self,
        database: str,
        *,
        execution: str,
        run: str,
        phase: Phase | None,
        now: datetime,
        lives: Callable[[str], bool],
    ) -> Lease:
        """Take a database's lease, or find that this execution has it.

        Args:
            database: its name.
            execution: the ARN of the one that takes it.
            run: of which migration, or which restore.
            phase: which is run; None for a restore.
            now: the present instant.
            lives: whether an execution, by its ARN, still runs.

        Raises:
            MigrationInFlight: a living execution holds it.
            LeaseLingers: a dead one does, and its last slice may still run; ask again.
        """
        for _ in range(_TRIES):
            held = self.read(database)
            if held is not None and held.held_by == execution:
                return self.renew(held, now)
            if held is not None and held.held_by is not None:
                _refuse_unless_over(held, held.held_by, now, lives)
            wanted = Lease(
                database=database,
                epoch=1 if held is None else held.epoch + 1,
                held_by=execution,
                held_until=now + LEASE,
                run=run,
                phase=phase,
            )
            if self._put(wanted, held):
                return wanted
        raise MigrationInFlight(f"{database}: others are taking its lease at this moment")

    def renew(self, lease: Lease, now: datetime) -> Lease:
        """Keep a lease for longer, and read what people ask.

        Raises:
            FenceLost: another execution has it.
        """
        until = {":until": {"S": instant(now + LEASE)}}
        return self._change(lease, "SET held_until = :until", until)

    def hand_over(self, lease: Lease, successor: str, now: datetime) -> Lease:
        """Give a lease to the execution that goes on; repeating it changes nothing.

        Raises:
            FenceLost: neither this execution nor its successor has it.
        """
        more = {":next": {"S": successor}, ":until": {"S": instant(now + LEASE)}}
        try:
            return self._change(lease, "SET held_by = :next, held_until = :until", more)
        except FenceLost:
            found = self.read(lease.database)
            if found is None or (found.held_by, found.epoch) != (successor, lease.epoch):
                raise
            return found

    def release(self, lease: Lease) -> None:
        """End a lease; the epoch stays. Repeating it changes nothing.

        Raises:
            FenceLost: another execution has it.
        """
        try:
            self._change(lease, "REMOVE held_by, held_until, run_id, phase, asked, asked_name", {})
        except FenceLost:
            found = self.read(lease.database)
            if found is None or found.held_by is not None or found.epoch != lease.epoch:
                raise

    def ask(self, database: str, run: str, asked: Asked) -> None:
        """Ask a running migration to pause or to abort.

        An abort stands; one that undoes can still be made one that leaves things as they are.

        Raises:
            SignalRefused: that migration does not run, or is to abort already.
        """
        kind = "undo" if asked.undo else asked.name
        self._ask(
            database,
            run,
            "SET asked = :asked, asked_name = :name",
            {":asked": {"S": asked.model_dump_json()}, ":name": {"S": kind}},
            over=("pause", "undo") if kind == "abort" else ("pause",),
        )

    def resume(self, database: str, run: str) -> None:
        """Let a paused migration go on.

        Raises:
            SignalRefused: that migration does not run, or is to abort.
        """
        self._ask(database, run, "REMOVE asked, asked_name", {}, over=("pause",))

    def _ask(
        self, database: str, run: str, change: str, values: Item, *, over: tuple[str, ...]
    ) -> None:
        """Change what is asked where nothing is, or one of `over`."""
        named = {f":over{number}": {"S": name} for number, name in enumerate(over)}
        condition = (
            "attribute_exists(held_by) AND run_id = :run AND "
            f"(attribute_not_exists(asked_name) OR asked_name IN ({', '.join(named)}))"
        )
        try:
            self.client.update_item(
                TableName=self.table,
                Key=_key(database),
                UpdateExpression=change,
                ConditionExpression=condition,
                ExpressionAttributeValues=values | named | {":run": {"S": run}},
            )
        except ClientError as error:
            if not condition_failed(error):
                raise
            found = self.read(database)
            if found is not None and found.run == run and found.asked is not None:
                raise SignalRefused(
                    f"{run} is to abort already: {found.asked.by} said so"
                ) from error
            raise SignalRefused(f"{run} does not run on {database}; it did nothing") from error

    def _change(self, lease: Lease, change: str, values: Item) -> Lease:
        owner, epoch = {"S": lease.held_by or ""}, {"N": str(lease.epoch)}
        try:
            answer = self.client.update_item(
                TableName=self.table,
                Key=_key(lease.database),
                UpdateExpression=change,
                ConditionExpression=_OURS,
                ExpressionAttributeValues=values | {":owner": owner, ":epoch": epoch},
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if not condition_failed(error):
                raise
            raise FenceLost(
                f"{lease.database}: epoch {lease.epoch} does not hold its lease any more"
            ) from error
        return _lease(lease.database, answer["Attributes"])

    def _put(self, wanted: Lease, before: Lease | None) -> bool:
        """Write a new owner over what was read; False when it is otherwise by now."""
        arguments: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if before is not None:
            values: Item = {":epoch": {"N": str(before.epoch)}}
            condition = "epoch = :epoch AND attribute_not_exists(held_by)"
            if before.held_by is not None and before.held_until is not None:
                condition = "epoch = :epoch AND held_by = :owner AND held_until = :until"
                values[":owner"] = {"S": before.held_by}
                values[":until"] = {"S": instant(before.held_until)}
            arguments = {"ConditionExpression": condition, "ExpressionAttributeValues": values}
        try:
            self.client.put_item(TableName=self.table, Item=_item(wanted), **arguments)
        except ClientError as error:
            if not condition_failed(error):
                raise
            return False
        return True


def _refuse_unless_over(
    held: Lease, owner: str, now: datetime, lives: Callable[[str], bool]
) -> None:
    if lives(owner):
        doing = "restored" if held.phase is None else "migrated"
        phase = "" if held.phase is None else f" ({held.phase})"
        abort = "restore abort" if held.phase is None else "abort"
        raise MigrationInFlight(
            f"{held.database} is being {doing} by {held.run}{phase}; wait for it, or end it with "
            f"`greenlane migrations {abort} {held.run}`"
        )
    if held.held_until is not None and now < held.held_until:
        raise LeaseLingers(
            f"{held.run} is dead, and a slice of it may still run in {held.database} until "
            f"{held.held_until:%H:%M:%S} UTC"
        )


def _place(database: str) -> tuple[str, str]:
    return f"DATABASE#{database}", "LEASE"


def _key(database: str) -> Item:
    pk, sk = _place(database)
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _item(lease: Lease) -> Item:
    fields = {
        "held_by": lease.held_by,
        "held_until": None if lease.held_until is None else instant(lease.held_until),
        "run_id": lease.run,
        "phase": lease.phase,
    }
    texts = {name: {"S": value} for name, value in fields.items() if value is not None}
    return _key(lease.database) | texts | {"epoch": {"N": str(lease.epoch)}}


def _lease(database: str, item: Item) -> Lease:
    text = {name: value["S"] for name, value in item.items() if "S" in value}
    asked = text.get("asked")
    return Lease.model_validate(
        {
            "database": database,
            "epoch": int(item["epoch"]["N"]),
            "held_by": text.get("held_by"),
            "held_until": text.get("held_until"),
            "run": text.get("run_id"),
            "phase": text.get("phase"),
            "asked": None if asked is None else Asked.model_validate_json(asked),
        }
    )
