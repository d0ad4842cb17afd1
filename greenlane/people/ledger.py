"""What became of each announcement on each channel, in the deployments table.

One item for each, `TOLD#<announcement>#<channel>` beside the deployment's history: whoever writes
it first may send. So an announcement that is delivered a hundred times is sent once, and a second
attempt sends only what the first one could not.
"""

from datetime import datetime, timedelta

from botocore.exceptions import ClientError

from greenlane.deployments.storing.items import Item, body_item, instant
from greenlane.deployments.storing.store import DynamoStore
from greenlane.people.announcement import Announcement
from greenlane.people.channel import Told

CLAIMED_FOR = timedelta(seconds=55)
"""Lambda tries again after a minute: by then the claim of an invocation that died is over."""


class Ledger:
    """The items of announcements.

    Args:
        store: where deployments are kept.
    """

    def __init__(self, store: DynamoStore) -> None:
        self._store = store

    def earlier(self, news: Announcement) -> list[Told]:
        """What was sent, or tried, of the deployment's other announcements, oldest first."""
        others = [one for one in self._told(news) if one.announcement_id != news.id]
        return sorted(others, key=lambda one: one.at)

    def reached(self, news: Announcement) -> set[str]:
        """The channels that took this very announcement."""
        told = [one for one in self._told(news) if one.announcement_id == news.id]
        return {one.channel for one in told if one.state == "sent"}

    def _told(self, news: Announcement) -> list[Told]:
        answer = self._store.client.query(
            TableName=self._store.table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={":pk": {"S": place_of(news)}, ":prefix": {"S": "TOLD#"}},
            ConsistentRead=True,
        )
        return [Told.model_validate_json(item["body"]["S"]) for item in answer["Items"]]

    def claim(self, news: Announcement, told: Told, now: datetime) -> bool:
        """Whether the caller is to send it: nobody has, and nobody is about to.

        What was refused is sent when it is told again: somebody may have mended the secret.
        """
        condition = (
            "attribute_not_exists(pk) OR outcome = :failed "
            "OR (outcome = :sending AND claimed_until < :now)"
        )
        values = {
            ":failed": {"S": "failed"},
            ":sending": {"S": "sending"},
            ":now": {"S": instant(now)},
        }
        if news.again:
            condition += " OR (outcome = :refused AND told_again < :again)"
            values |= {":refused": {"S": "refused"}, ":again": {"N": str(news.again)}}
        return self._put(_item(news, told, now + CLAIMED_FOR), condition, values)

    def end(self, news: Announcement, told: Told) -> None:
        """Keep what became of it; that it was sent is never overwritten."""
        condition = "attribute_not_exists(pk) OR outcome <> :sent"
        self._put(_item(news, told), condition, {":sent": {"S": "sent"}})

    def _put(self, item: Item, condition: str, values: Item) -> bool:
        try:
            self._store.client.put_item(
                TableName=self._store.table,
                Item=item,
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        return True


def place_of(news: Announcement) -> str:
    """The partition: the deployment's, or the service's for news of no deployment."""
    if news.deployment_id is not None:
        return f"DEPLOYMENT#{news.deployment_id}"
    return f"SERVICE#{news.service}"


def _item(news: Announcement, told: Told, until: datetime | None = None) -> Item:
    extra: Item = {"outcome": {"S": told.state}, "told_again": {"N": str(told.again)}}
    if until is not None:
        extra["claimed_until"] = {"S": instant(until)}
    return body_item(place_of(news), f"TOLD#{news.id}#{told.channel}", told, **extra)
