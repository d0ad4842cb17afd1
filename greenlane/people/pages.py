"""The pages of a deployment, kept beside its history until somebody was reached.

One item for each, `PAGE#<announcement>`: the announcement as it was published, whether the topic
took it, how often it was told again, and when it may be told next.
"""

from datetime import datetime, timedelta

from botocore.exceptions import ClientError

from greenlane.deployments.model import StoredModel
from greenlane.deployments.storing.items import Item, body_item, instant
from greenlane.deployments.storing.store import DynamoStore
from greenlane.people.announcement import Announcement, id_of, ids_of
from greenlane.people.ledger import place_of

FIRST_AGAIN = timedelta(minutes=5)
"""After that, Lambda has tried three times, and nobody tries any more."""

THEN_AGAIN = timedelta(minutes=30)
MOST_AGAIN = 12
"""Some six hours: who was not reached by then is not reached in this way."""


class Page(StoredModel):
    """One page.

    Args:
        news: as it was published; `again` says how often it was told again.
        due: when it may be told again.
        published: whether the topic took it, so that mail went out.
    """

    news: Announcement
    due: datetime
    published: bool


def keep_page(store: DynamoStore, news: Announcement, *, published: bool) -> Page | None:
    """Keep a page; one that is told by two who do not know of each other is kept once.

    Returns:
        None if it was kept already.

    Raises:
        botocore.exceptions.ClientError: the table refused.
        botocore.exceptions.BotoCoreError: it did not answer.
    """
    page = Page(news=news, due=news.at + FIRST_AGAIN, published=published)
    return page if _put(store, page, "attribute_not_exists(pk)", {}) else None


def went_out(store: DynamoStore, page: Page) -> None:
    """The topic has taken it."""
    _replace(store, page, page.model_copy(update={"published": True}))


class Pages:
    """The pages on record, for who tells them again.

    Args:
        store: where deployments are kept.
    """

    def __init__(self, store: DynamoStore) -> None:
        self._store = store

    def of(self, deployment_id: str, kind: str, occasion: object) -> Page | None:
        """The page of this occasion.

        Raises:
            pydantic.ValidationError: it cannot be read.
        """
        key: Item = {
            "pk": {"S": f"DEPLOYMENT#{deployment_id}"},
            "sk": {"S": f"PAGE#{id_of(deployment_id, kind, occasion)}"},
        }
        answer = self._store.client.get_item(
            TableName=self._store.table, Key=key, ConsistentRead=True
        )
        item = answer.get("Item")
        return None if item is None else Page.model_validate_json(item["body"]["S"])

    def latest(self, deployment_id: str, kind: str) -> Page | None:
        """The latest page of this kind of a deployment.

        Raises:
            pydantic.ValidationError: one of them cannot be read.
        """
        answer = self._store.client.query(
            TableName=self._store.table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={
                ":pk": {"S": f"DEPLOYMENT#{deployment_id}"},
                ":prefix": {"S": f"PAGE#{ids_of(deployment_id, kind)}"},
            },
            ConsistentRead=True,
        )
        pages = [Page.model_validate_json(item["body"]["S"]) for item in answer["Items"]]
        return max(pages, key=lambda page: page.news.at, default=None)

    def take(self, page: Page, now: datetime) -> Page | None:
        """The page as it is to be told now; None if another look was quicker."""
        news = page.news.model_copy(update={"again": page.news.again + 1})
        taken = page.model_copy(update={"news": news, "due": now + THEN_AGAIN})
        return taken if _replace(self._store, page, taken) else None


def _replace(store: DynamoStore, before: Page, after: Page) -> bool:
    return _put(store, after, "due = :due", {":due": {"S": instant(before.due)}})


def _put(store: DynamoStore, page: Page, condition: str, values: Item) -> bool:
    extra: Item = {"due": {"S": instant(page.due)}}
    item = body_item(place_of(page.news), f"PAGE#{page.news.id}", page, **extra)
    known = {"ExpressionAttributeValues": values} if values else {}
    try:
        store.client.put_item(
            TableName=store.table, Item=item, ConditionExpression=condition, **known
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return False
    return True
