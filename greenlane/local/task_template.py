"""Forks the processes of tasks: `python -m greenlane.local.task_template CHANNEL`.

CHANNEL is the number of an inherited socket. What the sample service imports takes longer than all
else of its start, so it is imported here, once. Orders come in as JSON lines,

    {"spawn": "<id>", "command": [...], "environ": {...}, "directory": "<path>", "log": "<path>"}

and {"started": "<id>", "pid": <pid>} and {"ended": "<id>", "status": <wait status>} go out. A
child leads its own process group; it is killed when this process ends, which ends with its parent
or when the socket closes.
"""

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import sys
import time
from selectors import EVENT_READ, DefaultSelector
from typing import Any

from greenlane.local import child_process

_PRELOADED = ("aiohttp.web", "urllib.request")
Order = dict[str, Any]


class TaskTemplate:
    """Forks a child for each order, and reports its end.

    Args:
        channel: the parent's socket.
    """

    def __init__(self, channel: socket.socket) -> None:
        """See the class."""
        self._channel = channel
        self._children: dict[int, str] = {}
        self._wake, self._wake_end = socket.socketpair()
        for one in (self._wake, self._wake_end):
            one.setblocking(False)
        signal.set_wakeup_fd(self._wake_end.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def serve(self) -> Order | None:
        """Work until the channel closes; in a child, the order that it is to become."""
        pending = b""
        with DefaultSelector() as selector:
            selector.register(self._channel, EVENT_READ)
            selector.register(self._wake, EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._wake in ready:
                    self._reap()
                if self._channel in ready:
                    data = self._channel.recv(1 << 20)
                    if not data:
                        self._end()
                        return None
                    *lines, pending = (pending + data).split(b"\n")
                    for order in map(json.loads, lines):
                        if self._forked(order):
                            return dict(order)

    def _forked(self, order: Order) -> bool:
        """Fork; true in the child."""
        pid = os.fork()
        if pid == 0:
            self._let_go()
            return True
        # Here too: whoever hears of it may send it a signal before it has come to that.
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.setpgid(pid, pid)
        self._children[pid] = order["spawn"]
        self._report({"started": order["spawn"], "pid": pid})
        return False

    def _let_go(self) -> None:
        """In a child: nothing of this is its own."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        for one in (self._channel, self._wake, self._wake_end):
            one.close()

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake.recv(4096)
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._report({"ended": self._children.pop(pid), "status": status})

    def _end(self) -> None:
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    def _report(self, message: dict[str, Any]) -> None:
        # A parent that is gone closed the channel, which ends `serve`.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._channel.sendall(json.dumps(message).encode() + b"\n")


def settle_in(order: Order, parent: int) -> None:
    """In a child: its own group, life, output, environment and directory."""
    os.setpgid(0, 0)
    child_process.die_with_parent(parent)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in (1, 2):
        os.dup2(log, number)
    os.close(log)
    os.environ.clear()
    os.environ.update(order["environ"])
    time.tzset()
    os.chdir(order["directory"])


def main() -> None:
    """Import, serve; in a child, become the task."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    for name in _PRELOADED:
        importlib.import_module(name)
    gc.freeze()
    parent = os.getpid()
    order = TaskTemplate(channel).serve()
    if order is not None:
        settle_in(order, parent)
        child_process.become(order["command"])


if __name__ == "__main__":
    main()
