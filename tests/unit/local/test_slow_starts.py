"""Functions whose initialisation takes longer than Lambda waits for it."""

from pathlib import Path

import pytest

from greenlane.local import functions
from greenlane.local.runtime_api import Instance, Invocation
from tests.unit.local.conftest import Account

STARTS = """
import os, time
with open(os.environ["FILE"], "a") as file: file.write("x")
time.sleep(float(os.environ["SECONDS"]))
def handler(event, context): return [event, context.get_remaining_time_in_millis()]
"""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "_INIT_SECONDS", 0.2)


def test_a_start_that_lambda_gave_up_is_begun_anew_and_the_call_is_answered(
    account: Account, tmp_path: Path
) -> None:
    starts = tmp_path / "starts"
    account.function("slow-start", STARTS, timeout=60, FILE=str(starts), SECONDS="0.5")

    (asked, left), error = account.invoke("slow-start", "asked")
    assert (asked, error) == ("asked", None)
    assert left < 60_000 - 500, "the second start is a part of the function's time"
    assert starts.read_text() == "xx"

    (again, _), error = account.invoke("slow-start", "again")
    assert (again, error) == ("again", None)
    assert starts.read_text() == "xx", "the process that started is kept"


def test_the_second_start_has_the_functions_own_time_and_no_more(
    account: Account, tmp_path: Path
) -> None:
    starts = tmp_path / "starts"
    account.function("no-start", STARTS, timeout=1, FILE=str(starts), SECONDS="60")

    answer, error = account.invoke("no-start")

    assert (error, answer["errorType"]) == ("Unhandled", "Sandbox.Timedout")
    assert answer["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert starts.read_text() == "xx"


def test_a_second_start_that_fails_says_why(account: Account, tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    code = STARTS + "raise ValueError('no table')\n"
    account.function("bad-start", code, timeout=60, FILE=str(starts), SECONDS="0.5")

    answer, error = account.invoke("bad-start")

    assert (error, answer["errorMessage"]) == ("Unhandled", "no table")
    assert starts.read_text() == "xx"


def test_what_a_process_has_taken_or_ended_with_is_not_given_to_another() -> None:
    offered, taken, ended = Instance("one"), Instance("two"), Instance("three")
    for instance in (offered, taken, ended):
        instance.offer(Invocation("id", b"{}", "arn", timeout=1))
    assert taken.next() is not None
    ended.end("exit status 1")

    assert [one.take_back() for one in (offered, taken, ended)] == [True, False, False]
    assert offered.invocation is None, "its end is nobody's outcome"
