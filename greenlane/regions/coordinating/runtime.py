"""What the functions of rollouts work with, besides what all functions do."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError
from pydantic import ValidationError

from greenlane import aws
from greenlane.errors import UnknownDeployment
from greenlane.logs import logger
from greenlane.regions.coordinating.model import Rollout
from greenlane.regions.coordinating.realm import AwsRealm
from greenlane.regions.coordinating.remote import Machines, RemoteRegion, client_of
from greenlane.regions.coordinating.store import Rollouts
from greenlane.regions.declaring.model import RegionsDocument
from greenlane.runtime import Runtime

MOST_AT_ONCE = 40
"""Calls; a file has no more Regions."""

_ALIVE = ("RUNNING", "PENDING_REDRIVE")


class RegionsRuntime(Runtime):
    """The AWS edges of a process that looks after rollouts."""

    @cached_property
    def rollouts(self) -> Rollouts:
        """The rollouts whose home, or standby, is here."""
        return Rollouts(aws.client("dynamodb", read_timeout_seconds=5.0), self.settings.table)

    def rollouts_in(self, region: str) -> Rollouts:
        """Those of another Region, by its own endpoint."""
        return Rollouts(self.client_of(region)("dynamodb"), self.settings.table)

    def client_of(self, region: str) -> Callable[[str], Any]:
        """Makes clients of another Region."""
        return client_of(region)

    @property
    def region(self) -> str:
        """The Region that this runs in."""
        return self.settings.topic_arn.split(":")[3]

    def region_of(self, name: str) -> RemoteRegion:
        """The edge to a Region: the same account, the same names."""

        def there(arn: str) -> str:
            return arn.replace(f":{self.region}:", f":{name}:")

        machines = Machines(
            there(self.settings.deployment_machine_arn), there(self.settings.rollback_machine_arn)
        )
        return RemoteRegion(self.settings.table, machines, self.client_of(name), self.clock)

    def realm(self, record: Rollout) -> AwsRealm:
        """All Regions of a rollout. Going back asks for no window, so it reads no file of them."""
        document = None if record.phase == "rolling_back" else self._document(record.rollout_id)
        return AwsRealm(self.region_of, document, self.at_once)

    def _document(self, rollout_id: str) -> RegionsDocument | None:
        try:
            kept = self.rollouts.plan(rollout_id)
            return RegionsDocument.model_validate_json(kept.document)
        except (UnknownDeployment, ValidationError) as error:
            # Without windows nothing starts, and everything may still go back.
            logger.error("file of regions not read", rollout=rollout_id, error=str(error))
            return None

    def at_once(self, calls: Mapping[str, Callable[[], Any]]) -> Mapping[str, Any]:
        """Make calls, none of which raises, at the same time."""
        with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
            running = {name: pool.submit(call) for name, call in calls.items()}
            return {name: call.result() for name, call in running.items()}

    def lives(self, execution: str) -> bool:
        """Whether an execution of this Region still runs; one that nobody knows does not."""
        if not execution:
            return False
        try:
            found = self.stepfunctions.describe_execution(executionArn=execution)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
                raise
            return False
        return found["status"] in _ALIVE
