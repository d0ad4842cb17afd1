import json
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from greenlane.cli.main import app
from greenlane.cli.session import Session
from greenlane.deployments.looking.replaying import load
from greenlane.deployments.model import DeploymentSummary, HistoryEvent
from greenlane.errors import InvalidInput, UnknownDeployment
from greenlane.health.replay import replay
from greenlane.problems import InvalidDocument
from tests.builders import NOW, plan
from tests.kept_alarms import AlarmClient
from tests.minutes import measured

BEGUN = NOW - timedelta(minutes=40)
MINUTE = timedelta(minutes=1)


class Minutes(AlarmClient):
    """CloudWatch with the same minute over and over; the candidate's errors begin at a time."""

    def __init__(self, bad_from=None, trouble=""):
        super().__init__()
        self.bad_from, self.trouble, self.reads = bad_from, trouble, []

    def get_metric_data(self, **asked):
        self.reads.append(asked)
        results = [self._answer(query, asked) for query in asked["MetricDataQueries"]]
        return {"MetricDataResults": results}

    def _answer(self, query, asked):
        short, slot = measured(query)
        moments = []
        at = asked["StartTime"]
        while at < asked["EndTime"]:
            moments.append(at)
            at += MINUTE
        values = [self._value(short, slot, at) for at in moments]
        known = [(at, value) for at, value in zip(moments, values, strict=True) if value]
        return {
            "Id": query["Id"],
            "Timestamps": [at for at, _ in known],
            "Values": [value for _, value in known],
        }

    def _value(self, short, slot, at):
        bad = slot == "green" and self.bad_from is not None and at >= self.bad_from
        errors = 100.0 if bad else 0.0
        values = {"requests": 400.0, "ok2": 400.0 - errors, "bad5": errors}
        if short.startswith("p") and short != "requests":
            return 0.1
        return values.get(short)


def event(kind, minutes, **detail):
    return HistoryEvent(at=BEGUN + minutes * MINUTE, kind=kind, actor="test", detail=detail)


HISTORY = [
    event("planned", 0),
    event("shifted", 2, weight=10),
    event("shifted", 8, weight=50),
    event("shifted", 14, weight=100),
    event("shifted", 14.5, weight=100),
    event("promoted", 20),
]


@pytest.fixture
def deployed(applied):
    """A deployment that ran a while ago, and what CloudWatch knows of it."""

    def deployed(watch=None, history=HISTORY, **changes):
        applied.connection._clients["cloudwatch"] = watch or Minutes()
        given = plan(started_at=BEGUN, **changes)
        applied.store.put_plan(given)
        for one in history:
            applied.store.append("d-1", one)
        summary = {
            "deployment_id": "d-1",
            "service": "claude-manager",
            "phase": "watching",
            "strategy": "canary",
            "started_at": BEGUN,
        }
        applied.store.put_summary(DeploymentSummary.model_validate(summary))
        return applied

    return deployed


@pytest.fixture
def run(applied):
    def run(*args):
        session = Session()
        session.__dict__["client"] = applied
        return CliRunner().invoke(app, [*args], obj=session)

    return run


def test_a_deployment_is_judged_again_over_its_own_minutes(deployed):
    client = deployed()
    past = client.observed("claude-manager")
    assert [segment.weight for segment in past.observed.segments] == [10, 50, 100, 100]
    assert past.observed.phase == "post"
    assert len(client.connection.client("cloudwatch").reads) == 1
    found = replay(past.observed, past.config)
    assert found.failed is None
    assert [one.phase for one in found.stretches] == ["during"] * 3 + ["post"]


def test_it_ends_where_the_rollback_began(deployed):
    client = deployed(history=[*HISTORY[:3], event("rollback began", 11)])
    past = client.observed("claude-manager", "d-1")
    assert past.observed.phase == "during"
    assert past.observed.end <= BEGUN + 11 * MINUTE


def test_the_command_says_when_it_would_have_gone_back(deployed, run):
    deployed(Minutes(bad_from=BEGUN + 10 * MINUTE))
    result = run("judge", "claude-manager", "--deployment", "d-1")
    assert result.exit_code == 1, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("step 1  10 %  2026-11-23 11:23 to 11:28  ")
    assert any("error_rate  fail" in line for line in lines)
    assert lines[-1].startswith("it would have gone back at 11:31: ")


def test_what_was_observed_is_saved_and_judged_by_other_criteria_without_a_cloud(
    deployed, run, tmp_path
):
    deployed(Minutes(bad_from=BEGUN + 10 * MINUTE))
    file, criteria = tmp_path / "seen.json", tmp_path / "criteria.yaml"
    run("judge", "claude-manager", "-d", "latest", "--save", str(file))
    assert load(file).candidate == "green"
    again = run("judge", "claude-manager", "--replay", str(file))
    assert again.exit_code == 1
    criteria.write_text(
        "service: {name: claude-manager, metrics: {error_rate: {dry_run: true, critical: false},"
        " response_time_p95: {on_no_data: pass}}}"
    )
    result = CliRunner().invoke(
        app,
        ["judge", "claude-manager", "--replay", str(file), "--criteria", str(criteria)],
        obj=Session(endpoint_url="http://127.0.0.1:1"),
    )
    assert "it would have gone back" not in result.output
    body = json.loads(run("judge", "claude-manager", "--replay", str(file), "-o", "json").stdout)
    assert body["passed"] is False
    assert body["failed"]["verdict"]["verdict"] == "fail"


def test_a_file_of_criteria_is_checked(deployed, tmp_path):
    client = deployed()
    with pytest.raises(InvalidDocument):
        client.observed("claude-manager", criteria="success_criteria: {performance: {oops: 1}}")
    past = client.observed(
        "claude-manager", criteria="success_criteria: {performance: {response_time_p99: 900}}"
    )
    assert past.observed.of("response_time_p99", "green") is not None


def test_what_cannot_be_judged_again_is_said(deployed, run, tmp_path):
    client = deployed(history=HISTORY[:1])
    with pytest.raises(InvalidInput, match="never had any traffic"):
        client.observed("claude-manager", "d-1")
    with pytest.raises(UnknownDeployment):
        client.observed("other-service", "d-1")
    with pytest.raises(InvalidInput, match="never deployed"):
        client.observed("other-service")
    for name, text in (("none.json", None), ("wrong.json", '{"candidate": "red"}')):
        if text is not None:
            (tmp_path / name).write_text(text)
        result = run("judge", "claude-manager", "--replay", str(tmp_path / name))
        assert result.exit_code == 2
    assert "candidate" in result.stderr
    assert run("judge", "claude-manager").exit_code == 2


def test_minutes_that_cloudwatch_has_forgotten_are_said(deployed):
    old = [event("shifted", -15 * 24 * 60 - 1, weight=10)]
    with pytest.raises(InvalidInput, match="15 days"):
        deployed(history=old).observed("claude-manager", "d-1")
