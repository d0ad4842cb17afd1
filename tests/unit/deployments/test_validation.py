import json
import threading
from collections import Counter
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from greenlane.deployments.declaring.config import ValidationTest, WarmUp
from greenlane.deployments.model import Probe
from greenlane.deployments.stepping.validation import Reply, fetch, validate_slot, wrong_with
from greenlane.errors import ValidationFailed
from tests.builders import deployment

NO_WARM_UP = WarmUp(requests=0)


class Target:
    """A task that answers by a table of `path: answers`; the last answer repeats."""

    def __init__(self):
        self.answers = {}
        self.seen = []
        self.lock = threading.Lock()
        target = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                with target.lock:
                    target.seen.append((self.command, self.path, dict(self.headers), body))
                    answers = target.answers.get(self.path, [(200, b'{"status": "ok"}')])
                    status, content = answers[0]
                    if len(answers) > 1:
                        answers.pop(0)
                if status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_POST = do_HEAD = do_PUT = handle_one  # noqa: N815

            def log_message(self, *arguments):
                del arguments

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def targets():
    made = [Target(), Target()]
    yield made
    for target in made:
        target.close()


def probe(targets, *tests, warm_up=NO_WARM_UP):
    tests = tuple(ValidationTest.model_validate({"name": "a test"} | test) for test in tests)
    return deployment(
        probe=Probe(targets=tuple(target.url for target in targets), tests=tests, warm_up=warm_up)
    )


def validated(targets, *tests, **more):
    pauses = []
    answer = validate_slot(probe(targets, *tests, **more), sleep=pauses.append)
    return answer, pauses


def test_every_target_is_tested_itself(targets):
    answer, _ = validated(targets, {"path": "/health"}, {"path": "/ready"})
    for target in targets:
        assert [path for _, path, _, _ in target.seen] == ["/health", "/ready"]
    assert answer.probe is None
    assert answer.note.startswith("2 tests on 2 tasks passed")


def test_one_bad_target_of_two_fails_the_slot_and_is_named(targets):
    targets[1].answers["/health"] = [(500, b"no")]
    with pytest.raises(ValidationFailed, match="status 500, expected 200") as failed:
        validated(targets, {"path": "/health", "retries": 0})
    assert targets[1].url in str(failed.value)


def test_a_test_is_tried_again_with_a_pause(targets):
    targets[0].answers["/health"] = [(503, b""), (0, b""), (200, b"")]
    _, pauses = validated(targets[:1], {"path": "/health", "retries": 2})
    assert len(pauses) == 2
    assert len(targets[0].seen) == 3


def test_retries_end(targets):
    targets[0].answers["/health"] = [(503, b"")]
    with pytest.raises(ValidationFailed, match="after 3 attempts"):
        validated(targets[:1], {"path": "/health", "retries": 2})
    assert len(targets[0].seen) == 3


def test_method_headers_and_body_are_sent(targets):
    test = {"path": "/echo", "method": "POST", "headers": {"X-Who": "ada"}, "body": '{"a": 1}'}
    validated(targets[:1], test)
    ((method, _, headers, body),) = targets[0].seen
    assert (method, headers["X-Who"], body) == ("POST", "ada", b'{"a": 1}')


def test_nobody_listening_is_a_failed_test(targets):
    gone = targets.pop()
    gone.close()
    with pytest.raises(ValidationFailed, match="no answer"):
        validated([gone], {"path": "/health", "retries": 0})
    targets.append(Target())


def test_without_targets_nothing_is_valid():
    for nothing in (None, Probe(targets=())):
        with pytest.raises(ValidationFailed, match="no target"):
            validate_slot(deployment(probe=nothing))


def test_warm_up_reaches_each_path_of_each_task(targets):
    warm_up = WarmUp(paths=("/a", "/b"), requests=3, concurrency=2)
    answer, _ = validated(targets, warm_up=warm_up)
    for target in targets:
        assert Counter(path for _, path, _, _ in target.seen) == {"/a": 3, "/b": 3}
    assert "12 warm-up requests" in answer.note


@pytest.mark.parametrize("answer", [(500, b""), (0, b"")])
def test_a_warm_up_that_mostly_fails_fails_the_slot(targets, answer):
    targets[0].answers["/a"] = targets[1].answers["/a"] = [(200, b""), answer]
    with pytest.raises(ValidationFailed, match=r"9 of 10 requests failed, such as /a on http"):
        validated(targets, warm_up=WarmUp(paths=("/a",), requests=5, concurrency=1))


def test_a_warm_up_is_no_test_a_few_failures_decide_nothing(targets):
    targets[1].answers["/a"] = [(500, b""), (404, b"")]
    validated(targets, warm_up=WarmUp(paths=("/a",), requests=2))


def test_an_answer_is_timed(targets):
    reply = fetch(targets[0].url, "/health")
    assert (reply.status, json.loads(reply.body)) == (200, {"status": "ok"})
    assert 0 < reply.milliseconds < 5000


def wrong(test, *, status=200, body=b"", milliseconds=5):
    reply = Reply(status=status, body=body, milliseconds=Decimal(milliseconds))
    return wrong_with(reply, ValidationTest.model_validate({"name": "t"} | test))


def test_status_latency_and_body_are_compared():
    assert wrong({}) is None
    assert wrong({}, status=204) == "status 204, expected 200"
    assert wrong({"expect_status": 404}, status=404) is None
    assert wrong({"max_latency": 100}, milliseconds=101) == "101 ms, allowed 100 ms"
    assert wrong({"max_latency": 100}, milliseconds=100) is None
    assert wrong({"expect_body": "ready"}, body=b"almost ready") is None
    assert "does not contain" in wrong({"expect_body": "ready"}, body=b"starting")


BODY = b'{"status": "ok", "db": {"pool": {"free": 3}}, "a.b": 1, "list": [1, 2]}'


@pytest.mark.parametrize(
    ("expected", "problem"),
    [
        ({"status": "ok"}, None),
        ({"status": "down"}, "status is 'ok', expected 'down'"),
        ({"db": {"pool": {"free": 3}}}, None),
        ({"db.pool.free": 3}, None),
        ({"db.pool.free": 4}, "db.pool.free is 3, expected 4"),
        ({"db": {"pool": {"free": 4}}}, "db: pool: free is 3, expected 4"),
        ({"db": {"pool.free": 3}}, None),
        ({"a.b": 1}, None),
        ({"list": [1, 2]}, None),
        ({"list": [1]}, "list is [1, 2], expected [1]"),
        ({"gone": None}, "the body has no gone"),
        ({"status.code": 1}, "the body has no status.code"),
        ({"db": {}}, None),
        ({"status": {}}, "status is 'ok', expected {}"),
    ],
)
def test_json_is_compared_as_a_subset_by_keys_or_paths(expected, problem):
    assert wrong({"expect_json": expected}, body=BODY) == problem


def test_what_is_no_json_object_fails_a_json_test():
    assert wrong({"expect_json": {"a": 1}}, body=b"<html>") == "the body is not JSON"
    assert wrong({"expect_json": {"a": 1}}, body=b"[1]") == "the body has no a"
