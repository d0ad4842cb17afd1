import hashlib
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from greenlane.cli.main import app
from greenlane.flags.definitions.model import EnvironmentSettings
from greenlane.flags.evaluating.conditions import OPERATORS
from greenlane.flags.evaluating.evaluation import Evaluation
from tests.docs.pages import ROOT, blocks, section, table

PAGE = ROOT / "docs" / "flags.md"
KINDS = ("yaml", "bash", "text")


def test_the_examples_run_as_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (file,) = [block for block in blocks("yaml") if block.page == PAGE]
    Path("feature-flags.yaml").write_text(file.text)
    names: dict[str, Any] = {}
    for block in blocks("python"):
        if block.page == PAGE:
            exec(compile(block.text, block.id, "exec"), names)

    first, groups, rollout, flagd = capsys.readouterr().out.splitlines()
    said = re.search(r"print\(found.value.*# (.*)$", PAGE.read_text(), re.MULTILINE)
    assert said is not None
    assert first == said[1]
    assert groups.startswith("groups ")
    assert rollout.startswith("rollout ")
    assert "'fractional': [['on', 25], ['off', 75]]" in flagd


def test_the_commands_print_what_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    texts = {kind: [one.text for one in blocks(kind) if one.page == PAGE] for kind in KINDS}
    Path("feature-flags.yaml").write_text(texts["yaml"][0])
    lines = [line for line in texts["bash"][0].splitlines() if line.startswith("greenlane ")]
    results = [CliRunner().invoke(app, shlex.split(line)[1:]) for line in lines]

    assert [one.exit_code for one in results] == [0, 0]
    assert "".join(one.stdout for one in results) == texts["text"][0]


def test_the_hash_that_is_written_has_the_golden_vectors() -> None:
    (text,) = [one.text for one in blocks("text") if one.page == PAGE and "BLAKE2b" in one.text]
    said = re.fullmatch(
        r"hashed = salt's length in bytes \((\d) bytes, big-endian\) \+ salt \+ key   \(both in "
        r"UTF-8\)\nbucket = first (\d+) bits of BLAKE2b-(\d+)\(hashed\), big-endian, "
        r"x ([\d,]+) >> (\d+)\n",
        text,
    )
    assert said is not None
    length, first, digest, buckets, shift = (int(one.replace(",", "")) for one in said.groups())

    for row in table(PAGE, "Golden vectors"):
        salt, key = (cell.strip("`").encode() for cell in row[:2])
        hashed = len(salt).to_bytes(length, "big") + salt + key
        found = hashlib.blake2b(hashed, digest_size=digest // 8).digest()[: first // 8]
        assert int.from_bytes(found, "big") * buckets >> shift == int(row[2]), row


def test_every_operator_is_described() -> None:
    rows = table(PAGE, "Conditions")
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row[0])]

    assert sorted(named) == sorted([*OPERATORS, "present", "absent"])


def test_every_field_of_an_answer_is_described() -> None:
    named = {name for row in table(PAGE, "Answers") for name in re.findall(r"`(\w+)`", row[0])}

    assert named == set(Evaluation._fields) - {"key"}


def test_what_an_environment_overrides_is_listed() -> None:
    text = section(PAGE, "How the keys combine")
    (listed,) = re.findall(r"^`per_environment` overrides (.*)$", text, re.MULTILINE)

    assert set(re.findall(r"`(\w+)`", listed)) - {"per_environment"} == set(
        EnvironmentSettings.model_fields
    )
