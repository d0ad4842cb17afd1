"""Reading a DynamoDB table whose key is `pk` and `sk`, strongly consistent."""

from typing import Any

from botocore.exceptions import ClientError

from greenlane.deployments.storing.items import Item


class DynamoTable:
    """One table.

    Args:
        client: a boto3 `dynamodb` client; its timeouts and retries are the caller's choice.
        table: the table's name.
    """

    def __init__(self, client: Any, table: str) -> None:
        self.client = client
        self.table = table

    def get(self, pk: str, sk: str) -> Item | None:
        """One item, strongly consistent; None when there is none."""
        answer = self.client.get_item(
            TableName=self.table, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True
        )
        item: Item | None = answer.get("Item")
        return item

    def delete(self, pk: str, sk: str) -> bool:
        """Delete one item; False if there was none."""
        answer = self.client.delete_item(
            TableName=self.table, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ReturnValues="ALL_OLD"
        )
        return "Attributes" in answer

    def query(
        self,
        pk: str,
        prefix: str,
        *,
        newest_first: bool = False,
        limit: int | None = None,
        projection: str | None = None,
        after: str | None = None,
    ) -> list[Item]:
        """All items of a partition whose `sk` begins so, in the order of that.

        Args:
            pk: the partition.
            prefix: of `sk`; everything if empty.
            newest_first: the other way round.
            limit: how many at most.
            projection: which attributes, as DynamoDB says it.
            after: the `sk` that comes before the first of them; there need be no such item.
        """
        arguments: dict[str, Any] = {
            "TableName": self.table,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": pk}},
            "ScanIndexForward": not newest_first,
            "ConsistentRead": True,
        }
        if prefix:
            arguments["KeyConditionExpression"] += " AND begins_with(sk, :prefix)"
            arguments["ExpressionAttributeValues"][":prefix"] = {"S": prefix}
        if limit is not None:
            arguments["Limit"] = limit
        if projection is not None:
            arguments["ProjectionExpression"] = projection
        if after is not None:
            arguments["ExclusiveStartKey"] = {"pk": {"S": pk}, "sk": {"S": after}}
        items: list[Item] = []
        while True:
            answer = self.client.query(**arguments)
            items += answer["Items"]
            if "LastEvaluatedKey" not in answer or (limit is not None and len(items) >= limit):
                return items[:limit]
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def condition_failed(error: ClientError) -> bool:
    """Whether a write did not happen because its condition did not hold."""
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"
