"""The local cloud from the command line: found only where it runs, used only when asked for."""

import fcntl
import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from greenlane.cli import local as commands
from greenlane.cli.exits import ExitCode
from greenlane.cli.local_state import LocalState, find_local
from greenlane.cli.main import app
from greenlane.cli.session import Session
from greenlane.errors import InvalidInput
from greenlane.local.daemon import DaemonState
from greenlane.local.errors import LocalCloudError

STATE = DaemonState(
    pid=1,
    endpoint_url="http://127.0.0.1:4566",
    region="eu-west-1",
    origin=datetime(2026, 11, 23, 12, 0, tzinfo=UTC),
    time_scale=60,
    balancers={"claude-manager": {80: "http://127.0.0.1:8080"}},
    apis={"greenlane": {"production": "http://127.0.0.1:8081/abc/production"}},
)


@pytest.fixture
def running(tmp_path):
    """A directory in which a daemon seems to run: its state, and its lock held."""
    (tmp_path / "state.json").write_text(STATE.model_dump_json(indent=2))
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield tmp_path


@pytest.fixture
def daemon(monkeypatch):
    """The daemon module's functions, noting what they are asked."""
    asked = []

    def start_daemon(directory, *, time_scale):
        asked.append(("start", time_scale))
        return STATE

    def stop_daemon(directory):
        asked.append(("stop", None))
        return True

    fake = SimpleNamespace(start_daemon=start_daemon, stop_daemon=stop_daemon, asked=asked)
    monkeypatch.setattr(commands, "_module", lambda name: fake)
    return fake


def run(directory, *args, **session):
    line = ["--local-dir", str(directory), *args]
    return CliRunner().invoke(app, line, obj=Session(**session))


def test_a_cloud_that_runs_is_found_as_its_daemon_wrote_it(running):
    assert find_local(running) == LocalState(
        endpoint_url=STATE.endpoint_url,
        region=STATE.region,
        origin=STATE.origin,
        time_scale=STATE.time_scale,
    )


def test_what_a_crash_left_behind_is_no_cloud(tmp_path):
    (tmp_path / "state.json").write_text(STATE.model_dump_json())
    (tmp_path / "lock").touch()
    assert find_local(tmp_path) is None


def test_a_cloud_that_is_not_ready_yet_is_none(running):
    (running / "state.json").unlink()
    assert find_local(running) is None


def test_asking_for_a_local_cloud_where_none_runs_says_how_to_start_one(tmp_path):
    result = run(tmp_path, "--local", "get")
    assert result.exit_code == ExitCode.BAD_INPUT
    assert "greenlane local up" in result.stderr


def test_real_credentials_are_never_sent_to_the_local_cloud(running, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    client = Session(local=True, directory=running).client
    dynamodb = client.connection.client("dynamodb")
    assert dynamodb._request_signer._credentials.access_key == "local"
    assert dynamodb.meta.endpoint_url == STATE.endpoint_url
    assert vars(client.connection.clock) == {"origin": STATE.origin, "scale": 60}


def test_without_being_asked_for_the_local_cloud_is_not_used(running, monkeypatch):
    monkeypatch.delenv("GREENLANE_LOCAL", raising=False)
    client = Session(region="eu-west-1", directory=running).client
    assert "amazonaws.com" in client.connection.client("dynamodb").meta.endpoint_url


def test_up_prints_what_a_person_needs(daemon, tmp_path):
    result = run(tmp_path, "local", "up", "--time-scale", "30")
    assert daemon.asked == [("start", 30)]
    assert "http://127.0.0.1:4566" in result.stdout
    assert "http://127.0.0.1:8080" in result.stdout
    assert "greenlane local down" in result.stdout


def test_up_tells_the_balancer_from_the_api(daemon, tmp_path):
    lines = run(tmp_path, "local", "up").stdout.splitlines()
    assert "load balancer  http://127.0.0.1:8080  (claude-manager, port 80)" in lines
    where = "http://127.0.0.1:8081/abc/production"
    assert f"HTTP API       {where}  (greenlane, stage production)" in lines


def test_up_outside_of_the_repository_says_where_to_go_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["local", "up"], obj=Session())
    assert result.exit_code == ExitCode.BAD_INPUT
    (line,) = result.stderr.splitlines()
    assert "root of Greenlane's repository" in line
    assert list(tmp_path.iterdir()) == []


def test_up_without_templates_says_how_to_write_them(tmp_path, monkeypatch):
    configuration = tmp_path / "examples" / "claude_manager" / "greenlane.yaml"
    configuration.parent.mkdir(parents=True)
    configuration.touch()
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["local", "up"], obj=Session())
    assert result.exit_code == ExitCode.BAD_INPUT
    (line,) = result.stderr.splitlines()
    assert "make synth" in line
    assert not (tmp_path / "build").exists()


def test_up_as_json_is_the_state(daemon, tmp_path):
    said = json.loads(run(tmp_path, "local", "up", "-o", "json").stdout)
    assert said["endpoint_url"] == STATE.endpoint_url


def test_down_says_whether_one_ran(daemon, tmp_path):
    assert "is down" in run(tmp_path, "local", "down").stdout
    daemon.stop_daemon = lambda directory: False
    assert json.loads(run(tmp_path, "local", "down", "-o", "json").stdout) == {"stopped": False}


def test_a_local_cloud_that_does_not_come_up_is_exit_code_4(daemon, tmp_path):
    def fail(directory, *, time_scale):
        raise LocalCloudError("the local cloud did not come up")

    daemon.start_daemon = fail
    result = run(tmp_path, "local", "up")
    assert result.exit_code == ExitCode.UNREACHABLE
    assert result.stderr == "greenlane: the local cloud did not come up\n"


def test_missing_packages_of_the_local_cloud_say_how_to_install_them(tmp_path, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError("no moto", name="moto")

    monkeypatch.setattr("importlib.import_module", missing)
    result = run(tmp_path, "local", "up")
    assert result.exit_code == ExitCode.BAD_INPUT
    assert "greenlane[local]" in result.stderr


@pytest.fixture
def logged(tmp_path):
    (tmp_path / "daemon.log").write_text("one\ntwo\nthree\n")
    logs = tmp_path / "cloud" / "logs"
    logs.mkdir(parents=True)
    (logs / "greenlane-promote.log").write_text("[promoted]\n")
    return tmp_path


def test_logs_prints_the_last_lines(logged):
    assert run(logged, "local", "logs", "-n", "2").stdout == "two\nthree\n"


def test_logs_of_one_function(logged):
    assert run(logged, "local", "logs", "greenlane-promote").stdout == "[promoted]\n"


def test_logs_of_an_unknown_function_name_the_known_ones(logged):
    result = run(logged, "local", "logs", "greenlane-x")
    assert result.exit_code == ExitCode.BAD_INPUT
    assert "greenlane-promote" in result.stderr


def test_following_a_log_prints_what_is_written_meanwhile(logged):
    looks = []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 2:
            raise KeyboardInterrupt
        with (logged / "daemon.log").open("a") as log:
            log.write("four\n")

    result = run(logged, "local", "logs", "-n", "1", "--follow", sleep=sleep)
    assert result.stdout == "three\nfour\n"
    assert result.exit_code == ExitCode.INTERRUPTED


def test_logs_where_none_has_run_is_bad_input(tmp_path):
    with pytest.raises(InvalidInput, match="no local cloud has run there"):
        commands._log_file(tmp_path, None)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ([], ([], False)),
        (["--scene", "a", "--scene", "b"], (["a", "b"], False)),
        (["--all"], ([], True)),
    ],
)
def test_the_demo_ends_with_the_exit_code_of_its_promises(monkeypatch, tmp_path, args, expected):
    asked = []

    def play(scenes, *, all_scenes, as_json):
        asked.append((scenes, all_scenes))
        return 1

    monkeypatch.setattr(commands, "_module", lambda name: SimpleNamespace(run=play))
    result = run(tmp_path, "demo", *args)
    assert (result.exit_code, asked) == (1, [expected])
