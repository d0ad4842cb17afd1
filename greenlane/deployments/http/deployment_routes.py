"""The routes of the HTTP API that are about services and their deployments."""

from greenlane.deployments.connection import Started
from greenlane.deployments.declaring.config import SERVICE_NAME_PATTERN
from greenlane.deployments.going_back import Undone
from greenlane.deployments.http.deployment_shapes import (
    DEPLOYMENT_ID,
    DeploymentList,
    DeploymentView,
    EvidenceList,
    EvidenceQuery,
    Foresee,
    JudgeAgain,
    JudgedAgain,
    PostEvidence,
    ReportQuery,
    RollBack,
    SendSignal,
    ServiceList,
    ServicesQuery,
    StartDeployment,
    Undo,
    VerdictList,
    VerdictsQuery,
)
from greenlane.deployments.looking.foreseeing import Foresight
from greenlane.deployments.looking.status import Status
from greenlane.deployments.signals import SignalOutcome
from greenlane.health.evidence import Evidence
from greenlane.http.idempotency import IdempotencyHeader
from greenlane.http.listing import EventsPage, EventsQuery, NewestQuery
from greenlane.http.replies import ok, problem
from greenlane.http.rooms import KEY_REUSED, REFUSED, Room, begun
from greenlane.http.routes import Reply
from greenlane.incidents.reports import FoundReport
from greenlane.status.model import Everything

MANAGE_DEPLOYMENTS = "manage_deployments"

_NO_SERVICE = {404: problem("There is no such service.")}
_NONE = {404: problem("There is no such service, or no such deployment.")}
_ONCE = (
    "With the header `Idempotency-Key` it begins once: 201 first, then 200 with the same answer, "
    "for 90 days. What was refused may be sent again under its key."
)


_ROOM = Room(
    MANAGE_DEPLOYMENTS,
    "Deployments",
    segments={
        "service": {
            "type": "string",
            "pattern": SERVICE_NAME_PATTERN,
            "examples": ["claude-manager"],
        },
        "id": {
            "type": "string",
            "pattern": DEPLOYMENT_ID,
            "examples": ["claude-manager-20261123-120000-a1b2"],
        },
    },
)

SERVICES = (
    _ROOM.route(
        "GET",
        "/status",
        "everythingInFlight",
        "Everything under way, and whatever needs a person.",
        ok("As `greenlane status --output json` has it.", Everything),
        details="It reads tables only. A part that is not deployed is named, and no error.",
    ),
    _ROOM.route(
        "GET",
        "/services",
        "listServices",
        "All services by name, and where each stands.",
        ok("A part of them.", ServiceList),
        parameters=ServicesQuery,
    ),
    _ROOM.route(
        "GET",
        "/services/{service}",
        "getService",
        "Where a service stands: slots, weights, step, bake, verdicts, what may be done now.",
        ok("As `greenlane get SERVICE --output json` has it.", Status),
        _NO_SERVICE,
        REFUSED,
    ),
    _ROOM.route(
        "GET",
        "/services/{service}/deployments",
        "listDeployments",
        "A service's deployments, newest first.",
        ok("A part of them.", DeploymentList),
        _NO_SERVICE,
        parameters=NewestQuery,
    ),
    _ROOM.route(
        "POST",
        "/services/{service}/foresight",
        "foreseeDeployment",
        "What each step of a deployment would see of the usual traffic; nothing begins.",
        ok("As `greenlane plan SERVICE --output json` has it.", Foresight),
        _NO_SERVICE,
        REFUSED,
        body=Foresee,
        body_optional=True,
    ),
    _ROOM.route(
        "POST",
        "/services/{service}/signals",
        "signalDeployment",
        "Pause, resume, promote or abort the deployment that runs.",
        ok("What became of the signal.", SignalOutcome),
        _NO_SERVICE,
        REFUSED,
        details="Sent again, a signal is refused: it was given already. `abort` ends the "
        "deployment and goes back to the version before.",
        body=SendSignal,
    ),
    _ROOM.route(
        "POST",
        "/services/{service}/rollback",
        "rollbackService",
        "Take the latest deployment back, while it runs or after it.",
        {
            201: Reply("It is being taken back.", Started),
            200: Reply("It is being taken back already.", Started),
        },
        _NONE,
        REFUSED,
        KEY_REUSED,
        details="With the header `Idempotency-Key` a request that is sent again answers what it "
        "began, and never takes back what was deployed since.",
        headers=IdempotencyHeader,
        body=RollBack,
    ),
    _ROOM.route(
        "POST",
        "/services/{service}/undo",
        "undoDeployment",
        "Go back to a version that was good before.",
        begun("It has begun; `way` says how it goes back.", Undone),
        _NONE,
        REFUSED,
        KEY_REUSED,
        details="While the version before the latest still runs this is a rollback; further back "
        f"it is a deployment of the older revision. {_ONCE}",
        headers=IdempotencyHeader,
        body=Undo,
    ),
)

DEPLOYMENTS = (
    _ROOM.route(
        "POST",
        "/deployments",
        "startDeployment",
        "Start a deployment of one image, version or task definition.",
        begun("It has begun.", Started),
        _NO_SERVICE,
        REFUSED,
        KEY_REUSED,
        details="The keys are those of a request in a pipeline. The deployment's id is made of "
        f"the service's name and the key. {_ONCE}",
        headers=IdempotencyHeader,
        body=StartDeployment,
    ),
    _ROOM.route(
        "GET",
        "/deployments/{id}",
        "getDeployment",
        "One deployment: its plan, its verdict, its outcome.",
        ok("The deployment.", DeploymentView),
        _NONE,
    ),
    _ROOM.route(
        "GET",
        "/deployments/{id}/history",
        "deploymentHistory",
        "What happened in a deployment, oldest first.",
        ok("A part of it.", EventsPage),
        _NONE,
        parameters=EventsQuery,
    ),
    _ROOM.route(
        "GET",
        "/deployments/{id}/verdicts",
        "deploymentVerdicts",
        "What the judge said of a deployment, oldest first, with the numbers.",
        ok("A part of it, and the latest look.", VerdictList),
        _NONE,
        parameters=VerdictsQuery,
    ),
    _ROOM.route(
        "POST",
        "/deployments/{id}/judgement",
        "judgeDeployment",
        "Judge a deployment of the last 15 days once more, perhaps by other criteria.",
        ok("As `greenlane judge SERVICE -d ID --output json` has it.", JudgedAgain),
        _NONE,
        REFUSED,
        details="It reads the minutes again and changes nothing. One that had traffic for more "
        "than 8 hours takes too long for an answer.",
        body=JudgeAgain,
        body_optional=True,
    ),
    _ROOM.route(
        "GET",
        "/deployments/{id}/report",
        "deploymentReport",
        "The report of a deployment: what happened, who was affected, what to do next.",
        {
            200: Reply(
                "As `greenlane report SERVICE -d ID --output json` has it, or its text.",
                FoundReport,
                others={"text/markdown": {"type": "string"}},
            )
        },
        _NONE,
        REFUSED,
        details="A rollback writes its own. Of any other deployment it is made for this answer, "
        "without log messages, and not stored.",
        parameters=ReportQuery,
    ),
)

EVIDENCE = (
    _ROOM.route(
        "GET",
        "/evidence",
        "listEvidence",
        "What tests and checks said about a service's images, newest first.",
        ok("A part of it.", EvidenceList),
        _NO_SERVICE,
        parameters=EvidenceQuery,
    ),
    _ROOM.route(
        "POST",
        "/evidence",
        "postEvidence",
        "Add a result about one image; what was posted before stays.",
        {201: Reply("As it is kept.", Evidence)},
        _NO_SERVICE,
        details="Posted again it stands there twice, which changes nothing.",
        body=PostEvidence,
    ),
)

ROUTES = SERVICES + DEPLOYMENTS + EVIDENCE
