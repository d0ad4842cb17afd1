"""Starts processes that never outlive the local cloud, and runs commands in them.

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
import socket
import subprocess
import sys
import types
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, Protocol

import greenlane

_PR_SET_PDEATHSIG = 1
_PARENT = "GREENLANE_LOCAL_PARENT"
_WILDCARDS = ("", "0.0.0.0")


class Child(Protocol):
    """What is asked of a child, be it started here or by a template."""

    @property
    def pid(self) -> int:
        """Of the process, and of the group that it leads."""
        ...

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code; raises `subprocess.TimeoutExpired` after so many seconds."""
        ...


_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


def start(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    directory: Path | None = None,
    output: IO[bytes] | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a command; `python` is this interpreter, whatever its version.

    Args:
        command: program and arguments, as in a container. A Python program that listens on all
            addresses listens on that of `environment["BIND"]`, if given: a network namespace in
            miniature, which lets many tasks use one port.
        environment: variables for the process, on top of PATH, HOME and the import root.
        directory: the working directory; this process's if None.
        output: where standard output and error go; nowhere if None.
        pass_fds: file descriptors that the child inherits under the same numbers.

    Raises:
        OSError: the child could not be started. A program that does not exist ends the child with
            exit code 127, as in a shell.
    """
    return _spawner.submit(
        subprocess.Popen[bytes],
        [sys.executable, "-P", __file__, *command],
        env={**complete(environment), _PARENT: str(os.getpid())},
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=output or subprocess.DEVNULL,
        stderr=subprocess.STDOUT if output else subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=tuple(pass_fds),
    ).result()


def complete(environment: Mapping[str, str]) -> dict[str, str]:
    """A child's whole environment, of the variables that are given for it."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {
        **inherited,
        "PYTHONPATH": str(Path(greenlane.__file__).parents[1]),
        "PYTHONUNBUFFERED": "1",
        **environment,
    }


def send(process: Child, number: signal.Signals) -> None:
    """Send a signal to the whole group of a child; a group that is gone is no error."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def end(process: Child, grace_seconds: float) -> int:
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


def die_with_parent(parent: int | None) -> None:
    """Ask for a SIGKILL when the parent dies; end at once if it has (its process id, if known)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        sys.exit("the local cloud ended before this process began")


def _bind_to(address: str) -> None:
    """Turn listening on all addresses into listening on one."""

    class Socket(socket.socket):
        def bind(self, given: Any) -> None:
            wildcard = isinstance(given, tuple) and given[0] in _WILDCARDS
            super().bind((address, *given[1:]) if wildcard else given)

    socket.socket = Socket  # type: ignore[misc]


def become(command: Sequence[str]) -> None:
    """Run a command in this process; only Python programs come back."""
    program, *arguments = command
    if not Path(program).name.startswith("python"):
        try:
            os.execvp(program, [program, *arguments])
        except FileNotFoundError:
            print(f"{program}: not found", file=sys.stderr)
            os._exit(127)
    if address := os.environ.get("BIND"):
        _bind_to(address)
    _skip_package_imports()
    if arguments[0] == "-c":
        sys.argv = ["-c", *arguments[2:]]
        exec(compile(arguments[1], "<command>", "exec"), {"__name__": "__main__"})
    elif arguments[0] == "-m":
        sys.argv = arguments[1:]
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        sys.path.insert(0, str(Path(arguments[0]).parent.resolve()))
        runpy.run_path(arguments[0], run_name="__main__")


def main(command: list[str]) -> None:
    """Bind this process's life to its parent's, then become the command."""
    parent = os.environ.pop(_PARENT, None)
    die_with_parent(None if parent is None else int(parent))
    become(command)


if __name__ == "__main__":
    main(sys.argv[1:])
