"""API Gateway's REST APIs over HTTP: moto keeps what they consist of, this answers requests.

An API's stage is at `http://127.0.0.1:PORT/<api id>/<stage>`. A request goes as it does in AWS:
route, authorisation, API key, throttle, integration; what is refused on the way gets the API's own
gateway response. What a stage serves is what there was at its deployment's first request, not what
was changed since.

Integrations are functions (`AWS_PROXY`) and `MOCK` without templates of the answer.
"""

import contextlib
import json
import logging
import socket
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from moto.apigateway.models import APIGatewayBackend, RestAPI, apigateway_backends
from moto.awslambda.models import lambda_backends

from greenlane.local.context import ACCOUNT_ID, LocalContext
from greenlane.local.gateway_access import Buckets, Denied, check_key, check_signature
from greenlane.local.gateway_event import Call, Reply, denied, event_of, function_arn, reply_of
from greenlane.local.gateway_routing import Found, Node, find, tree

MOST_BYTES = 10 * 1024 * 1024
"""Of a request's body, as in AWS."""

_log = logging.getLogger(__name__)


class Gateway:
    """The REST APIs of one local cloud.

    Args:
        context: the cloud it belongs to.
    """

    def __init__(self, context: LocalContext) -> None:
        """See the class."""
        self._region = context.region
        self._clock = context.clock
        self._accesses = context.directory / "logs" / "gateway.log"
        self._backend: APIGatewayBackend = apigateway_backends[ACCOUNT_ID][context.region]
        self._buckets = Buckets()
        self._deployed: dict[tuple[str, str], Node] = {}
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        gateway = self

        class Handler(_Handler):
            answer = gateway._answer
            connections = gateway._connections

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, name="gateway"
        )

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and cut the connections that are kept open."""
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):  # the other side was first
                connection.shutdown(socket.SHUT_RDWR)

    def url(self, api: str, stage: str) -> str:
        """Where a stage can be reached.

        Args:
            api: the API's name, or its id.
            stage: the stage's name.

        Raises:
            LookupError: there is no such API, or no such stage.
        """
        for one in list(self._backend.apis.values()):
            if api in (one.name, one.id) and stage in one.stages:
                return f"http://127.0.0.1:{self._http.server_port}/{one.id}/{stage}"
        raise LookupError(f"no stage {stage!r} of an API {api!r}")

    def urls(self) -> dict[str, dict[str, str]]:
        """All stages, by the name of their API."""
        return {
            str(api.name): {stage: self.url(api.id, stage) for stage in list(api.stages)}
            for api in list(self._backend.apis.values())
        }

    def key(self, name: str) -> str:
        """The value of an API key; raises `LookupError` when there is none of that name."""
        for one in list(self._backend.keys.values()):
            if one.name == name:
                return str(one.value)
        raise LookupError(f"no API key {name!r}")

    def _answer(self, call: Call) -> Reply:
        api = self._backend.apis.get(call.api)
        if api is None or call.stage not in api.stages:
            # AWS answers so in the name of no API: there is nothing to take a body from.
            return Reply(403, [("Content-Type", "application/json")], b'{"message":"Forbidden"}')
        try:
            reply = self._handled(api, call)
        except Denied as error:
            reply = denied(api, call, error)
        self._write(call, reply)
        return reply

    def _handled(self, api: RestAPI, call: Call) -> Reply:
        if len(call.body) > MOST_BYTES:
            raise Denied("REQUEST_TOO_LARGE", 413, "Request Too Long")
        found = find(self._served(api, call.stage), call.path, call.method)
        if found is None:
            raise Denied("MISSING_AUTHENTICATION_TOKEN", 403, "Missing Authentication Token")
        method = found.node.methods.get(call.method) or found.node.methods["ANY"]
        if method["authorizationType"] == "AWS_IAM":
            call.principal = check_signature(
                self._region, call.method, call.signed_url, call.headers, call.body
            )
        elif method["authorizationType"] != "NONE":
            raise Denied("AUTHORIZER_CONFIGURATION_ERROR", 500, method["authorizationType"])
        if method["apiKeyRequired"]:
            given = call.headers.get("x-api-key", "")
            call.key = check_key(self._backend, self._buckets, call.api, call.stage, given)
        return self._integrated(found, method["methodIntegration"], call)

    def _integrated(self, found: Found, integration: dict[str, Any], call: Call) -> Reply:
        if integration["type"] == "MOCK":
            return _mocked(integration)
        if integration["type"] != "AWS_PROXY":
            raise Denied("INTEGRATION_FAILURE", 500, f"no {integration['type']} here")
        arn = function_arn(integration["uri"])
        try:
            function = lambda_backends[ACCOUNT_ID][self._region].get_function(arn)
        except Exception:
            # moto's error depends on what of the ARN is not there.
            _log.exception("no function %s", arn)
            raise Denied("INTEGRATION_FAILURE", 500, "Internal server error") from None
        told: dict[str, str] = {}
        event = event_of(call, found, ACCOUNT_ID, self._clock.now())
        payload: Any = function.invoke(json.dumps(event), {}, told)
        if told.get("x-amz-function-error"):
            raise Denied("DEFAULT_5XX", 502, "Internal server error")
        return reply_of(payload)

    def _served(self, api: RestAPI, stage: str) -> Node:
        """What the stage's deployment saw."""
        place = (str(api.id), str(api.stages[stage].deployment_id))
        with self._lock:
            if place not in self._deployed:
                self._deployed[place] = tree(
                    (
                        resource.get_path(),
                        {
                            name: method.to_json()
                            for name, method in list(resource.resource_methods.items())
                        },
                    )
                    for resource in list(api.resources.values())
                )
            return self._deployed[place]

    def _write(self, call: Call, reply: Reply) -> None:
        """The access log: who asked for what, and nothing of bodies or keys."""
        line = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "requestId": call.id,
            "stage": call.stage,
            "httpMethod": call.method,
            "path": call.path,
            "status": reply.status,
            "userArn": call.principal.arn if call.principal else None,
            "apiKeyId": call.key.id if call.key else None,
        }
        with self._lock, self._accesses.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")


def _mocked(integration: dict[str, Any]) -> Reply:
    """The default answer of a mock, with the headers that are written out there."""
    for status, one in (integration.get("integrationResponses") or {}).items():
        if not one.get("selectionPattern"):
            given = one.get("responseParameters") or {}
            headers = [
                (name.removeprefix("method.response.header."), value.strip("'"))
                for name, value in given.items()
            ]
            return Reply(int(status), headers)
    raise Denied("API_CONFIGURATION_ERROR", 500, "Internal server error")


class _Handler(BaseHTTPRequestHandler):
    """Reads whole requests and writes whole answers; connections are kept."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 60
    answer: Any
    connections: set[socket.socket]

    def setup(self) -> None:
        super().setup()
        self.connections.add(self.connection)

    def finish(self) -> None:
        self.connections.discard(self.connection)
        try:
            super().finish()
        except ConnectionError:
            self.close_connection = True

    def _serve(self) -> None:
        length = self.headers.get("Content-Length")
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = self._chunks()
        else:
            body = self.rfile.read(int(length)) if length and length.isdecimal() else b""
        call = Call.of(self.command, self.path, self.headers.items(), body, self.client_address[0])
        self._send(type(self).answer(call))

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            continue
        return b"".join(parts)

    def _send(self, reply: Reply) -> None:
        bodiless = reply.status in (204, 304) or self.command == "HEAD"
        self.send_response(reply.status)
        for name, value in reply.headers:
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        if not bodiless:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if not bodiless:
            self.wfile.write(reply.body)
        self.wfile.flush()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_HEAD = _serve

    def log_message(self, format: str, *args: Any) -> None:
        """The access log has the requests; nothing goes to the terminal."""
