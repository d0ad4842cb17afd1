"""The Python API: everything a person or a pipeline does with deployments.

>>> greenlane = Greenlane.connect(region="eu-west-1")
>>> greenlane.apply(Path("greenlane.yaml"), by="jo")
>>> started = greenlane.deploy(
...     DeploymentRequest(service="claude-manager", version="1.4.2", requested_by="jo")
... )
>>> greenlane.wait("claude-manager", started.deployment_id).name
'succeeded'

It is the same against AWS and against the local cloud; only the endpoint differs.
"""

import secrets
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from pydantic import ValidationError

from greenlane.clock import Clock
from greenlane.deployments.connection import DEPLOYMENT_MACHINE, Connection, Started
from greenlane.deployments.declaring.applying import Applied, Applier, check
from greenlane.deployments.declaring.config import DeploymentConfig, ServiceConfig
from greenlane.deployments.declaring.document import Checked
from greenlane.deployments.declaring.layers import check_fits
from greenlane.deployments.going_back import (
    Once,
    Undone,
    not_the_latest,
    roll_back,
    undo_request,
    version_before,
)
from greenlane.deployments.looking.insight import Insight
from greenlane.deployments.looking.read_status import read_status
from greenlane.deployments.looking.status import (
    OUTCOMES,
    Fleet,
    Outcome,
    Status,
    outcome_of,
    version_of,
)
from greenlane.deployments.model import (
    DeploymentRequest,
    DeploymentSummary,
    HistoryEvent,
    Record,
    SignalName,
)
from greenlane.deployments.phases import LEASED, Phase
from greenlane.deployments.signals import SignalOutcome, send_signal
from greenlane.errors import DeploymentInFlight, Refused, UnknownDeployment
from greenlane.flags.storing.store import DynamoFlagStore
from greenlane.health.evidence import EvidenceBook
from greenlane.problems import as_error, explain

if TYPE_CHECKING:
    from greenlane.experiments.storing.store import DynamoExperimentStore


class Greenlane(Insight):
    """Deployments of the services of one account and Region.

    Every method may also raise botocore's own errors: no credentials, no answer, access denied.

    Args:
        connection: the account and Region; `Greenlane.connect` makes one.
    """

    def __init__(self, connection: Connection) -> None:
        """See the class."""
        self.connection = connection
        self.store = connection.store

    @classmethod
    def connect(
        cls,
        profile: str | None = None,
        region: str | None = None,
        endpoint_url: str | None = None,
        clock: Clock | None = None,
        credentials: tuple[str, str] | None = None,
    ) -> "Greenlane":
        """Connect with the user's AWS configuration; nothing is called yet.

        `credentials` (access key id, secret) take the place of the user's own: real ones are
        never sent to a local endpoint.
        """
        key, secret = credentials or (None, None)
        session = boto3.Session(
            profile_name=profile,
            region_name=region,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
        )
        return cls(Connection(session, endpoint_url=endpoint_url, clock=clock))

    @property
    def flags(self) -> DynamoFlagStore:
        """The feature flags; `greenlane.flags.storing.keeping` has what is done with them."""
        return self.connection.flags

    @property
    def experiments(self) -> "DynamoExperimentStore":
        """The A/B tests; `greenlane.experiments.storing.keeping` has what is done with them."""
        return self.connection.experiments

    @cached_property
    def evidence(self) -> EvidenceBook:
        """What was posted about images: tests, compliance checks; `post` adds to it."""
        return EvidenceBook(self.store, self.connection.clock)

    @cached_property
    def _fleet(self) -> Fleet:
        elbv2, ecs = self.connection.client("elbv2"), self.connection.client("ecs")
        return Fleet(elbv2, ecs, self._version_asked_for)

    def _version_asked_for(self, deployment_id: str) -> str | None:
        try:
            request = self.store.plan(deployment_id).request
        except UnknownDeployment:
            return None
        return request.version or (version_of(request.image) if request.image else None)

    # Configuration

    def check(self, document: Path | str) -> Checked:
        """Read a file (or, from a str, its text) and say what is wrong; nothing is called.

        Raises:
            InvalidDocument: with everything that is wrong.
        """
        return check(document)

    def apply(self, document: Path | str, *, service: str | None = None, by: str) -> Applied:
        """Make a file (or, from a str, its text) the configuration of its service.

        It replaces the file of the same kind applied before. The next deployment uses it; one
        that runs keeps what it began with.

        Args:
            document: a file with `service:`, `canary:` or `success_criteria:`.
            service: which service a file of the other kinds is for; may be left out when there
                is one.
            by: who applies it.

        Raises:
            InvalidDocument: the file is wrong.
            UnknownService: the service has neither a configuration nor a workload.
            InvalidInput: `service` is missing or contradicts the file.
        """
        return Applier(self.connection).apply(document, service, by)

    def services(self) -> list[str]:
        """The names of all services that were applied."""
        return self.store.services()

    # Deployments

    def deploy(self, request: DeploymentRequest) -> Started:
        """Start a deployment. The same request with the same id starts it once.

        Raises:
            UnknownService: the service was never applied.
            InvalidInput: the steps or durations do not make a plan.
            DeploymentInFlight: another deployment holds the service.
        """
        service = request.service
        config = self.store.get_config(service).config
        self._check_steps(config, request)
        deployment_id = request.deployment_id or self._new_id(service)
        record = self.store.record(service)
        if record and record.phase in LEASED and record.deployment_id != deployment_id:
            raise DeploymentInFlight(
                f"{service} is being deployed by {record.deployment_id} (phase {record.phase}); "
                f"wait for it, or end it with `greenlane abort {service}`"
            )
        asked = request.model_dump(mode="json", exclude_none=True)
        body = {
            "deployment": {"deployment_id": deployment_id, "service": service},
            "request": asked | {"deployment_id": deployment_id},
        }
        arn, already = self.connection.start(DEPLOYMENT_MACHINE, deployment_id, body)
        return Started(
            service=service, deployment_id=deployment_id, execution_arn=arn, already=already
        )

    @staticmethod
    def _check_steps(config: ServiceConfig, request: DeploymentRequest) -> None:
        try:
            DeploymentConfig(steps=request.steps)
        except ValidationError as error:
            data = {"steps": [step.weight for step in request.steps or ()]}
            raise as_error(explain(error, DeploymentConfig, data), "the request") from None
        check_fits(config, request)

    def _new_id(self, service: str) -> str:
        return f"{service}-{self.connection.clock.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"

    def rollback(
        self,
        service: str,
        *,
        reason: str,
        by: str,
        deployment_id: str | None = None,
        once: Once | None = None,
    ) -> Started:
        """Take the service's latest deployment back; `once` is for a wish that may come again.

        Raises:
            UnknownService, UnknownDeployment: there is no such service, or deployment of it.
            Refused: there is nothing to take back.
        """
        record = self._latest(service)
        if deployment_id is not None and deployment_id != record.deployment_id:
            raise not_the_latest(record, deployment_id, self.store.deployments(service, 100))
        return roll_back(self.connection, record, reason=reason, by=by, once=once)

    def undo(
        self,
        service: str,
        *,
        to: str | None = None,
        steps_back: int = 1,
        reason: str,
        by: str,
        once: Once | None = None,
    ) -> Undone:
        """Go back to a version that was good before.

        While the version before still runs in the other slot, and it is the one that is wanted,
        this is `rollback`. Otherwise it is a deployment of the older task definition, at once and
        without waiting for evidence.

        Args:
            service: its name.
            to: the deployment whose version is wanted.
            steps_back: how many good versions to go back, without `to`.
            reason: for the history.
            by: who asks.
            once: whose wish it is, where it may be sent again.

        Raises:
            UnknownService: the service was never applied.
            UnknownDeployment: the service has no deployment `to`.
            Refused: there is no such version, a database does not take it any more, or a
                deployment is in flight; nothing was changed.
        """
        from greenlane.migrations.shipping.outdated import refuse_outdated_revision

        record = self._latest(service)
        plan = self.store.plan(record.deployment_id)
        known = self.store.deployments(service, 100)
        target = version_before(record, plan, known, to=to, steps_back=steps_back)
        wanted = plan.live_task_definition if target is None else target.task_definition
        if record.phase not in LEASED:  # the way back of what is under way is never held up
            refuse_outdated_revision(self.connection.kept, service, wanted or "")
        if target is None:
            started = roll_back(self.connection, record, reason=reason, by=by, once=once)
            revision = plan.live_task_definition
            return Undone(**dict(started), way="rollback", to=to, task_definition=revision)
        ecs = self.connection.client("ecs")
        request = undo_request(ecs, target, reason=reason, by=by)
        named = {"deployment_id": once.name if once else None}
        begun = dict(self.deploy(request.model_copy(update=named)))
        revision, to = target.task_definition or "", target.deployment_id
        return Undone(**begun, way="deployment", to=to, task_definition=revision)

    def signal(
        self, service: str, name: SignalName, *, step: int | None = None, by: str
    ) -> SignalOutcome:
        """Tell the deployment that runs to do something.

        `step` counts from 0, as the record does; a signal for another step than the one under
        way does nothing.

        Raises:
            UnknownService: the service was never applied.
            SignalRefused: it came too late, twice, or for another step; it did nothing.
        """
        self._latest(service)
        return send_signal(
            self.store,
            self.connection.client("stepfunctions"),
            self.connection.clock,
            service=service,
            name=name,
            step=step,
            by=by,
        )

    def _latest(self, service: str) -> Record:
        record = self.store.record(service)
        if record is None:
            self.store.get_config(service)
            raise Refused(f"{service} was never deployed; begin with `greenlane deploy {service}`")
        return record

    # Looking

    def status(self, service: str) -> Status:
        """Where the service stands: its slots, its deployment, what may be done now.

        Raises:
            UnknownService: the service was never applied.
            Refused: a part of the workload does not exist.
        """
        return read_status(self.store, self._fleet, service, self.connection.clock.now())

    def deployments(self, service: str, limit: int = 20) -> list[DeploymentSummary]:
        """The service's deployments, newest first."""
        found = self.store.deployments(service, limit)
        if not found:
            self.store.get_config(service)
        return found

    def history(self, deployment_id: str) -> list[HistoryEvent]:
        """Everything that happened in a deployment, oldest first.

        Raises:
            UnknownDeployment: there is none of that id.
        """
        found = self.store.history(deployment_id)
        if not found:
            raise UnknownDeployment(deployment_id)
        return found

    def outcome(self, service: str, deployment_id: str) -> Outcome | None:
        """How a deployment ended; None while it is under way.

        One read while the service's record is this deployment's. Before plan has made it so, and
        when plan refuses, the state machine's execution is asked as well.
        """
        record = self.store.record(service)
        if record is not None and record.deployment_id == deployment_id:
            return outcome_of(record)
        for summary in self.store.deployments(service, 20):
            if summary.deployment_id == deployment_id and summary.phase in OUTCOMES:
                return Outcome(
                    deployment_id=deployment_id,
                    name=OUTCOMES[summary.phase],
                    reason=summary.reason or "",
                )
        return self.connection.outcome_of_execution(deployment_id)

    def rollback_outcome(self, started: Started) -> Outcome | None:
        """How a rollback that `rollback` started ended; None while it is under way.

        The record keeps what the deployment was before, succeeded or held, until the rollback
        takes it over; so it is believed once it names this rollback, or this one runs no more.
        """
        record = self.store.record(started.service)
        if record is not None and record.rollback_execution == started.execution_arn:
            return outcome_of(record)
        execution = self.connection.execution(started.execution_arn)
        if execution.status == "RUNNING":
            return None
        # Read again: it may have ended since, or another rollback goes on.
        record = self._latest(started.service)
        if record.deployment_id == started.deployment_id and record.phase is Phase.ROLLING_BACK:
            return None
        ended = self.outcome(started.service, started.deployment_id)
        if ended is not None and ended.name in ("rolled_back", "held"):
            return ended
        return Outcome(
            deployment_id=started.deployment_id,
            name="failed",
            reason=f"the rollback ended, but none is on record: {execution.why}",
        )

    def wait(
        self,
        service: str,
        deployment_id: str,
        *,
        poll_seconds: float = 5.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Outcome:
        """Block until a deployment has ended, one read each `poll_seconds` of real time."""
        while (ended := self.outcome(service, deployment_id)) is None:
            sleep(poll_seconds)
        return ended

    def wait_for_rollback(
        self,
        started: Started,
        *,
        poll_seconds: float = 2.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Outcome:
        """Block until a rollback has ended."""
        while (ended := self.rollback_outcome(started)) is None:
            sleep(poll_seconds)
        return ended
