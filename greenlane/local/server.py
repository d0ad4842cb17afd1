"""The local endpoint of the AWS API: a moto server in this process, journalled call by call."""

import functools
import io
import json
import logging
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from socket import SHUT_RDWR, socket
from typing import Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from greenlane.local import moto_speed
from greenlane.local.context import ApiCall
from greenlane.local.journal import After, Before, Journal, Reply, Request
from greenlane.local.patches import Patches

_log = logging.getLogger(__name__)

# moto's backends are plain dictionaries: a conditional write is only atomic when nothing else
# of that service runs beside it. These four are left out because a call may wait (a function,
# a long poll) or because moto calls back into another of them while it answers.
_CONCURRENT = frozenset({"lambda", "sqs", "sns", "s3"})

# Moto's application for a service; it holds no state of a cloud, and takes long to make.
_backend_app = functools.cache(create_backend_app)


@dataclass
class HttpReply:
    """A whole answer."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


Route = Callable[[Request], HttpReply]
Written = Callable[[Request, HttpReply], None]


class LocalServer:
    """Serves moto on a free port of the loopback interface, with HTTP/1.1 keep-alive.

    `before` hooks see each signed request first and may answer in moto's place; `after` hooks
    see moto's answer and may replace it. A hook that raises `ConnectionError` cuts the
    connection without an answer. `routes` serves other paths by prefix. `written` hooks see a call
    and moto's answer before another call of that service can begin.
    """

    def __init__(self, journal: Journal) -> None:
        """See the class."""
        self.journal = journal
        self.before: list[Before] = []
        self.after: list[After] = []
        self.written: list[Written] = []
        self.routes: dict[str, Route] = {}
        self._moto = DomainDispatcherApplication(_backend_app)
        self._patches = Patches()
        self._locks: dict[str, threading.RLock] = defaultdict(threading.RLock)
        self._connections: set[socket] = set()
        http: Any = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=_Handler
        )
        http.connections = self._connections
        self._http = http
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, name="aws-endpoint"
        )

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        return int(self._http.server_port)

    @property
    def url(self) -> str:
        """The endpoint URL for AWS clients."""
        return f"http://127.0.0.1:{self.port}"

    def alone(self, service: str) -> threading.RLock:
        """What to hold so that no call of a service is answered meanwhile."""
        return self._locks[service]

    def start(self) -> None:
        """Begin to serve."""
        moto_speed.patch(self._patches)
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and cut the open connections."""
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        for connection in list(self._connections):
            _cut(connection)
        self._patches.undo()

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """The WSGI application: routes, hooks, journal, moto."""
        request = _request_of(environ)
        route = self._route(request.path)
        reply: Reply = route(request) if route else self._journalled(request, environ)
        start_response(f"{reply.status} -", reply.headers)
        return [reply.body]

    def _route(self, path: str) -> Route | None:
        return next((r for prefix, r in self.routes.items() if path.startswith(prefix)), None)

    def _journalled(self, request: Request, environ: dict[str, Any]) -> Reply:
        """Answer a request of the AWS API, and record it if it was signed."""
        self.journal.identify(request)
        began, at = time.perf_counter(), time.time()
        status = 0
        try:
            reply = self._hooked(request, environ)
            status = reply.status
            return reply
        finally:
            if request.service:
                seconds = time.perf_counter() - began
                call = ApiCall(
                    at, seconds, request.caller, request.service, request.operation, status
                )
                self.journal.add(call)

    def _hooked(self, request: Request, environ: dict[str, Any]) -> Reply:
        for before in self.before:
            early = before(request)
            if early is not None:
                return early
        if request.service in _CONCURRENT or not request.service:
            reply: Reply = self._ask_moto(environ)
        else:
            with self._locks[request.service]:
                reply = self._ask_moto(environ)
                for written in self.written:
                    written(request, reply)
        for after in self.after:
            reply = after(request, reply) or reply
        return reply

    def _ask_moto(self, environ: dict[str, Any]) -> HttpReply:
        reply = HttpReply(500)

        def start(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
            reply.status, reply.headers = int(status.split()[0]), headers

        try:
            reply.body = b"".join(self._moto(environ, start))
        except Exception:
            # Whatever moto's fault is, the caller gets AWS's own answer to a fault: a 500.
            _log.exception("moto could not answer %s", environ["RAW_URI"])
            error = {"__type": "InternalFailure", "message": traceback.format_exc(limit=-1)}
            return HttpReply(
                500, [("Content-Type", "application/json")], json.dumps(error).encode()
            )
        return reply


def _request_of(environ: dict[str, Any]) -> Request:
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    # The raw path: a function's ARN arrives percent-encoded and stays one path segment.
    path, _, query = environ["RAW_URI"].partition("?")
    body = environ["wsgi.input"].getvalue()
    return Request(environ["REQUEST_METHOD"], path, query, headers, body)


def _cut(connection: socket) -> None:
    try:
        connection.shutdown(SHUT_RDWR)
    except OSError:
        return  # the other side was first


class _Handler(MotoRequestHandler):
    """Reads whole requests and writes whole answers, so that a connection can be kept.

    werkzeug's own handler closes each connection and lingers 10 ms to drain it.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Any

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        try:
            super().finish()
        except ConnectionError:
            self.close_connection = True

    def run_wsgi(self) -> None:
        if self.headers.get("Expect", "").lower().strip() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.flush()
        environ = self.environ = self.make_environ()
        chunked = environ.pop("wsgi.input_terminated", False)
        length = None if chunked else int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length) if length != 0 else b""
        if length is not None and len(body) < length:
            # Its sender is gone in the middle of it: a function that was killed.
            self.close_connection = True
            return
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ["CONTENT_LENGTH"] = str(len(body))
        environ["wsgi.input"] = io.BytesIO(body)
        try:
            content = b"".join(self.server.app(environ, self._start))
        except ConnectionError:
            self.close_connection = True
            _cut(self.connection)
            return
        self._send(content)

    def _start(self, status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        self._status, self._reply_headers = int(status.split()[0]), headers

    def _send(self, content: bytes) -> None:
        self.send_response(self._status)
        has_body = self._status not in (204, 304) and self.command != "HEAD"
        ours = {"transfer-encoding", "connection"} | ({"content-length"} if has_body else set())
        for name, value in self._reply_headers:
            if name.lower() not in ours:
                self.send_header(name, value)
        if has_body:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if has_body:
            self.wfile.write(content)
        self.wfile.flush()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """The journal keeps the calls; nothing goes to the terminal."""
