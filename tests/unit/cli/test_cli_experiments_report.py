"""`greenlane experiments report` and `aa`, on a table in memory."""

import csv
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from greenlane.experiments.decision import decide
from greenlane.experiments.report.keeping import write_experiment_report
from greenlane.experiments.report.reading import report_of
from greenlane.experiments.storing import keeping
from greenlane.experiments.storing.state import StoredTests
from tests.experiment_store import Laboratory
from tests.experiment_town import ACCOUNT, BUCKET, Bucket
from tests.unit.experiments.test_experiment_aa import Scanned

TABLE = "greenlane-experiments"
FILE = """
ab_tests:
  checkout:
    variants: {control: 50, treatment: 50}
    metrics: [conversion_rate]
    minimum_sample_size: 20
    maximum_duration: 14d
"""


@pytest.fixture
def laboratory() -> Laboratory:
    return Laboratory()


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def client(laboratory: Laboratory, bucket: Bucket) -> Any:
    services = {"dynamodb": Scanned(laboratory.table), "s3": bucket}
    connection = SimpleNamespace(
        clock=laboratory.clock,
        principal="arn:jo",
        client=services.__getitem__,
        account=ACCOUNT,
        region="eu-west-1",
    )
    return SimpleNamespace(experiments=laboratory.store, connection=connection)


@pytest.fixture
def begun(laboratory: Laboratory) -> Laboratory:
    """A test with users and one look."""
    laboratory.begin(minimum_sample_size=20)
    for number in range(300):
        laboratory.clock.go(minutes=5)
        variant = laboratory.expose(f"user-{number}").variant
        if number % (3 if variant == "treatment" else 4) == 0:
            laboratory.record(f"user-{number}")
    store, test = laboratory.store, laboratory.store.test("checkout")
    store.keep_look("checkout", 1, decide(test.definition, laboratory.snapshot()))
    return laboratory


def events(path: Path, users: int = 300) -> Path:
    chance, start = random.Random(3), datetime(2026, 3, 2, tzinfo=UTC)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user", "metric", "value", "at"])
        for number in range(users):
            at = (start + timedelta(hours=chance.random() * 300)).isoformat()
            writer.writerow([f"u{number}", "", "", at])
            if chance.random() < 0.2:
                writer.writerow([f"u{number}", "conversion_rate", 1, at])
    return path


def test_a_report_is_read_on_the_terminal(run: Any, begun: Laboratory) -> None:
    result = run("experiments", "report", "checkout")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("checkout is running\n")
    assert "Users                    300" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("format", ["json", "html"])
def test_a_report_is_printed_whole_for_files(run: Any, begun: Laboratory, format: str) -> None:
    result = run("experiments", "report", "checkout", "--format", format)
    found = report_of(begun.store, begun.table, TABLE, "checkout")
    if format == "json":
        assert json.loads(result.stdout) == found.model_dump(mode="json")
    else:
        assert result.stdout.startswith("<!doctype html>")
        assert result.stdout.endswith("</html>\n")


def test_with_output_json_all_of_it_is_one_document(run: Any, begun: Laboratory) -> None:
    result = run("--output", "json", "experiments", "report", "checkout", "--format", "html")
    assert json.loads(result.stdout)["outcome"] == "running"


def test_a_test_that_has_ended_says_where_its_report_is(run: Any, begun: Laboratory) -> None:
    keeping.stop(begun.store, "checkout", by="jo", reason="enough", at=begun.clock.now())
    soon = run("experiments", "report", "checkout")
    assert "not written yet; soon in s3://" in soon.stderr

    def done(tests: StoredTests) -> StoredTests:
        test = tests.tests["checkout"]
        return tests.with_test(test.model_copy(update={"settled": {"report": 1}}))

    begun.store.change(done, by="greenlane", reason="", at=begun.clock.now())
    result = run("experiments", "report", "checkout")
    assert "checkout was stopped by jo" in result.stdout
    assert f"written to s3://{BUCKET}/experiments/checkout/1/report.html" in result.stderr


def test_the_report_of_an_earlier_run_is_the_one_that_was_written(
    run: Any, begun: Laboratory, bucket: Bucket
) -> None:
    now = begun.clock.now()
    keeping.stop(begun.store, "checkout", by="jo", reason="enough", at=now)
    first = report_of(begun.store, begun.table, TABLE, "checkout")
    write_experiment_report(bucket, BUCKET, ACCOUNT, first)
    keeping.start(begun.store, "checkout", by="jo", at=now, again=True)
    again = run("--output", "json", "experiments", "report", "checkout", "--run", "1")
    assert json.loads(again.stdout) == first.model_dump(mode="json")
    now_there = run("--output", "json", "experiments", "report", "checkout")
    assert json.loads(now_there.stdout)["run"] == 2
    missing = run("experiments", "report", "checkout", "--run", "3")
    assert (missing.exit_code, "the first is 1" in missing.stderr) == (2, True)
    bucket.objects.clear()
    gone = run("experiments", "report", "checkout", "--run", "1")
    assert (gone.exit_code, "there is no report of run 1" in gone.stderr) == (3, True)


def test_a_draft_has_no_report(run: Any, laboratory: Laboratory) -> None:
    laboratory.begin()
    keeping.create(
        laboratory.store,
        "later",
        laboratory.store.test("checkout").definition,
        by="jo",
        at=laboratory.clock.now(),
    )
    result = run("experiments", "report", "later")
    assert (result.exit_code, "begin it with" in result.stderr) == (3, True)


def test_an_unknown_test_is_told_with_what_is_near(run: Any, begun: Laboratory) -> None:
    result = run("experiments", "report", "chekout")
    assert (result.exit_code, "did you mean checkout?" in result.stderr) == (2, True)


def test_the_users_of_a_test_are_dealt_anew(run: Any, begun: Laboratory) -> None:
    result = run("experiments", "aa", "checkout", "--salts", "100")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "checkout: 300 users of the table, dealt 100 times, 14 looks each"
    assert any(line.startswith("conversion_rate: an effect at any look") for line in lines)
    assert any(line.startswith("the split as it really was: as planned") for line in lines)
    assert "It does not show that exposures are told rightly" in result.stdout


def test_a_file_of_events_and_a_file_of_tests_need_no_cloud(
    run: Any, client: Any, tmp_path: Path
) -> None:
    client.connection = client.experiments = None
    tests = tmp_path / "ab-tests.yaml"
    tests.write_text(FILE)
    given = ("--events", str(events(tmp_path / "events.csv")), "--file", str(tests))
    result = run("--output", "json", "experiments", "aa", "checkout", *given, "--salts", "100")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["users"], found["salts"]) == (300, 100)
    assert all(rate["ok"] for rate in found["rates"])


def test_something_found_too_often_is_exit_code_1(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from greenlane.experiments.aa import replaying
    from greenlane.experiments.dealing import bucket

    monkeypatch.setattr(replaying, "bucket", lambda *given: bucket(*given) * 90 // 100)
    tests = tmp_path / "ab-tests.yaml"
    tests.write_text(FILE)
    path = events(tmp_path / "events.csv", 1000)
    result = run(
        *("experiments", "aa", "checkout", "--events", str(path), "--file", str(tests)),
        *("--salts", "100"),
    )
    assert (result.exit_code, "TOO OFTEN" in result.stdout) == (1, True)


def test_options_that_do_not_fit_are_told(run: Any, tmp_path: Path, begun: Laboratory) -> None:
    tests = tmp_path / "ab-tests.yaml"
    tests.write_text(FILE)
    alone = run("experiments", "aa", "checkout", "--file", str(tests))
    assert (alone.exit_code, "give them with --events" in alone.stderr) == (2, True)
    missing = run("experiments", "aa", "checkout", "--events", str(tmp_path / "none.csv"))
    assert (missing.exit_code, "there is no such file" in missing.stderr) == (2, True)
    path = events(tmp_path / "events.csv")
    other = run("experiments", "aa", "chekout", "--events", str(path), "--file", str(tests))
    assert (other.exit_code, "did you mean checkout" in other.stderr) == (2, True)


def test_too_few_users_are_refused_with_the_way_out(run: Any, laboratory: Laboratory) -> None:
    laboratory.begin()
    result = run("experiments", "aa", "checkout")
    assert (result.exit_code, "give a file with --events" in result.stderr) == (3, True)
