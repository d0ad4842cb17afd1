"""A request, and its turns as the jobs of an action take them."""

from typing import Any, cast

from greenlane.deployments.client import Greenlane
from greenlane.pipelines.book import Book, Entry
from greenlane.pipelines.model import Asked
from greenlane.pipelines.request import NoFiles, read_asked
from greenlane.pipelines.seen import Seen
from greenlane.pipelines.serving import serve, stop
from tests.faults.wiring import TABLE
from tests.pipeline_town import EXECUTION

ENVELOPE = {"pipeline_execution_id": EXECUTION}


def asked(files: Any = None, **request: Any) -> Asked:
    return read_asked(ENVELOPE | request, files or NoFiles(), by="test")


class Pipeline:
    """Turns of one request, as the jobs of an action take them."""

    def __init__(self, greenlane: Any, request: Asked) -> None:
        self.greenlane = cast(Greenlane, greenlane)
        self.requests = Book(greenlane.connection.client("dynamodb"), TABLE)
        self.request = request
        self._count = 0

    def turn(self, *, retried: bool = False) -> tuple[Entry, Seen]:
        continued = self._count > 0 and not retried
        self._count += 1
        job = f"job-{self._count}"
        return serve(self.greenlane, self.requests, self.request, job=job, continued=continued)

    def stop(self) -> str:
        (entry,) = self.requests.entries(EXECUTION)
        return stop(self.greenlane, self.requests, entry, "the pipeline was stopped")
