import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from greenlane.local.journal import Request
from greenlane.local.runtime_api import Instance, Invocation, error_outcome
from tests.unit.local.conftest import Account

ECHO = """
import os
def handler(event, context):
    return {"event": event, "pid": os.getpid(), "arn": context.invoked_function_arn}
"""


def test_an_event_invocation_answers_at_once_and_is_retried_twice(
    make_account: Callable[..., Account], tmp_path: Path
) -> None:
    account = make_account(time_scale=1000)
    file = tmp_path / "attempts"
    account.function(
        "later",
        """
        import os
        def handler(event, context):
            with open(os.environ["FILE"], "a") as file: file.write("x")
            raise ValueError("no")
        """,
        FILE=str(file),
    )
    answer = account.client("lambda").invoke(FunctionName="later", InvocationType="Event")
    assert answer["StatusCode"] == 202
    account.wait_until(lambda: file.exists() and len(file.read_text()) == 3)
    time.sleep(0.3)
    assert file.read_text() == "xxx"


def test_a_schedule_does_not_fire_while_its_function_runs(
    make_account: Callable[..., Account], tmp_path: Path
) -> None:
    account = make_account(time_scale=600)
    log = tmp_path / "log"
    function = account.function(
        "busy",
        """
        import os, time
        def handler(event, context):
            with open(os.environ["FILE"], "a") as file: file.write("begins ")
            time.sleep(0.35)
            with open(os.environ["FILE"], "a") as file: file.write("ends ")
        """,
        FILE=str(log),
    )
    events = account.client("events")
    # A minute lasts a tenth of a second here, and the function more than three minutes.
    events.put_rule(Name="busy", ScheduleExpression="rate(1 minute)")
    events.put_targets(Rule="busy", Targets=[{"Id": "t", "Arn": function}])
    account.wait_until(lambda: log.exists() and log.read_text().count("ends") >= 3)
    words = log.read_text().split()
    assert set(words[::2]) == {"begins"}
    assert set(words[1::2]) == {"ends"}


def test_a_function_sees_virtual_time_through_its_own_clock_module(
    make_account: Callable[..., Account],
) -> None:
    account = make_account(time_scale=3600)
    code = Path("greenlane/clock.py").read_text()
    archive = _archive({"greenlane/__init__.py": "", "greenlane/clock.py": code, "app.py": CLOCK})
    account.client("lambda").create_function(
        FunctionName="clock",
        Runtime="python3.14",
        Role="arn:aws:iam::123456789012:role/local",
        Handler="app.handler",
        Code={"ZipFile": archive},
    )
    virtual, _ = account.invoke("clock")
    assert abs(virtual - account.cloud.clock.now().timestamp()) < 3600


CLOCK = """
from greenlane.clock import current_clock
def handler(event, context):
    return current_clock().now().timestamp()
"""


def _archive(files: Any) -> Any:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def test_nothing_survives_the_cloud(make_account: Callable[..., Account]) -> None:
    account = make_account()
    account.function("echo", ECHO)
    pid = account.invoke("echo")[0]["pid"]
    os.kill(pid, 0)
    account.cloud.stop()
    assert not _lives(pid)


def test_functions_die_with_a_process_that_is_killed(tmp_path: Path) -> None:
    code = f"""
import sys, time
sys.path.insert(0, {str(Path.cwd())!r})
sys.path.insert(0, {str(Path(__file__).parent)!r})
from conftest import _account
from greenlane.local.cloud import LocalCloud
cloud = LocalCloud({str(tmp_path / "cloud")!r}, parts=())
cloud.start()
account = _account(cloud)
account.function("echo", {ECHO!r})
print(account.invoke("echo")[0]["pid"], flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        os.kill(pid, 0)
        process.send_signal(signal.SIGKILL)
        process.wait()
    deadline = time.monotonic() + 60
    while _lives(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _lives(pid)


@pytest.mark.parametrize("offered_first", [True, False])
def test_a_process_that_fails_before_or_after_it_is_called_says_why(offered_first: bool) -> None:
    instance, invocation = Instance("one"), Invocation("id", b"{}", "arn", timeout=1)
    failure = error_outcome("Runtime.ImportModuleError", "no such module")
    steps = [lambda: instance.offer(invocation), lambda: instance.fail(failure)]
    for step in steps if offered_first else reversed(steps):
        step()
    instance.end("exit status 1")
    assert invocation.outcome == failure
    assert instance.ended.is_set(), "nobody else is given it"


def _lives(pid: Any) -> Any:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0]
    except FileNotFoundError:
        return False


def test_a_time_limit_meant_for_aws_does_not_fail_a_call_on_a_machine_that_is_slow(
    account: Account,
) -> None:
    account.function(
        "hasty",
        """
        import boto3
        from botocore.config import Config
        limits = Config(connect_timeout=0.1, read_timeout=0.1, retries={"total_max_attempts": 1})
        def handler(event, context):
            return boto3.client("ssm", config=limits).describe_parameters()["Parameters"]
        """,
        timeout=30,
    )

    def answer_late(request: Request) -> None:
        if request.service == "ssm":
            time.sleep(0.5)

    account.cloud.server.before.append(answer_late)
    try:
        assert account.invoke("hasty") == ([], None)
    finally:
        account.cloud.server.before.remove(answer_late)
