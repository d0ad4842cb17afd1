"""The page on migrations shows what happens, and lists what there is."""

import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from greenlane.migrations.declaring.drift import Kind
from greenlane.migrations.declaring.loading import load_plan
from greenlane.migrations.declaring.model import Manifest, MigrationFile
from greenlane.migrations.inverting.model import GRADES
from greenlane.migrations.planning import changes
from greenlane.migrations.validating.model import PHASES
from tests.docs.pages import ROOT, blocks, code, table

PAGE = ROOT / "docs" / "migrations.md"


def texts(language: str) -> list[str]:
    return [one.text for one in blocks(language) if one.page == PAGE]


def test_the_examples_print_what_stands_below_them(capsys: pytest.CaptureFixture[str]) -> None:
    planned, asked, graded = texts("python")
    names: dict[str, object] = {}
    printed = []
    for example in (planned, asked, graded):
        exec(compile(example, PAGE.name, "exec"), names)
        printed.append(capsys.readouterr().out.strip())

    assert printed == [one.strip() for one in (*texts("sql"), *texts("text"))]


def test_the_folder_of_the_page_is_a_plan(tmp_path: Path) -> None:
    (manifest,) = texts("yaml")
    (sql,) = texts("sql")
    expand, migrate, contract = re.split(r"^-- 000\d_\w+\.sql: .*$", sql, flags=re.MULTILINE)[1:]
    (tmp_path / "migrations.yaml").write_text(manifest)
    (tmp_path / "0007_expand_full_name.sql").write_text(expand)
    (tmp_path / "0008_migrate_full_name.sql").write_text(migrate)
    (tmp_path / "0009_contract_name.sql").write_text(contract)
    (tmp_path / "old_app.sql").write_text("SELECT name FROM people")

    plan = load_plan(tmp_path)

    assert [len(one.statements) for one in plan.scripts] == [3, 1, 3]


@pytest.mark.parametrize(("number", "model"), [(0, Manifest), (1, MigrationFile)])
def test_every_key_is_explained(number: int, model: type[BaseModel]) -> None:
    assert {code(row[0]) for row in table(PAGE, "A folder of migrations", number)} == set(
        model.model_fields
    )


def test_phases_grades_and_kinds_of_drift_are_listed() -> None:
    assert [code(row[0]) for row in table(PAGE, "Three phases")] == list(PHASES)
    assert [code(row[0]) for row in table(PAGE, "What can be undone")] == list(GRADES)
    assert [code(row[0]) for row in table(PAGE, "Drift")] == list(get_args(Kind))


def test_every_change_that_can_be_planned_is_listed() -> None:
    listed = [code(row[0]) for row in table(PAGE, "Planning a change")]

    assert sorted(listed) == sorted(
        name for name, value in vars(changes).items() if callable(value)
    )
