"""The routes of rollouts, on a town of several Regions whose time passes by hand."""

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest

from greenlane.deployments.connection import Connection
from greenlane.deployments.model import DeploymentRequest
from greenlane.pipelines.book import Book
from greenlane.pipelines.request import DEPLOYMENT, read_asked
from greenlane.regions.coordinating.requesting import RegionalRollouts
from greenlane.regions.http.rollout_routes import ROUTES
from greenlane.regions.http.rollout_shapes import StartRollout
from greenlane.regions.http.rollouts_api import RolloutsApi
from tests.api_asking import ADA, Answer, Asking, refused
from tests.builders import SERVICE
from tests.fakes import error, timeout
from tests.region_town import RegionTown, regions_file
from tests.town_connection import TownConnection
from tests.town_region import HOME, TABLE

ALL, ONE = "/v1/rollouts", "/v1/rollouts/{service}"
FILE = json.loads(regions_file(3))
BODY = {"service": SERVICE, "version": "1.4.2", "regions": FILE}


class World(Asking):
    def __init__(self, town: RegionTown) -> None:
        self.town, self.connection = town, TownConnection(town)
        self.book = Book(self.connection.client("dynamodb"), TABLE)
        super().__init__(RolloutsApi(cast(Connection, self.connection), self.book))

    def start(self, *, key: str | None = None, **changes: Any) -> Answer:
        body = {name: one for name, one in (BODY | changes).items() if one is not None}
        headers = None if key is None else {"Idempotency-Key": key}
        return self("POST", ALL, body, headers=headers)

    def wish(self, what: str, content: Any = None) -> Answer:
        return self("POST", f"{ONE}/{what}", content, service=SERVICE)

    def states(self) -> set[str]:
        return {one.state for one in self.town.home.record.regions.values()}


@pytest.fixture
def world() -> Iterator[World]:
    town = RegionTown(regions_file(3))
    yield World(town)
    town.kernel.close()


def test_each_route_has_a_handler(world: World) -> None:
    assert set(world.api.handlers) == {one.name for one in ROUTES}  # type: ignore[attr-defined]


def test_a_rollout_is_begun_looked_at_and_ends(world: World) -> None:
    begun = world.start()
    assert begun.status == 201
    first = world("GET", ONE, service=SERVICE)
    world.town.run()
    last = world("GET", ONE, service=SERVICE)

    assert begun.json["rollout_id"] == first.json["rollout"]["rollout_id"]
    assert len(begun.json["plan"]["waves"]) == 3
    assert first.json["rollout"]["request"]["requested_by"] == ADA
    assert first.json["rollout"]["phase"] == "advancing"
    assert last.json["rollout"]["phase"] == "succeeded"
    assert len(world.town.started) == 3


def test_the_same_key_begins_once_and_answers_the_same(world: World) -> None:
    answers = [world.start(key="build-17") for _ in range(3)]

    assert [one.status for one in answers] == [201, 200, 200]
    assert answers[0].json == answers[1].json == answers[2].json
    assert answers[0].json["rollout_id"] == f"{SERVICE}-build-17"
    assert len(world.town.home.executions) == 1


def test_the_same_key_answers_the_same_after_a_later_rollout(world: World) -> None:
    first = world.start(key="a")
    world.town.run()
    world.start(key="b", version="1.4.3")
    again = world.start(key="a")

    assert (again.status, again.json) == (200, first.json)


@pytest.mark.parametrize(
    "other",
    [
        {"version": "1.4.3"},
        {"policy": "safe"},
        {"regions": {HOME: {"traffic_percentage": 100}}},
        {"despite_freezes": "the fix of the outage"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_the_same_key_with_another_request_is_refused(world: World, other: dict[str, Any]) -> None:
    first = world.start(key="k")

    told = refused(world.start(key="k", **other), 422, "another key")

    assert told["problems"][0]["field"] == "Idempotency-Key"
    assert world("GET", ONE, service=SERVICE).json["rollout"]["request"]["version"] == "1.4.2"
    assert first.status == 201


def test_an_id_that_another_door_gave_to_another_request_is_422(world: World) -> None:
    request = DeploymentRequest(service=SERVICE, version="1", deployment_id=f"{SERVICE}-k")
    RegionalRollouts(cast(Connection, world.connection)).deploy(regions_file(3), request)
    world.town.run()
    refused(world.start(key="k"), 422, "another key")
    assert world.start().status == 201
    refused(world.start(key="k"), 422, "another key")


def test_a_try_that_was_cut_off_is_finished_under_its_key(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = world.connection.start_execution
    monkeypatch.setattr(world.connection, "start_execution", _raise(timeout()))
    cut = refused(world.start(key="k"), 503)
    monkeypatch.setattr(world.connection, "start_execution", start)

    again = world.start(key="k")

    assert cut["title"] == "StoreUnavailable"
    assert (again.status, again.json["rollout_id"]) == (200, f"{SERVICE}-k")
    assert len(world.town.home.executions) == 1


def test_a_try_whose_answer_was_lost_is_answered_after_a_later_rollout(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = world.book.write
    written: list[Any] = []

    def loses(entry: Any, before: Any) -> Any:
        written.append(entry)
        if len(written) > 1:
            raise timeout()
        return kept(entry, before)

    monkeypatch.setattr(world.book, "write", loses)
    refused(world.start(key="k"), 503)
    monkeypatch.setattr(world.book, "write", kept)
    world.town.run()
    assert world.start(key="later", version="1.4.3").status == 201

    again = world.start(key="k")

    assert (again.status, again.json["rollout_id"]) == (200, f"{SERVICE}-k")
    assert world("GET", ONE, service=SERVICE).json["rollout"]["request"]["version"] == "1.4.3"


@pytest.mark.parametrize("same", [True, False])
def test_who_comes_second_at_the_same_moment_finds_his_own_rollout_or_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    store = world.api.rollouts.rollouts  # type: ignore[attr-defined]
    begin = store.begin

    def second(record: Any, over: Any) -> bool:
        other = record if same else record.model_copy(update={"rollout_id": "other"})
        assert begin(other, over)
        return bool(begin(record, over))

    monkeypatch.setattr(store, "begin", second)

    answer = world.start(key="k")

    if same:
        assert (answer.status, answer.json["rollout_id"]) == (201, f"{SERVICE}-k")
        assert len(world.town.home.executions) == 1
    else:
        refused(answer, 409, "another rollout began at this moment")


def _raise(problem: Exception) -> Any:
    def raises(**_: Any) -> Any:
        raise problem

    return raises


def test_without_a_key_each_request_is_one_of_its_own(world: World) -> None:
    world.start()

    told = refused(world.start(), 409, "is on its way through the regions")

    assert told["title"] == "DeploymentInFlight"


def test_a_refusal_is_not_kept_under_its_key(world: World) -> None:
    world.start(key="first")
    refused(world.start(key="k", version="1.4.3"), 409)
    world.town.run()

    assert world.start(key="k", version="1.4.3").status == 201


def test_a_version_that_went_back_needs_a_reason(world: World) -> None:
    world.start()
    world.town.run(done=lambda: "baking" in world.states())
    assert world.wish("rollback", {"reason": "bad"}).status == 200
    world.town.run()

    refused(world.start(), 409, "went back")
    assert world.start(despite_hold="the cause was elsewhere").status == 201
    kinds = [one["kind"] for one in world("GET", f"{ONE}/history", service=SERVICE).json["events"]]
    assert "despite hold" in kinds


def test_windows_and_freezes_are_set_aside_by_whoever_asks(world: World) -> None:
    begun = world.start(despite_windows="an outage", despite_freezes="an outage")

    assert begun.json["plan"]["overrides"] == [
        {"what": "windows", "reason": "an outage", "by": ADA},
        {"what": "freezes", "reason": "an outage", "by": ADA},
    ]


def test_people_hold_it_let_it_go_on_and_take_it_back(world: World) -> None:
    begun = world.start().json["rollout_id"]
    world.town.run(done=lambda: "baking" in world.states())
    held = world.wish("hold", {"reason": "lunch", "rollout_id": begun})
    shown = world("GET", ONE, service=SERVICE).json
    world.town.run(0.2)
    standing = world("GET", ONE, service=SERVICE).json
    resumed = world.wish("resume")
    world.town.run(0.2)
    back = world.wish("rollback")
    world.town.run()

    assert (held.status, held.json) == (200, {"rollout_id": begun, "asked": "hold"})
    assert (shown["wish"]["name"], shown["wish"]["by"], shown["wish"]["reason"]) == (
        "hold",
        ADA,
        "lunch",
    )
    assert (standing["rollout"]["phase"], standing["wish"]) == ("held", None)
    assert standing["waits_until"] is not None
    assert (resumed.status, back.status) == (200, 200)
    ended = world("GET", ONE, service=SERVICE).json["rollout"]
    assert (ended["phase"], ended["cause"]) == (
        "rolled_back",
        f"asked by {ADA}: rollback over HTTP",
    )


def test_what_would_do_nothing_is_a_conflict(world: World) -> None:
    world.start()

    told = refused(world.wish("resume"), 409, "resume does nothing")
    refused(world.wish("close", {"reason": "by hand"}), 409, "close does nothing")

    assert told["title"] == "SignalRefused"


def test_a_wish_of_another_rollout_than_the_latest_does_nothing(world: World) -> None:
    world.start(key="k")
    other = {"rollout_id": f"{SERVICE}-other"}

    for what in ("hold", "resume", "rollback"):
        refused(world.wish(what, other), 409, f"its rollout is {SERVICE}-k by now")
    refused(world.wish("close", {**other, "reason": "by hand"}), 409, "by now")
    assert world("GET", ONE, service=SERVICE).json["wish"] is None


def test_closing_needs_a_reason(world: World) -> None:
    world.start()

    assert refused(world.wish("close", {}), 400)["problems"][0]["field"] == "reason"


def test_a_service_without_a_rollout_is_not_found(world: World) -> None:
    asks = [("GET", ""), ("GET", "/history"), *(("POST", f"/{one}") for one in ("hold", "resume"))]
    for method, more in asks:
        told = refused(world(method, ONE + more, service="nobody"), 404, "never had a rollout")
        assert told["title"] == "UnknownRollout"
    refused(world("GET", ONE, service="No Body"), 400, "lower case")


def test_the_history_comes_in_pages_without_a_gap(world: World) -> None:
    begun = world.start().json["rollout_id"]
    world.town.run()
    whole = world("GET", f"{ONE}/history", query={"limit": "100"}, service=SERVICE).json
    pages, after = [], None
    for _ in range(100):
        query = {"limit": "3"} | ({"after": after} if after else {})
        page = world("GET", f"{ONE}/history", query=query, service=SERVICE).json
        assert len(page["events"]) <= 3
        pages += page["events"]
        after = page["next"]
        if after is None:
            break

    assert len(whole["events"]) > 6
    assert (whole["rollout_id"], whole["next"]) == (begun, None)
    assert pages == whole["events"]
    refused(world("GET", f"{ONE}/history", query={"after": "x"}, service=SERVICE), 400)


def test_services_are_listed_in_pages(world: World) -> None:
    world.start()
    world.start(service="cart")
    world.start(service="mail")

    first = world("GET", ALL, query={"limit": "2"}).json
    last = world("GET", ALL, query={"limit": "2", "after": first["next"]}).json

    assert [one["service"] for one in first["rollouts"]] == ["cart", SERVICE]
    assert [one["service"] for one in last["rollouts"]] == ["mail"]
    assert (first["next"], last["next"]) == (SERVICE, None)
    assert first["rollouts"][0]["names"] == "1.4.2"
    assert set(first["rollouts"][0]["regions"]) == set(FILE["regions"])


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"verson": "1"}, "verson", "did you mean version?"),
        ({"version": None}, "", "name exactly one of image, version and task_definition"),
        ({"strategy": "linear"}, "strategy", "rolling"),
        ({"policy": "reckless"}, "policy", "safe"),
        ({"despite_hold": ""}, "despite_hold", "3"),
        ({"despite_freezes": " \n "}, "despite_freezes", "say why"),
        ({"regions": {}}, "regions", "write applied, or a mapping with the Regions"),
        ({"regions": "multi-region.yaml"}, "regions", "write applied, or a mapping"),
        ({"regions": {"moon-1": {"traffic_percentage": 200}}}, "regions.moon-1", ""),
        ({"pipeline_execution_id": "e-1"}, "pipeline_execution_id", "there is no such key"),
        ({"version": "#{Build.VERSION}"}, "version", "did not replace this variable"),
    ],
    ids=lambda one: str(one)[:30],
)
def test_what_is_wrong_is_said_and_begins_nothing(
    world: World, changes: dict[str, Any], field: str, said: str
) -> None:
    told = refused(world.start(**changes), 400, said)

    assert told["problems"][0]["field"].startswith(field)
    assert world.town.home.rollouts.kept(SERVICE) is None


def test_a_body_is_as_long_as_a_request_may_be(world: World) -> None:
    refused(world.start(despite_alarms="x" * 70_000), 400, "send at most 65536")


@pytest.mark.parametrize("key", ["", "a b", "a" * 65, "ü"])
def test_a_key_that_is_none_is_refused(world: World, key: str) -> None:
    assert refused(world.start(key=key), 400)["problems"][0]["field"] == "Idempotency-Key"


def test_without_a_coordinator_nothing_begins_and_the_way_out_is_said(world: World) -> None:
    world.connection.installed = False

    refused(world.start(), 409, "no coordinator is installed in eu-west-1")
    assert world("GET", ALL).json == {"rollouts": [], "next": None}


def test_regions_that_were_applied_are_what_a_request_without_them_goes_by(world: World) -> None:
    refused(world.start(regions=None), 409, "no regions were applied")
    store = world.api.rollouts.applied  # type: ignore[attr-defined]
    now = world.town.kernel.now()
    store.put(SERVICE, regions_file(3), "multi-region.yaml", by="ada", at=now)

    begun = world.start(key="k", regions=None)
    again = world.start(key="k", regions="applied")

    assert (begun.status, again.status) == (201, 200), begun.json
    assert again.json == begun.json
    assert len(begun.json["plan"]["waves"]) == 3


def test_aws_that_does_not_answer_is_a_503_that_says_when_to_come_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = error("ThrottlingException", "DescribeStateMachine")
    monkeypatch.setattr(world.connection, "describe_state_machine", _raise(problem))

    answer = world.start()

    assert refused(answer, 503)["title"] == "StoreUnavailable"
    assert answer.headers["retry-after"].isdecimal()


def test_nobody_who_is_not_signed_begins_anything(world: World) -> None:
    refused(world("POST", ALL, BODY, by=None), 401)
    assert world.town.home.rollouts.kept(SERVICE) is None


def test_the_keys_are_those_of_a_pipelines_request(world: World) -> None:
    of_http = set(StartRollout.model_fields) - {"despite_windows", "despite_freezes"}

    assert of_http == {*DEPLOYMENT, "regions", "policy", "despite_hold"}
    with pytest.raises(Exception, match="there is no such key"):
        read_asked({"pipeline_execution_id": "e", **BODY, "despite_windows": "x"}, None, by="x")  # type: ignore[arg-type]
