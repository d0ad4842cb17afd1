"""What is kept of restores, in the table of deployments.

Layout (`pk`, `sk`)::

    DATABASE#<database>  RESTORE#<instant>#<restore>   one line per restore
    RESTORE#<restore>    RESTORE                       where that line is
    RESTORE#<restore>    QUESTION#<question>           who waits for an answer, and the answer
    RESTORE#<restore>    EVENT#<instant>#<nonce>       its history, append-only

The answers decide; lines and history are for people. An answer is written once: whoever comes
second, a person or the end of the time, finds the first one.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime

from botocore.exceptions import ClientError

from greenlane.deployments.model import HistoryEvent
from greenlane.deployments.storing.items import Item, body_item, instant
from greenlane.deployments.storing.shapes import StoredModel
from greenlane.deployments.storing.table import DynamoTable, condition_failed
from greenlane.errors import UnknownRestore
from greenlane.migrations.restoring.model import Answer, Question, RestoreRecord


class Asked(StoredModel):
    """A question as it stands.

    Args:
        offer: what an answer must name, so that nobody says yes to something else than was read.
        token: of the workflow that waits; None when nobody does.
        answer: None while there is none.
    """

    question: Question
    offer: str
    token: str | None = None
    answer: Answer | None = None


class Begun(StoredModel):
    """A restore's line, and whether an execution before this one has begun it."""

    record: RestoreRecord
    resumed: bool


class _Where(StoredModel):
    database: str
    started_at: datetime
    execution: str


class Restores(DynamoTable):
    """The restores in DynamoDB."""

    def begin(self, record: RestoreRecord) -> Begun:
        """Begin the line of a restore, or find the one that an earlier attempt began.

        The line keeps the time of the first attempt, by which it is found. That of an execution
        which took the lease has an epoch, and stays as it is.
        """
        where = _Where(
            database=record.database, started_at=record.started_at, execution=record.execution
        )
        try:
            self.client.put_item(
                TableName=self.table,
                Item=body_item(f"RESTORE#{record.restore}", "RESTORE", where),
                ConditionExpression="attribute_not_exists(pk)",
            )
        except ClientError as error:
            if not condition_failed(error):
                raise
            where = self._where(record.restore)
        begun = record.model_copy(update={"started_at": where.started_at})
        self.put(begun)
        return Begun(record=begun, resumed=where.execution != record.execution)

    def put(self, record: RestoreRecord) -> None:
        """Write a restore's line; one of an older epoch does not replace a newer one's."""
        epoch: Item = {":epoch": {"N": str(record.epoch)}}
        item = body_item(
            f"DATABASE#{record.database}",
            f"RESTORE#{instant(record.started_at)}#{record.restore}",
            record,
            epoch=epoch[":epoch"],
        )
        try:
            self.client.put_item(
                TableName=self.table,
                Item=item,
                ConditionExpression="attribute_not_exists(pk) OR epoch <= :epoch",
                ExpressionAttributeValues=epoch,
            )
        except ClientError as error:
            if not condition_failed(error):
                raise

    def restore(self, restore: str) -> RestoreRecord:
        """The line of a restore.

        Raises:
            UnknownRestore: there is none of that id.
        """
        where = self._where(restore)
        sk = f"RESTORE#{instant(where.started_at)}#{restore}"
        item = self.get(f"DATABASE#{where.database}", sk)
        if item is None:
            raise UnknownRestore(restore)
        return RestoreRecord.model_validate_json(item["body"]["S"])

    def restores(self, database: str, limit: int = 20) -> list[RestoreRecord]:
        """The restores of a database, newest first."""
        items = self.query(f"DATABASE#{database}", "RESTORE#", newest_first=True, limit=limit)
        return [RestoreRecord.model_validate_json(item["body"]["S"]) for item in items]

    def ask(
        self, restore: str, question: Question, offer: str, token: str, begun: datetime
    ) -> Asked:
        """Keep who waits for an answer; what comes late of an earlier attempt changes nothing.

        An answer to another offer, such as that of an earlier execution, is forgotten.

        Args:
            restore: the restore's id.
            question: what is asked.
            offer: what an answer must name.
            token: of the workflow that waits.
            begun: when that began to wait, which orders attempts.
        """
        values: Item = {
            ":token": {"S": token},
            ":offer": {"S": offer},
            ":begun": {"S": instant(begun)},
        }
        in_order = "(attribute_not_exists(begun) OR begun <= :begun)"
        ways = (
            ("SET wait_token = :token, begun = :begun", f"{in_order} AND offer = :offer"),
            (
                "SET wait_token = :token, begun = :begun, offer = :offer REMOVE answer",
                f"{in_order} AND (attribute_not_exists(offer) OR offer <> :offer)",
            ),
        )
        for change, condition in ways:
            try:
                self.client.update_item(
                    TableName=self.table,
                    Key=_key(restore, question),
                    UpdateExpression=change,
                    ConditionExpression=condition,
                    ExpressionAttributeValues=values,
                )
            except ClientError as error:
                if not condition_failed(error):
                    raise
            else:
                break
        # Read after it was written: an answer that was written in between is seen by its writer
        # or here.
        found = self.asked(restore, question)
        if found is None:
            raise UnknownRestore(restore)
        return found

    def asked(self, restore: str, question: Question) -> Asked | None:
        """A question as it stands, strongly consistent; None when it was never asked."""
        key = _key(restore, question)
        item = self.get(key["pk"]["S"], key["sk"]["S"])
        return None if item is None else _asked(question, item)

    def answer(self, restore: str, answer: Answer) -> Asked:
        """Keep the first answer to a question; the question as it stands then.

        One to another offer than the one that stands is not kept.
        """
        try:
            self.client.update_item(
                TableName=self.table,
                Key=_key(restore, answer.question),
                UpdateExpression="SET answer = :answer",
                ConditionExpression="attribute_not_exists(answer) AND offer = :offer",
                ExpressionAttributeValues={
                    ":answer": {"S": answer.model_dump_json()},
                    ":offer": {"S": answer.offer},
                },
            )
        except ClientError as error:
            if not condition_failed(error):
                raise
        found = self.asked(restore, answer.question)
        if found is None:
            raise UnknownRestore(restore)
        return found

    def append(self, restore: str, event: HistoryEvent) -> None:
        """Add one line to a restore's history."""
        sk = f"EVENT#{instant(event.at)}#{secrets.token_hex(4)}"
        self.client.put_item(TableName=self.table, Item=body_item(f"RESTORE#{restore}", sk, event))

    def history(self, restore: str) -> Sequence[HistoryEvent]:
        """The history of a restore, oldest first."""
        items = self.query(f"RESTORE#{restore}", "EVENT#")
        return [HistoryEvent.model_validate_json(item["body"]["S"]) for item in items]

    def _where(self, restore: str) -> _Where:
        item = self.get(f"RESTORE#{restore}", "RESTORE")
        if item is None:
            raise UnknownRestore(restore)
        return _Where.model_validate_json(item["body"]["S"])


def _key(restore: str, question: Question) -> Item:
    return {"pk": {"S": f"RESTORE#{restore}"}, "sk": {"S": f"QUESTION#{question}"}}


def _asked(question: Question, item: Item) -> Asked:
    answer = item.get("answer")
    return Asked(
        question=question,
        offer=item["offer"]["S"],
        token=item["wait_token"]["S"],
        answer=None if answer is None else Answer.model_validate_json(answer["S"]),
    )
