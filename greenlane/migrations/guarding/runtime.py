"""What the functions of migrations work with that speak to AWS, besides what all functions do."""

from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from greenlane import aws
from greenlane.migrations.databases.store import DatabaseStore
from greenlane.migrations.guarding.lease import Leases
from greenlane.migrations.guarding.records import Runs
from greenlane.runtime import Runtime

_ALIVE = ("RUNNING", "PENDING_REDRIVE")


class MigrationRuntime(Runtime):
    """The AWS edges of a process that looks after a migration."""

    @cached_property
    def migrations_table(self) -> Any:
        """The client of the table; an answer that is late is asked for again."""
        return aws.client("dynamodb", read_timeout_seconds=5.0)

    @cached_property
    def databases(self) -> DatabaseStore:
        """The databases, as they are described."""
        return DatabaseStore(self.migrations_table, self.settings.table)

    @cached_property
    def leases(self) -> Leases:
        """Who migrates which database."""
        return Leases(self.migrations_table, self.settings.table)

    @cached_property
    def runs(self) -> Runs:
        """What is kept of runs."""
        return Runs(self.migrations_table, self.settings.table)

    @cached_property
    def rds(self) -> Any:
        """The databases that RDS runs, and their snapshots."""
        return aws.client("rds")

    @property
    def account(self) -> str:
        """The account that this runs in."""
        return self.settings.topic_arn.split(":")[4]

    def lives(self, execution: str) -> bool:
        """Whether an execution still runs; one that nobody knows does not."""
        try:
            found = self.stepfunctions.describe_execution(executionArn=execution)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
                raise
            return False
        return found["status"] in _ALIVE
