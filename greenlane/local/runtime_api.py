"""The Lambda Runtime API for the function processes, one path prefix each.

The protocol is AWS's (docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html): the process asks
for the next invocation and is kept waiting until there is one, then posts its response or error.
"""

import json
import queue
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_VERSION = "/2018-06-01/runtime"


@dataclass(frozen=True)
class Outcome:
    """What an invocation gave: a payload, and whether it is an error document."""

    payload: bytes
    is_error: bool = False


@dataclass
class Invocation:
    """One call of a function.

    `started` is set when the process has taken it (its initialisation is over), `done` when
    there is an outcome. `timeout` is in real seconds from the start, or to `deadline`, in Unix
    seconds, where the initialisation is a part of it.
    """

    id: str
    payload: bytes
    arn: str
    timeout: float
    deadline: float | None = None
    started: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)
    outcome: Outcome | None = None

    def finish(self, outcome: Outcome) -> None:
        """Set the outcome; only the first counts."""
        if not self.done.is_set():
            self.outcome = outcome
            self.done.set()
        self.started.set()


class Instance:
    """One function process as the Runtime API sees it; it handles one invocation at a time."""

    def __init__(self, name: str) -> None:
        """See the class."""
        self.name = name
        self.ended = threading.Event()
        self.invocation: Invocation | None = None
        self.failure: Outcome | None = None
        self._inbox: queue.SimpleQueue[Invocation | None] = queue.SimpleQueue()

    def offer(self, invocation: Invocation) -> None:
        """Give the process its next invocation."""
        self.invocation = invocation
        if self.ended.is_set():
            self.end("Runtime exited before the invocation")
        self._inbox.put(invocation)

    def take_back(self) -> bool:
        """Keep the process from what it was offered; False if it has that already, or has ended."""
        try:
            offered = self._inbox.get_nowait()
        except queue.Empty:
            return False
        if offered is None or offered.done.is_set():
            return False
        self.invocation = None
        return True

    def next(self) -> Invocation | None:
        """Wait for the next invocation; None when the process has ended."""
        return self._inbox.get()

    def answer(self, invocation_id: str, outcome: Outcome) -> bool:
        """Finish the invocation in hand; False if the process answers another one."""
        invocation = self.invocation
        if invocation is None or invocation.id != invocation_id:
            return False
        invocation.finish(outcome)
        return True

    def fail(self, outcome: Outcome) -> None:
        """It could not be initialised: it ends now, and whoever waits for it is told why.

        That may come before it is offered anything, and before its end is known.
        """
        self.failure = outcome
        self.end("Runtime failed to start")

    def end(self, reason: str) -> None:
        """The process is gone: whoever waits for it gets Lambda's own error document."""
        self.ended.set()
        self._inbox.put(None)
        invocation = self.invocation
        if invocation is not None:
            message = f"RequestId: {invocation.id} Error: {reason}"
            exited = error_outcome("Runtime.ExitError", message)
            invocation.finish(self.failure or exited)


def error_outcome(kind: str, message: str) -> Outcome:
    """An error document of the Lambda service itself."""
    document = {"errorType": kind, "errorMessage": message}
    return Outcome(json.dumps(document).encode(), is_error=True)


class RuntimeApi:
    """Serves the Runtime API for all function processes on one port."""

    def __init__(self) -> None:
        """See the class."""
        self.instances: dict[str, Instance] = {}
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.instances = self.instances
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, name="runtime-api"
        )

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"127.0.0.1:{self._http.server_port}"

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving; the processes must have ended."""
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    instances: dict[str, Instance]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Without this each answer waits 40 ms for the peer's delayed acknowledgement.
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def do_GET(self) -> None:
        """`invocation/next`: wait until there is something to do."""
        instance, operation = self._target()
        if instance is None or operation != f"{_VERSION}/invocation/next":
            return self._send(404)
        invocation = instance.next()
        if invocation is None:
            self.close_connection = True
            return None
        deadline = invocation.deadline or time.time() + invocation.timeout
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(int(deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": invocation.arn,
            "Lambda-Runtime-Trace-Id": _trace_id(invocation.id),
        }
        invocation.started.set()
        return self._send(200, invocation.payload, headers)

    def do_POST(self) -> None:
        """A response, an error, or an error of the initialisation."""
        instance, operation = self._target()
        body = self._body()
        if instance is None:
            return self._send(404)
        if operation == f"{_VERSION}/init/error":
            instance.fail(Outcome(body, is_error=True))
            return self._send(202)
        invocation_id, _, kind = operation.removeprefix(f"{_VERSION}/invocation/").partition("/")
        outcome = Outcome(body, is_error=kind == "error")
        return self._send(202 if instance.answer(invocation_id, outcome) else 400)

    def _target(self) -> tuple[Instance | None, str]:
        name, _, operation = self.path[1:].partition("/")
        return self.server.instances.get(name), "/" + operation

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def handle(self) -> None:
        """Serve until the process goes away, which is no error."""
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def finish(self) -> None:
        """Close; the process may have gone before."""
        try:
            super().finish()
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing goes to the terminal."""


def _trace_id(invocation_id: str) -> str:
    digits = invocation_id.replace("-", "")
    root = f"1-{int(time.time()):08x}-{digits[:24]}"
    return f"Root={root};Parent={digits[:16]};Sampled=0"
