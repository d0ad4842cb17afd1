"""What people and pipelines do with deployments over HTTP; `Greenlane` has what it means.

Who is asking is the IAM principal whose signature API Gateway checked. What is told are the models
that the command line prints with `--output json`.

The function calls, of AWS: `dynamodb` GetItem, PutItem, Query and UpdateItem on the table of
deployments (a signal updates the record; keys and evidence are put), GetItem and Query on those of
flags and of A/B tests (`/v1/status`); `states` StartExecution of the
machines of deployments and of the way back, DescribeExecution of their executions, SendTaskSuccess
for a bake that waits; `ecs` DescribeServices, DescribeTaskDefinition, DescribeTasks and ListTasks;
`elasticloadbalancing` DescribeRules and DescribeTargetHealth; `cloudwatch` DescribeAlarms and
GetMetricData; `s3` GetObject of reports and of plans of migrations; `lambda` InvokeFunction of the
function that asks Prometheus.
"""

import json
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from greenlane.deployments import going_back
from greenlane.deployments.client import Greenlane
from greenlane.deployments.connection import DEPLOYMENT_MACHINE, ROLLBACK_MACHINE, Started
from greenlane.deployments.declaring.config import SERVICE_NAME_PATTERN
from greenlane.deployments.going_back import Undone
from greenlane.deployments.http import looking
from greenlane.deployments.http.deployment_routes import ROUTES
from greenlane.deployments.http.deployment_shapes import (
    DEPLOYMENT_ID,
    AnyKeys,
    EvidenceQuery,
    Foresee,
    JudgeAgain,
    PostEvidence,
    ReportQuery,
    RollBack,
    SendSignal,
    ServicesQuery,
    Undo,
    VerdictsQuery,
)
from greenlane.deployments.model import DeploymentRequest, Record
from greenlane.errors import InvalidInput, Refused, SignalRefused
from greenlane.http.fitting import MOST_CHARACTERS
from greenlane.http.idempotency import Beginning, IdempotencyHeader, Once
from greenlane.http.listing import EventsQuery, NewestQuery
from greenlane.http.rest import Handler, Request, Response, respond
from greenlane.http.rooms import NoQuery
from greenlane.http.routes import JSON
from greenlane.incidents.reports import Reports
from greenlane.pipelines.book import Book
from greenlane.pipelines.request import read_deployment
from greenlane.pipelines.runtime import PipelineRuntime
from greenlane.runtime import Settings
from greenlane.status.reading import Stores, read_everything

_INSTEAD = {
    "deployment_id": "it is made of the header Idempotency-Key; leave it out",
    "requested_by": "it is whoever signs the request; leave it out",
    "undo": "going back is POST /v1/services/{service}/undo; leave it out",
}

_START = Once("startDeployment", "deployment", Started)
_ROLLBACK = Once("rollbackService", "deployment", Started)
_UNDO = Once("undoDeployment", "deployment", Undone)


class DeploymentsApi:
    """The handlers of the routes, by the names of their operations.

    Args:
        greenlane: deployments of this account and Region.
        book: what was asked under which key.
    """

    def __init__(self, greenlane: Greenlane, book: Book) -> None:
        """See the class."""
        self.greenlane, self.book = greenlane, book
        self._connection, self._store = greenlane.connection, greenlane.store
        self.handlers: Mapping[str, Handler] = {
            "everythingInFlight": self.everything,
            "listServices": self.services,
            "getService": self.service,
            "listDeployments": self.deployments,
            "startDeployment": self.start,
            "signalDeployment": self.signal,
            "rollbackService": self.rollback,
            "undoDeployment": self.undo,
            "foreseeDeployment": self.foresee,
            "getDeployment": self.deployment,
            "deploymentHistory": self.history,
            "deploymentVerdicts": self.verdicts,
            "judgeDeployment": self.judge,
            "deploymentReport": self.report,
            "listEvidence": self.evidence,
            "postEvidence": self.post_evidence,
        }

    @classmethod
    def from_environment(cls) -> "DeploymentsApi":
        """As its template has it: what `greenlane.runtime.Settings` reads.

        Raises:
            KeyError: the template did not set one of them.
        """
        runtime = PipelineRuntime(Settings.from_environment(), "manage_deployments")
        return cls(runtime.greenlane, runtime.requests)

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """One request, as API Gateway sends it, to its answer."""
        return respond(event, ROUTES, self.handlers)

    def everything(self, request: Request) -> Response:
        """Everything under way, and whatever needs a person."""
        request.parameters(NoQuery)
        stores = Stores.of(self._store.client, deployments=self._store.table)
        return Response(content=read_everything(stores, self._connection.clock.now()))

    def services(self, request: Request) -> Response:
        """Services by name, and where each stands."""
        return Response(content=looking.services(self._store, request.parameters(ServicesQuery)))

    def service(self, request: Request) -> Response:
        """Where one service stands."""
        request.parameters(NoQuery)
        return Response(content=self.greenlane.status(_service(request)))

    def deployments(self, request: Request) -> Response:
        """A service's deployments."""
        asked, service = request.parameters(NewestQuery), _service(request)
        return Response(content=looking.deployments(self._store, service, asked))

    def start(self, request: Request) -> Response:
        """Start a deployment."""
        request.parameters(NoQuery)
        given = request.json(AnyKeys).model_extra or {}
        asked, digest = read_deployment(given, by=request.by, instead=_INSTEAD)
        return _START.begin(
            request,
            self.book,
            self._connection.clock.now(),
            asked=digest,
            parts=(asked.service,),
            start=partial(self._start, asked),
        )

    def _start(self, asked: DeploymentRequest, beginning: Beginning) -> Started:
        named = asked.model_copy(
            update={"deployment_id": beginning.id, "requested_by": beginning.by}
        )
        # It runs already, perhaps: another one that came since is no reason to refuse it.
        if beginning.again and (before := self._started(named)) is not None:
            return before
        if beginning.id is not None and self._is_of_old(beginning.id):
            # It would be planned as that one, and be told as succeeded at once.
            raise InvalidInput("deployment_id", beginning.id, "it was one's long ago")
        return self.greenlane.deploy(named)

    def _is_of_old(self, deployment_id: str) -> bool:
        """Whether a deployment had this id whose execution AWS has forgotten after 90 days."""
        planned = looking.plan_of(self._store, deployment_id) is not None
        return planned and self._connection.given(DEPLOYMENT_MACHINE, deployment_id) is None

    def _started(self, named: DeploymentRequest) -> Started | None:
        deployment_id = named.deployment_id or ""
        given = self._connection.given(DEPLOYMENT_MACHINE, deployment_id)
        if given is None or given["request"] != named.model_dump(mode="json", exclude_none=True):
            return None
        arn = self._connection.arn("execution", f"{DEPLOYMENT_MACHINE}:{deployment_id}")
        return Started(
            service=named.service, deployment_id=deployment_id, execution_arn=arn, already=True
        )

    def signal(self, request: Request) -> Response:
        """Tell the deployment that runs to do something."""
        request.parameters(NoQuery)
        body, service = request.json(SendSignal), _service(request)
        sent = self.greenlane.signal(service, body.signal, step=body.step, by=request.by)
        return Response(content=sent)

    def rollback(self, request: Request) -> Response:
        """Take the latest deployment back."""
        request.parameters(NoQuery)
        body, service = request.json(RollBack), _service(request)
        if request.conditions(IdempotencyHeader).idempotency_key is None:
            beginning = Beginning(None, request.by, again=False, since=self._connection.clock.now())
            started = self._rollback(service, body, beginning)
            return Response(200 if started.already else 201, started)
        return _ROLLBACK.begin(
            request,
            self.book,
            self._connection.clock.now(),
            asked={"service": service, **body.model_dump(mode="json", exclude_defaults=True)},
            parts=(service, "rollback"),
            start=partial(self._rollback, service, body),
        )

    def _rollback(self, service: str, body: RollBack, beginning: Beginning) -> Started:
        once = going_back.Once(beginning.id, beginning.since) if beginning.id else None
        record = self._store.record(service)
        if beginning.again and once is not None and record is not None:
            taken = self._taken_back(record, once)
            if taken is not None:
                return taken
        return self.greenlane.rollback(
            service,
            reason=body.reason,
            by=beginning.by,
            deployment_id=body.deployment_id,
            once=once,
        )

    def _taken_back(self, record: Record, once: going_back.Once) -> Started | None:
        """The rollback that an earlier try of the same wish began.

        Raises:
            SignalRefused: there is none, and what would go back now is a later deployment.
        """
        found = self._connection
        later = record.started_at > once.at
        known = self._store.deployments(record.service) if later else []
        for one in (record.deployment_id, *(line.deployment_id for line in known)):
            back = going_back.rollback_name(one, once)
            if found.given(ROLLBACK_MACHINE, back) is not None:
                return Started(
                    service=record.service,
                    deployment_id=one,
                    execution_arn=found.arn("execution", f"{ROLLBACK_MACHINE}:{back}"),
                    already=True,
                )
        if later:
            raise SignalRefused(
                f"nothing was begun: {record.deployment_id} began after this was asked first; if "
                "it is meant too, ask under another key"
            )
        return None

    def undo(self, request: Request) -> Response:
        """Go back to a version that was good before."""
        request.parameters(NoQuery)
        body, service = request.json(Undo), _service(request)
        if body.to is not None and body.steps_back is not None:
            way_out = "`to` says which version; give one of both"
            raise InvalidInput("steps_back", body.steps_back, way_out)
        return _UNDO.begin(
            request,
            self.book,
            self._connection.clock.now(),
            asked={"service": service, **body.model_dump(mode="json", exclude_defaults=True)},
            parts=(service, "undo"),
            start=partial(self._undo, service, body),
        )

    def _undo(self, service: str, body: Undo, beginning: Beginning) -> Undone:
        if beginning.again and (before := self._undone(service, body, beginning)) is not None:
            return before
        return self.greenlane.undo(
            service,
            to=body.to,
            steps_back=body.steps_back or 1,
            reason=body.reason,
            by=beginning.by,
            once=going_back.Once(beginning.id, beginning.since) if beginning.id else None,
        )

    def _undone(self, service: str, body: Undo, beginning: Beginning) -> Undone | None:
        """What an earlier try began: going back once more would go one version further.

        Raises:
            SignalRefused: nothing was begun, and what would go back now is a later deployment.
        """
        found, name = self._connection, beginning.id or ""
        undone = partial(Undone, service=service, to=body.to, already=True)
        given = found.given(DEPLOYMENT_MACHINE, name)
        if given is not None and given["request"].get("undo"):  # else another door chose its id
            return undone(
                deployment_id=name,
                execution_arn=found.arn("execution", f"{DEPLOYMENT_MACHINE}:{name}"),
                way="deployment",
                task_definition=str(given["request"]["task_definition"]),
            )
        record = self._store.record(service)
        if record is None:
            return None
        taken = self._taken_back(record, going_back.Once(name, beginning.since))
        if taken is None:
            return None
        return undone(
            deployment_id=taken.deployment_id,
            execution_arn=taken.execution_arn,
            way="rollback",
            task_definition=self._store.plan(taken.deployment_id).live_task_definition,
        )

    def foresee(self, request: Request) -> Response:
        """What a deployment's steps would see of the usual traffic."""
        request.parameters(NoQuery)
        body, service = request.json(Foresee, optional=True), _service(request)
        found = self.greenlane.foresee(
            service,
            strategy=body.strategy,
            steps=body.steps,
            bake=body.bake,
            days=body.days,
            at=body.at,
            sees=body.sees,
        )
        return Response(content=found)

    def deployment(self, request: Request) -> Response:
        """One deployment."""
        request.parameters(NoQuery)
        return Response(content=looking.deployment(self.greenlane, _id(request)))

    def history(self, request: Request) -> Response:
        """What happened in a deployment."""
        asked = request.parameters(EventsQuery)
        return Response(content=looking.history(self._store, _id(request), asked))

    def verdicts(self, request: Request) -> Response:
        """What the judge said of a deployment."""
        asked = request.parameters(VerdictsQuery)
        return Response(content=looking.verdicts(self._store, _id(request), asked))

    def judge(self, request: Request) -> Response:
        """Judge a past deployment once more."""
        request.parameters(NoQuery)
        body = request.json(JudgeAgain, optional=True)
        found = looking.judged_again(self._connection, _id(request), body.criteria)
        return Response(content=found)

    def report(self, request: Request) -> Response:
        """The report of a deployment."""
        asked, deployment_id = request.parameters(ReportQuery), _id(request)
        service = self._store.plan(deployment_id).service
        reports = Reports(self._connection, quickly=True)
        found = reports.get(service, deployment_id, by=request.by)
        whole = asked.format == "json"
        content: Any = found.model_dump(mode="json") if whole else found.text("md")
        characters = len(json.dumps(content))
        if characters > MOST_CHARACTERS:
            keys = ", ".join(f"s3://{found.bucket}/{key}" for key in found.keys.values())
            raise Refused(
                f"the report of {deployment_id} has {characters} characters, more than an answer "
                f"holds: read {keys}"
            )
        return Response(content=content, media=JSON if whole else "text/markdown; charset=utf-8")

    def evidence(self, request: Request) -> Response:
        """What was posted about a service's images."""
        asked = request.parameters(EvidenceQuery)
        return Response(content=looking.evidence(self.greenlane, asked))

    def post_evidence(self, request: Request) -> Response:
        """Add a result about one image."""
        request.parameters(NoQuery)
        body = request.json(PostEvidence)
        posted = self.greenlane.evidence.post(
            body.service,
            body.name,
            status=body.status,
            digest=body.digest,
            issuer=body.issuer,
            expires=body.expires,
            url=body.url,
            by=request.by,
        )
        return Response(201, posted)


def _service(request: Request) -> str:
    return _in_path(request, "service", SERVICE_NAME_PATTERN, "small letters, digits and dashes")


def _id(request: Request) -> str:
    way_out = "letters, digits, dots, dashes and underscores, at most 80"
    return _in_path(request, "id", DEPLOYMENT_ID, way_out)


def _in_path(request: Request, name: str, pattern: str, way_out: str) -> str:
    """A part of a path.

    Raises:
        InvalidInput: nothing has such a name.
    """
    value = request.path[name]
    if not re.fullmatch(pattern, value):
        raise InvalidInput(name, value, f"use {way_out}")
    return value
