"""The AWS edges of the Python API: clients, names made into ARNs, executions."""

import json
import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from greenlane.clock import Clock, ScaledClock, current_clock
from greenlane.deployments.looking.status import Outcome
from greenlane.deployments.model import StoredModel
from greenlane.deployments.storing.store import DynamoStore
from greenlane.errors import InvalidInput, UnknownDeployment
from greenlane.experiments.names import TABLE as EXPERIMENTS_TABLE
from greenlane.flags.names import TABLE as FLAGS_TABLE
from greenlane.flags.storing.store import DynamoFlagStore
from greenlane.migrations.databases.store import DatabaseStore

if TYPE_CHECKING:
    from greenlane.experiments.storing.store import DynamoExperimentStore
    from greenlane.migrations.shipping.kept import Kept

TABLE = "greenlane-deployments"
DEPLOYMENT_MACHINE = "greenlane-deployment"
ROLLBACK_MACHINE = "greenlane-rollback"
TOPIC = "greenlane-notifications"

_REFUSALS = frozenset({"Refused", "DeploymentInFlight", "InvalidInput", "UnknownService"})


class Started(StoredModel):
    """A deployment or a rollback whose execution runs.

    `already` is True when an earlier, equal request started it.
    """

    service: str
    deployment_id: str
    execution_arn: str
    already: bool = False


class Connection:
    """One account and Region, on AWS or on the local cloud; nothing is called to make one.

    Args:
        session: where credentials and the Region come from.
        endpoint_url: of the local cloud; None for AWS.
        clock: the local cloud's, when it compresses time.
    """

    def __init__(
        self,
        session: boto3.Session,
        *,
        endpoint_url: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        """See the class."""
        self._session = session
        self._endpoint_url = endpoint_url
        self._clients: dict[str, Any] = {}
        self.clock = clock or current_clock()

    def client(self, name: str) -> Any:
        """The boto3 client of an AWS service, made on first use."""
        if name not in self._clients:
            self._clients[name] = self._session.client(
                name,  # type: ignore[call-overload]
                endpoint_url=self._endpoint_url,
                config=Config(
                    connect_timeout=3,
                    read_timeout=15,
                    retries={"mode": "standard", "total_max_attempts": 4},
                ),
            )
        return self._clients[name]

    def pause(self, seconds: float) -> None:
        """Wait for some seconds of the clock."""
        if isinstance(self.clock, ScaledClock):
            seconds = self.clock.real_seconds(seconds)
        time.sleep(seconds)

    @cached_property
    def store(self) -> DynamoStore:
        """Where deployments are kept."""
        return DynamoStore(self.client("dynamodb"), TABLE)

    @cached_property
    def flags(self) -> DynamoFlagStore:
        """Where feature flags are kept."""
        return DynamoFlagStore(self.client("dynamodb"), FLAGS_TABLE)

    @cached_property
    def experiments(self) -> "DynamoExperimentStore":
        """Where A/B tests are kept."""
        # Its numbers take a tenth of a second to import, and most commands ask for none.
        from greenlane.experiments.storing.store import DynamoExperimentStore

        return DynamoExperimentStore(self.client("dynamodb"), EXPERIMENTS_TABLE)

    @cached_property
    def databases(self) -> DatabaseStore:
        """The databases, as they are described."""
        return DatabaseStore(self.client("dynamodb"), TABLE)

    @cached_property
    def kept(self) -> "Kept":
        """What is on record of databases and their migrations, and the plans."""
        from greenlane.migrations.shipping.kept import kept_of

        return kept_of(self)

    def start(self, machine: str, name: str, body: dict[str, Any]) -> tuple[str, bool]:
        """Start an execution by name; its ARN, and whether it existed already with this input.

        Raises:
            InvalidInput: an execution of that name exists with another input.
        """
        stepfunctions = self.client("stepfunctions")
        text = json.dumps(body, sort_keys=True)
        machine_arn = self.arn("stateMachine", machine)
        try:
            answer = stepfunctions.start_execution(
                stateMachineArn=machine_arn, name=name, input=text
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise
            arn = self.arn("execution", f"{machine}:{name}")
            before = stepfunctions.describe_execution(executionArn=arn)
            if json.loads(before["input"]) != body:
                raise InvalidInput(
                    "deployment_id", name, "another request has this id; choose another"
                ) from None
            return arn, True
        return str(answer["executionArn"]), False

    def arn(self, kind: str, name: str) -> str:
        """The ARN of a `stateMachine` or an `execution` (`machine:name`)."""
        return f"{self._arn_of('states')}:{kind}:{name}"

    @property
    def topic_arn(self) -> str:
        """The ARN of the topic that tells people."""
        return f"{self._arn_of('sns')}:{TOPIC}"

    @property
    def account(self) -> str:
        """The account's number."""
        return self._identity[1]

    @property
    def region(self) -> str:
        """The Region's name, such as `eu-west-1`."""
        return str(self.client("stepfunctions").meta.region_name)

    @property
    def principal(self) -> str:
        """Who the credentials are: the ARN of a user, or of a role's session."""
        return self._identity[2]

    def _arn_of(self, service: str) -> str:
        partition, account, _ = self._identity
        return f"arn:{partition}:{service}:{self.region}:{account}"

    @cached_property
    def _identity(self) -> tuple[str, str, str]:
        answer = self.client("sts").get_caller_identity()
        arn = str(answer["Arn"])
        return arn.split(":")[1], str(answer["Account"]), arn

    def execution(self, arn: str) -> "Execution":
        """Where an execution stands."""
        found = self.client("stepfunctions").describe_execution(executionArn=arn)
        return Execution(found["status"], found.get("error", ""), _cause(found.get("cause", "")))

    def given(self, machine: str, name: str) -> dict[str, Any] | None:
        """What an execution was given; None when none of that name began in the last 90 days."""
        arn = self.arn("execution", f"{machine}:{name}")
        try:
            found = self.client("stepfunctions").describe_execution(executionArn=arn)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
                raise
            return None
        given: dict[str, Any] = json.loads(found["input"])
        return given

    def outcome_of_execution(self, deployment_id: str) -> Outcome | None:
        """How a deployment's execution ended; None while it runs.

        Raises:
            UnknownDeployment: it was never started.
        """
        try:
            found = self.execution(self.arn("execution", f"{DEPLOYMENT_MACHINE}:{deployment_id}"))
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
                raise
            raise UnknownDeployment(deployment_id) from None
        if found.status == "RUNNING":
            return None
        if found.status == "SUCCEEDED":
            return Outcome(deployment_id=deployment_id, name="succeeded")
        if found.error in _REFUSALS:
            return Outcome(deployment_id=deployment_id, name="refused", reason=found.message)
        return Outcome(deployment_id=deployment_id, name="failed", reason=found.why)


@dataclass(frozen=True)
class Execution:
    """An execution's status as Step Functions names it, and why it failed if it did."""

    status: str
    error: str
    message: str

    @property
    def why(self) -> str:
        """The error's name and message; the status when there is neither."""
        said = ": ".join(part for part in (self.error, self.message) if part)
        return said or f"its execution {self.status}"


def _cause(text: str) -> str:
    """The message of a failed function, which Step Functions hands on as JSON."""
    try:
        return str(json.loads(text)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return text
