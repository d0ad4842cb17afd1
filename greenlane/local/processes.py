"""This side of the template process that forks the function processes."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from greenlane.local import function_process
from greenlane.local.errors import LocalCloudError

_READY_SECONDS = 30.0


class ProcessTemplate:
    """Starts and kills function processes through one template process.

    The template lives exactly as long as the pipe to it: when this process ends in whatever way,
    the template kills its children and exits.

    Args:
        logs: the directory for its own error output.
        ended: called with the name and a reason (`exit status 1`) when a process has ended.
    """

    def __init__(self, logs: Path, ended: Callable[[str, str], None]) -> None:
        """See the class."""
        self._logs = logs
        self._ended = ended
        self._ready = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._reader = threading.Thread(target=self._read, name="function-processes")
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the template; raises `LocalCloudError` if it does not come up."""
        self._logs.mkdir(exist_ok=True)
        kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG")
        with (self._logs / "function-processes.log").open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(function_process.__file__)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={name: os.environ[name] for name in kept if name in os.environ},
                # Ctrl-C at the terminal is for this process, which then ends the others in order.
                start_new_session=True,
            )
        self._reader.start()
        if not self._ready.wait(_READY_SECONDS):
            self.stop()
            raise LocalCloudError(f"function processes do not start: see {self._logs}")

    def spawn(self, name: str, order: dict[str, Any]) -> None:
        """Start a function process; see `function_process` for the order's members."""
        self._send({"spawn": name, **order})

    def kill(self, name: str) -> None:
        """Kill a function process; harmless when it has ended."""
        self._send({"kill": name})

    def stop(self) -> None:
        """Kill all function processes and the template."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return
        with self._lock, contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._reader.join(timeout=5)
        process.stdout.close()
        self._process = None

    def _send(self, message: dict[str, Any]) -> None:
        process = self._process
        if process is None or process.stdin is None:
            return
        with self._lock, contextlib.suppress(BrokenPipeError, ValueError):
            process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if "ready" in message:
                self._ready.set()
            elif "ended" in message:
                self._ended(message["ended"], _reason(message["status"]))


def _reason(status: int) -> str:
    """A wait status in Lambda's words."""
    code = os.waitstatus_to_exitcode(status)
    return f"signal: {-code}" if code < 0 else f"exit status {code}"
