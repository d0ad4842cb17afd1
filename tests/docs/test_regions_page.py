"""The page on several Regions shows what happens."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from greenlane.cli.main import app
from greenlane.durations import format_seconds
from greenlane.regions.declaring.model import (
    Bake,
    DeploymentStrategy,
    Region,
    RegionMonitoring,
    Waves,
)
from greenlane.regions.windows.zones import ASSUMED
from tests.docs.pages import ROOT, blocks, code, table

PAGE = "regions.md"
FILE = ROOT / "docs" / PAGE


def block(language: str, part: str = "") -> str:
    (found,) = [b.text for b in blocks(language) if b.page.name == PAGE and part in b.text]
    return found


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "multi-region.yaml"
    path.write_text(block("yaml"))
    return path


def written(value: Any) -> str:
    """A default as the page writes it."""
    match value:
        case None:
            return "none"
        case timedelta():
            return f"`{format_seconds(value.total_seconds())}`"
        case Decimal():
            return f"`{value.normalize():f}`"
        case tuple():
            return f"`[{', '.join(value)}]`"
        case BaseModel():
            return "see below"
    return f"`{value}`"


@pytest.mark.parametrize(
    ("model", "heading", "number"),
    [
        (Region, "Regions", 0),
        (DeploymentStrategy, "Strategy", 0),
        (Bake, "Strategy", 1),
        (Waves, "Strategy", 2),
        (RegionMonitoring, "Strategy", 3),
    ],
)
def test_every_key_is_described_with_its_default(
    model: type[BaseModel], heading: str, number: int
) -> None:
    described = {code(row[0]): row[1] for row in table(FILE, heading, number)}

    assert described == {
        name: written(field.get_default(call_default_factory=True))
        for name, field in model.model_fields.items()
    }


def test_the_abbreviations_are_those_that_are_taken_for_zones() -> None:
    assert {code(row[0]): code(row[1]) for row in table(FILE, "Zones")} == ASSUMED


def test_the_plan_that_is_printed_is_the_one_that_stands_there(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "220")
    result = CliRunner().invoke(
        app, ["regions", "plan", "-f", file.name, "--at", "2026-11-30T14:00"]
    )
    assert result.exit_code == 0, result.output
    *said, zones = result.stdout.splitlines()
    *stands, _ = block("text").splitlines()

    assert said == stands
    assert zones.startswith("time zones: ")


def test_the_night_that_clocks_cut_is_as_short_as_it_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = block("python", "night.on")
    exec(compile(text, PAGE, "exec"), {})

    assert text.endswith(f"# {capsys.readouterr().out}")


def test_the_library_is_called_as_it_is(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block("python", "plan_regions"), PAGE, "exec"), {})
    first, *_, dearest = capsys.readouterr().out.splitlines()

    assert first == "1 2026-11-30 14:00:00+00:00 ['eu-north-1']"
    assert dearest.startswith("deployment windows ")
