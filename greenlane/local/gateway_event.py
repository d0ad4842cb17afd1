"""Requests as events of API Gateway's REST proxy, and what functions answer as HTTP again.

Documented at docs.aws.amazon.com/apigateway/latest/developerguide under "Lambda proxy
integrations".
"""

import base64
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from moto.apigateway.models import ApiKey, RestAPI

from greenlane.local.gateway_access import Denied, Principal
from greenlane.local.gateway_routing import Found


@dataclass
class Call:
    """One request: `path` is below the stage and percent-encoded, `headers` by lower case."""

    method: str
    api: str
    stage: str
    path: str
    query: str
    sent: list[tuple[str, str]]
    body: bytes
    address: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    principal: Principal | None = None
    key: ApiKey | None = None

    @classmethod
    def of(
        cls, method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes, address: str
    ) -> "Call":
        """The request of a target such as `/<api>/<stage>/v1/flags?x=1`."""
        path, _, query = target.partition("?")
        _, api, stage, rest = (*path.split("/", 3), "", "", "")[:4]
        return cls(method, api, stage, f"/{rest}", query, list(headers), body, address)

    @property
    def headers(self) -> dict[str, str]:
        """By names in lower case; of one that was sent twice, both."""
        found: dict[str, str] = {}
        for name, value in self.sent:
            low = name.lower()
            found[low] = f"{found[low]},{value}" if low in found else value
        return found

    @property
    def signed_url(self) -> str:
        """The URL as its sender signed it."""
        query = f"?{self.query}" if self.query else ""
        return f"http://{self.headers.get('host', '')}/{self.api}/{self.stage}{self.path}{query}"


@dataclass
class Reply:
    """A whole answer."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


def function_arn(uri: str) -> str:
    """The function in the URI of an integration."""
    return uri.partition("/functions/")[2].removesuffix("/invocations")


def event_of(call: Call, found: Found, account: str, now: datetime) -> dict[str, Any]:
    """The event of one request.

    Args:
        call: the request.
        found: the resource that it means.
        account: the API's.
        now: virtual time.
    """
    query = parse_qsl(call.query, keep_blank_values=True)
    forwarded = [("X-Forwarded-Proto", "http"), ("X-Forwarded-For", call.address)]
    headers = [*call.sent, *forwarded]
    return {
        "resource": found.node.path,
        "path": call.path,
        "httpMethod": call.method,
        "headers": dict(headers),
        "multiValueHeaders": _several(headers),
        "queryStringParameters": dict(query) or None,
        "multiValueQueryStringParameters": _several(query) or None,
        "pathParameters": dict(found.parameters) or None,
        "stageVariables": None,
        "requestContext": {
            "accountId": account,
            "apiId": call.api,
            "stage": call.stage,
            "requestId": call.id,
            "extendedRequestId": call.id,
            "httpMethod": call.method,
            "resourcePath": found.node.path,
            "path": f"/{call.stage}{call.path}",
            "protocol": "HTTP/1.1",
            "requestTime": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "requestTimeEpoch": int(now.timestamp() * 1000),
            # In AWS the API's id is part of the name, here of the path.
            "domainName": f"{call.headers.get('host', '')}/{call.api}",
            "identity": _identity(call, account),
        },
        "body": call.body.decode("utf-8", "replace") if call.body else None,
        "isBase64Encoded": False,
    }


def _several(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _identity(call: Call, account: str) -> dict[str, Any]:
    signed, key = call.principal, call.key
    return {
        "sourceIp": call.address,
        "userAgent": call.headers.get("user-agent"),
        "accessKey": signed.access_key if signed else None,
        "accountId": account if signed else None,
        "caller": signed.access_key if signed else None,
        "user": signed.access_key if signed else None,
        "userArn": signed.arn if signed else None,
        "apiKey": key.value if key else None,
        "apiKeyId": key.id if key else None,
        "cognitoIdentityId": None,
        "cognitoIdentityPoolId": None,
    }


def reply_of(payload: bytes | str) -> Reply:
    """What a function answered.

    Raises:
        Denied: it is no answer of a proxy integration.
    """
    try:
        answer = json.loads(payload)
        status = answer["statusCode"]
        headers = _headers(answer)
        body = answer.get("body") or ""
        if not isinstance(body, str) or isinstance(status, bool) or not 100 <= int(status) < 600:
            raise ValueError("no status, or no text")
        raw = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Denied("DEFAULT_5XX", 502, "Internal server error") from None
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    return Reply(int(status), headers, raw)


def _headers(answer: Mapping[str, Any]) -> list[tuple[str, str]]:
    several: Mapping[str, list[Any]] = answer.get("multiValueHeaders") or {}
    taken = {name.lower() for name in several}
    single = [
        (name, str(value))
        for name, value in (answer.get("headers") or {}).items()
        if name.lower() not in taken
    ]
    return single + [(name, str(value)) for name, values in several.items() for value in values]


def denied(api: RestAPI, call: Call, error: Denied) -> Reply:
    """The API's gateway response to what was refused, or API Gateway's own."""
    default = "DEFAULT_5XX" if error.status >= 500 else "DEFAULT_4XX"
    answers = api.gateway_responses
    answer = answers.get(error.type) or answers.get(default)
    template, status = '{"message":$context.error.messageString}', error.status
    headers = [("Content-Type", "application/json"), ("x-amzn-ErrorType", error.type)]
    if answer is not None:
        status = int(answer.status_code or status)
        template = (answer.response_templates or {}).get("application/json", template)
        headers += [
            (name.removeprefix("gatewayresponse.header."), str(value).strip("'"))
            for name, value in (answer.response_parameters or {}).items()
        ]
    values = {
        "$context.error.messageString": json.dumps(error.message),
        "$context.error.message": error.message,
        "$context.error.responseType": error.type,
        "$context.requestId": call.id,
    }
    for name, value in values.items():
        template = template.replace(name, value)
    return Reply(status, headers, template.encode())
