import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from greenlane.local.loadgen import LoadGenerator, Snapshot
from tests.unit.local.data_plane import wait_until


class Handler(BaseHTTPRequestHandler):
    """A server whose paths say what goes wrong."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/cut":
            self.connection.close()
            self.close_connection = True
            return
        if self.path == "/late":
            time.sleep(1.0)
        self.send_response(500 if self.path == "/error" else 200)
        self.send_header("X-Version", "2.0.0" if "v=2" in self.headers.get("Cookie", "") else "1")
        self.send_header("Set-Cookie", "v=2; Path=/")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Connections that clients gave up on are no news."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def run(load: LoadGenerator, requests: int = 20) -> Snapshot:
    with load:
        wait_until(lambda: load.snapshot().sent >= requests)
        return load.stop()


def test_every_request_sent_is_counted_with_its_version(url: str) -> None:
    snapshot = run(LoadGenerator(url, 200, 10), 100)

    assert snapshot.sent == snapshot.ok >= 100
    # A client without its cookie is answered by version 1, once.
    assert snapshot.by_version()["1"]["ok"] >= 10
    assert snapshot.by_version()["2.0.0"]["ok"] == snapshot.sent - snapshot.by_version()["1"]["ok"]
    assert sum(one.count for one in snapshot.counts) == snapshot.sent


@pytest.mark.parametrize(
    ("path", "outcomes"),
    [
        ("/error", {"500"}),
        ("/cut", {"NoAnswer", "ConnectionResetError"}),
        ("/late", {"timeout"}),
    ],
)
def test_a_failure_is_counted_and_never_retried(url: str, path: str, outcomes: set[str]) -> None:
    load = LoadGenerator(url, 50, 5, paths=(path,), timeout_seconds=0.4)
    snapshot = run(load)

    assert snapshot.ok == 0
    assert snapshot.failed == snapshot.sent
    assert set(snapshot.failures()) <= outcomes
    assert snapshot.as_json()["failed"] == snapshot.sent


def test_a_refused_connection_is_a_failure() -> None:
    snapshot = run(LoadGenerator("http://127.0.0.1:9", 50, 5))

    assert snapshot.failures() == {"ConnectionRefusedError": snapshot.sent}


def test_a_request_belongs_to_the_phase_it_left_in(url: str) -> None:
    load = LoadGenerator(url, 100, 5)
    load.start()
    load.phase("before")
    wait_until(lambda: load.snapshot().by_version("before"))
    load.phase("after")
    wait_until(lambda: load.snapshot().by_version("after"))
    snapshot = load.stop()

    phases = {one.phase for one in snapshot.counts}
    assert {"before", "after"} <= phases <= {"", "before", "after"}


def test_the_rate_is_kept_whatever_becomes_of_the_requests(url: str) -> None:
    load = LoadGenerator(url, 100, 5, paths=("/late",), timeout_seconds=5)
    with load:
        wait_until(lambda: load.snapshot().sent > 0)
        began, before = time.monotonic(), load.snapshot().sent
        wait_until(lambda: load.snapshot().sent >= before + 100)
        seconds = time.monotonic() - began

    # Five clients that wait a second for each answer would take 20 seconds.
    assert seconds < 5
