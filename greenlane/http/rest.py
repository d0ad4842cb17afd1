"""Requests and answers of the HTTP API's functions, behind API Gateway's REST proxy.

Errors are `application/problem+json` (RFC 9457): `title` names the kind, `detail` says all in one
line, and `problems` has each field, its value and the way out.
"""

import base64
import binascii
import json
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ValidationError

from greenlane.errors import (
    GreenlaneError,
    IdempotencyKeyReused,
    InvalidInput,
    NotYet,
    PreconditionFailed,
    Refused,
    SignalRefused,
    UnknownDatabase,
    UnknownDeployment,
    UnknownFlag,
    UnknownMigration,
    UnknownProposal,
    UnknownRestore,
    UnknownRollout,
    UnknownService,
    UnknownTest,
    Unsigned,
)
from greenlane.http.routes import JSON, PROBLEM, Route
from greenlane.logs import logger
from greenlane.problems import Excerpt, InvalidDocument, explain

ModelT = TypeVar("ModelT", bound=BaseModel)

RETRY_SECONDS = 1

DEEPEST = 64
"""Lists and objects in each other in a body; what reads and writes them again bears some 200."""

MOST_PROBLEMS = 100
"""That are told of in one answer."""

_UNKNOWN = (
    UnknownDatabase,
    UnknownDeployment,
    UnknownFlag,
    UnknownMigration,
    UnknownProposal,
    UnknownRestore,
    UnknownRollout,
    UnknownService,
    UnknownTest,
)
_LATER = frozenset(
    {
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
    }
)


class Problem(BaseModel):
    """One thing that is wrong with a request."""

    field: str
    value: str
    way_out: str
    line: int | None = None


class Problems(BaseModel):
    """Why a request was not carried out."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Request:
    """One request. Names of headers are in lower case, path parameters are decoded."""

    method: str
    resource: str
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    stage: str = ""
    url: str = ""
    user: str | None = None

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> "Request":
        """The request in an event of API Gateway's REST proxy.

        Raises:
            InvalidInput: its body is marked as base64 and is none.
        """
        context = event.get("requestContext") or {}
        body = (event.get("body") or "").encode("utf-8", "surrogatepass")
        if event.get("isBase64Encoded"):
            try:
                body = base64.b64decode(body, validate=True)
            except binascii.Error:
                raise InvalidInput("body", Excerpt("it"), "send base64") from None
        given = event.get("pathParameters") or {}
        headers = event.get("headers") or {}
        known = {name.lower(): value for name, value in headers.items() if value is not None}
        stage = str(context.get("stage", ""))
        return cls(
            method=str(event.get("httpMethod", "")),
            resource=str(event.get("resource", "")),
            path={name: unquote(value) for name, value in given.items()},
            query=dict(event.get("queryStringParameters") or {}),
            headers=known,
            body=body,
            stage=stage,
            url=f"{known.get('x-forwarded-proto', 'https')}://{context.get('domainName')}/{stage}",
            user=(context.get("identity") or {}).get("userArn"),
        )

    @property
    def by(self) -> str:
        """The principal whose signature API Gateway has checked.

        Raises:
            Unsigned: there is none.
        """
        if not self.user:
            raise Unsigned("nobody signed this request; call a route that asks for IAM")
        return self.user

    def json(self, model: type[ModelT], *, optional: bool = False) -> ModelT:
        """The body as a model; with `optional`, no body is an empty object.

        Raises:
            InvalidInput: it is not that, with everything that is wrong.
        """
        if optional and not self.body:
            return _checked(model, {}, "body")
        try:
            data = json.loads(self.body, parse_constant=_no_constant)
            # JSON can write half a character (`\ud800`), which no answer could tell again.
            json.dumps(data, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            raise InvalidInput("body", Excerpt("it"), "send JSON in UTF-8") from None
        if _deeper(data, DEEPEST):
            way_out = f"nest lists and objects at most {DEEPEST} deep"
            raise InvalidInput("body", Excerpt("it"), way_out)
        return _checked(model, data, "body")

    def parameters(self, model: type[ModelT]) -> ModelT:
        """The query as a model; raises `InvalidInput`."""
        return _checked(model, dict(self.query), "query")

    def conditions(self, model: type[ModelT]) -> ModelT:
        """The headers that a model knows by their aliases; raises `InvalidInput`."""
        names = [one.alias or name for name, one in model.model_fields.items()]
        given = {name: self.headers[name.lower()] for name in names if name.lower() in self.headers}
        return _checked(model, given, "headers")


@dataclass(frozen=True)
class Response:
    """One answer: a model or plain JSON, text as it is, or no body."""

    status: int = 200
    content: BaseModel | Mapping[str, Any] | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    media: str = JSON

    def for_gateway(self) -> dict[str, Any]:
        """As API Gateway takes it."""
        content = self.content
        if isinstance(content, BaseModel):
            content = content.model_dump(mode="json", by_alias=True)
        if content is None or isinstance(content, str):
            body = content or ""
        else:
            # By `json`, which can write half a character: a flag from a file may have one.
            body = json.dumps(content, separators=(",", ":"), allow_nan=False)
        # Nothing between here and who asked may keep an answer about what can change.
        always = {"content-type": self.media, "cache-control": "no-store"}
        return {
            "statusCode": self.status,
            "headers": {**always, **self.headers},
            "body": body,
            "isBase64Encoded": False,
        }


Handler = Callable[[Request], Response]


def respond(
    event: Mapping[str, Any],
    routes: tuple[Route, ...],
    handlers: Mapping[str, Handler],
    *,
    private: bool = False,
) -> dict[str, Any]:
    """Find the route of an event, call its handler by name, and tell of errors.

    Args:
        event: of API Gateway's REST proxy.
        routes: of this function.
        handlers: by the routes' names.
        private: of an error nobody expected only its type and its place are logged, for its text
            may quote what is known of a user.
    """
    try:
        request = Request.of(event)
        route = _route(request, routes)
        return handlers[route.name](request).for_gateway()
    except GreenlaneError as error:
        answer = problem(error)
    except (BotoCoreError, ClientError) as error:
        answer = store_failed(error)
    except Exception as error:
        if private:
            logger.error("unexpected error", error=type(error).__name__, places=_places(error))
        else:
            logger.exception("unexpected error")
        answer = told(500, "Unexpected", "something went wrong here; it was logged")
    return answer.for_gateway()


def _places(error: Exception) -> list[str]:
    """Where an error came by, outermost first."""
    found = traceback.extract_tb(error.__traceback__)
    return [f"{one.filename}:{one.lineno} {one.name}" for one in found]


def _route(request: Request, routes: tuple[Route, ...]) -> Route:
    for route in routes:
        if (route.method, route.path) == (request.method, request.resource):
            return route
    known = sorted(f"{route.method} {route.path}" for route in routes)
    asked = f"{request.method} {request.resource}"
    raise InvalidInput("route", Excerpt(asked), f"use one of {', '.join(known)}")


def problem(error: GreenlaneError) -> Response:
    """An error of ours as an answer."""
    kind = type(error).__name__
    if isinstance(error, _UNKNOWN):
        return told(404, kind, str(error), (error,))
    if isinstance(error, IdempotencyKeyReused):
        return told(422, kind, str(error), (error,))
    if isinstance(error, InvalidDocument):
        return told(400, "InvalidInput", _all_in(error), error.problems)
    if isinstance(error, InvalidInput):
        return told(400, kind, str(error), (error,))
    if isinstance(error, Unsigned):
        return told(401, kind, str(error))
    if isinstance(error, PreconditionFailed):
        return told(412, kind, str(error))
    if isinstance(error, Refused | SignalRefused):
        return told(409, kind, str(error))
    if isinstance(error, NotYet):
        return told(503, kind, str(error), retry=True)
    logger.error(str(error), error=kind)
    return told(500, kind, str(error))


def _all_in(error: InvalidDocument) -> str:
    """What is wrong, a line each; of very much only the first, for an answer has 6 MB at most."""
    if len(error.problems) <= MOST_PROBLEMS:
        return str(error)
    lines = [f"{error.name}: {one}" for one in error.problems[:MOST_PROBLEMS]]
    return "\n".join([*lines, f"{len(error.problems) - MOST_PROBLEMS} more are wrong"])


def may_pass(error: BotoCoreError | ClientError) -> bool:
    """Whether what botocore met may be over when somebody asks again."""
    return not isinstance(error, ClientError) or error.response["Error"]["Code"] in _LATER


def store_failed(error: BotoCoreError | ClientError) -> Response:
    """What botocore met as an answer, which says of which operation where that is known."""
    logger.warning(str(error), error=type(error).__name__)
    if isinstance(error, ClientError) and not may_pass(error):
        code = error.response["Error"]["Code"]
        return told(500, "StoreFailed", f"AWS refused {error.operation_name}: {code}")
    what = f"AWS did not answer{_asked_of(error)}"
    later = f"{what}; nobody knows whether a change went in: look, then try again"
    return told(503, "StoreUnavailable", later, retry=True)


def _asked_of(error: BotoCoreError | ClientError) -> str:
    """Which call it was: the operation, or at least the host that was to take it."""
    if isinstance(error, ClientError):
        return f" {error.operation_name}"
    host = urlsplit(str(error.kwargs.get("endpoint_url", ""))).hostname
    return f" at {host}" if host else ""


def told(
    status: int,
    title: str,
    detail: str,
    problems: tuple[InvalidInput, ...] = (),
    *,
    retry: bool = False,
) -> Response:
    """A problem as an answer.

    Args:
        status: of HTTP.
        title: the kind of problem.
        detail: all of it in one line.
        problems: each field that is wrong.
        retry: say when to come back.
    """
    content = Problems(
        title=title,
        status=status,
        detail=detail,
        problems=tuple(
            Problem(field=one.field, value=repr(one.value), way_out=one.way_out, line=one.line)
            for one in problems[:MOST_PROBLEMS]
        ),
    )
    headers = {"retry-after": str(RETRY_SECONDS)} if retry else {}
    return Response(status, content, headers, PROBLEM)


def _checked(model: type[ModelT], data: Any, where: str) -> ModelT:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InvalidDocument(where, explain(error, model, data)) from None
    except (OverflowError, RecursionError):
        raise InvalidInput(where, Excerpt("it"), "write smaller numbers, nested less") from None


def _deeper(data: Any, most: int) -> bool:
    level = [data]
    for _ in range(most + 1):
        level = [
            part
            for one in level
            if isinstance(one, dict | list)
            for part in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


def _no_constant(name: str) -> None:
    raise ValueError(f"JSON has no {name}")
