"""One running PostgreSQL: starts it, ends it or kills it, and never leaves it behind.

The server is a direct child of this process, not of `pg_ctl`, so that one that was killed is
reaped: a zombie's process id would keep the next one from starting.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from greenlane.local.errors import PostgresFailed
from greenlane.local.postgres_folder import PORT, Account, Place

_START_SECONDS = 60.0
_END_SECONDS = 20.0
_LOOK_SECONDS = 0.005
_LAST_LINES = 12

# A process id alone might be somebody else's by then; the server works in its data directory.
_GUARD = """
read -r _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
runs() { [ -n "$pid" ] && [ "/proc/$pid/cwd" -ef "$1/data" ]; }
runs "$1" && kill -QUIT "$pid"
for _ in 1 2 3 4 5 6 7 8 9 10; do runs "$1" || break; sleep 0.5; done
runs "$1" && kill -KILL "$pid"
for _ in 1 2 3 4 5 6 7 8 9 10; do
  rm -rf "$@"
  [ -e "$1" ] || exit 0
  sleep 0.5
done
"""


def environment() -> dict[str, str]:
    """For PostgreSQL's programs: without the `PG...` variables, which would change what they do."""
    kept = ("PATH", "HOME", "TZ")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C"}


def run_as_server(place: Place, account: Account, command: Sequence[str | Path]) -> None:
    """Run a program that makes a data directory, as the server's user.

    Raises:
        PostgresFailed: it failed.
    """
    with place.log.open("ab") as log:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=place.folder,
            env=environment(),
            **account.arguments,
        )
    if done.returncode != 0:
        raise PostgresFailed(f"{Path(command[0]).name} failed: {last_lines(place)}")


def last_lines(place: Place) -> str:
    """The end of the server's log."""
    return "\n".join(place.log.read_text(errors="replace").splitlines()[-_LAST_LINES:])


class Guard:
    """A shell that waits at a pipe to this process, to clean up after it.

    When this process is gone, in whatever way, it ends the server and deletes its folders. It runs
    as the server's user, who owns them.
    """

    def __init__(self, place: Place, account: Account) -> None:
        """See the class."""
        folders = [place.folder, *([place.copied] if place.copied else [])]
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "sh", *map(str, folders)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            # Ctrl-C at the terminal is for this process, which then ends the server in order.
            start_new_session=True,
            **account.arguments,
        )

    def dismiss(self) -> None:
        """There is nothing left to clean up."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()


class PostgresProcess:
    """The server of one place.

    Args:
        place: with a data directory.
        account: who runs it.
        fixed: settings that neither a file nor `ALTER SYSTEM` can change, as `name=value`.
    """

    def __init__(self, place: Place, account: Account, fixed: Sequence[str]) -> None:
        """See the class."""
        self._place = place
        self._account = account
        self._command = [
            str(place.programs / "postgres"),
            *("-D", str(place.data), "-k", str(place.folder), "-p", str(PORT)),
            *(argument for setting in fixed for argument in ("-c", setting)),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Of the postmaster; None while none runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Start the server and wait until it takes connections.

        Raises:
            PostgresFailed: it ended, or did not get there in a minute.
        """
        self._await(self._launch(), "ready")

    def end(self, how: signal.Signals) -> None:
        """End the server; harmless when it has ended.

        Args:
            how: SIGINT is a fast shutdown, which leaves nothing to recover, SIGQUIT an immediate
                one.

        Raises:
            PostgresFailed: it did not end in time, and was killed.
        """
        process = self._process
        if process is None:
            return
        if process.poll() is not None and process.returncode < 0:
            # What a killed server leaves in the kernel (shmget(2)), the next one takes over as it
            # starts, long before it has recovered, and gives back as it ends.
            process = self._launch()
            self._await(process, "starting", "standby", "ready")
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise PostgresFailed(
                f"PostgreSQL did not end within {_END_SECONDS:.0f} s of {how.name} and was killed: "
                f"{last_lines(self._place)}"
            ) from error

    def kill(self) -> None:
        """SIGKILL every process of the server, as if the machine had stopped; harmless if none."""
        if (pid := self.pid) is None or self._process is None:
            return
        # Stopped, it starts no further process while these are looked for.
        self._process.send_signal(signal.SIGSTOP)
        while _state_and_parent(pid)[0] not in "TZ":
            time.sleep(_LOOK_SECONDS)
        children = _children(pid)
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        # As long as one holds on to the shared memory, no server starts on this data.
        deadline = time.monotonic() + _END_SECONDS
        while any(_state_and_parent(child)[0] != "Z" for child in children):
            if time.monotonic() > deadline:
                raise PostgresFailed(f"of PostgreSQL's processes {children} some cannot be killed")
            time.sleep(_LOOK_SECONDS)

    def _launch(self) -> subprocess.Popen[bytes]:
        with self._place.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._place.folder,
                env=environment(),
                start_new_session=True,
                **self._account.arguments,
            )
        return self._process

    def _await(self, process: subprocess.Popen[bytes], *statuses: str) -> None:
        """Wait for what the server writes into its lock file, as pg_ctl does."""
        deadline = time.monotonic() + _START_SECONDS
        while self._status(process) not in statuses:
            if process.poll() is not None:
                raise PostgresFailed(f"PostgreSQL ended: {last_lines(self._place)}")
            if time.monotonic() > deadline:
                self.kill()
                raise PostgresFailed(
                    f"PostgreSQL was not ready after {_START_SECONDS:.0f} s: "
                    f"{last_lines(self._place)}"
                )
            time.sleep(_LOOK_SECONDS)

    def _status(self, process: subprocess.Popen[bytes]) -> str | None:
        """The eighth line of the lock file, once the file is this server's."""
        try:
            lines = (self._place.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return None
        return lines[7].strip() if len(lines) > 7 and lines[0] == str(process.pid) else None


def _children(parent: int) -> list[int]:
    """The processes that a process has started, by /proc, which needs no privilege."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    return [pid for pid in pids if _state_and_parent(pid)[1] == parent]


def _state_and_parent(pid: int) -> tuple[str, int | None]:
    """A process's state (`T` is stopped) and its parent, proc_pid_stat(5); `Z` if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "Z", None
    state, parent = stat.rpartition(")")[2].split()[:2]
    return state, int(parent)
