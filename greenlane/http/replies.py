"""Answers that several routes of the HTTP API have in common, as its document tells of them."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from greenlane.flags.http import ofrep_shapes as ofrep
from greenlane.http.rest import Problems
from greenlane.http.routes import JSON, PROBLEM, Auth, Reply

REFUSED_KEY = Reply("The API key is missing or wrong.", ofrep.GATEWAY_FAILURE)
REFUSED_SIGNATURE = Reply(
    "The request is not signed, or the principal may not call this.", ofrep.GATEWAY_FAILURE
)
REFUSED_SECRET = Reply(
    "The secret is missing or wrong.",
    Problems,
    PROBLEM,
    headers={
        "WWW-Authenticate": "How to show it. API Gateway calls this header "
        "`x-amzn-Remapped-WWW-Authenticate`."
    },
)
THROTTLED = Reply(
    "Too many requests at once.",
    ofrep.GATEWAY_FAILURE,
    headers={"Retry-After": "Whole seconds to wait."},
)

_AGAIN = {"Retry-After": "Whole seconds to wait."}
GATEWAY_FAILED: Mapping[int, Reply] = {
    500: Reply("API Gateway could not carry it out.", ofrep.GATEWAY_FAILURE, headers=_AGAIN),
    502: Reply("The function ended without an answer.", ofrep.GATEWAY_FAILURE, headers=_AGAIN),
    504: Reply("The function was not reached, or took too long.", ofrep.GATEWAY_FAILURE),
}
"""What API Gateway answers where nothing else can; a change may have gone in or not.

The statuses are those of its own responses, such as INTEGRATION_TIMEOUT, and of a Lambda function
that fails:
https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
"""


_REFUSED: Mapping[Auth, Mapping[int, Reply]] = {
    "api_key": {403: REFUSED_KEY},
    "iam": {403: REFUSED_SIGNATURE},
    "secret": {
        401: REFUSED_SECRET,
        403: Reply("API Gateway turned it away, as by a web ACL.", ofrep.GATEWAY_FAILURE),
    },
}


def problem(about: str, **headers: str) -> Reply:
    """An answer that is a problem document."""
    return Reply(about, Problems, PROBLEM, headers)


def ok(about: str, model: type[BaseModel], **headers: str) -> dict[int, Reply]:
    """The answer to what went well."""
    return {200: Reply(about, model, headers=headers)}


def always(auth: Auth) -> dict[int, Reply]:
    """What any route may answer but the lookups', which have a protocol of their own."""
    return {
        400: problem("Something in the request is wrong; nothing was changed."),
        **_REFUSED[auth],
        413: Reply("The request is longer than 10 MB.", ofrep.GATEWAY_FAILURE),
        429: THROTTLED,
        **GATEWAY_FAILED,
        500: _or_gateway("Something went wrong here; it was logged."),
        503: _or_gateway("The store did not answer."),
    }


def _or_gateway(about: str) -> Reply:
    """A problem of the function, or the same status of API Gateway."""
    others = {JSON: ofrep.GATEWAY_FAILURE}
    return Reply(about, Problems, PROBLEM, headers=_AGAIN, others=others)


def too_long(about: str) -> Reply:
    """A body that the function, or already API Gateway, finds too long."""
    return Reply(about, Problems, PROBLEM, others={JSON: ofrep.GATEWAY_FAILURE})


def merged(*replies: Mapping[int, Any]) -> dict[int, Any]:
    """All of them in the order of their statuses; later ones win."""
    found = {status: one for several in replies for status, one in several.items()}
    return dict(sorted(found.items()))
