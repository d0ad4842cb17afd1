"""The routes of migrations, on a town in memory whose time passes by hand."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from greenlane.http import listing
from greenlane.migrations.databases.document import read_databases
from greenlane.migrations.databases.store import DatabaseStore
from greenlane.migrations.guarding.model import Published, RunRecord
from greenlane.migrations.http.migration_routes import ROUTES
from greenlane.migrations.http.migration_shapes import StartMigration
from greenlane.migrations.http.migrations_api import MigrationsApi
from greenlane.migrations.managing.asking import Asking as AskingRuns
from greenlane.pipelines.book import Book
from greenlane.pipelines.model import MigrationAsked
from tests.api_asking import ADA, Answer, Asking, refused
from tests.builders import NOW
from tests.fakes import error, timeout
from tests.migrated import SHA
from tests.migration_town import DESCRIBED, TABLE, MigrationTown
from tests.postgres_town import TownConnection

ROOT = Path(__file__).resolve().parents[4]
ALL, ONE = "/v1/migrations", "/v1/migrations/{run}"
BODY = {"database": "orders", "plan": SHA, "phase": "expand", "reason": "for 2.4"}


class World(Asking):
    def __init__(self, town: MigrationTown) -> None:
        self.town = town
        self.connection = TownConnection(town, "function")
        self.book = Book(town.table, TABLE)
        super().__init__(MigrationsApi(self.connection, self.book))

    def start(self, *, key: str | None = None, **changes: Any) -> Answer:
        headers = None if key is None else {"Idempotency-Key": key}
        return self("POST", ALL, BODY | changes, headers=headers)

    def get(self, run: str) -> Any:
        found = self("GET", ONE, run=run)
        assert found.status == 200, found.json
        return found.json


@pytest.fixture
def world() -> Iterator[World]:
    town = MigrationTown()
    yield World(town)
    town.kernel.close()


def test_each_route_has_a_handler(world: World) -> None:
    assert set(world.api.handlers) == {one.name for one in ROUTES}  # type: ignore[attr-defined]


def test_a_phase_of_a_kept_plan_is_started_looked_at_and_ends(world: World) -> None:
    started = world.start()
    before = world.get(started.json["run"])
    world.town.run(0.1)
    world.town.run(8, done=world.town.quiet)
    after = world.get(started.json["run"])

    assert started.status == 201
    assert started.json["files"] == ["0001_expand_name"]
    assert (before["ended"], after["ended"]["standing"]) == (None, "succeeded")
    assert (after["run"]["requested_by"], after["run"]["reason"]) == (ADA, "for 2.4")
    assert after["asked"] is None


def test_the_same_key_starts_once_and_answers_the_same(world: World) -> None:
    answers = [world.start(key="build-17") for _ in range(2)]
    world.town.run(8, done=world.town.quiet)
    answers.append(world.start(key="build-17"))

    assert [one.status for one in answers] == [201, 200, 200]
    assert answers[0].json == answers[1].json == answers[2].json
    assert answers[0].json["run"] == "orders-expand-build-17"
    assert len(world.town.executions) == 1


@pytest.mark.parametrize(
    "other", [{"reason": "another"}, {"on_failure": "leave"}, {"phase": "migrate"}], ids=str
)
def test_the_same_key_with_another_request_is_refused(world: World, other: Any) -> None:
    world.start(key="k")

    refused(world.start(key="k", **other), 422, "another key")
    assert len(world.town.executions) == 1


def test_an_id_that_another_door_gave_to_another_request_is_422(world: World) -> None:
    asking = AskingRuns(world.connection, by="jo")
    asking.start_kept("orders", SHA, "expand", run="orders-expand-k", reason="another")
    world.town.run(8, done=world.town.quiet)

    told = refused(world.start(key="k"), 422, "another key")
    assert told["problems"][0]["field"] == "Idempotency-Key"
    assert len(world.town.executions) == 1


def test_a_try_that_was_cut_off_is_finished_under_its_key(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(**given: Any) -> Any:
        world.town.start_execution(**given)
        raise timeout()

    machines = world.connection.client("stepfunctions")
    with monkeypatch.context() as patched:
        patched.setattr(machines, "start_execution", lost)
        refused(world.start(key="k"), 503)
    world.town.run(8, done=world.town.quiet)
    # Another run has the database by then: that the first began is no news.
    world.town.database.locked = 1000
    assert world.start().status == 201
    world.town.run(0.1)

    again = world.start(key="k")

    assert (again.status, again.json["already"]) == (200, True)
    assert len(world.town.executions) == 2


def test_a_second_run_is_refused_while_the_first_has_the_database(world: World) -> None:
    world.town.database.locked = 1000
    world.start(key="first")
    world.town.run(0.1)

    told = refused(world.start(key="k"), 409, "orders is taken by orders-expand-first (expand)")

    assert told["title"] == "MigrationInFlight"
    world("POST", f"{ONE}/abort", run="orders-expand-first")
    world.town.run(1, done=world.town.quiet)
    assert world.start(key="k").status == 201


def test_a_run_is_paused_resumed_and_ended_by_whoever_asks(world: World) -> None:
    world.town.database.locked = 1000
    run = world.start().json["run"]
    world.town.run(0.1)
    paused = world("POST", f"{ONE}/pause", {"reason": "sale"}, run=run)
    world.town.run(0.1)
    waits = world.get(run)
    resumed = world("POST", f"{ONE}/resume", run=run)
    world.town.run(0.1)
    runs = world.get(run)
    aborted = world("POST", f"{ONE}/abort", {"reason": "no"}, run=run)
    world.town.run(1, done=world.town.quiet)
    ended = world.get(run)["ended"]

    assert (paused.status, paused.json) == (200, {"run": run, "asked": "pause", "undo": False})
    assert (waits["asked"]["name"], waits["asked"]["by"]) == ("pause", ADA)
    assert waits["run"]["waits_for"] == f"{ADA} paused it: sale"
    assert (resumed.status, runs["asked"]) == (200, None)
    assert aborted.status == 200
    assert (ended["standing"], ended["why"]) == ("stopped", f"Aborted: {ADA} ended it: no")


def test_an_abort_that_undoes_takes_back_what_was_done(world: World) -> None:
    run = world.start().json["run"]
    world.town.run(0.1, done=lambda: bool(world.town.database.done))

    asked = world("POST", f"{ONE}/abort", {"undo": True}, run=run)
    world.town.run(1, done=world.town.quiet)

    assert asked.json == {"run": run, "asked": "abort", "undo": True}
    assert world.town.database.done == []
    assert world.get(run)["ended"]["standing"] == "undone"


def test_what_has_ended_cannot_be_asked_for_anything(world: World) -> None:
    run = world.start().json["run"]
    world.town.run(8, done=world.town.quiet)

    for what in ("pause", "resume", "abort"):
        told = refused(world("POST", f"{ONE}/{what}", run=run), 409, "does not run on orders")
        assert told["title"] == "SignalRefused"


def test_a_run_whose_execution_died_is_told_as_dead(world: World) -> None:
    started = world.start().json
    world.town.run(0.1, done=lambda: bool(world.town.database.done))
    world.town.executions[started["execution_arn"]].stop("Killed", "by hand")

    assert world.get(started["run"])["ended"]["standing"] == "dead"


def test_a_run_is_known_before_its_workflow_has_begun_it(world: World) -> None:
    run = world.start().json["run"]

    assert world.get(run) == {"run": None, "ended": None, "asked": None}


def test_an_unknown_run_is_not_found(world: World) -> None:
    asks = (("GET", ""), ("GET", "/history"), *(("POST", f"/{s}") for s in ("pause", "resume")))
    for method, more in (*asks, ("POST", "/abort")):
        told = refused(world(method, ONE + more, run="m-9"), 404, "greenlane migrations list")
        assert told["title"] == "UnknownMigration"
    refused(world("GET", ONE, run="no run"), 400, "as the lists have it")


def several(world: World) -> None:
    """Five runs on two databases, two of them each minute."""
    other = DESCRIBED.replace("  orders:", "  people:")
    for name, one in read_databases(other).databases.items():
        DatabaseStore(world.town.table, TABLE).put(name, one, by="ada", at=NOW)
    for number in range(5):
        database = "people" if number % 2 else "orders"
        at = NOW + timedelta(minutes=number // 2)
        line = {"run": f"m-{number}", "database": database, "service": "shop", "phase": "expand"}
        rest = {"plan_sha": SHA, "standing": "succeeded", "started_at": at, "updated_at": at}
        world.town.runs.begin(RunRecord.model_validate(line | rest))
        stands = {"migration": "0001_expand", "run": f"m-{number}", "epoch": number, "at": at}
        world.town.runs.keep_published(
            Published.model_validate(
                {"database": database, "phase": "expand", "plan_sha": SHA} | stands
            )
        )


def pages(world: World, resource: str, limit: int, name: str, cursor: str, **more: Any) -> Any:
    found, after = [], None
    for _ in range(100):
        query = {"limit": str(limit), **more.get("query", {})}
        query |= {cursor: after} if after else {}
        page = world("GET", resource, query=query, **more.get("path", {})).json
        assert len(page[name]) <= limit
        found += page[name]
        after = page["next"]
        if after is None:
            break
    return found


def test_runs_are_listed_newest_first_over_all_databases_in_pages(world: World) -> None:
    several(world)
    whole = world("GET", ALL).json
    of_people = world("GET", ALL, query={"database": "people"}).json

    assert [one["run"] for one in whole["runs"]] == [
        *("m-4", "m-3", "m-2", "m-1", "m-0"),
    ]
    assert whole["next"] is None
    assert {one["database"] for one in whole["published"]} == {"orders", "people"}
    assert pages(world, ALL, 2, "runs", "before") == whole["runs"]
    assert [one["run"] for one in of_people["runs"]] == ["m-3", "m-1"]
    assert [one["database"] for one in of_people["published"]] == ["people"]
    asked = {"query": {"database": "people"}}
    assert pages(world, ALL, 1, "runs", "before", **asked) == of_people["runs"]


def test_a_page_is_shorter_where_its_lines_are_long_and_nothing_is_left_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    several(world)
    whole = world("GET", ALL).json["runs"]
    monkeypatch.setattr(listing, "MOST_CHARACTERS", 2 * len(json.dumps(whole[0])))

    first = world("GET", ALL).json

    assert 0 < len(first["runs"]) < len(whole)
    assert pages(world, ALL, 100, "runs", "before") == whole


def test_the_history_comes_in_pages_without_a_gap(world: World) -> None:
    run = world.start().json["run"]
    world.town.run(8, done=world.town.quiet)
    whole = world("GET", f"{ONE}/history", query={"limit": "100"}, run=run).json["events"]

    assert len(whole) >= 3
    found = pages(world, f"{ONE}/history", 1, "events", "after", path={"run": run})
    assert found == whole


def test_an_unknown_database_is_not_found(world: World) -> None:
    for found in (
        world.start(database="order"),
        world("GET", ALL, query={"database": "order"}),
        world("GET", "/v1/restores", query={"database": "order"}),
    ):
        told = refused(found, 404, "did you mean orders?")
        assert told["title"] == "UnknownDatabase"
    assert world.town.executions == {}


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"plan": "c" * 64}, "plan", "no such plan is in"),
        ({"plan": "c"}, "plan", "should match pattern"),
        ({"phase": "contrakt"}, "phase", "did you mean contract?"),
        ({"databse": "orders"}, "databse", "did you mean database?"),
        ({"on_failure": "forget"}, "on_failure", "undo"),
        ({"reason": "x" * 1001}, "reason", "1000"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_and_starts_nothing(
    world: World, changes: dict[str, Any], field: str, said: str
) -> None:
    told = refused(world.start(**changes), 400, said)

    assert told["problems"][0]["field"] == field
    assert world.town.executions == {}


def test_a_plan_is_of_its_database_and_has_the_phase(world: World) -> None:
    plans = world.town.objects.objects
    plan = json.loads(plans[f"plans/{SHA}.json"])
    plan["manifest"]["files"] = plan["manifest"]["files"][:1]
    plans[f"plans/{'b' * 64}.json"] = json.dumps(plan)
    plan["manifest"]["database"] = "people"
    plans[f"plans/{'c' * 64}.json"] = json.dumps(plan)

    refused(world.start(plan="b" * 64, phase="migrate"), 400, "the plan has files of expand only")
    refused(world.start(plan="c" * 64), 400, "it is for people")
    assert world.town.executions == {}


def test_where_nothing_for_migrations_is_deployed_that_is_said(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(**_: Any) -> Any:
        raise error("StateMachineDoesNotExist")

    monkeypatch.setattr(world.connection.client("stepfunctions"), "start_execution", absent)

    refused(world.start(), 409, "nothing for migrations is deployed")


def test_nobody_who_is_not_signed_starts_anything(world: World) -> None:
    refused(world("POST", ALL, BODY, by=None), 401)
    assert world.town.executions == {}


def test_the_keys_are_those_of_a_pipelines_request() -> None:
    assert set(StartMigration.model_fields) == set(MigrationAsked.model_fields)


def test_the_function_imports_neither_the_grammar_nor_the_driver() -> None:
    """It has no layer with them."""
    program = (
        "import sys\n"
        "for name in ('postgast', 'psycopg'):\n"
        "    sys.modules[name] = None\n"
        "import functions.manage_migrations\n"
        "print('imported')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )

    assert done.stdout == "imported\n", done.stderr
