"""Which AWS API call a request is, who made it, and the record of all of them."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs

from botocore.exceptions import UnknownServiceError
from botocore.session import Session

from greenlane.local.context import ApiCall

PERSON = "person"

# Signing names that differ from the name of the service's model in botocore.
_MODELS = {
    "elasticloadbalancing": "elbv2",
    "states": "stepfunctions",
    "monitoring": "cloudwatch",
    "execute-api": "apigatewaymanagementapi",
}
# Requests in smithy's RPC protocol carry the operation in the path.
_RPC_PATH = re.compile(r"^/service/[^/]+/operation/(\w+)$")
# These differ from PutObject and UploadPart by a header only.
_COPIES = ("CopyObject", "UploadPartCopy")
_SCOPE = re.compile(r"Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")


class Reply(Protocol):
    """The answer to a request; a hook may return another one in its place."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Request:
    """One request to the local endpoint, as hooks and the journal see it.

    `service` is the signing name (`elasticloadbalancing`, `states`, `dynamodb`), `operation` the
    API operation (`ModifyRule`), `caller` the function's name, or `person`. All are empty for a
    request that is not signed.
    """

    def __init__(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> None:
        """See the class; header names are lower case."""
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.caller = self.service = self.operation = self.region = ""


Before = Callable[[Request], Reply | None]
After = Callable[[Request, Reply], Reply | None]


class Journal:
    """Names callers and operations, keeps each call in memory and in `calls.jsonl`.

    Args:
        path: the file to append to, one JSON object a line in the shape of `ApiCall`.
        calls: the list to append to.
    """

    def __init__(self, path: Path, calls: list[ApiCall]) -> None:
        """See the class."""
        self._calls = calls
        self._callers: dict[str, str] = {}
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def name_caller(self, access_key_id: str, caller: str) -> None:
        """Calls signed with this access key are `caller`'s from now on."""
        self._callers[access_key_id] = caller

    def identify(self, request: Request) -> None:
        """Fill in the caller, region, service and operation of a signed request."""
        scope = _SCOPE.search(request.headers.get("authorization", ""))
        if scope is None:
            return
        key, request.region, request.service = scope.groups()
        request.caller = self._callers.get(key, PERSON)
        request.operation = operation_of(request)

    def add(self, call: ApiCall) -> None:
        """Record one call."""
        line = json.dumps(vars(call))
        with self._lock:
            self._calls.append(call)
            if not self._file.closed:
                self._file.write(line + "\n")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()


def access_key_of(caller: str) -> str:
    """The access key id that tells one caller's calls from another's."""
    digest = hashlib.sha256(caller.encode()).digest()
    return "ASIA" + base64.b32encode(digest).decode()[:16]


def operation_of(request: Request) -> str:
    """The API operation of a signed request, or its HTTP method where no model tells it."""
    target = request.headers.get("x-amz-target", "")
    if target:
        return target.rpartition(".")[2]
    rpc = _RPC_PATH.match(request.path)
    if rpc:
        return rpc.group(1)
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        action = parse_qs(request.body.decode("utf-8", "replace")).get("Action")
        if action:
            return action[0]
    keys = set(parse_qs(request.query, keep_blank_values=True))
    for method, pattern, query, name in _rest_operations(request.service):
        if name in _COPIES and "x-amz-copy-source" not in request.headers:
            continue
        if method == request.method and query <= keys and pattern.match(request.path):
            return name
    return request.method


@lru_cache(maxsize=64)
def _rest_operations(service: str) -> list[tuple[str, re.Pattern[str], set[str], str]]:
    """(method, path pattern, query keys, operation) of a REST service, most specific first."""
    try:
        model = Session().get_service_model(_MODELS.get(service, service))
    except UnknownServiceError:
        return []
    found: list[tuple[str, re.Pattern[str], set[str], str]] = []
    for name in model.operation_names:
        http: dict[str, Any] = model.operation_model(name).http
        path, _, query = http.get("requestUri", "/").partition("?")
        pattern = re.sub(r"\\{[^}]+?\\\+\\}", ".+", re.escape(path))
        pattern = re.sub(r"\\{[^}]+?\\}", "[^/]+", pattern)
        keys = set(parse_qs(query, keep_blank_values=True))
        found.append((http.get("method", "POST"), re.compile(pattern + "/?$"), keys, name))
    return sorted(found, key=lambda row: (len(row[2]), len(row[1].pattern)), reverse=True)
