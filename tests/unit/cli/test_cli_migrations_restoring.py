"""`greenlane migrations restore ...`, against a town whose time passes by hand."""

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from greenlane.cli.main import app
from greenlane.cli.session import Session
from greenlane.migrations.restoring.manager import RESTORE_MACHINE
from infra.restores import RESTORE_MACHINE as DEPLOYED
from tests.fakes import error
from tests.postgres_town import TownConnection
from tests.restore_town import RESTORE, RUN, RestoreTown

Run = Callable[..., Result]


class StepFunctions:
    """The calls of a person's own process."""

    def __init__(self, town: RestoreTown, kept: Any) -> None:
        self._town, self._kept, self.meta = town, kept, kept.meta

    def start_execution(self, **given: Any) -> Any:
        return self._town.start_execution(**given)

    def describe_execution(self, **given: Any) -> Any:
        return self._kept.describe_execution(**given)

    def send_task_success(self, **given: Any) -> None:
        self._town.send_task_success(**given)


@pytest.fixture
def town() -> Iterator[RestoreTown]:
    made = RestoreTown()
    made.says = {}
    yield made
    made.close()


@pytest.fixture
def run(town: RestoreTown, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("GREENLANE_LOCAL", raising=False)
    connection = TownConnection(town)
    connection._clients["stepfunctions"] = StepFunctions(town, connection.client("stepfunctions"))

    def run(*args: str) -> Result:
        session = Session()
        session.__dict__["client"] = SimpleNamespace(connection=connection)
        return CliRunner().invoke(app, ["migrations", "restore", *args], obj=session)

    return run


def start(run: Run, *more: str) -> Result:
    return run(
        *("start", RUN, "--reason", "names were lost", "--table", "public.people"),
        *("--id", RESTORE, *more),
    )


def until(town: RestoreTown, kind: str) -> None:
    town.run(3, done=lambda: kind in town.kinds())


def offer_in(text: str) -> str:
    line = next(one for one in text.splitlines() if "it waits for an answer" in one)
    return line.partition("offer ")[2].rstrip(":")


def test_the_machine_is_the_one_that_is_deployed() -> None:
    assert RESTORE_MACHINE == DEPLOYED


def test_a_salvage_is_started_followed_and_its_statements_printed(
    town: RestoreTown, run: Run
) -> None:
    started = start(run)
    assert started.exit_code == 0, started.output
    assert f"greenlane migrations restore get {RESTORE}" in started.output
    until(town, "restore_salvage")
    town.run(1, done=town.quiet)

    shown = run("get", RESTORE).output
    assert f"{RESTORE}: orders, salvage" in shown
    assert "deleted by: aws rds delete-db-cluster" in shown
    printed = run("salvage", RESTORE).output
    assert "-- 1. in the new database: copy the tables aside" in printed
    assert "INSERT INTO public.people" in printed
    assert "# 2. in a shell: bring the copies into the old database" in printed
    listed = run("list").output
    assert RESTORE in listed
    assert RUN in listed
    assert town.untouched()


def test_a_cutover_is_read_approved_and_carried_out(town: RestoreTown, run: Run) -> None:
    assert start(run, "--cutover", "--write-secret").exit_code == 0
    until(town, "restore_approval")

    shown = run("get", RESTORE).output
    assert "RPO: " in shown
    assert "RTO: " in shown
    assert "lost: every write to orders-prod since" in shown
    offer = offer_in(shown)
    said = run("answer", RESTORE, "approve", "--offer", offer, "--reason", "too many are gone")
    assert said.exit_code == 0, said.output
    until(town, "restore_writers")
    shown = run("get", RESTORE).output
    assert "it waits for an answer to writers" in shown
    assert run("answer", RESTORE, "stopped", "--offer", offer_in(shown)).exit_code == 0
    town.run(1, done=town.quiet)

    assert town.endpoint()["host"] == town.rds.host("cluster", town.new)
    assert f"{RESTORE}: orders, cut_over" in run("get", RESTORE).output
    history = run("history", RESTORE).output
    for kind in ("taken", "restored", "asked", "answered", "cut over"):
        assert kind in history


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--reason", "gone"), "read it, and answer that"),
        ((), "say why what is lost may be lost"),
    ],
)
def test_an_approval_needs_the_offer_that_was_read_and_a_reason(
    town: RestoreTown, run: Run, more: tuple[str, ...], said: str
) -> None:
    start(run, "--cutover")
    until(town, "restore_approval")

    result = run("answer", RESTORE, "approve", "--offer", "0" * 12, *more)

    assert result.exit_code != 0
    assert said in result.stderr
    assert town.untouched()


def test_it_is_ended_by_a_person(town: RestoreTown, run: Run) -> None:
    start(run, "--cutover")
    until(town, "restore_approval")

    assert run("abort", RESTORE, "--reason", "found another way").exit_code == 0
    town.run(1, done=town.quiet)

    shown = run("get", RESTORE).output
    assert f"{RESTORE}: orders, aborted" in shown
    assert "found another way" in shown
    assert run("abort", RESTORE).exit_code != 0


def test_once_more_with_the_same_id_is_the_same_and_otherwise_is_refused(
    town: RestoreTown, run: Run
) -> None:
    start(run)
    town.run(0.02)

    assert start(run).exit_code == 0
    other = start(run, "--cutover")

    assert other.exit_code != 0
    assert "asked for otherwise" in other.stderr
    assert len(town.executions) == 1


def test_a_salvage_goes_on_as_a_cutover_under_the_same_id(town: RestoreTown, run: Run) -> None:
    start(run)
    town.run(3, done=town.quiet)

    assert start(run, "--cutover").exit_code == 0
    until(town, "restore_approval")

    assert len(town.executions) == 2
    assert len(town.rds.made) == 3


WRONG: list[tuple[tuple[str, ...], str]] = [
    (("start", "m-77", "--reason", "x", "--table", "public.a"), "m-77"),
    (("start", RUN, "--reason", "x"), "name them in tables, or choose mode cutover"),
    (("start", RUN, "--reason", "x", "--table", "people"), "tables.0"),
    (("start", RUN, "--reason", "x", "--cutover", "--answer-within", "soon"), "--answer-within"),
    (("start", RUN, "--reason", "x", "--cutover", "--least", "public.a"), "--least"),
    (("get", "fix-77"), "greenlane migrations restore list"),
    (("answer", "fix-77", "approve", "--offer", "x", "--reason", "y"), "fix-77"),
    (("salvage", "fix-77"), "fix-77"),
]


@pytest.mark.parametrize(("args", "said"), WRONG)
def test_what_is_wrong_is_named_and_starts_nothing(
    town: RestoreTown, run: Run, args: tuple[str, ...], said: str
) -> None:
    result = run(*args)

    assert result.exit_code != 0
    assert said in result.stderr
    assert town.executions == {}


def test_before_the_databases_were_looked_at_there_is_nothing_to_copy(
    town: RestoreTown, run: Run
) -> None:
    start(run)
    town.run(0.02)

    result = run("salvage", RESTORE)

    assert result.exit_code != 0
    assert "was not looked at yet" in result.stderr


def test_where_nothing_is_deployed_it_says_what_to_deploy(
    town: RestoreTown, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(**_: Any) -> Any:
        raise error("StateMachineDoesNotExist")

    monkeypatch.setattr(town, "start_execution", absent)

    result = start(run)

    assert result.exit_code != 0
    assert "docs/deploying-to-aws.md" in result.stderr


def test_json_has_what_a_program_needs_to_answer(town: RestoreTown, run: Run) -> None:
    start(run, "--cutover")
    until(town, "restore_approval")

    shown = json.loads(run("get", RESTORE, "--output", "json").stdout)

    assert shown["question"] == "approve"
    assert shown["offer"] == town.restores.asked(RESTORE, "approve").offer
    assert shown["restore"]["standing"] == "running"
