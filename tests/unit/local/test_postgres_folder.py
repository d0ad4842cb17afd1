import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from greenlane.local import postgres_folder
from greenlane.local.errors import PostgresFailed
from greenlane.local.postgres import LocalPostgres
from greenlane.local.postgres_binaries import Binaries, find_binaries
from greenlane.local.postgres_folder import Account, make_place, server_account


@pytest.fixture
def prefix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """What the names of all folders of this test begin with."""
    chosen = f"gl-{abs(hash(tmp_path)) % 10**8}-"
    monkeypatch.setattr(postgres_folder, "_PREFIX", chosen)
    return chosen


def left(prefix: str) -> list[Path]:
    return [path for base in ("/tmp", "/dev/shm") for path in Path(base).glob(f"{prefix}*")]


def test_a_server_that_does_not_start_leaves_nothing_and_says_why(prefix: str) -> None:
    with pytest.raises(PostgresFailed, match=r'(?s)PostgreSQL ended: .*"work_mem": "lots"'):
        LocalPostgres.start({"work_mem": "lots"})

    assert left(prefix) == []


def test_data_that_cannot_be_made_leave_nothing_and_the_error_says_why(
    prefix: str, tmp_path: Path
) -> None:
    real = find_binaries()
    broken = tmp_path / "installation" / "bin"
    broken.mkdir(parents=True)
    for folder in ("lib", "share"):
        broken.with_name(folder).mkdir()
    for name, does in {
        "postgres": f"echo 'postgres (PostgreSQL) {real.version}'",
        "initdb": "echo 'the disk is full'; exit 1",
    }.items():
        (broken / name).write_text(f"#!/bin/sh\n{does}\n")
        (broken / name).chmod(0o755)

    with pytest.raises(PostgresFailed, match="initdb failed: the disk is full"):
        LocalPostgres.start(binaries=Binaries(broken, real.version, "test"))

    assert left(prefix) == []


def test_memory_is_used_where_it_is_asked_for_and_has_room(prefix: str) -> None:
    free = shutil.disk_usage("/dev/shm").free
    account = server_account()

    with_room = make_place(account, find_binaries(), tmpfs_bytes=free // 2)
    without = make_place(account, find_binaries(), tmpfs_bytes=free * 2)
    not_asked = make_place(account, find_binaries())

    assert (with_room.on_tmpfs, without.on_tmpfs, not_asked.on_tmpfs) == (True, False, False)
    assert with_room.folder.parent == Path("/dev/shm")
    assert without.folder.parent != Path("/dev/shm")
    for place in (with_room, without, not_asked):
        place.remove()
        place.remove()
    assert left(prefix) == []


def test_a_temporary_folder_too_long_for_a_socket_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/tmp/" + "x" * 80)

    place = make_place(server_account(), find_binaries())

    assert place.folder.parent == Path("/tmp")
    place.remove()


def test_without_a_temporary_folder_the_error_names_what_to_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Account, "may_enter", lambda account, folder: False)

    with pytest.raises(PostgresFailed, match=r"/tmp, /var/tmp: let TMPDIR name one"):
        make_place(server_account(), find_binaries())


def test_root_without_another_user_is_told_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(postgres_folder, "USERS", ("no-such-user", "nor-this"))

    with pytest.raises(PostgresFailed, match="no user no-such-user or nor-this: run this as an"):
        server_account()


def test_root_that_may_not_become_another_user_is_told_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*command: Any, **arguments: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(subprocess, "run", refuse)

    with pytest.raises(PostgresFailed, match=r"may not become \w+ here \(Operation not permitted"):
        server_account()


def test_the_user_is_nobody_where_there_is_no_postgres(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(postgres_folder, "USERS", ("no-such-user", "nobody"))
    monkeypatch.setattr(subprocess, "run", lambda *command, **arguments: None)

    assert server_account().name == "nobody"


def test_programs_that_can_neither_be_run_nor_copied_are_an_error(
    prefix: str, tmp_path: Path
) -> None:
    alone = Binaries(tmp_path / "bin", "15.3", "test")
    alone.folder.mkdir()

    with pytest.raises(PostgresFailed, match=r"cannot be copied .*let GREENLANE_POSTGRES_BIN name"):
        LocalPostgres.start(binaries=alone)

    assert left(prefix) == []


def test_a_copy_that_does_not_run_either_is_an_error(prefix: str, tmp_path: Path) -> None:
    for folder in ("bin", "lib", "share"):
        (tmp_path / folder).mkdir()

    with pytest.raises(PostgresFailed, match=r"can run neither .*let GREENLANE_POSTGRES_BIN name"):
        LocalPostgres.start(binaries=Binaries(tmp_path / "bin", "15.3", "test"))

    assert left(prefix) == []
