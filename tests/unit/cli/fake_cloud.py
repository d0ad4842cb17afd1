from datetime import UTC, datetime, timedelta
from decimal import Decimal

from greenlane.deployments.connection import Started
from greenlane.deployments.declaring.applying import Applied, check
from greenlane.deployments.going_back import Undone
from greenlane.deployments.looking.status import SlotStatus, Status, outcome_of
from greenlane.deployments.model import (
    CheckResult,
    DeploymentSummary,
    HistoryEvent,
    Judgement,
    Record,
    Verdict,
)
from greenlane.deployments.signals import SignalOutcome
from greenlane.errors import UnknownDeployment, UnknownService

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def record_of(phase="shifting", **values):
    given = {
        "service": "claude-manager",
        "deployment_id": "d-1",
        "epoch": 1,
        "phase": phase,
        "live": "blue",
        "candidate": "green",
        "started_at": NOW,
        "updated_at": NOW,
        "deadline": NOW + timedelta(hours=2),
    }
    return Record.model_validate(given | values)


def status_of(record, **values):
    """A service in the middle of its second step, judged once."""
    slots = [
        {"slot": "blue", "role": "live", "weight": 90, "version": "1.4.1"},
        {"slot": "green", "role": "candidate", "weight": 10, "version": "1.4.2"},
    ]
    given = {
        "service": "claude-manager",
        "config_version": 3,
        "at": NOW,
        "record": record,
        "slots": tuple(
            SlotStatus(healthy=2, total=2, desired=2, task_definition="t:1", image="i", **slot)
            for slot in slots
        ),
        "step": 2,
        "steps": 6,
        "bake_left_seconds": 130,
        "judgement": Judgement(
            at=NOW,
            step=0,
            verdict=Verdict(
                verdict="pass",
                requests=520,
                checks=(
                    CheckResult(
                        name="error_rate",
                        verdict="pass",
                        value=Decimal("0.0020"),
                        limit=Decimal("0.01"),
                    ),
                ),
            ),
        ),
        "signals": ("pause", "promote", "promote_all", "abort"),
        "outcome": outcome_of(record) if record else None,
    }
    return Status(**(given | values))


class FakeClient:
    """A cloud with one service; it remembers what was asked of it.

    `looks` is what `status` answers, one after the other, the last one for ever; an exception in
    it is raised.
    """

    def __init__(self):
        self.calls = []
        self.known = ["claude-manager"]
        self.looks = [status_of(record_of())]
        self.error = None
        self.way = "deployment"

    def _note(self, call, /, **values):
        if self.error is not None:
            raise self.error
        self.calls.append((call, values))

    def _known(self, service):
        if service not in self.known:
            raise UnknownService(service, self.known)

    def apply(self, document, *, service, by):
        checked = check(document)
        self._note("apply", service=checked.service or service, by=by)
        return Applied(
            service=checked.service or service, version=4, changed=True, warnings=checked.warnings
        )

    def services(self):
        return self.known

    def deploy(self, request):
        self._known(request.service)
        self._note("deploy", request=request)
        return Started(service=request.service, deployment_id="d-1", execution_arn="arn:1")

    def signal(self, service, name, *, step, by):
        self._known(service)
        self._note("signal", service=service, name=name, step=step, by=by)
        return SignalOutcome(
            service=service, deployment_id="d-1", signal=name, step=1, answered_bake=True
        )

    def rollback(self, service, *, reason, by, deployment_id):
        self._known(service)
        self._note("rollback", service=service, reason=reason, by=by, deployment_id=deployment_id)
        return Started(service=service, deployment_id="d-1", execution_arn="arn:2")

    def undo(self, service, *, to, steps_back, reason, by):
        self._known(service)
        self._note("undo", service=service, to=to, steps_back=steps_back, reason=reason, by=by)
        back = {"way": self.way, "task_definition": "claude-manager:3"}
        if self.way == "rollback":
            return Undone(service=service, deployment_id="d-1", execution_arn="arn:2", **back)
        return Undone(
            service=service, deployment_id="d-4", execution_arn="arn:4", to=to or "d-3", **back
        )

    def status(self, service):
        self._known(service)
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, BaseException):
            raise look
        self.last = look
        return look

    def outcome(self, service, deployment_id):
        record = next(look for look in self.looks if isinstance(look, Status)).record
        if record is None or record.deployment_id != deployment_id:
            return None
        return outcome_of(record)

    def rollback_outcome(self, started):
        return self.outcome(started.service, started.deployment_id)

    def deployments(self, service, limit):
        self._known(service)
        return [
            DeploymentSummary(
                deployment_id="d-1",
                service=service,
                phase="watching",
                strategy="canary",
                image="registry/claude@sha256:abc",
                requested_by="jo",
                started_at=NOW,
            )
        ][:limit]

    def history(self, deployment_id):
        if deployment_id != "d-1":
            raise UnknownDeployment(deployment_id)
        return [HistoryEvent(at=NOW, kind="shifted", actor="shift_traffic", detail={"weight": 10})]
