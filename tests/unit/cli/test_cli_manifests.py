"""`greenlane apply --check` and a manifest of migrations."""

import json
from pathlib import Path
from typing import Any

import pytest

MANIFEST = """
database_migrations:
  database: orders
  owner: team-orders
  files:
    - {file: 0001_expand_note.sql, phase: expand}
"""


@pytest.fixture
def client() -> None:
    """No cloud is asked."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "migrations.yaml").write_text(MANIFEST)
    (tmp_path / "0001_expand_note.sql").write_text("ALTER TABLE orders ADD COLUMN note text;\n")
    return tmp_path


def said(result: Any, code: int = 0) -> str:
    assert result.exit_code == code, result.output
    return " ".join(str(result.output).split())


def test_a_manifest_is_checked_with_its_files(run: Any, folder: Path) -> None:
    file = str(folder / "migrations.yaml")

    told = said(run("apply", "--check", "-f", file))
    answer = json.loads(run("--output", "json", "apply", "--check", "-f", file).stdout)

    assert "a correct manifest of 1 migration; nothing was run" in told
    assert answer["migrations"] == ["0001_expand_note"]
    assert len(answer["sha256"]) == 64


def test_a_file_in_the_wrong_phase_is_refused(run: Any, folder: Path) -> None:
    (folder / "0001_expand_note.sql").write_text("ALTER TABLE orders DROP COLUMN note;\n")

    result = run("apply", "--check", "-f", str(folder / "migrations.yaml"))

    assert result.exit_code != 0
    assert "this belongs to contract, not to expand" in " ".join(result.output.split())


def test_a_manifest_of_another_name_is_checked_by_itself(run: Any, folder: Path) -> None:
    other = folder / "other.yaml"
    (folder / "migrations.yaml").rename(other)

    assert "the SQL files were not read" in said(run("apply", "--check", "-f", str(other)))


def test_a_manifest_is_not_applied(run: Any, folder: Path) -> None:
    result = run("apply", "-f", str(folder / "migrations.yaml"))

    assert result.exit_code != 0
    assert "migrations are run, not applied" in " ".join(result.output.split())
