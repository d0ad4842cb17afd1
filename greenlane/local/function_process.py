"""The processes in which functions run: forked from templates, so that a cold start is cheap.

Started by path with `python -I`, apart from the greenlane package: what a function may import is
the unpacked asset first, then this interpreter's site-packages, which stand for the dependency
layer (the real one is built for arm64 and Python 3.14 and would not load here).

The first template imports what every function imports from the layer. For each asset, and the
variables that its function was given, it forks a template which imports what the asset's functions
have imported so far, their handlers' modules excepted, and forks their processes. To a function
this looks as if it had imported everything itself: what a module asked of the environment on its
import is noted, and a process whose environment answers otherwise imports the asset's modules anew.

The first template reads one JSON object a line:

    {"spawn": "<id>", "environ": {...}, "directory": "<asset>", "handler": "functions.x.handler",
     "api": "127.0.0.1:<port>", "prefix": "/<id>", "log": "<file>", "clock": [<origin>, <scale>]}
    {"kill": "<id>"}

and passes the line on to the asset's template. That one writes {"started": "<id>", "pid": <pid>}
and {"ended": "<id>", "status": <wait status>}. When their input ends, however their parent died,
they kill their children and exit.
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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenlane.local.function_imports import Imports

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
_LEAST_PATIENCE_SECONDS = 2.0
"""Real seconds that an AWS call may always take: this machine may be slower than AWS is."""
_PR_SET_PDEATHSIG = 1
_OF_A_PROCESS = ("AWS_", "_HANDLER")
"""What the Lambda service itself puts into the environment begins so."""
_REPORTS = 63
"""The file descriptor on which the templates report; a function's process closes it."""


def _beside(name: str) -> Any:
    """A module of this folder, without the package that it is in."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


function_imports = _beside("function_imports")


class Template:
    """Obeys orders that come in on file descriptor 0, and looks after its children."""

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

    def obey(self, order: dict[str, Any], line: bytes) -> None:
        """Do what a line says."""
        raise NotImplementedError

    def ended(self, pid: int, status: int) -> None:
        """A child is no more."""
        raise NotImplementedError

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
                self.obey(json.loads(line), line + b"\n")
        return True

    def _reap(self) -> None:
        while self.children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self.ended(pid, status)


class LayerTemplate(Template):
    """The first template. Its children are the assets' templates.

    Their keys are the asset's directory and the variables that a function's owner gave it.
    """

    def __init__(self) -> None:
        """See the module."""
        super().__init__()
        self.inputs: dict[str, int] = {}
        self.spawned: dict[str, set[str]] = {}

    def obey(self, order: dict[str, Any], line: bytes) -> None:
        """Pass an order on to the template that it is for."""
        if "kill" in order:
            for key in self.inputs:
                self._pass_on(key, line)
            return
        own = {k: v for k, v in order["environ"].items() if not k.startswith(_OF_A_PROCESS)}
        key = json.dumps([order["directory"], own], sort_keys=True)
        if key not in self.inputs:
            self._fork(key, order)
        self.spawned.setdefault(key, set()).add(order["spawn"])
        self._pass_on(key, line)

    def ended(self, pid: int, status: int) -> None:
        """An asset's template died, and its children with it."""
        key = self.children.pop(pid)
        os.close(self.inputs.pop(key))
        for name in self.spawned.pop(key, ()):
            _report({"ended": name, "status": status})

    def _pass_on(self, key: str, line: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):
            while line:
                line = line[os.write(self.inputs[key], line) :]

    def _fork(self, key: str, order: dict[str, Any]) -> None:
        theirs, ours = os.pipe()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.dup2(theirs, 0)
                for descriptor in (theirs, ours, *self.inputs.values()):
                    os.close(descriptor)
                AssetTemplate(order).serve()
                code = 0
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(code)
        os.close(theirs)
        self.children[pid], self.inputs[key] = key, ours


class AssetTemplate(Template):
    """Imports what functions of one asset import, and forks their processes."""

    def __init__(self, order: dict[str, Any]) -> None:
        """`order` is the first one: the modules are imported under its environment."""
        _die_with_parent()
        super().__init__()
        _settle_in(order)
        self._imports = function_imports.Imports(order["directory"], order["environ"])

    def obey(self, order: dict[str, Any], line: bytes) -> None:
        """Fork a process, or kill one."""
        if "kill" in order:
            for pid, name in self.children.items():
                if name == order["kill"]:
                    os.kill(pid, signal.SIGKILL)
            return
        if self._imports.learn():
            gc.freeze()
        pid = os.fork()
        if pid == 0:
            _run_child(order, self._imports)
        self.children[pid] = order["spawn"]
        _report({"started": order["spawn"], "pid": pid})

    def ended(self, pid: int, status: int) -> None:
        """Say so."""
        _report({"ended": self.children.pop(pid), "status": status})


def _report(message: dict[str, Any]) -> None:
    os.write(_REPORTS, json.dumps(message).encode() + b"\n")


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _run_child(order: dict[str, Any], imports: "Imports") -> None:
    """Become the function's process; never returns."""
    code = 1
    try:
        _become(order)
        imports.take(order["environ"])
        _run_function(order, imports)
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
    """Take on the function's environment, output and death."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _die_with_parent()
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.closerange(3, 64)
    _take_environment(order)


def _settle_in(order: dict[str, Any]) -> None:
    """Make the asset what is imported first, in virtual time."""
    _take_environment(order)
    os.chdir(order["directory"])
    sys.path.insert(0, order["directory"])
    _set_clock(*order["clock"])


def _take_environment(order: dict[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(order["environ"])
    time.tzset()


def _run_function(order: dict[str, Any], imports: "Imports") -> None:
    """Hand over to AWS's runtime client, which never returns by itself."""
    # Only now: the client's native part reads its environment when it is imported.
    from awslambdaric import bootstrap
    from awslambdaric.lambda_runtime_client import LambdaRuntimeClient

    class Client(LambdaRuntimeClient):  # type: ignore[misc]
        """The prefix tells our runtime API which process calls; http.client takes none."""

        waits = 0

        def call_rapid(self, method: str, endpoint: str, *rest: Any, **options: Any) -> None:
            super().call_rapid(method, order["prefix"] + endpoint, *rest, **options)

        def wait_next_invocation(self) -> Any:
            # After the initialisation, and after the first invocation, which makes clients.
            if self.waits < 2:
                self.waits += 1
                imports.tell(order["handler"])
            return super().wait_next_invocation()

    _set_clock(*order["clock"])
    bootstrap.run(order["handler"], Client(order["api"]))


def _set_clock(origin: str, scale: float) -> None:
    """Let the function's own `greenlane.clock`, if its asset has one, run in virtual time."""
    if not Path("greenlane", "clock.py").exists():
        return
    clock = importlib.import_module("greenlane.clock")
    clock.set_clock(clock.ScaledClock(datetime.fromisoformat(origin), scale))


def _be_patient() -> None:
    """Raise a client's shorter time limits, which are meant for AWS's own speed."""
    from botocore.httpsession import URLLib3Session

    original: Any = URLLib3Session.__init__

    def init(session: Any, *positional: Any, timeout: Any = None, **named: Any) -> None:
        if isinstance(timeout, (list, tuple)):
            timeout = tuple(
                one if one is None else max(one, _LEAST_PATIENCE_SECONDS) for one in timeout
            )
        original(session, *positional, timeout=timeout, **named)

    URLLib3Session.__init__ = init  # type: ignore[assignment, method-assign]


def main() -> None:
    """Preload, then serve."""
    for name in _PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    function_imports.keep_what_botocore_reads()
    _be_patient()
    gc.freeze()
    # Whatever a module prints must not come between the reports.
    os.dup2(1, _REPORTS)
    os.dup2(2, 1)
    _report({"ready": os.getpid()})
    LayerTemplate().serve()


if __name__ == "__main__":
    main()
