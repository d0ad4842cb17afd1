"""What a forked process has of the flags, while another thread was in the middle of it."""

import os
import threading
from collections.abc import Callable

import pytest

from greenlane.flags.evaluating.evaluation import STATIC, Evaluation
from greenlane.flags.reading.dynamo_http import StdlibSource
from greenlane.flags.reading.reader import Reader
from greenlane.flags.reading.telemetry import Telemetry
from tests.unit.flags.reading import Shelf, body

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def forked(question: Callable[[], bool]) -> bool:
    """What a forked process says within five seconds."""
    pid = os.fork()
    if pid == 0:
        said = 3
        try:
            timer = threading.Timer(5, os._exit, (4,))
            timer.daemon = True
            timer.start()
            said = 0 if question() else 1
        finally:
            os._exit(said)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) == 0


def test_a_process_forked_during_a_read_reads_for_itself() -> None:
    inside, go_on = threading.Event(), threading.Event()
    parent = os.getpid()

    class Slow(Shelf):
        def version(self, environment: str) -> int | None:
            if os.getpid() == parent:
                inside.set()
                go_on.wait(60)
            return super().version(environment)

    reader = Reader(Slow(production=body()), "production", ttl_seconds=0.0)
    thread = threading.Thread(target=reader.engine)
    thread.start()
    inside.wait(60)
    fresh = forked(lambda: reader.evaluate("f", {}).reason == STATIC)
    go_on.set()
    thread.join()

    assert fresh


def test_a_process_forked_during_a_request_has_a_lock_of_its_own() -> None:
    source = StdlibSource(
        "t",
        environ={"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
        sleep=lambda seconds: None,
    )

    def closes() -> bool:
        source.close()
        return True

    with source._lock:
        assert forked(closes)


def test_a_forked_process_counts_only_what_it_evaluated_itself() -> None:
    lines: list[str] = []
    telemetry = Telemetry("production", sampled=1, write=lines.append)
    telemetry.tell(Evaluation("f", True, "on", STATIC), 1)

    def counts() -> bool:
        telemetry.flush()
        return lines == []

    with telemetry._lock:
        assert forked(counts)
    telemetry.flush()
    assert len(lines) == 1
