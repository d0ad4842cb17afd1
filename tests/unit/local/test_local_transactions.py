"""Transactions of the local cloud: all or nothing, of what they touch, at a small price."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from greenlane.local.cloud import LocalCloud

TABLE = "things"


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Any]:
    with LocalCloud(tmp_path / "cloud", parts=()) as cloud:
        client = cloud.client("dynamodb")
        client.create_table(
            TableName=TABLE,
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        yield client


def key(name: str) -> dict[str, Any]:
    return {"pk": {"S": name}, "sk": {"S": "x"}}


def put(name: str, condition: str = "") -> dict[str, Any]:
    body: dict[str, Any] = {"TableName": TABLE, "Item": key(name) | {"n": {"N": "1"}}}
    return {"Put": body | ({"ConditionExpression": condition} if condition else {})}


def more(name: str, by: str) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": TABLE,
            "Key": key(name),
            "UpdateExpression": "ADD n :by",
            "ExpressionAttributeValues": {":by": {"N": by}},
        }
    }


def there(client: Any, name: str) -> str | None:
    found = client.get_item(TableName=TABLE, Key=key(name), ConsistentRead=True).get("Item")
    return None if found is None else str(found["n"]["N"])


def test_a_transaction_that_fails_leaves_everything_as_it_was(table: Any) -> None:
    table.transact_write_items(TransactItems=[put("old"), put("other")])
    with pytest.raises(ClientError, match="TransactionCanceled"):
        table.transact_write_items(
            TransactItems=[
                more("old", "5"),
                put("new"),
                {"Delete": {"TableName": TABLE, "Key": key("other")}},
                put("old2", "attribute_exists(pk)"),
            ]
        )
    assert [there(table, name) for name in ("old", "other", "new", "old2")] == [
        "1",
        "1",
        None,
        None,
    ]


def test_a_transaction_that_goes_in_changes_all_it_names(table: Any) -> None:
    table.transact_write_items(TransactItems=[put("old")])
    table.transact_write_items(
        TransactItems=[more("old", "5"), put("new", "attribute_not_exists(pk)")]
    )
    assert (there(table, "old"), there(table, "new")) == ("6", "1")


def test_a_query_finds_what_is_in_its_partition_in_order_and_page_by_page(table: Any) -> None:
    for name in ("b", "a", "c"):
        item = {"pk": {"S": "one"}, "sk": {"S": name}}
        table.put_item(TableName=TABLE, Item=item)
        table.put_item(TableName=TABLE, Item=item | {"pk": {"S": "other"}})
    asked = {
        "TableName": TABLE,
        "KeyConditionExpression": "pk = :pk AND sk < :last",
        "ExpressionAttributeValues": {":pk": {"S": "one"}, ":last": {"S": "c"}},
        "ConsistentRead": True,
    }
    first = table.query(**asked, Limit=1)
    rest = table.query(**asked, ExclusiveStartKey=first["LastEvaluatedKey"])
    assert [item["sk"]["S"] for item in first["Items"] + rest["Items"]] == ["a", "b"]
    backwards = table.query(**asked, ScanIndexForward=False)["Items"]
    assert [item["sk"]["S"] for item in backwards] == ["b", "a"]
    nobody = {":pk": {"S": "nobody"}, ":last": {"S": "c"}}
    assert table.query(**asked | {"ExpressionAttributeValues": nobody})["Items"] == []


@pytest.mark.parametrize("what", ["transaction", "query"])
def test_a_price_does_not_grow_with_the_table(table: Any, what: str) -> None:
    def act() -> None:
        if what == "transaction":
            table.transact_write_items(TransactItems=[more("counter", "1")])
            return
        table.query(
            TableName=TABLE,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": "counter"}},
        )

    def fastest() -> float:
        took = []
        for _ in range(10):
            began = time.perf_counter()
            act()
            took.append(time.perf_counter() - began)
        return min(took)

    small = fastest()
    for first in range(0, 3000, 25):
        puts = [{"PutRequest": {"Item": key(f"i{first + n}")}} for n in range(25)]
        table.batch_write_item(RequestItems={TABLE: puts})
    assert fastest() < 3 * small + 0.01
