"""The processes in which functions run: one template process that forks one child a function.

Started by path with `python -I`, apart from the greenlane package: what a function may import is
the unpacked asset first, then this interpreter's site-packages, which stand for the dependency
layer (the real one is built for arm64 and Python 3.14 and would not load here).

The template process imports what every function imports from the layer, then forks, so that a
cold start costs the function's own imports only. It reads one JSON object a line:

    {"spawn": "<id>", "environ": {...}, "directory": "<asset>", "handler": "functions.x.handler",
     "api": "127.0.0.1:<port>", "prefix": "/<id>", "log": "<file>", "clock": [<origin>, <scale>]}
    {"kill": "<id>"}

and writes {"started": "<id>", "pid": <pid>} and {"ended": "<id>", "status": <wait status>}. When
its input ends, however its parent died, it kills its children and exits.
"""

import contextlib
import ctypes
import fcntl
import gc
import importlib
import importlib.util
import json
import os
import select
import signal
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

_PRELOADED = (
    "boto3",
    "botocore.config",
    "botocore.endpoint",
    "botocore.handlers",
    "botocore.signers",
    "urllib3.connectionpool",
    "pydantic",
    "pydantic.dataclasses",
    "yaml",
    "aws_lambda_powertools.logging",
    "aws_lambda_powertools.metrics",
    "aws_lambda_powertools.utilities.parser",
)
_PR_SET_PDEATHSIG = 1


class Template:
    """Forks a child for each function process and reports their ends."""

    def __init__(self) -> None:
        """See the module."""
        self.children: dict[int, str] = {}
        self._pending = b""
        self._wake, wake_end = os.pipe()
        for descriptor in (self._wake, wake_end):
            os.set_blocking(descriptor, False)
            fcntl.fcntl(descriptor, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        signal.set_wakeup_fd(wake_end)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def serve(self) -> None:
        """Work until the input ends, then leave no child."""
        try:
            while self._turn():
                pass
        finally:
            for pid in self.children:
                os.kill(pid, signal.SIGKILL)

    def _turn(self) -> bool:
        ready, _, _ = select.select([0, self._wake], [], [])
        if self._wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake, 4096)
            self._reap()
        if 0 in ready:
            data = os.read(0, 1 << 20)
            if not data:
                return False
            *lines, self._pending = (self._pending + data).split(b"\n")
            for line in lines:
                self._obey(json.loads(line))
        return True

    def _obey(self, order: dict[str, Any]) -> None:
        if "kill" in order:
            for pid, name in self.children.items():
                if name == order["kill"]:
                    os.kill(pid, signal.SIGKILL)
            return
        pid = os.fork()
        if pid == 0:
            _run_child(order)
        self.children[pid] = order["spawn"]
        _report({"started": order["spawn"], "pid": pid})

    def _reap(self) -> None:
        while self.children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            _report({"ended": self.children.pop(pid), "status": status})


def _report(message: dict[str, Any]) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


def _run_child(order: dict[str, Any]) -> None:
    """Become the function's process; never returns."""
    code = 1
    try:
        _become(order)
        _run_function(order)
        code = 0
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _become(order: dict[str, Any]) -> None:
    """Take on the function's environment, directory, output and death."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.closerange(3, 64)
    os.environ.clear()
    os.environ.update(order["environ"])
    time.tzset()
    os.chdir(order["directory"])
    sys.path.insert(0, order["directory"])


def _run_function(order: dict[str, Any]) -> None:
    """Hand over to AWS's runtime client, which never returns by itself."""
    # Only now: the client's native part reads its environment when it is imported.
    from awslambdaric import bootstrap
    from awslambdaric.lambda_runtime_client import LambdaRuntimeClient

    class Client(LambdaRuntimeClient):  # type: ignore[misc]
        """The prefix tells our runtime API which process calls; http.client takes none."""

        def call_rapid(self, method: str, endpoint: str, *rest: Any, **options: Any) -> None:
            super().call_rapid(method, order["prefix"] + endpoint, *rest, **options)

    _set_clock(*order["clock"])
    bootstrap.run(order["handler"], Client(order["api"]))


def _set_clock(origin: str, scale: float) -> None:
    """Let the function's own `greenlane.clock`, if its asset has one, run in virtual time."""
    if not Path("greenlane", "clock.py").exists():
        return
    clock = importlib.import_module("greenlane.clock")
    clock.set_clock(clock.ScaledClock(datetime.fromisoformat(origin), scale))


def main() -> None:
    """Preload, then serve."""
    for name in _PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()
    _report({"ready": os.getpid()})
    Template().serve()


if __name__ == "__main__":
    main()
