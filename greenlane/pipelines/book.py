"""What pipelines asked for, kept in the table of deployments until well after it is over.

Layout (`pk`, `sk`)::

    PIPELINE#<execution id>    <kind>#<name>#<action>
    PIPELINE#<execution id>    STOPPED                    that the pipeline was stopped, and when

The item is written before anything is begun, and every change of it is conditional on its version:
of two jobs that come at once one begins, and the other follows.
"""

from datetime import datetime, timedelta
from typing import Literal

from botocore.exceptions import ClientError

from greenlane.deployments.storing.items import Item, body_item
from greenlane.deployments.storing.shapes import StoredModel
from greenlane.deployments.storing.table import DynamoTable, condition_failed
from greenlane.pipelines.model import Kind, OnStop

STOPPED = "STOPPED"
KEPT_FOR = timedelta(days=90)
"""As long as Step Functions knows an execution by its name."""

EndName = Literal["succeeded", "rolled_back", "held", "refused", "failed", "stopped"]


class End(StoredModel):
    """How something ended that a pipeline began.

    Args:
        name: in a word.
        reason: in words.
        outputs: what later actions may want to know.
    """

    name: EndName
    reason: str = ""
    outputs: dict[str, str] = {}


class Entry(StoredModel):
    """What one pipeline execution asked for, and what became of it.

    Args:
        execution: the pipeline execution's id.
        kind: of what.
        name: its name: a service, a flag, a test, a database with a phase.
        action: tells apart two requests about the same.
        digest: of the request.
        attempt: from 1; another one with each retry after a bad end.
        job: the first job of this attempt: a repeated delivery has the same.
        subject_id: of the deployment, rollout or run.
        requested_by: who asked first: whoever begins it says the same.
        on_stop: what a stopped pipeline means.
        begun: whether it was surely begun.
        stopped: why it is to be aborted.
        end: how it ended.
        began_at: when the attempt was written.
        version: counts the writes.
    """

    schema_version: int = 1
    execution: str
    kind: Kind
    name: str
    action: str = ""
    digest: str
    attempt: int = 1
    job: str
    subject_id: str
    requested_by: str = ""
    on_stop: OnStop = "abort"
    begun: bool = False
    stopped: str = ""
    end: End | None = None
    began_at: datetime
    version: int = 1


class Mark(StoredModel):
    """That a pipeline was stopped.

    Args:
        why: in words.
        at: when that was heard first.
    """

    why: str
    at: datetime


class Book(DynamoTable):
    """The entries in DynamoDB."""

    def entry(self, execution: str, kind: Kind, name: str, action: str) -> Entry | None:
        """One entry, strongly consistent; None when there is none."""
        item = self.get(f"PIPELINE#{execution}", _sk(kind, name, action))
        return None if item is None else _entry(item)

    def entries(self, execution: str) -> list[Entry]:
        """All that a pipeline execution asked for."""
        items = self.query(f"PIPELINE#{execution}", "")
        return [_entry(item) for item in items if item["sk"]["S"] != STOPPED]

    def stopped(self, execution: str) -> Mark | None:
        """Whether the pipeline was stopped, strongly consistent."""
        item = self.get(f"PIPELINE#{execution}", STOPPED)
        return None if item is None else Mark.model_validate_json(item["body"]["S"])

    def mark(self, execution: str, mark: Mark) -> None:
        """Keep that the pipeline was stopped; the latest time counts."""
        expires_at = {"N": str(int((mark.at + KEPT_FOR).timestamp()))}
        item = body_item(f"PIPELINE#{execution}", STOPPED, mark, expires_at=expires_at)
        self.client.put_item(TableName=self.table, Item=item)

    def write(self, entry: Entry, before: Entry | None) -> Entry | None:
        """Put an entry over what was read; None when it is otherwise by now."""
        condition, values = "attribute_not_exists(pk)", {}
        if before is not None:
            entry = entry.model_copy(update={"version": before.version + 1})
            condition, values = "version = :before", {":before": {"N": str(before.version)}}
        arguments = {"ExpressionAttributeValues": values} if values else {}
        expires_at = int((entry.began_at + KEPT_FOR).timestamp())
        try:
            self.client.put_item(
                TableName=self.table,
                Item=body_item(
                    f"PIPELINE#{entry.execution}",
                    _sk(entry.kind, entry.name, entry.action),
                    entry,
                    version={"N": str(entry.version)},
                    expires_at={"N": str(expires_at)},
                ),
                ConditionExpression=condition,
                **arguments,
            )
        except ClientError as error:
            if not condition_failed(error):
                raise
            return None
        return entry


def _sk(kind: Kind, name: str, action: str) -> str:
    return f"{kind}#{name}#{action}"


def _entry(item: Item) -> Entry:
    return Entry.model_validate_json(item["body"]["S"])
