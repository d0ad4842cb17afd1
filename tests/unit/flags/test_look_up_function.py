"""The lookup function: what it imports, and that its stage says whose flags are asked for."""

import json
import subprocess
import sys
from typing import Any

import pytest

from benchmarks import cold_start
from functions import look_up_flags
from greenlane.experiments.names import TABLE
from greenlane.flags.reading import dynamo_http
from greenlane.flags.reading.sources import BotoSource
from tests.docs.pages import ROOT
from tests.experiment_store import Laboratory
from tests.unit.flags.ofrep_asking import context, event
from tests.unit.flags.reading import Shelf, body

HEAVY = {
    "aws_lambda_powertools",
    "aws_xray_sdk",
    "boto3",
    "botocore",
    "dataclasses",
    "pydantic",
    "re2",
    "requests",
    "typing",
    "urllib3",
    "yaml",
}

# What awslambdaric's bootstrap has imported before it imports a handler.
COLD = """
import json, logging, sys, time, traceback
before = set(sys.modules)
sys.path.insert(0, ".")
import functions.look_up_flags as module
if len(sys.argv) > 1:
    event = json.loads(sys.argv[1])
    answer = module.handler(event, None)
    print(json.dumps(answer))
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def cold(*arguments: str, **environ: str) -> list[Any]:
    """What a fresh interpreter prints; -I and -S keep the machine's own start-up out."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", COLD, *arguments],
        cwd=ROOT,
        env={
            "AWS_REGION": "eu-west-1",
            "FLAGS_TABLE": "flags",
            "EXPERIMENTS_TABLE": "experiments",
            **environ,
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def roots(modules: list[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_a_cold_start_imports_nothing_heavy() -> None:
    (imported,) = cold()

    assert roots(imported) & HEAVY == set()
    assert "http.client" in imported, "the client is loaded while Lambda gives more processor"
    # 60 when this was written; each costs a fraction of a millisecond and some memory.
    assert len(imported) <= 75, imported


def test_the_first_lookup_imports_nothing_heavy_either() -> None:
    asked = {**event(context(), "f"), "requestContext": {"stage": "production"}}
    where = "http://127.0.0.1:9"  # nobody answers there: the default counts, at once

    answer, imported = cold(
        json.dumps(asked),
        AWS_ENDPOINT_URL=where,
        AWS_ACCESS_KEY_ID="k",
        AWS_SECRET_ACCESS_KEY="s",
    )

    assert answer["statusCode"] == 503
    assert roots(imported) & HEAVY == set()


def test_a_cold_start_takes_at_most_a_third_of_that_of_a_usual_lookup() -> None:
    """It takes a tenth; `make bench-cold-start` has the figures."""
    found = cold_start.compared(rounds=3)

    ours, usual = found[cold_start.OURS], found[cold_start.TYPICAL]
    assert ours["import_ms"] <= usual["import_ms"] / 3
    assert ours["first_ms"] <= usual["first_ms"] / 3


def test_what_a_lookup_of_an_experiment_needs_is_there_before_the_first_request() -> None:
    (imported,) = cold()

    assert "greenlane.experiments.answering" in imported
    assert [name for name in imported if name.startswith("greenlane.experiments.st")] == []


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """What the function reads from, in the place of the table."""
    source = Shelf(production=body(), staging=body(flags={}))
    monkeypatch.setattr(look_up_flags, "_environments", {})
    monkeypatch.setattr(look_up_flags, "_tests", [])
    monkeypatch.setattr(look_up_flags, "chosen_source", lambda: source)
    return source


def look_up(stage: str, key: str | None = "f") -> tuple[int, Any]:
    asked = {**event(context(), key), "requestContext": {"stage": stage}}
    answer = look_up_flags.handler(asked, None)
    return answer["statusCode"], json.loads(answer["body"])


def test_a_stage_answers_with_the_flags_of_the_environment_of_its_name(shelf: Shelf) -> None:
    assert look_up("production")[0] == 200
    assert look_up("staging")[0] == 404
    assert look_up("production", None)[1]["metadata"]["environment"] == "production"


def test_the_snapshot_is_kept_between_invocations(shelf: Shelf) -> None:
    for _ in range(3):
        look_up("production")

    assert shelf.asked == ["version production", "snapshot production"]


def test_a_share_of_the_lookups_is_counted_in_metrics(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLAGS_SAMPLED", "0.5")
    monkeypatch.setattr("random.random", iter([0.1, 0.9, 0.2, 0.8, 0.3]).__next__)

    for _ in range(4):
        look_up("production")
    look_up("production", None)

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["feature_flag.key"], line["Evaluations"]) for line in lines] == [("f", 2)] * 3


def test_keys_that_no_flag_has_are_counted_as_one(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever has a page's API key makes them up, and each would be a metric that costs."""
    monkeypatch.setenv("FLAGS_SAMPLED", "1")

    for key in ("a", "b", "x" * 2000):
        assert look_up("production", key)[0] == 404

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["feature_flag.key"] for line in lines] == ["*"] * 3
    assert {line["error.type"] for line in lines} == {"flag_not_found"}


def test_nothing_is_counted_unless_it_is_asked_for(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    look_up("production")

    assert capsys.readouterr().out == ""


def test_a_store_that_cannot_be_read_turns_nothing_on(shelf: Shelf) -> None:
    shelf.broken = dynamo_http.StoreUnreadable("no")

    status, told = look_up("production")

    assert (status, told["errorCode"]) == (503, "GENERAL")


@pytest.fixture
def laboratory(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Laboratory:
    """A test that runs, in the table that the function finds by its variable."""
    made = Laboratory()
    made.begin()
    sources: dict[str, Any] = {
        "FLAGS_TABLE": shelf,
        "EXPERIMENTS_TABLE": BotoSource(made.table, TABLE),
    }
    monkeypatch.setenv("EXPERIMENTS_TABLE", TABLE)
    monkeypatch.setattr(look_up_flags, "chosen_source", lambda named="FLAGS_TABLE": sources[named])
    return made


@pytest.mark.parametrize("stage", ["production", "staging"])
def test_experiments_are_the_same_in_every_environment(laboratory: Laboratory, stage: str) -> None:
    status, told = look_up(stage, "checkout")

    assert (status, told["variant"], told["metadata"]["experiment"]) == (200, "control", "checkout")


def test_which_experiments_are_looked_up_is_noted_nowhere(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`flags stale` tells of flags; an experiment among them would be one that nobody defined."""
    written: list[Any] = []
    monkeypatch.setenv("FLAGS_RECORDED", "1")
    monkeypatch.setattr(look_up_flags, "chosen_writer", lambda: written.append)

    for key in ("checkout", "f", None):
        look_up("production", key)

    assert "checkout" not in json.dumps(written)
    assert '"f"' in json.dumps(written)


def test_a_table_of_experiments_that_cannot_be_read_leaves_flags_as_they_are(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise OSError("no answer")

    monkeypatch.setattr(BotoSource, "version", fails)

    assert look_up("production")[0] == 200
    assert look_up("production", "checkout")[0] == 503
    assert [one["key"] for one in look_up("production", None)[1]["flags"]] == ["f"]
