"""Starts processes that never outlive the local cloud, and runs Python scripts in them.

Each child leads its own process group and asks Linux for a SIGKILL when its parent dies, so that
even a killed local cloud leaves nothing behind. Linux ties that request to the thread which
started the child: all children are started from one thread that lives as long as the process.
On other systems only an orderly `end` stops them.
"""

import contextlib
import ctypes
import os
import runpy
import signal
import subprocess
import sys
import types
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import greenlane

_PR_SET_PDEATHSIG = 1
_PARENT = "GREENLANE_LOCAL_PARENT"
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


def start_python(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    output: IO[bytes] | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start this interpreter on a script, or on a module as `["-m", name]`, with arguments.

    Args:
        arguments: the script or module and what it is given.
        environment: variables for the process, on top of PATH, HOME and the import root.
        output: where standard output and error go; nowhere if None.
        pass_fds: file descriptors that the child inherits under the same numbers.
    """
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    command = [sys.executable, "-P", __file__, *arguments]
    return _spawner.submit(
        subprocess.Popen[bytes],
        command,
        env={
            **inherited,
            "PYTHONPATH": str(Path(greenlane.__file__).parents[1]),
            "PYTHONUNBUFFERED": "1",
            **environment,
            _PARENT: str(os.getpid()),
        },
        stdin=subprocess.DEVNULL,
        stdout=output or subprocess.DEVNULL,
        stderr=subprocess.STDOUT if output else subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=tuple(pass_fds),
    ).result()


def send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to the whole group of a child; a group that is gone is no error."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def end(process: subprocess.Popen[bytes], grace_seconds: float) -> int:
    """End a child: SIGTERM, `grace_seconds` real seconds, SIGKILL; return its exit code."""
    send(process, signal.SIGTERM)
    try:
        process.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        send(process, signal.SIGKILL)
    code = process.wait()
    send(process, signal.SIGKILL)
    return code


def _skip_package_imports() -> None:
    """Let a child import single modules of this package without the moto that the package needs.

    It takes over a second of processor time, for every task of every service.
    """
    package = types.ModuleType("greenlane.local")
    package.__path__ = [str(Path(__file__).parent)]
    sys.modules["greenlane.local"] = package


def _die_with_parent() -> None:
    parent = os.environ.pop(_PARENT, None)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != int(parent):
        sys.exit("the local cloud ended before this process began")


def main(arguments: list[str]) -> None:
    """Bind this process's life to its parent's, then become the script or module."""
    _die_with_parent()
    _skip_package_imports()
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
