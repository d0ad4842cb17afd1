"""Processes of one asset are forked with its modules imported, and cannot tell."""

import io
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from greenlane.local.function_imports import Asked
from tests.unit.local.conftest import ROLE, Account

HANDLER = """
import os
import lib
def handler(event, context):
    lib.calls.append(event)
    return {"pid": os.getpid(), "calls": lib.calls, "seen": lib.seen}
"""


@pytest.fixture
def make(account: Account) -> Iterator[Any]:
    """Create functions of one asset, whose library says what it saw on its import."""
    names: list[str] = []

    def create(lib: str, *names_of_functions: str, **variables: str) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("app.py", HANDLER)
            archive.writestr("lib.py", f"import os\ncalls = []\n{lib}\n")
        for name in names_of_functions:
            names.append(name)
            account.client("lambda").create_function(
                FunctionName=name,
                Runtime="python3.14",
                Role=ROLE,
                Handler="app.handler",
                Code={"ZipFile": buffer.getvalue()},
                Environment={"Variables": variables},
            )

    yield create
    for name in names:
        account.client("lambda").delete_function(FunctionName=name)


def cold(account: Account, name: str, event: Any = None) -> Any:
    """Invoke a function in a new process."""
    account.cloud.parts["functions"].end_idle(name)
    answer, error = account.invoke(name, event)
    assert error is None, answer
    return answer


def test_what_one_process_imported_the_next_ones_have(
    account: Account, make: Any, tmp_path: Path
) -> None:
    imported = tmp_path / "imported"
    make(f"seen = open({str(imported)!r}, 'a').write('x')", "first", "second")
    pids = {cold(account, name)["pid"] for name in ("first", "second", "first", "second")}
    assert len(pids) == 4
    # By the first process, and once for all others.
    assert imported.read_text() == "xx"


def test_no_process_sees_what_another_one_did(account: Account, make: Any) -> None:
    make("seen = None", "alone")
    assert [cold(account, "alone", number)["calls"] for number in range(4)] == [[0], [1], [2], [3]]


@pytest.mark.parametrize(
    "lib",
    [
        "seen = os.environ['AWS_LAMBDA_FUNCTION_NAME']",
        "seen = os.getenv('AWS_LAMBDA_FUNCTION_NAME')",
        "seen = dict(os.environ)['AWS_LAMBDA_FUNCTION_NAME']",
        "seen = {**os.environ}.get('AWS_LAMBDA_FUNCTION_NAME')",
    ],
)
def test_a_module_that_asks_whose_it_is_gets_the_answer_for_each_function(
    account: Account, make: Any, lib: str
) -> None:
    make(lib, "ada", "bob")
    for name in ("ada", "bob", "ada", "bob"):
        assert cold(account, name)["seen"] == name


def test_a_module_that_asks_for_a_variable_gets_that_of_its_function(
    account: Account, make: Any
) -> None:
    lib = "seen = ['COLOUR' in os.environ, os.environ.get('COLOUR')]"
    make(lib, "red", COLOUR="red")
    make(lib, "blue", COLOUR="blue")
    make(lib, "plain")
    expected = {"red": [True, "red"], "blue": [True, "blue"], "plain": [False, None]}
    for name in ("red", "blue", "plain") * 2:
        assert cold(account, name)["seen"] == expected[name]


@pytest.mark.parametrize(
    ("ask", "others"),
    [
        (lambda: os.environ["COLOUR"], [{"COLOUR": "blue"}, {}]),
        (lambda: os.environ.get("NEW"), [{"COLOUR": "red", "NEW": "1"}]),
        (lambda: "NEW" in os.environ, [{"COLOUR": "red", "NEW": "1"}]),
        (lambda: list(os.environ), [{"COLOUR": "red", "OTHER": "1"}]),
        (lambda: len(os.environ.copy()), [{"COLOUR": "red", "OTHER": "1"}, {"COLOUR": "blue"}]),
    ],
)
def test_an_environment_that_would_answer_otherwise_is_noticed(
    monkeypatch: pytest.MonkeyPatch, ask: Callable[[], Any], others: list[dict[str, str]]
) -> None:
    monkeypatch.setenv("COLOUR", "red")
    monkeypatch.delenv("NEW", raising=False)
    given = dict(os.environ)
    asked = Asked(given)
    with asked.listening():
        ask()
    assert type(os.environ) is os._Environ
    rest = {name: value for name, value in given.items() if name != "COLOUR"}
    assert not any(asked.same_for(rest | other) for other in others)


def test_an_environment_that_differs_elsewhere_is_as_good() -> None:
    asked = Asked(dict(os.environ))
    with asked.listening():
        assert "PATH" in os.environ
        assert os.environ.get("NEW") is None
    assert asked.same_for({"PATH": "elsewhere", "OTHER": "1"})


def test_an_asset_that_starts_threads_is_imported_by_each_process(
    account: Account, make: Any
) -> None:
    lib = (
        "import threading\n"
        "thread = threading.Thread(target=threading.Event().wait, daemon=True)\n"
        "thread.start()\n"
        "seen = os.getpid()"
    )
    make(lib, "threads")
    for _ in range(3):
        answer = cold(account, "threads")
        assert answer["seen"] == answer["pid"]


def test_what_a_module_prints_goes_to_no_report(account: Account, make: Any) -> None:
    make('print(\'{"ended": "nobody"}\'); seen = 1', "loud")
    for _ in range(3):
        assert cold(account, "loud")["seen"] == 1
