"""Tables that several Regions have: every write reaches the others after a while.

As DynamoDB's global tables do it by default (multi-Region eventual consistency): whole items are
replicated, of two writes to an item the later one wins everywhere, and a condition looks at its own
Region only. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html

What is written by PartiQL is not replicated, and nothing expires.
"""

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from pydantic import BaseModel, ConfigDict

from greenlane.local.cloud import LocalCloud
from greenlane.local.context import ACCOUNT_ID
from greenlane.local.journal import Reply, Request
from greenlane.local.regions.neighbours import Neighbours
from greenlane.local.server import HttpReply

_log = logging.getLogger(__name__)

_AGAIN_SECONDS = 0.2
"""Real, between two attempts over a line that is cut."""

_DEFINITION = ("TableName", "KeySchema", "AttributeDefinitions")
_INDEX = ("IndexName", "KeySchema", "Projection")


class Stamp(NamedTuple):
    """When an item was written (real nanoseconds), and where: the later one wins."""

    written_ns: int
    region: str


class Change(BaseModel):
    """An item as a write left it; None where it was deleted."""

    model_config = ConfigDict(frozen=True)

    table: str
    key: dict[str, Any]
    item: dict[str, Any] | None
    stamp: Stamp

    @property
    def name(self) -> tuple[str, str]:
        """Of the item."""
        return self.table, json.dumps(self.key, sort_keys=True)


class Replica(BaseModel):
    """A table that is to be had in several Regions, and what is in it so far."""

    definition: dict[str, Any]
    regions: tuple[str, ...]
    changes: tuple[Change, ...]


class Replication:
    """Carries the writes of one Region to the others, in order for each of them.

    Args:
        cloud: of the Region; it runs.
        neighbours: the others.
        lag_seconds: virtual seconds until a write is seen elsewhere.
    """

    def __init__(self, cloud: LocalCloud, neighbours: Neighbours, lag_seconds: float) -> None:
        """See the class."""
        self._cloud, self._neighbours = cloud, neighbours
        self._lag_seconds = lag_seconds
        self._replicas: dict[str, set[str]] = {}
        self._stamps: dict[tuple[str, str], Stamp] = {}
        self._waiting: dict[str, deque[Change]] = {}
        self._news = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._closed = False

    def start(self) -> None:
        """Begin to look at writes; `connect` comes when the other Regions are known."""
        self._cloud.server.before.append(self._replicas_asked_for)
        self._cloud.server.written.append(self._written)
        self._cloud.server.after.append(self._described)

    def connect(self) -> None:
        """Begin to send."""
        for name in self._neighbours.names:
            self._waiting[name] = deque()
            thread = threading.Thread(
                target=self._carry, args=(name,), name=f"replicate-{name}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Send no more."""
        with self._news:
            self._closed = True
            self._news.notify_all()
        for thread in self._threads:
            thread.join(timeout=5)

    def set_lag(self, seconds: float) -> None:
        """How many virtual seconds a write needs, those under way included."""
        with self._news:
            self._lag_seconds = seconds
            self._news.notify_all()

    def join(self, replica: Replica) -> None:
        """Have a table that another Region has too; its items come with it.

        Raises:
            ClientError: there is a table of that name already.
        """
        table = replica.definition["TableName"]
        if table not in self._replicas:
            client = self._cloud.client("dynamodb", caller="replication")
            client.create_table(**replica.definition, BillingMode="PAY_PER_REQUEST")
        self._replicas[table] = set(replica.regions)
        self.apply(replica.changes)

    def apply(self, changes: Sequence[Change]) -> None:
        """Take writes of other Regions, except for those that a later one has overtaken."""
        backend = self._backend
        with self._cloud.server.alone("dynamodb"):
            for change in changes:
                if change.stamp <= self._stamps.get(change.name, Stamp(0, "")):
                    continue
                self._stamps[change.name] = change.stamp
                if change.item is None:
                    backend.delete_item(change.table, change.key)
                else:
                    backend.put_item(change.table, change.item, overwrite=True)

    def _is_here(self, request: Request) -> bool:
        """Whether a call is for the tables of this Region: moto has those of others, too."""
        return request.service == "dynamodb" and request.region == self._cloud.region

    @property
    def _backend(self) -> DynamoDBBackend:
        return dynamodb_backends[ACCOUNT_ID][self._cloud.region]

    def _written(self, request: Request, reply: HttpReply) -> None:
        """A hook of the server, before another call of DynamoDB begins."""
        if not self._replicas or reply.status != 200 or not self._is_here(request):
            return
        for table, key in _keys_written(request, self._backend):
            if table in self._replicas:
                self._send(self._read(table, key, Stamp(time.time_ns(), self._cloud.region)))

    def _read(self, table: str, key: dict[str, Any], stamp: Stamp) -> Change:
        found = self._backend.get_item(table, key)
        item = found.to_json()["Attributes"] if found is not None else None
        return Change(table=table, key=key, item=item, stamp=stamp)

    def _send(self, change: Change) -> None:
        self._stamps[change.name] = change.stamp
        with self._news:
            for name in self._replicas[change.table] - {self._cloud.region}:
                self._waiting[name].append(change)
            self._news.notify_all()

    def _carry(self, region: str) -> None:
        """Until the end: send what has waited for long enough, in order."""
        while (due := self._due(region)) is not None:
            try:
                body = [change.model_dump(mode="json") for change in due]
                self._neighbours.tell(region, "changes", body)
            except ConnectionError:
                with self._news:
                    self._news.wait_for(lambda: self._closed, _AGAIN_SECONDS)
                continue
            except LookupError as error:
                # The table is gone there: what is for it is lost, and the rest must go on.
                _log.error("writes lost: %s", error)
            with self._news:
                for _ in due:
                    self._waiting[region].popleft()

    def _due(self, region: str) -> list[Change] | None:
        """What has waited for the lag, at least one; None at the end."""
        queue = self._waiting[region]
        with self._news:
            while not self._closed:
                lag = self._cloud.clock.real_seconds(self._lag_seconds)
                latest = time.time_ns() - int(lag * 1e9)
                due = [change for change in queue if change.stamp.written_ns <= latest]
                if due:
                    return due
                first = queue[0].stamp.written_ns if queue else None
                self._news.wait(None if first is None else (first - latest) / 1e9)
        return None

    def _replicas_asked_for(self, request: Request) -> HttpReply | None:
        """A hook of the server: `UpdateTable` that asks for replicas, which moto has none of."""
        if not self._is_here(request) or request.operation != "UpdateTable":
            return None
        asked = json.loads(request.body)
        updates = asked.get("ReplicaUpdates")
        if not updates:
            return None
        table, wanted = asked["TableName"], set()
        for update in updates:
            if update.keys() != {"Create"}:
                return _refused(f"ReplicaUpdates: only Create is emulated, not {update}")
            wanted.add(update["Create"]["RegionName"])
        unknown = wanted - set(self._neighbours.names)
        if unknown or table not in self._backend.tables:
            return _refused(f"{table}: no replica can be in {', '.join(sorted(unknown)) or 'it'}")
        try:
            self._replicate(table, wanted)
        except LookupError as error:
            return _refused(str(error))
        return _json({"TableDescription": {"TableName": table, "TableStatus": "UPDATING"}})

    def _replicate(self, table: str, wanted: set[str]) -> None:
        """Have a table in further Regions.

        Raises:
            ConnectionError: one is not reached.
            LookupError: one refuses.
        """
        regions = self._replicas.get(table, {self._cloud.region}) | wanted
        with self._cloud.server.alone("dynamodb"):
            described = self._backend.describe_table(table)["Table"]
            definition = {key: described[key] for key in _DEFINITION}
            indexes = described.get("GlobalSecondaryIndexes") or []
            if indexes:
                definition["GlobalSecondaryIndexes"] = [
                    {key: index[key] for key in _INDEX} for index in indexes
                ]
            changes = tuple(self._as_it_is(table))
            self._replicas[table] = regions
        replica = Replica(definition=definition, regions=tuple(sorted(regions)), changes=changes)
        for name in sorted(regions - {self._cloud.region}):
            self._neighbours.tell(name, "replicas", replica.model_dump(mode="json"))

    def _as_it_is(self, table: str) -> Iterator[Change]:
        found = self._backend.get_table(table)
        for item in list(found.all_items()):
            attributes = item.to_json()["Attributes"]
            key = {name: attributes[name] for name in _key_names(self._backend, table)}
            change = Change(table=table, key=key, item=attributes, stamp=Stamp(time.time_ns(), ""))
            yield change.model_copy(
                update={"stamp": self._stamps.setdefault(change.name, change.stamp)}
            )

    def _described(self, request: Request, reply: Reply) -> HttpReply | None:
        """A hook of the server: `DescribeTable` names the replicas."""
        if not self._is_here(request) or request.operation != "DescribeTable":
            return None
        others = self._replicas.get(json.loads(request.body).get("TableName", ""), set())
        others = others - {self._cloud.region}
        if reply.status != 200 or not others:
            return None
        body = json.loads(reply.body)
        body["Table"]["Replicas"] = [
            {"RegionName": name, "ReplicaStatus": "ACTIVE"} for name in sorted(others)
        ]
        return _json(body)


def _keys_written(
    request: Request, backend: DynamoDBBackend
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The tables and keys that a call of DynamoDB has written to."""
    asked = json.loads(request.body)
    operations: list[dict[str, Any]] = []
    match request.operation:
        case "PutItem" | "UpdateItem" | "DeleteItem":
            operations = [asked]
        case "TransactWriteItems":
            operations = [
                one
                for entry in asked["TransactItems"]
                for kind, one in entry.items()
                if kind != "ConditionCheck"
            ]
        case "BatchWriteItem":
            operations = [
                {"TableName": table, **one}
                for table, entries in asked["RequestItems"].items()
                for entry in entries
                for one in entry.values()
            ]
    for one in operations:
        table = one["TableName"].rpartition("/")[2]
        given = one.get("Key") or one["Item"]
        yield table, {name: given[name] for name in _key_names(backend, table)}


def _key_names(backend: DynamoDBBackend, table: str) -> list[str]:
    found = backend.get_table(table)
    return [name for name in (found.hash_key_attr, found.range_key_attr) if name is not None]


def _json(body: Any, status: int = 200) -> HttpReply:
    headers = [("Content-Type", "application/x-amz-json-1.0")]
    return HttpReply(status, headers, json.dumps(body).encode())


def _refused(why: str) -> HttpReply:
    return _json({"__type": "ValidationException", "message": why}, 400)
