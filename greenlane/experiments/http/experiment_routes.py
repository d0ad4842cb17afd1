"""The routes of the HTTP API that are about A/B tests."""

from collections.abc import Mapping
from typing import Any

from greenlane.experiments.http.admin_shapes import (
    ChangeTest,
    CreateTest,
    IfTest,
    LooksPage,
    LooksQuery,
    PutTest,
    ResultsQuery,
    StartTest,
    StopTest,
    TestAudit,
    TestAuditQuery,
    TestList,
    TestPreconditions,
    TestView,
)
from greenlane.experiments.http.client_shapes import (
    LONGEST_NAME,
    Assign,
    AssignmentsTold,
    AssignmentTold,
    AssignSeveral,
    Events,
    EventsTold,
    Exposures,
    ExposuresTold,
)
from greenlane.experiments.model import NAME
from greenlane.experiments.results import Results
from greenlane.http.replies import ok, problem
from greenlane.http.rooms import MOVED, REFUSED, Room
from greenlane.http.routes import Reply, Route

RECORD, MANAGE_TESTS = "record_experiments", "manage_experiments"

_ASKED = {
    "type": "string",
    "minLength": 1,
    "maxLength": LONGEST_NAME,
    "examples": ["checkout"],
}
_ETAG = {"ETag": "The test's version, for `If-Match`."}
_VIEW = ok("The test as it is then.", TestView, **_ETAG)
_NO_TEST = {404: problem("There is no such test.")}
_TOO_LONG = {413: problem("The body is longer than 256 KiB.")}

_PER_ITEM = (
    "Each has an answer of its own, in the order of the request. One with `retry` is to be sent "
    "again, and it alone; what is sent twice counts once."
)
_START = (
    "The workflow that looks after it begins within a minute. A test that runs already stays as it "
    "is; one that ended begins again only with `again`, under another salt."
)
_CHANGE = (
    "Other weights begin another epoch: those who were exposed keep their variant. Traffic and "
    "ramp only rise. Everything else of a running test stands still."
)
_RESULTS = (
    "A look that is not kept and spends nothing; of a test that ended by a look, that one. What is "
    "told of a segment decides nothing."
)


_CLIENTS = Room(
    RECORD, "Users of A/B tests", auth="api_key", segments={"name": _ASKED}, public=True
)
_TESTS = Room(
    MANAGE_TESTS,
    "A/B tests",
    prefix="/v1/experiments",
    segments={"name": {"type": "string", "pattern": NAME, "examples": ["checkout"]}},
)


def _client(path: str, name: str, about: str, *replies: Mapping[int, Reply], **more: Any) -> Route:
    return _CLIENTS.route("POST", path, name, about, _TOO_LONG, *replies, **more)


CLIENTS = (
    _client(
        "/assignments",
        "assignSeveral",
        "What a user gets of some tests.",
        ok("The variants.", AssignmentsTold),
        body=AssignSeveral,
    ),
    _client(
        "/assignments/{name}",
        "assignOne",
        "What a user gets of one test.",
        ok("The variant.", AssignmentTold),
        _NO_TEST,
        body=Assign,
    ),
    _client(
        "/exposures",
        "recordExposures",
        "Record that users were shown variants.",
        ok("What became of each.", ExposuresTold),
        details=_PER_ITEM,
        body=Exposures,
    ),
    _client(
        "/events",
        "recordEvents",
        "Record what users did.",
        ok("What became of each.", EventsTold),
        details=_PER_ITEM,
        body=Events,
    ),
)

ADMIN = (
    _TESTS.route("GET", "", "listExperiments", "All tests.", ok("All tests.", TestList)),
    _TESTS.route(
        "POST",
        "",
        "createExperiment",
        "Put a new test.",
        _VIEW,
        REFUSED,
        details="A draft, unless `start` says otherwise. A test of this name that is otherwise is "
        "a conflict; the same again changes nothing.",
        body=CreateTest,
    ),
    _TESTS.route("GET", "/{name}", "getExperiment", "One test.", _VIEW, _NO_TEST),
    _TESTS.route(
        "PUT",
        "/{name}",
        "putExperiment",
        "Put a test as a file would: a new one is a draft.",
        _VIEW,
        REFUSED,
        MOVED,
        details="Of a running test only weights, traffic and ramp may differ.",
        headers=TestPreconditions,
        body=PutTest,
    ),
    _TESTS.route(
        "PATCH",
        "/{name}",
        "changeExperiment",
        "Change the weights, the traffic or the ramp of a running test.",
        _VIEW,
        _NO_TEST,
        REFUSED,
        MOVED,
        details=_CHANGE,
        headers=IfTest,
        body=ChangeTest,
    ),
    _TESTS.route(
        "POST",
        "/{name}/start",
        "startExperiment",
        "Begin a test.",
        _VIEW,
        _NO_TEST,
        REFUSED,
        MOVED,
        details=_START,
        headers=IfTest,
        body=StartTest,
        body_optional=True,
    ),
    _TESTS.route(
        "POST",
        "/{name}/stop",
        "stopExperiment",
        "End a test, whatever its numbers say.",
        _VIEW,
        _NO_TEST,
        REFUSED,
        body=StopTest,
    ),
    _TESTS.route(
        "GET",
        "/{name}/results",
        "experimentResults",
        "What a test says now.",
        ok("Users, effects, guardrails, and what a look would decide.", Results),
        _NO_TEST,
        REFUSED,
        details=_RESULTS,
        parameters=ResultsQuery,
    ),
    _TESTS.route(
        "GET",
        "/{name}/looks",
        "experimentLooks",
        "The looks of a run, oldest first, with all that they decided from.",
        ok("A part of them.", LooksPage),
        _NO_TEST,
        parameters=LooksQuery,
    ),
    _TESTS.route(
        "GET",
        "/{name}/audit",
        "auditExperiment",
        "Who changed a test, when and why; newest first.",
        ok("A part of it.", TestAudit),
        _NO_TEST,
        parameters=TestAuditQuery,
    ),
)

ROUTES = CLIENTS + ADMIN
