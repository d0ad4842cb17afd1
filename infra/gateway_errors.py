"""What API Gateway answers by itself, with bodies that both kinds of clients understand.

Without these, OpenFeature's clients take an API's own errors for answers that are broken.
"""

import json
from collections.abc import Mapping
from typing import Any

from aws_cdk import aws_apigateway as apigateway

RETRY_SECONDS = 1

_TOLD = {
    "INVALID_API_KEY": "send an API key of this stage's usage plan as x-api-key",
    "MISSING_AUTHENTICATION_TOKEN": "there is no such route, or it wants a request that is signed "
    "by AWS Signature Version 4",
    "THROTTLED": "too many requests at once; try again after a second",
    "QUOTA_EXCEEDED": "the usage plan's quota is used up",
    "REQUEST_TOO_LARGE": "the request is too large",
    "INTEGRATION_TIMEOUT": "the function did not answer in time",
    "INTEGRATION_FAILURE": "the function could not be called",
}
"""What helps more than API Gateway's own words."""


def add_gateway_errors(api: apigateway.RestApi, shape: Mapping[str, Any], *, origin: str) -> None:
    """Give the API's own errors bodies of one shape, and let pages read them.

    Args:
        api: the API.
        shape: the JSON schema that bodies have; its required members are what is written.
        origin: which pages may read them.
    """
    names = ("DEFAULT_4XX", "DEFAULT_5XX", *_TOLD)
    for name in names:
        headers = {
            "Access-Control-Allow-Origin": f"'{origin}'",
            "Access-Control-Expose-Headers": "'ETag, Retry-After'",
        }
        if name in ("THROTTLED", "QUOTA_EXCEEDED", "DEFAULT_5XX"):
            # Whole seconds: clients misread dates and fractions.
            headers["Retry-After"] = f"'{RETRY_SECONDS}'"
        api.add_gateway_response(
            f"Error-{name}",
            type=apigateway.ResponseType.of(name),
            response_headers=headers,
            templates={"application/json": _body(name, shape["required"])},
        )


def _body(name: str, members: list[str]) -> str:
    said = json.dumps(_TOLD[name]) if name in _TOLD else "$context.error.messageString"
    values = {
        "key": '""',
        "errorCode": '"GENERAL"',
        "errorDetails": said,
        "title": '"$context.error.responseType"',
        "detail": said,
    }
    return "{" + ", ".join(f'"{member}": {values[member]}' for member in members) + "}"
