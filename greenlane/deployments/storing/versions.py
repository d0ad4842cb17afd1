"""Documents of which every version is kept: one write puts the next one beside those before."""

from botocore.exceptions import ClientError
from pydantic import BaseModel

from greenlane.deployments.storing.items import body_item
from greenlane.deployments.storing.table import DynamoTable


def put_version(
    table: DynamoTable, kinds: str, kind: str, name: str, body: BaseModel, version: int
) -> bool:
    """Keep a document as its next version; False when somebody else did in the same moment.

    Args:
        table: where.
        kinds: the partition of what is in force, one item for each name, such as `DATABASES`.
        kind: the partition of all versions is `<kind>#<name>`, their keys `CONFIG#<version>`.
        name: whose.
        body: the document.
        version: one more than the version that was read; 1 when there was none.
    """
    number = {"version": {"N": str(version)}}
    puts = (
        {
            "Item": body_item(f"{kind}#{name}", f"CONFIG#{version:06d}", body),
            "ConditionExpression": "attribute_not_exists(pk)",
        },
        {
            "Item": body_item(kinds, name, body, **number),
            "ConditionExpression": "attribute_not_exists(pk) OR version = :before",
            "ExpressionAttributeValues": {":before": {"N": str(version - 1)}},
        },
    )
    try:
        table.client.transact_write_items(
            TransactItems=[{"Put": {"TableName": table.table, **one}} for one in puts]
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "TransactionCanceledException":
            raise
        return False
    return True
