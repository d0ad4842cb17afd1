import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from greenlane.errors import InvalidInput
from greenlane.local.daemon import read_state, start_daemon, stop_daemon
from greenlane.local.errors import LocalCloudError


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Any]:
    yield tmp_path / "local"
    stop_daemon(tmp_path / "local")


def lives(pid: Any) -> Any:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children_of(pid: Any) -> Any:
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in found for child in path.read_text().split()]


def test_a_daemon_runs_until_it_is_stopped_and_leaves_no_process(directory: Path) -> None:
    state = start_daemon(directory, time_scale=30, sample=False)
    assert read_state(directory) == state
    assert (state.time_scale, state.region) == (30, "eu-west-1")
    client = boto3.client(
        "dynamodb",
        endpoint_url=state.endpoint_url,
        region_name=state.region,
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    assert client.list_tables()["TableNames"] == []
    client.close()
    family = [state.pid, *children_of(state.pid)]
    assert len(family) > 1
    assert stop_daemon(directory)
    assert read_state(directory) is None
    deadline = time.monotonic() + 60
    while any(lives(pid) for pid in family) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(lives(pid) for pid in family)


def test_only_one_runs_in_a_directory(directory: Path) -> None:
    state = start_daemon(directory, sample=False)
    with pytest.raises(LocalCloudError, match=f"process {state.pid}"):
        start_daemon(directory, sample=False)
    assert read_state(directory) == state


def test_a_killed_daemon_is_not_taken_for_a_running_one(directory: Path) -> None:
    state = start_daemon(directory, sample=False)
    family = children_of(state.pid)
    os.kill(state.pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while any(lives(pid) for pid in [state.pid, *family]) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(lives(pid) for pid in [state.pid, *family])
    assert read_state(directory) is None
    assert not stop_daemon(directory)
    assert start_daemon(directory, sample=False).pid != state.pid


def test_a_daemon_that_cannot_start_says_why(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"artifacts": {}}')
    with pytest.raises(LocalCloudError, match="did not come up"):
        start_daemon(directory, assembly=tmp_path)
    assert read_state(directory) is None


def test_without_templates_nothing_is_started(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="make synth"):
        start_daemon(directory, assembly=tmp_path / "nothing")
    assert not directory.exists()


def test_a_daemon_that_is_ended_while_it_starts_leaves_no_process(directory: Path) -> None:
    command = [sys.executable, "-m", "greenlane.local.daemon", "--bare", "--directory"]
    with subprocess.Popen([*command, str(directory)], stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while not children_of(process.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        family = children_of(process.pid)
        process.terminate()
        process.wait(timeout=60)
    assert family
    assert not any(lives(pid) for pid in family)
    assert read_state(directory) is None


def test_where_none_runs_there_is_nothing_to_stop(directory: Path) -> None:
    assert not stop_daemon(directory)
    assert read_state(directory) is None
