import json
from datetime import UTC, datetime

import pytest

from greenlane.cli.planning import parse_time
from tests.aws_account import applied as applied
from tests.aws_account import aws as aws
from tests.aws_account import greenlane as greenlane
from tests.aws_account import workload as workload
from tests.unit.deployments.test_foreseeing import Past


@pytest.fixture
def client(applied):
    """The account behind the command, with a week of traffic."""
    applied.connection._clients["cloudwatch"] = Past(300)
    return applied


def test_it_prints_a_table_the_cost_and_what_would_be_better(run):
    result = run("plan", "claude-manager", "--strategy", "canary", "--bake", "5m")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "claude-manager: canary, from Monday 2026-11-23 12:00 UTC"
    assert lines[1].startswith("usual, by the last 7 days: 0.1 % of requests fail, p95 is 455 ms")
    (first,) = [line for line in lines if line.startswith("1  1 %")]
    assert first.split()[3:] == ["5m", "+4m", "9", "nothing", "nothing", "blind"]
    assert any(line.startswith("cost: $0.") for line in lines)
    assert "steps:" in lines


def test_as_json_the_numbers_are_exact(run):
    body = json.loads(run("plan", "claude-manager", "--steps", "50:1h,100", "-o", "json").stdout)
    assert [step["weight"] for step in body["steps"]] == [50, 100, 100]
    total = sum(float(line["cost"]) for line in body["cost"]["lines"])
    assert float(body["cost"]["total"]) == pytest.approx(total)


def test_times_are_utc_unless_they_say_otherwise():
    nine = datetime(2026, 11, 30, 9, tzinfo=UTC)
    assert parse_time("2026-11-30T09:00") == nine
    assert parse_time("2026-11-30T10:00+01:00") == nine


@pytest.mark.parametrize(
    "wrong",
    [("--at", "tomorrow"), ("--sees", "2"), ("--steps", "10,5"), ("--strategy", "magic")],
)
def test_what_is_wrong_is_bad_input(run, wrong):
    assert run("plan", "claude-manager", *wrong).exit_code == 2
