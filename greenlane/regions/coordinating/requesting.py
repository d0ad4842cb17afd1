"""The Python API: what a person or a pipeline does with rollouts through several Regions.

>>> rollouts = RegionalRollouts(Connection(boto3.Session(region_name="eu-west-1")))
>>> begun = rollouts.deploy(text, request)  # None for the file that was applied
>>> rollouts.get("claude-manager").record.phase
'advancing'

The connection is to the home Region, where the coordinator is.
"""

import json
import secrets
from collections.abc import Collection

from botocore.exceptions import ClientError

from greenlane.deployments.connection import TABLE, Connection
from greenlane.deployments.model import DeploymentRequest, HistoryEvent
from greenlane.deployments.stepping.baking import answer
from greenlane.deployments.storing.shapes import StoredModel
from greenlane.documents import load
from greenlane.errors import DeploymentInFlight, InvalidInput, Refused, SignalRefused
from greenlane.regions.coordinating.beginning import (
    asked_of_regions,
    plan_rollout,
    record_of,
    refuse_another,
    refuse_unless_free,
)
from greenlane.regions.coordinating.model import OVER, Asked, Phase, Rollout
from greenlane.regions.coordinating.store import Kept, KeptPlan, Rollouts
from greenlane.regions.declaring.document import read_regions
from greenlane.regions.declaring.model import Type
from greenlane.regions.keeping.store import RegionsStore, StoredRegions
from greenlane.regions.planning.model import Override, Plan, Policy

LONGEST_REASON = 1000
"""Characters."""

REGIONS_MACHINE = "greenlane-regions"


class BegunRollout(StoredModel):
    """A rollout whose execution runs.

    Args:
        rollout_id: of it, and of the deployment in each Region.
        service: whose.
        plan: its waves.
        already: an earlier, equal request began it.
        phase: of it.
    """

    rollout_id: str
    service: str
    plan: Plan
    already: bool = False
    phase: Phase = "advancing"


class RegionalRollouts:
    """The rollouts whose home is the Region of a connection.

    Every method may also raise botocore's own errors: no credentials, no answer, access denied.
    """

    def __init__(self, connection: Connection) -> None:
        """See the class."""
        self.connection = connection
        self.rollouts = Rollouts(connection.client("dynamodb"), TABLE)
        self.applied = RegionsStore(connection.client("dynamodb"), TABLE)

    def deploy(
        self,
        source: str | None,
        request: DeploymentRequest,
        *,
        kind: Type | None = None,
        policy: Policy = "balanced",
        overrides: Collection[Override] = (),
        despite_hold: str | None = None,
        name: str = "document",
    ) -> BegunRollout:
        """Begin a rollout. The same request with the same id begins it once.

        Args:
            source: the file of Regions, as text; None for the one that was applied for the service.
            request: what each Region is asked for.
            kind: how it goes through them; what the file says if left out.
            policy: how careful.
            overrides: windows or freezes that somebody sets aside.
            despite_hold: why a version that went back before is deployed again.
            name: of the file.

        Raises:
            InvalidDocument: the file is wrong.
            InvalidInput: no plan can be made of it, or the id is that of something else.
            DeploymentInFlight: another rollout of the service is under way.
            Refused: this version went back before, no coordinator is installed here, or no file
                was given and none applied.
        """
        if despite_hold is not None:
            check_reason("despite_hold", despite_hold)
        applied = None if source is not None else self.applied.regions(request.service)
        if applied is not None:
            source, name = applied.source, applied.named
        assert source is not None, "it was given or applied"
        document = read_regions(source, name)
        if kind is not None:
            strategy = document.deployment_strategy.model_copy(update={"type": kind})
            document = document.model_copy(update={"deployment_strategy": strategy})
        now = self.connection.clock.now()
        rollout_id = request.deployment_id or self._new_id(request.service)
        request_has_id = request.deployment_id is not None
        request = request.model_copy(update={"deployment_id": None})
        asked_of_regions(request, document.deployment_strategy.type)
        before = self.rollouts.kept(request.service)
        if before is not None and before.record.rollout_id == rollout_id:
            return self._begun_already(before.record, request)
        if request_has_id and self.rollouts.history(rollout_id):
            meanwhile = self._begun_meanwhile(request, rollout_id)
            if meanwhile is not None:
                return meanwhile
            raise InvalidInput("id", rollout_id, f"{rollout_id} was used before; take another one")
        last = None if before is None else before.record
        refuse_unless_free(last, request, rollout_id, despite_hold)
        self._refuse_without_coordinator()
        plan, _ = plan_rollout(document, now=now, policy=policy, overrides=overrides)
        record = record_of(
            plan, document, request, rollout_id=rollout_id, home=self.connection.region, now=now
        )
        self.rollouts.put_plan(rollout_id, KeptPlan(document=as_json(source, name), plan=plan))
        if not self.rollouts.begin(record, last):
            meanwhile = self._begun_meanwhile(request, rollout_id)
            if meanwhile is not None:
                return meanwhile
            raise DeploymentInFlight(f"{request.service}: another rollout began at this moment")
        self._start(record)
        if applied is not None:
            self._note(record, "applied regions", _said_of(applied))
        if despite_hold is not None:
            self._note(record, "despite hold", {"because": despite_hold})
        return BegunRollout(rollout_id=rollout_id, service=request.service, plan=plan)

    def _note(self, record: Rollout, kind: str, detail: dict[str, str]) -> None:
        event = HistoryEvent(
            at=record.started_at, kind=kind, actor=record.request.requested_by, detail=detail
        )
        self.rollouts.append(record.rollout_id, event)

    def _begun_meanwhile(self, request: DeploymentRequest, rollout_id: str) -> BegunRollout | None:
        """What an equal request under the same id began at the same moment."""
        kept = self.rollouts.kept(request.service)
        if kept is None or kept.record.rollout_id != rollout_id:
            return None
        return self._begun_already(kept.record, request)

    def _begun_already(self, record: Rollout, request: DeploymentRequest) -> BegunRollout:
        refuse_another(record, request)
        if record.phase not in OVER:
            self._start(record)
        return BegunRollout(
            rollout_id=record.rollout_id,
            service=record.service,
            plan=self.rollouts.plan(record.rollout_id).plan,
            already=True,
            phase=record.phase,
        )

    def get(self, service: str) -> Kept:
        """The service's latest rollout.

        Raises:
            Refused: it never had one here.
        """
        kept = self.rollouts.kept(service)
        if kept is None:
            raise Refused(
                f"{service} has no rollout in {self.connection.region}; name its home with "
                f"--region, or begin one with `greenlane regions deploy {service}`"
            )
        return kept

    def history(self, rollout_id: str) -> list[HistoryEvent]:
        """What happened in a rollout, oldest first."""
        return self.rollouts.history(rollout_id)

    def ended_as(self, rollout_id: str) -> str:
        """The last phase in the history of a rollout; empty when it says nothing."""
        began = "rollout "
        phases = [one.kind for one in self.history(rollout_id) if one.kind.startswith(began)]
        return phases[-1].removeprefix(began) if phases else ""

    def begun(self, service: str, rollout_id: str) -> BegunRollout | None:
        """A rollout that surely began, and may be over since; None when nobody can say that."""
        kept = self.rollouts.kept(service)
        latest = kept is not None and kept.record.rollout_id == rollout_id
        if latest or not self.rollouts.history(rollout_id):
            return None
        plan = self.rollouts.plan(rollout_id).plan
        return BegunRollout(rollout_id=rollout_id, service=service, plan=plan, already=True)

    def hold(self, service: str, *, by: str, reason: str, rollout_id: str | None = None) -> Rollout:
        """Start no further Region; those under way go on."""
        return self._ask(service, "hold", by, reason, {"advancing"}, rollout_id)

    def resume(
        self, service: str, *, by: str, reason: str = "", rollout_id: str | None = None
    ) -> Rollout:
        """Let a held rollout go on."""
        return self._ask(service, "resume", by, reason, {"held"}, rollout_id)

    def rollback(
        self, service: str, *, by: str, reason: str, rollout_id: str | None = None
    ) -> Rollout:
        """Take every touched Region back, while the rollout runs or after it."""
        phases = {"advancing", "held", "watching", "succeeded", "partial"}
        return self._ask(service, "rollback", by, reason, phases, rollout_id)

    def close(
        self, service: str, *, by: str, reason: str, rollout_id: str | None = None
    ) -> Rollout:
        """End the attempts to take back what did not go back."""
        return self._ask(service, "close", by, reason, {"rolling_back"}, rollout_id)

    def _ask(
        self,
        service: str,
        what: str,
        by: str,
        reason: str,
        phases: set[str],
        rollout_id: str | None,
    ) -> Rollout:
        """Keep a wish, and wake who waits; `rollout_id` is the rollout that must be the latest.

        Raises:
            Refused: the service never had a rollout here, or its latest is another one.
            SignalRefused: it would do nothing now.
            InvalidInput: the reason is too long.
        """
        check_reason("reason", reason, needed=False)
        record = self.get(service).record
        if rollout_id not in (None, record.rollout_id):
            raise Refused(f"{service}: its rollout is {record.rollout_id} by now; look at that")
        if record.phase not in phases:
            raise SignalRefused(f"{what} does nothing: {record.rollout_id} is {record.phase}")
        if what == "resume" and record.standing_in:
            raise SignalRefused(
                f"this is the standby, which starts no region; resume it in {record.home}"
            )
        wish = Asked.model_validate(
            {
                "name": what,
                "number": 0,
                "by": by,
                "reason": reason,
                "at": self.connection.clock.now(),
            }
        )
        kept = self.rollouts.ask(service, record.rollout_id, wish)
        stepfunctions = self.connection.client("stepfunctions")
        woken = kept.token is not None and answer(stepfunctions, kept.token, f"{by} said {what}")
        if not woken and kept.record.phase in OVER:
            self._start(kept.record)  # nobody is at work on it any more
        return kept.record

    def _start(self, record: Rollout) -> None:
        machine = self.connection.arn("stateMachine", REGIONS_MACHINE)
        given = {"rollout_id": record.rollout_id, "service": record.service}
        try:
            self.connection.client("stepfunctions").start_execution(
                stateMachineArn=machine,
                name=f"{record.rollout_id[-60:]}-v{record.version}",
                input=json.dumps(given),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise

    def coordinated(self) -> bool:
        """Whether a coordinator is installed here, as in home and standby."""
        machine = self.connection.arn("stateMachine", REGIONS_MACHINE)
        try:
            self.connection.client("stepfunctions").describe_state_machine(stateMachineArn=machine)
        except ClientError as error:
            if error.response["Error"]["Code"] != "StateMachineDoesNotExist":
                raise
            return False
        return True

    def _refuse_without_coordinator(self) -> None:
        if not self.coordinated():
            raise Refused(
                f"no coordinator is installed in {self.connection.region}; deploy the stack with "
                "`regions` in its context, or name the home Region with --region"
            )

    def _new_id(self, service: str) -> str:
        return f"{service}-{self.connection.clock.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def _said_of(applied: StoredRegions) -> dict[str, str]:
    return {"version": str(applied.version), "applied by": applied.applied_by}


def check_reason(field: str, reason: str, *, needed: bool = True) -> None:
    """Refuse a reason that says nothing, or that would not fit into the record with the rest.

    Raises:
        InvalidInput: naming the field.
    """
    if needed and not reason.strip():
        raise InvalidInput(field, reason, "say why, for the record")
    if len(reason) > LONGEST_REASON:
        raise InvalidInput(field, f"{reason[:40]}...", f"at most {LONGEST_REASON} characters")


def as_json(source: str, name: str) -> str:
    """A file of Regions, which was found right, as the coordinator reads it."""
    return json.dumps(load(source, name).data, default=str)
