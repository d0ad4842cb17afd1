"""Forked from a template or started anew: a task cannot tell, nor can who looks after it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenlane.local import child_process
from greenlane.local.task_processes import Forked, TaskProcesses
from tests.unit.local.data_plane import wait_until
from tests.unit.local.test_child_process import (
    FORKING,
    check_that_it_dies_with_its_parent,
    children_of,
    gone,
)

SLEEP = ["python", "-c", "import time; time.sleep(60)"]
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


class Tasks:
    """Starts commands in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes = TaskProcesses(folder / "template.log")

    def start(self, command: list[str], **environment: str) -> Forked:
        return self.processes.start(command, environment, self.folder, self.folder / "output")

    def output_of(self, command: list[str], **environment: str) -> tuple[str, int]:
        (self.folder / "output").unlink(missing_ok=True)
        code = self.start(command, **environment).wait(30)
        return (self.folder / "output").read_text(), code


@pytest.fixture
def tasks(tmp_path: Path) -> Iterator[Tasks]:
    tasks = Tasks(tmp_path)
    yield tasks
    tasks.processes.stop()


def test_a_command_has_its_environment_directory_output_and_exit_code(tasks: Tasks) -> None:
    script = tasks.folder / "script.py"
    script.write_text("import os, sys; print(sys.argv, __name__, os.getcwd()); sys.exit(3)")
    environment = "import os; print(sorted(os.environ))"
    listen = "import socket; s = socket.socket(); s.bind(('', 0)); print(s.getsockname()[0])"

    found = f"['script.py', 'a'] __main__ {tasks.folder}\n"
    assert tasks.output_of(["python", "script.py", "a"]) == (found, 3)
    assert tasks.output_of(["sh", "-c", "echo $GREETING"], GREETING="hello") == ("hello\n", 0)
    names = sorted(child_process.complete({"GREETING": "hello"}))
    assert tasks.output_of(["python", "-c", environment], GREETING="hello") == (f"{names}\n", 0)
    assert tasks.output_of(["python", "-c", listen], BIND="127.0.3.4") == ("127.0.3.4\n", 0)
    assert tasks.output_of(["no-such-program"]) == ("no-such-program: not found\n", 127)


def test_what_a_task_says_last_is_written_and_an_error_is_shown(tasks: Tasks) -> None:
    said, code = tasks.output_of(["python", "-c", "print('unfinished', end=''); 1 / 0"])

    assert code == 1
    assert said.startswith("unfinished")
    assert said.endswith("ZeroDivisionError: division by zero\n")


def test_two_tasks_do_not_meet_the_same_chances(tasks: Tasks) -> None:
    roll = ["python", "-c", "import random; print(random.random())"]

    assert tasks.output_of(roll) != tasks.output_of(roll)


@linux
def test_ending_a_task_ends_all_that_it_started(tasks: Tasks) -> None:
    process = tasks.start(["python", "-c", FORKING])
    (grandchild,) = wait_until(lambda: children_of(process.pid))

    assert process.poll() is None
    assert child_process.end(process, 30) == -signal.SIGTERM
    assert process.poll() == -signal.SIGTERM
    wait_until(lambda: gone(grandchild))


def test_a_signal_that_is_sent_at_once_is_not_lost(tasks: Tasks) -> None:
    for _ in range(20):
        process = tasks.start(SLEEP)
        child_process.send(process, signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL


def test_whoever_waits_too_short_is_told_so(tasks: Tasks) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        tasks.start(SLEEP).wait(0.01)


@linux
def test_tasks_end_with_their_template_and_the_next_one_gets_a_new_one(tasks: Tasks) -> None:
    process = tasks.start(SLEEP)
    pid = process.pid
    template = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])

    os.kill(template, signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL
    wait_until(lambda: gone(pid))
    wait_until(lambda: gone(template))
    assert tasks.output_of(["python", "-c", "print(1)"]) == ("1\n", 0)


@linux
def test_tasks_die_with_the_process_that_wanted_them_however_that_ends(tmp_path: Path) -> None:
    code = (
        "import time\n"
        "from pathlib import Path\n"
        "from greenlane.local.task_processes import TaskProcesses\n"
        f"folder = Path({str(tmp_path)!r})\n"
        f"child = TaskProcesses(folder / 'log').start({SLEEP!r}, {{}}, folder, folder / 'output')\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    check_that_it_dies_with_its_parent(code)
