"""The routes of restores, on a town whose database is restored in virtual time."""

from collections.abc import Iterator
from typing import Any

import pytest

from greenlane.migrations.http.migrations_api import MigrationsApi
from greenlane.pipelines.book import Book
from tests.api_asking import ADA, Answer, Asking, refused
from tests.fakes import timeout
from tests.migration_town import TABLE
from tests.postgres_town import TownConnection
from tests.restore_town import RESTORE, RUN, RestoreTown
from tests.unit.cli.test_cli_migrations_restoring import StepFunctions

ALL, ONE = "/v1/restores", "/v1/restores/{restore}"


class World(Asking):
    def __init__(self, town: RestoreTown) -> None:
        self.town = town
        connection = TownConnection(town, "function")
        machines = StepFunctions(town, connection.client("stepfunctions"))
        connection._clients["stepfunctions"] = machines
        super().__init__(MigrationsApi(connection, Book(town.table, TABLE)))

    def until(self, kind: str) -> None:
        self.town.run(3, done=lambda: kind in self.town.kinds())
        assert kind in self.town.kinds()

    def get(self) -> Any:
        return self("GET", ONE, restore=RESTORE).json

    def say(self, given: str, **changes: Any) -> Answer:
        body = {"says": given, "offer": self.get()["offer"], "reason": "rows are gone"} | changes
        return self("POST", f"{ONE}/answer", body, restore=RESTORE)


@pytest.fixture
def world() -> Iterator[World]:
    town = RestoreTown()
    town.says = {}
    town.ask_for()
    yield World(town)
    town.close()


START = {"run": RUN, "tables": ["public.people"], "reason": "names were lost"}


@pytest.fixture
def fresh() -> Iterator[World]:
    """Nobody has asked for a restore yet."""
    town = RestoreTown()
    town.says = {}
    yield World(town)
    town.close()


def test_a_restore_is_started_once_under_its_key_whatever_became_of_it(fresh: World) -> None:
    key = {"Idempotency-Key": "K.1"}
    first = fresh("POST", ALL, START, headers=key)
    again = fresh("POST", ALL, START, headers=key)
    fresh.town.run(3, done=fresh.town.quiet)
    late = fresh("POST", ALL, START, headers=key)
    other = fresh("POST", ALL, {**START, "mode": "cutover"}, headers=key)
    found = fresh("GET", ONE, restore=first.json["restore"])

    assert [one.status for one in (first, again, late)] == [201, 200, 200]
    assert first.json == again.json == late.json
    assert (first.json["requested_by"], first.json["database"]) == (ADA, "orders")
    refused(other, 422, "another key")
    assert len(fresh.town.executions) == 1
    assert found.json["restore"]["standing"] == "salvage"


def test_a_start_that_was_cut_off_does_not_start_a_restore_that_has_ended_again(
    fresh: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, start = {"Idempotency-Key": "k"}, fresh.town.start_execution

    def lost(**given: Any) -> Any:
        start(**given)
        raise timeout()

    with monkeypatch.context() as patched:
        patched.setattr(fresh.town, "start_execution", lost)
        refused(fresh("POST", ALL, START, headers=key), 503)
    fresh.town.run(3, done=fresh.town.quiet)

    again = fresh("POST", ALL, START, headers=key)

    assert again.status == 200
    assert len(fresh.town.executions) == 1


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"run": "m-77"}, 404, "greenlane migrations list"),
        ({"tables": []}, 400, "name those to copy back, or choose mode cutover"),
        ({"tables": ["people"]}, 400, "tables.0"),
        ({"approval_seconds": "4h"}, 400, "approval_seconds"),
        ({"reason": ""}, 400, "reason"),
        ({"restore": "mine"}, 400, "there is no such key"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_restore_is_said_and_starts_nothing(
    fresh: World, changes: dict[str, Any], status: int, said: str
) -> None:
    refused(fresh("POST", ALL, START | changes), status, said)
    assert fresh.town.executions == {}


def test_a_cutover_is_read_approved_and_carried_out(world: World) -> None:
    world.until("restore_approval")
    asks = world.get()
    approved = world.say("approve")
    world.until("restore_writers")
    then = world.get()
    stopped = world.say("stopped")
    world.town.run(1, done=world.town.quiet)
    ended = world.get()

    assert (asks["question"], asks["restore"]["standing"]) == ("approve", "running")
    assert (approved.status, approved.json["by"]) == (200, ADA)
    assert (then["question"], stopped.status) == ("writers", 200)
    assert (ended["restore"]["standing"], ended["question"], ended["offer"]) == (
        "cut_over",
        None,
        None,
    )
    kinds = [one["kind"] for one in world("GET", f"{ONE}/history", restore=RESTORE).json["events"]]
    assert {"taken", "restored", "asked", "answered", "cut over"} <= set(kinds)


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"offer": "0" * 12}, 409, "read it, and answer that"),
        ({"reason": " "}, 400, "say why what is lost may be lost"),
        ({"says": "yes"}, 400, "use one of approve"),
        ({"says": "expired"}, 400, "use one of approve"),
        ({"says": "stopped"}, 409, "nothing is asked that stopped would answer"),
    ],
    ids=str,
)
def test_an_answer_names_what_was_read_and_why(
    world: World, changes: dict[str, Any], status: int, said: str
) -> None:
    world.until("restore_approval")

    refused(world.say("approve", **changes), status, said)
    assert world.get()["question"] == "approve"
    assert world.town.untouched()


def test_the_first_answer_stands(world: World) -> None:
    world.until("restore_approval")
    first = world.say("refuse")
    offer = first.json["offer"]
    again = world.say("refuse", offer=offer)

    assert (first.status, again.status) == (200, 200)
    assert again.json == first.json
    refused(world.say("approve", offer=offer), 409, f"{ADA} said refuse")


def test_it_is_ended_by_a_person(world: World) -> None:
    world.until("restore_approval")
    told = world("POST", f"{ONE}/abort", {"reason": "another way"}, restore=RESTORE)
    world.town.run(1, done=world.town.quiet)

    assert (told.status, told.json) == (200, {"restore": RESTORE, "asked": "abort"})
    assert world.get()["restore"]["standing"] == "aborted"
    refused(world("POST", f"{ONE}/abort", restore=RESTORE), 409, "does not run")


def test_restores_are_listed_without_what_they_found_in_pages(world: World) -> None:
    world.town.run(3, done=lambda: "restore_approval" in world.town.kinds())
    for number in range(2, 5):
        record = world.town.restores.restore(RESTORE)
        begun = record.started_at.replace(microsecond=number)
        named = {"restore": f"fix-{number}", "started_at": begun}
        world.town.restores.begin(record.model_copy(update=named))
    found: list[Any] = []
    before: str | None = None
    while True:
        query = {"limit": "3"} | ({"before": before} if before else {})
        page = world("GET", ALL, query=query).json
        found += page["restores"]
        before = page["next"]
        if before is None:
            break

    assert [one["restore"] for one in found] == ["fix-4", "fix-3", "fix-2", RESTORE]
    assert {one["state"] for one in found} == {None}
    assert world.get()["restore"]["state"]["plan"]["old"]


def test_an_unknown_restore_is_not_found(world: World) -> None:
    answer = {"says": "refuse", "offer": "x"}
    for method, more, body in (
        ("GET", "", None),
        ("GET", "/history", None),
        ("POST", "/abort", None),
        ("POST", "/answer", answer),
    ):
        told = refused(world(method, ONE + more, body, restore="fix-77"), 404, "fix-77")
        assert told["title"] == "UnknownRestore"
    refused(world("GET", ONE, restore="Fix 77"), 400, "as the lists have it")
