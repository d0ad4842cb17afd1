"""`greenlane migrations run`, `list`, `get`, `history`, `pause`, `resume`, `abort`."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from greenlane.migrations.managing.places import MIGRATION_MACHINE
from infra.migrations import MIGRATION_MACHINE as DEPLOYED
from tests.fakes import error
from tests.migration_town import TABLE, MigrationTown
from tests.postgres_town import TownConnection

Run = Callable[..., Any]
MANIFEST = """
database_migrations:
  database: orders
  owner: team-orders
  files:
    - file: 0001_expand_name.sql
      phase: expand
      release: "2.4"
    - file: 0002_fill_name.sql
      phase: migrate
      release: "2.4"
    - file: 0003_expand_more.sql
      phase: expand
      release: "2.5"
"""


class Passing(list[float]):
    """Where a command sleeps, the town's time passes."""

    def __init__(self, town: MigrationTown) -> None:
        super().__init__()
        self._town = town

    def append(self, seconds: float) -> None:
        super().append(seconds)
        self._town.run(seconds / 3600)


@pytest.fixture
def town() -> Iterator[MigrationTown]:
    made = MigrationTown()
    yield made
    made.kernel.close()


@pytest.fixture
def client(town: MigrationTown) -> Any:
    return SimpleNamespace(connection=TownConnection(town))


@pytest.fixture
def slept(town: MigrationTown) -> Passing:
    return Passing(town)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "migrations.yaml").write_text(MANIFEST)
    (tmp_path / "0001_expand_name.sql").write_text("ALTER TABLE users ADD COLUMN full_name text;")
    (tmp_path / "0002_fill_name.sql").write_text("UPDATE users SET full_name = name;")
    (tmp_path / "0003_expand_more.sql").write_text("CREATE INDEX more ON users (name);")
    return str(tmp_path)


@pytest.fixture
def begin(run: Run, folder: str) -> Run:
    """Starts a run: `begin("expand", "--id", "m-1")`."""

    def begin(phase: str, *more: str) -> Any:
        return run("migrations", "run", "-f", folder, "--phase", phase, *more)

    return begin


def said(result: Any, code: int = 0) -> str:
    assert result.exit_code == code, result.output + result.stderr
    return str(result.stdout)


def test_the_name_of_the_workflow_is_the_one_that_is_deployed() -> None:
    assert MIGRATION_MACHINE == DEPLOYED


def test_a_phase_is_started_and_followed_to_its_end(begin: Run, town: MigrationTown) -> None:
    lines = said(begin("expand", "--id", "m-1", "--watch")).splitlines()

    assert lines[1] == (
        "m-1 started: expand on orders, 2 files: 0001_expand_name, 0003_expand_more"
    )
    assert lines[-1] == "m-1 succeeded"
    assert town.database.done == [0, 1, 2]
    assert town.runs.run("m-1").requested_by == "arn:aws:iam::123456789012:user/jo"


def test_without_watch_it_says_how_to_follow(begin: Run) -> None:
    assert "follow it: greenlane migrations get orders-expand-" in said(begin("expand"))


def test_the_same_id_starts_one_run_and_another_request_with_it_is_refused(
    begin: Run, town: MigrationTown
) -> None:
    said(begin("expand", "--id", "m-1", "--watch"))
    again = said(begin("expand", "--id", "m-1"))
    other = begin("migrate", "--id", "m-1")

    assert "m-1 was started before" in again
    assert other.exit_code == 2
    assert "another request has this id" in other.stderr
    assert len(town.executions) == 1


def test_files_of_a_later_release_are_left_out(begin: Run, town: MigrationTown) -> None:
    told = said(begin("expand", "--release", "2.4", "--id", "m-1"))

    assert "expand on orders, 0001_expand_name" in told
    kept = json.loads(town.objects.objects[f"plans/{_request(town, 'm-1')['plan_sha']}.json"])
    assert [one["file"] for one in kept["sources"]] == [
        *("0001_expand_name.sql", "0002_fill_name.sql"),
    ]


def test_a_release_or_phase_that_the_folder_does_not_have_is_refused(
    begin: Run, town: MigrationTown
) -> None:
    release = begin("expand", "--release", "2.44")
    phase = begin("contract")

    assert (release.exit_code, phase.exit_code) == (2, 2)
    assert "expand has files of 2.4, 2.5" in release.stderr
    assert "the manifest has files of expand, migrate only" in phase.stderr
    assert town.executions == {}


def test_findings_of_the_files_are_told_before_the_run_decides(begin: Run) -> None:
    told = said(begin("expand"))

    assert "note: 0003_expand_more.sql, line 1: index-not-concurrent: " in told


def test_an_override_names_a_rule_a_reason_and_the_person(begin: Run, town: MigrationTown) -> None:
    given = ("--override", "index-not-concurrent:0", "--id", "m-1")
    without = begin("expand", *given)
    unknown = begin("expand", "--override", "index-not-concurent", "--reason", "tiny table")
    told = said(begin("expand", *given, "--reason", "tiny table"))

    assert "say why the findings are accepted" in without.stderr
    assert "did you mean index-not-concurrent?" in unknown.stderr
    assert "index-not-concurrent:" not in told
    assert _request(town, "m-1")["overrides"] == [
        {
            "rule": "index-not-concurrent",
            "statement": 0,
            "person": "arn:aws:iam::123456789012:user/jo",
            "reason": "tiny table",
        }
    ]


def test_a_second_run_is_refused_while_the_first_one_has_the_database(
    begin: Run, town: MigrationTown
) -> None:
    town.database.locked = 1000
    said(begin("expand", "--id", "m-1"))
    town.run(0.1)
    result = begin("expand", "--id", "m-2")

    assert result.exit_code == 3
    assert "orders is taken by m-1 (expand)" in result.stderr


def test_a_run_that_its_check_refuses_changes_nothing_and_ends_with_3(
    begin: Run, town: MigrationTown
) -> None:
    town.database.refusal = "PostgreSQL 12 is too old"
    lines = said(begin("expand", "--id", "m-1", "--watch"), 3).splitlines()

    assert lines[-2:] == ["m-1 failed: Refused: PostgreSQL 12 is too old", "  nothing was changed"]
    assert town.runs.run("m-1").standing == "failed"


def test_a_statement_that_fails_makes_the_exit_code_1(begin: Run, town: MigrationTown) -> None:
    town.database.fails_at = 1
    lines = said(begin("expand", "--id", "m-1", "--watch"), 1).splitlines()

    assert lines[-1].startswith("m-1 undone: MigrationFailed: ")


def test_what_a_run_left_in_place_is_left_when_that_is_asked(
    begin: Run, town: MigrationTown
) -> None:
    town.database.fails_at = 1
    said(begin("expand", "--id", "m-1", "--leave", "--watch"), 1)

    assert town.database.undone == []
    assert town.runs.run("m-1").standing == "failed"


def test_a_run_is_paused_resumed_and_aborted(run: Run, begin: Run, town: MigrationTown) -> None:
    town.database.locked = 1000
    said(begin("expand", "--id", "m-1"))
    town.run(0.1)
    assert "it pauses at its next look" in said(
        run("migrations", "pause", "m-1", "--reason", "sale")
    )
    town.run(0.1)
    shown = said(run("migrations", "get", "m-1"))
    assert "waits   arn:aws:iam::123456789012:user/jo paused it: sale" in shown
    assert "you can: resume, abort" in shown
    said(run("migrations", "resume", "m-1"))
    town.run(0.1)
    assert "you can: pause, abort" in said(run("migrations", "get", "m-1"))
    ended = said(run("migrations", "abort", "m-1", "--reason", "no", "--watch"))
    assert "m-1 stopped: Aborted: arn:aws:iam::123456789012:user/jo ended it: no" in ended


def test_an_abort_that_undoes_takes_back_what_was_done(
    run: Run, begin: Run, town: MigrationTown
) -> None:
    said(begin("expand", "--id", "m-1"))
    town.run(0.1, done=lambda: bool(town.database.done))
    said(run("migrations", "abort", "m-1", "--undo", "--watch"))

    assert town.database.done == []
    assert town.runs.run("m-1").standing == "undone"


def test_what_has_ended_cannot_be_paused(run: Run, begin: Run) -> None:
    said(begin("expand", "--id", "m-1", "--watch"))
    result = run("migrations", "pause", "m-1")

    assert result.exit_code == 3
    assert "m-1 does not run on orders" in result.stderr


def test_runs_are_listed_newest_first_below_what_stands(run: Run, begin: Run) -> None:
    said(begin("expand", "--id", "m-1", "--watch"))
    said(begin("expand", "--id", "m-2", "--watch"))
    lines = said(run("migrations", "list")).splitlines()
    told = json.loads(said(run("migrations", "list", "orders", "--limit", "1", "-o", "json")))

    assert lines[0].startswith("orders: expand of 0003_expand_more stands since ")
    assert [line.split()[0] for line in lines[1:]] == ["run", "m-2", "m-1"]
    assert [one["run"] for one in told["runs"]] == ["m-2"]
    assert told["published"][0]["migration"] == "0003_expand_more"


def test_a_database_that_nobody_described_is_told_with_the_way_to_describe_it(
    run: Run, begin: Run, folder: str
) -> None:
    path = Path(folder) / "migrations.yaml"
    path.write_text(path.read_text().replace("database: orders", "database: order"))
    for result in (begin("expand"), run("migrations", "list", "order")):
        assert result.exit_code == 2
        assert "known: orders; did you mean orders?" in result.stderr
        assert "greenlane apply -f FILE" in result.stderr


@pytest.mark.parametrize(
    ("place", "call", "code"),
    [
        ("s3", "put_object", "NoSuchBucket"),
        ("stepfunctions", "start_execution", "StateMachineDoesNotExist"),
    ],
)
def test_an_account_without_migrations_is_told_how_to_get_them(
    begin: Run, client: Any, place: str, call: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(**_: Any) -> ClientError:
        raise error(code)

    monkeypatch.setattr(client.connection.client(place), call, absent)
    result = begin("expand")

    assert result.exit_code == 3
    assert "name the databases under `migrations` in cdk.json" in result.stderr


def test_a_cloud_without_databases_says_how_to_describe_one(run: Run, town: MigrationTown) -> None:
    town.table.delete_item(TableName=TABLE, Key={"pk": {"S": "DATABASES"}, "sk": {"S": "orders"}})

    assert "describe some with `greenlane apply -f FILE`" in said(run("migrations", "list"))


def test_the_history_says_what_happened(run: Run, begin: Run) -> None:
    said(begin("expand", "--id", "m-1", "--watch"))
    told = said(run("migrations", "history", "m-1"))
    kinds = [
        one["kind"] for one in json.loads(said(run("migrations", "history", "m-1", "-o", "json")))
    ]

    # Virtual time stands still while functions run, so several lines are of one instant.
    assert sorted(kinds) == ["backed up", "begun", "published", "succeeded", "taken"]
    assert all(kind in told for kind in kinds)


def test_a_run_that_nobody_started_is_told_where_to_look(run: Run) -> None:
    for command in ("get", "history", "pause", "resume", "abort", "rollback"):
        result = run("migrations", command, "m-9")
        assert result.exit_code == 2, command
        assert "greenlane migrations list" in result.stderr


def test_a_run_whose_execution_died_is_told_as_dead(
    run: Run, begin: Run, town: MigrationTown
) -> None:
    town.database.locked = 1000
    said(begin("expand", "--id", "m-1"))
    town.run(0.1)
    (execution,) = town.executions.values()
    execution.stop("Killed", "by the test")
    result = run("migrations", "get", "m-1", "--watch")

    assert result.exit_code == 1
    assert "m-1 dead" in result.stdout


def test_programs_get_each_change_and_the_end_as_lines_of_json(begin: Run) -> None:
    lines = said(begin("expand", "--id", "m-1", "--watch", "-o", "json")).splitlines()
    told = [json.loads(line) for line in lines]

    assert told[0]["plan_sha"] == told[1]["plan_sha"]
    assert told[-1] == {
        "run": "m-1",
        "standing": "succeeded",
        "why": "",
        "undone": "",
        "untouched": False,
    }


def test_a_run_that_has_not_begun_is_about_to(run: Run, begin: Run) -> None:
    said(begin("expand", "--id", "m-1"))

    assert "it is about to begin" in said(run("migrations", "get", "m-1"))


def _request(town: MigrationTown, run: str) -> dict[str, Any]:
    (execution,) = (one for arn, one in town.executions.items() if arn.endswith(f":{run}"))
    found: dict[str, Any] = execution.given["request"]
    return found
