"""The edge to the record of rollouts: in the table of deployments of the coordinator's Region.

Layout (`pk`, `sk`)::

    ROLLOUTS             <service>                    that there is one
    SERVICE#<service>    ROLLOUT                      the record, what people ask, who waits
    SERVICE#<service>    ROLLOUT_COPY                 in the standby's table: what home sent last
    ROLLOUT#<id>         PLAN                         the file of Regions and the plan made of it
    ROLLOUT#<id>         EVENT#<instant>#<nonce>      its history, append-only
    SERVICE#<service>    FENCE                        in each Region's table; see `fences`

The wishes of people, the count of events, the token of who waits and what people were told are
attributes beside the record, so that nobody who writes one of them writes over another.
"""

import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from botocore.exceptions import ClientError

from greenlane.deployments.model import HistoryEvent
from greenlane.deployments.storing.items import Item, body_item, instant
from greenlane.deployments.storing.shapes import StoredModel
from greenlane.deployments.storing.table import DynamoTable, condition_failed
from greenlane.errors import FenceLost, SignalRefused, UnknownDeployment
from greenlane.regions.coordinating.model import OVER, Asked, Rollout
from greenlane.regions.coordinating.news import Told
from greenlane.regions.coordinating.turning import Standing
from greenlane.regions.planning.model import Plan

RECORD, COPY = "ROLLOUT", "ROLLOUT_COPY"
LATE = timedelta(minutes=15)
"""After it was due; by then what died has been revived."""

_TRIES = 4


class KeptPlan(StoredModel):
    """What a rollout was asked to do.

    Args:
        document: the file of Regions as JSON text, which is read faster than YAML.
        plan: made of it.
    """

    document: str
    plan: Plan


class Kept(NamedTuple):
    """A record with what is beside it.

    Args:
        record: as it stands.
        asked: the last wish of a person.
        heard: how many events came so far.
        token: of who waits.
        told: how it was when people were last told; None when they never were.
        due_at: until when it waits at most, UTC; None when it never waited.
    """

    record: Rollout
    asked: Asked | None
    heard: int
    token: str | None
    told: Told | None = None
    due_at: datetime | None = None

    @property
    def unheeded(self) -> bool:
        """Whether a person wants something that no turn has heeded yet."""
        return self.asked is not None and self.asked.number > self.record.heeded

    def late(self, now: datetime) -> bool:
        """Whether its coordinator should have looked long ago, and did not."""
        if self.record.phase in OVER or self.due_at is None:
            return False
        return now >= self.due_at + LATE

    @property
    def standing(self) -> Standing:
        """The part that a turn works on."""
        return Standing(self.record, self.asked)


class Rollouts(DynamoTable):
    """The rollouts in DynamoDB."""

    def kept(self, service: str) -> Kept | None:
        """A service's latest rollout, strongly consistent; None when there was none."""
        item = self.get(f"SERVICE#{service}", RECORD)
        return None if item is None else _kept(item)

    def read(self, service: str) -> Standing | None:
        """The same, as a turn works on it."""
        kept = self.kept(service)
        return None if kept is None else kept.standing

    def services(self, *, limit: int | None = None, after: str | None = None) -> list[str]:
        """The services that have, or had, a rollout, sorted; at most so many, after that one."""
        found = self.query("ROLLOUTS", "", projection="sk", limit=limit, after=after)
        return [item["sk"]["S"] for item in found]

    def all(self) -> Iterator[Kept]:
        """The latest rollout of each service."""
        for service in self.services():
            kept = self.kept(service)
            if kept is not None:
                yield kept

    def begin(self, record: Rollout, over: Rollout | None) -> bool:
        """Put the record of a new rollout over what was read; False when it is otherwise by now."""
        condition, values = "attribute_not_exists(pk)", {}
        if over is not None:
            condition = "rollout_id = :before AND version = :version"
            values = {":before": {"S": over.rollout_id}, ":version": {"N": str(over.version)}}
        arguments = {"ExpressionAttributeValues": values} if values else {}
        self.client.put_item(TableName=self.table, Item=_marker(record.service))
        try:
            self.client.put_item(
                TableName=self.table,
                Item=_item(record, RECORD),
                ConditionExpression=condition,
                **arguments,
            )
        except ClientError as error:
            if not condition_failed(error):
                raise
            return False
        return True

    def write(self, record: Rollout) -> Rollout:
        """Write a record over the version that it has; each write raises that by one.

        Raises:
            FenceLost: the record moved on.
        """
        written = record.model_copy(update={"version": record.version + 1})
        values: Item = {
            ":body": {"S": written.model_dump_json()},
            ":next": {"N": str(written.version)},
            ":epoch": {"N": str(written.epoch)},
            ":phase": {"S": written.phase},
            ":rollout": {"S": record.rollout_id},
            ":version": {"N": str(record.version)},
        }
        self._update(
            record.service,
            "SET body = :body, version = :next, epoch = :epoch, phase = :phase",
            "rollout_id = :rollout AND version = :version",
            values,
        )
        return written

    def wait(
        self, service: str, rollout_id: str, epoch: int, token: str, *, due_at: datetime
    ) -> Kept:
        """Keep the token of who waits, and until when; what is beside the record then.

        Raises:
            FenceLost: another execution has the rollout.
        """
        values: Item = {
            ":token": {"S": token},
            ":due": {"S": instant(due_at)},
            ":rollout": {"S": rollout_id},
            ":epoch": {"N": str(epoch)},
        }
        condition = "rollout_id = :rollout AND epoch = :epoch"
        self._update(service, "SET wake_token = :token, due_at = :due", condition, values)
        kept = self.kept(service)
        assert kept is not None, "it was just written"
        return kept

    def put_told(self, record: Rollout, told: Told) -> None:
        """Keep that people were told.

        Raises:
            FenceLost: the service's rollout is another one.
        """
        values: Item = {
            ":told": {"S": told.model_dump_json()},
            ":rollout": {"S": record.rollout_id},
        }
        self._update(record.service, "SET told = :told", "rollout_id = :rollout", values)

    def hear(self, service: str) -> Kept | None:
        """Count an event; what is kept then. None when there is no rollout of the service."""
        try:
            self.client.update_item(
                TableName=self.table,
                Key=_key(service, RECORD),
                UpdateExpression="ADD heard :one",
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeValues={":one": {"N": "1"}},
            )
        except ClientError as error:
            if not condition_failed(error):
                raise
            return None
        return self.kept(service)

    def ask(self, service: str, rollout_id: str, wish: Asked) -> Kept:
        """Keep a person's wish under the next number; what is kept then.

        Raises:
            UnknownDeployment: the service's rollout is another one.
            SignalRefused: others ask at this moment, or asked to go back.
        """
        for _ in range(_TRIES):
            kept = self.kept(service)
            if kept is None or kept.record.rollout_id != rollout_id:
                raise UnknownDeployment(rollout_id)
            _refuse_over_rollback(kept, wish)
            before = max(kept.asked.number if kept.asked else 0, kept.record.heeded)
            numbered = wish.model_copy(update={"number": before + 1})
            if self._ask(service, rollout_id, numbered, before=kept.asked):
                found = self.kept(service)
                assert found is not None, "it was just written"
                return found
        raise SignalRefused(f"{rollout_id}: others ask something of it at this moment; look first")

    def _ask(self, service: str, rollout_id: str, wish: Asked, *, before: Asked | None) -> bool:
        values: Item = {
            ":asked": {"S": wish.model_dump_json()},
            ":number": {"N": str(wish.number)},
            ":rollout": {"S": rollout_id},
        }
        unchanged = "attribute_not_exists(asked_number)"
        if before is not None:
            unchanged = "asked_number = :before"
            values[":before"] = {"N": str(before.number)}
        try:
            self.client.update_item(
                TableName=self.table,
                Key=_key(service, RECORD),
                UpdateExpression="SET asked = :asked, asked_number = :number",
                ConditionExpression=f"rollout_id = :rollout AND {unchanged}",
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if not condition_failed(error):
                raise
            return False
        return True

    def put_copy(self, record: Rollout) -> None:
        """Keep home's record at the standby; an older one changes nothing."""
        self.client.put_item(TableName=self.table, Item=_marker(record.service))
        try:
            self.client.put_item(
                TableName=self.table,
                Item=_item(record, COPY),
                ConditionExpression=(
                    "attribute_not_exists(pk) OR rollout_id <> :rollout OR version <= :version"
                ),
                ExpressionAttributeValues={
                    ":rollout": {"S": record.rollout_id},
                    ":version": {"N": str(record.version)},
                },
            )
        except ClientError as error:
            if not condition_failed(error):
                raise

    def copy(self, service: str) -> Rollout | None:
        """What home sent last."""
        item = self.get(f"SERVICE#{service}", COPY)
        return None if item is None else Rollout.model_validate_json(item["body"]["S"])

    def miss(self, service: str) -> int:
        """Count that home did not answer; how often in a row since its last copy."""
        answer = self.client.update_item(
            TableName=self.table,
            Key=_key(service, COPY),
            UpdateExpression="ADD missed :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
            ReturnValues="ALL_NEW",
        )
        return int(answer["Attributes"]["missed"]["N"])

    def answered(self, service: str) -> None:
        """Home answered: it is counted anew."""
        self.client.update_item(
            TableName=self.table, Key=_key(service, COPY), UpdateExpression="REMOVE missed"
        )

    def put_plan(self, rollout_id: str, plan: KeptPlan) -> None:
        """Keep what a rollout was asked to do."""
        item = body_item(f"ROLLOUT#{rollout_id}", "PLAN", plan)
        self.client.put_item(TableName=self.table, Item=item)

    def plan(self, rollout_id: str) -> KeptPlan:
        """What a rollout was asked to do; raises `UnknownDeployment`."""
        item = self.get(f"ROLLOUT#{rollout_id}", "PLAN")
        if item is None:
            raise UnknownDeployment(rollout_id)
        return KeptPlan.model_validate_json(item["body"]["S"])

    def append(self, rollout_id: str, event: HistoryEvent) -> None:
        """Add one line to a rollout's history."""
        sk = f"EVENT#{instant(event.at)}#{secrets.token_hex(4)}"
        item = body_item(f"ROLLOUT#{rollout_id}", sk, event)
        self.client.put_item(TableName=self.table, Item=item)

    def history(self, rollout_id: str) -> list[HistoryEvent]:
        """What happened in a rollout, oldest first."""
        found = self.query(f"ROLLOUT#{rollout_id}", "EVENT#")
        return [HistoryEvent.model_validate_json(item["body"]["S"]) for item in found]

    def _update(self, service: str, change: str, condition: str, values: Item) -> None:
        try:
            self.client.update_item(
                TableName=self.table,
                Key=_key(service, RECORD),
                UpdateExpression=change,
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if not condition_failed(error):
                raise
            rollout = values[":rollout"]["S"]
            raise FenceLost(f"{rollout}: the record of {service} moved on") from error


def _refuse_over_rollback(kept: Kept, wish: Asked) -> None:
    """Let no wish take the place of one to go back that nobody has heeded yet."""
    asked = kept.asked
    if asked is None or asked.number <= kept.record.heeded or asked.name != "rollback":
        return
    if wish.name != "rollback":
        raise SignalRefused(
            f"{wish.name} does nothing: {asked.by} asked to take it back at "
            f"{asked.at:%Y-%m-%d %H:%M:%S} UTC, and it is about to be done"
        )


def _key(service: str, sk: str) -> Item:
    return {"pk": {"S": f"SERVICE#{service}"}, "sk": {"S": sk}}


def _marker(service: str) -> Item:
    return {"pk": {"S": "ROLLOUTS"}, "sk": {"S": service}}


def _item(record: Rollout, sk: str) -> Item:
    return body_item(
        f"SERVICE#{record.service}",
        sk,
        record,
        rollout_id={"S": record.rollout_id},
        epoch={"N": str(record.epoch)},
        version={"N": str(record.version)},
        phase={"S": record.phase},
    )


def _kept(item: Item) -> Kept:
    asked = item.get("asked")
    return Kept(
        record=Rollout.model_validate_json(item["body"]["S"]),
        asked=None if asked is None else Asked.model_validate_json(asked["S"]),
        heard=int(item["heard"]["N"]) if "heard" in item else 0,
        token=item["wake_token"]["S"] if "wake_token" in item else None,
        told=Told.model_validate_json(item["told"]["S"]) if "told" in item else None,
        due_at=datetime.fromisoformat(item["due_at"]["S"]) if "due_at" in item else None,
    )
