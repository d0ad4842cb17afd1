"""The page on A/B tests shows what happens."""

from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import blocks

PAGE = "experiments.md"


def python(part: str) -> str:
    (found,) = [b.text for b in blocks("python") if b.page.name == PAGE and part in b.text]
    return found


def run(part: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(python(part), PAGE, "exec"), names)
    return names


def test_a_user_of_the_file_is_assigned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (text,) = [b.text for b in blocks("yaml") if b.page.name == PAGE]
    monkeypatch.chdir(tmp_path)
    Path("ab-tests.yaml").write_text(text)

    assert run("Assigner")["found"].why in ("assigned", "other_layer_place")


def test_batches_change_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    run("UserTotal")

    assert capsys.readouterr().out == "True\n"


def test_the_decision_is_the_one_that_stands_there(capsys: pytest.CaptureFixture[str]) -> None:
    run("decide(test")

    assert capsys.readouterr().out == "ship treatment is better, shown at look 1\n"
    assert "# ship treatment is better, shown at look 1" in python("decide(test")


def test_the_plan_is_whole_weeks() -> None:
    names = run("sample_size")

    assert names["duration"](names["plan"], 20_000, names["design"]).days % 7 == 0
