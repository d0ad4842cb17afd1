"""Where migrations are kept in an account and Region, as a person's own process reaches them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from greenlane.deployments.connection import TABLE, Connection, Execution
from greenlane.errors import Refused
from greenlane.migrations.databases.store import DatabaseStore
from greenlane.migrations.guarding.lease import Leases
from greenlane.migrations.guarding.plans import bucket_name, fetch_plan, put_plan
from greenlane.migrations.guarding.records import Runs

if TYPE_CHECKING:
    from greenlane.migrations.declaring.plan import Plan

MIGRATION_MACHINE = "greenlane-migration"

_ABSENT = frozenset({"NoSuchBucket", "StateMachineDoesNotExist"})
_UNKNOWN = frozenset({"ExecutionDoesNotExist", "StateMachineDoesNotExist"})


class Places:
    """The databases, their leases and runs, and the plans.

    Args:
        connection: the account and Region.
    """

    def __init__(self, connection: Connection) -> None:
        """See the class."""
        self.connection = connection

    @property
    def databases(self) -> DatabaseStore:
        """The databases, as they are described."""
        return self.connection.databases

    @property
    def leases(self) -> Leases:
        """Who migrates which database."""
        return Leases(self.connection.client("dynamodb"), TABLE)

    @property
    def runs(self) -> Runs:
        """What is kept of runs."""
        return Runs(self.connection.client("dynamodb"), TABLE)

    def keep_plan(self, plan: "Plan") -> str:
        """Keep a plan by its checksum, which this returns; the same again changes nothing.

        Raises:
            Refused: nothing for migrations is deployed in this account and Region.
        """
        with deployed():
            put_plan(*self._bucket, plan.sha256, plan.model_dump_json())
        return plan.sha256

    def plan(self, sha256: str) -> "Plan":
        """The plan of that checksum.

        Raises:
            InvalidInput: there is none, or the document there is another.
            Refused: nothing for migrations is deployed in this account and Region.
        """
        # It brings PostgreSQL's grammar along, which functions that ask for no plan do not have.
        from greenlane.migrations.declaring.plan import read_plan

        with deployed():
            return read_plan(fetch_plan(*self._bucket, sha256), sha256)

    def start(self, run: str, body: dict[str, Any]) -> tuple[str, bool]:
        """Start the workflow; the execution's ARN, and whether it was there before.

        Raises:
            InvalidInput: another request has this id.
            Refused: nothing for migrations is deployed in this account and Region.
        """
        with deployed():
            return self.connection.start(MIGRATION_MACHINE, run, body)

    def execution(self, arn: str) -> Execution | None:
        """Where an execution stands; None when there is none."""
        try:
            return self.connection.execution(arn)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _UNKNOWN:
                raise
            return None

    @property
    def _bucket(self) -> tuple[Any, str, str]:
        connection = self.connection
        account, region = connection.account, connection.region
        return connection.client("s3"), bucket_name(account, region), account


@contextmanager
def deployed() -> Iterator[None]:
    """An answer that says that there is no such bucket or workflow becomes one that says why."""
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] not in _ABSENT:
            raise
        raise Refused(
            "nothing for migrations is deployed in this account and Region: name the databases "
            "under `migrations` in cdk.json and deploy the stack (docs/deploying-to-aws.md), or "
            "look at --profile and --region"
        ) from error
