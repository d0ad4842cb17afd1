"""What docs/flags-operating.md shows, done against a store in memory."""

import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, patch

import pytest
from typer.testing import CliRunner

from greenlane.cli.flags import app as flags_app
from greenlane.cli.main import app
from greenlane.cli.session import Session
from greenlane.flags.definitions.document import read_flags
from greenlane.flags.lifecycle.seen import PREFIX
from greenlane.flags.lifecycle.stale import Finding
from greenlane.flags.storing import fitting, stored_items
from tests.docs.pages import ROOT, blocks, code, table
from tests.flag_store import NOW, memory_store, put

PAGE = ROOT / "docs" / "flags-operating.md"
FILE = next(block for block in blocks("yaml") if block.page == ROOT / "docs" / "flags.md")
ID = "20261124-120000-1a2b3c"


def on_page(language: str) -> list[str]:
    return [block.text for block in blocks(language) if block.page == PAGE]


def test_the_python_examples_print_what_they_say(capsys: pytest.CaptureFixture[str]) -> None:
    store = memory_store()
    put(store, FILE.text)
    client = SimpleNamespace(flags=store)
    names: dict[str, Any] = {}
    with patch("greenlane.deployments.client.Greenlane.connect", return_value=client):
        for text in on_page("python"):
            exec(compile(text, str(PAGE), "exec"), names)
    said = re.findall(r"^print\(.*\)  # (.*)$", PAGE.read_text(), re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == said
    assert store.read().flags["new_checkout"].is_on("production")


def test_the_commands_work_in_the_order_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GREENLANE_LOCAL", raising=False)
    monkeypatch.setattr("secrets.token_hex", lambda size: "1a2b3c"[: 2 * size])
    (yaml,) = on_page("yaml")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "x.py").write_text(
        "".join(f"is_feature_enabled({key!r})\n" for key in read_flags(FILE.text).feature_flags)
    )
    (tmp_path / "feature-flags.yaml").write_text(FILE.text)
    (tmp_path / "approvals.yaml").write_text(yaml)
    store, who = memory_store(), SimpleNamespace(clock=SimpleNamespace(now=lambda: NOW))
    client = SimpleNamespace(flags=store, connection=who, experiments=MagicMock())
    shown = {}

    def run(line: str, principal: str) -> Any:
        who.principal = principal
        session = Session()
        session.__dict__["client"] = client
        return CliRunner().invoke(app, shlex.split(line)[1:], obj=session)

    lines = [line for text in on_page("bash") for line in text.splitlines()]
    for line in lines:
        if not line.startswith("greenlane ") or line == "greenlane local up":
            continue
        result = run(line, "arn:sam" if "flags approve" in line else "jo")
        differs = "flags diff" in line
        again = "flags reject" in line
        assert result.exit_code == (1 if differs else 3 if again else 0), (line, result.output)
        shown[line] = result.stdout
    assert store.proposal(ID).status == "approved"
    assert shown["greenlane flags list"] in on_page("text")
    assert ID in shown["greenlane flags proposals"]


def test_the_table_names_every_command_that_there_is() -> None:
    named = {code(row[0]).removeprefix("greenlane flags ") for row in table(PAGE, "Putting flags")}
    known = {command.name or command.callback.__name__ for command in flags_app.registered_commands}
    assert named | {"apply", "diff", "approve", "reject"} == known


def test_the_layout_is_the_one_that_is_written() -> None:
    rows = [[code(cell) for cell in row[:2]] for row in table(PAGE, "What is stored")]
    flags = stored_items.FLAGS
    assert rows == [
        [flags, stored_items.HEAD],
        [flags, stored_items.DOCUMENT],
        [flags, f"{stored_items.AUDIT}<version>"],
        [flags, f"{stored_items.PROPOSAL}<id>"],
        [flags, f"{stored_items.TURN}<what>"],
        [f"{stored_items.SNAPSHOT}#<environment>", stored_items.VERSION],
        [f"{stored_items.SNAPSHOT}#<environment>", stored_items.SNAPSHOT],
        [f"{PREFIX}<environment>", "<flag>"],
    ]


def test_the_limits_are_those_that_are_written() -> None:
    told = {row[0]: row[1] for row in table(PAGE, "Limits")}
    assert told == {
        "all flags, compressed": f"{fitting.ORDINARY_BYTES // 1024} KB",
        "the snapshot of one environment, compressed": f"{fitting.ORDINARY_BYTES // 1024} KB",
        "environments": str(fitting.MOST_ENVIRONMENTS),
        "all snapshots together, compressed": (
            f"{(fitting.MOST_BYTES - fitting.SPARE_BYTES) / 1024**2:.1f} MB"
        ),
    }


def test_every_finding_is_explained() -> None:
    told = [code(row[0]) for row in table(PAGE, "Flags that should be gone")]
    kinds = Finding.model_fields["kind"].annotation.__args__
    assert told == [kind.replace("_", " ") for kind in kinds]
