"""Looks and watches of a run, as they are kept: a look once and for all, a watch until the next."""

from botocore.exceptions import ClientError

from greenlane.deployments.storing.items import Item
from greenlane.deployments.storing.table import DynamoTable, condition_failed
from greenlane.errors import InvalidInput
from greenlane.experiments.records import Look
from greenlane.experiments.storing.state import Watch
from greenlane.experiments.storing.stored_items import (
    GUARD,
    key,
    look_key,
    looks_of,
    packed,
    unpacked,
)

_WAY_OUT = "measure fewer metrics or quantiles, or fewer variants"


class StoredLooks(DynamoTable):
    """Looks and watches in the table of A/B tests."""

    def looks(self, name: str, run: int) -> list[Look]:
        """All looks of a run, oldest first."""
        items = self.query(looks_of(name, run), "")
        return [Look.model_validate(unpacked(item)) for item in items if item["sk"]["S"] != GUARD]

    def keep_look(self, name: str, run: int, look: Look) -> Look:
        """Keep a look, once; the one that is stored.

        When a look of this number is stored already, that one is given back and nothing is
        written: what was decided stays decided, whoever asks again.

        Raises:
            InvalidInput: it does not fit into one item.
        """
        place = look_key(name, run, look.number)
        body = packed(look.model_dump(mode="json"), f"look {look.number} of {name}", _WAY_OUT)
        try:
            self.client.put_item(
                TableName=self.table,
                Item=place | {"body": {"B": body}, "verdict": {"S": look.verdict}},
                ConditionExpression="attribute_not_exists(pk)",
            )
        except ClientError as error:
            if not condition_failed(error):
                raise
            return self._look(place)
        return look

    def _look(self, place: Item) -> Look:
        answer = self.client.get_item(TableName=self.table, Key=place, ConsistentRead=True)
        return Look.model_validate(unpacked(answer["Item"]))

    def watch(self, name: str, run: int) -> Watch | None:
        """What was last seen between two looks."""
        item = self.get(looks_of(name, run), GUARD)
        return None if item is None else Watch.model_validate(unpacked(item))

    def keep_watch(self, name: str, run: int, watch: Watch) -> None:
        """Keep what was seen between two looks, over what was seen before it.

        One that comes late, after another of a later moment was kept, is left out. One that does
        not fit is kept without the sums that it was seen in.

        Raises:
            InvalidInput: it does not fit into one item.
        """
        what = f"the watch of {name}"
        try:
            body = packed(watch.model_dump(mode="json"), what, _WAY_OUT)
        except InvalidInput:
            # What it found is worth more than what it found it in.
            bare = watch.snapshot.model_copy(update={"moments": {}, "histograms": {}})
            less = watch.model_copy(update={"snapshot": bare})
            body = packed(less.model_dump(mode="json"), what, _WAY_OUT)
        at = {"N": f"{watch.at.timestamp():.6f}"}
        place = key(looks_of(name, run), GUARD)
        try:
            self.client.put_item(
                TableName=self.table,
                Item=place | {"body": {"B": body}, "at": at},
                ConditionExpression="attribute_not_exists(#at) OR #at <= :at",
                ExpressionAttributeNames={"#at": "at"},
                ExpressionAttributeValues={":at": at},
            )
        except ClientError as error:
            if not condition_failed(error):
                raise
