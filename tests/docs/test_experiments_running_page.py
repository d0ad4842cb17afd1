"""The page on tests that run by themselves says what the code does."""

import re
from pathlib import Path
from typing import Any

import pytest

from greenlane.experiments.aa.running import SALTS, USERS
from greenlane.experiments.document import read_experiments
from greenlane.experiments.model import (
    LEAST_WITHOUT_END,
    MINUTE,
    MOST_LOOKS,
    Experiment,
)
from greenlane.experiments.running import experiment_news, settling
from greenlane.experiments.running.timing import MOST_ROUNDS
from infra.incidents import KEPT_DAYS
from tests.docs.pages import ROOT, blocks, code, table

PAGE = ROOT / "docs" / "experiments-running.md"
ADR = ROOT / "docs" / "adr" / "0032-looks-by-the-workflow-watches-by-the-tick.md"


def on_page(language: str) -> list[str]:
    return [block.text for block in blocks(language) if block.page == PAGE]


def test_the_python_example_prints_what_stands_there(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = on_page("python")
    names: dict[str, Any] = {}
    exec(compile(example, str(PAGE), "exec"), names)
    said = re.findall(r"print\(.*\)  # (\w+)", example)
    assert capsys.readouterr().out.split() == said == ["None", "True"]


def test_the_file_of_the_page_has_what_the_text_is_about() -> None:
    (text,) = on_page("yaml")
    test = read_experiments(text).ab_tests["checkout_optimization"]
    assert test.winner_flag is not None
    assert test.service == "claude-manager"
    # The intervals of the file are those that hold without it.
    default = Experiment.model_validate({"variants": {"a": 50, "b": 50}, "metrics": ["x_rate"]})
    for key in ("look_interval", "watch_interval"):
        assert getattr(test, key) == getattr(default, key)


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    text = PAGE.read_text()
    for pattern, number in (
        (r"A test with an end has at most (\d+) looks", MOST_LOOKS),
        (r"under (\d+) other salts", SALTS),
        (r"([\d,]+) users and \d+ salts take", USERS),
        (r"where it stays (\d+) days", KEPT_DAYS),
    ):
        found = re.search(pattern, text)
        assert found is not None, pattern
        assert int(found[1].replace(",", "")) == number
    assert LEAST_WITHOUT_END.total_seconds() * 4 == 86400  # "at most four a day"
    assert MINUTE.total_seconds() == 60
    assert settling.NEWS_WITHOUT_FLAG.total_seconds() == 600  # "up to ten minutes"
    said = ADR.read_text()
    assert f"After {MOST_ROUNDS:,} rounds" in said
    assert f"after {settling.LEFT_TO_OTHERS.seconds} seconds" in said


def test_the_table_of_ends_says_how_bad_each_is() -> None:
    rows = table(PAGE, "What ends a test")
    told = {code(name): row[2] for row in rows for name in re.findall(r"`\w+`", row[0])}
    words = {"critical": "critical", "warning": "warning", "info": "info"}
    for verdict, said in told.items():
        severity = experiment_news._SEVERITIES.get(verdict, "info")  # type: ignore[call-overload]
        assert said.startswith(words[severity]), verdict
    assert set(told) == set(experiment_news._SAID)


def test_notifications_name_every_kind() -> None:
    text = (ROOT / "docs" / "notifications.md").read_text()
    for verdict in experiment_news._SAID:
        assert f"`experiment_{verdict}`" in text
    assert Path(PAGE).is_file()
