"""The task metadata endpoint, version 4: where a task learns which service it belongs to.

`<url>/<task id>/task`, which a task knows as `$ECS_CONTAINER_METADATA_URI_V4/task`. Of its answer
in AWS there is what does not change while a task runs.
"""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from greenlane.local.containers_task import Task


class TaskMetadata:
    """Answers over HTTP; `find` gives a task by its id, or None."""

    def __init__(self, find: Callable[[str], Task | None]) -> None:
        """See the class."""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                _, task_id, what, *_ = [*self.path.split("/"), "", ""]
                task = find(task_id)
                body = json.dumps(_describe(task) if task and what == "task" else {}).encode()
                self.send_response(200 if task and what == "task" else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="task-metadata", daemon=True
        )

    @property
    def url(self) -> str:
        """The address below which each task has its own."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


def _describe(task: Task) -> dict[str, Any]:
    kind, _, service = task.group.partition(":")
    return {
        "Cluster": task.cluster_arn,
        **({"ServiceName": service} if kind == "service" else {}),
        "TaskARN": task.arn,
        "Family": task.definition.family,
        "Revision": str(task.definition.revision),
        "LaunchType": task.launch_type,
    }
