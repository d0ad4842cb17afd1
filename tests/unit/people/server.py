"""An HTTP server on this machine that answers what a test tells it to, and remembers."""

import json
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from greenlane.people import posting
from greenlane.people.posting import Answer


@dataclass(frozen=True)
class Got:
    """One request: its path begins with the name of the host it was meant for."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class Server:
    """Answers every request alike, or those to a host as `answers` says.

    An answer is a status, a status with a body, or a word: `hang`, `drip`, `cut`, `echo`.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.got: list[Got] = []
        self.answer: Any = (200, b"ok")
        self.answers: dict[str, Any] = {}
        self.over = threading.Event()
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.script = self
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}
        )
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._http.server_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """The real thing, but every address leads here."""
        parts = posting._parts(url)
        return posting.post(f"{self.url}/{parts.hostname}{parts.path}", body, headers)

    def to(self, host: str) -> list[Got]:
        """What was meant for a host."""
        return [got for got in self.got if got.path.startswith(f"/{host}")]

    def stop(self) -> None:
        self.over.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    script: Server

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def do_POST(self) -> None:
        script = self.server.script
        body = self.rfile.read(int(self.headers["Content-Length"]))
        script.got.append(Got(self.path, dict(self.headers.items()), body))
        answer = script.answers.get(self.path.split("/")[1], script.answer)
        if answer == "hang":
            script.over.wait(30)
            return
        if answer == "cut":
            self.close_connection = True
            return
        if answer == "drip":
            self._drip()
            return
        if answer == "echo":
            told = str(self.headers).encode() + self.path.encode() + body
            reasons = {"error": told.decode(), "message": "no", "errors": [told.decode()]}
            answer = (400, json.dumps(reasons).encode())
        status, content = answer if isinstance(answer, tuple) else (answer, b"")
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", f"{script.url}/elsewhere")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _drip(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not self.server.script.over.is_set():
            self.wfile.write(b".")
            self.wfile.flush()
            time.sleep(0.02)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""
