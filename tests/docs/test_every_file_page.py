"""The table of files: every kind is in it, and what it says of each is so."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from greenlane.apply import check
from greenlane.apply_files import ORDER
from greenlane.cli.main import app
from tests.docs.pages import ROOT, table
from tests.docs.test_snippets import GREENLANE, parse

PAGE = ROOT / "docs" / "concepts.md"
EXAMPLES, SPEC = ROOT / "examples" / "claude_manager", ROOT / "tests" / "data" / "spec"
FILES = {
    "service": EXAMPLES / "greenlane.yaml",
    "success_criteria": SPEC / "deployment-success-criteria.yaml",
    "canary": SPEC / "canary-config.yaml",
    "regions": EXAMPLES / "multi-region.yaml",
    "databases": EXAMPLES / "databases.yaml",
    "feature_flags": EXAMPLES / "feature-flags.yaml",
    "ab_tests": EXAMPLES / "ab-tests.yaml",
    "database_migrations": EXAMPLES / "migrations" / "migrations.yaml",
}
ROWS = table(PAGE, "One command for every file")


def key_of(row: list[str]) -> str:
    (key,) = re.findall(r"^\[`(\w+)`\]", row[0])
    return str(key)


def test_the_table_has_every_kind_in_the_order_in_which_they_are_applied() -> None:
    assert [key_of(row) for row in ROWS] == [*ORDER, "database_migrations"]


@pytest.mark.parametrize("row", ROWS, ids=key_of)
def test_the_key_makes_a_file_one_of_that_kind(row: list[str]) -> None:
    file = FILES[key_of(row)]
    assert f"\n{key_of(row)}:" in "\n" + file.read_text()
    assert check(file).kind == key_of(row)
    checked = CliRunner().invoke(app, ["apply", "--check", "-f", str(file)])
    assert checked.exit_code == 0, checked.output


@pytest.mark.parametrize("row", ROWS, ids=key_of)
def test_the_commands_are_real(row: list[str]) -> None:
    commands = [one for cell in row for one in re.findall(r"`greenlane ([^`]+)`", cell)]
    assert commands
    for command in commands:
        parse(GREENLANE, shlex.split(command))


@pytest.mark.parametrize("text", ["success_criteria: {}", "canary:"])
def test_the_files_that_take_one_away_are_correct(text: str) -> None:
    (row,) = [row for row in ROWS if key_of(row) == text.partition(":")[0]]
    assert f"`{text}`" in row[2]
    assert check(text).kind == key_of(row)


def test_a_manifest_of_migrations_is_refused_with_what_runs_it(tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, ["apply", "-f", str(FILES["database_migrations"])])
    assert refused.exit_code == 2
    assert "greenlane migrations run" in " ".join(refused.output.split())
