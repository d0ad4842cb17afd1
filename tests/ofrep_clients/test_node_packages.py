"""The installation of the npm packages, which the processes of a parallel run share."""

import multiprocessing
import time
from pathlib import Path

import pytest

from tests.ofrep_clients import node_packages


def test_processes_at_the_same_time_install_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def install(folder: Path) -> None:
        time.sleep(0.3)
        with (tmp_path / "runs").open("a") as runs:
            runs.write("one\n")
        (folder / "node_modules").mkdir()

    monkeypatch.setattr(node_packages, "BUILD", tmp_path / "build")
    monkeypatch.setattr(node_packages, "_install", install)
    started = [
        multiprocessing.get_context("fork").Process(target=node_packages.installed)
        for _ in range(3)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(timeout=120)

    assert [process.exitcode for process in started] == [0, 0, 0]
    assert (tmp_path / "runs").read_text() == "one\n"
