"""Everything that is wrong with a command line: named field, way out, exit code, nothing done."""

import errno
import json

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from greenlane.cli.exits import MEANINGS, ExitCode
from greenlane.cli.main import app
from greenlane.cli.session import Session
from greenlane.errors import DeploymentInFlight, Refused, SignalRefused
from tests.unit.cli.fake_cloud import record_of

DEPLOY = ("deploy", "claude-manager", "--version", "1.4.2")


def lines_of(result):
    return result.stderr.strip().splitlines()


def refused(result, client, code=ExitCode.BAD_INPUT):
    """The one error line of a command that did nothing."""
    assert result.exit_code == code, result.output
    assert client.calls == []
    assert "Traceback" not in result.output
    (line,) = lines_of(result)
    return line


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "greenlane.yaml"
        path.write_text(text)
        return str(path)

    return write


@pytest.mark.parametrize("command", ["deploy", "get", "pause", "promote", "abort", "history"])
def test_an_unknown_service_is_named_with_the_known_ones(run, client, command):
    options = ["--version", "1"] if command == "deploy" else []
    line = refused(run(command, "claude-manger", *options), client)
    assert "'claude-manger'" in line
    assert "known: claude-manager" in line


def test_weights_that_fall_in_a_file_name_line_and_field(run, client, write):
    path = write("service:\n  name: claude-manager\n  deployment:\n    steps: [10, 5, 100]\n")
    line = refused(run("apply", "-f", path), client)
    assert f"{path}: line 4: service.deployment.steps" in line
    assert "5 follows 10" in line


def test_a_bake_of_minus_one_in_a_file_names_it(run, client, write):
    path = write("service:\n  name: claude-manager\n  deployment:\n    bake: -1\n")
    line = refused(run("apply", "-f", path), client)
    assert "line 4: service.deployment.bake: -1" in line
    assert "30s, 5m or 2h" in line


def test_a_misspelt_key_in_a_file_gets_the_nearest_name(run, client, write):
    path = write("service:\n  name: claude-manager\n  deployment:\n    stratgey: canary\n")
    line = refused(run("apply", "-f", path), client)
    assert "line 4: service.deployment.stratgey" in line
    assert "did you mean strategy?" in line


def test_all_mistakes_of_a_file_are_one_line_each(run, client, write):
    path = write("service:\n  name: Shop\n  deployment: {bake: -1, x: 1}\n")
    result = run("apply", "-f", path)
    assert result.exit_code == ExitCode.BAD_INPUT
    assert len(lines_of(result)) == 3
    assert client.calls == []


def test_checking_a_file_finds_the_same_mistakes(run, client, write):
    path = write("service:\n  name: claude-manager\n  deployment: {bake: -1}\n")
    refused(run("apply", "-f", path, "--check"), client)


def test_a_file_that_is_not_there_is_bad_input(run, client):
    assert "none.yaml" in refused(run("apply", "-f", "none.yaml"), client)


def test_an_image_without_a_tag_is_told_what_to_write(run, client):
    line = refused(run("deploy", "claude-manager", "--image", "registry:5000/claude"), client)
    assert "image: " in line
    assert "registry:5000/claude:TAG" in line


@pytest.mark.parametrize("given", [[], ["--image", "a:1", "--version", "1"]])
def test_exactly_one_thing_is_deployed(run, client, given):
    line = refused(run("deploy", "claude-manager", *given), client)
    assert line.startswith("greenlane: --version: ")
    assert "exactly one of --version, --image and --task-definition" in line


@pytest.mark.parametrize("bake", ["-1", "5", "5 minutes", "-5m", "9" * 30 + "d"])
def test_a_bake_that_is_no_duration_is_told_how_one_is_written(run, client, bake):
    assert "bake" in refused(run(*DEPLOY, "--bake", bake), client)


@pytest.mark.parametrize("steps", ["10,x,100", "", "1;2", "10.5,100", "99999999999,100"])
def test_steps_that_are_no_percentages_are_told_how_they_are_written(run, client, steps):
    assert "1,10,100" in refused(run(*DEPLOY, "--steps", steps), client)


def test_a_step_above_100_percent_names_the_step(run, client):
    assert "steps.1.weight: 120" in refused(run(*DEPLOY, "--steps", "10,120"), client)


def test_a_misspelt_strategy_gets_the_nearest_name(run, client):
    line = refused(run(*DEPLOY, "--strategy", "cannary"), client)
    assert "did you mean canary?" in line


def test_a_second_deployment_at_once_is_refused(run, client):
    client.error = DeploymentInFlight("claude-manager is being deployed by d-1; wait for it")
    line = refused(run(*DEPLOY), client, ExitCode.REFUSED)
    assert "d-1" in line


def test_a_late_signal_is_refused(run, client):
    client.error = SignalRefused("pause does nothing: d-1: it is watching")
    assert "does nothing" in refused(run("pause", "claude-manager"), client, ExitCode.REFUSED)


def test_a_local_cloud_and_another_one_at_once_is_refused(run, client):
    line = refused(run("--local", "--profile", "work", "get"), client)
    assert "--profile" in line


def test_a_profile_that_does_not_exist_is_bad_input():
    result = CliRunner().invoke(app, ["--profile", "nobody-has-this", "get"], obj=Session())
    assert result.exit_code == ExitCode.BAD_INPUT
    assert "nobody-has-this" in result.stderr


def test_a_reader_that_went_away_is_no_error_of_the_cloud(run, client):
    client.looks = [BrokenPipeError(errno.EPIPE, "Broken pipe")]
    result = run("get", "claude-manager", "-o", "json")
    assert "Broken pipe" not in result.stderr


def test_watching_needs_one_service(run, client):
    client.known = ["a", "b"]
    assert "a, b" in refused(run("get", "--watch"), client)


def test_an_error_as_json_names_the_field_for_programs(run, client):
    result = run("deploy", "claude-manager", "--image", "claude", "--output", "json")
    assert result.exit_code == ExitCode.BAD_INPUT
    assert result.stdout == ""
    said = json.loads(result.stderr)
    assert said["exit_code"] == 2
    assert said["error"]["field"] == "image"
    assert said["error"]["value"] == "claude"


def test_all_mistakes_of_a_file_as_json(run, client, write):
    path = write("service:\n  name: Shop\n  deployment:\n    bake: -1\n    x: 1\n")
    said = json.loads(run("-o", "json", "apply", "-f", path).stderr)
    found = [(problem["line"], problem["field"]) for problem in said["error"]["problems"]]
    assert found == [
        (2, "service.name"),
        (4, "service.deployment.bake"),
        (5, "service.deployment.x"),
    ]
    assert said["error"]["file"] == path


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NoCredentialsError(), "--profile"),
        (NoRegionError(), "--region"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), "127.0.0.1:1"),
        (
            ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetItem"),
            "GetItem: no (AccessDenied)",
        ),
        (
            ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetItem"),
            "is Greenlane deployed",
        ),
    ],
)
def test_an_aws_that_does_not_answer_is_exit_code_4(run, client, error, said):
    client.error = error
    assert said in refused(run(*DEPLOY), client, ExitCode.UNREACHABLE)


def test_a_refusal_of_the_live_system_is_exit_code_3(run, client):
    client.error = Refused("alarms: blue-error-rate is red already")
    assert "red already" in refused(run(*DEPLOY), client, ExitCode.REFUSED)


def test_a_defect_is_one_line_unless_debugging(run, client):
    client.error = RuntimeError("boom")
    assert "RuntimeError: boom" in refused(run(*DEPLOY), client, ExitCode.INTERNAL)
    assert "Traceback" in run("--debug", *DEPLOY).stderr


@pytest.mark.parametrize(
    "line", [["deploy"], ["apply"], ["nothing"], ["rollback", "claude-manager"], ["get", "--x"]]
)
def test_a_line_that_cannot_be_read_is_exit_code_2(run, client, line):
    result = run(*line)
    assert result.exit_code == ExitCode.BAD_INPUT
    assert client.calls == []
    assert "Traceback" not in result.output


def test_ctrl_c_is_exit_code_130_and_says_that_the_deployment_goes_on(run, client):
    client.looks = [client.looks[0], KeyboardInterrupt()]
    result = run("get", "claude-manager", "--watch")
    assert result.exit_code == ExitCode.INTERRUPTED
    assert "greenlane get claude-manager --watch" in result.stderr


def test_every_exit_code_is_explained_in_the_help(run):
    said = " ".join(run("--help").stdout.split())
    for code in ExitCode:
        assert MEANINGS[code] in said


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.lists(
        st.sampled_from(
            ["deploy", "get", "--version", "--steps", "1,x", "--bake", "-1", "--output", "json"]
            + ["apply", "-f", "--local", "--", "pause", "x", "--watch=", "--region", "", "=", "-"]
        ),
        max_size=6,
    )
)
def test_no_line_ends_in_a_traceback(run, client, words):
    client.looks = [client.looks[0].model_copy(update={"record": record_of("watching")})]
    result = run(*words)
    assert "Traceback" not in result.output
    assert result.exit_code in set(ExitCode)
