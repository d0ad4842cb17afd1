"""The page on running a rollout says what the code does."""

import json
from typing import Any, get_args

from typer.main import get_command

from greenlane.cli.main import app
from greenlane.regions.coordinating import deciding, remote, running, taking_in, waves
from greenlane.regions.coordinating.api import STRATEGIES
from greenlane.regions.coordinating.model import State
from infra.regions import TENDED_EACH
from infra.settings import RegionsSettings
from tests.docs.pages import ROOT, blocks, code, section, table

FILE = ROOT / "docs" / "regions-running.md"
TEXT = FILE.read_text()


def test_every_state_of_a_region_is_explained() -> None:
    rows = [code(row[0]) for row in table(FILE, "What a Region goes through")]
    assert rows == list(get_args(State))


def test_every_command_is_listed() -> None:
    group: Any = get_command(app)
    group = group.commands["regions"]
    listed = {code(row[0]).removeprefix("greenlane regions ") for row in table(FILE, "Deploying")}
    assert listed == set(group.commands) - {"plan"}


def test_every_strategy_is_explained() -> None:
    assert {code(row[0]) for row in table(FILE, "Deploying", 1)} == set(STRATEGIES)


def test_the_settings_of_the_page_are_accepted() -> None:
    (block,) = [
        one for one in blocks("json") if one.page.name == FILE.name and '"home"' in one.text
    ]
    assert RegionsSettings.model_validate(json.loads(block.text)["regions"]).home == "eu-west-1"


def test_the_times_and_limits_are_those_of_the_code() -> None:
    def minutes(span):
        return int(span.total_seconds() // 60)

    assert f"looks again in {minutes(deciding.LOOK)} minutes" in TEXT
    assert f"live traffic of the last {minutes(remote.LIVE_SHARE_OF)} minutes" in TEXT
    assert waves.SHARE_FACTOR == 2
    assert f"has not answered for {minutes(taking_in.SILENCE)} minutes" in TEXT
    assert f"tried again every {minutes(deciding.AGAIN)} minutes" in TEXT
    assert minutes(deciding.AGAIN_HELD) == 60
    assert minutes(deciding.GIVE_UP) == 24 * 60
    assert f"goes on in a new execution after {running.MOST_ROUNDS}" in TEXT
    assert f"runs every {TENDED_EACH.to_minutes():.0f} minutes" in TEXT
    assert "Within 5 minutes another one takes its place" in section(FILE, "When something dies")
