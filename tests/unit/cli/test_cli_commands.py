"""What each command asks of the cloud, prints, and ends with."""

import io
import json
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from botocore.exceptions import EndpointConnectionError
from rich.console import Console

from greenlane.cli.exits import ExitCode
from greenlane.cli.session import LOCAL_POLL_SECONDS, POLL_SECONDS, Session
from greenlane.cli.watching import PATIENCE, watch
from tests.unit.cli.fake_cloud import NOW, record_of, status_of

CANARY = "tests/data/spec/canary-config.yaml"
UNKNOWN = "alerts: {warning: [queue_age > 60]}\n"
DEPLOY = ("deploy", "claude-manager", "--version", "1.4.2")


def only_call(client):
    (call,) = client.calls
    return call


@pytest.fixture
def criteria(tmp_path):
    """A file about a metric that only its service can know."""
    file = tmp_path / "criteria.yaml"
    file.write_text(UNKNOWN)
    return str(file)


def test_applying_a_file_says_the_version_and_warns_on_stderr(run, client, criteria):
    result = run("apply", "-f", criteria, "--service", "claude-manager")
    assert result.exit_code == ExitCode.OK
    assert only_call(client) == ("apply", {"service": "claude-manager", "by": "jo"})
    assert result.stdout == "claude-manager: applied, configuration version 4\n"
    assert "warning: queue_age: no metric of Greenlane's own" in result.stderr


def test_checking_a_file_needs_no_cloud(run, client):
    client.error = AssertionError("the cloud was asked")
    result = run("apply", "-f", CANARY, "--check")
    assert result.exit_code == ExitCode.OK
    assert "a correct canary file" in result.stdout


def test_checking_as_json_tells_kind_and_warnings(run, criteria):
    said = json.loads(run("-o", "json", "apply", "-f", criteria, "--check").stdout)
    assert said["kind"] == "success_criteria"
    assert len(said["warnings"]) == 1


def test_a_file_may_come_from_stdin(run, client, monkeypatch):
    text = "service: {name: claude-manager}"
    monkeypatch.setattr("typer.get_text_stream", lambda name: io.StringIO(text))
    assert run("apply", "-f", "-").exit_code == ExitCode.OK
    assert only_call(client)[1]["service"] == "claude-manager"


def test_a_deployment_is_asked_for_as_the_options_say(run, client):
    result = run(
        *DEPLOY,
        "--strategy=blue-green",
        "--steps",
        "1:10m, 10,100",
        "--bake",
        "5m",
        "--despite-alarms",
        "this is the cure",
        "--id",
        "release-7",
    )
    assert result.exit_code == ExitCode.OK, result.stderr
    request = only_call(client)[1]["request"]
    assert (request.version, request.strategy) == ("1.4.2", "blue_green")
    assert [step.weight for step in request.steps] == [1, 10, 100]
    assert request.steps[0].bake == timedelta(minutes=10)
    assert request.bake == timedelta(minutes=5)
    assert request.despite_alarms == "this is the cure"
    assert (request.requested_by, request.deployment_id) == ("jo", "release-7")
    assert "greenlane get claude-manager --watch" in result.stdout


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("succeeded", ExitCode.OK),
        ("rolled_back", ExitCode.FAILED),
        ("refused", ExitCode.REFUSED),
        ("held", ExitCode.HELD),
    ],
)
def test_watching_a_deployment_ends_with_its_outcome(run, client, slept, ended, name, code):
    client.looks = [client.looks[0], ended(name)]
    result = run(*DEPLOY, "--watch")
    assert result.exit_code == code, result.output
    assert result.stdout.splitlines()[-1] == f"d-1 {name.replace('_', ' ')}: because"
    assert slept == [POLL_SECONDS]


def test_watching_prints_a_line_only_when_something_changed(run, client, ended):
    same = client.looks[0]
    later = status_of(record_of(step=2), step=3, at=NOW + timedelta(minutes=5))
    client.looks = [same, same, same, later, ended("succeeded")]
    lines = run("get", "claude-manager", "--watch").stdout.splitlines()
    assert lines[0].startswith("12:00:00  shifting  step 2/6  blue 90% (2/2 healthy)")
    assert "verdict of step 1: pass, 520 requests" in lines[1]
    assert "error_rate  pass  0.002 (limit 0.01)" in lines[1]
    assert "step 3/6" in lines[2]
    assert len(lines) == 5


def test_watching_as_json_prints_one_document_a_change_and_the_outcome_last(run, client, ended):
    same = client.looks[0]
    client.looks = [same, same, ended("rolled_back")]
    result = run("get", "claude-manager", "--watch", "--output", "json")
    assert result.exit_code == ExitCode.FAILED
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    assert [document.get("name") for document in documents] == [None, None, "rolled_back"]
    assert documents[0]["record"]["phase"] == "shifting"


def test_watching_shows_nothing_of_the_deployment_before(run, client, ended):
    before = status_of(record_of("watching", deployment_id="d-0"))
    client.looks = [before, before, ended("succeeded")]
    result = run(*DEPLOY, "--watch")
    assert "d-0" not in result.stdout
    assert result.exit_code == ExitCode.OK


def test_watching_survives_a_cloud_that_does_not_answer_for_a_while(run, client, ended):
    silence = EndpointConnectionError(endpoint_url="http://127.0.0.1:1")
    client.looks = [silence] * (PATIENCE - 1) + [ended("succeeded")]
    result = run("get", "claude-manager", "--watch")
    assert result.exit_code == ExitCode.OK
    assert result.stderr.count("trying again") == PATIENCE - 1


def test_watching_gives_up_on_a_cloud_that_stays_silent(run, client):
    client.looks = [EndpointConnectionError(endpoint_url="http://127.0.0.1:1")]
    assert run("get", "claude-manager", "--watch").exit_code == ExitCode.UNREACHABLE


def test_watching_what_was_never_deployed_ends_at_once(run, client, slept):
    client.looks = [status_of(None)]
    result = run("get", "claude-manager", "--watch")
    assert (result.exit_code, slept) == (ExitCode.OK, [])


def test_getting_a_service_shows_slots_step_bake_verdict_and_signals(run):
    said = run("get", "claude-manager").stdout
    assert "step 2 of 6" in said
    assert "bake left 2m10s" in said
    assert "blue   live        90 %" in said
    assert "2/2 healthy  1.4.2" in said
    assert "verdict of step 1: pass, 520 requests" in said
    assert "you can: pause, promote, promote --all, abort" in said


def test_a_weight_is_drawn_as_a_bar_that_never_hides_one_percent(run, client):
    slots = client.looks[0].slots
    changed = (
        slots[0].model_copy(update={"weight": 99}),
        slots[1].model_copy(update={"weight": 1}),
    )
    client.looks = [client.looks[0].model_copy(update={"slots": changed})]
    green = next(line for line in run("get").stdout.splitlines() if "green" in line)
    assert green.count("█") == 1


def test_a_rule_changed_by_hand_is_said(run, client):
    slots = tuple(slot.model_copy(update={"weight": None}) for slot in client.looks[0].slots)
    client.looks = [client.looks[0].model_copy(update={"slots": slots})]
    assert "rule changed by hand" in run("get").stdout


def test_getting_as_json_is_the_whole_status(run):
    said = json.loads(run("get", "claude-manager", "--output=json").stdout)
    assert said["slots"][1]["weight"] == 10
    assert said["judgement"]["verdict"]["checks"][0]["name"] == "error_rate"
    assert Decimal(said["judgement"]["verdict"]["checks"][0]["value"]) == Decimal("0.002")


def test_getting_everything_as_json_is_a_list(run):
    assert [status["service"] for status in json.loads(run("-o", "json", "get").stdout)] == [
        "claude-manager"
    ]


def test_getting_when_nothing_was_applied_says_how_to_begin(run, client):
    client.known = []
    assert "greenlane apply -f FILE" in run("get").stdout


@pytest.mark.parametrize(
    ("line", "signal"),
    [
        (["pause"], "pause"),
        (["resume"], "resume"),
        (["promote"], "promote"),
        (["promote", "--all"], "promote_all"),
        (["abort"], "abort"),
    ],
)
def test_a_signal_is_sent_for_the_step_that_the_person_saw(run, client, line, signal):
    result = run(*line, "claude-manager", "--step", "2")
    assert result.exit_code == ExitCode.OK, result.stderr
    assert only_call(client) == (
        "signal",
        {"service": "claude-manager", "name": signal, "step": 1, "by": "jo"},
    )
    assert "at step 2" in result.stdout


def test_a_signal_without_a_step_is_for_any(run, client):
    run("pause", "claude-manager")
    assert only_call(client)[1]["step"] is None


def test_a_rollback_says_who_and_why(run, client):
    result = run("rollback", "claude-manager", "--reason", "angry users")
    assert result.exit_code == ExitCode.OK
    assert only_call(client)[1] == {
        "service": "claude-manager",
        "reason": "angry users",
        "by": "jo",
        "deployment_id": None,
    }
    assert "d-1 is being taken back" in result.stdout


@pytest.mark.parametrize("line", [["rollback", "--reason", "x"], ["abort"]])
@pytest.mark.parametrize(
    ("name", "code"),
    [("rolled_back", ExitCode.OK), ("held", ExitCode.HELD), ("succeeded", ExitCode.FAILED)],
)
def test_going_back_is_what_a_rollback_is_asked_for(run, client, ended, line, name, code):
    client.looks = [client.looks[0], ended(name)]
    result = run(*line, "claude-manager", "--watch")
    assert result.exit_code == code


def test_a_rollback_of_what_is_held_is_watched_to_its_own_end(run, client, ended, slept):
    """The record says held until the rollback has taken it over."""
    back = ended("rolled_back")
    outcomes = [None, back.outcome]
    client.rollback_outcome = lambda started: outcomes.pop(0)
    client.looks = [ended("held"), back]
    result = run("rollback", "--reason", "x", "claude-manager", "--watch")
    assert (result.exit_code, slept) == (ExitCode.OK, [POLL_SECONDS])
    assert result.stdout.splitlines()[-1] == "d-1 rolled back: because"


def test_on_a_terminal_a_watch_draws_the_live_view(client, ended):
    client.looks = [client.looks[0], ended("succeeded")]
    session = Session(sleep=lambda seconds: None)
    screen = io.StringIO()
    session.__dict__.update(
        client=client, console=Console(file=screen, force_terminal=True, width=120)
    )
    assert watch(session, "claude-manager") == ExitCode.OK
    assert "█" in screen.getvalue()
    assert "\x1b[" in screen.getvalue()


def test_the_history_lists_deployments(run):
    said = run("history", "claude-manager").stdout
    assert "d-1" in said
    assert "watching" in said


def test_the_list_of_deployments_is_whole_however_narrow_the_terminal(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    titles, row = run("history", "claude-manager").stdout.splitlines()
    assert titles.split() == ["deployment", "phase", "strategy", "what", "by", "started", "reason"]
    assert row.split() == ["d-1", "watching", "canary", "sha256:abc", "jo", "2026-11-23", "12:00"]
    assert titles.index("by") == row.index("jo")


@pytest.mark.parametrize("which", ["d-1", "latest"])
def test_the_history_of_one_deployment_lists_its_events(run, which):
    said = run("history", "claude-manager", "-d", which).stdout
    assert said == "2026-11-23 12:00:00  shifted  by shift_traffic  weight=10\n"


def test_the_help_of_rollback_says_when_it_works_and_promises_no_report(run):
    said = " ".join(run("rollback", "--help").stdout.replace("│", " ").split())
    assert "incident" not in said
    for word in ("while it runs", "after it has succeeded", "held", "until the next one begins"):
        assert word in said


def test_the_history_of_a_deployment_that_never_was_is_bad_input(run):
    assert run("history", "claude-manager", "-d", "d-9").exit_code == ExitCode.BAD_INPUT


def test_the_history_as_json_is_a_list_of_events(run):
    said = json.loads(run("history", "claude-manager", "-d", "d-1", "-o", "json").stdout)
    assert said[0]["kind"] == "shifted"


def test_global_options_may_stand_anywhere(run, client):
    first = run("--output", "json", "get", "claude-manager").stdout
    last = run("get", "claude-manager", "--output", "json").stdout
    assert json.loads(first) == json.loads(last)


def test_the_local_cloud_is_looked_at_more_often():
    assert Session(local=True).poll_seconds == LOCAL_POLL_SECONDS
    assert Session().poll_seconds == POLL_SECONDS


def test_the_environment_may_ask_for_the_local_cloud_but_options_go_first(monkeypatch):
    monkeypatch.setenv("GREENLANE_LOCAL", "1")
    assert Session().is_local
    assert not Session(profile="work").is_local
    assert not Session(endpoint_url="http://elsewhere").is_local
    monkeypatch.setenv("GREENLANE_LOCAL", "0")
    assert not Session().is_local


def test_the_person_is_the_login_name_unless_said(monkeypatch):
    monkeypatch.setenv("LOGNAME", "kim")
    assert Session().person == "kim"
    assert Session(by="jo").person == "jo"


HEAVY = ("boto3", "botocore", "moto", "pydantic", "yaml", "greenlane.local", "aiohttp")


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from greenlane.cli.main import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert done.stderr == "[]\n"
    assert "apply" in done.stdout
