import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.unit.local.conftest import Account

ECHO = """
import os
def handler(event, context):
    return {"event": event, "pid": os.getpid(), "arn": context.invoked_function_arn}
"""


def test_a_function_gets_its_event_and_answers_from_its_own_process(account: Account) -> None:
    account.function("echo", ECHO)
    answer, error = account.invoke("echo", {"a": [1, "é"]})
    assert error is None
    assert answer["event"] == {"a": [1, "é"]}
    assert answer["pid"] != os.getpid()


def test_a_warm_function_answers_within_fifteen_milliseconds_and_keeps_its_process(
    account: Account,
) -> None:
    account.function("warm", ECHO)
    first, _ = account.invoke("warm")
    client = account.client("lambda")
    seconds = []
    for _ in range(30):
        began = time.perf_counter()
        pid = json.load(client.invoke(FunctionName="warm")["Payload"])["pid"]
        seconds.append(time.perf_counter() - began)
        assert pid == first["pid"]
    # The quickest, for the machine may be busy with other things.
    assert min(seconds) < 0.015


def test_after_its_idle_processes_are_ended_a_function_starts_cold(account: Account) -> None:
    for name in ("cold", "other"):
        account.function(name, ECHO)
    first, other = (account.invoke(name)[0] for name in ("cold", "other"))
    account.cloud.parts["functions"].end_idle("cold")
    again, error = account.invoke("cold")
    assert error is None
    assert again["pid"] != first["pid"]
    assert account.invoke("other")[0]["pid"] == other["pid"]


def test_the_environment_is_the_templates_and_the_lambda_services_only(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAKED", "from the person's shell")
    account.function(
        "env", "import os\ndef handler(e, c): return dict(os.environ)", TABLE="deployments"
    )
    environment, _ = account.invoke("env")
    assert environment["TABLE"] == "deployments"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "env"
    assert environment["AWS_LAMBDA_FUNCTION_VERSION"] == "$LATEST"
    assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert environment["AWS_ENDPOINT_URL"] == account.cloud.endpoint_url
    assert not {"LEAKED", "HOME", "PYTHONPATH", "VIRTUAL_ENV"} & set(environment)


def test_an_exception_is_reported_with_its_bare_class_name(account: Account) -> None:
    account.function(
        "raises",
        """
        class NotStable(Exception): pass
        def handler(event, context): raise NotStable("2 of 3 tasks run")
        """,
    )
    answer, error = account.invoke("raises")
    assert error == "Unhandled"
    assert answer["errorType"] == "NotStable"
    assert answer["errorMessage"] == "2 of 3 tasks run"
    assert any("raise NotStable" in line for line in answer["stackTrace"])


def test_a_function_that_cannot_be_imported_says_so(account: Account) -> None:
    account.function("broken", "import no_such_module\ndef handler(e, c): pass")
    for _ in range(2):
        answer, error = account.invoke("broken")
        assert error == "Unhandled"
        assert answer["errorType"] == "Runtime.ImportModuleError"


def test_a_function_past_its_timeout_is_killed_and_the_next_call_gets_a_new_process(
    account: Account,
) -> None:
    account.function(
        "slow",
        """
        import os, time
        def handler(event, context):
            time.sleep(event)
            return os.getpid()
        """,
        timeout=1,
    )
    first, _ = account.invoke("slow", 0)
    answer, error = account.invoke("slow", 30)
    assert (error, answer["errorType"]) == ("Unhandled", "Sandbox.Timedout")
    assert "Task timed out after 1.00 seconds" in answer["errorMessage"]
    second, _ = account.invoke("slow", 0)
    assert second != first


def test_a_process_that_dies_is_a_runtime_exit_error(account: Account) -> None:
    account.function("dies", "import os\ndef handler(e, c): os._exit(3)")
    answer, error = account.invoke("dies")
    assert (error, answer["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert "exit status 3" in answer["errorMessage"]


def test_calls_at_once_run_in_processes_of_their_own(account: Account) -> None:
    account.function(
        "busy",
        """
        import os, time
        def handler(event, context):
            time.sleep(0.3)
            return os.getpid()
        """,
    )
    with ThreadPoolExecutor(3) as pool:
        pids = {answer for answer, _ in pool.map(lambda _: account.invoke("busy"), range(3))}
    assert len(pids) == 3


def test_a_published_version_keeps_running_its_own_code(account: Account) -> None:
    arn = account.function("upgraded", "def handler(e, c): return 'old'")
    client = account.client("lambda")
    version = client.publish_version(FunctionName="upgraded")["Version"]
    account.function("upgraded", "def handler(e, c): return 'new'")
    newer = client.publish_version(FunctionName="upgraded")["Version"]
    assert account.invoke(f"{arn}:{version}")[0] == "old"
    assert account.invoke(f"{arn}:{newer}")[0] == "new"
    assert account.invoke("upgraded")[0] == "new"


def test_changed_configuration_reaches_the_next_call(account: Account) -> None:
    code = "import os\ndef handler(e, c): return os.environ['LEVEL']"
    account.function("configured", code, LEVEL="one")
    assert account.invoke("configured")[0] == "one"
    account.client("lambda").update_function_configuration(
        FunctionName="configured", Environment={"Variables": {"LEVEL": "two"}}
    )
    assert account.invoke("configured")[0] == "two"


def test_the_journal_names_the_function_that_calls(account: Account) -> None:
    account.function(
        "caller",
        """
        import boto3
        def handler(event, context):
            return boto3.client("dynamodb").list_tables()["TableNames"]
        """,
    )
    assert account.invoke("caller") == ([], None)
    calls = [(c.caller, c.service, c.operation, c.status) for c in account.cloud.context.calls]
    assert calls[-2:] == [
        ("caller", "dynamodb", "ListTables", 200),
        ("person", "lambda", "Invoke", 200),
    ]
