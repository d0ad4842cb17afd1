"""The edge to a Region's fence: one item in its table of deployments, by conditional writes."""

from typing import Any

from botocore.exceptions import ClientError

from greenlane.deployments.storing.items import Item
from greenlane.deployments.storing.table import DynamoTable, condition_failed
from greenlane.regions.coordinating.fencing import Fence, OrderName

SORT_KEY = "FENCE"

_CONDITIONS: dict[OrderName, str] = {
    "claim": "attribute_not_exists(epoch) OR epoch <= :epoch",
    "go": (
        "attribute_not_exists(epoch) OR "
        "(epoch <= :epoch AND NOT (last_order = :back AND rollout_id = :rollout))"
    ),
    "back": "attribute_not_exists(epoch) OR epoch <= :epoch",
}


class Fences(DynamoTable):
    """The fences of one Region."""

    def read(self, service: str) -> Fence:
        """A service's fence, strongly consistent."""
        item = self.get(f"SERVICE#{service}", SORT_KEY)
        if item is None:
            return Fence()
        return Fence.model_validate(
            {
                "epoch": int(item["epoch"]["N"]),
                "rollout_id": item.get("rollout_id", {"S": ""})["S"],
                "order": item.get("last_order", {"S": "claim"})["S"],
            }
        )

    def order(self, service: str, order: OrderName, epoch: int, rollout_id: str) -> bool:
        """Give an order, as `fencing.admits` and `fencing.after` say; whether it was taken."""
        values: Item = {":epoch": {"N": str(epoch)}}
        change = "SET epoch = :epoch"
        if order != "claim":
            change += ", last_order = :order, rollout_id = :rollout"
            values |= {":order": {"S": order}, ":rollout": {"S": rollout_id}}
        if order == "go":
            values[":back"] = {"S": "back"}
        if self._write(service, change, _CONDITIONS[order], values):
            return True
        return order == "back" and self._back_from_below(service, rollout_id)

    def _back_from_below(self, service: str, rollout_id: str) -> bool:
        """Go back at an epoch that was overtaken: the epoch stays as it is."""
        return self._write(
            service,
            "SET last_order = :order, rollout_id = :rollout",
            "attribute_not_exists(rollout_id) OR rollout_id = :rollout",
            {":order": {"S": "back"}, ":rollout": {"S": rollout_id}},
        )

    def _write(self, service: str, change: str, condition: str, values: Item) -> bool:
        arguments: dict[str, Any] = {
            "Key": {"pk": {"S": f"SERVICE#{service}"}, "sk": {"S": SORT_KEY}},
            "UpdateExpression": change,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
        }
        try:
            self.client.update_item(TableName=self.table, **arguments)
        except ClientError as error:
            if not condition_failed(error):
                raise
            return False
        return True
