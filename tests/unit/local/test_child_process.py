import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from greenlane.local import child_process
from tests.unit.local.data_plane import wait_until

FORKING = "import subprocess, time; subprocess.Popen(['sleep', '60']); time.sleep(60)"


def output_of(tmp_path: Path, command: list[str], **environment: str) -> tuple[str, int]:
    path = tmp_path / "output"
    with path.open("wb") as output:
        process = child_process.start(command, environment, output=output)
    process.wait(10)
    return path.read_text(), process.returncode


def test_python_code_modules_and_scripts_run_under_this_interpreter(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys; print(sys.argv[1:], __name__)")

    code = output_of(tmp_path, ["python", "-c", "import sys; print(sys.executable)"])
    assert code == (f"{sys.executable}\n", 0)
    assert output_of(tmp_path, ["python3", str(script), "a"]) == ("['a'] __main__\n", 0)
    assert output_of(tmp_path, ["python", "-m", "calendar", "2027", "1"])[1] == 0


def test_other_programs_run_with_the_given_environment(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo $GREETING; exit 4"]

    assert output_of(tmp_path, command, GREETING="hello") == ("hello\n", 4)


def test_a_program_that_does_not_exist_ends_as_in_a_shell(tmp_path: Path) -> None:
    assert output_of(tmp_path, ["no-such-program"]) == ("no-such-program: not found\n", 127)


def test_listening_on_all_addresses_becomes_the_address_of_the_task(tmp_path: Path) -> None:
    code = "import socket; s = socket.socket(); s.bind(('', 0)); print(s.getsockname()[0])"

    assert output_of(tmp_path, ["python", "-c", code], BIND="127.0.3.4") == ("127.0.3.4\n", 0)


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(one) for one in text.split()]


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def check_that_it_dies_with_its_parent(code: str) -> None:
    """Run a program that prints a process id and stays, and kill it: that process ends too."""
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=Path.cwd(), text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert not gone(child)

    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: gone(child))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ending_a_child_ends_all_that_it_started() -> None:
    process = child_process.start(["python", "-c", FORKING], {})
    (grandchild,) = wait_until(lambda: children_of(process.pid))

    assert child_process.end(process, 5) == -signal.SIGTERM
    wait_until(lambda: gone(grandchild))


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux to tell children of the death")
def test_a_child_dies_with_its_parent_however_that_ends() -> None:
    code = (
        "import time\n"
        "from greenlane.local import child_process\n"
        "child = child_process.start(['python', '-c', 'import time; time.sleep(60)'], {})\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    check_that_it_dies_with_its_parent(code)
