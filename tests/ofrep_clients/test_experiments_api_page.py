"""The code of docs/experiments-api.md, run as it stands against the API of the local cloud."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from greenlane.experiments.counting.reading import counted
from greenlane.experiments.names import TABLE
from greenlane.experiments.planning import Baseline, plan
from greenlane.experiments.storing.apply import apply_experiments
from tests.docs.pages import blocks
from tests.flag_api import DeployedApi
from tests.ofrep_clients.node_packages import NODE, installed

TIME_SCALE = 1
"""The page's clients say by their own clocks when somebody was shown something."""


def code(language: str, part: str) -> str:
    """The one block of the page in a language that has some text."""
    (found,) = [
        one.text
        for one in blocks(language)
        if one.page.name == "experiments-api.md" and part in one.text
    ]
    return found


@pytest.fixture(scope="module")
def begun(api: DeployedApi) -> DeployedApi:
    """The page's test, running."""
    api.put("feature_flags: {new_checkout: {}}")
    api.begin(code("yaml", "checkout"))
    return api


@pytest.fixture
def environ(begun: DeployedApi) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "FLAGS_URL": begun.url,
        "FLAGS_KEY": begun.key,
    }


def run(command: list[str], environ: dict[str, str], folder: Path | None = None) -> str:
    done = subprocess.run(
        command,
        env=environ,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def until(holds: Callable[[], bool], said: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, said
        time.sleep(0.05)


def exposed(api: DeployedApi) -> int:
    """Users who are counted, of all variants."""
    test = api.experiments.test("checkout")
    counters = counted(api.cloud.client("dynamodb"), TABLE, test)
    return sum(numbers.get("n", 0) for name, numbers in counters.items() if name.count("#") == 1)


def test_the_answer_that_is_shown_is_the_one_that_is_given(begun: DeployedApi) -> None:
    shown = json.loads(code("json", "takesPart"))

    def answered() -> bool:
        told = begun.look_up("/checkout", {"targetingKey": "user-1"})
        return bool(told.json == shown)

    until(answered, "the page shows another answer")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_a_lookup_and_an_event_by_curl_as_shown(environ: dict[str, str]) -> None:
    looked_up = json.loads(run(["bash", "-c", code("bash", "evaluate/flags/checkout")], environ))
    recorded = json.loads(run(["bash", "-c", code("bash", "/v1/events")], environ))

    assert looked_up["value"] == "treatment"
    assert [one["result"] for one in recorded["results"]] == ["pending"]


@pytest.mark.parametrize("client", ["python", "node"])
def test_the_hook_reports_what_was_shown(
    begun: DeployedApi, environ: dict[str, str], client: str
) -> None:
    """Under another user's name for each client, so that each is seen to count."""
    user = "user-3" if client == "python" else "user-4"  # the one has the control
    before = exposed(begun)
    if client == "python":
        text = code("python", "ReportExposures").replace("user-1", user)
        said = run([sys.executable, "-c", text], environ)
    else:
        folder = installed()
        text = code("js", "reportExposures").replace("user-1", user)
        (folder / "hook-page.mjs").write_text(text)
        said = run([str(NODE), "hook-page.mjs"], environ, folder)

    assert said == ("control" if client == "python" else "treatment")
    until(lambda: exposed(begun) == before + 1, "nobody was exposed")


def test_a_lookup_without_the_hook_exposes_nobody(
    begun: DeployedApi, environ: dict[str, str]
) -> None:
    before = exposed(begun)
    text = code("python", "ReportExposures").replace("user-1", "user-5")
    run([sys.executable, "-c", text.replace("client.add_hooks([exposures])", "")], environ)

    assert exposed(begun) == before


def test_the_plan_that_is_shown_is_the_one_that_is_made(begun: DeployedApi) -> None:
    shown = code("text", "found in 80%")
    definition = begun.experiments.test("checkout").definition

    made = plan(definition, Baseline(0.1), per_day=20_000)

    assert f"control {made.users['control']}," in shown
    assert made.detectable is not None
    assert f"{made.detectable:.2%} and more" in shown
    assert re.search(r"^  time     7 days", shown, re.MULTILINE)


def test_the_file_that_is_shown_applies_as_no_change(begun: DeployedApi) -> None:
    now = begun.cloud.clock.now()
    applied = apply_experiments(begun.experiments, code("yaml", "checkout"), by="a test", at=now)

    assert applied.changed == ()
