"""The routes of the HTTP API that are about A/B tests."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

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
from greenlane.flags.http.api_models import NoQuery
from greenlane.http.replies import always, merged, ok, problem
from greenlane.http.routes import Method, Reply, Route

RECORD, MANAGE_TESTS = "record_experiments", "manage_experiments"

_NAME = {"name": {"type": "string", "pattern": NAME, "examples": ["checkout"]}}
_ASKED = {
    "name": {
        "type": "string",
        "minLength": 1,
        "maxLength": LONGEST_NAME,
        "examples": ["checkout"],
    }
}
_ETAG = {"ETag": "The test's version, for `If-Match`."}
_VIEW = ok("The test as it is then.", TestView, **_ETAG)
_NO_TEST = {404: problem("There is no such test.")}
_CONFLICT = {409: problem("It is refused as things are; nothing was changed.")}
_MOVED = {412: problem("What the precondition names is not so any more; nothing was changed.")}

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


def _client(
    path: str,
    name: str,
    about: str,
    *replies: Mapping[int, Reply],
    body: type[BaseModel],
    **more: Any,
) -> Route:
    too_long = {413: problem("The body is longer than 256 KiB.")}
    return Route(
        method="POST",
        path=path,
        name=name,
        about=about,
        function=RECORD,
        auth="api_key",
        replies=merged(always("api_key"), too_long, *replies),
        tag="Users of A/B tests",
        parameters=NoQuery,
        body=body,
        public=True,
        **more,
    )


def _admin(
    method: Method, path: str, name: str, about: str, *replies: Mapping[int, Reply], **more: Any
) -> Route:
    given: dict[str, Any] = {"parameters": NoQuery, **more}
    if "{name}" in path:
        given["path_parameters"] = _NAME
    return Route(
        method=method,
        path=f"/v1/experiments{path}",
        name=name,
        about=about,
        function=MANAGE_TESTS,
        auth="iam",
        replies=merged(always("iam"), *replies),
        tag="A/B tests",
        **given,
    )


CLIENTS = (
    _client(
        "/v1/assignments",
        "assignSeveral",
        "What a user gets of some tests.",
        ok("The variants.", AssignmentsTold),
        body=AssignSeveral,
    ),
    _client(
        "/v1/assignments/{name}",
        "assignOne",
        "What a user gets of one test.",
        ok("The variant.", AssignmentTold),
        _NO_TEST,
        body=Assign,
        path_parameters=_ASKED,
    ),
    _client(
        "/v1/exposures",
        "recordExposures",
        "Record that users were shown variants.",
        ok("What became of each.", ExposuresTold),
        details=_PER_ITEM,
        body=Exposures,
    ),
    _client(
        "/v1/events",
        "recordEvents",
        "Record what users did.",
        ok("What became of each.", EventsTold),
        details=_PER_ITEM,
        body=Events,
    ),
)

ADMIN = (
    _admin("GET", "", "listExperiments", "All tests.", ok("All tests.", TestList)),
    _admin(
        "POST",
        "",
        "createExperiment",
        "Put a new test.",
        _VIEW,
        _CONFLICT,
        details="A draft, unless `start` says otherwise. A test of this name that is otherwise is "
        "a conflict; the same again changes nothing.",
        body=CreateTest,
    ),
    _admin("GET", "/{name}", "getExperiment", "One test.", _VIEW, _NO_TEST),
    _admin(
        "PUT",
        "/{name}",
        "putExperiment",
        "Put a test as a file would: a new one is a draft.",
        _VIEW,
        _CONFLICT,
        _MOVED,
        details="Of a running test only weights, traffic and ramp may differ.",
        headers=TestPreconditions,
        body=PutTest,
    ),
    _admin(
        "PATCH",
        "/{name}",
        "changeExperiment",
        "Change the weights, the traffic or the ramp of a running test.",
        _VIEW,
        _NO_TEST,
        _CONFLICT,
        _MOVED,
        details=_CHANGE,
        headers=IfTest,
        body=ChangeTest,
    ),
    _admin(
        "POST",
        "/{name}/start",
        "startExperiment",
        "Begin a test.",
        _VIEW,
        _NO_TEST,
        _CONFLICT,
        _MOVED,
        details=_START,
        headers=IfTest,
        body=StartTest,
        body_optional=True,
    ),
    _admin(
        "POST",
        "/{name}/stop",
        "stopExperiment",
        "End a test, whatever its numbers say.",
        _VIEW,
        _NO_TEST,
        _CONFLICT,
        body=StopTest,
    ),
    _admin(
        "GET",
        "/{name}/results",
        "experimentResults",
        "What a test says now.",
        ok("Users, effects, guardrails, and what a look would decide.", Results),
        _NO_TEST,
        _CONFLICT,
        details=_RESULTS,
        parameters=ResultsQuery,
    ),
    _admin(
        "GET",
        "/{name}/looks",
        "experimentLooks",
        "The looks of a run, oldest first, with all that they decided from.",
        ok("A part of them.", LooksPage),
        _NO_TEST,
        parameters=LooksQuery,
    ),
    _admin(
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
