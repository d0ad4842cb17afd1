"""What is kept of runs, in the table of deployments: for people and programs, never to decide by.

Layout (`pk`, `sk`)::

    DATABASE#<database>  LEASE                      who migrates it now; see `lease`
    DATABASE#<database>  PUBLISHED                  what stands in it
    DATABASE#<database>  RUN#<instant>#<run>        one line per run
    MIGRATION#<run>      RUN                        where that line is
    MIGRATION#<run>      EVENT#<instant>#<nonce>    its history, append-only
"""

import secrets
from collections.abc import Sequence
from datetime import datetime

from botocore.exceptions import ClientError

from greenlane.deployments.model import HistoryEvent
from greenlane.deployments.storing.items import Item, body_item, instant
from greenlane.deployments.storing.shapes import StoredModel
from greenlane.deployments.storing.table import DynamoTable, condition_failed
from greenlane.errors import FenceLost, UnknownMigration
from greenlane.migrations.guarding.model import Published, RunRecord


class _Where(StoredModel):
    """Where the line of a run is."""

    database: str
    started_at: datetime


class Runs(DynamoTable):
    """The runs in DynamoDB."""

    def begin(self, record: RunRecord) -> RunRecord:
        """Begin the line of a run, or find the one that an earlier attempt began.

        The line keeps the time of the first attempt, by which it is found.
        """
        where = _Where(database=record.database, started_at=record.started_at)
        try:
            self.client.put_item(
                TableName=self.table,
                Item=body_item(f"MIGRATION#{record.run}", "RUN", where),
                ConditionExpression="attribute_not_exists(pk)",
            )
        except ClientError as error:
            if not condition_failed(error):
                raise
            where = self._where(record.run)
        begun = record.model_copy(update={"started_at": where.started_at})
        self.put(begun)
        return begun

    def put(self, record: RunRecord) -> None:
        """Write a run's line; one of an older epoch does not replace a newer one's."""
        item = body_item(
            f"DATABASE#{record.database}",
            f"RUN#{instant(record.started_at)}#{record.run}",
            record,
            epoch={"N": str(record.epoch)},
        )
        try:
            self.client.put_item(
                TableName=self.table,
                Item=item,
                ConditionExpression="attribute_not_exists(pk) OR epoch <= :epoch",
                ExpressionAttributeValues={":epoch": {"N": str(record.epoch)}},
            )
        except ClientError as error:
            if not condition_failed(error):
                raise

    def run(self, run: str) -> RunRecord:
        """The line of a run.

        Raises:
            UnknownMigration: there is none of that id.
        """
        where = self._where(run)
        item = self.get(f"DATABASE#{where.database}", f"RUN#{instant(where.started_at)}#{run}")
        if item is None:
            raise UnknownMigration(run)
        return RunRecord.model_validate_json(item["body"]["S"])

    def runs(self, database: str, limit: int = 20) -> list[RunRecord]:
        """The runs on a database, newest first."""
        items = self.query(f"DATABASE#{database}", "RUN#", newest_first=True, limit=limit)
        return [RunRecord.model_validate_json(item["body"]["S"]) for item in items]

    def append(self, run: str, event: HistoryEvent) -> None:
        """Add one line to a run's history."""
        sk = f"EVENT#{instant(event.at)}#{secrets.token_hex(4)}"
        self.client.put_item(TableName=self.table, Item=body_item(f"MIGRATION#{run}", sk, event))

    def history(self, run: str) -> Sequence[HistoryEvent]:
        """The history of a run, oldest first."""
        items = self.query(f"MIGRATION#{run}", "EVENT#")
        return [HistoryEvent.model_validate_json(item["body"]["S"]) for item in items]

    def published(self, database: str) -> Published | None:
        """What stands in a database; None before the first run."""
        item = self.get(f"DATABASE#{database}", "PUBLISHED")
        return None if item is None else Published.model_validate_json(item["body"]["S"])

    def keep_published(self, published: Published) -> None:
        """Keep what stands in a database.

        Raises:
            FenceLost: a later run has published already.
        """
        number: Item = {":epoch": {"N": str(published.epoch)}}
        try:
            self.client.put_item(
                TableName=self.table,
                Item=body_item(
                    f"DATABASE#{published.database}", "PUBLISHED", published, epoch=number[":epoch"]
                ),
                ConditionExpression="attribute_not_exists(pk) OR epoch <= :epoch",
                ExpressionAttributeValues=number,
            )
        except ClientError as error:
            if not condition_failed(error):
                raise
            raise FenceLost(f"{published.database}: a later run has published") from error

    def _where(self, run: str) -> _Where:
        item = self.get(f"MIGRATION#{run}", "RUN")
        if item is None:
            raise UnknownMigration(run)
        return _Where.model_validate_json(item["body"]["S"])
