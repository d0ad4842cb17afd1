"""`greenlane undo`: which way it goes, and how it says so."""

import json

import pytest

from greenlane.cli.exits import ExitCode
from greenlane.cli.views import status_view
from greenlane.deployments.model import Drift
from greenlane.errors import Refused
from tests.unit.cli.fake_cloud import NOW, record_of, status_of

UNDO = ("undo", "claude-manager")


def asked(client):
    ((call, values),) = client.calls
    assert call == "undo"
    return values


def test_it_goes_one_version_back_unless_told_otherwise(run, client):
    result = run(*UNDO)
    assert result.exit_code == ExitCode.OK, result.stderr
    assert asked(client) == {
        "service": "claude-manager",
        "to": None,
        "steps_back": 1,
        "reason": "no reason given",
        "by": "jo",
    }
    first, second = result.stdout.splitlines()
    assert first == "d-4 started: back to the version of d-3"
    assert second == "follow it: greenlane get claude-manager --watch"


@pytest.mark.parametrize(
    ("options", "expected"),
    [(["--to", "d-2"], ("d-2", 1)), (["--steps-back", "3"], (None, 3))],
)
def test_it_goes_to_a_deployment_or_so_many_back(run, client, options, expected):
    run(*UNDO, *options, "--reason", "wrong prices")
    values = asked(client)
    assert (values["to"], values["steps_back"], values["reason"]) == (*expected, "wrong prices")


def test_a_version_that_is_still_warm_is_gone_back_to_by_a_rollback(run, client):
    client.way = "rollback"
    result = run(*UNDO)
    assert result.stdout == "d-1 is being taken back: the version before it is still warm\n"


def test_both_ways_to_name_a_version_are_one_too_many(run, client):
    result = run(*UNDO, "--to", "d-2", "--steps-back", "2")
    assert result.exit_code == ExitCode.BAD_INPUT
    assert "give one of both" in result.stderr
    assert client.calls == []


def test_no_steps_back_is_bad_input(run, client):
    assert run(*UNDO, "--steps-back", "0").exit_code == ExitCode.BAD_INPUT


def test_what_is_refused_says_why(run, client):
    client.error = Refused("claude-manager has no earlier good version on record")
    result = run(*UNDO)
    assert result.exit_code == ExitCode.REFUSED
    assert "no earlier good version" in result.stderr


@pytest.mark.parametrize("way", ["rollback", "deployment"])
def test_as_json_it_says_which_way_it_goes(run, client, way):
    client.way = way
    document = json.loads(run(*UNDO, "--output", "json").stdout)
    assert document["way"] == way
    assert document["task_definition"] == "claude-manager:3"
    assert document["to"] == (None if way == "rollback" else "d-3")


@pytest.mark.parametrize(
    ("way", "name", "code"),
    [
        ("rollback", "rolled_back", ExitCode.OK),
        ("rollback", "held", ExitCode.HELD),
        ("deployment", "succeeded", ExitCode.OK),
        ("deployment", "rolled_back", ExitCode.FAILED),
    ],
)
def test_watching_it_ends_with_the_end_of_what_was_started(run, client, ended, way, name, code):
    client.way = way
    number = "d-1" if way == "rollback" else "d-4"
    over = ended(name, deployment_id=number)
    client.looks = [client.looks[0], over]
    result = run(*UNDO, "--watch")
    assert result.exit_code == code, result.output
    assert result.stdout.splitlines()[-1].startswith(number)


def test_what_somebody_else_changed_is_shown_once_it_counts():
    known = {"kind": "weights", "subject": "rule", "what": "the weights are 60 / 40", "since": NOW}
    told, not_yet = Drift(**known, told=True), Drift(**known)
    shown = status_view(status_of(record_of("watching", drift=(told,)))).plain
    assert "  changed by somebody else: the weights are 60 / 40" in shown
    assert (
        "somebody else" not in status_view(status_of(record_of("watching", drift=(not_yet,)))).plain
    )
