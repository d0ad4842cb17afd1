"""This side of the template that forks the processes of tasks."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import greenlane
from greenlane.local import child_process
from greenlane.local.errors import LocalCloudError

_READY_SECONDS = 30.0


class Forked:
    """A task's process, as `child_process.Child` has it."""

    def __init__(self, command: Sequence[str]) -> None:
        """See the class."""
        self._command = list(command)
        self._started = threading.Event()
        self._ended = threading.Event()
        self._pid = 0
        self._code = 0

    @property
    def pid(self) -> int:
        """Of the process, and of the group that it leads.

        Raises:
            ProcessLookupError: it never was.
        """
        if not self._started.wait(_READY_SECONDS) or not self._pid:
            raise ProcessLookupError(f"no process was started for {self._command}")
        return self._pid

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._code if self._ended.is_set() else None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code; raises `subprocess.TimeoutExpired` after so many seconds."""
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired(self._command, timeout or 0.0)
        return self._code

    def started(self, pid: int) -> None:
        """It runs."""
        self._pid = pid
        self._started.set()

    def ended(self, code: int) -> None:
        """It runs no more; only the first end counts."""
        if not self._ended.is_set():
            self._code = code
            self._ended.set()
            self._started.set()


class TaskProcesses:
    """Starts tasks' processes through one template, which begins with the first of them.

    Args:
        log: the file for the template's own complaints.
    """

    def __init__(self, log: Path) -> None:
        """See the class."""
        self._log = log
        self._lock = threading.Lock()
        self._children: dict[str, Forked] = {}
        self._template: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket
        self._reader: threading.Thread

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], directory: Path, output: Path
    ) -> Forked:
        """Start a command, as `child_process.start` does; the output is appended to a file.

        Raises:
            LocalCloudError: there is no template to start it.
        """
        child = Forked(command)
        output.touch()
        with self._lock:
            if self._template is None or self._template.poll() is not None:
                self._begin()
            name = uuid4().hex
            self._children[name] = child
            order = {
                "spawn": name,
                "command": list(command),
                "environ": child_process.complete(environment),
                "directory": str(directory),
                "log": str(output),
            }
            try:
                self._channel.sendall(json.dumps(order).encode() + b"\n")
            except OSError as error:
                raise LocalCloudError(f"no task can be started: see {self._log}") from error
        return child

    def stop(self) -> None:
        """Kill what still runs, and the template."""
        with self._lock:
            template, self._template = self._template, None
        if template is not None:
            with contextlib.suppress(OSError):  # it ended by itself
                self._channel.shutdown(socket.SHUT_WR)
            self._reader.join()
            child_process.end(template, 2.0)

    def _begin(self) -> None:
        self._channel, theirs = socket.socketpair()
        with self._log.open("ab") as output:
            self._template = child_process.start(
                ["python", "-m", "greenlane.local.task_template", str(theirs.fileno())],
                {},
                directory=Path(greenlane.__file__).parents[1],
                output=output,
                pass_fds=[theirs.fileno()],
            )
        theirs.close()
        self._children = {}
        self._reader = threading.Thread(
            target=_read, args=(self._channel, self._children), name="task-processes", daemon=True
        )
        self._reader.start()


def _read(channel: socket.socket, children: dict[str, Forked]) -> None:
    """Tell the children of one template what it reports of them, until it ends."""
    with channel, channel.makefile("rb") as lines:
        for line in lines:
            message = json.loads(line)
            if "started" in message:
                children[message["started"]].started(message["pid"])
            else:
                code = os.waitstatus_to_exitcode(message["status"])
                children.pop(message["ended"]).ended(code)
    # Whatever ended the template, its children ended with it.
    for child in list(children.values()):
        child.ended(-signal.SIGKILL)
