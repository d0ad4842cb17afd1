"""DynamoDB in memory: the calls that `DynamoStore` and its tests make, and nothing else.

A call to moto's takes some 5 ms, and that was most of what the unit tests waited for. This one is
compared with moto in `test_fake_table.py`, and is stricter: placeholders that are not used, values
of no kind and parameters that it does not know are errors, as they are to AWS.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar, cast

from botocore.exceptions import ClientError

from tests.expressions import Attributes, Refusal, Scope, parse
from tests.fakes import client
from tests.table_keys import (
    Names,
    Place,
    Values,
    check_placeholders,
    partition_asked,
    place_in,
    place_of,
)
from tests.table_values import (
    LARGEST_PAGE,
    Overflow,
    added,
    check_item,
    check_size,
    check_value,
    copied,
    size,
)

T = TypeVar("T")

_CONDITION = "ConditionalCheckFailedException"
MOST_WRITES, LONGEST_EXPRESSION = 100, 4096
"""Of a transaction; bytes of one expression."""


@dataclass(frozen=True, kw_only=True)
class Write:
    """The parameters of a write, by AWS's names; a call with any others is a `TypeError`."""

    TableName: str
    ConditionExpression: str | None = None
    ExpressionAttributeNames: Names | None = None
    ExpressionAttributeValues: Values | None = None
    ReturnValuesOnConditionCheckFailure: str = "NONE"

    def place(self) -> Place:
        raise NotImplementedError

    def after(self, before: Attributes | None) -> Attributes | None:
        """The item once it is written, for a condition that held; None when it is gone."""
        raise NotImplementedError

    def scope(self, item: Attributes | None) -> Scope:
        names, values = self.ExpressionAttributeNames, self.ExpressionAttributeValues
        return Scope(item or {}, names or {}, values or {})

    def check(self, before: Attributes | None) -> None:
        """Refuse it when it is wrong in itself, or its condition does not hold."""
        if self.ReturnValuesOnConditionCheckFailure not in ("NONE", "ALL_OLD"):
            raise Refusal("ReturnValuesOnConditionCheckFailure set to invalid value")
        parsed = {
            name: parse(name, text)
            for name in ("ConditionExpression", "UpdateExpression")
            if (text := getattr(self, name, None)) is not None
        }
        for name in parsed:
            if len(getattr(self, name).encode()) > LONGEST_EXPRESSION:
                raise Refusal(f"Invalid {name}: Expression size has exceeded the maximum allowed")
        names, values = self.ExpressionAttributeNames, self.ExpressionAttributeValues
        check_placeholders(list(parsed.values()), names, values)
        condition = parsed.get("ConditionExpression")
        if condition is not None and not self.scope(before).holds(condition.tree):
            shown = before is not None and self.ReturnValuesOnConditionCheckFailure == "ALL_OLD"
            members = {"Item": copied(before)} if shown else {}
            message = "The conditional request failed"
            raise Refusal(message, _CONDITION, message=message, **members)


@dataclass(frozen=True, kw_only=True)
class Put(Write):
    Item: Attributes

    def place(self) -> Place:
        return place_in(self.Item)

    def after(self, before: Attributes | None) -> Attributes:
        check_item(self.Item)
        return copied(self.Item)


@dataclass(frozen=True, kw_only=True)
class Delete(Write):
    Key: Attributes

    def place(self) -> Place:
        return place_of(self.Key)

    def after(self, before: Attributes | None) -> None:
        return None


@dataclass(frozen=True, kw_only=True)
class Update(Write):
    Key: Attributes
    UpdateExpression: str

    def place(self) -> Place:
        return place_of(self.Key)

    def after(self, before: Attributes | None) -> Attributes:
        """All values are those from before the write, in whatever order it names them."""
        scope = self.scope(before)
        update = parse("UpdateExpression", self.UpdateExpression).tree
        sets = [(scope.name(path), value) for path, value in update.get("SET", ())]
        removes = [scope.name(path) for path in update.get("REMOVE", ())]
        adds = [(scope.name(path), path, value) for path, value in update.get("ADD", ())]
        _check_targets([name for name, *_ in (*sets, *adds)] + removes)
        # What was stored is never changed, so the items before and after may share it.
        found = dict(before or copied(self.Key))
        for name in removes:
            found.pop(name, None)
        new = {name: copied(scope.result(value)) for name, value in sets}
        new |= {name: added(scope, path, value) for name, path, value in adds}
        for value in new.values():
            check_value(value)
        found |= new
        check_size(found)
        return found


def _check_targets(names: list[str]) -> None:
    for name in names:
        if name in ("pk", "sk"):
            raise Refusal(f"Cannot update attribute {name}. This attribute is part of the key")
        if names.count(name) > 1:
            raise Refusal(f"Two document paths overlap with each other: {name}")


class Table:
    """A boto3 `dynamodb` client with one table in it, whose key is `pk` and `sk`.

    Args:
        name: the table's.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._items: dict[Place, Attributes] = {}
        self._asked: dict[str, Any] = {}
        self._lock = Lock()
        self.changes = 0
        """How often an item was written: while it is the same, so is whatever is read."""

    def items(self) -> list[Attributes]:
        """Everything that is stored, by key."""
        with self._lock:
            return [copied(item) for _, item in sorted(self._items.items())]

    def stored(self, key: Attributes) -> Attributes | None:
        """The item itself, which nobody may change; another object after each write of it."""
        with self._lock:
            return self._items.get(place_of(key))

    def begun_as(self, items: Mapping[Place, Attributes]) -> None:
        """Hold what another one holds; items are never changed, so both may have them."""
        self._items, self.changes = dict(items), self.changes + 1

    def held(self) -> dict[Place, Attributes]:
        """What it holds, for `begun_as`."""
        return dict(self._items)

    def get_item(self, *, TableName: str, Key: Attributes, ConsistentRead: bool = False) -> Any:
        with self._answering("GetItem", TableName):
            found = self._items.get(place_of(Key))
            return {} if found is None else {"Item": copied(found)}

    def put_item(self, *, ReturnValues: str = "NONE", **arguments: Any) -> Any:
        return self._write("PutItem", Put(**arguments), ReturnValues, "ALL_OLD")

    def delete_item(self, *, ReturnValues: str = "NONE", **arguments: Any) -> Any:
        return self._write("DeleteItem", Delete(**arguments), ReturnValues, "ALL_OLD")

    def update_item(self, *, ReturnValues: str = "NONE", **arguments: Any) -> Any:
        return self._write("UpdateItem", Update(**arguments), ReturnValues, "ALL_OLD", "ALL_NEW")

    def transact_write_items(
        self, *, TransactItems: Sequence[Mapping[str, Any]], ClientRequestToken: str | None = None
    ) -> Any:
        writes = [_transacted(entry) for entry in TransactItems]
        with self._answering("TransactWriteItems", *(write.TableName for write in writes)):
            if ClientRequestToken is not None and ClientRequestToken in self._asked:
                if self._asked[ClientRequestToken] != TransactItems:
                    raise Refusal("another request", "IdempotentParameterMismatchException")
                return {}
            if len(writes) > MOST_WRITES:
                raise Refusal(f"Member must have length less than or equal to {MOST_WRITES}")
            if len({write.place() for write in writes}) < len(writes):
                raise Refusal("Transaction request cannot include multiple operations on one item")
            reasons = [self._reason(write) for write in writes]
            codes = [reason["Code"] for reason in reasons]
            if set(codes) != {"None"}:
                message = (
                    "Transaction cancelled, please refer cancellation reasons for specific reasons "
                    f"[{', '.join(codes)}]"
                )
                members = {"Message": message, "CancellationReasons": reasons}
                raise Refusal(message, "TransactionCanceledException", **members)
            for write, item in [(write, write.after(self._before(write))) for write in writes]:
                self._keep(write, item)
            if ClientRequestToken is not None:
                self._asked[ClientRequestToken] = copied(list(TransactItems))
            return {}

    def query(
        self,
        *,
        TableName: str,
        KeyConditionExpression: str,
        ProjectionExpression: str | None = None,
        ExpressionAttributeNames: Names | None = None,
        ExpressionAttributeValues: Values | None = None,
        ScanIndexForward: bool = True,
        Limit: int | None = None,
        ExclusiveStartKey: Attributes | None = None,
        ConsistentRead: bool = False,
    ) -> Any:
        names, values = ExpressionAttributeNames or {}, ExpressionAttributeValues or {}
        with self._answering("Query", TableName):
            parsed = [parse("KeyConditionExpression", KeyConditionExpression)]
            if ProjectionExpression is not None:
                parsed.append(parse("ProjectionExpression", ProjectionExpression))
            check_placeholders(parsed, ExpressionAttributeNames, ExpressionAttributeValues)
            asked = partition_asked(parsed[0].tree, names, values)
            Scope({}, names, values).holds(parsed[0].tree)  # what is wrong is so of any item
            start = ExclusiveStartKey
            if start is not None and not Scope(start, names, values).holds(parsed[0].tree):
                raise Refusal("The provided starting key is outside query boundaries")
            places = sorted(self._items, reverse=not ScanIndexForward)
            mine = [place for place in places if place[0] == asked]
            found = [
                scope
                for place in mine
                if _follows(place, start, ScanIndexForward)
                and (scope := Scope(self._items[place], names, values)).holds(parsed[0].tree)
            ]
            page, more = _page(found, Limit)
            projection = parsed[1].tree if parsed[1:] else None
            items = [scope.shown(projection) for scope in page]
            return {"Items": copied(items), "Count": len(items), "ScannedCount": len(items)} | more

    @contextmanager
    def _answering(self, operation: str, *tables: str) -> Iterator[None]:
        with self._lock:
            try:
                if set(tables) != {self.name}:
                    raise Refusal("Requested resource not found", "ResourceNotFoundException")
                yield
            except Refusal as refusal:
                raise _as_botocore_does(refusal, operation) from None

    def _before(self, write: Write) -> Attributes | None:
        return self._items.get(write.place())

    def _keep(self, write: Write, item: Attributes | None) -> None:
        self.changes += 1
        if item is None:
            self._items.pop(write.place(), None)
        else:
            self._items[write.place()] = item

    def _write(self, operation: str, write: Write, wanted: str, *possible: str) -> Any:
        with self._answering(operation, write.TableName):
            if wanted not in ("NONE", *possible):
                raise Refusal("Return values set to invalid value")
            before = self._before(write)
            write.check(before)
            after = write.after(before)
            self._keep(write, after)
            shown = {"ALL_OLD": before, "ALL_NEW": after}.get(wanted)
            return {"Attributes": copied(shown)} if shown else {}

    def _reason(self, write: Write) -> dict[str, Any]:
        """Why a write cancels its transaction; what is wrong in itself is refused outright."""
        try:
            before = self._before(write)
            write.check(before)
            write.after(before)
        except Overflow as refusal:
            return {"Code": "ValidationError", "Message": refusal.message}
        except Refusal as refusal:
            if refusal.code != _CONDITION:
                raise
            item = {"Item": refusal.members["Item"]} if "Item" in refusal.members else {}
            return {"Code": "ConditionalCheckFailed", "Message": refusal.message} | item
        return {"Code": "None"}


def _transacted(entry: Mapping[str, Any]) -> Write:
    ((kind, arguments),) = entry.items()
    kinds: dict[str, type[Write]] = {"Put": Put, "Update": Update, "Delete": Delete}
    if kind not in kinds:
        raise TypeError(f"{kind} is not among what a transaction can hold here: {list(kinds)}")
    return kinds[kind](**arguments)


def _follows(place: Place, start: Attributes | None, forward: bool) -> bool:
    if start is None:
        return True
    return place > place_of(start) if forward else place < place_of(start)


def _page(found: list[Scope], limit: int | None) -> tuple[list[Scope], dict[str, Any]]:
    """One answer's worth; a limit that is reached says "go on" even when nothing is left."""
    if limit is not None and limit < 1:
        raise Refusal("Limit must have value greater than or equal to 1")
    page: list[Scope] = []
    total = 0
    for scope in found:
        total += size(scope.item)
        if len(page) == limit or total > LARGEST_PAGE:
            break
        page.append(scope)
    if len(page) == len(found) != limit:
        return page, {}
    last = {name: copied(page[-1].item[name]) for name in ("pk", "sk")}
    return page, {"LastEvaluatedKey": last}


def _as_botocore_does(refusal: Refusal, operation: str) -> ClientError:
    response = {
        "Error": {"Code": refusal.code, "Message": refusal.message},
        "ResponseMetadata": {"HTTPStatusCode": 400, "RetryAttempts": 0},
        **refusal.members,
    }
    kind = client("dynamodb").exceptions.from_code(refusal.code)
    return cast(ClientError, kind(response, operation))
